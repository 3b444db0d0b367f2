"""What `wardlight demo` and the README print works as printed: DCMTK, curl, commands, the partner application."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pydicom
import pytest
import requests

import bundle_kit
import live
from lone_verifier import Alone
from wardlight import client as wl
from wardlight import clock

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with live.installation(tmp_path_factory.mktemp("demo"), "--samples") as running:
        yield running


def printed(demo) -> list[str]:
    text = demo.log.read_text()
    assert re.search(r"^ready$", text, re.M)
    lines = [line.strip() for line in text.split("Try next", 1)[1].splitlines()]
    return [
        line for line in lines if re.match(r"(echoscu|storescu|export|curl|\S*(wardlight|python\S*) )", line)
    ]


def test_the_sample_studies_are_there_at_every_level(demo):
    assert {"CT CHEST", "MR BRAIN", "CT ABDOMEN", "MR KNEE"} <= set(demo.facts["study_descriptions"])
    names = {
        row["00100010"]["Value"][0]["Alphabetic"]
        for row in demo.search("/studies?includefield=00100010")
        if row["00100010"].get("Value")
    }
    # One study was sent to the route that keeps identifiers; no other name may be there.
    assert "Haddad^Noor" in names
    assert not names & {"Lindqvist^Astrid", "Martínez^Lucía", "Okonkwo^Chidi", "CompressedSamples^CT1"}


def test_demo_json_can_be_read_by_its_owner_only(demo):
    assert stat.S_IMODE((demo.data / "demo.json").stat().st_mode) == 0o600


@pytest.mark.system
def test_the_printed_commands_work_as_printed(demo, tmp_path):
    commands = printed(demo)
    assert len(commands) >= 8
    before = demo.count()
    script = "set -e\n" + "\n".join(f"echo '### {index}'\n{line}" for index, line in enumerate(commands))
    result = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    outputs = re.split(r"### \d+\n", result.stdout)[1:]
    found = next(out for line, out in zip(commands, outputs, strict=True) if line.startswith("curl"))
    assert any("MR" in row["00080061"]["Value"] for row in json.loads(found))
    # Five files on two routes: two releases of one study.
    live.wait_until(lambda: demo.count() == before + 10, 30, "what storescu sent")
    fsck = next(out for line, out in zip(commands, outputs, strict=True) if line.endswith(" fsck"))
    assert fsck.strip().endswith("clean")
    assert outputs[-1].startswith("VERIFIED. ")


def test_a_bundle_of_it_verifies_where_wardlight_is_not(demo, tmp_path):
    """With the verifier's one file and the trust file, up to the entry of its own export at least."""
    alone = Alone(tmp_path)
    began = clock.timestamp()
    demo.wardlight("audit", "export", "--out", str(tmp_path / "trail.ndjson"))
    shutil.copy(demo.facts["audit_trust"], tmp_path / "trust.json")
    found = alone.run("verifier.py", "trail.ndjson", "--trust", "trust.json", "--json")
    verdict = json.loads(found.stdout)
    assert (found.returncode, verdict["verdict"]) == (0, "verified"), verdict
    assert verdict["anchored_to"] == verdict["size"] == verdict["leaves"] == verdict["stop"]
    lines = (tmp_path / "trail.ndjson").read_bytes().splitlines()
    leaves = [json.loads(line) for line in lines if line.startswith(b'{"entry":')]
    exports = [one["index"] for one in leaves if one["entry"]["action"] == "audit:entry:export"]
    # Its own is among them, whatever was recorded until a witness signed.
    recorded = {one["index"]: one["entry"]["recorded"] for one in leaves}
    assert recorded[exports[-1]] >= began
    assert "receiver:association:accept" in {one["entry"]["action"] for one in leaves}
    # One character of one entry, and the file's own digest made anew.
    mark = b'"index":%d,' % exports[-1]
    changed = [line.replace(b":export", b":exporl") if mark in line else line for line in lines[:-1]]
    (tmp_path / "changed.ndjson").write_bytes(bundle_kit.sealed(changed))
    found = alone.run("verifier.py", "changed.ndjson", "--trust", "trust.json", "--json")
    verdict = json.loads(found.stdout)
    assert (found.returncode, verdict["verdict"]) == (1, "altered")
    assert verdict["first_bad"] == exports[-1]


# ---- partner applications ----


def own(demo, number: int, kind=wl.Client, **more):
    """The client of one of the demo's applications."""
    me = demo.facts["applications"][number]
    return kind(
        demo.facts["web"], me["client_id"], me["private_key_file"],
        institution=demo.facts["institution"], purpose=me["purpose"], **more,
    )  # fmt: skip


def event_of(client: wl.Client, kind: str, but=frozenset()) -> wl.Event:
    """The first event of a kind that is about none of those grants; fails the test where it does not come."""
    timer = threading.Timer(90, client.close)
    timer.start()
    try:
        return next(one for one in client.events() if one.type == kind and one.grant not in but)
    finally:
        timer.cancel()


def test_everybody_and_every_application_is_in_demo_json(demo):
    for row in demo.facts["people"]:
        assert row.keys() == {"role", "login", "password", "totp_secret", "token"}
    assert {row["role"] for row in demo.facts["people"]} >= {"administrator", "operator"}
    for row in demo.facts["applications"]:
        assert row.keys() == {"id", "client_id", "private_key_file", "purpose", "token"}
        assert stat.S_IMODE(Path(row["private_key_file"]).stat().st_mode) == 0o600
        answer = requests.get(
            demo.facts["web"] + "/api/v1/grants",
            headers={"Authorization": f"Bearer {row['token']}"},
            timeout=20,
        )
        grants = answer.json()["grants"]
        assert len(grants) >= 2
        assert {one["purpose"] for one in grants} == {row["purpose"]}


def test_the_partner_application_of_the_readme(demo, tmp_path):
    """The line of the developer's quick start, for the folder and the events of this demo."""
    text = (ROOT / "README.md").read_text()
    (line,) = re.findall(r"^\.venv/bin/python (examples/partner_app\.py \S+ \S+)", text, re.M)
    arguments = line.replace("demo-data/demo.json", str(demo.data / "demo.json")).split()
    first = subprocess.run(
        [sys.executable, *arguments, "--events", "6"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert first.returncode == 0, first.stderr[-2000:]
    # Two studies, and each once more as its report has joined it.
    assert sorted(first.stdout.splitlines()) == [
        *["study.available: 8 images, audit entry recorded"] * 2,
        *["study.changed: 8 images, audit entry recorded"] * 2,
    ]
    folder = demo.data / "partner" / "lumen_reader_demo"
    reports = [
        pydicom.dcmread(file) for file in folder.glob("*/*.dcm") if "SR" in pydicom.dcmread(file).Modality
    ]
    assert len(reports) == 2
    # The institution sees them, marked with who made them, and what the application says.
    entries = requests.get(
        demo.facts["web"] + "/api/v1/audit/entries?action=app:study:process",
        headers={"Authorization": f"Bearer {demo.token()}"}, timeout=20,
    ).json()  # fmt: skip
    said = [*entries["sealing"], *(row["entry"] for row in entries["entries"])]
    assert {one["source"] for one in said} == {"application"}
    assert {one["detail"]["claim"]["code"] for one in said} == {"measured"}
    assert {one["detail"]["grant"] for one in said} == {"live"}
    assert "says lumen_reader_demo" in demo.wardlight("audit", "show", "demo", "--limit", "200").stdout


@pytest.mark.system
def test_another_study_for_the_partner_application(demo):
    """The lines by which the README sends one more."""
    text = (ROOT / "README.md").read_text()
    (lines,) = re.findall(r"^(PORT=\S.*\nstorescu -aec WARD_READER .*)$", text, re.M)
    lines = lines.replace("demo-data", str(demo.data))
    with own(demo, 0) as client:
        known = {one.id for one in client.grants()}
        sent = subprocess.run(["bash", "-ec", lines], capture_output=True, text=True, timeout=60)
        assert sent.returncode == 0, sent.stderr
        grant = client.grant(event_of(client, "study.available", known).grant)
        assert grant.purpose == "TREAT"


def test_the_python_of_the_readme(demo):
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    code = block.replace("http://localhost:8080", demo.facts["web"]).replace("demo-data", str(demo.data))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert len(re.findall(r"^2\.25\.\d+ TREAT until \d{4}-", ran.stdout, re.M)) >= 2


@pytest.mark.parametrize("dpop", [False, True])
def test_the_client_reads_what_was_granted_and_no_more(demo, tmp_path, dpop):
    with own(demo, 0, dpop=dpop) as client, own(demo, 1) as other:
        mine, theirs = client.grants(), other.grants()
        assert client.grant(mine[0].id).study == mine[0].study
        web = client.dicomweb()
        found = {row["0020000D"]["Value"][0] for row in web.search_for_studies()}
        assert found == {one.study for one in mine}
        files = client.download(mine[0].study, tmp_path / "study")
        assert {pydicom.dcmread(file).StudyInstanceUID for file in files} == {mine[0].study}
        assert len(list(web.iter_study(mine[0].study, media_types=(("application/dicom", "*"),)))) == len(
            files
        )
        assert web.search_for_studies()[0]["00081190"]["Value"][0].startswith(demo.facts["dicomweb"] + "/")
        for study in (theirs[0].study, "2.25.1"):
            with pytest.raises(wl.NotFound):
                client.download(study, tmp_path / "none")
        with pytest.raises(wl.NotFound):
            client.grant(theirs[0].id)
        assert not (tmp_path / "none").exists()


def test_the_asynchronous_client(demo, tmp_path):
    async def run():
        async with own(demo, 1, wl.AsyncClient) as client:
            grants = await client.grants()
            files = await client.download(grants[0].study, tmp_path / "study")
            result = pydicom.dcmread(files[0])
            result.SOPInstanceUID = pydicom.uid.generate_uid()
            result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
            result.SeriesInstanceUID = pydicom.uid.generate_uid()
            result.save_as(tmp_path / "result.dcm")
            stored = await client.store(grants[0].study, [tmp_path / "result.dcm"])
            result.PatientID = "somebody else"
            result.save_as(tmp_path / "wrong.dcm")
            with pytest.raises(wl.NotStored):
                await client.store(grants[0].study, [tmp_path / "wrong.dcm"])
            entry = wl.AuditEntry("app:study:view", grants[0].id, grants[0].study)
            outcomes = await client.record(entry, entry, wl.AuditEntry("app:study:view", "0" * 32, "2.25.1"))
            async for event in client.events():
                return stored == [result.SOPInstanceUID], [one.status for one in outcomes], event.position

    assert asyncio.run(run()) == (True, ["recorded", "duplicate", "refused"], 1)


def test_access_that_ends_is_told_and_over(demo, tmp_path):
    with own(demo, 1) as client:
        grant = client.grants()[0]
        answer = requests.delete(
            f"{demo.facts['web']}/api/v1/grants/{grant.id}",
            headers={"Authorization": f"Bearer {demo.token()}"}, timeout=20,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        with pytest.raises(wl.NotFound):
            client.download(grant.study, tmp_path / "study")
        told = event_of(client, "access.revoked")
        assert told.grant == grant.id
        client.acknowledge(told)
        entry = wl.AuditEntry("app:study:delete", grant.id, grant.study)
        assert client.record(entry)[0].status == "recorded"


@pytest.mark.long
@pytest.mark.system
def test_the_steps_of_the_page_on_partner_applications(demo, tmp_path):
    """docs/how-to/partner-application.md, its commands in their order, then an image to the new AE title."""
    page = (ROOT / "docs" / "how-to" / "partner-application.md").read_text()
    steps = re.findall(r"^```\n(.*?)^```", page, re.M | re.S)
    environment = {**os.environ, **demo.environment()}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = "set -e\n" + "".join(steps).replace("stmary", "demo")
    ran = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    host, port = demo.facts["dicom"]["host"], str(demo.facts["dicom"]["port"])
    send = ["storescu", "-aec", "WARD_ACME", "+sd", host, port, str(demo.data / "samples")]
    with wl.Client(
        demo.facts["web"], "acme_reader_prod", tmp_path / "acme.pem", institution="demo", purpose="TREAT"
    ) as client:  # fmt: skip

        def granted() -> list[wl.Grant]:
            # The receiver hears of the agreement within seconds; until then it refuses what is for the application.
            subprocess.run(send, capture_output=True, timeout=60)
            return client.grants()

        (grant,) = live.wait_until(granted, 90, "a grant for the new application")
        assert len(client.download(grant.study, tmp_path / "study")) == 5
