"""Requests as Weasis and 3D Slicer send them, one after another, against a running Wardlight with real files."""

from __future__ import annotations

import io
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

import live

pytestmark = pytest.mark.long

NAMES = (
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "JPEG2000.dcm",
    "color3d_jpeg_baseline.dcm",
    "MR_small_bigendian.dcm",
)

# What Weasis names in `includefield` at each level (its manifest `dicom:rs`).
_STUDY_FIELDS = (
    "00080020,00080030,00080050,00080061,00080090,00081030,"
    "00100010,00100020,00100021,00100030,00100040,00200010"
)
_SERIES_FIELDS = "0008103E,00080060,0020000E,00200011,00081190"
_INSTANCE_FIELDS = "00080018,00200013,00081190"


@pytest.fixture(scope="module")
def wardlight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Installation]:
    with live.installation(tmp_path_factory.mktemp("viewers")) as running:
        yield running


@pytest.fixture(scope="module")
def files(wardlight: live.Installation) -> dict[str, pydicom.FileDataset]:
    """Real files by name, stored as Slicer's export does it."""
    found = {name: pydicom.dcmread(get_testdata_file(name)) for name in NAMES}
    for name, file in found.items():
        # Some of pydicom's are one image in several encodings: each becomes an instance of its own.
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[name])
    client = _slicer(wardlight)
    for file in found.values():
        answer = client.store_instances([file])
        assert not answer.get("FailedSOPSequence")
    return found


def _slicer(wardlight: live.Installation) -> DICOMwebClient:
    return DICOMwebClient(url=wardlight.dicomweb, headers={"Authorization": f"Bearer {wardlight.token()}"})


class Weasis:
    """A session of Weasis: JSON for searches, `transfer-syntax=*` for instances, headers as Java's client has them."""

    def __init__(self, wardlight: live.Installation) -> None:
        self.base = wardlight.dicomweb
        self.token = wardlight.token()

    def get(self, url: str, accept: str) -> tuple[int, str, bytes]:
        request = urllib.request.Request(
            url,
            headers={"Authorization": f"Bearer {self.token}", "Accept": accept, "User-Agent": "Weasis/4.6"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()

    def search(self, path: str) -> list[dict]:
        status, kind, body = self.get(self.base + path, "application/dicom+json")
        assert (status, kind.partition(";")[0]) == (200, "application/dicom+json")
        return json.loads(body)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("extension", ["", "&includedefaults=false"])
def test_weasis_opens_a_patient(
    wardlight: live.Installation, files: dict[str, pydicom.FileDataset], name: str, extension: str
) -> None:
    weasis, file = Weasis(wardlight), files[name]
    patient = urllib.parse.quote(str(file.PatientID))
    studies = weasis.search(f"/studies?00100020={patient}&includefield={_STUDY_FIELDS}{extension}")
    study = next(row for row in studies if row["0020000D"]["Value"] == [file.StudyInstanceUID])
    assert study["00100010"].get("Value", [{}])[0].get("Alphabetic", "") == str(file.PatientName)
    path = f"/studies/{file.StudyInstanceUID}/series"
    (series,) = [
        row
        for row in weasis.search(f"{path}?includefield={_SERIES_FIELDS}{extension}")
        if row["0020000E"]["Value"] == [file.SeriesInstanceUID]
    ]
    assert series["00080060"]["Value"] == [file.Modality]
    instances = weasis.search(
        f"{path}/{file.SeriesInstanceUID}/instances?includefield={_INSTANCE_FIELDS}{extension}"
    )
    assert [file.SOPInstanceUID] in [row["00080018"]["Value"] for row in instances]
    url = f"{weasis.base}{path}/{file.SeriesInstanceUID}/instances/{file.SOPInstanceUID}"
    accept = 'multipart/related;type="application/dicom";transfer-syntax=*'
    _, kind, body = weasis.get(url, accept)
    assert kind.startswith("multipart/related")
    start = body.index(b"DICM") - 128
    got = pydicom.dcmread(io.BytesIO(body[start:]))
    assert got.file_meta.TransferSyntaxUID == _as_stored(file)
    _, kind, thumbnail = weasis.get(f"{url}/thumbnail?viewport=64,64", "image/jpeg")
    assert kind == "image/jpeg" and thumbnail.startswith(b"\xff\xd8")


@pytest.mark.parametrize("name", NAMES)
def test_weasis_by_wado_uri(
    wardlight: live.Installation, files: dict[str, pydicom.FileDataset], name: str
) -> None:
    """The older manifests of Weasis, and many portals, address instances by WADO-URI (PS3.18 chapter 9)."""
    weasis, file = Weasis(wardlight), files[name]
    query = (
        f"requestType=WADO&studyUID={file.StudyInstanceUID}&seriesUID={file.SeriesInstanceUID}"
        f"&objectUID={file.SOPInstanceUID}"
    )
    _, kind, body = weasis.get(
        f"{weasis.base}/wado?{query}&contentType=application%2Fdicom&transferSyntax=*", "*/*"
    )
    assert kind.partition(";")[0] == "application/dicom"
    got = pydicom.dcmread(io.BytesIO(body))
    assert got.file_meta.TransferSyntaxUID == _as_stored(file)
    _, kind, body = weasis.get(
        f"{weasis.base}/wado?{query}&contentType=image%2Fjpeg&rows=128", "image/jpeg, */*"
    )
    assert kind == "image/jpeg" and body.startswith(b"\xff\xd8")


def test_slicer_browses_and_downloads(
    wardlight: live.Installation, files: dict[str, pydicom.FileDataset], tmp_path: Path
) -> None:
    """SlicerDICOMwebBrowser: pages of studies, series of a study, instances of a series, then the series itself."""
    client = _slicer(wardlight)
    studies, offset = [], 0
    while page := client.search_for_studies(offset=offset, limit=2):
        studies += page
        offset += len(page)
    uids = [row["0020000D"]["Value"][0] for row in studies]
    assert len(uids) == len(set(uids)) and set(uids) >= {file.StudyInstanceUID for file in files.values()}
    for file in files.values():
        series = client.search_for_series(file.StudyInstanceUID)
        assert file.SeriesInstanceUID in [row["0020000E"]["Value"][0] for row in series]
        client.search_for_instances(file.StudyInstanceUID, file.SeriesInstanceUID)
        stored = client.retrieve_series(
            file.StudyInstanceUID, file.SeriesInstanceUID, media_types=(("application/dicom", "*"),)
        )
        got = {row.SOPInstanceUID: row for row in stored}[file.SOPInstanceUID]
        assert got.file_meta.TransferSyntaxUID == _as_stored(file)
        assert (got.pixel_array == file.pixel_array).all()
        # Without a word on the syntax Slicer can load what it gets, too.
        (plain,) = [
            row
            for row in client.retrieve_series(file.StudyInstanceUID, file.SeriesInstanceUID)
            if row.SOPInstanceUID == file.SOPInstanceUID
        ]
        assert (plain.pixel_array == file.pixel_array).all() or _is_lossy(file)


def _as_stored(file: pydicom.FileDataset) -> str:
    """What `transfer-syntax=*` gets: web services shall not use big endian (PS3.18 8.7.3)."""
    stored = file.file_meta.TransferSyntaxUID
    return str(stored) if stored.is_little_endian else "1.2.840.10008.1.2.1"


def _is_lossy(file: pydicom.FileDataset) -> bool:
    """Whether two decoders may differ by a rounding in what they give."""
    return str(file.file_meta.TransferSyntaxUID) in ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.91")
