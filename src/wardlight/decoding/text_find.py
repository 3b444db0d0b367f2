"""Boxes around text in a picture, by PP-OCRv6's detector. In the decoder process.

The picture is looked at twice: enlarged, where it is small, or in tiles, where it is large, so that letters of ten
pixels are seen; and once reduced, for letters too large for that. Low frequencies are taken out before, as the network
otherwise takes a whole body for one large letter and with it all that is written on it.

What the network is sure of is a box, whatever can be read in it. What it is not sure of, and what is larger than lines
of text are, counts where something can be read: reading never takes a sure box away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from wardlight.decoding.text_components import components
from wardlight.decoding.text_models import text_map
from wardlight.decoding.text_read import Reader
from wardlight.decoding.text_view import Picture, coloured

Box = tuple[int, int, int, int]
"""Left, top, right, bottom; right and bottom exclusive."""

#: The shorter side is enlarged to this, but never by more than `_MOST_SCALE`: of letters of 9 to 18 pixels on speckle
#: and noise the network finds 96 % at 736, as it was taught with, and 99 % here.
_SHORT: Final = 896
_MOST_SCALE: Final = 2.0
#: The longer side of the reduced picture.
_REDUCED: Final = 384
#: Longest side of a tile, a multiple of 32: what the network needs for it stays within half the memory. Tiles overlap.
_TILE: Final = 1024
_OVERLAP: Final = 96
#: Pixels repeated around the picture: the network overlooks letters that touch the edge.
_EDGE: Final = 16
#: Radius of the blur that is subtracted: more than the width of the strokes that are looked for.
_RADIUS: Final = 15
#: A tile without any difference as large as this (of 255) has nothing to see.
_FLAT: Final = 6
#: A pixel of the map counts from here on; an area counts from `_POSSIBLE` on, and surely from `_SURE` on.
_PIXEL: Final = 0.25
_POSSIBLE: Final = 0.3
_SURE: Final = 0.6
#: The network marks the core of a line; its box is grown by this much of area / perimeter, as it was taught.
_GROW: Final = 1.8
#: Ends of a line are grown by so much of its height more: the first and the last letter are marked the weakest.
_ENDS: Final = 0.6
#: Pixels of the looked-at picture: what is thicker is more than a line of text, what is smaller no letters of it.
_THICK: Final = 90
_THIN: Final = 8
_THIN_UNSURE: Final = 12


@dataclass(frozen=True, slots=True)
class _Area:
    box: Box
    score: float
    thick: bool


def find(picture: Picture, reader: Reader) -> list[tuple[Box, str]]:
    """Boxes of a picture, in its pixels, each with what was read in it."""
    rows, columns = picture.shape[:2]
    scale = min(max(1.0, _SHORT / min(rows, columns)), _MOST_SCALE)
    areas = _areas(picture, scale, reduced=False)
    small = _REDUCED / max(rows, columns)
    if small < 0.75 * scale:
        areas += _areas(picture, small, reduced=True)
    kept: list[tuple[Box, str]] = []
    for area in sorted(areas, key=lambda one: -_size(one.box)):
        if any(_holds(box, area.box) for box, _ in kept):
            continue
        read = reader.read(picture, area.box)
        if (area.score >= _SURE and not area.thick) or read.certain:
            kept.append((area.box, read.text))
    return kept


def _size(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _holds(outer: Box, inner: Box) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


def _areas(picture: Picture, scale: float, *, reduced: bool) -> list[_Area]:
    """Candidates at one scale. reduced: only what is sharp there counts, and all of it must be read."""
    rows, columns = picture.shape[:2]
    height, width = max(1, round(rows * scale)), max(1, round(columns * scale))
    image = Image.fromarray(picture)
    if (height, width) != (rows, columns):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    found = []
    for left, top, tile in _tiles(np.asarray(image)):
        for box, score in _marked(tile):
            thickness = min(box[2] - box[0], box[3] - box[1])
            place = _unscaled(box, left, top, scale, columns, rows)
            found.append(_Area(place, score, reduced or thickness > _THICK))
    return [area for area in found if _size(area.box)]


def _flattened(tile: Picture) -> Picture:
    """What differs from its surroundings, around the middle grey."""
    around = np.asarray(Image.fromarray(tile).filter(ImageFilter.BoxBlur(_RADIUS)), np.float32)
    return np.asarray(np.clip(np.rint(tile - around + 128), 0, 255), np.uint8)


def _tiles(picture: Picture) -> Iterator[tuple[int, int, Picture]]:
    """Where each tile begins in the picture, and its flattened pixels, of sides that the network takes."""
    rows, columns = picture.shape[:2]
    whole = np.pad(picture, ((_EDGE, _EDGE), (_EDGE, _EDGE), (0, 0))[: picture.ndim], mode="edge")
    tops, high = _parts(rows + 2 * _EDGE)
    lefts, wide = _parts(columns + 2 * _EDGE)
    for top in tops:
        for left in lefts:
            tile = whole[top : top + high, left : left + wide]
            sides = ((0, -tile.shape[0] % 32), (0, -tile.shape[1] % 32), (0, 0))[: tile.ndim]
            flat = _flattened(np.pad(tile, sides, mode="edge"))
            if int(flat.max()) - int(flat.min()) >= _FLAT:
                yield left - _EDGE, top - _EDGE, coloured(flat)


def _parts(length: int) -> tuple[list[int], int]:
    """Where tiles begin along a side, and how long they are: all alike, with `_OVERLAP` in common at least."""
    count = max(1, -(-(length - _OVERLAP) // (_TILE - _OVERLAP)))
    side = min(length, -(-(length + (count - 1) * _OVERLAP) // (32 * count)) * 32)
    return [round(number * (length - side) / max(1, count - 1)) for number in range(count)], side


def _marked(tile: Picture) -> list[tuple[tuple[float, float, float, float], float]]:
    """Grown boxes of what the network marks in one tile, and how sure it is."""
    marks = text_map(tile)
    boxes, means = components(marks > _PIXEL, marks)
    found = []
    for (left, top, right, bottom), mean in zip(boxes.tolist(), means.tolist(), strict=True):
        wide, high = right - left, bottom - top
        grow = wide * high * _GROW / (2 * (wide + high)) + 1
        thickness = min(wide, high) + 2 * grow
        if mean < _POSSIBLE or thickness < (_THIN if mean >= _SURE else _THIN_UNSURE):
            continue
        more = grow + _ENDS * min(thickness, _THICK)
        across, along = (more, grow) if wide >= high else (grow, more)
        found.append(((left - across, top - along, right + across, bottom + along), mean))
    return found


def _unscaled(
    box: tuple[float, float, float, float], left: int, top: int, scale: float, columns: int, rows: int
) -> Box:
    """In pixels of the picture, rounded outwards and cut at its edges."""
    return (
        min(max(0, int((box[0] + left) / scale)), columns),
        min(max(0, int((box[1] + top) / scale)), rows),
        max(0, min(columns, -int(-(box[2] + left) / scale // 1))),
        max(0, min(rows, -int(-(box[3] + top) / scale // 1))),
    )
