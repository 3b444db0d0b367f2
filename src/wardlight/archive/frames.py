"""Where the frames of an instance lie: native by size, encapsulated by offset tables and fragments (PS3.5 A.4)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final, overload

from wardlight.archive.model import FrameTable, PixelIndex
from wardlight.errors import WardlightError

EXTENDED_OFFSET_TABLE: Final = 0x7FE00001

# Length of an item's header before a fragment's value.
_ITEM: Final = 8
# First bytes of a compressed frame: JPEG, JPEG-LS (SOI); JPEG 2000 (SOC, SIZ); JPEG XL (code stream, container).
_STARTS: Final = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")

Read = Callable[[int, int], bytes]
"""Reads bytes [start, end) of the Part 10 file."""


def native(pixel: PixelIndex, frames: int, frame_bits: int) -> FrameTable:
    """Frames of native pixel data. Raises `not-acceptable` where the value is shorter than its frames."""
    if frame_bits <= 0 or (frames * frame_bits + 7) // 8 > pixel.length:
        raise WardlightError("not-acceptable", "pixel data and its description do not agree")
    return FrameTable(_NativeFrames(pixel.offset, frames, frame_bits), frame_bits)


class _NativeFrames(Sequence[tuple[tuple[int, int], ...]]):
    """Places of native frames, computed when asked for: one of ten thousand frames costs the same as one of one."""

    __slots__ = ("_bits", "_count", "_offset")

    def __init__(self, offset: int, count: int, bits: int) -> None:
        self._offset = offset
        self._count = count
        self._bits = bits

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> tuple[tuple[int, int], ...]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[tuple[tuple[int, int], ...], ...]: ...
    def __getitem__(
        self, index: int | slice
    ) -> tuple[tuple[int, int], ...] | tuple[tuple[tuple[int, int], ...], ...]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(self._count)))
        if not -self._count <= index < self._count:
            raise IndexError(index)
        number = index % self._count
        start = self._offset + number * self._bits // 8
        return ((start, self._offset + ((number + 1) * self._bits + 7) // 8),)


def encapsulated(pixel: PixelIndex, frames: int, extended: bytes, read: Read) -> FrameTable:
    """Frames of encapsulated pixel data.

    extended: value of the Extended Offset Table, empty where there is none. Fewer fragments than frames is a video
    stream, which is one piece. Raises `not-acceptable` where nothing tells which fragments belong to which frame.
    """
    if len(pixel.fragments) < 2:
        return FrameTable(())
    table, *rest = pixel.fragments
    pieces = [(offset, offset + length) for offset, length in rest]
    if frames == 1 or len(pieces) < frames:
        return FrameTable((tuple(pieces),))
    if len(pieces) == frames:
        return FrameTable(tuple((piece,) for piece in pieces))
    starts = _starts(extended, "Q") or _starts(read(table[0], table[0] + table[1]), "I")
    if starts:
        first = rest[0][0] - _ITEM
        wanted = {first + start for start in starts}
        borders = [index for index, (offset, _) in enumerate(rest) if offset - _ITEM in wanted]
    else:
        borders = [
            index
            for index, (start, end) in enumerate(pieces)
            if read(start, min(end, start + 8)).startswith(_STARTS)
        ]
    if len(borders) != frames or borders[0] != 0:
        raise WardlightError("not-acceptable", "the frames of this instance cannot be told apart")
    return FrameTable(tuple(_groups(pieces, borders)))


def _starts(table: bytes, form: str) -> list[int]:
    count = len(table) // struct.calcsize("<" + form)
    return list(struct.unpack_from(f"<{count}{form}", table))


def _groups(pieces: list[tuple[int, int]], borders: list[int]) -> Iterator[tuple[tuple[int, int], ...]]:
    for start, end in zip(borders, [*borders[1:], len(pieces)], strict=True):
        yield tuple(pieces[start:end])
