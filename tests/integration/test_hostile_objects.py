"""Stored objects made to reach beyond themselves: into headers of answers, or into more memory than they are worth."""

from __future__ import annotations

import io
import itertools
import json
import time

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import generate_uid

from archive_kit import CT, dataset, part10
from wardlight.decoding.turns import Room
from wardlight.dicom.part10 import Part10Stream
from wardlight.dicom.related import RelatedWriter
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE
from wardlight.dicomweb.call import Answer
from wardlight.dicomweb.rendered_attributes import top_level
from wardlight.dicomweb.rendered_parameters import Parameters
from wardlight.dicomweb.rendered_plan import ImageHeader, plan_for
from wardlight.web import responses
from wardlight.web.responses import AnswerResponse
from web_kit import Web, a_web
from web_kit import parts as web_parts

RELATED = 'multipart/related; type="application/dicom"'
JPEG_LS = "1.2.840.10008.1.2.4.80"
OCTETS = 'multipart/related; type="application/octet-stream"'


@pytest.fixture(scope="module")
def web():
    with a_web() as web:
        yield web


def post(web: Web, *files: bytes):
    body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n" for data in files)
    return web.client.post(
        "/dicom-web/studies", content=body + b"--b--", headers={"Content-Type": f"{RELATED}; boundary=b"}
    )


@pytest.mark.parametrize("tail", [b"\r\nX: y", b"\r\n\r\n<b>", b"\xe9\xe9\xe9", b";q='a", b" ,a/b  "])
def test_a_transfer_syntax_that_is_no_uid_is_refused(web: Web, tail: bytes) -> None:
    """It stands in Content-Type of answers: a line break would end the header, and the object go on as a page."""
    ds = dataset(StudyInstanceUID=generate_uid())
    data = part10(ds)
    hostile = data.replace(b"1.2.840.10008.1.2.1\0", (b"1.2.840.10" + tail).ljust(20, b"\0"), 1)
    assert hostile != data
    assert post(web, hostile).status_code == 409
    assert web.get(f"/studies/{ds.StudyInstanceUID}").status_code == 404
    assert post(web, data).status_code == 200


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nX: y", "a\0"])
def test_no_header_field_leaves_its_line(value: str) -> None:
    with pytest.raises(ValueError):
        AnswerResponse(Answer(b"", value))
    with pytest.raises(ValueError):
        AnswerResponse(Answer(b"", "text/plain", headers={"Content-Location": value}))
    with pytest.raises(ValueError):
        RelatedWriter("b").head({"Content-Location": value}, first=True)


def post_metadata(web: Web, models: list[dict], parts: dict[str, bytes]):
    body = b"--b\r\nContent-Type: application/dicom+json\r\n\r\n" + json.dumps(models).encode()
    for location, data in parts.items():
        body += (
            b"\r\n--b\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Location: " + location.encode() + b"\r\n\r\n" + data
        )
    headers = {"Content-Type": 'multipart/related; type="application/dicom+json"; boundary=b'}
    return web.client.post("/dicom-web/studies", content=body + b"\r\n--b--", headers=headers)


def model(study: str, **more: dict) -> dict:
    uids = {"00080016": CT, "00080018": generate_uid(), "0020000D": study, "0020000E": generate_uid()}
    named = {tag: {"vr": "UI", "Value": [uid]} for tag, uid in uids.items()}
    return named | {name.removeprefix("x"): value for name, value in more.items()}


def private(uri: str, count: int) -> dict[str, dict]:
    """So many private values that refer to the same bulk data."""
    tags = itertools.product(range(9, 999, 2), range(0x1000, 0x10FF))
    return {f"{g:04X}{n:04X}": {"vr": "OB", "BulkDataURI": uri} for g, n in itertools.islice(tags, count)}


@pytest.mark.parametrize("within", ["a data set", "many data sets"])
def test_bulk_data_is_not_multiplied_by_references(web: Web, within: str) -> None:
    """Frames of one value, referred to again and again, would take memory and time by the product of both."""
    study = generate_uid()
    pixels = {"vr": "OW", "BulkDataURI": "b"}
    if within == "a data set":
        parts = {"b": b"x" * 100_000}
        models = [model(study, **private("b", 20_000))]
    else:
        parts = {f"b/frames/{n}": b"xx" for n in range(1, 4001)}
        models = [model(study, x7FE00010=pixels) for _ in range(3000)]
    began = time.process_time()
    answer = post_metadata(web, models, parts)
    assert time.process_time() - began < 8
    stored = answer.json().get("00081199", {}).get("Value", [])
    assert len(stored) * len(parts) < 50_000
    assert answer.status_code in (202, 409)


def test_some_values_may_share_their_bulk_data(web: Web) -> None:
    profile = bytes(range(256)) * 8
    models = [model(generate_uid(), x00282000={"vr": "OB", "BulkDataURI": "icc"}) for _ in range(20)]
    answer = post_metadata(web, models, {"icc": profile})
    assert answer.status_code == 200, answer.text
    study = models[-1]["0020000D"]["Value"][0]
    stored = pydicom.dcmread(io.BytesIO(web_parts(web.get(f"/studies/{study}"))[0][1]))
    assert stored.ICCProfile == profile


def an_image_of_one_byte(**more) -> pydicom.Dataset:
    return dataset(
        StudyInstanceUID=generate_uid(), Rows=1, Columns=1, BitsAllocated=8, BitsStored=8, HighBit=7, **more
    )


@pytest.mark.parametrize("resource", ["frames/1", "frames/1/rendered", "rendered", "thumbnail", ""])
def test_a_frame_that_no_decoder_takes_is_not_read_into_memory(web: Web, monkeypatch, resource: str) -> None:
    """One pixel, by its description, in a stream of megabytes: gigabytes are as cheap to send."""
    monkeypatch.setattr("wardlight.dicomweb.source.LARGEST", 6 << 20)
    ds = an_image_of_one_byte(PixelData=encapsulate([bytes(3 << 20)] * 3, has_bot=False))
    ds["PixelData"].VR = "OB"
    assert post(web, part10(ds, JPEG_LS)).status_code == 200
    most = 0
    real = web.services.archive.read

    def read(scope, location, start=0, end=None, **more):
        nonlocal most
        most = max(most, sum(map(len, real(scope, location, start, end, **more))))
        return real(scope, location, start, end, **more)

    monkeypatch.setattr(web.services.archive, "read", read)
    instance = f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    accept = {"frames/1": OCTETS, "": 'application/dicom; transfer-syntax="1.2.840.10008.1.2.1"'}.get(
        resource, "*/*"
    )
    answer = web.get(f"{instance}/{resource}".rstrip("/"), accept)
    assert answer.status_code >= 400 and answer.json()["code"] in ("cannot-decode", "not-acceptable")
    assert "larger than the limit" in answer.text
    assert resource == "" or most < 1 << 20


def test_tables_and_profiles_take_no_more_memory_than_they_can_mean() -> None:
    table = dataset(
        PhotometricInterpretation="PALETTE COLOR",
        **{f"{colour}PaletteColorLookupTableDescriptor": [256, 0, 16] for colour in ("Red", "Green", "Blue")},
        **{f"{colour}PaletteColorLookupTableData": bytes(4 << 20) for colour in ("Red", "Green")},
        SegmentedBluePaletteColorLookupTableData=bytes(4 << 20), ICCProfile=bytes(20 << 20),
    )  # fmt: skip
    follower = Part10Stream()
    follower.feed(part10(table))
    follower.finish()
    header = ImageHeader(top_level(follower.stream.header, EXPLICIT_LITTLE), EXPLICIT_LITTLE.uid)
    _, parts = plan_for(header, 1, Parameters(icc="yes"))
    assert [len(part) for part in parts] == [2 << 16, 2 << 16, 8 << 16]


@pytest.mark.parametrize(
    ("result", "data"),
    [
        ({"photometric": "X" * 70_000, "planar": 0, "lossy": False}, [b"\0" * 32]),
        ({"photometric": ["RGB"], "planar": 0, "lossy": False}, [b"\0" * 32]),
        ({"photometric": "MONOCHROME2", "planar": "a", "lossy": False}, [b"\0" * 32]),
        ({"photometric": "MONOCHROME2", "planar": 0, "lossy": False}, [b"\0" * 40]),
        ({"photometric": "MONOCHROME2", "planar": 0}, [b"\0" * 32, b""]),
        ({}, []),
    ],
)
def test_what_a_decoder_says_of_a_frame_is_not_believed(web: Web, monkeypatch, result, data) -> None:
    """One that was taken over could write the header of the file it is asked for, and shift what follows."""
    monkeypatch.setattr(web.services.decoders, "run", lambda *_, **__: (result, data))
    ds = dataset(StudyInstanceUID=generate_uid(), PixelData=encapsulate([b"\xff\xd8\xff\xd9"]))
    ds["PixelData"].VR = "OB"
    assert post(web, part10(ds, JPEG_LS)).status_code == 200
    instance = f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    answer = web.get(instance, 'application/dicom; transfer-syntax="1.2.840.10008.1.2.1"')
    assert answer.json()["code"] == "cannot-decode"
    if sum(map(len, data)) != 32 or len(data) != 1:
        assert web.get(f"{instance}/frames/1", OCTETS).json()["code"] == "cannot-decode"


def counts(web: Web) -> dict[str, dict[str, int]]:
    """What the trail counts of the one session of each action."""
    web.kit.platform.sessions.close()
    actions = ("dicomweb:study:read", "dicomweb:bulkdata:read", "dicomweb:rendered:read")
    entries = [entry for entry in web.kit.entries(*actions) if entry["phase"] == "finished"]
    return {entry["action"]: entry["counts"] for entry in entries}


def an_instance(web: Web, ds: pydicom.Dataset, syntax: str = "1.2.840.10008.1.2.1") -> str:
    assert post(web, part10(ds, syntax)).status_code == 200
    return f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def test_who_reads_in_parts_is_counted_as_who_reads_the_whole() -> None:
    with a_web() as web:
        path = an_instance(web, dataset(StudyInstanceUID=generate_uid(), NumberOfFrames=2, Rows=2))
        length = int(web.get(path, "application/dicom").headers["content-length"])
        for wanted in ("bytes=0-9,500-600", f"bytes=1-{length - 1}"):
            assert web.get(path, "application/dicom", range=wanted).status_code == 206
        for wanted in ("bytes=0-3", "bytes=4-31"):
            web.get(f"{path}/bulkdata/7FE00010", "application/octet-stream", range=wanted)
        found = counts(web)
    assert found["dicomweb:study:read"]["instances"] == 3
    assert found["dicomweb:bulkdata:read"]["frames"] == 1 + 2


def test_an_image_that_is_given_as_it_is_stored_in_the_end_is_counted_once() -> None:
    ds = dataset(StudyInstanceUID=generate_uid(), PixelData=encapsulate([b"\xff\xd8\xff\xd9"]))
    ds["PixelData"].VR = "OB"
    with a_web() as web:
        path = an_instance(web, ds, JPEG_LS)
        answer = web.get(path, "application/dicom")
        assert answer.status_code == 200 and JPEG_LS in answer.headers["content-type"]
        found = counts(web)
    assert found["dicomweb:study:read"]["instances"] == 1


def test_a_report_that_is_shown_is_an_instance_that_was_read() -> None:
    ds = dataset(StudyInstanceUID=generate_uid(), SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", PixelData=None)
    with a_web() as web:
        path = an_instance(web, ds)
        assert web.get(f"{path}/rendered", "text/html").status_code == 200
        found = counts(web)
    assert found["dicomweb:rendered:read"]["instances"] == 1


@pytest.mark.parametrize("resource", ["frames/1", ""])
def test_a_large_frame_takes_room_until_its_client_has_it(web: Web, monkeypatch, resource: str) -> None:
    held: list[int] = []
    monkeypatch.setattr(web.services.decoders, "room", Room(64 << 20, 0.01))
    monkeypatch.setattr("wardlight.decoding.turns._SMALL", 1 << 20)
    picture = np.zeros((2000, 1500), np.uint16)
    ds = dataset(StudyInstanceUID=generate_uid(), Rows=2000, Columns=1500, BitsStored=16, HighBit=15,
                 PixelData=encapsulate([bytes(imagecodecs.jpegls_encode(picture))]))  # fmt: skip
    ds["PixelData"].VR = "OB"
    path = an_instance(web, ds, JPEG_LS)
    real = responses._pull

    def pull(body):
        pulled = real(body)
        held.append(sum(web.services.decoders.room._held.values()))
        return pulled

    monkeypatch.setattr(responses, "_pull", pull)
    accept = OCTETS if resource else 'application/dicom; transfer-syntax="1.2.840.10008.1.2.1"'
    answer = web.get(f"{path}/{resource}".rstrip("/"), accept)
    assert answer.status_code == 200 and picture.tobytes() in answer.content
    assert held[1] == picture.nbytes and held[-1] == 0
