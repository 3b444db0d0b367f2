"""Rendering parameters of a query string (PS3.18 8.3.5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn
from urllib.parse import parse_qsl

from wardlight.decoding.render_plan import Function, View, Window
from wardlight.errors import WardlightError

#: Pixels of a viewport's side (security.md section 8).
LARGEST_SIDE: Final = 8192
QUALITY: Final = 90
_FIELDS: Final = 100
_ANNOTATIONS: Final = frozenset({"patient", "technique"})
_ICC: Final = frozenset({"no", "yes", "srgb"})
_NAMES: Final = frozenset({"annotation", "quality", "viewport", "window", "iccprofile", "accept"})


@dataclass(frozen=True, slots=True)
class Parameters:
    """How a picture is wanted. view: without the stretch, which is the image's."""

    annotations: frozenset[str] = frozenset()
    quality: int = QUALITY
    view: View = field(default_factory=View)
    window: Window | None = None
    icc: str = "no"


def fields(query: str, names: frozenset[str]) -> dict[str, str]:
    """The parameters of these names; others are ignored (PS3.18 8.3.5: not all must be supported).

    Raises `bad-request` where one is given twice or the grammar is broken.
    """
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError:
        raise WardlightError("bad-request", "the query string is not understood") from None
    for name, value in pairs:
        if name in names:
            if name in found:
                raise WardlightError("bad-request", f"{name} is given twice")
            found[name] = value
    return found


def parse(query: str) -> Parameters:
    """Read the parameters of a rendered resource. Raises `bad-request` for a value that is none."""
    found = fields(query, _NAMES)
    return Parameters(
        annotations=keywords(found.get("annotation", "")),
        quality=quality(found, "quality"),
        view=_viewport(found["viewport"]) if "viewport" in found else View(),
        window=_window(found["window"]) if "window" in found else None,
        icc=_icc(found.get("iccprofile", "no")),
    )


def keywords(value: str) -> frozenset[str]:
    """Of a list of keywords those we know; the others shall be ignored (8.3.5.1.1)."""
    return frozenset(keyword.strip() for keyword in value.split(",")) & _ANNOTATIONS


def quality(found: Mapping[str, str], name: str) -> int:
    """A whole number from 1 to 100 (8.3.5.1.2)."""
    value = found.get(name, str(QUALITY))
    if not (value.isascii() and value.isdigit() and len(value) <= 3 and 1 <= int(value) <= 100):
        raise WardlightError("bad-request", f"{name} is not a whole number from 1 to 100")
    return int(value)


def _viewport(value: str) -> View:
    """vw,vh[,sx,sy,sw,sh]: each of the last four may be left empty; negative sizes mirror (8.3.5.1.3)."""
    parts = value.split(",")
    if len(parts) not in (2, 6):
        _bad_viewport()
    width, height = side(parts[0], "viewport"), side(parts[1], "viewport")
    if len(parts) == 2:
        return View(width, height)
    left, top, wide, high = (number(part, "viewport") if part.strip() else None for part in parts[2:])
    if wide == 0 or high == 0:
        _bad_viewport()
    region = None
    if any(part is not None for part in (left, top, wide, high)):
        # A size that is missing reaches to the image's edge, see `plan`.
        region = (abs(left or 0.0), abs(top or 0.0), abs(wide or math.inf), abs(high or math.inf))
    return View(width, height, region, (wide or 0) < 0, (high or 0) < 0)


def _bad_viewport() -> NoReturn:
    raise WardlightError("bad-request", "viewport is not vw,vh or vw,vh,sx,sy,sw,sh")


def side(value: str, name: str) -> int:
    """A width or height in pixels."""
    found = number(value, name)
    if found != int(found) or not 1 <= found <= LARGEST_SIDE:
        raise WardlightError("bad-request", f"{name}: sizes are whole numbers from 1 to {LARGEST_SIDE}")
    return int(found)


def number(value: str, name: str) -> float:
    """A decimal number."""
    try:
        found = float(value) if value.isascii() and len(value) <= 32 and "_" not in value else math.nan
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise WardlightError("bad-request", f"{name} holds something that is no number")
    return found


def _window(value: str) -> Window:
    """center,width,function (8.3.5.1.4)."""
    parts = value.split(",")
    if len(parts) != 3:
        raise WardlightError("bad-request", "window is not center,width,function")
    try:
        function = Function(parts[2].strip().lower())
    except ValueError:
        raise WardlightError(
            "bad-request", "window has a function other than linear, linear-exact, sigmoid"
        ) from None
    return window(number(parts[0], "window"), number(parts[1], "window"), function)


def window(center: float, width: float, function: Function = Function.LINEAR) -> Window:
    """A window whose width is one the function can have (PS3.3 C.11.2.1.2)."""
    if width <= 0 or (function is Function.LINEAR and width < 1):
        raise WardlightError("bad-request", "the window is too narrow for its function")
    return Window(center, width, function)


def _icc(value: str) -> str:
    if value not in _ICC:
        raise WardlightError("bad-request", "iccprofile is none of no, yes, srgb")
    return value


def thumbnail(query: str, largest: int) -> Parameters:
    """Read the parameters of a thumbnail, of which there is only vw,vh (8.3.5.2); `largest` is its size by default."""
    found = fields(query, frozenset({"viewport", "accept"}))
    if "viewport" not in found:
        return Parameters(view=View(largest, largest), quality=80)
    view = _viewport(found["viewport"])
    if view.region is not None:
        raise WardlightError("bad-request", "the viewport of a thumbnail is vw,vh")
    return Parameters(view=view, quality=80)
