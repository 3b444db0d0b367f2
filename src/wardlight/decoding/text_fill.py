"""Boxes of a decoded frame filled with what is shown black, or darkest, there. In the decoder process only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wardlight.decoding.model import Frame


def filled(
    pixels: NDArray[Any], photometric: str, frame: Frame, boxes: Iterable[tuple[int, int, int, int]]
) -> NDArray[Any]:
    """A copy with the boxes (left, top, right, bottom) filled; every other pixel is what it was."""
    out = np.array(pixels)
    for left, top, right, bottom in boxes:
        out[top:bottom, left:right] = _value(pixels, photometric, frame)
    return out


def _value(pixels: NDArray[Any], photometric: str, frame: Frame) -> Any:
    """What fills: no value that the frame could not hold, nor one that makes it wider than its pixels are.

    Luminance 0 (16 where it has foot-room) with neutral colour for YBR; the highest value for MONOCHROME1, where high
    is dark; else the least. Signed values and floating point have no black of their own: there the least, or for
    MONOCHROME1 the greatest, of the frame is it, so that no window that is made of its values changes.
    """
    if photometric.startswith("YBR") and pixels.ndim == 3:
        half = 1 << (frame.bits_stored - 1)
        foot = half // 8 if "PARTIAL" in photometric else 0
        return np.array([foot, half, half], pixels.dtype)
    inverted = photometric == "MONOCHROME1"
    if pixels.dtype.kind in "if":
        return pixels.max() if inverted else pixels.min()
    return ((1 << frame.bits_stored) - 1) << (frame.high_bit + 1 - frame.bits_stored) if inverted else 0
