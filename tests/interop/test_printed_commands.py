"""What `wardlight demo` prints works as printed: DCMTK sends, curl finds, the receiver and fsck answer."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess

import pytest

import bundle_kit
import live
from lone_verifier import Alone
from wardlight import clock


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
