"""Native pixel data frame by frame: given to a reader, and blacked out on its way.

One frame is held at a time; of one-bit images whose frames end within a byte, eight.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from wardlight.deid.burned_in import LARGEST_FRAME, Box, Buffer
from wardlight.deid.pixels_image import PixelError
from wardlight.deid.pixels_native import Native
from wardlight.dicom.frame import FrameShape
from wardlight.dicom.transfer_syntax import EXPLICIT_BIG, EXPLICIT_LITTLE

_Bytes = NDArray[np.uint8]
_GROUP: Final = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the frames of native pixel data are. size: bytes of `step` frames; swapped: bytes stand in pairs."""

    shape: FrameShape
    frames: int
    step: int
    size: int
    shared: bool
    swapped: bool


def layout_of(shape: FrameShape, frames: int) -> Layout:
    """The layout of so many frames. Raises PixelError "pixel-bits" where frames cannot be told apart for certain."""
    shared = shape.photometric.endswith("_422") and shape.samples == 3
    if shared and (shape.columns % 2 or shape.planar):
        raise PixelError("pixel-bits")
    values = shape.rows * shape.columns * (2 if shared else shape.samples)
    bits = values * shape.bits_allocated
    step = 1 if bits % 8 == 0 else _GROUP
    size = bits * step // 8
    swapped = shape.syntax == EXPLICIT_BIG.uid and shape.bits_allocated < 16 and shape.words
    if (swapped and size % 2) or (step > 1 and shape.planar and shape.samples > 1):
        raise PixelError("pixel-bits")
    if size > LARGEST_FRAME:
        raise PixelError("frame-too-large")
    return Layout(shape, frames, step, size, shared, swapped)


def frame_shape(layout: Layout) -> FrameShape:
    """The description of what `frames_of` gives: bytes are in their order."""
    if layout.shape.bits_allocated < 16:
        return replace(layout.shape, words=False, syntax=EXPLICIT_LITTLE.uid)
    return layout.shape


def frames_of(chunks: Iterable[Buffer], layout: Layout) -> Iterator[Buffer]:
    """Each frame by itself. Raises PixelError "pixel-data-short"."""
    for unit, count in _units(chunks, layout):
        if not count:
            return
        if layout.swapped:
            unit.view("<u2").byteswap(inplace=True)
        if layout.step == 1:
            yield unit.tobytes()
            continue
        for frame in _bits(unit, layout, count):
            yield np.packbits(frame, bitorder="little").tobytes()


def blackened(chunks: Iterable[Buffer], layout: Layout, boxes: Sequence[Box]) -> Iterator[Buffer]:
    """The value with the boxes blacked out in every frame; as many bytes as come in."""
    black = _black(layout)
    for unit, count in _units(chunks, layout):
        if not count:
            yield unit.tobytes()
            continue
        if layout.swapped:
            unit.view("<u2").byteswap(inplace=True)
        if layout.shape.bits_allocated == 1:
            unit = _black_bits(unit, layout, count, boxes, bool(black[0]))
        else:
            _black_bytes(unit, layout, boxes, black)
        if layout.swapped:
            unit.view("<u2").byteswap(inplace=True)
        yield memoryview(unit.data).cast("B")


@dataclass(frozen=True, slots=True)
class Blackened:
    """Native pixel data cleaned, and its boxes blacked out."""

    native: Native
    layout: Layout
    boxes: tuple[Box, ...]

    def clean(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """As many bytes as come in."""
        return blackened(self.native.clean(chunks), self.layout, self.boxes)


def _units(chunks: Iterable[Buffer], layout: Layout) -> Iterator[tuple[_Bytes, int]]:
    """Bytes of whole frames and how many they are; at last, with none, what follows them."""
    left = layout.frames
    bits = layout.size * 8 // layout.step
    unit = bytearray()
    for chunk in chunks:
        at = 0
        while at < len(chunk):
            count = min(left, layout.step)
            size = (count * bits + 7) // 8
            if not left:
                yield np.frombuffer(bytearray(chunk[at:]), np.uint8), 0
                break
            taken = chunk[at : at + size - len(unit)]
            unit += taken
            at += len(taken)
            if len(unit) == size:
                yield np.frombuffer(unit, np.uint8), count
                unit = bytearray()
                left -= count
    if left:
        raise PixelError("pixel-data-short")


def _bits(unit: _Bytes, layout: Layout, count: int) -> _Bytes:
    """Frames × samples of one bit, each in a byte."""
    shape = layout.shape
    each = shape.rows * shape.columns * shape.samples
    return np.unpackbits(unit, count=count * each, bitorder="little").reshape(count, each)


def _black_bits(unit: _Bytes, layout: Layout, count: int, boxes: Sequence[Box], black: bool) -> _Bytes:
    shape = layout.shape
    bits = _bits(unit, layout, count)
    if shape.planar and shape.samples > 1:
        view = bits.reshape(count * shape.samples, shape.rows, shape.columns, 1)
    else:
        view = bits.reshape(count, shape.rows, shape.columns, shape.samples)
    for left, top, right, bottom in boxes:
        view[:, top:bottom, left:right] = black
    return np.packbits(bits, bitorder="little")


def _black_bytes(unit: _Bytes, layout: Layout, boxes: Sequence[Box], black: Sequence[int]) -> None:
    shape = layout.shape
    size = shape.bits_allocated // 8
    order: Any = "big" if shape.syntax == EXPLICIT_BIG.uid else "little"
    dark = [np.frombuffer(value.to_bytes(size, order), np.uint8) for value in black]
    if layout.shared:
        pairs = unit.reshape(shape.rows, shape.columns // 2, 4 * size)
        colour = np.concatenate([dark[0], *dark])
        for left, top, right, bottom in boxes:
            pairs[top:bottom, left // 2 : (right + 1) // 2] = colour
    elif shape.planar and shape.samples > 1:
        planes = unit.reshape(shape.samples, shape.rows, shape.columns, size)
        for left, top, right, bottom in boxes:
            for plane, value in zip(planes, dark, strict=True):
                plane[top:bottom, left:right] = value
    else:
        pixels = unit.reshape(shape.rows, shape.columns, shape.samples * size)
        colour = np.concatenate(dark)
        for left, top, right, bottom in boxes:
            pixels[top:bottom, left:right] = colour


def _black(layout: Layout) -> list[int]:
    """The value of each sample that is shown black; of signed ones and of palettes, zero."""
    shape = layout.shape
    low = shape.high_bit + 1 - shape.bits_stored
    if shape.signed or shape.floating:
        return [0] * shape.samples
    if shape.photometric == "MONOCHROME1":
        return [((1 << shape.bits_stored) - 1) << low] * shape.samples
    if shape.photometric.startswith("YBR") and shape.samples == 3:
        return [0, 1 << shape.high_bit, 1 << shape.high_bit]
    return [0] * shape.samples
