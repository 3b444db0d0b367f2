"""Security test 24: text made to run, to escape or to overflow comes out as the text it is, and is never a path.

Through C-STORE, QIDO-RS, metadata, WADO-RS, logs and the command line; in every text element, AE titles, UIDs, names of
files and of members of archives. (Portal, documents and CSV export have issues of their own.)
"""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

import pytest
from bench.fast_store_scu import Instance, Refused, Sender

import live
import small_objects
from small_objects import CT, EXPLICIT_LITTLE, element
from wardlight.dicom.part10 import write_meta

ROOT = "1.2.826.0.1.3680043.8.498.24."
HOSTILE = {
    "script": "<script>alert(document.cookie)</script>",
    "attribute": "\"><img src=x onerror=alert(1)>'`",
    "svg": "<svg onload=alert(1)><desc>",
    "end": "]]></script><!--",
    "right to left": "\u202efdp.exe\u2066\u200f",
    "nul": "before\0after",
    "path": "../../../../../../etc/passwd",
    "windows": "C:/con.../nul.dcm",
    "shell": "$(touch pwned); `touch pwned` | touch pwned & #",
    "format": "%s%n{0.__class__}${jndi:ldap://x}",
    "sql": "x' OR '1'='1'; DROP TABLE archive_release; --",
    "like": "%_%",
    "line": 'a\r\nSet-Cookie: x=1\r\n\r\n{"event": "forged"}',
    "terminal": "\x1b[2J\x1b]0;title\x07",
    "surrogate": "\U0001f4a3 e\u0301 \ufeff\ufffe",
    "long": "<b>" + "A" * 10_240 + "</b>",
}
#: One element of each VR that holds free text, at study, series and instance level.
TEXT = {
    0x00080050: "SH", 0x00081030: "LO", 0x0008103E: "LO", 0x00080081: "ST", 0x00080119: "UC", 0x00080120: "UR",
    0x00100010: "PN", 0x00100020: "LO", 0x00104000: "LT", 0x0040A160: "UT", 0x00080055: "AE", 0x00101010: "AS",
}  # fmt: skip
PLAIN = re.compile(r"[A-Za-z0-9._-]+")


def long_element(tag: int, vr: str, value: str) -> bytes:
    """As `element`, for UC, UR and UT too, whose length has 32 bits."""
    if vr not in ("UC", "UR", "UT"):
        return element(tag, vr, value)
    data = value.encode()
    data += b" " * (len(data) % 2)
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, len(data)) + data


def hostile_instance(number: int, text: str) -> Instance:
    sop = f"{ROOT}3.{number}"
    rows = {tag: (vr, text) for tag, vr in TEXT.items()} | {
        0x00080005: ("CS", "ISO_IR 192"), 0x00080016: ("UI", CT), 0x00080018: ("UI", sop),
        0x00080020: ("DA", text[:8]), 0x00080060: ("CS", text[:16]),
        0x00090010: ("LO", text[:64]), 0x00091001: ("LO", text),
        0x0020000D: ("UI", f"{ROOT}1.{number}"), 0x0020000E: ("UI", f"{ROOT}2.{number}"), 0x00200013: ("IS", text[:12]),
    }  # fmt: skip
    data = b"".join(long_element(tag, vr, value) for tag, (vr, value) in sorted(rows.items()))
    return Instance(CT, sop, EXPLICIT_LITTLE, memoryview(data))


@pytest.fixture(scope="module")
def wardlight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    with live.installation(folder, "--no-samples", environment={"WARDLIGHT_LOG_LEVEL": "debug"}) as it:
        with Sender(it.dicom_port, [(CT, EXPLICIT_LITTLE)], called_ae=it.ae_titles["identified"]) as sender:
            for number, text in enumerate(HOSTILE.values()):
                assert sender.store(hostile_instance(number, text)).status == 0
        live.wait_until(lambda: it.receiver_status()["queue"]["objects"] == 0, 60, "uploads")
        yield it


def get(wardlight, path: str, accept: str = "application/dicom+json"):
    request = urllib.request.Request(
        wardlight.dicomweb + path, headers={"Authorization": f"Bearer {wardlight.token()}", "Accept": accept}
    )
    return urllib.request.urlopen(request, timeout=30)


def expected(text: str, vr: str) -> list:
    """Values as PS3.18 F.2 gives them: several where a backslash parts them, without padding at the end."""
    if vr in ("UR", "AE", "AS"):
        text = text.encode().decode("latin-1")  # VRs of the default repertoire (PS3.5 6.1.2.2)
    values = [text] if vr in ("ST", "LT", "UT", "UR") else text.split("\\")
    if vr == "PN":
        return [
            dict(zip(("Alphabetic", "Ideographic", "Phonetic"), value.split("="), strict=False))
            for value in values
        ]
    return [value if vr in ("ST", "LT", "UT") else value.strip(" ") for value in values]


@pytest.mark.parametrize("what", HOSTILE)
def test_text_comes_out_as_text(wardlight, what):
    number, text = list(HOSTILE).index(what), HOSTILE[what]
    study = f"/studies/{ROOT}1.{number}"
    for path in (f"{study}/metadata", f"/instances?StudyInstanceUID={ROOT}1.{number}&includefield=all"):
        with get(wardlight, path) as answer:
            assert answer.headers["content-type"] == "application/dicom+json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert answer.headers["set-cookie"] is None
            (row,) = json.loads(answer.read())
        for tag, vr in TEXT.items():
            key = f"{tag:08X}"
            if key in row or "metadata" in path:
                assert row[key].get("Value") == expected(text, vr), (path, key)
    with get(
        wardlight, f"{study}/series/{ROOT}2.{number}/instances/{ROOT}3.{number}", "application/dicom"
    ) as answer:
        assert answer.read().endswith(bytes(hostile_instance(number, text).data)), "byte for byte"


@pytest.mark.parametrize("what", [name for name in HOSTILE if name not in ("nul", "long", "line")])
def test_text_is_a_value_of_a_search_and_nothing_else(wardlight, what):
    """Quotes, percent signs and statements find the study that holds them and no other."""
    number, text = list(HOSTILE).index(what), HOSTILE[what]
    for key in ("PatientID", "StudyDescription", "AccessionNumber"):
        rows = wardlight.search(f"/studies?{key}={urllib.parse.quote(text)}")
        assert [row["0020000D"]["Value"] for row in rows] == [[f"{ROOT}1.{number}"]], key
    found = wardlight.search(f"/studies?ModalitiesInStudy={urllib.parse.quote(text[:16])}")
    assert [row["0020000D"]["Value"][0] for row in found] in ([], [f"{ROOT}1.{number}"])


def test_all_studies_are_there_whatever_they_say(wardlight):
    assert wardlight.count() == len(HOSTILE)
    done = wardlight.wardlight("fsck", "--deep", "--json")
    assert json.loads(done.stdout)["clean"]


@pytest.mark.parametrize(
    "uid",
    ["../../../etc/x", "1.2/../../3", "<script>", "1.2\0/x", "1.2\n3", "%2e%2e%2f", "1" * 65, "$(id)", "1.2;3", " "]
)  # fmt: skip
def test_what_is_no_uid_is_refused_and_stores_nothing(wardlight, uid):
    """UIDs are the one text of a peer that a careless program makes paths and addresses of."""
    before = wardlight.count()
    good = small_objects.instance(0, prefix="24")
    data = bytes(good.data)
    for tag in (0x0020000D, 0x0020000E, 0x00080018):
        start = data.index(struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, b"UI"))
        length = struct.unpack_from("<H", data, start + 6)[0]
        changed = data[:start] + element(tag, "UI", uid) + data[start + 8 + length :]
        sop = uid if tag == 0x00080018 else good.sop_instance
        try:
            with Sender(wardlight.dicom_port, [(CT, EXPLICIT_LITTLE)], called_ae="WARD_IDENTIFIED") as sender:
                status = sender.store(Instance(CT, sop, EXPLICIT_LITTLE, memoryview(changed))).status
                assert status not in (0, 0xB000)
        except (Refused, ValueError, UnicodeError):
            pass  # Aborted: a command set with such a UID is none.
        meta = write_meta(
            CT, "1.2.3", EXPLICIT_LITTLE, implementation_class_uid="1.2", implementation_version="T"
        )
        request = urllib.request.Request(
            wardlight.dicomweb + "/studies", data=meta + changed, method="POST",
            headers={"Authorization": f"Bearer {wardlight.token()}", "Content-Type": "application/dicom"},
        )  # fmt: skip
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request, timeout=30)
        assert error.value.code == 409
        json.loads(error.value.read())
    with pytest.raises(urllib.error.HTTPError) as error:
        get(wardlight, "/studies/" + urllib.parse.quote(uid, safe=""), "*/*")
    assert error.value.code == 404
    assert wardlight.count() == before


@pytest.mark.parametrize(
    "title",
    ["<script>alert(1)", "../../../../etc/", "x' OR '1'='1", "\x1b[2J\x07evil", "$(id)`id`", "{\"event\":1}", "%s%n",
     "M\xfcller"],
)  # fmt: skip
def test_ae_titles_are_shown_as_text(wardlight, title):
    pair = [(CT, EXPLICIT_LITTLE)]
    for called, calling in (("WARD_IDENTIFIED", title), (title, "PACS")):
        try:
            with Sender(wardlight.dicom_port, pair, called_ae=called, calling_ae=calling) as sender:
                assert called == "WARD_IDENTIFIED"
                assert sender.store(small_objects.instance(1, prefix="24")).status == 0
        except (Refused, UnicodeError):
            pass


def test_the_command_line_shows_text(wardlight):
    """Routes of such titles are refused, or shown as given; nothing is formatted, run or coloured."""
    for title in ("<script>alert(1)", "\x1b[2J\x07evil"):
        done = wardlight.wardlight("admin", "route", "create", title, "--level", "high", check=False)
        assert done.stderr.replace("\n", "").isprintable() and "Traceback" not in done.stderr
    assert wardlight.receiver_status()["quarantine"]["objects"] == 0
    assert wardlight.wardlight("admin", "route", "list").stdout.replace("\n", "").isprintable()


def test_the_log_is_one_object_a_line(wardlight):
    """No peer can forge, break or colour a line."""
    before, _, rest = wardlight.log.read_text().partition("ready\n")
    lines = before.splitlines() + rest.partition("Ctrl-C stops the demo.\n")[2].splitlines()
    rows = [json.loads(line) for line in lines if line]
    assert len(rows) > 50
    assert "forged" not in {row["event"] for row in rows}
    text = "\n".join(lines)
    assert text.isascii() and text.replace("\n", "").isprintable()
    for value in HOSTILE.values():
        assert value[:16] not in text


def test_no_text_became_a_path(wardlight):
    """Every name on disk is of our making; nothing appeared beside the data folder."""
    names = {path.name for path in wardlight.data.rglob("*")}
    assert len(names) > 20
    assert all(PLAIN.fullmatch(name) for name in names)
    assert {path.name for path in wardlight.data.parent.iterdir()} == {"data", "data.log"}
    assert not list(wardlight.data.rglob("pwned")) and not Path("pwned").exists()


NAMES = [
    "<script>alert(1)<\u2215script>", "$(touch pwned).dcm", "-rf", "--help", "a\nb.dcm", "\u202efdp.mcd", " ", "..dcm",
    "%s%n.dcm", "con.dcm", "'; DROP TABLE x; --", "\x1b[2J.dcm", "A" * 250, "M\u00fcller^Anna 1937-11-19.dcm",
]  # fmt: skip


def file(number: int) -> bytes:
    one = small_objects.instance(number, prefix="24")
    meta = write_meta(
        CT, one.sop_instance, EXPLICIT_LITTLE, implementation_class_uid="1.2", implementation_version="T"
    )
    return meta + bytes(one.data)


def deidentify(folder: Path, source: str, code: int) -> dict:
    """Run the command there; what it says may hold no name of an input, what it writes only UIDs."""
    before = set(folder.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "wardlight", "deidentify", "--report", "report.json", "--", source, "out"],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert done.stderr.replace("\n", "").isprintable()
    report = (folder / "report.json").read_text()
    for name in (*NAMES, "evil", "passwd", "cron"):
        if len(name) > 4:
            assert name not in done.stderr + done.stdout + report
    written = [path.relative_to(folder / "out") for path in (folder / "out").rglob("*")]
    assert all(re.fullmatch(r"[0-9.]+(/[0-9.]+){0,2}(\.dcm)?", str(path)) for path in written), written
    assert set(folder.iterdir()) - before == {folder / "out", folder / "report.json"}
    return json.loads(report)


def test_names_of_files_are_labels_never_paths(tmp_path):
    (tmp_path / "in").mkdir()
    for number, name in enumerate(NAMES):
        (tmp_path / "in" / name).write_bytes(file(number))
    report = deidentify(tmp_path, "in", 0)
    assert report["totals"]["released"] == len(NAMES)


def test_a_source_that_looks_like_an_option(tmp_path):
    (tmp_path / "-rf").mkdir()
    (tmp_path / "-rf" / "one.dcm").write_bytes(file(0))
    assert deidentify(tmp_path, "-rf", 0)["totals"]["released"] == 1


def test_names_in_archives_are_labels_never_paths(tmp_path):
    members = ["../../evil.dcm", "/etc/cron.d/evil", "..\\..\\evil.dcm", "a/../../evil", "C:\\evil", *NAMES]
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for number, name in enumerate(members):
            archive.writestr(zipfile.ZipInfo(name), file(number))
    report = deidentify(tmp_path, "in.zip", 0)
    assert report["totals"]["released"] == len(members)
    assert not Path("/etc/cron.d/evil").exists()


def test_a_link_in_the_input_leads_nowhere(tmp_path):
    """Folders that are links are not entered: IN is what the user named."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one.dcm").write_bytes(file(0))
    os.symlink("/etc", tmp_path / "in" / "loop")
    os.symlink(tmp_path / "in", tmp_path / "in" / "self")
    assert deidentify(tmp_path, "in", 0)["totals"] == {"released": 1}
