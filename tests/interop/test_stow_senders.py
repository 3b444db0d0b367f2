"""What senders really put on the wire for STOW-RS: Orthanc's plug-in and curl, against a running Wardlight."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

import live

NAMES = ("CT_small.dcm", "JPEG2000.dcm", "MR_small_implicit.dcm", "test-SR.dcm", "emri_small.dcm")
PLUGINS = Path("/usr/share/orthanc/plugins")

pytestmark = [pytest.mark.system, pytest.mark.long]


def file_of(name: str) -> bytes:
    """A file of pydicom as an instance of its own."""
    file = pydicom.dcmread(get_testdata_file(name))
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    buffer = io.BytesIO()
    file.save_as(buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def wardlight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Installation]:
    with live.installation(tmp_path_factory.mktemp("senders")) as running:
        yield running


def stored(wardlight: live.Installation, file: bytes) -> pydicom.Dataset:
    """The same instance, asked back."""
    ds = pydicom.dcmread(io.BytesIO(file))
    client = DICOMwebClient(
        wardlight.dicomweb, headers={"Authorization": f"Bearer {wardlight.token('administrator')}"}
    )
    uids = (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    return client.retrieve_instance(*uids, media_types=(("application/dicom", "*"),))


def curl(
    wardlight: live.Installation, *arguments: str, body: bytes | None = None
) -> tuple[int, dict[str, Any]]:
    program = shutil.which("curl")
    if program is None:
        pytest.fail("curl is missing: tools/system-packages.sh curl")
    run = subprocess.run(
        [program, "-s", "-w", "\n%{http_code}", "-H", f"Authorization: Bearer {wardlight.token()}",
         *arguments, f"{wardlight.dicomweb}/studies"],
        input=body, capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    text, _, status = run.stdout.rpartition(b"\n")
    return int(status), json.loads(text or b"{}")


def test_curl_with_a_file_as_the_body(wardlight: live.Installation, tmp_path: Path) -> None:
    file = file_of("CT_small.dcm")
    (tmp_path / "ct.dcm").write_bytes(file)
    status, answer = curl(
        wardlight, "-H", "Content-Type: application/dicom", "--data-binary", f"@{tmp_path}/ct.dcm"
    )
    assert status == 200 and "00081199" in answer
    assert stored(wardlight, file).PixelData == pydicom.dcmread(io.BytesIO(file)).PixelData


def test_curl_in_chunks_with_expectation(wardlight: live.Installation) -> None:
    """`Expect: 100-continue` and a chunked body, as curl sends what it does not know the size of."""
    file = file_of("emri_small.dcm")
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n--b--"
    status, _ = curl(
        wardlight,
        *("-H", 'Content-Type: multipart/related; type="application/dicom"; boundary="b"'),
        *("-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue", "--data-binary", "@-"),
        body=body,
    )
    assert status == 200
    assert stored(wardlight, file).PixelData == pydicom.dcmread(io.BytesIO(file)).PixelData


def test_curl_with_compressed_or_other_bodies(wardlight: live.Installation) -> None:
    for headers, status in (
        (("-H", "Content-Type: application/dicom", "-H", "Content-Encoding: gzip"), 415),
        (("-F", "file=@-"), 415),
        (("-H", "Content-Type:"), 415),
    ):
        assert (
            curl(wardlight, *headers, *(() if "-F" in headers else ("--data-binary", "@-")), body=b"x")[0]
            == status
        )


@pytest.fixture
def orthanc(tmp_path: Path, wardlight: live.Installation) -> Iterator[str]:
    """An Orthanc with its DICOMweb plug-in that knows Wardlight as a server."""
    program = shutil.which("Orthanc")
    if program is None or not PLUGINS.is_dir():
        pytest.fail("Orthanc is missing: tools/system-packages.sh orthanc orthanc-dicomweb")
    http, dicom = live.free_port(), live.free_port()
    server = {
        "Url": f"{wardlight.dicomweb}/",
        "HttpHeaders": {"Authorization": f"Bearer {wardlight.token()}"},
        "ChunkedTransfers": True,
    }
    settings = {
        "StorageDirectory": str(tmp_path / "storage"),
        "IndexDirectory": str(tmp_path / "storage"),
        "HttpPort": http,
        "DicomPort": dicom,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(path) for path in PLUGINS.glob("*OrthancDicomWeb*")],
        "DicomWeb": {
            "Enable": True,
            "Servers": {"wardlight": server, "plain": {**server, "ChunkedTransfers": False}},
        },
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    with open(tmp_path / "orthanc.log", "wb") as log:
        process = subprocess.Popen([program, str(tmp_path / "orthanc.json")], stdout=log, stderr=log)
    address = f"http://127.0.0.1:{http}"

    def answers() -> bool:
        assert process.poll() is None, (tmp_path / "orthanc.log").read_text()[-2000:]
        try:
            return bool(urllib.request.urlopen(f"{address}/system", timeout=5).read())
        except OSError:
            return False

    try:
        live.wait_until(answers, 60, "Orthanc")
        yield address
    finally:
        process.terminate()
        process.wait(20)


def call(address: str, body: bytes) -> Any:
    return json.loads(urllib.request.urlopen(urllib.request.Request(address, body), timeout=60).read())


@pytest.mark.parametrize("server", ["wardlight", "plain"])
def test_orthanc_sends(wardlight: live.Installation, orthanc: str, server: str) -> None:
    files = [file_of(name) for name in NAMES]
    ids = [call(f"{orthanc}/instances", file)["ID"] for file in files]
    order = {"Resources": ids, "Synchronous": True}
    answer = call(f"{orthanc}/dicom-web/servers/{server}/stow", json.dumps(order).encode())
    assert len(answer.get("Resources", {}).get("Instances", ids)) == len(files)
    for file in files:
        assert stored(wardlight, file).SOPInstanceUID == pydicom.dcmread(io.BytesIO(file)).SOPInstanceUID
