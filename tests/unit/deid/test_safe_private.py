"""Table E.3.10-1, each of its 479 elements: kept where the option says so, gone at high, text in them cleaned.

One object holds all of them, each group and creator in a block of its own, among private elements nobody vouches for.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterator

import pytest

from deid_kit import deidentifier, encode, minimal
from wardlight.deid.standard.safe_private import SAFE_PRIVATE
from wardlight.deid.verify import verify
from wardlight.dicom.codec import EXPLICIT_LE, IMPLICIT_LE
from wardlight.dicom.elements import walk
from wardlight.dicom.rewrite import Items, encode_element, encode_items
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, IMPLICIT_LITTLE, TransferSyntax

HARMLESS = {
    "CS": b"AXIAL", "LO": b"head", "SH": b"chest", "ST": b"axial", "LT": b"chest", "DS": b"1.5", "IS": b"3",
    "US": b"\x07\0", "SS": b"\x07\0", "UL": b"\x07\0\0\0", "SL": b"\x07\0\0\0", "FL": b"\0\0\xc0\x3f",
    "FD": b"\0\0\0\0\0\0\xf8\x3f", "AT": b"\x28\0\x10\0", "OB": b"\1\2\3\4", "OW": b"\1\2\3\4", "UN": b"\1\2\3\4",
}  # fmt: skip
TEXTS = frozenset(("CS", "LO", "SH", "ST", "LT"))
#: Bytes in which no text may stand (PS3.15 E.3.10: nothing is known of their content).
BYTES = frozenset(("OB", "OW", "UN"))
INSIDE = Items(((0x00280002, b"US", b"\1\0"), (0x0040A123, b"PN", b"Qxzqxz^Wvkwvk")))
#: In one group two creators share the low block numbers; the blocks are where a vendor rarely puts them.
FIRST_BLOCK = 0x31


def vr_in_table(vr: str) -> str:
    return vr.partition("/")[0] or "UN"


def blocks() -> dict[tuple[int, str], int]:
    """Group and creator → block."""
    found: dict[tuple[int, str], int] = {}
    used: dict[int, int] = defaultdict(lambda: FIRST_BLOCK)
    for creator, group, *_ in SAFE_PRIVATE:
        if (group, creator) not in found:
            found[group, creator] = used[group]
            used[group] += 1
    return found


def with_all(syntax: TransferSyntax, canary: bytes = b"", *, unknown: bool = False) -> bytes:
    """An object with every safe private element; canary: text in those that can hold some. unknown: all VRs UN."""
    codec = IMPLICIT_LE if syntax.implicit else EXPLICIT_LE
    elements: dict[int, bytes] = {}
    for (group, creator), block in blocks().items():
        elements[group << 16 | block] = encode_element(codec, group << 16 | block, b"LO", creator.encode())
        # Nobody vouches for the last element of the block.
        own = group << 16 | block << 8 | 0xFE
        assert not any(one[:3] == (creator, group, 0xFE) for one in SAFE_PRIVATE)
        elements[own] = encode_element(codec, own, b"LO", b"Qxzqxz")
    for creator, group, number, spelled, *_ in SAFE_PRIVATE:
        vr = vr_in_table(spelled)
        tag = group << 16 | blocks()[group, creator] << 8 | number
        value = b"1.2.826.0.1.3680043.10.777.%d" % number if vr == "UI" else HARMLESS.get(vr, b"")
        if canary and vr in TEXTS:
            value = canary[:16] if vr == "CS" else b"chest " + canary
        elif canary and vr in BYTES:
            value = b"\1\2" + canary
        if vr == "SQ":
            value = encode_items(IMPLICIT_LE if unknown else codec, [INSIDE])
        elements[tag] = encode_element(codec, tag, b"UN" if unknown else vr.encode(), value)
    return encode(minimal(), syntax) + b"".join(elements[tag] for tag in sorted(elements))


def private_of(header: bytes, syntax: TransferSyntax) -> tuple[dict[int, bytes], dict[int, bytes]]:
    """Private creators and private elements of the top level."""
    creators: dict[int, bytes] = {}
    others: dict[int, bytes] = {}
    for path, one in walk(header, syntax):
        if one.tag & 0x10000 and not path:
            into = creators if 0x10 <= one.tag & 0xFFFF <= 0xFF else others
            into[one.tag] = header[one.value : one.end]
    return creators, others


def safe() -> Iterator[tuple[int, str]]:
    for creator, group, number, spelled, *_ in SAFE_PRIVATE:
        yield group << 16 | blocks()[group, creator] << 8 | number, vr_in_table(spelled)


def tidy(header: bytes, syntax: TransferSyntax) -> None:
    """PS3.5 7.8.1: no element without its creator, and none of these says anything without an element."""
    creators, others = private_of(header, syntax)
    blocks_used = {tag >> 16 << 16 | tag >> 8 & 0xFF for tag in others}
    assert blocks_used == set(creators)


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE], ids=lambda one: one.name)
@pytest.mark.parametrize("level", ["medium", "low"])
def test_kept_where_the_option_says_so(level: str, syntax: TransferSyntax) -> None:
    header = with_all(syntax)
    result = deidentifier(level).deidentify(header, syntax, None)
    before, after = private_of(header, syntax)[1], private_of(result.header, syntax)[1]
    wrong = []
    for tag, vr in safe():
        if tag not in after:
            wrong.append((f"{tag:08X}", vr, "gone"))
        elif vr == "UI":
            if not after[tag].startswith(b"2.25."):
                wrong.append((f"{tag:08X}", vr, "not replaced"))
        elif vr != "SQ" and after[tag] != before[tag]:
            wrong.append((f"{tag:08X}", vr, "changed"))
    assert not wrong
    assert len(after) == len(SAFE_PRIVATE)
    assert b"Qxzqxz" not in result.header
    tidy(result.header, syntax)
    assert verify(header, syntax.uid, result.header, level=level) == []


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE], ids=lambda one: one.name)
def test_gone_at_high(syntax: TransferSyntax) -> None:
    header = with_all(syntax)
    result = deidentifier("high").deidentify(header, syntax, None)
    assert private_of(result.header, syntax) == ({}, {})
    assert verify(header, syntax.uid, result.header, level="high") == []


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE], ids=lambda one: one.name)
@pytest.mark.parametrize("level", ["high", "medium"])
def test_text_in_them_is_cleaned(level: str, syntax: TransferSyntax) -> None:
    canary = "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(10)).encode()
    header = with_all(syntax, canary)
    result = deidentifier(level).deidentify(header, syntax, None)
    assert canary not in result.header.upper()
    if level == "medium":
        after = private_of(result.header, syntax)[1]
        kept = {after.get(tag, b"").strip() for tag, vr in safe() if vr in TEXTS - {"CS"}}
        assert kept == {b"chest"}
    tidy(result.header, syntax)
    assert verify(header, syntax.uid, result.header, level=level) == []


@pytest.mark.parametrize("level", ["medium", "low"])
def test_written_as_un(level: str) -> None:
    """A program that does not know them writes UN: what is kept is cleaned as what it is."""
    canary = "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(10)).encode()
    for text in (b"", canary):
        header = with_all(EXPLICIT_LITTLE, text, unknown=True)
        result = deidentifier(level).deidentify(header, EXPLICIT_LITTLE, None)
        after = private_of(result.header, EXPLICIT_LITTLE)[1]
        assert b"Qxzqxz" not in result.header
        if text:
            assert level == "low" or canary not in result.header.upper()
        else:
            lost = [f"{tag:08X} {vr}" for tag, vr in safe() if tag not in after]
            assert not lost
        tidy(result.header, EXPLICIT_LITTLE)
        assert verify(header, EXPLICIT_LITTLE.uid, result.header, level=level) == []


def test_creators_that_are_none() -> None:
    """A creator twice, of another group, empty, or after its elements vouches for nothing."""
    tag, value = 0x20013103, encode_element(EXPLICIT_LE, 0x20013103, b"FL", HARMLESS["FL"])
    name = b"Philips Imaging DD 001"
    for elements in (
        value,
        encode_element(EXPLICIT_LE, 0x20010031, b"LO", b"") + value,
        encode_element(EXPLICIT_LE, 0x20010032, b"LO", name) + value,
        encode_element(EXPLICIT_LE, 0x20030031, b"LO", name) + value,
        encode_element(EXPLICIT_LE, 0x20010031, b"LO", name.lower()) + value,
        value + encode_element(EXPLICIT_LE, 0x20010031, b"LO", name),
    ):
        header = encode(minimal()) + elements
        result = deidentifier("medium").deidentify(header, EXPLICIT_LITTLE, None)
        assert private_of(result.header, EXPLICIT_LITTLE) == ({}, {}), elements
    header = encode(minimal()) + encode_element(EXPLICIT_LE, 0x20010031, b"LO", name + b" ") + value
    result = deidentifier("medium").deidentify(header, EXPLICIT_LITTLE, None)
    assert tag in private_of(result.header, EXPLICIT_LITTLE)[1]
