"""Native pixel data on its way out: nothing may hide in the bits that no image uses.

The rule is the same for every object and every sample, so that the unused bits say nothing that the used ones do not:
those above the high bit are zero, or for signed samples copies of the sign bit; those below the image's lowest bit are
zero. The same holds for the bits that fill the last byte of one-bit images and the byte that pads a value to an even
length. Values that are not a number keep none of their payload. Samples that follow the rule pass through untouched.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from wardlight.deid.pixels_image import Image, PixelError

Buffer = bytes | memoryview

# In C where it was built, as `dicom.elements` has it; numpy takes longer to load than many an object to clean.
_bits_of: Callable[[Buffer, int, bool], tuple[int, int]] | None = None
if not os.environ.get("WARDLIGHT_PURE"):
    try:
        from wardlight.dicom._plain import bits_of as _bits_of
    except ImportError:
        pass

_BLOCK: Final = 16 << 10
_ALL: Final = bytes(range(256))
_SIGNS: Final = tuple(bytes(0xFF if byte >> bit & 1 else 0 for byte in _ALL) for bit in range(8))


@dataclass(frozen=True, slots=True)
class _Own:
    """A byte of each sample that has unused bits. table: to what each byte is set; good: bytes that stay."""

    place: int
    table: bytes
    good: bytes


@dataclass(frozen=True, slots=True)
class _Copy:
    """A byte of each signed sample that only repeats the sign, which stands in the byte at `sign`."""

    place: int
    sign: int
    table: bytes


@dataclass(frozen=True, slots=True)
class _Words:
    """Samples as machine words. unused: bits that are zero in all; high: the sign bit of signed ones, else -1."""

    size: int
    big: bool
    unused: int
    high: int

    def clean(self, data: Buffer) -> bool:
        """Whether all samples follow the rule."""
        every, unlike = (_bits_of or _bits_by_numpy)(data, self.size, self.big)
        return not every & self.unused and (self.high < 0 or not unlike >> self.high)


def _bits_by_numpy(data: Buffer, size: int, big: bool) -> tuple[int, int]:
    """Bits that any word has, and bits in which any word differs from its own sign."""
    import numpy as np

    order = ">" if big else "<"
    whole = memoryview(data)[: len(data) - len(data) % size]
    words = np.frombuffer(whole, f"{order}u{size}").astype(f"=u{size}", copy=False)
    signed = words.view(f"=i{size}")
    unlike = (signed ^ (signed >> (8 * size - 1))).view(f"=u{size}")
    return int(np.bitwise_or.reduce(words)), int(np.bitwise_or.reduce(unlike))


@dataclass(frozen=True, slots=True)
class _Layout:
    """words: for the sizes that the machine has, by which clean samples are told at once."""

    size: int
    own: tuple[_Own, ...]
    copies: tuple[_Copy, ...]
    floating: bool
    big: bool
    words: _Words | None = None


@dataclass(frozen=True, slots=True)
class Native:
    """How one object's native pixel data is cleaned. length: of its samples; last: mask of the last byte's bits."""

    layout: _Layout
    length: int
    last: int

    def clean(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The value's bytes, as many as come in. Raises PixelError "pixel-data-short" where that is too few."""
        size = self.layout.size
        left = self.length
        carried: Buffer = b""
        for piece in chunks:
            chunk: Buffer = b"".join((carried, piece)) if carried else piece
            carried = b""
            if len(chunk) < left:
                whole = len(chunk) - len(chunk) % size
                chunk, carried = chunk[:whole], bytes(chunk[whole:])
                left -= whole
                if whole:
                    yield _samples(self.layout, chunk)
            else:
                yield self._end(chunk, left)
                left = 0
        if left:
            raise PixelError("pixel-data-short")

    def _end(self, chunk: Buffer, left: int) -> Buffer:
        """The chunk that holds the last sample, or padding alone (left: 0)."""
        # The piece itself where it ends with the image, not a view of it: what is the same need not be compared.
        body = _samples(self.layout, chunk if len(chunk) == left else chunk[:left])
        clear = not left or self.last == 0xFF or not body[-1] & ~self.last
        if clear and not any(chunk[left:]):
            return chunk if body is chunk else b"".join((body, chunk[left:]))
        cleaned = bytearray(body)
        if left:
            cleaned[-1] &= self.last
        return bytes(cleaned) + bytes(len(chunk) - left)


def native(image: Image, vr: bytes, big: bool) -> Native:
    """The cleaning of an image. Raises PixelError "pixel-bits" for layouts whose bits cannot be told for certain."""
    whole = image.stored == image.allocated
    if big and not image.floating:
        # In words of two bytes the order of what is smaller or larger than a word is read in different ways.
        if image.allocated == 16 and vr != b"OW" and not whole:
            raise PixelError("pixel-bits")
        if (image.allocated > 16 and not whole) or (
            image.allocated < 16 and image.values * image.allocated % 16
        ):
            raise PixelError("pixel-bits")
    bits = image.values * image.allocated % 8
    layout = _layout(image.allocated, image.stored, image.high, image.signed, image.floating, big)
    return Native(layout, image.length, (1 << bits) - 1 if bits else 0xFF)


@lru_cache(maxsize=64)
def _layout(allocated: int, stored: int, high: int, signed: bool, floating: bool, big: bool) -> _Layout:
    size = max(allocated // 8, 1)
    if allocated == 1 or stored == allocated:
        return _Layout(size if floating else 1, (), (), floating, big)
    used = ((1 << stored) - 1) << (high + 1 - stored)
    top = high // 8
    place = [size - 1 - n if big else n for n in range(size)]
    own: list[_Own] = []
    copies: list[_Copy] = []
    for n in range(size):
        if signed and n > top:
            copies.append(_Copy(place[n], place[top], _SIGNS[high % 8]))
            continue
        mask = used >> 8 * n & 0xFF
        above = 0xFF & ~((2 << high % 8) - 1) if signed and n == top else 0
        table = bytes(byte & mask | (above if byte >> high % 8 & 1 else 0) for byte in _ALL)
        good = bytes(byte for byte in _ALL if table[byte] == byte)
        if len(good) < 256:
            own.append(_Own(place[n], table, good))
    words: _Words | None = None
    if size in (1, 2, 4, 8):
        if signed:
            # Copies of the sign above the high bit: the word as a whole is a number of high + 1 bits.
            words = _Words(size, big, (1 << high + 1 - stored) - 1, high)
        else:
            words = _Words(size, big, ~used & ((1 << allocated) - 1), -1)
    return _Layout(size, tuple(own), tuple(copies), False, big, words)


def _samples(layout: _Layout, chunk: Buffer) -> Buffer:
    """Whole samples, as they are where they follow the rule."""
    if layout.floating:
        return _numbers(layout, chunk)
    if not layout.own and not layout.copies:
        return chunk
    if _clean(layout, chunk):
        return chunk
    size = layout.size
    data = bytes(chunk)
    changed = bytearray(data)
    for one in layout.own:
        changed[one.place :: size] = data[one.place :: size].translate(one.table)
    for copy in layout.copies:
        changed[copy.place :: size] = data[copy.sign :: size].translate(copy.table)
    return bytes(changed)


def _clean(layout: _Layout, chunk: Buffer) -> bool:
    if layout.words is not None:
        return layout.words.clean(chunk)
    # A slice with a step is five times as fast from bytes as from a memoryview, and small pieces stay in the cache.
    step = _BLOCK - _BLOCK % layout.size
    return all(_clean_bytes(layout, bytes(chunk[at : at + step])) for at in range(0, len(chunk), step))


def _clean_bytes(layout: _Layout, data: bytes) -> bool:
    size = layout.size
    for one in layout.own:
        if data[one.place :: size].translate(None, one.good):
            return False
    return all(
        data[copy.place :: size] == data[copy.sign :: size].translate(copy.table) for copy in layout.copies
    )


#: By size: struct format, exponent, fraction, and the one value that says "not a number".
_FORMATS: Final = {
    4: ("I", 0x7F800000, 0x007FFFFF, 0x7FC00000),
    8: ("Q", 0x7FF << 52, (1 << 52) - 1, 0x7FF8 << 48),
}
_NOT_TOP: Final = bytes(byte for byte in _ALL if byte not in (0x7F, 0xFF))


def _numbers(layout: _Layout, chunk: Buffer) -> Buffer:
    size = layout.size
    data = bytes(chunk)
    if not data[0 if layout.big else size - 1 :: size].translate(None, _NOT_TOP):
        return chunk
    code, exponent, fraction, nan = _FORMATS[size]
    form = f"{'>' if layout.big else '<'}{len(data) // size}{code}"
    values = struct.unpack(form, data)
    cleaned = [nan if v & exponent == exponent and v & fraction else v for v in values]
    return struct.pack(form, *cleaned)
