"""STOW-RS of metadata and bulk data, and of single parts: what is stored is the file a modality would have sent."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
from pathlib import Path
from typing import Any

import imagecodecs
import numpy
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames
from starlette.testclient import TestClient

from unit.web.fakes import Fakes, make, part10
from unit.web.test_app import WRITER, bearer, multipart
from wardlight.dicom.json import to_json
from wardlight.dicom.native_model import to_native
from wardlight.dicom.part10 import Part10Stream
from wardlight.ingest import metadata
from wardlight.web.app import create_app

JSON, XML, OCTETS = "application/dicom+json", "application/dicom+xml", "application/octet-stream"
CT = "1.2.840.10008.5.1.4.1.1.2"
JPEG_LS = "1.2.840.10008.1.2.4.80"


@pytest.fixture
def fakes() -> Fakes:
    return make()


@pytest.fixture
def client(fakes: Fakes) -> TestClient:
    return TestClient(create_app(fakes.services), raise_server_exceptions=False)


def model(number: int = 1, **more: Any) -> dict[str, Any]:
    """A small instance. more: attributes by tag, without the x."""
    found = {
        "00080016": {"vr": "UI", "Value": [CT]},
        "00080018": {"vr": "UI", "Value": [f"1.2.3.4.{number}"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Anna"}]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "0020000E": {"vr": "UI", "Value": ["1.2.3.4"]},
    }
    return found | {name.removeprefix("x"): value for name, value in more.items()}


def body(*parts: tuple[str, bytes, str]) -> bytes:
    """(Content-Type, bytes, Content-Location) each."""
    out = b""
    for number, (media, data, location) in enumerate(parts):
        headers = {"Content-Type": media, **({"Content-Location": location} if location else {})}
        out += WRITER.head(headers, first=number == 0) + data
    return out + WRITER.tail


def post(
    client: TestClient, *parts: tuple[str, bytes, str], root: str = JSON, path: str = "", **headers: str
):
    headers = bearer("admin", Content_Type=WRITER.content_type(root), **headers)
    return client.post(f"/dicom-web/studies{path}", content=body(*parts), headers=headers)


def of(*models: Any) -> tuple[str, bytes, str]:
    return JSON, json.dumps(list(models)).encode(), ""


def stored(fakes: Fakes) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(io.BytesIO(data)) for _, data in fakes.archive.instances_of.values()]


def reasons(answer, sequence: str = "00081198") -> list[int]:
    return [item["00081197"]["Value"][0] for item in answer.json()[sequence]["Value"]]


NATIVE = {
    "x00280002": {"vr": "US", "Value": [1]},
    "x00280010": {"vr": "US", "Value": [2]},
    "x00280011": {"vr": "US", "Value": [2]},
    "x00280100": {"vr": "US", "Value": [8]},
    "x7FE00010": {"vr": "OB", "BulkDataURI": "bulk/1"},
}


# --- what is stored ---


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_parts_in_any_order(fakes: Fakes, client: TestClient, order: tuple[int, ...]) -> None:
    document = {"vr": "OB", "BulkDataURI": "http://elsewhere/pdf"}
    parts = [
        of(model(**NATIVE, x00420011=document)),
        (OCTETS, b"\x01\x02\x03\x04", "bulk/1"),
        ("application/pdf", b"%PDF-", "http://elsewhere/pdf"),
    ]
    answer = post(client, *(parts[place] for place in order))
    assert answer.status_code == 200, answer.text
    (ds,) = stored(fakes)
    assert ds.PixelData == b"\x01\x02\x03\x04"
    assert ds.EncapsulatedDocument == b"%PDF-\0"
    assert str(ds.PatientName) == "Müller^Anna"
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert ds.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID == "1.2.3.4.1"
    reference = answer.json()["00081199"]["Value"][0]
    assert reference["00081155"]["Value"] == ["1.2.3.4.1"]
    assert reference["00081190"]["Value"][0].endswith("/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.1")


def test_several_data_sets_in_one_part_and_in_several(fakes: Fakes, client: TestClient) -> None:
    assert post(client, of(model(1), model(2)), of(model(3))).status_code == 200
    assert [ds.InstanceNumber if "InstanceNumber" in ds else ds.SOPInstanceUID[-1] for ds in stored(fakes)] == [
        "1", "2", "3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_bigendian.dcm", "test-SR.dcm", "liver.dcm", "rtplan.dcm"]
)
@pytest.mark.parametrize("xml", [False, True])
def test_real_files_by_way_of_metadata(fakes: Fakes, client: TestClient, name: str, xml: bool) -> None:
    path = Path(get_testdata_file(name))
    file = Part10Stream()
    file.feed(path.read_bytes())
    file.finish()
    assert file.stream is not None and file.stream.header is not None
    found = to_json(file.stream.header, file.stream.syntax)
    original = pydicom.dcmread(path)
    parts = []
    if "PixelData" in original:
        pixels = original.PixelData
        if file.stream.syntax.big_endian:
            pixels = numpy.frombuffer(pixels, ">u2").astype("<u2").tobytes()
        found["7FE00010"] = {"vr": original["PixelData"].VR, "BulkDataURI": "p"}
        parts = [(OCTETS, pixels, "p")]
    first = (XML, to_native(found), "") if xml else of(found)
    answer = post(client, first, *parts, root=XML if xml else JSON)
    assert answer.status_code == 200, answer.text
    (ds,) = stored(fakes)
    if "PixelData" in original:
        assert numpy.array_equal(ds.pixel_array, original.pixel_array)
    assert (ds.PatientName, ds.SOPInstanceUID) == (original.PatientName, original.SOPInstanceUID)
    assert len(ds) >= len(original) - 2


def test_a_single_body_of_each_kind(fakes: Fakes, client: TestClient) -> None:
    for media, data in (
        ("application/dicom", part10(1)),
        (JSON, json.dumps([model(2)]).encode()),
        (JSON, json.dumps(model(3)).encode()),
        (XML, to_native(model(4))),
    ):
        headers = bearer("admin", Content_Type=media)
        assert client.post("/dicom-web/studies", content=data, headers=headers).status_code == 200, media
    assert [ds.SOPInstanceUID for ds in stored(fakes)] == [f"1.2.3.4.{n}" for n in (1, 2, 3, 4)]


def test_files_and_metadata_in_one_request(fakes: Fakes, client: TestClient) -> None:
    answer = post(client, ("application/dicom", part10(1), ""), of(model(2)))
    assert answer.status_code == 200
    assert len(stored(fakes)) == 2


# --- pixel data that is compressed (PS3.18 Table 8.7.3-5) ---

GREY = numpy.arange(64 * 48, dtype=numpy.uint8).reshape(64, 48)
COLOUR = numpy.arange(64 * 48 * 3, dtype=numpy.uint8).reshape(64, 48, 3)


@pytest.mark.parametrize(
    ("media", "frame", "syntax"),
    [
        ("image/jpeg", imagecodecs.jpeg8_encode(GREY), "1.2.840.10008.1.2.4.50"),
        ("image/jls", imagecodecs.jpegls_encode(GREY), JPEG_LS),
        ("image/jp2", imagecodecs.jpeg2k_encode(GREY, codecformat="j2k", level=0), "1.2.840.10008.1.2.4.90"),
        ("image/jp2", imagecodecs.jpeg2k_encode(COLOUR, codecformat="jp2", level=0), "1.2.840.10008.1.2.4.90"),
        ("image/jphc", imagecodecs.htj2k_encode(GREY, reversible=True), "1.2.840.10008.1.2.4.201"),
        ("image/jp2; transfer-syntax=1.2.840.10008.1.2.4.91",
         imagecodecs.jpeg2k_encode(GREY, codecformat="j2k", level=0), "1.2.840.10008.1.2.4.91"),
        (f'{OCTETS}; transfer-syntax="{JPEG_LS}"', imagecodecs.jpegls_encode(GREY), JPEG_LS),
    ],
)  # fmt: skip
def test_the_codestream_describes_the_image(
    fakes: Fakes, client: TestClient, media: str, frame: bytes, syntax: str
) -> None:
    """The attributes of the Image Pixel Description Macro may be left out (PS3.18 10.5.1.4)."""
    answer = post(client, of(model(x7FE00010={"vr": "OB", "BulkDataURI": "f"})), (media, frame, "f"))
    assert answer.status_code == 200, answer.text
    (ds,) = stored(fakes)
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert (ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit) == (64, 48, 8, 8, 7)
    (fragment,) = generate_frames(ds.PixelData, number_of_frames=1)
    if "jp2" in media:
        assert fragment.startswith(b"\xff\x4f\xff\x51")
        decoded = imagecodecs.jpeg2k_decode(fragment)
        assert numpy.array_equal(decoded, COLOUR if ds.SamplesPerPixel == 3 else GREY)
    else:
        assert fragment.rstrip(b"\0") == frame.rstrip(b"\0")
    (row, _), = fakes.archive.instances_of.values()  # fmt: skip
    assert row.pixel.fragments[1][1] == len(fragment)


@pytest.mark.parametrize("by_frame", [True, False])
def test_frames_are_parts(fakes: Fakes, client: TestClient, by_frame: bool) -> None:
    frames = [imagecodecs.jpegls_encode(GREY + n) for n in range(3)]
    parts = [("image/jls", frame, f"b/frames/{n}" if by_frame else "b") for n, frame in enumerate(frames, 1)]
    attributes = {"x00280008": {"vr": "IS", "Value": [3]}, "x7FE00010": {"vr": "OB", "BulkDataURI": "b"}}
    if by_frame:
        parts.reverse()
    assert post(client, *parts, of(model(**attributes))).status_code == 200
    (ds,) = stored(fakes)
    found = list(generate_frames(ds.PixelData, number_of_frames=3))
    assert [imagecodecs.jpegls_decode(frame)[0, 0] for frame in found] == [0, 1, 2]
    offsets = numpy.frombuffer(ds.PixelData[8:20], "<u4")
    assert offsets[0] == 0 and offsets[1] == 8 + len(found[0])


def test_video_is_one_fragment(fakes: Fakes, client: TestClient) -> None:
    attributes = {"x00280008": {"vr": "IS", "Value": [100]}, "x7FE00010": {"vr": "OB", "BulkDataURI": "v"}}
    assert post(client, of(model(**attributes)), ("video/mp4", b"\0\0\0\x18ftypmp42", "v")).status_code == 200
    (ds,) = stored(fakes)
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.102"
    assert ds.PixelData == b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0\x0c\0\0\0\0\0\0\x18ftypmp42"


def test_native_frames_are_joined(fakes: Fakes, client: TestClient) -> None:
    attributes = NATIVE | {"x00280008": {"vr": "IS", "Value": [2]}}
    parts = [(OCTETS, bytes([n] * 4), f"bulk/1/frames/{n}") for n in (2, 1)]
    assert post(client, of(model(**attributes)), *parts).status_code == 200
    assert stored(fakes)[0].PixelData == bytes([1] * 4 + [2] * 4)


@pytest.mark.parametrize(
    ("media", "data", "reason"),
    [
        ("image/png", b"\x89PNG\r\n\x1a\n", 0xC122),
        ("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.80", b"\xff\xd8", 0xC122),
        ("image/jpeg", b"\x89PNG\r\n\x1a\n", 0xC000),
        ("image/jpeg", imagecodecs.jpegls_encode(GREY), 0xC000),
        ("image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90",
         imagecodecs.jpeg2k_encode(GREY, codecformat="j2k", reversible=False, level=30), 0xC000),
    ],
)  # fmt: skip
def test_pixel_data_that_is_not_taken(
    fakes: Fakes, client: TestClient, media: str, data: bytes, reason: int
) -> None:
    answer = post(client, of(model(x7FE00010={"vr": "OB", "BulkDataURI": "f"})), (media, data, "f"))
    assert answer.status_code == 409
    assert reasons(answer) == [reason]
    assert fakes.archive.instances_of == {}


def test_number_of_frames_must_fit(fakes: Fakes, client: TestClient) -> None:
    attributes = {"x00280008": {"vr": "IS", "Value": [2]}, "x7FE00010": {"vr": "OB", "BulkDataURI": "f"}}
    answer = post(client, of(model(**attributes)), ("image/jls", imagecodecs.jpegls_encode(GREY), "f"))
    assert (answer.status_code, reasons(answer)) == (409, [0xC000])


# --- failures and warnings (PS3.18 Annex I, Table 10.5.3-1) ---


def test_one_of_three_fails(fakes: Fakes, client: TestClient) -> None:
    wrong = model(2, x00280010={"vr": "US", "Value": ["Canary"]})
    answer = post(client, of(model(1), wrong, model(3)))
    assert answer.status_code == 202
    assert reasons(answer) == [0xC000]
    assert answer.json()["00081198"]["Value"][0]["00081155"]["Value"] == ["1.2.3.4.2"]
    assert "Canary" not in answer.text
    assert len(stored(fakes)) == 2


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/secret", "file:///etc/passwd", "bulk/2"])
def test_bulk_data_is_never_fetched(fakes: Fakes, client: TestClient, uri: str) -> None:
    answer = post(client, of(model(x7FE00010={"vr": "OW", "BulkDataURI": uri})))
    assert (answer.status_code, reasons(answer)) == (409, [0xC000])


def test_bulk_data_that_nobody_refers_to(fakes: Fakes, client: TestClient) -> None:
    answer = post(client, of(model()), (OCTETS, b"lost", "x"))
    assert answer.status_code == 202
    assert reasons(answer, "0008119A") == [0xC000]
    assert len(stored(fakes)) == 1


def test_another_study_than_the_resource(fakes: Fakes, client: TestClient) -> None:
    answer = post(client, of(model()), path="/1.2.4")
    assert (answer.status_code, reasons(answer)) == (409, [0xA900])


def test_without_identifiers(fakes: Fakes, client: TestClient) -> None:
    nameless = model()
    del nameless["00080018"]
    answer = post(client, of(nameless))
    assert (answer.status_code, reasons(answer, "0008119A")) == (409, [0xC000])


def test_discarded_elements_are_a_warning(fakes: Fakes, client: TestClient) -> None:
    answer = post(client, of(model(x00020010={"vr": "UI", "Value": ["1.2.840.10008.1.2"]})))
    assert answer.status_code == 202
    assert answer.json()["00081199"]["Value"][0]["00081196"]["Value"] == [0xB006]


def test_the_level_is_checked_as_for_files(fakes: Fakes, client: TestClient) -> None:
    headers = bearer("receiver", Content_Type=WRITER.content_type(JSON), Wardlight_Level="high")
    answer = client.post("/dicom-web/studies", content=body(of(model())), headers=headers)
    assert (answer.status_code, reasons(answer)) == (409, [0xC001])


def test_the_answer_in_xml(fakes: Fakes, client: TestClient) -> None:
    wrong = model(2, x00280010={"vr": "US", "Value": [-1]})
    answer = post(client, of(model(), wrong), Accept=XML)
    assert answer.status_code == 202
    assert answer.headers["content-type"] == XML
    root = etree.fromstring(answer.content)
    tags = [child.get("tag") for child in root]
    assert tags == ["00081190", "00081198", "00081199"]
    assert root.xpath("//*[@tag='00081197']/*[1]/text()") == [str(0xC000)]
    for accept, media in ((JSON, JSON), ("application/json", "application/json"), ("*/*", JSON)):
        answer = post(client, of(model()), Accept=accept)
        assert answer.headers["content-type"] == media


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[", b"nonsense", b"[NaN]", b"\xff\xfe", b'["\xe4"]', b"[" * 100_000,
        b'{"00100020":{"vr":"IS","Value":[' + b"9" * 5000 + b"]}}",
    ],
)  # fmt: skip
def test_what_is_no_json(fakes: Fakes, client: TestClient, data: bytes) -> None:
    answer = post(client, (JSON, data, ""), (OCTETS, b"1234", "p"))
    assert answer.status_code == 400
    assert fakes.archive.instances_of == {}


@pytest.mark.parametrize("data", [b"[]", b"[1]", b"null", b'[{"00100020": 5}]', b"[[]]"])
def test_what_is_no_data_set(fakes: Fakes, client: TestClient, data: bytes) -> None:
    assert post(client, (JSON, data, "")).status_code in (400, 409)
    assert fakes.archive.instances_of == {}


def test_xml_that_is_none(fakes: Fakes, client: TestClient) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel>&b;</NativeDicomModel>'
    assert post(client, (XML, bomb, ""), root=XML).status_code == 400


# --- limits (security.md section 8) ---


def test_metadata_has_a_size(fakes: Fakes, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps([model(x00100020={"vr": "LO", "Value": ["x" * metadata.PART_BYTES]})]).encode()
    assert post(client, (JSON, data, "")).status_code == 413
    data = b"[" + b"{}," * 1_000_000 + b"{}]"
    assert post(client, (JSON, data, "")).status_code == 413
    monkeypatch.setattr(metadata, "METADATA_BYTES", 600)
    assert post(client, of(model(1)), of(model(2)), of(model(3))).status_code == 413
    assert fakes.archive.instances_of == {}
    assert fakes.services.ingest._admission.held == 0


def test_bulk_data_has_a_size(fakes: Fakes, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wardlight.ingest.spool.Spool.__init__.__defaults__", (1000,))
    answer = post(client, (OCTETS, bytes(1001), "a"), of(model()))
    assert answer.status_code == 413


def test_spooled_bulk_data_is_never_in_the_clear(
    fakes: Fakes, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies on the disk while the request runs is encrypted, and has no name."""
    seen = []
    original = metadata.MetadataRequest.finish

    def finish(self: metadata.MetadataRequest) -> None:
        file = self._spool._file
        file.flush()
        seen.append(os.pread(file.fileno(), 8 << 20, 0))
        seen.append(os.readlink(f"/proc/self/fd/{file.fileno()}"))
        original(self)

    monkeypatch.setattr(metadata.MetadataRequest, "finish", finish)
    pixels = b"CANARY--" * (512 << 10)
    assert post(client, (OCTETS, pixels, "bulk/1"), of(model(**NATIVE))).status_code == 200
    assert len(seen[0]) > 3 << 20 and b"CANARY--" not in seen[0]
    assert "deleted" in seen[1]
    assert stored(fakes)[0].PixelData == pixels


def test_a_broken_request_leaves_nothing(fakes: Fakes, client: TestClient) -> None:
    whole = body(of(model(**NATIVE)), (OCTETS, b"1234", "bulk/1"))
    headers = bearer("admin", Content_Type=WRITER.content_type(JSON))
    for end in range(0, len(whole) - 4, 37):
        answer = client.post("/dicom-web/studies", content=whole[:end], headers=headers)
        assert answer.status_code == 400
    assert fakes.archive.instances_of == {}
    assert fakes.services.ingest._admission.held == 0


# --- what clients really send ---


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/related; type="application/dicom"; boundary=b0undary',
        "multipart/related; type=application/dicom; boundary=b0undary",
        'multipart/related;boundary="b0undary";type="application/dicom"',
        "Multipart/Related; Type=APPLICATION/DICOM; Boundary=b0undary;",
        "multipart/related; boundary=b0undary",
        'multipart/related; type="application/dicom"; start="<a>"; boundary=b0undary; transfer-syntax=*',
    ],
)
def test_spellings_of_the_content_type(fakes: Fakes, client: TestClient, content_type: str) -> None:
    headers = bearer("admin", Content_Type=content_type)
    answer = client.post("/dicom-web/studies", content=multipart(part10()), headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"},
        {"CONTENT-TYPE": "APPLICATION/DICOM", "Content-Length": "0", "MIME-Version": "1.0"},
        {"Content-Type": "application/dicom", "Content-Transfer-Encoding": "binary", "Content-ID": "<1>"},
    ],
)
def test_spellings_of_the_part(fakes: Fakes, client: TestClient, headers: dict[str, str]) -> None:
    data = b"preamble\r\n" + WRITER.head(headers, first=False)[2:] + part10() + WRITER.tail + b"epilogue"
    answer = client.post(
        "/dicom-web/studies",
        content=data,
        headers=bearer("admin", Content_Type=WRITER.content_type("application/dicom")),
    )
    assert answer.status_code == 200, answer.text


def test_encoded_parts_are_refused(fakes: Fakes, client: TestClient) -> None:
    for name, value in (("Content-Transfer-Encoding", "base64"), ("Content-Encoding", "gzip")):
        head = WRITER.head({"Content-Type": "application/dicom", name: value}, first=True)
        headers = bearer("admin", Content_Type=WRITER.content_type("application/dicom"))
        data = head + base64.b64encode(part10()) + WRITER.tail
        assert client.post("/dicom-web/studies", content=data, headers=headers).status_code == 409


# --- whatever is sent ---

PARTS = st.tuples(
    st.sampled_from(
        (JSON, XML, OCTETS, "image/jpeg", "image/jls", "video/mp4", "application/dicom", "text/plain", "x")
    ),
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from((of(model())[1], of(model(**NATIVE))[1], to_native(model()), part10())),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=4),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(("7FE00010", "00080018", "vr", "Value", "BulkDataURI")), inner
                )
            ),
            max_leaves=8,
        ).map(lambda value: json.dumps(value).encode()),
    ),
    st.sampled_from(("", "bulk/1", "bulk/1/frames/1", "other")),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PARTS, max_size=5), st.sampled_from((JSON, XML, "application/dicom")))
def test_every_answer_is_one_of_the_standard(
    client: TestClient, parts: list[tuple[str, bytes, str]], root: str
) -> None:
    assert post(client, *parts, root=root).status_code in (200, 202, 400, 409, 413)
