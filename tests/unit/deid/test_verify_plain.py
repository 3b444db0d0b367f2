"""The verifier's search in C and in Python: the same answer for any words in any bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardlight.deid import verify_pixels
from wardlight.deid.verify_text import any_of, any_of_in_python

NARROW = st.lists(st.sampled_from(b"ab\0\xff"), max_size=12).map(bytes)


@settings(max_examples=400, deadline=None)
@given(st.lists(NARROW | st.binary(max_size=6), max_size=6).map(tuple), NARROW | st.binary(max_size=40))
def test_alike(words: tuple[bytes, ...], data: bytes) -> None:
    assert any_of(words, data) == any_of_in_python(words, data) == any(word in data for word in words)


def test_every_place() -> None:
    for size in range(2, 9):
        data = bytes(range(1, size + 1))
        for start in range(size):
            for end in range(start + 1, size + 1):
                assert any_of((b"no", data[start:end]), data)
                assert not any_of((data[start:end] + b"\0",), data)


NUMBERS = {0x0002: 1, 0x0008: 3, 0x0010: 4, 0x0011: 5, 0x0100: 16, 0x0101: 12, 0x0102: 11, 0x0103: 0}


def group_28(numbers: dict[int, int], *, explicit: bool) -> bytes:
    made = b""
    for number, value in numbers.items():
        vr, data = (b"IS", b"%d " % value) if number == 0x0008 else (b"US", struct.pack("<H", value))
        made += struct.pack("<HH", 0x0028, number)
        made += (vr + struct.pack("<H", len(data)) if explicit else struct.pack("<I", len(data))) + data
    return made


@pytest.mark.parametrize("explicit", [True, False])
def test_numbers_of_pixels_at_sight_are_those_read(explicit: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one stands in an item before, or is not there."""
    uid = "1.2.840.10008.1.2" + ".1" * explicit
    nested = group_28({0x0010: 99, 0x0103: 1}, explicit=explicit)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(nested)) + nested
    head = b"SQ\0\0" * explicit + struct.pack("<I", len(item))
    for before in (b"", struct.pack("<HH", 0x0008, 0x1140) + head + item):
        for numbers in (NUMBERS, {n: v for n, v in NUMBERS.items() if n != 0x0008}):
            header = before + group_28(numbers, explicit=explicit)
            expected = {**NUMBERS, 0x0008: numbers.get(0x0008, 1)}
            assert verify_pixels._numbers(header, uid) == expected
            with monkeypatch.context() as patch:
                patch.setattr(verify_pixels, "_at_sight", lambda _header: {})
                assert verify_pixels._numbers(header, uid) == expected
