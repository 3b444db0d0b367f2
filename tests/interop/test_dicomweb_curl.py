"""curl against a running Wardlight: the requests of the documentation, byte for byte."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

import live

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]
FILE = Path(get_testdata_file("CT_small.dcm"))
PLACE = pydicom.dcmread(FILE, specific_tags=["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
INSTANCE = (
    f"/studies/{PLACE.StudyInstanceUID}/series/{PLACE.SeriesInstanceUID}/instances/{PLACE.SOPInstanceUID}"
)


@pytest.fixture(scope="module")
def wardlight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Installation]:
    with live.installation(tmp_path_factory.mktemp("curl")) as running:
        curl(
            running,
            "/studies",
            "-H",
            "Content-Type: application/dicom",
            "--data-binary",
            f"@{FILE}",
            expect=200,
        )
        yield running


def curl(
    wardlight: live.Installation, path: str, *options: str, expect: int = 200, token: str | None = None
) -> bytes:
    """Run curl on a path below the DICOMweb root and return the body."""
    command = [
        "curl", "-sS", "-o", "-", "-w", "%{stderr}%{http_code}",
        "-H", f"Authorization: Bearer {token or wardlight.token()}", *options, wardlight.dicomweb + path,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert int(done.stderr[-3:]) == expect, (done.stderr, done.stdout[:300])
    return done.stdout


def test_single_part_comes_back(wardlight: live.Installation) -> None:
    assert curl(wardlight, INSTANCE, "-H", "Accept: application/dicom") == FILE.read_bytes()


def test_multipart(wardlight: live.Installation, tmp_path: Path) -> None:
    other = Path(get_testdata_file("MR_small.dcm"))
    body = tmp_path / "body"
    with open(body, "wb") as out:
        for file in (FILE, other):
            out.write(b"--curl\r\nContent-Type: application/dicom\r\n\r\n" + file.read_bytes() + b"\r\n")
        out.write(b"--curl--\r\n")
    answer = curl(
        wardlight, "/studies", "-H", 'Content-Type: multipart/related; type="application/dicom"; boundary=curl',
        "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{body}",
    )  # fmt: skip
    assert len(json.loads(answer)["00081199"]["Value"]) == 2


def test_search_and_metadata(wardlight: live.Installation) -> None:
    rows = json.loads(curl(wardlight, f"/studies?StudyInstanceUID={PLACE.StudyInstanceUID}"))
    assert rows[0]["00081190"]["Value"] == [f"{wardlight.dicomweb}/studies/{PLACE.StudyInstanceUID}"]
    (row,) = json.loads(curl(wardlight, f"{INSTANCE}/metadata"))
    assert row["00080018"]["Value"] == [PLACE.SOPInstanceUID]


def test_frame(wardlight: live.Installation) -> None:
    pixels = curl(wardlight, f"{INSTANCE}/frames/1", "-H", "Accept: application/octet-stream")
    assert pixels == pydicom.dcmread(FILE).PixelData


def test_refusals(wardlight: live.Installation) -> None:
    problem = json.loads(curl(wardlight, "/studies", token="wl_pt_nobody", expect=401))
    assert problem["code"] == "unauthenticated"
    data = ("--data-binary", f"@{FILE}", "-H", "Expect: 100-continue")
    curl(wardlight, "/studies", *data, "-H", "Content-Type: application/dicom", token="no", expect=401)
    curl(wardlight, "/studies", *data, "-H", "Content-Type: text/plain", expect=415)
    curl(wardlight, "/studies/1.2.3", *data, "-H", "Content-Type: application/dicom", expect=409)
    curl(wardlight, "/studies?Nonsense=1", expect=400)
    curl(wardlight, "/studies?PatientID=" + "x" * 20_000, expect=413)
    curl(wardlight, INSTANCE, "-H", "Accept: image/jpeg", expect=406)
    curl(wardlight, INSTANCE, "-X", "DELETE", expect=405)
    curl(wardlight, "/nothing", expect=404)
