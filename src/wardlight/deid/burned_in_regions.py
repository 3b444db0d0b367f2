"""Regions that devices are known to write names into (`regions.toml`): they go whatever a detector finds.

They only ever add: nothing is left out of looking because a device is known.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from wardlight.deid.burned_in import Box
from wardlight.deid.quarantine import MANUFACTURER, MODALITY, MODEL
from wardlight.dicom.elements import Element, text
from wardlight.dicom.frame import FrameShape


@dataclass(frozen=True, slots=True)
class _Region:
    """maker, model: parts of what the device says of itself, folded; rows: 0 for any; top: height in pixels."""

    maker: str
    model: str
    rows: int
    top: int


@cache
def _regions() -> tuple[_Region, ...]:
    data = tomllib.loads(files("wardlight.deid").joinpath("regions.toml").read_text("utf-8"))
    return tuple(_Region(**row) for row in data["region"])


def known_boxes(header: bytes, elements: Mapping[int, Element], shape: FrameShape) -> tuple[Box, ...]:
    """The regions of an ultrasound device in frames of this size."""
    if text(header, elements.get(MODALITY)).upper() != "US":
        return ()
    maker, model = (text(header, elements.get(tag)).casefold() for tag in (MANUFACTURER, MODEL))
    return tuple(
        (0, 0, shape.columns, min(one.top, shape.rows))
        for one in _regions()
        if one.rows in (0, shape.rows) and one.maker in maker and one.model in model
    )
