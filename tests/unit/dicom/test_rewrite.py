"""The rewriter: rules by tag, at every depth, in every encoding; structure stays valid."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.dicom.codec import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, Codec
from wardlight.dicom.elements import walk
from wardlight.dicom.errors import DicomError, Truncated
from wardlight.dicom.limits import Limits
from wardlight.dicom.rewrite import (
    COLLECT,
    EMPTY,
    REMOVE,
    Items,
    Rule,
    Rules,
    encode_element,
    encode_items,
    rewrite,
)
from wardlight.dicom.transfer_syntax import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, TransferSyntax

ENCODINGS = [(EXPLICIT_LITTLE, EXPLICIT_LE), (IMPLICIT_LITTLE, IMPLICIT_LE), (EXPLICIT_BIG, EXPLICIT_BE)]
STUDY, SERIES, NAME, REFERENCED, SOP = 0x00081030, 0x0008103E, 0x00100010, 0x00081115, 0x00081155


def rules(table: dict[int, Rule], private: Any = None) -> Rules:
    def mismatch(_state: Any, _tag: int, _vr: bytes, value: bytes, _expected: bytes) -> bytes | None:
        return None

    def collect(state: Any, tag: int, _vr: bytes, value: bytes) -> None:
        state.append((tag, value))

    return Rules(table, table, mismatch, collect, private)


def elements(data: bytes, syntax: TransferSyntax) -> list[tuple[tuple[int, ...], int, bytes]]:
    return [
        (tuple(path), e.tag, data[e.value : e.end] if e.vr != b"SQ" else b"")
        for path, e in walk(data, syntax)
    ]


@pytest.mark.parametrize(("syntax", "codec"), ENCODINGS)
def test_actions(syntax: TransferSyntax, codec: Codec) -> None:
    data = b"".join(
        (
            encode_element(codec, 0x00080000, b"UL", b"\0\0\0\1"),
            encode_element(codec, 0x00080060, b"CS", b"CT"),
            encode_element(codec, STUDY, b"LO", b"about somebody"),
            encode_element(codec, SERIES, b"LO", b"series"),
            encode_element(codec, NAME, b"PN", b"Somebody^Else"),
            encode_element(codec, 0x00100020, b"LO", b"4711"),
            encode_element(codec, 0x00189999, b"LO", b"unknown"),
        )
    )
    seen: list[tuple[int, bytes]] = []
    table: dict[int, Rule] = {
        0x00080060: b"CS",
        STUDY: lambda _s, _t, _v, value: value.upper().strip(),
        SERIES: EMPTY,
        NAME: COLLECT,
        0x00100020: REMOVE,
    }
    new = rewrite(data, syntax, rules(table), seen, insert=[(0x00120062, b"CS", b"YES")])
    assert elements(new, syntax) == [
        ((), 0x00080060, b"CT"),
        ((), STUDY, b"ABOUT SOMEBODY"),
        ((), SERIES, b""),
        ((), 0x00120062, b"YES "),
    ]
    assert seen == [(NAME, b"Somebody^Else ")]


@pytest.mark.parametrize(("syntax", "codec"), ENCODINGS)
@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_at_any_depth(syntax: TransferSyntax, codec: Codec, undefined: bool) -> None:
    data = encode_element(codec, SOP, b"UI", b"1.2.3")
    for _ in range(5):
        data = sequence(codec, data + encode_element(codec, STUDY, b"LO", b"secret"), undefined)
    table: dict[int, Rule] = {SOP: b"UI", REFERENCED: b"SQ"}
    new = rewrite(data, syntax, rules(table), [])
    left = elements(new, syntax)
    assert [tag for _, tag, _ in left] == [REFERENCED] * 5 + [SOP]
    assert left[-1][2] == b"1.2.3\0"
    assert b"secret" not in new
    assert rewrite(new, syntax, rules(table), []) is new, "nothing to change: the same object"


def sequence(codec: Codec, body: bytes, undefined: bool) -> bytes:
    order = "big" if codec.big else "little"

    def head(element: int, length: int) -> bytes:
        return b"".join((n.to_bytes(w, order)) for n, w in ((0xFFFE, 2), (element, 2), (length, 4)))

    if not undefined:
        return encode_element(codec, REFERENCED, b"SQ", head(0xE000, len(body)) + body)
    start = encode_element(codec, REFERENCED, b"SQ", b"")[:-4] + b"\xff" * 4
    return start + head(0xE000, 0xFFFFFFFF) + body + head(0xE00D, 0) + head(0xE0DD, 0)


def test_private_creators_stay_only_with_an_element() -> None:
    def private(creator: bytes, group: int, element: int) -> Rule | None:
        return b"DS" if (creator, group, element) == (b"SAFE", 0x0011, 0x02) else None

    data = b"".join(
        encode_element(EXPLICIT_LE, tag, vr, value)
        for tag, vr, value in (
            (0x00110010, b"LO", b"OTHER"),
            (0x00110011, b"LO", b"SAFE"),
            (0x00110012, b"LO", b"UNUSED"),
            (0x00111001, b"LO", b"somebody"),
            (0x00111101, b"LO", b"somebody"),
            (0x00111102, b"DS", b"1.5"),
            (0x00131001, b"LO", b"no creator"),
        )
    )
    new = rewrite(data, EXPLICIT_LITTLE, rules({}, private), [])
    assert elements(new, EXPLICIT_LITTLE) == [((), 0x00110011, b"SAFE"), ((), 0x00111102, b"1.5 ")]
    assert rewrite(data, EXPLICIT_LITTLE, rules({}), []) == b""


def test_a_sequence_becomes_one_item() -> None:
    item = Items(((0x00080100, b"SH", b"0"), (0x00080104, b"LO", b"REMOVED")))
    data = encode_element(
        EXPLICIT_LE, 0x00401101, b"SQ", encode_items(EXPLICIT_LE, [Items(((NAME, b"PN", b"X^Y"),))])
    )
    new = rewrite(data, EXPLICIT_LITTLE, rules({0x00401101: item}), [])
    assert [(tag, value) for _, tag, value in elements(new, EXPLICIT_LITTLE)] == [
        (0x00401101, b""),
        (0x00080100, b"0 "),
        (0x00080104, b"REMOVED "),
    ]


def test_another_vr_than_the_rule_expects() -> None:
    data = encode_element(EXPLICIT_LE, 0x00280010, b"LO", b"somebody")
    assert rewrite(data, EXPLICIT_LITTLE, rules({0x00280010: b"US"}), []) == b""
    hidden = encode_element(
        EXPLICIT_LE, STUDY, b"SQ", encode_items(EXPLICIT_LE, [Items(((NAME, b"PN", b"X^Y"),))])
    )
    assert rewrite(hidden, EXPLICIT_LITTLE, rules({STUDY: lambda *_: b"kept", NAME: b"PN"}), []) == b""


def test_out_of_order_elements_and_trace() -> None:
    data = encode_element(EXPLICIT_LE, SERIES, b"LO", b"b") + encode_element(
        EXPLICIT_LE, 0x00080060, b"CS", b"CT"
    )
    trace: list[tuple[tuple[int, ...], str]] = []
    new = rewrite(
        data, EXPLICIT_LITTLE, rules({0x00080060: b"CS"}), [], insert=[(NAME, b"PN", b"A")], trace=trace
    )
    assert [tag for _, tag, _ in elements(new, EXPLICIT_LITTLE)] == [0x00080060, NAME]
    assert trace == [((SERIES,), "remove")]


def test_limits() -> None:
    deep = encode_element(EXPLICIT_LE, SOP, b"UI", b"1.2")
    for _ in range(40):
        deep = sequence(EXPLICIT_LE, deep, False)
    table: dict[int, Rule] = {REFERENCED: b"SQ", SOP: b"UI"}
    with pytest.raises(DicomError, match="depth"):
        rewrite(deep, EXPLICIT_LITTLE, rules(table), [])
    many = encode_element(EXPLICIT_LE, 0x00080060, b"CS", b"CT") * 20
    with pytest.raises(DicomError, match="count"):
        rewrite(many, EXPLICIT_LITTLE, rules({0x00080060: b"CS"}), [], limits=Limits(elements=10))


@pytest.mark.parametrize("undefined", [False, True])
def test_cut_at_every_byte_is_a_typed_error_or_whole(undefined: bool) -> None:
    data = encode_element(EXPLICIT_LE, 0x00080060, b"CS", b"CT")
    data += sequence(EXPLICIT_LE, encode_element(EXPLICIT_LE, STUDY, b"LO", b"secret"), undefined)
    table: dict[int, Rule] = {REFERENCED: b"SQ", 0x00080060: b"CS"}
    for end in range(len(data)):
        if end in (0, 10):
            continue
        with pytest.raises(DicomError):
            rewrite(data[:end], EXPLICIT_LITTLE, rules(table), [])


@given(st.binary(max_size=300), st.sampled_from([EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG]))
def test_any_bytes_give_bytes_or_a_typed_error(data: bytes, syntax: TransferSyntax) -> None:
    table: dict[int, Rule] = {REFERENCED: b"SQ", STUDY: lambda *_: b"x", NAME: EMPTY}
    try:
        assert isinstance(rewrite(data, syntax, rules(table), []), bytes)
    except Truncated as error:
        assert 0 <= error.offset <= len(data)
    except DicomError:
        pass
