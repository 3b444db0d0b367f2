"""dicomweb-client against a running Wardlight: what it stores comes back the same, and can be found."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterator
from io import BytesIO

import numpy
import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

import live
from wardlight import bootstrap
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.settings import Settings

NAMES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "image_dfl.dcm",
    "JPEG2000.dcm",
    "JPEG-lossy.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "emri_small.dcm",
    "color3d_jpeg_baseline.dcm",
    "liver_1frame.dcm",
    "rtplan.dcm",
    "reportsi.dcm",
    "test-SR.dcm",
    "waveform_ecg.dcm",
)


def read(name: str) -> Dataset:
    """A file of pydicom. Some are one image in several encodings: each becomes an instance of its own."""
    file = pydicom.dcmread(get_testdata_file(name))
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[name])
    return file


@pytest.fixture(scope="module")
def wardlight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Installation]:
    with live.installation(tmp_path_factory.mktemp("dicomweb")) as running:
        yield running


def client_of(wardlight: live.Installation, role: str = "administrator") -> DICOMwebClient:
    return DICOMwebClient(wardlight.dicomweb, headers={"Authorization": f"Bearer {wardlight.token(role)}"})


@pytest.fixture(scope="module")
def client(wardlight: live.Installation) -> DICOMwebClient:
    return client_of(wardlight)


@pytest.fixture(scope="module")
def stored(client: DICOMwebClient) -> dict[str, Dataset]:
    """All files, sent as dicomweb-client sends them: several parts, a body in chunks."""
    files = {name: read(name) for name in NAMES}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = client.store_instances(list(files.values()))
    assert len(answer.ReferencedSOPSequence) == len(files)
    assert "FailedSOPSequence" not in answer
    return files


def uids(file: Dataset) -> tuple[str, str, str]:
    return file.StudyInstanceUID, file.SeriesInstanceUID, file.SOPInstanceUID


def same(one: Dataset, other: Dataset) -> bool:
    """Equal down to the bytes of the data set."""
    written = [BytesIO(), BytesIO()]
    for stream, file in zip(written, (one, other), strict=True):
        pydicom.dcmwrite(stream, file)
    return written[0].getvalue() == written[1].getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_an_instance_comes_back(client: DICOMwebClient, stored: dict[str, Dataset], name: str) -> None:
    back = client.retrieve_instance(*uids(stored[name]), media_types=(("application/dicom", "*"),))
    syntax = stored[name].file_meta.TransferSyntaxUID
    if syntax in (
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
    ):  # which web services shall not use (PS3.18 8.7.3)
        assert back.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert "PixelData" not in back or numpy.array_equal(back.pixel_array, stored[name].pixel_array)
        assert [element.tag for element in back] == [
            element.tag for element in stored[name] if element.tag.element
        ]
        return
    assert back.file_meta.TransferSyntaxUID == syntax
    assert same(back, stored[name])


def test_study_and_series_come_back(client: DICOMwebClient, stored: dict[str, Dataset]) -> None:
    study, series, _ = uids(stored["MR_small.dcm"])
    expected = {f.SOPInstanceUID for f in stored.values() if f.StudyInstanceUID == study}
    media = (("application/dicom", "*"),)
    assert {f.SOPInstanceUID for f in client.retrieve_study(study, media_types=media)} == expected
    assert {f.SOPInstanceUID for f in client.iter_study(study, media_types=media)} == expected
    assert {f.SOPInstanceUID for f in client.retrieve_series(study, series, media_types=media)}


def test_search_finds_every_study(client: DICOMwebClient, stored: dict[str, Dataset]) -> None:
    found = {row["0020000D"]["Value"][0] for row in client.search_for_studies(get_remaining=True, limit=3)}
    assert {file.StudyInstanceUID for file in stored.values()} <= found
    file = stored["CT_small.dcm"]
    for key, value in (
        ("PatientID", file.PatientID),
        ("PatientName", f"{str(file.PatientName)[:4]}*"),
        ("StudyInstanceUID", file.StudyInstanceUID),
        ("StudyDate", f"{file.StudyDate}-{file.StudyDate}"),
        ("ModalitiesInStudy", "CT"),
    ):
        rows = client.search_for_studies(search_filters={key: value})
        assert file.StudyInstanceUID in {row["0020000D"]["Value"][0] for row in rows}, key
        assert len(rows) < len({f.StudyInstanceUID for f in stored.values()}), key
    assert client.search_for_studies(search_filters={"PatientID": "nobody of this name"}) == []


def test_search_below_a_study(client: DICOMwebClient, stored: dict[str, Dataset]) -> None:
    study, series, instance = uids(stored["CT_small.dcm"])
    (row,) = client.search_for_series(study)
    assert row["0020000E"]["Value"] == [series]
    assert row["00080060"]["Value"] == ["CT"]
    (row,) = client.search_for_instances(study, series)
    assert row["00080018"]["Value"] == [instance]
    assert row["00081190"]["Value"][0].endswith(f"/studies/{study}/series/{series}/instances/{instance}")
    rows = client.search_for_instances(search_filters={"SOPInstanceUID": instance})
    assert [row["0020000D"]["Value"] for row in rows] == [[study]]
    with pytest.raises(requests.HTTPError, match="400"):
        client.search_for_studies(search_filters={"00091001": "x"})


@pytest.mark.parametrize("name", NAMES)
def test_metadata_of_an_instance(client: DICOMwebClient, stored: dict[str, Dataset], name: str) -> None:
    row = client.retrieve_instance_metadata(*uids(stored[name]))
    json.dumps(row)
    assert "7FE00010" not in row or "InlineBinary" not in row["7FE00010"]
    for tag, element in stored[name].to_json_dict(suppress_invalid_tags=True).items():
        if (
            "Value" in element
            and element["vr"] in ("UI", "PN", "CS", "DA", "US", "SH", "LO")
            and tag[3] in "02468"
        ):
            # An empty value is null (PS3.18 F.2.5); pydicom writes "".
            values = [None if value == "" else value for value in element["Value"]]
            assert row[tag] == {**element, "Value": values}, tag


def test_metadata_of_study_and_series(client: DICOMwebClient, stored: dict[str, Dataset]) -> None:
    study, series, instance = uids(stored["CT_small.dcm"])
    for rows in (client.retrieve_study_metadata(study), client.retrieve_series_metadata(study, series)):
        assert [row["00080018"]["Value"] for row in rows] == [[instance]]


def test_native_frames(client: DICOMwebClient, stored: dict[str, Dataset]) -> None:
    for name in ("CT_small.dcm", "MR_small_implicit.dcm"):
        (frame,) = client.retrieve_instance_frames(*uids(stored[name]), frame_numbers=[1])
        assert frame == stored[name].PixelData
    file = stored["emri_small.dcm"]
    pixels = numpy.frombuffer(file.PixelData, "<u2").reshape(file.NumberOfFrames, -1)
    frames = client.retrieve_instance_frames(*uids(file), frame_numbers=[1, 3])
    assert frames == [pixels[0].tobytes(), pixels[2].tobytes()]


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("JPEG2000.dcm", "image/jp2"),
        ("JPEG-lossy.dcm", "image/jpeg"),
        ("MR_small_RLE.dcm", "image/dicom-rle"),
        ("MR_small_jpeg_ls_lossless.dcm", "image/jls"),
    ],
)
def test_compressed_frames(client: DICOMwebClient, stored: dict[str, Dataset], name: str, media: str) -> None:
    file = stored[name]
    fragments = list(generate_fragments(file.PixelData))[1:]
    for media_types in ((media,), ((media, file.file_meta.TransferSyntaxUID),), ("*/*",)):
        (frame,) = client.retrieve_instance_frames(*uids(file), frame_numbers=[1], media_types=media_types)
        assert frame == b"".join(fragments)
    (frame,) = client.retrieve_instance_frames(*uids(file), [1], media_types=("application/octet-stream",))
    assert len(frame) == file.Rows * file.Columns * file.BitsAllocated // 8
    if name != "JPEG-lossy.dcm":  # pydicom has no decoder for its 12 bits
        assert frame == file.pixel_array.tobytes()


def test_sent_again(client: DICOMwebClient, stored: dict[str, Dataset]) -> None:
    before = client.search_for_instances(limit=1000)
    client.store_instances([stored["CT_small.dcm"]])
    assert len(client.search_for_instances(limit=1000)) == len(before)
    changed = copy.deepcopy(stored["CT_small.dcm"])
    changed.PatientComments = "changed"
    with pytest.raises(requests.HTTPError, match="409"):
        client.store_instances([changed])
    answer = client.store_instances(
        [changed, read("ExplVR_LitEndNoMeta.dcm") if False else stored["rtplan.dcm"]]
    )
    assert answer.FailedSOPSequence[0].FailureReason == 0x0111
    assert len(answer.ReferencedSOPSequence) == 1
    back = client.retrieve_instance(*uids(changed), media_types=(("application/dicom", "*"),))
    assert "PatientComments" not in back


def test_other_transfer_syntaxes_are_not_acceptable(
    client: DICOMwebClient, stored: dict[str, Dataset]
) -> None:
    media = (("application/dicom", "1.2.840.10008.1.2.4.50"),)
    with pytest.raises(requests.HTTPError, match="406"):
        client.retrieve_instance(*uids(stored["CT_small.dcm"]), media_types=media)


def test_who_may_not(wardlight: live.Installation, stored: dict[str, Dataset]) -> None:
    study, series, instance = uids(stored["CT_small.dcm"])
    nobody = DICOMwebClient(wardlight.dicomweb)
    with pytest.raises(requests.HTTPError, match="401"):
        nobody.search_for_studies()
    administrator = client_of(wardlight)
    for call in (
        lambda: administrator.retrieve_study("1.2.3.4.5"),
        lambda: administrator.retrieve_series(study, "1.2.3.4.5"),
        lambda: administrator.retrieve_instance_metadata(study, series, "1.2.3.4.5"),
        lambda: administrator.retrieve_instance_frames(study, series, instance, [2]),
        lambda: administrator.search_for_series("1.2.3.4.5"),
    ):
        with pytest.raises(requests.HTTPError, match="404"):
            call()


def test_receiver_credential_reads_nothing(wardlight: live.Installation, stored: dict[str, Dataset]) -> None:
    """Security test 18: the store-only credential on every read route."""
    study, series, instance = uids(stored["CT_small.dcm"])
    platform = bootstrap.platform(Settings(data_dir=wardlight.data, demo=True), create=False)
    receiver = platform.identity.receivers(platform.identity.institution("demo").id)[0]
    headers = {
        "Authorization": f"Bearer {platform.identity.issue_receiver_token(receiver, by=LOCAL_ADMINISTRATOR)}"
    }
    platform.close()
    below = f"/studies/{study}/series/{series}/instances/{instance}"
    for route in (
        "/studies",
        "/series",
        "/instances",
        f"/studies/{study}",
        f"/studies/{study}/series",
        f"/studies/{study}/series/{series}",
        below,
        f"{below}/metadata",
        f"{below}/frames/1",
    ):
        answer = requests.get(wardlight.dicomweb + route, headers=headers, timeout=20)
        assert answer.status_code in (403, 404), route
        assert answer.headers["content-type"] == "application/problem+json"
