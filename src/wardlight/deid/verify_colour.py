"""The verifier's look at ICC profiles: nothing but a header that says nothing, numbers, and two texts that say nothing.

Written from ISO 15076-1 alone. Every byte is accounted for: a byte that belongs to no tag must be zero, a tag is as
long as its own numbers make it.
"""

from __future__ import annotations

from typing import Final

_ILLUMINANT: Final = b"\0\0\xf6\xd6\0\1\0\0\0\0\xd3\x2d"
_MADE: Final = b"\x07\xd0\0\1\0\1\0\0\0\0\0\0"
_WORD: Final = b"REMOVED"
_WIDE: Final = _WORD.decode().encode("utf-16-be")
_MULTILINGUAL: Final = b"mluc" + bytes(7) + b"\1\0\0\0\x0cenUS\0\0\0\x0e\0\0\0\x1c" + _WIDE
_TEXTS: Final = {
    b"cprt": (b"text" + bytes(4) + _WORD + b"\0", _MULTILINGUAL),
    b"desc": (b"desc" + bytes(7) + b"\x08" + _WORD + bytes(79), _MULTILINGUAL),
}
_POINTS: Final = frozenset((b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt", b"bkpt"))
_CURVES: Final = frozenset((b"rTRC", b"gTRC", b"bTRC", b"kTRC"))
_TABLES: Final = frozenset((b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2", b"gamt"))


def is_colour_profile(value: bytes) -> bool:
    """Whether bytes are such a profile, from the first to the last."""
    if len(value) < 132 or _at(value, 0) != len(value) or not _says_nothing(value[:128]):
        return False
    end = 132 + 12 * _at(value, 128)
    if end > len(value):
        return False
    used: dict[int, int] = {}
    names = set()
    for place in range(132, end, 12):
        name, start, length = value[place : place + 4], _at(value, place + 4), _at(value, place + 8)
        data = value[start : start + length]
        if name in names or start < end or len(data) != length or used.setdefault(start, length) != length:
            return False
        names.add(name)
        if data not in _TEXTS[name] if name in _TEXTS else not _is_numbers(name, data):
            return False
    for start, length in sorted(used.items()):
        # Tags follow each other on places that four divides, with zeros between.
        if start != end:
            return False
        end = start + length + -length % 4
        if any(value[start + length : end]):
            return False
    return end == len(value)


def _at(value: bytes, place: int) -> int:
    return int.from_bytes(value[place : place + 4], "big")


def _says_nothing(header: bytes) -> bool:
    fixed = (
        (4, bytes(4)),
        (10, bytes(2)),
        (24, _MADE),
        (36, b"acsp" + bytes(24)),
        (68, _ILLUMINANT + bytes(48)),
    )
    return (
        header[8] in (2, 4)
        and header[12:16] in (b"scnr", b"mntr", b"prtr", b"spac")
        and header[16:20] in (b"RGB ", b"GRAY", b"CMYK", b"YCbr", b"XYZ ", b"Lab ")
        and header[20:24] in (b"XYZ ", b"Lab ")
        and _at(header, 64) < 4
        and all(header[place : place + len(wanted)] == wanted for place, wanted in fixed)
    )


def _is_numbers(name: bytes, data: bytes) -> bool:
    kind, rest = data[:4], data[8:]
    if any(data[4:8]):
        return False
    if name in _POINTS:
        return kind == b"XYZ " and len(rest) == 12
    if name == b"chad":
        return kind == b"sf32" and len(rest) == 36
    if name in _CURVES and kind == b"curv":
        return len(rest) == 4 + 2 * _at(rest, 0)
    if name in _CURVES and kind == b"para":
        wanted = {0: 4, 1: 12, 2: 16, 3: 20, 4: 28}.get(int.from_bytes(rest[:2], "big"), -9)
        return len(rest) == 4 + wanted and rest[2:4] == bytes(2)
    return name in _TABLES and kind in (b"mft1", b"mft2") and _is_table(kind == b"mft2", rest)


def _is_table(wide: bool, rest: bytes) -> bool:
    if len(rest) < 44 or rest[3]:
        return False
    inputs, outputs, grid = rest[:3]
    if not 1 <= inputs <= 4 or not 1 <= outputs <= 4:
        return False
    first, last = (
        (int.from_bytes(rest[40:42], "big"), int.from_bytes(rest[42:44], "big")) if wide else (256, 256)
    )
    values = first * inputs + grid**inputs * outputs + last * outputs
    return bool(len(rest) == (44 + 2 * values if wide else 40 + values))
