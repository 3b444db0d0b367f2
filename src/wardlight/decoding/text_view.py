"""Stored pixels as pictures in which text can be seen by the networks, whatever its value. In the decoder process.

No window of the data set is used: what is burned in is often the highest value, far outside of the window that the
anatomy is read with, and must be seen all the same.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from wardlight.decoding.model import Frame

Picture = NDArray[np.uint8]
"""Rows × columns of grey, or rows × columns × 3: red, green, blue."""

#: Where the middle 98 % of the values have less of the whole range than this, a picture of their own is made.
_NARROW: Final = 0.5
#: A lowest value that is further from all others, as a part of the whole range, is padding: nothing is drawn with it.
_APART: Final = 0.25
#: Frames with more values are not looked at for each single one of them.
_MOST_SAMPLES: Final = 1 << 20
#: Palette indices that so few entries use are spread over all grey levels.
_FEW: Final = 64


def views(pixels: NDArray[Any], photometric: str, frame: Frame) -> list[Picture]:
    """One picture of the decoded frame; a second one where a single one could hide text."""
    if frame.samples > 1:
        return [_colours(pixels, photometric, frame)]
    values = _stored(pixels, frame)
    if photometric == "PALETTE COLOR":
        return _indices(values, frame.bits_stored)
    return _greys(values, frame.bits_stored)


def coloured(picture: Picture) -> Picture:
    """The picture in three colours, grey where it has none."""
    return picture if picture.ndim == 3 else np.repeat(picture[:, :, np.newaxis], 3, axis=2)


def _stored(pixels: NDArray[Any], frame: Frame) -> NDArray[Any]:
    """Values of the stored bits only, as overlays may be in the others (PS3.5 section 8.1.1)."""
    if pixels.dtype.kind == "f":
        return np.nan_to_num(pixels.astype(np.float32, copy=False), nan=0.0, posinf=0.0, neginf=0.0)
    width = 8 * pixels.dtype.itemsize
    if frame.bits_stored >= width or frame.bits_allocated == 1:
        return pixels
    up = width - 1 - frame.high_bit
    return np.asarray((pixels << up) >> (width - frame.bits_stored))


def _sample(values: NDArray[Any]) -> NDArray[Any]:
    step = max(1, int((values.size / _MOST_SAMPLES) ** 0.5))
    return values[::step, ::step]


def _greys(values: NDArray[Any], bits: int) -> list[Picture]:
    """The whole range; where outliers leave little of it to the rest, also the rest alone.

    Values of up to 8 bits are meant for the screen as they are, and outliers do not widen them.
    """
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return [np.zeros(values.shape, np.uint8)]
    if bits <= 8:
        return [_bent(values, [low, high], [0, 255])]
    sample = _sample(values)
    above = sample[sample > low]
    if above.size and float(above.min()) - low > _APART * (high - low):
        low, sample = float(above.min()), above
    whole = _bent(values, [low, high], [0, 255])
    first, last = (float(value) for value in np.percentile(sample, (1, 99)))
    if first >= last or last - first >= _NARROW * (high - low):
        return [whole]
    return [whole, _bent(values, [first, last], [0, 255])]


def _bent(values: NDArray[Any], points: list[float], levels: list[float]) -> Picture:
    """Grey levels by straight lines between points; the table of small integers spares most of the work."""
    if values.dtype.kind != "f" and values.dtype.itemsize <= 2:
        entries = np.arange(1 << (8 * values.dtype.itemsize)).astype(values.dtype.str.replace("i", "u"))
        table = np.interp(entries.view(values.dtype), points, levels).astype(np.uint8)
        return np.asarray(table[values.view(entries.dtype)], np.uint8)
    return np.asarray(np.interp(values, points, levels), np.uint8)


def _indices(values: NDArray[Any], bits: int) -> list[Picture]:
    """Indices as grey levels. A palette is free to give neighbours any colours: few of them are also set far apart."""
    pictures = _greys(values, bits)
    used = np.unique(_sample(values))
    if 1 < len(used) <= _FEW:
        levels = np.linspace(0, 255, len(used)).astype(np.uint8)
        place = np.minimum(np.searchsorted(used, values), len(used) - 1)
        pictures.append(levels[place])
    return pictures


def _colours(pixels: NDArray[Any], photometric: str, frame: Frame) -> Picture:
    """Red, green and blue of 8 bits each."""
    values = _stored(pixels, frame)[:, :, :3]
    if values.dtype != np.uint8 or frame.bits_stored != 8:
        low, high = float(values.min()), float(values.max())
        top = float((1 << frame.bits_stored) - 1)
        if photometric.startswith("YBR"):
            low, high = 0.0, top
        values = _bent(values, [low, max(high, low + 1)], [0, 255])
    if not photometric.startswith("YBR"):
        return np.ascontiguousarray(values)
    luma, blue, red = (values[:, :, index].astype(np.float32) for index in range(3))
    if "PARTIAL" in photometric:
        luma, blue, red = (luma - 16) * (255 / 219), (blue - 128) * (255 / 224), (red - 128) * (255 / 224)
    else:
        blue, red = blue - 128, red - 128
    rgb = np.stack(
        (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue), axis=-1
    )
    return np.asarray(np.clip(np.rint(rgb), 0, 255), np.uint8)
