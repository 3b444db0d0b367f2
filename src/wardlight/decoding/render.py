"""Stored pixel values to a picture of 8 bits a sample (PS3.4 N.2, PS3.3 C.7.6.3, C.11). In the decoder process.

Grey values go through one table with an entry for each stored value, whatever the transformations: a frame costs one
look-up a pixel. Only stored values of more than 16 bits and floating point are computed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wardlight.decoding.render_lut import entries, look_up
from wardlight.decoding.render_plan import Function, Plan, Window

Picture = NDArray[np.uint8]
"""Rows × columns, or rows × columns × 3 for RGB."""
Floats = NDArray[np.float64]
Parts = Sequence[bytes]

#: Stored values of more bits are not looked up.
_TABLE_BITS: Final = 16
_RGB: Final = frozenset({"RGB", "YBR_ICT", "YBR_RCT"})
_YBR_FULL: Final = frozenset({"YBR_FULL", "YBR_FULL_422"})
_YBR_PARTIAL: Final = frozenset({"YBR_PARTIAL_420", "YBR_PARTIAL_422"})
_GREY: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})


class CannotRender(Exception):
    """The description of the image and its pixels do not make a picture."""


def picture(pixels: NDArray[Any], plan: Plan, parts: Parts) -> Picture:
    """The picture of one decoded frame, before `View`.

    pixels: rows × columns, or rows × columns × samples, colour in the space that `plan.photometric` names. Raises
    `CannotRender`.
    """
    if not pixels.dtype.isnative:
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim == 3:
        return _colour(pixels, plan)
    if pixels.ndim != 2:
        raise CannotRender
    if plan.photometric == "PALETTE COLOR" or (plan.photometric in _GREY and plan.palette):
        return _palette(pixels, plan, parts)
    if plan.photometric not in _GREY:
        raise CannotRender
    if pixels.dtype.kind == "f" or plan.bits_stored > _TABLE_BITS:
        return _grey(pixels.astype(np.float64), _shown(pixels, plan), plan, parts)
    codes = _codes(pixels, plan)
    return np.take(grey_table(codes, plan, parts), codes)


def _codes(pixels: NDArray[Any], plan: Plan) -> NDArray[Any]:
    """Stored values as unsigned numbers of `bits_stored` bits, right-aligned."""
    codes = pixels.view(np.dtype(f"u{pixels.dtype.itemsize}")) if pixels.dtype.kind == "i" else pixels
    if plan.high_bit >= plan.bits_stored:
        codes = codes >> (plan.high_bit + 1 - plan.bits_stored)
    if plan.bits_stored < 8 * codes.dtype.itemsize:
        codes = codes & ((1 << plan.bits_stored) - 1)
    return codes


def _values(plan: Plan) -> Floats:
    """The stored value of each code."""
    values = np.arange(1 << plan.bits_stored, dtype=np.float64)
    if plan.signed:
        half = 1 << (plan.bits_stored - 1)
        values[half:] -= 2 * half
    return values


def grey_table(codes: NDArray[Any], plan: Plan, parts: Parts) -> Picture:
    """What each stored value is shown as. codes: of the frame; their range counts where there is no window."""
    values = _values(plan)
    shown: NDArray[np.bool_] | None = None
    if plan.window is None and plan.voi is None and not _as_stored(plan):
        shown = np.zeros(len(values), np.bool_)
        shown[codes] = True
        if plan.padding:
            shown &= ~_is_padding(values, plan)
    table = _grey(values, shown, plan, parts)
    if plan.padding:
        table[_is_padding(values, plan)] = 0
    return table


def _as_stored(plan: Plan) -> bool:
    """Without a window, values of up to 8 bits are meant for the screen as they are; others have no such scale."""
    return plan.bits_stored <= 8 and plan.modality is None and (plan.slope, plan.intercept) == (1.0, 0.0)


def _is_padding(values: NDArray[Any], plan: Plan) -> NDArray[np.bool_]:
    assert plan.padding
    first, last = plan.padding
    return np.asarray((values >= first) & (values <= last))


def _shown(pixels: NDArray[Any], plan: Plan) -> NDArray[np.bool_]:
    shown = np.isfinite(pixels) if pixels.dtype.kind == "f" else np.ones(pixels.shape, np.bool_)
    return shown & ~_is_padding(pixels, plan) if plan.padding else shown


def _grey(values: Floats, shown: NDArray[np.bool_] | None, plan: Plan, parts: Parts) -> Picture:
    """Modality, VOI and presentation look-up, in this order. shown: which values make the range without a window."""
    values = np.nan_to_num(values, nan=0.0)
    if plan.modality:
        values = look_up(values, plan.modality, parts)
    elif (plan.slope, plan.intercept) != (1.0, 0.0):
        values = values * plan.slope + plan.intercept
    if plan.window:
        grey = windowed(values, plan.window)
    elif plan.voi:
        grey = look_up(values, plan.voi, parts) / ((1 << plan.voi.bits) - 1)
    elif _as_stored(plan):
        low = -(1 << (plan.bits_stored - 1)) if plan.signed else 0
        grey = (values - low) / ((1 << plan.bits_stored) - 1)
    else:
        grey = _stretched(values, shown)
    grey = np.clip(grey, 0.0, 1.0)
    if plan.inverse:
        grey = 1.0 - grey
    return np.rint(grey * 255.0).astype(np.uint8)


def _stretched(values: Floats, shown: NDArray[np.bool_] | None) -> Floats:
    """From the least value that is shown, black, to the greatest."""
    counted = values if shown is None else values[shown]
    if not counted.size:
        return np.zeros_like(values)
    low, high = float(counted.min()), float(counted.max())
    if not high > low:
        # One value only: what is nothing is black.
        return np.asarray(values > min(low, 0.0), np.float64)
    return (values - low) / (high - low)


def own_window(pixels: NDArray[Any], plan: Plan, parts: Parts) -> Window | None:
    """The window that `picture` stretches this frame by; None where the plan has one or none is needed.

    For frames that are looked at one after the other, which one frame's window makes comparable.
    """
    if plan.window or plan.voi or plan.palette or plan.photometric not in _GREY or _as_stored(plan):
        return None
    pixels = pixels[:, :, 0] if pixels.ndim == 3 else pixels
    if pixels.dtype.kind != "f" and plan.bits_stored <= _TABLE_BITS:
        pixels = _values(plan)[_codes(pixels, plan)]
    values = pixels.astype(np.float64)[_shown(pixels, plan)]
    if plan.modality:
        values = look_up(values, plan.modality, parts)
    values = values * plan.slope + plan.intercept
    if not values.size or not values.max() > values.min():
        return None
    low, high = float(values.min()), float(values.max())
    return Window((low + high) / 2, high - low, Function.LINEAR_EXACT)


def windowed(values: Floats, window: Window) -> Floats:
    """0 to 1 for each value, beyond it where `linear` functions overshoot (PS3.3 C.11.2.1.2.1, .3.1, .3.2)."""
    center, width = window.center, window.width
    if window.function is Function.SIGMOID:
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700.0, 700.0)))
    if window.function is Function.LINEAR_EXACT:
        return (values - center) / width + 0.5
    if width <= 1:
        return np.asarray(values > center - 0.5, np.float64)
    return (values - (center - 0.5)) / (width - 1.0) + 0.5


def _palette(pixels: NDArray[Any], plan: Plan, parts: Parts) -> Picture:
    if plan.palette is None or plan.bits_stored > _TABLE_BITS or pixels.dtype.kind == "f":
        raise CannotRender
    codes, values = _codes(pixels, plan), _values(plan)
    channels = []
    for lut in plan.palette:
        # Some tables of 16 bits hold values of 8: what is shown is the high byte, unless there is none.
        stored = entries(lut, parts)
        shift = 8 if lut.bits > 8 and int(stored.max(initial=0)) > 0xFF else 0
        indexes = np.clip(values - lut.first, 0, len(stored) - 1).astype(np.intp)
        channels.append((stored >> shift).astype(np.uint8)[indexes])
    if plan.supplemental:
        grey = grey_table(codes, plan, parts)
        below = values < plan.palette[0].first
        for channel in channels:
            channel[below] = grey[below]
    return np.stack([channel[codes] for channel in channels], axis=-1)


def _colour(pixels: NDArray[Any], plan: Plan) -> Picture:
    """RGB of 8 bits from the colour spaces of PS3.3 C.7.6.3.1.2."""
    if pixels.shape[2] != 3 or pixels.dtype.kind not in "ui":
        raise CannotRender
    if pixels.dtype.itemsize > 1 or plan.bits_stored != 8:
        codes = _codes(pixels, plan)
        top = (1 << plan.bits_stored) - 1
        pixels = (codes.astype(np.float32) * np.float32(255.0 / top) + np.float32(0.5)).astype(np.uint8)
    pixels = np.ascontiguousarray(pixels).view(np.uint8)
    if plan.photometric in _RGB:
        return pixels
    if plan.photometric in _YBR_PARTIAL:
        return _from_partial(pixels)
    if plan.photometric not in _YBR_FULL:
        raise CannotRender
    return np.asarray(Image.fromarray(pixels, mode="YCbCr").convert("RGB"))


def _from_partial(pixels: Picture) -> Picture:
    """YBR_PARTIAL: luminance from 16 to 235, chrominance from 16 to 240 around 128."""
    y = (pixels[:, :, 0].astype(np.float32) - 16.0) * (255.0 / 219.0)
    blue = (pixels[:, :, 1].astype(np.float32) - 128.0) * (255.0 / 224.0)
    red = (pixels[:, :, 2].astype(np.float32) - 128.0) * (255.0 / 224.0)
    rgb = np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], axis=-1)
    return np.asarray(np.rint(np.clip(rgb, 0.0, 255.0)), np.uint8)
