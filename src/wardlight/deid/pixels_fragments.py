"""Fragments of encapsulated pixel data (PS3.5 A.4), read once, in flat memory: items, frames, bytes to be blanked."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from wardlight.deid.pixels_image import PixelError
from wardlight.dicom.limits import LIMITS

Buffer = bytes | memoryview

_ITEM: Final = b"\xfe\xff\x00\xe0"
_DELIMITER: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_STEP: Final = 64 << 10
#: Ranges kept of one object. A stream with more comments than this was made to hurt.
_MOST_RANGES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Blanks:
    """Ranges of a pixel value that go out as zeros: (first, end) from the value's first byte, in order.

    starts: of each frame's first fragment, counted from that of the first one.
    """

    ranges: tuple[tuple[int, int], ...]
    starts: tuple[int, ...] = ()

    def clean(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The value's bytes with the ranges zeroed."""
        ranges = iter(self.ranges)
        first, end = next(ranges, (-1, -1))
        position = 0
        for chunk in chunks:
            following = position + len(chunk)
            changed: bytearray | None = None
            while 0 <= first < following:
                if changed is None:
                    changed = bytearray(chunk)
                low, high = max(first - position, 0), min(end, following) - position
                changed[low:high] = bytes(high - low)
                if end > following:
                    break
                first, end = next(ranges, (-1, -1))
            yield chunk if changed is None else bytes(changed)
            position = following


class Fragments:
    """Reads item after item, and what is in them across their borders.

    item: offset of the current item's tag from the tag of the first fragment, as offset tables count. left: bytes
    left of the current item. consumed: bytes taken of items so far, headers left out. items: opened so far.
    """

    def __init__(self, chunks: Iterable[Buffer]) -> None:
        self._chunks: Final = iter(chunks)
        self._buffer: Buffer = b""
        self._at = 0
        self._base = 0
        self._zero = 0
        self._pieces: list[tuple[int, int]] = []
        self._ranges: list[tuple[int, int]] = []
        self.item = 0
        self.left = 0
        self.consumed = 0
        self.items = 0

    def open(self) -> bool:
        """Go to the next item, the current one being read to its end; False at the delimiter, which ends the value."""
        start = self._base + self._at
        head = self._raw(8)
        if head == _DELIMITER:
            if self._fill():
                raise PixelError("fragments-damaged")
            return False
        if head[:4] != _ITEM or head[4:] == b"\xff\xff\xff\xff":
            raise PixelError("fragments-damaged")
        self.items += 1
        if self.items > LIMITS.items:
            raise PixelError("fragments-damaged")
        if self.items == 2:
            # The first item is the Basic Offset Table; offsets count from the item after it.
            self._zero = start
        self.item = start - self._zero
        self.left = int.from_bytes(head[4:], "little")
        return True

    def take(self, count: int) -> bytes:
        """The next bytes of the frame. Raises PixelError "codestream-incomplete" where the fragments end first."""
        self._pieces = []
        parts: list[bytes] = []
        while count:
            step = min(count, self._more())
            self._pieces.append((self._base + self._at, step))
            parts.append(self._raw(step))
            self._used(step)
            count -= step
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip(self, count: int) -> None:
        """Pass over bytes of the frame."""
        while count:
            self._more()
            if not self._fill():
                raise PixelError("fragments-damaged")
            step = min(count, self.left, len(self._buffer) - self._at)
            self._at += step
            self._used(step)
            count -= step

    def find(self, pattern: re.Pattern[bytes]) -> int:
        """Pass over the frame to the end of a match of two bytes, FF and another; returns the other."""
        marked = False
        while True:
            self._more()
            if not self._fill():
                raise PixelError("fragments-damaged")
            end = min(len(self._buffer), self._at + self.left)
            if marked and pattern.match(b"\xff" + self._buffer[self._at : self._at + 1]):
                found = self._at + 1
            else:
                match = pattern.search(self._buffer, self._at, end)
                found = match.end() if match is not None else -1
            stop = end if found < 0 else found
            last = self._buffer[stop - 1]
            self._used(stop - self._at)
            self._at = stop
            if found >= 0:
                return last
            marked = last == 0xFF

    def blank(self, first: int = 0, end: int | None = None) -> None:
        """Have bytes [first, end) of what was taken last go out as zeros."""
        position = 0
        for offset, length in self._pieces:
            low = max(first - position, 0)
            high = length if end is None else min(end - position, length)
            if low < high:
                self._add(offset + low, offset + high)
            position += length

    def blank_rest(self) -> None:
        """Have what is left of this item go out as zeros."""
        while self.left:
            if any(self.take(min(self.left, _STEP))):
                self.blank()

    def blanks(self, starts: Sequence[int] = ()) -> Blanks:
        """What is to be blanked, as far as was read."""
        return Blanks(tuple(self._ranges), tuple(starts))

    def _add(self, first: int, end: int) -> None:
        if self._ranges and self._ranges[-1][1] == first:
            self._ranges[-1] = (self._ranges[-1][0], end)
            return
        if len(self._ranges) == _MOST_RANGES:
            raise PixelError("codestream-comments")
        self._ranges.append((first, end))

    def _more(self) -> int:
        """Bytes left of the current item, the next one being opened where there are none."""
        while not self.left:
            if not self.open():
                raise PixelError("codestream-incomplete")
        return self.left

    def _used(self, count: int) -> None:
        self.left -= count
        self.consumed += count

    def _fill(self) -> bool:
        """Go to the next chunk, the current one being used up; False at the end."""
        if self._at < len(self._buffer):
            return True
        self._base += len(self._buffer)
        self._at = 0
        self._buffer = b""
        for chunk in self._chunks:
            if chunk:
                self._buffer = chunk
                return True
        return False

    def _raw(self, count: int) -> bytes:
        end = self._at + count
        if end <= len(self._buffer):
            found = bytes(self._buffer[self._at : end])
            self._at = end
            return found
        parts: list[Buffer] = []
        while count:
            if not self._fill():
                raise PixelError("fragments-damaged")
            part = self._buffer[self._at : self._at + count]
            self._at += len(part)
            count -= len(part)
            parts.append(part)
        return b"".join(parts)


def check_offsets(table: bytes, starts: list[int]) -> None:
    """The Basic Offset Table is empty or says where each frame's first fragment is (PS3.5 A.4); else PixelError."""
    if table and table != struct.pack(f"<{len(starts)}I", *starts):
        raise PixelError("offset-table")


def check_extended(values: Sequence[bytes | None], starts: list[int], sizes: list[int]) -> None:
    """The Extended Offset Table and its companions hold what they must and nothing else (PS3.3 C.7.6.3.1.8).

    values: offsets, lengths, total length; None: not there. sizes: bytes of each frame's fragments. A length may
    leave the padding byte out.
    """
    offsets, lengths, total = values
    count = len(starts)
    if offsets is not None and offsets != struct.pack(f"<{count}Q", *starts):
        raise PixelError("offset-table")
    if lengths is not None:
        if len(lengths) != 8 * count:
            raise PixelError("offset-table")
        said = struct.unpack(f"<{count}Q", lengths)
        if any(size - one not in (0, 1) for one, size in zip(said, sizes, strict=True)):
            raise PixelError("offset-table")
    if total is not None and not (
        len(total) == 8 and 0 <= sum(sizes) - int.from_bytes(total, "little") <= count
    ):
        raise PixelError("offset-table")
