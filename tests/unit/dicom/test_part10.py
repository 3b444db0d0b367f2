"""Files: with, without and with broken meta information; whole and in chunks; written and read by others."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.filereader import read_file_meta_info

from unit.dicom.samples import BIG, EXPLICIT, IMPLICIT, Writer, deflate, real_files, small
from wardlight.dicom import part10
from wardlight.dicom.errors import DicomError, Truncated
from wardlight.dicom.part10 import FileMeta, Part10Stream, read_meta, write_meta
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

PREFIX = b"\0" * 128 + b"DICM"


def meta(syntax: str = EXPLICIT_LITTLE.uid, source_ae: str | None = None) -> bytes:
    return write_meta(
        "1.2.840.10008.5.1.4.1.1.7",
        "1.2.3.4",
        syntax,
        implementation_class_uid="1.2.3",
        implementation_version="WARDLIGHT",
        source_ae=source_ae,
    )


@pytest.mark.parametrize("source_ae", [None, "SCANNER"])
def test_what_is_written_is_read_by_us_and_by_pydicom(source_ae: str | None) -> None:
    written = meta(source_ae=source_ae)
    assert read_meta(written) == FileMeta(
        "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4", EXPLICIT_LITTLE.uid, len(written)
    )
    theirs = dcmread(BytesIO(written + small(EXPLICIT)))
    group = theirs.file_meta
    assert group.FileMetaInformationGroupLength == len(written) - 144
    assert group.FileMetaInformationVersion == b"\0\1"
    assert group.ImplementationVersionName == "WARDLIGHT"
    assert group.get("SourceApplicationEntityTitle") == source_ae
    assert theirs.SOPInstanceUID == "1.2.3.4"


@pytest.mark.parametrize("step", [1, 131, 1 << 20])
def test_stream(step: int) -> None:
    content = meta() + small(EXPLICIT)
    stream = Part10Stream(wanted=None)
    for start in range(0, len(content), step):
        stream.feed(content[start : start + step])
    stream.finish()
    assert stream.meta == read_meta(content)
    assert stream.dataset_offset == len(meta())
    assert stream.total == len(content)
    assert stream.stream is not None
    assert stream.stream.header == small(EXPLICIT, pixels=None)
    assert 0x00100010 in stream.stream.elements


def lenient(content: bytes, step: int = 1 << 20) -> Part10Stream:
    stream = Part10Stream(lenient=True)
    for start in range(0, len(content), step):
        stream.feed(content[start : start + step])
    stream.finish()
    return stream


@pytest.mark.parametrize("step", [1, 1 << 20])
@pytest.mark.parametrize(
    ("writer", "uid"),
    [(EXPLICIT, "1.2.840.10008.1.2.1"), (IMPLICIT, "1.2.840.10008.1.2"), (BIG, "1.2.840.10008.1.2.2")],
)
def test_without_preamble_and_meta(writer: Writer, uid: str, step: int) -> None:
    stream = lenient(small(writer), step)
    assert stream.meta == FileMeta("", "", uid, 0)
    assert stream.stream is not None
    assert stream.stream.header == small(writer, pixels=None)
    with pytest.raises(DicomError, match="not-dicom"):
        read_meta(small(writer))


def test_without_preamble() -> None:
    content = meta()[132:] + small(EXPLICIT)
    assert lenient(content).meta == FileMeta(
        "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4", EXPLICIT_LITTLE.uid, len(meta()) - 132
    )


@pytest.mark.parametrize("writer", [EXPLICIT, IMPLICIT, BIG])
def test_meta_without_transfer_syntax(writer: Writer) -> None:
    content = PREFIX + EXPLICIT.element(0x00020003, b"UI", b"1.2.3.4\0") + small(writer)
    stream = lenient(content)
    assert stream.meta is not None
    assert stream.meta.sop_instance == "1.2.3.4"
    assert stream.stream is not None
    assert stream.stream.header == small(writer, pixels=None)


def test_private_group_first_without_transfer_syntax() -> None:
    for writer, uid in ((EXPLICIT, "1.2.840.10008.1.2.1"), (IMPLICIT, "1.2.840.10008.1.2")):
        assert read_meta(PREFIX + writer.element(0x00011001, b"SH", b"ABCD")).transfer_syntax == uid


@pytest.mark.parametrize("stated", [0, 4, 1 << 30])
def test_wrong_group_length(stated: int) -> None:
    content = bytearray(meta() + small(EXPLICIT))
    content[140:144] = stated.to_bytes(4, "little")
    assert read_meta(bytes(content)).end == len(meta())


def test_deflated_data_that_looks_like_group_2() -> None:
    """A deflate stream may begin with the bytes of any tag; the group length tells where it begins."""
    content = meta("1.2.840.10008.1.2.1.99")
    assert read_meta(content + b"\x02\0\x10\0UI\x04\x001.2\0").end == len(content)
    stream = lenient(content + deflate(small(EXPLICIT)))
    assert stream.stream is not None
    assert stream.stream.header == small(EXPLICIT, pixels=None)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not-dicom"),
        (b"%PDF-1.7" * 40, "not-dicom"),
        (b"\0" * 400, "not-dicom"),
        (PREFIX, "not-dicom"),
        (PREFIX + b"\x02\0\x02", "truncated"),
        (PREFIX + EXPLICIT.element(0x00020003, b"UI", b"1.2.3.4\0")[:-1], "truncated"),
        (PREFIX + EXPLICIT.head(0x00020102, b"OB", 0xFFFFFFFF), "length"),
        (PREFIX + EXPLICIT.head(0x00020102, b"OB", 1 << 24), "length"),
        (PREFIX + EXPLICIT.element(0x00020102, b"OB", b"\0" * (1 << 19)) * 3, "header"),
    ],
)
def test_what_is_no_file(content: bytes, code: str) -> None:
    with pytest.raises(DicomError, match=code):
        lenient(content)
    with pytest.raises(DicomError):
        read_meta(content)


def test_more_input_is_asked_for() -> None:
    for cut in (10, 131, 140, 180):
        with pytest.raises(Truncated):
            read_meta(meta()[:cut], complete=False)


def test_real_files_against_pydicom() -> None:
    for path in real_files():
        content = path.read_bytes()
        if content[128:132] != b"DICM":
            continue
        ours, theirs = read_meta(content), read_file_meta_info(path)
        assert ours.sop_instance == theirs.get("MediaStorageSOPInstanceUID", ""), path.name
        assert ours.sop_class == theirs.get("MediaStorageSOPClassUID", ""), path.name
        assert ours.transfer_syntax == theirs.get("TransferSyntaxUID", "1.2.840.10008.1.2"), path.name


@pytest.mark.parametrize("name", ["ExplVR_BigEndNoMeta.dcm", "ExplVR_LitEndNoMeta.dcm", "rtstruct.dcm"])
def test_real_files_without_meta(name: str) -> None:
    path = get_testdata_file(name)
    assert path is not None
    stream = lenient(Path(path).read_bytes())
    assert stream.stream is not None
    dataset = dcmread(path, force=True)
    assert stream.stream.header
    assert str(dataset.SOPInstanceUID).encode() in stream.stream.header


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_meta_information_is_the_same_at_once_and_element_by_element(data: st.DataObject) -> None:
    """A length that is right settles the group; whatever else it says, the elements tell."""
    group = meta(data.draw(st.sampled_from([EXPLICIT_LITTLE.uid, EXPLICIT_LITTLE.uid + ".99"])))[132:]
    made = bytearray(group + b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" + b"\x02\x00\x10\x00")
    for _ in range(data.draw(st.integers(0, 3))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    for content in (bytes(made), bytes(made[: data.draw(st.integers(0, len(made)))])):
        at_once = _outcome(content)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(part10, "_settled", lambda _data, _start: None)
            assert _outcome(content) == at_once


def _outcome(content: bytes) -> object:
    try:
        return part10._read_group(content, 0, False)
    except DicomError as error:
        return error.code
