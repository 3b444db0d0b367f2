"""Look-up tables of Modality LUT, VOI LUT and palettes, also in segments (PS3.3 C.11.1, C.11.2, C.7.9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from wardlight.decoding.render_plan import Lut

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
#: Entries that a table can have (PS3.3 C.11.1.1.1).
_MOST: Final = 1 << 16


class BadLut(Exception):
    """A table that contradicts its description."""


def entries(lut: Lut, parts: Sequence[bytes]) -> NDArray[Any]:
    """The entries of a table. Raises `BadLut`."""
    data = parts[lut.part]
    wide = lut.bits > 8
    if not lut.segmented and not wide and len(data) >= 2 * lut.count:
        wide = True  # Entries of 8 bits, each in a word: the standard has it for all but palettes.
    if not lut.segmented and wide and len(data) < 2 * lut.count:
        wide = False
    stored = np.frombuffer(data[: len(data) // 2 * 2] if wide else data, "<u2" if wide else "u1")
    if lut.segmented:
        stored = _expanded(stored, lut.count)
    if not 0 < lut.count <= min(len(stored), _MOST):
        raise BadLut
    return stored[: lut.count]


def look_up(values: NDArray[np.float64], lut: Lut, parts: Sequence[bytes]) -> NDArray[np.float64]:
    """What the table has for each value; values beyond its ends are shown as the nearest entry."""
    table = entries(lut, parts).astype(np.float64)
    indexes = np.clip(np.rint(values) - lut.first, 0, len(table) - 1).astype(np.intp)
    return np.asarray(table[indexes])


def _expanded(stored: NDArray[Any], count: int) -> NDArray[Any]:
    """Segments (PS3.3 C.7.9.2) written out: discrete, linear, and indirect, which repeats earlier ones."""
    words = stored.tolist()
    out: list[int] = []
    place = 0
    try:
        while place < len(words) and len(out) < count:
            if words[place] == _INDIRECT:
                repeat = words[place + 1]
                place, at = _offset(words, place + 2, stored.itemsize)
                while repeat and len(out) < count:
                    at, repeat = _segment(words, at, out, count), repeat - 1
            else:
                place = _segment(words, place, out, count)
    except (IndexError, ValueError):
        raise BadLut from None
    return np.array(out[:count], stored.dtype)


def _offset(words: list[int], place: int, size: int) -> tuple[int, int]:
    """The place after the byte offset of an indirect segment, and the index that it points to."""
    count = 4 // size
    offset = sum(word << (8 * size * number) for number, word in enumerate(words[place : place + count]))
    return place + count, offset // size


def _segment(words: list[int], place: int, out: list[int], count: int) -> int:
    """Write out the segment at `place`; returns the place after it."""
    kind, length = words[place], words[place + 1]
    if kind == _DISCRETE:
        out += words[place + 2 : place + 2 + length]
        return place + 2 + length
    if kind != _LINEAR or not out or len(out) > count:
        raise BadLut
    start, end = out[-1], words[place + 2]
    out += [round(start + (end - start) * step / length) for step in range(1, length + 1)]
    return place + 3
