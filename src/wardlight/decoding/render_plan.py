"""What to do to a decoded frame so that people can look at it: plain values, sent to the decoder process as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from typing import Any, Final


class Function(StrEnum):
    """VOI LUT Function (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""

    LINEAR = "linear"
    LINEAR_EXACT = "linear-exact"
    SIGMOID = "sigmoid"


@dataclass(frozen=True, slots=True)
class Window:
    """A window over the output of the Modality LUT. width: at least 1 where `linear`, else above 0."""

    center: float
    width: float
    function: Function = Function.LINEAR


@dataclass(frozen=True, slots=True)
class Lut:
    """A look-up table (PS3.3 C.11.1.1.1): count entries, the first one for value `first`, of so many bits.

    part: which of the byte strings sent with the plan holds the entries, in little endian. segmented: they are
    segments (PS3.3 C.7.9.2).
    """

    first: int
    count: int
    bits: int
    part: int
    segmented: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What of the image is shown, how large (PS3.18 8.3.5.1.3).

    width, height: of the viewport that the image is fitted into, 0 for its own size. region: left, top, width, height
    in pixels of the source; None for all. stretch: factors for columns and rows that make its pixels square.
    """

    width: int = 0
    height: int = 0
    region: tuple[float, float, float, float] | None = None
    flip_horizontal: bool = False
    flip_vertical: bool = False
    stretch: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """The pixel transformation sequence (PS3.4 N.2) for one frame, and how its picture is encoded.

    high_bit, bits_stored, signed: of stored values. padding: stored values from, to that are no image, both included.
    inverse: bright and dark change places at the end. palette: red, green, blue; with `supplemental` only for values
    from its first on, grey below (PS3.3 C.7.6.19). window goes before voi. icc: part with the ICC profile, -1 none;
    icc_use: `no`, `yes` to keep it with the picture, `srgb` to convert by it. corners: lines of text for the upper left
    and the upper right.
    """

    photometric: str
    bits_stored: int
    high_bit: int
    signed: bool
    slope: float = 1.0
    intercept: float = 0.0
    modality: Lut | None = None
    window: Window | None = None
    voi: Lut | None = None
    inverse: bool = False
    padding: tuple[int, int] | None = None
    palette: tuple[Lut, Lut, Lut] | None = None
    supplemental: bool = False
    icc: int = -1
    icc_use: str = "no"
    view: View = field(default_factory=View)
    corners: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    quality: int = 90

    def to_json(self) -> dict[str, Any]:
        """For `from_json` on the other side; what is as by default is left out."""
        found = {
            name: value for name in self.__slots__ if (value := getattr(self, name)) != _DEFAULTS.get(name)
        }
        return {name: _plain(value) for name, value in found.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        """The plan that `to_json` wrote; lists stand for tuples."""
        given = dict(value)
        for name in ("modality", "voi"):
            if name in given:
                given[name] = Lut(**given[name])
        if window := given.get("window"):
            given["window"] = Window(window["center"], window["width"], Function(window["function"]))
        if palette := given.get("palette"):
            given["palette"] = tuple(Lut(**row) for row in palette)
        if padding := given.get("padding"):
            given["padding"] = tuple(padding)
        if view := given.get("view"):
            region = view["region"]
            view = {**view, "region": tuple(region) if region else None, "stretch": tuple(view["stretch"])}
            given["view"] = View(**view)
        if corners := given.get("corners"):
            given["corners"] = tuple(tuple(lines) for lines in corners)
        return cls(**given)


_DEFAULTS: Final[dict[str, Any]] = {
    row.name: row.default_factory() if row.default_factory is not MISSING else row.default
    for row in fields(Plan)
}


def _plain(value: Any) -> Any:
    if isinstance(value, Lut | Window | View):
        return {name: getattr(value, name) for name in value.__slots__}
    return [_plain(row) for row in value] if isinstance(value, tuple) else value
