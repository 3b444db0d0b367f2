"""The picture as it was asked for: region, size, mirroring, annotation (PS3.18 8.3.5.1). In the decoder process."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wardlight.decoding.render import Picture
from wardlight.decoding.render_plan import Plan, View

#: Height of a line of annotation as a part of the picture's shorter side, and its bounds in pixels.
_LINE: Final = 1 / 32
_LINE_LEAST, _LINE_MOST = 9, 40
#: Characters of a line and lines in a corner that are drawn.
_CHARACTERS, _LINES = 64, 12


def viewed(picture: Picture, plan: Plan) -> Picture:
    """The picture cut, scaled, mirrored and annotated as the plan has it."""
    view = plan.view
    size = _size(picture, view)
    if view.region is not None or size != (picture.shape[1], picture.shape[0]):
        box = _box(picture, view)
        image = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
        picture = np.asarray(image)
    if view.flip_horizontal:
        picture = picture[:, ::-1]
    if view.flip_vertical:
        picture = picture[::-1]
    if any(plan.corners):
        picture = _annotated(picture, plan.corners)
    return np.ascontiguousarray(picture)


def _box(picture: Picture, view: View) -> tuple[float, float, float, float]:
    height, width = picture.shape[:2]
    if view.region is None:
        return 0.0, 0.0, float(width), float(height)
    left, top, wide, high = view.region
    return left, top, min(left + wide, width), min(top + high, height)


def _size(picture: Picture, view: View) -> tuple[int, int]:
    """Columns and rows to give: square pixels, the aspect ratio kept, as large as the viewport lets."""
    left, top, right, bottom = _box(picture, view)
    width, height = (right - left) * view.stretch[0], (bottom - top) * view.stretch[1]
    scale = 1.0
    if view.width or view.height:
        scale = min(side / own for side, own in ((view.width, width), (view.height, height)) if side)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _annotated(picture: Picture, corners: tuple[tuple[str, ...], tuple[str, ...]]) -> Picture:
    image = Image.fromarray(np.ascontiguousarray(picture))
    white: int | tuple[int, int, int] = 255 if image.mode == "L" else (255, 255, 255)
    black: int | tuple[int, int, int] = 0 if image.mode == "L" else (0, 0, 0)
    draw = ImageDraw.Draw(image)
    line = min(max(round(min(image.size) * _LINE), _LINE_LEAST), _LINE_MOST)
    font = _font(line)
    margin = max(2, line // 3)
    for lines, anchor, x in ((corners[0], "la", margin), (corners[1], "ra", image.width - margin)):
        for number, text in enumerate(lines[:_LINES]):
            place = (x, margin + number * round(line * 1.25))
            # An outline keeps the letters legible on any ground.
            draw.text(
                place,
                text[:_CHARACTERS],
                fill=white,
                font=font,
                anchor=anchor,
                stroke_width=max(1, line // 12),
                stroke_fill=black,
            )
    return np.asarray(image)


@lru_cache(maxsize=_LINE_MOST)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own typeface, which is in its code: the process may open no file, and load no shaping library."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)


_font(_LINE_LEAST)  # Once before the sandbox closes.
