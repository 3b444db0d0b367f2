"""Data sets in explicit little endian: every real file, read back by pydicom; changes at their places."""

from __future__ import annotations

import io
import warnings

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filewriter import write_dataset

import real_files
from wardlight.dicom.elements import scan
from wardlight.dicom.errors import DicomError
from wardlight.dicom.explicit import swapped, to_explicit_little
from wardlight.dicom.part10 import read_meta
from wardlight.dicom.transfer_syntax import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    TransferSyntax,
    transfer_syntax,
)


def read(data: bytes) -> Dataset:
    return pydicom.filereader.read_dataset(io.BytesIO(data), is_implicit_VR=False, is_little_endian=True)


def plain(data_set: Dataset) -> dict[str, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            str(element.tag): str([plain(item) for item in element.value])
            if element.VR == "SQ"
            else repr(element.value)
            for element in data_set
            if element.tag.element and element.VR not in ("UN", "OW", "OB")
        }


def headers():
    for path in real_files.paths():
        data = path.read_bytes()
        try:
            meta = read_meta(data, lenient=True)
            syntax = transfer_syntax(meta.transfer_syntax)
            if not syntax.deflated:
                yield path, data[meta.end : meta.end + scan(data[meta.end :], syntax).end], syntax
        except DicomError:
            continue


def test_every_real_header_says_the_same():
    count = 0
    for path, header, syntax in headers():
        given_back = to_explicit_little(header, syntax)
        try:
            expected = plain(real_files.read(path))
        except Exception:  # pydicom cannot read it
            continue
        if not expected:
            continue
        found = plain(read(given_back))
        assert found == {tag: value for tag, value in expected.items() if tag in found}, path.name
        missing = set(expected) - set(found)
        assert all(tag.startswith(("(7fe0", "(fffc", "(fffa", "(0001")) for tag in missing), (
            path.name,
            missing,
        )
        # A second time nothing changes: it is explicit little endian now.
        assert to_explicit_little(given_back, EXPLICIT_LITTLE) == given_back
        count += 1
    assert count > 200


def encoded(data_set: Dataset, syntax: TransferSyntax) -> bytes:
    buffer = pydicom.filebase.DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = syntax.implicit, not syntax.big_endian
    write_dataset(buffer, data_set)
    return buffer.getvalue()


def a_data_set(representation: int) -> Dataset:
    item = Dataset()
    item.PixelPaddingValue = 5
    item.add_new(0x00409211, "US" if not representation else "SS", 7)
    data_set = Dataset()
    data_set.PatientID = "1"
    data_set.PixelRepresentation = representation
    data_set.add_new(0x00280106, "SS" if representation else "US", 3)
    data_set.RealWorldValueMappingSequence = [item, Dataset()]
    data_set.add_new(0x00091001, "UN", b"\0\1\2\3")
    data_set.add_new(0x00090010, "LO", "SOMEBODY")
    data_set.add_new(0x00189073, "FD", [1.5, -2.5])
    data_set.add_new(0x00280009, "AT", [0x00181063])
    return data_set


@pytest.mark.parametrize("syntax", [IMPLICIT_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE], ids=lambda row: row.name)
@pytest.mark.parametrize("representation", [0, 1])
def test_values_of_every_form(syntax, representation):
    data_set = a_data_set(representation)
    back = read(to_explicit_little(encoded(data_set, syntax), syntax))
    assert back.PixelRepresentation == representation
    assert ("SS" if representation else "US") == back[0x00280106].VR
    assert back.RealWorldValueMappingSequence[0][0x00409211].value == 7
    assert ("SS" if representation else "US") == back.RealWorldValueMappingSequence[0][0x00409211].VR
    assert len(back.RealWorldValueMappingSequence) == 2
    assert back[0x00091001].value == b"\0\1\2\3"
    assert back[0x00189073].value == [1.5, -2.5]
    assert back[0x00280009].value == 0x00181063


@pytest.mark.parametrize("syntax", [IMPLICIT_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE], ids=lambda row: row.name)
def test_changes_stand_at_their_places(syntax):
    changes = {
        0x00080005: (b"CS", b"ISO_IR 192"),  # before the first
        0x00100020: None,  # gone
        0x00280004: (b"CS", b"RGB"),  # between
        0x00280103: (b"US", b"\1\0"),  # in the place of another
        0x50000010: (b"US", b"\2\0"),  # after the last
        0x00300010: None,  # was never there
    }
    back = read(to_explicit_little(encoded(a_data_set(0), syntax), syntax, changes))
    tags = [int(element.tag) for element in back]
    assert tags == sorted(tags)
    assert 0x00100020 not in tags and 0x00300010 not in tags
    assert (back.SpecificCharacterSet, back.PhotometricInterpretation) == ("ISO_IR 192", "RGB")
    assert (back.PixelRepresentation, back[0x50000010].value) == (1, 2)


def test_group_lengths_go():
    header = b"\x08\0\0\0UL\4\0\xff\0\0\0" + b"\x08\0\x16\0UI\2\x001\0"
    assert to_explicit_little(header, EXPLICIT_LITTLE) == header[12:]


def test_a_value_too_long_for_its_vr_becomes_unknown():
    header = b"\x10\0\x10\0" + (70_000).to_bytes(4, "little") + b"A" * 70_000
    back = to_explicit_little(header, IMPLICIT_LITTLE)
    assert back[4:8] == b"UN\0\0" and back[12:] == b"A" * 70_000


def test_words_are_turned_round():
    assert swapped(b"\1\2\3\4\5", 2) == b"\2\1\4\3\5"
    assert swapped(b"\1\2\3\4", 4) == b"\4\3\2\1"
    assert swapped(b"\1\2\3\4", 1) == b"\1\2\3\4"


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), syntax=st.sampled_from([IMPLICIT_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE]))
def test_any_bytes_are_a_data_set_or_one_error(data, syntax):
    try:
        to_explicit_little(data, syntax, {0x00280004: (b"CS", b"RGB")})
    except DicomError:
        pass
