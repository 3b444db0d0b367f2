"""DICOM JSON, attribute by attribute: each rule of PS3.18 Annex F, and what real and hostile objects do to it."""

from __future__ import annotations

import json
import math
from base64 import b64decode
from struct import pack
from typing import Any

import pytest

from unit.dicom.samples import BIG, EXPLICIT, IMPLICIT, Writer, small
from wardlight.dicom import json as dicom_json
from wardlight.dicom.elements import scan
from wardlight.dicom.errors import DicomError
from wardlight.dicom.json import JSON_TAGS, attributes, references, to_json
from wardlight.dicom.transfer_syntax import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    TransferSyntax,
)

UTF8 = EXPLICIT.element(0x00080005, b"CS", b"ISO_IR 192")


def one(vr: bytes, value: bytes, tag: int = 0x00091001, before: bytes = UTF8) -> dict[str, Any]:
    """The attribute object of one element; what goes out is valid JSON in UTF-8."""
    model = to_json(before + EXPLICIT.element(tag, vr, value), EXPLICIT_LITTLE)
    json.dumps(model, allow_nan=False, ensure_ascii=False).encode("utf-8")
    attribute: dict[str, Any] = model[f"{tag:08X}"]
    return attribute


@pytest.mark.parametrize(
    ("vr", "value", "values"),
    [
        (b"AE", b" SCANNER ", ["SCANNER"]),
        (b"AS", b"042Y", ["042Y"]),
        (b"AT", pack("<4H", 0x10, 0x20, 0x7FE0, 0x10), ["00100020", "7FE00010"]),
        (b"CS", b"ORIGINAL\\ PRIMARY \\AXIAL ", ["ORIGINAL", "PRIMARY", "AXIAL"]),
        (b"DA", b"20240101", ["20240101"]),
        (b"DS", b"1.5\\-2e3\\ 4 \\", [1.5, -2000.0, 4.0, None]),
        (b"FD", pack("<d", 0.1), [0.1]),
        (b"FL", pack("<2f", 0.5, -2.0), [0.5, -2.0]),
        (b"IS", b"+1\\-2 \\3.0", [1, -2, 3]),
        (b"LO", b" a\\\\b ", [" a", None, "b"]),
        (b"LT", "  Größe\\x\r\n ".encode(), ["  Größe\\x\r\n"]),
        (b"SL", pack("<2i", -1, 2), [-1, 2]),
        (b"SS", pack("<h", -1), [-1]),
        (b"SV", pack("<q", -(1 << 60)), [-(1 << 60)]),
        (b"UI", b"1.2.3\0", ["1.2.3"]),
        (b"UL", pack("<I", 1 << 31), [1 << 31]),
        (b"UR", b"https://a/b\\c ", ["https://a/b\\c"]),
        (b"US", pack("<3H", 1, 2, 65535), [1, 2, 65535]),
        (b"UT", b"text ", ["text"]),
        (b"UV", pack("<Q", 1 << 63), [1 << 63]),
    ],
)
def test_values(vr: bytes, value: bytes, values: list[object]) -> None:
    assert one(vr, value) == {"vr": vr.decode(), "Value": values}


@pytest.mark.parametrize("vr", [b"CS", b"DS", b"IS", b"LO", b"PN", b"US", b"FD", b"OB", b"SQ", b"UN", b"LT"])
def test_empty_attributes_have_no_value(vr: bytes) -> None:
    assert one(vr, b"") == {"vr": vr.decode()}


@pytest.mark.parametrize(
    ("vr", "value"),
    [(b"LO", b"  "), (b"UI", b"\0\0"), (b"PN", b"\\ "), (b"DS", b" "), (b"LT", b" "), (b"PN", b"==")],
)
def test_only_padding_is_empty(vr: bytes, value: bytes) -> None:
    assert one(vr, value) == {"vr": vr.decode()}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("Müller^Hans", [{"Alphabetic": "Müller^Hans"}]),
        ("T^A=山^太=や^た ", [{"Alphabetic": "T^A", "Ideographic": "山^太", "Phonetic": "や^た"}]),
        ("=山田^太郎", [{"Ideographic": "山田^太郎"}]),
        ("Wang^XiaoDong=王^小東=", [{"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小東"}]),
        ("A^B\\\\C^D", [{"Alphabetic": "A^B"}, None, {"Alphabetic": "C^D"}]),
        ("A=B=C=D", [{"Alphabetic": "A", "Ideographic": "B", "Phonetic": "C=D"}]),
    ],
)  # fmt: skip
def test_person_names(value: str, names: list[object]) -> None:
    assert one(b"PN", value.encode())["Value"] == names


@pytest.mark.parametrize(
    "value", [b"nan", b"inf", b"1e999", b"1_0", b"0x1", b"1,5", b"--1", b"1A", b"9" * 30]
)
def test_what_is_no_number_stays_a_string(value: bytes) -> None:
    text = value.decode()
    assert one(b"IS", value)["Value"] == [text]
    assert one(b"DS", value)["Value"] == [1e30 if value == b"9" * 30 else text]


def test_numbers_that_json_does_not_have() -> None:
    assert one(b"FD", pack("<3d", math.nan, math.inf, 1.0))["Value"] == [None, None, 1.0]


def test_a_number_cut_short_is_dropped() -> None:
    assert one(b"US", b"\1\0\2")["Value"] == [1]
    assert one(b"FD", b"\1\0\2") == {"vr": "FD"}


@pytest.mark.parametrize("vr", [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"])
def test_binary_values(vr: bytes) -> None:
    assert b64decode(one(vr, b"12345678")["InlineBinary"]) == b"12345678"


def test_binary_and_numbers_in_big_endian_come_out_in_little() -> None:
    data = b"".join(
        (
            BIG.element(0x00091001, b"OW", b"\0\1\0\2"),
            BIG.element(0x00091002, b"OF", b"\0\1\2\3"),
            BIG.element(0x00091003, b"OB", b"\0\1"),
            BIG.element(0x00091004, b"US", b"\0\1"),
            BIG.element(0x00091005, b"AT", b"\0\x10\0\x20"),
            BIG.element(0x00091006, b"UN", b"\0\1"),
            BIG.element(0x00280010, b"UN", b"\1\0"),
        )
    )
    model = to_json(data, EXPLICIT_BIG)
    assert b64decode(model["00091001"]["InlineBinary"]) == b"\1\0\2\0"
    assert b64decode(model["00091002"]["InlineBinary"]) == b"\3\2\1\0"
    assert b64decode(model["00091003"]["InlineBinary"]) == b"\0\1"
    assert model["00091004"]["Value"] == [1]
    assert model["00091005"]["Value"] == ["00100020"]
    assert b64decode(model["00091006"]["InlineBinary"]) == b"\0\1"
    assert model["00280010"] == {"vr": "US", "Value": [1]}


@pytest.mark.parametrize(
    ("writer", "syntax"),
    [(EXPLICIT, EXPLICIT_LITTLE), (IMPLICIT, IMPLICIT_LITTLE), (BIG, EXPLICIT_BIG)],
)
def test_a_whole_data_set(writer: Writer, syntax: TransferSyntax) -> None:
    code = {"00080100": {"vr": "SH", "Value": ["T-1"]}, "00080104": {"vr": "LO", "Value": ["Chest"]}}
    model = to_json(small(writer), syntax, bulk_uri=lambda *where: f"bulk/{where[1]:08X}")
    private = model.pop("00291001")
    assert private["Value"] == [code]
    assert model == {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]},
        "00080018": {"vr": "UI", "Value": ["1.2.3.4"]},
        "00081032": {"vr": "SQ", "Value": [code, code]},
        "00081140": {"vr": "SQ", "Value": [{"00081032": {"vr": "SQ", "Value": [code]}}]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Hans"}]},
        "00290010": {"vr": "LO", "Value": ["ACME"]},
        "7FE00010": {"vr": "OW", "BulkDataURI": "bulk/7FE00010"},
    }
    assert "7FE00010" not in to_json(small(writer), syntax)


def test_order_group_lengths_and_duplicates() -> None:
    data = b"".join(
        EXPLICIT.element(tag, vr, value)
        for tag, vr, value in (
            (0x00100000, b"UL", b"\0\0\0\0"),
            (0x00100020, b"LO", b"X1"),
            (0x00080050, b"SH", b"1 "),
            (0x00080050, b"SH", b"2 "),
        )
    )
    model = to_json(data, EXPLICIT_LITTLE)
    assert list(model) == ["00080050", "00100020"]
    assert model["00080050"]["Value"] == ["2"]


def test_character_sets_are_inherited_by_items_and_may_come_late() -> None:
    name = EXPLICIT.element(0x00100010, b"PN", b"\xdc^\xfc")
    russian = EXPLICIT.element(0x00080005, b"CS", b"ISO_IR 144")
    latin = EXPLICIT.element(0x00080005, b"CS", b"ISO_IR 100")
    items = EXPLICIT.item(name) + EXPLICIT.item(latin + name) + EXPLICIT.item(name + latin)
    for data in (
        russian + name + EXPLICIT.sequence(0x00081140, items),
        name + EXPLICIT.sequence(0x00081140, items) + russian,
    ):
        model = to_json(data, EXPLICIT_LITTLE)
        assert model["00100010"]["Value"] == [{"Alphabetic": "м^ќ"}]
        names = [item["00100010"]["Value"][0]["Alphabetic"] for item in model["00081140"]["Value"]]
        assert names == ["м^ќ", "Ü^ü", "Ü^ü"]


def test_empty_items_stay() -> None:
    sequence = EXPLICIT.sequence(0x00081140, EXPLICIT.item(b""), EXPLICIT.item(b"", undefined=True))
    assert to_json(sequence, EXPLICIT_LITTLE)["00081140"] == {"vr": "SQ", "Value": [{}, {}]}


def test_un_of_known_attributes_and_of_private_ones() -> None:
    item = IMPLICIT.item(IMPLICIT.element(0x00080100, b"SH", b"T-1 "))
    data = b"".join(
        (
            EXPLICIT.element(0x00081032, b"UN", item),
            EXPLICIT.element(0x00100010, b"UN", b"A^B "),
            EXPLICIT.element(0x00291001, b"UN", item),
            EXPLICIT.sequence(0x00291002, item, vr=b"UN", undefined=True),
        )
    )
    model = to_json(data, EXPLICIT_LITTLE)
    code = {"00080100": {"vr": "SH", "Value": ["T-1"]}}
    assert model["00081032"] == {"vr": "SQ", "Value": [code]}
    assert model["00100010"]["Value"] == [{"Alphabetic": "A^B"}]
    assert model["00291001"]["vr"] == "UN"
    assert b64decode(model["00291001"]["InlineBinary"]) == item
    assert model["00291002"] == {"vr": "SQ", "Value": [code]}


@pytest.mark.parametrize(("representation", "vr", "value"), [(0, "US", 65535), (1, "SS", -1)])
def test_choice_by_pixel_representation(representation: int, vr: str, value: int) -> None:
    data = IMPLICIT.element(0x00280103, b"US", pack("<H", representation))
    data += IMPLICIT.element(0x00280106, b"US", b"\xff\xff")
    data += IMPLICIT.sequence(0x00081140, IMPLICIT.item(IMPLICIT.element(0x00280106, b"US", b"\xff\xff")))
    model = to_json(data, IMPLICIT_LITTLE)
    assert model["00280106"] == {"vr": vr, "Value": [value]}
    assert model["00081140"]["Value"][0]["00280106"] == {"vr": vr, "Value": [value]}


def test_long_values_go_by_reference_or_are_left_out() -> None:
    asked: list[tuple[tuple[int, ...], int, int, int]] = []

    def uri(path: tuple[int, ...], tag: int, offset: int, length: int) -> str | None:
        asked.append((path, tag, offset, length))
        return None if tag == 0x00091002 else "uri"

    inner = EXPLICIT.element(0x00091001, b"OB", b"\1" * 20) + EXPLICIT.element(0x00091002, b"OB", b"\1" * 20)
    data = EXPLICIT.sequence(0x00081140, EXPLICIT.item(inner))
    data += EXPLICIT.element(0x00091003, b"UT", b"x" * ((1 << 20) + 2))
    model = to_json(data, EXPLICIT_LITTLE, bulk_uri=uri, inline_limit=16)
    assert model["00081140"]["Value"] == [{"00091001": {"vr": "OB", "BulkDataURI": "uri"}}]
    assert model["00091003"] == {"vr": "UT", "BulkDataURI": "uri"}
    assert [(path, tag, length) for path, tag, _, length in asked] == [
        ((), 0x00091003, (1 << 20) + 2),
        ((0x00081140, 0), 0x00091001, 20),
        ((0x00081140, 0), 0x00091002, 20),
    ]
    assert all(data[offset : offset + 16] in (b"\1" * 16, b"x" * 16) for _, _, offset, _ in asked)
    assert "00091003" not in to_json(data, EXPLICIT_LITTLE)


def test_all_values_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_json, "TOTAL_LIMIT", 100)
    data = b"".join(EXPLICIT.element(0x00091000 + i, b"LO", b"a" * 40) for i in range(1, 5))
    assert list(to_json(data, EXPLICIT_LITTLE)) == ["00091001", "00091002"]


def test_fragments_inside_an_icon_go_by_reference() -> None:
    icon = EXPLICIT.fragments(0x7FE00010, b"", b"\xff\xd8")
    data = EXPLICIT.sequence(0x00880200, EXPLICIT.item(icon))
    assert to_json(data, EXPLICIT_LITTLE)["00880200"]["Value"] == [{}]
    model = to_json(data, EXPLICIT_LITTLE, bulk_uri=lambda path, tag, offset, length: f"{length}")
    assert model["00880200"]["Value"] == [{"7FE00010": {"vr": "OB", "BulkDataURI": "-1"}}]


def test_malformed_input_is_one_error() -> None:
    with pytest.raises(DicomError, match="truncated"):
        to_json(small(EXPLICIT)[:-1], EXPLICIT_LITTLE)


@pytest.mark.parametrize(
    ("writer", "syntax"),
    [(EXPLICIT, EXPLICIT_LITTLE), (IMPLICIT, IMPLICIT_LITTLE), (BIG, EXPLICIT_BIG)],
)
def test_some_attributes(writer: Writer, syntax: TransferSyntax) -> None:
    data = small(writer, pixels=None)
    whole = to_json(data, syntax)
    tags = {0x00100010, 0x00081032, 0x00081140, 0x00200013}
    expected = {key: value for key, value in whole.items() if int(key, 16) in tags}
    assert attributes(data, syntax, tags) == expected
    kept = scan(data, syntax, wanted=tags | JSON_TAGS).elements
    assert attributes(data, syntax, tags, elements=kept) == expected
    assert attributes(data, syntax, {0x00080005})["00080005"]["Value"] == ["ISO_IR 100"]


@pytest.mark.parametrize("total", [0, 50, 1 << 20])
def test_references_are_those_of_the_model(total: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found without converting values, by the same limits."""
    monkeypatch.setattr(dicom_json, "TOTAL_LIMIT", total)
    data = small(EXPLICIT) + EXPLICIT.element(0x7FE10010, b"LO", b"ACME")
    data += EXPLICIT.element(0x7FE11001, b"OB", bytes(5000)) + EXPLICIT.element(0x7FE11002, b"UT", b"x" * 90)
    asked: list[list[tuple[Any, ...]]] = [[], []]
    to_json(data, EXPLICIT_LITTLE, bulk_uri=lambda *place: asked[0].append(place))
    references(data, EXPLICIT_LITTLE, lambda *place: asked[1].append(place))
    assert asked[0] == asked[1] and ((), 0x7FE11001) in [place[:2] for place in asked[0]]
    assert len(asked[0]) > 2 or total > 50
