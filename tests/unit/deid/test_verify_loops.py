"""The verifier's walks in C and in Python pick out the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from real_files import name_of, paths
from wardlight.deid import verify_loops, verify_pixels
from wardlight.deid.pixels_native import _bits_by_numpy
from wardlight.deid.verify_leaks import _NUMBERS, _WRITTEN
from wardlight.deid.verify_reader import VRS, Item, Unreadable, read
from wardlight.deid.verify_rules import expectations
from wardlight.dicom.elements import scan
from wardlight.dicom.errors import DicomError
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

built = pytest.mark.skipif(
    verify_loops.looked_at is verify_loops.IN_PYTHON["looked_at"],
    reason="this installation has no C extensions (no compiler, or WARDLIGHT_PURE)",
)


def header_of(path: Path) -> bytes:
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little") if content[128:132] == b"DICM" else 0
    try:
        return content[start : start + scan(content[start:], EXPLICIT_LITTLE).end]
    except DicomError:
        return b""


def both(name: str, *arguments: Any) -> tuple[Any, Any]:
    in_c: Callable[..., Any] = getattr(verify_loops, name)
    return in_c(*arguments), verify_loops.IN_PYTHON[name](*arguments)


def kinds(function: Callable[..., Any], items: list[Item], data: bytes) -> object:
    text: list[bytes] = []
    numbers: list[bytes] = []
    lists = {**dict.fromkeys(_WRITTEN, text), **dict.fromkeys(_NUMBERS, numbers)}
    return function(items, data, lists, _WRITTEN, VRS), text, numbers


@built
@pytest.mark.parametrize("path", [p for p in paths() if p.stat().st_size < 256 << 10][::4], ids=name_of)
def test_real_files(path: Path) -> None:
    data = header_of(path)
    try:
        items = read(data, EXPLICIT_LITTLE.uid)
    except Unreadable:
        return
    for level in ("high", "low"):
        expected = expectations(level)
        for filled, always in ((0xFF, 1), (4, 0x101), (0, 0), (32, 16)):
            in_c, in_python = both("looked_at", items, expected.checks, filled, always)
            assert in_c == in_python
        in_c, in_python = both("values_of", items, data, expected.compared)
        assert in_c == in_python
        in_c, in_python = both("of_tags", items, expected.sought, b"PN")
        assert in_c == in_python
    in_c, in_python = both("at_top", items)
    assert in_c == in_python
    assert kinds(verify_loops.by_kind, items, data) == kinds(verify_loops.IN_PYTHON["by_kind"], items, data)


@pytest.mark.skipif(verify_pixels._bits_of is None, reason="this installation has no C extensions")
@pytest.mark.parametrize("size", [1, 2, 4, 8])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        bytes(range(256)),
        bytes(64),
        b"\xff" * 64,
        b"\xff\x0f" * 33,
        b"\x0f\xff" * 40,
        b"\0\x80\xff\xf8" * 9,
    ],
)
def test_bits_of_words(data: bytes, size: int, big: bool) -> None:
    from wardlight.dicom._plain import bits_of

    assert verify_pixels._bits_of is not None
    expected = _bits_by_numpy(data, size, big)
    assert bits_of(memoryview(data), size, big) == expected
    assert verify_pixels._bits_of(data, size, big) == expected
