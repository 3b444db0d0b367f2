"""RLE Lossless frames (PS3.5 Annex G): one fragment a frame, segments that decode to exactly the image's bytes."""

from __future__ import annotations

import struct
from typing import Final

from wardlight.deid.pixels_fragments import Fragments
from wardlight.deid.pixels_image import Image, PixelError

_HEADER: Final = 64
#: The largest segment that is held to be walked, in bytes.
_LARGEST: Final = 64 << 20


def walk_rle(stream: Fragments, image: Image) -> None:
    """Read one frame. Raises PixelError "rle-…" for what is none, or not this image, "unused-bits"."""
    size = stream.left
    if size < _HEADER:
        raise PixelError("rle-header")
    count, *offsets = struct.unpack("<16I", stream.take(_HEADER))
    width = image.allocated // 8
    if image.allocated % 8 or count != image.samples * width or count > 15:
        raise PixelError("rle-header")
    used = offsets[:count]
    if used[0] != _HEADER or any(offsets[count:]) or used != sorted(set(used)) or used[-1] >= size:
        raise PixelError("rle-header")
    for number, (first, end) in enumerate(zip(used, [*used[1:], size], strict=True)):
        if end - first > _LARGEST:
            raise PixelError("rle-segment")
        # Segments of a sample go from the most significant byte down (PS3.5 G.2).
        allowed = _allowed(image, width - 1 - number % width)
        data = stream.take(end - first)
        last = _walk(data, image.rows * image.columns, allowed)
        if any(data[last:]):
            stream.blank(last)


def _allowed(image: Image, byte: int) -> bytes | None:
    """Values that this byte of a sample may have by the rule for unused bits; None: any."""
    low = image.high + 1 - image.stored
    mask = ((1 << image.stored) - 1) << low >> 8 * byte & 0xFF
    if mask == 0xFF:
        return None
    if image.signed and byte > image.high // 8:
        # Copies of a sign that stands in another segment: comparing them would take decoding both.
        raise PixelError("unused-bits")
    above = 0xFF & ~((2 << image.high % 8) - 1) if image.signed and byte == image.high // 8 else 0
    sign = 1 << image.high % 8
    return bytes(value for value in range(256) if value & ~mask & 0xFF == (above if value & sign else 0))


def _walk(data: bytes, expected: int, allowed: bytes | None) -> int:
    """Where the segment ends that decodes to so many bytes (PackBits, G.3.2). What is left is padding."""
    at = out = 0
    size = len(data)
    while out < expected:
        if at >= size:
            raise PixelError("rle-segment")
        control = data[at]
        if control < 128:
            following = at + control + 2
            out += control + 1
        elif control > 128:
            following = at + 2
            out += 257 - control
        else:
            at += 1
            continue
        if allowed is not None and data[at + 1 : following].translate(None, allowed):
            raise PixelError("unused-bits")
        at = following
    if out > expected or at > size:
        raise PixelError("rle-segment")
    return at
