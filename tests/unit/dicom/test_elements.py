"""Scan and walk: every encoding and nesting the standard has, what is forgiven, and one typed error for the rest."""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from unit.dicom.samples import BIG, EXPLICIT, IMPLICIT, Writer, real_headers, small
from wardlight.dicom import elements
from wardlight.dicom.elements import Element, scan, text, walk
from wardlight.dicom.errors import DicomError, Truncated
from wardlight.dicom.limits import LIMITS, Limits
from wardlight.dicom.transfer_syntax import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    TransferSyntax,
    transfer_syntax,
)

ENCODINGS = pytest.mark.parametrize(
    ("writer", "syntax"),
    [(EXPLICIT, EXPLICIT_LITTLE), (IMPLICIT, IMPLICIT_LITTLE), (BIG, EXPLICIT_BIG)],
    ids=["explicit", "implicit", "big"],
)
CODE = 0x00080100


def outline(
    data: bytes, syntax: TransferSyntax, limits: Limits = LIMITS
) -> list[tuple[tuple[int, ...], int]]:
    return [(path, element.tag) for path, element in walk(data, syntax, limits=limits)]


def failure(
    data: bytes, syntax: TransferSyntax = EXPLICIT_LITTLE, limits: Limits = LIMITS
) -> tuple[str, int]:
    """The error that scan and walk end in; both must end, and agree."""
    with pytest.raises(DicomError) as scanned:
        scan(data, syntax, limits=limits)
    with pytest.raises(DicomError) as walked:
        list(walk(data, syntax, limits=limits))
    assert walked.value.code == scanned.value.code
    return scanned.value.code, scanned.value.offset


@ENCODINGS
def test_scan_finds_the_top_level_and_stops_at_pixel_data(writer: Writer, syntax: TransferSyntax) -> None:
    data = small(writer)
    found = scan(data, syntax)
    assert list(found.elements) == [
        *(0x00080005, 0x00080016, 0x00080018, 0x00081032, 0x00081140, 0x00100010, 0x00290010, 0x00291001)
    ]
    assert text(data, found.elements[0x00080018]) == "1.2.3.4"
    assert found.pixel is not None
    assert found.pixel == Element(0x7FE00010, b"OW", found.end, len(data) - 4, 4, len(data))
    assert found.end == found.elements[0x00291001].end
    for tag, element in found.elements.items():
        only = scan(data, syntax, wanted={tag})
        assert only.elements == {tag: element}


@ENCODINGS
def test_scan_takes_any_buffer_and_start(writer: Writer, syntax: TransferSyntax) -> None:
    data = small(writer)
    shifted = scan(memoryview(b"12345" + data), syntax, 5)
    assert shifted.elements[0x00100010].start == scan(bytearray(data), syntax).elements[0x00100010].start + 5


@ENCODINGS
def test_pixel_value_may_be_beyond_the_buffer(writer: Writer, syntax: TransferSyntax) -> None:
    header = small(writer, pixels=None)
    whole = header + writer.head(0x7FE00010, b"OW", 1 << 30)
    found = scan(whole, syntax)
    assert found.pixel is not None
    assert (found.end, found.pixel.length) == (len(header), 1 << 30)
    undefined = scan(header + writer.head(0x7FE00010, b"OB", 0xFFFFFFFF), syntax).pixel
    assert undefined is not None
    assert (undefined.length, undefined.end) == (-1, -1)


@pytest.mark.parametrize(("tag", "vr"), [(0x7FE00008, b"OF"), (0x7FE00009, b"OD")])
def test_float_pixel_data_ends_the_header_and_offset_tables_do_not(tag: int, vr: bytes) -> None:
    table = EXPLICIT.element(0x7FE00001, b"OV", b"\0" * 8)
    found = scan(table + EXPLICIT.element(tag, vr, b"\0" * 8), EXPLICIT_LITTLE)
    assert set(found.elements) == {0x7FE00001}
    assert found.pixel is not None
    assert found.pixel.tag == tag


@ENCODINGS
def test_walk_gives_every_depth_with_its_path(writer: Writer, syntax: TransferSyntax) -> None:
    assert outline(small(writer, pixels=None), syntax) == [
        ((), 0x00080005),
        ((), 0x00080016),
        ((), 0x00080018),
        ((), 0x00081032),
        ((0x00081032, 0), 0x00080100),
        ((0x00081032, 0), 0x00080104),
        ((0x00081032, 1), 0x00080100),
        ((0x00081032, 1), 0x00080104),
        ((), 0x00081140),
        ((0x00081140, 0), 0x00081032),
        ((0x00081140, 0, 0x00081032, 0), 0x00080100),
        ((0x00081140, 0, 0x00081032, 0), 0x00080104),
        ((), 0x00100010),
        ((), 0x00290010),
        ((), 0x00291001),
        ((0x00291001, 0), 0x00080100),
        ((0x00291001, 0), 0x00080104),
    ]


def test_pixel_data_with_a_short_vr_is_no_part_of_a_header() -> None:
    with pytest.raises(DicomError, match="bad-vr at 10"):
        scan(
            EXPLICIT.element(CODE, b"SH", b"AB") + EXPLICIT.element(0x7FE00010, b"US", b"AB"), EXPLICIT_LITTLE
        )


def test_elements_out_of_order_and_twice() -> None:
    data = b"".join(
        EXPLICIT.element(tag, b"SH", value)
        for tag, value in ((0x00100040, b"1 "), (0x00080050, b"2 "), (0x00080050, b"3 "))
    )
    found = scan(data, EXPLICIT_LITTLE)
    assert list(found.elements) == [0x00100040, 0x00080050]
    assert text(data, found.elements[0x00080050]) == "3"
    assert [tag for _, tag in outline(data, EXPLICIT_LITTLE)] == [0x00100040, 0x00080050, 0x00080050]


@pytest.mark.parametrize("writer", [EXPLICIT, BIG], ids=["little", "big"])
@pytest.mark.parametrize("inner", [IMPLICIT, EXPLICIT], ids=["implicit", "explicit"])
@pytest.mark.parametrize("undefined", [True, False], ids=["undefined", "defined"])
def test_sequences_inside_un(writer: Writer, inner: Writer, undefined: bool) -> None:
    """PS3.5 6.2.2: in implicit little endian; writers that kept their VRs are understood too."""
    item = inner.item(inner.element(CODE, b"SH", b"T-1 "))
    content = item + inner.head(0xFFFEE0DD, b"", 0) if undefined else item
    length = 0xFFFFFFFF if undefined else len(content)
    after = writer.element(0x00300010, b"LO", b"ab")
    data = writer.head(0x00291001, b"UN", length) + content + after
    syntax = EXPLICIT_BIG if writer is BIG else EXPLICIT_LITTLE
    assert outline(data, syntax) == [((), 0x00291001), ((0x00291001, 0), CODE), ((), 0x00300010)]
    assert list(scan(data, syntax).elements) == [0x00291001, 0x00300010]


def test_big_endian_sequence_inside_un_in_big_endian() -> None:
    data = BIG.sequence(0x00291001, BIG.item(BIG.element(CODE, b"SH", b"T-1 ")), vr=b"UN", undefined=True)
    assert outline(data, EXPLICIT_BIG) == [((), 0x00291001), ((0x00291001, 0), CODE)]


def test_un_that_only_looks_like_a_sequence_is_opaque() -> None:
    value = IMPLICIT.head(0xFFFEE000, b"", 400) + b"no sequence at all"
    assert outline(EXPLICIT.element(0x00291001, b"UN", value), EXPLICIT_LITTLE) == [((), 0x00291001)]


def test_unknown_private_sequence_in_implicit() -> None:
    item = IMPLICIT.item(IMPLICIT.element(CODE, b"SH", b"T-1 "))
    for undefined in (True, False):
        data = IMPLICIT.sequence(0x00291001, item, undefined=undefined)
        assert outline(data, IMPLICIT_LITTLE) == [((), 0x00291001), ((0x00291001, 0), CODE)]
    [(_, element), _] = walk(IMPLICIT.sequence(0x00291001, item, undefined=True), IMPLICIT_LITTLE)
    assert element.vr == b"SQ"


def test_fragments_in_an_item_are_not_walked() -> None:
    icon = EXPLICIT.fragments(0x7FE00010, b"", b"\xff\xd8\xfe\xff\x00\xe0")
    data = EXPLICIT.sequence(0x00880200, EXPLICIT.item(icon, undefined=True), undefined=True)
    assert outline(data, EXPLICIT_LITTLE) == [((), 0x00880200), ((0x00880200, 0), 0x7FE00010)]
    assert list(scan(data, EXPLICIT_LITTLE).elements) == [0x00880200]


def test_empty_sequences_items_and_data_sets() -> None:
    data = EXPLICIT.sequence(0x00081140, undefined=True) + EXPLICIT.sequence(0x00081140)
    data += EXPLICIT.sequence(0x00081140, EXPLICIT.item(b"", undefined=True), EXPLICIT.item(b""))
    assert outline(data, EXPLICIT_LITTLE) == [((), 0x00081140)] * 3
    assert scan(b"", EXPLICIT_LITTLE) == ({}, None, 0)
    assert outline(b"", IMPLICIT_LITTLE) == []


def test_superfluous_delimiters_in_containers_of_defined_length() -> None:
    item_end, sequence_end = EXPLICIT.head(0xFFFEE00D, b"", 0), EXPLICIT.head(0xFFFEE0DD, b"", 0)
    item = EXPLICIT.item(EXPLICIT.element(CODE, b"SH", b"T-1 ") + item_end)
    data = EXPLICIT.element(0x00081140, b"SQ", item + sequence_end)
    assert outline(data, EXPLICIT_LITTLE) == [((), 0x00081140), ((0x00081140, 0), CODE)]


def test_odd_lengths() -> None:
    data = EXPLICIT.element(0x00100020, b"LO", b"ABC") + EXPLICIT.element(0x00100040, b"CS", b"M")
    found = scan(data, EXPLICIT_LITTLE)
    assert [text(data, found.elements[tag]) for tag in (0x00100020, 0x00100040)] == ["ABC", "M"]


def test_implicit_element_in_an_explicit_data_set() -> None:
    data = EXPLICIT.element(0x00080050, b"SH", b"1 ") + IMPLICIT.element(0x00100020, b"LO", b"ABCD")
    assert scan(data, EXPLICIT_LITTLE).elements[0x00100020].vr == b"LO"
    nested = EXPLICIT.sequence(0x00081140, EXPLICIT.item(IMPLICIT.element(CODE, b"SH", b"T-1 ")))
    assert outline(nested, EXPLICIT_LITTLE) == [((), 0x00081140), ((0x00081140, 0), CODE)]


def test_explicit_data_set_announced_as_implicit() -> None:
    assert scan(small(EXPLICIT), IMPLICIT_LITTLE) == scan(small(EXPLICIT), EXPLICIT_LITTLE)


def test_vr_that_the_standard_does_not_know() -> None:
    long = pack("<HH2sHI", 0x0009, 0x1001, b"ZZ", 0, 4) + b"1234"
    short = pack("<HH2sH", 0x0009, 0x1002, b"ZZ", 4) + b"1234"
    found = scan(long + short, EXPLICIT_LITTLE)
    assert [(e.vr, e.length) for e in found.elements.values()] == [(b"UN", 4), (b"UN", 4)]


MALFORMED = {
    "header cut": (EXPLICIT.element(0x00080050, b"SH", b"ABCD") + b"\x10\x00\x10", "truncated", 12),
    "long header cut": (EXPLICIT.element(0x00291001, b"OB", b"")[:-1], "truncated", 0),
    "value cut": (EXPLICIT.element(0x00080050, b"SH", b"ABCD")[:-1], "truncated", 0),
    "value longer than the limit": (EXPLICIT.head(0x00291001, b"OB", (64 << 20) + 1), "length", 0),
    "undefined length of text": (EXPLICIT.head(0x00080050, b"UT", 0xFFFFFFFF) + b"\0" * 8, "length", 0),
    "item at the top level": (EXPLICIT.item(b""), "bad-item", 0),
    "delimiter at the top level": (EXPLICIT.head(0xFFFEE00D, b"", 0), "bad-item", 0),
    "sequence without its end": (EXPLICIT.sequence(0x00081140, undefined=True)[:-8], "truncated", 0),
    "item without its end": (
        EXPLICIT.head(0x00081140, b"SQ", 0xFFFFFFFF) + EXPLICIT.item(b"", undefined=True)[:-8],
        "truncated",
        0,
    ),
    "element for an item": (
        EXPLICIT.sequence(0x00081140, EXPLICIT.element(CODE, b"SH", b"T-1 "), undefined=True),
        "bad-item",
        12,
    ),
    "item for an element": (
        EXPLICIT.sequence(0x00081140, EXPLICIT.item(EXPLICIT.item(b""), undefined=True), undefined=True),
        "bad-item",
        20,
    ),
    "item in fragments of undefined length": (
        EXPLICIT.sequence(0x00291001, EXPLICIT.item(b"", undefined=True), vr=b"OB", undefined=True),
        "bad-item",
        20,
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    data, code, offset = MALFORMED[name]
    limits = LIMITS if "limit" not in name else Limits(value=1 << 20)
    if "longer" in name:
        with pytest.raises(DicomError) as caught:
            scan(data, EXPLICIT_LITTLE, limits=limits)
        assert (caught.value.code, caught.value.offset) == (code, offset)
    else:
        assert failure(data) == (code, offset)


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_inside_a_sequence_of_undefined_length(name: str) -> None:
    """The same damage one level down still ends in one error."""
    data, *_ = MALFORMED[name]
    nested = EXPLICIT.sequence(0x00081140, EXPLICIT.item(data, undefined=True), undefined=True)
    with pytest.raises(DicomError):
        list(walk(nested, EXPLICIT_LITTLE))


def test_element_beyond_its_item() -> None:
    element = EXPLICIT.element(CODE, b"SH", b"ABCD")
    item = EXPLICIT.head(0xFFFEE000, b"", len(element) - 2) + element
    data = EXPLICIT.element(0x00081140, b"SQ", item) + EXPLICIT.element(0x00100020, b"LO", b"AB")
    with pytest.raises(DicomError) as caught:
        list(walk(data, EXPLICIT_LITTLE))
    assert (caught.value.code, caught.value.offset) == ("length", 20)


def nested(depth: int, *, undefined: bool) -> bytes:
    data = b""
    for _ in range(depth):
        data = EXPLICIT.sequence(0x00081140, EXPLICIT.item(data, undefined=undefined), undefined=undefined)
    return data


@pytest.mark.parametrize("undefined", [True, False])
def test_depth(undefined: bool) -> None:
    assert len(outline(nested(32, undefined=undefined), EXPLICIT_LITTLE)) == 32
    with pytest.raises(DicomError, match="depth"):
        list(walk(nested(33, undefined=undefined), EXPLICIT_LITTLE))


def test_depth_is_refused_by_scan_without_recursion() -> None:
    assert failure(nested(33, undefined=True))[0] == "depth"
    opened = EXPLICIT.head(0x00081140, b"SQ", 0xFFFFFFFF) + EXPLICIT.head(0xFFFEE000, b"", 0xFFFFFFFF)
    assert failure(opened * 100_000)[0] == "depth"


def test_nested_un_takes_time_in_proportion_to_its_bytes() -> None:
    """Each level of UN is tried as a sequence; the trials must not multiply."""
    data = b""
    for _ in range(32):
        data = EXPLICIT.element(0x00291001, b"UN", EXPLICIT.item(data))
    assert len(outline(data, EXPLICIT_LITTLE)) == 32
    too_deep = EXPLICIT.element(0x00291001, b"UN", EXPLICIT.item(data))
    with pytest.raises(DicomError, match="depth"):
        list(walk(too_deep, EXPLICIT_LITTLE))


def test_nested_undefined_lengths_are_skipped_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    skip = elements.skip_undefined

    def counted(*arguments: Any) -> int:
        calls.append(arguments)
        return skip(*arguments)

    monkeypatch.setattr(elements, "skip_undefined", counted)
    assert len(outline(nested(32, undefined=True), EXPLICIT_LITTLE)) == 32
    assert len(calls) == 1


def test_counts() -> None:
    limits = Limits(elements=10, items=5)
    element = EXPLICIT.element(CODE, b"SH", b"AB")
    assert len(scan(element * 10, EXPLICIT_LITTLE, limits=limits).elements) == 1
    assert failure(element * 11, limits=limits) == ("count", 100)
    assert failure(IMPLICIT.element(CODE, b"SH", b"AB") * 11, IMPLICIT_LITTLE, limits=limits)[0] == "count"
    items = EXPLICIT.item(b"") * 6
    assert failure(EXPLICIT.sequence(0x00081140, items, undefined=True), limits=limits)[0] == "items"
    with pytest.raises(DicomError, match="items"):
        list(walk(EXPLICIT.sequence(0x00081140, items), EXPLICIT_LITTLE, limits=limits))
    with pytest.raises(DicomError, match="items"):
        list(walk(EXPLICIT.sequence(0x00081140, EXPLICIT.item(b"") * 4) * 3, EXPLICIT_LITTLE, limits=limits))
    inside = EXPLICIT.sequence(0x00081140, EXPLICIT.item(element * 11, undefined=True), undefined=True)
    assert failure(inside, limits=limits)[0] == "count"


def test_truncated_tells_where_to_resume_and_what_it_needs() -> None:
    first, second = EXPLICIT.element(0x00080050, b"SH", b"ABCD"), EXPLICIT.element(0x00100020, b"LO", b"AB")
    with pytest.raises(Truncated) as caught:
        scan((first + second)[:-1], EXPLICIT_LITTLE)
    assert (caught.value.offset, caught.value.need, caught.value.seen) == (12, 22, 1)
    assert str(caught.value) == "truncated at 12"


def test_start_beyond_the_buffer() -> None:
    with pytest.raises(Truncated):
        scan(b"", EXPLICIT_LITTLE, 1)


def structure(dataset: Dataset, path: tuple[int, ...] = ()) -> list[tuple[tuple[int, ...], int]]:
    found = []
    for tag in dataset.keys():  # noqa: SIM118 - a Dataset is iterated by element
        found.append((path, int(tag)))
        element = dataset[tag]
        if element.VR == "SQ":
            for index, item in enumerate(element.value):
                found += structure(item, (*path, int(tag), index))
    return found


def test_real_files_have_the_structure_that_pydicom_sees() -> None:
    """Except one file whose UID is there twice, one private UN value that is a sequence, and a broken directory."""
    checked = 0
    for name, content, uid in real_headers():
        syntax = transfer_syntax(uid)
        if syntax.deflated or name in (
            "winter.dcm",
            "priv_SQ.dcm",
            "DICOMDIR-nooffset",
            "rtplan_truncated.dcm",
        ):
            continue
        dataset = dcmread(_buffer(content), force=True, stop_before_pixels=True)
        start = _data_set(content)
        end = scan(content, syntax, start).end
        ours = [(path, element.tag) for path, element in walk(content, syntax, start, end)]
        assert ours == structure(dataset), name
        checked += 1
    assert checked > 200


def _buffer(content: bytes):  # type: ignore[no-untyped-def]
    from io import BytesIO

    return BytesIO(content)


def _data_set(content: bytes) -> int:
    from wardlight.dicom.part10 import read_meta

    return read_meta(content).end
