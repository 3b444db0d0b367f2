"""A Measurement Report (PS3.16 TID 1500) as a Comprehensive SR (PS3.3 A.35.3), in the DICOM JSON model.

It holds geometry, numbers and codes; the observer's name is the only text that a person chose.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

COMPREHENSIVE_SR: Final = "1.2.840.10008.5.1.4.1.1.88.33"

Model = dict[str, Any]
_Code = tuple[str, str, str]


class Shape(StrEnum):
    """What was drawn. Points are (column, row), (0, 0) the outer corner of the first pixel (PS3.3 C.18.6.1.1).

    ellipse: ends of the major axis, then of the minor one. rectangle, polygon: corners, closed by us.
    """

    LENGTH = "length"
    ANGLE = "angle"
    ELLIPSE = "ellipse"
    RECTANGLE = "rectangle"
    POLYGON = "polygon"


class Quantity(StrEnum):
    """What was measured. length in mm, angle in degrees, area in mm²; the others in the unit of the pixels."""

    LENGTH = "length"
    ANGLE = "angle"
    AREA = "area"
    MEAN = "mean"
    DEVIATION = "deviation"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"


class Unit(StrEnum):
    """Units (UCUM); `1` stands for those of pixels without one, `px` for a length that nothing calibrates."""

    MILLIMETRE = "mm"
    SQUARE_MILLIMETRE = "mm2"
    DEGREE = "deg"
    HOUNSFIELD = "HU"
    PIXEL = "px"
    SQUARE_PIXEL = "px2"
    NONE = "1"


#: How many points a shape has, at least and at most.
POINTS: Final = {
    Shape.LENGTH: (2, 2),
    Shape.ANGLE: (3, 3),
    Shape.ELLIPSE: (4, 4),
    Shape.RECTANGLE: (4, 4),
    Shape.POLYGON: (3, 1000),
}
_PIXELS: Final = frozenset({Unit.HOUNSFIELD, Unit.NONE})
#: Units that a quantity may have.
UNITS: Final = {
    Quantity.LENGTH: frozenset({Unit.MILLIMETRE, Unit.PIXEL}),
    Quantity.ANGLE: frozenset({Unit.DEGREE}),
    Quantity.AREA: frozenset({Unit.SQUARE_MILLIMETRE, Unit.SQUARE_PIXEL}),
    Quantity.MEAN: _PIXELS,
    Quantity.DEVIATION: _PIXELS,
    Quantity.MINIMUM: _PIXELS,
    Quantity.MAXIMUM: _PIXELS,
}
#: What a shape can say.
QUANTITIES: Final = {
    Shape.LENGTH: frozenset({Quantity.LENGTH}),
    Shape.ANGLE: frozenset({Quantity.ANGLE}),
    **dict.fromkeys(
        (Shape.ELLIPSE, Shape.RECTANGLE, Shape.POLYGON),
        frozenset(Quantity) - {Quantity.LENGTH, Quantity.ANGLE},
    ),
}

_CONCEPTS: Final[dict[Quantity, _Code]] = {
    Quantity.LENGTH: ("410668003", "SCT", "Length"),
    Quantity.ANGLE: ("1483009", "SCT", "Angle"),
    Quantity.AREA: ("42798000", "SCT", "Area"),
    Quantity.MEAN: ("373098007", "SCT", "Mean"),
    Quantity.DEVIATION: ("386136009", "SCT", "Standard Deviation"),
    Quantity.MINIMUM: ("255605001", "SCT", "Minimum"),
    Quantity.MAXIMUM: ("56851009", "SCT", "Maximum"),
}
_UNIT_CODES: Final[dict[Unit, _Code]] = {
    Unit.MILLIMETRE: ("mm", "UCUM", "mm"),
    Unit.SQUARE_MILLIMETRE: ("mm2", "UCUM", "square millimeter"),
    Unit.DEGREE: ("deg", "UCUM", "degree"),
    Unit.HOUNSFIELD: ("[hnsf'U]", "UCUM", "Hounsfield unit"),
    Unit.PIXEL: ("{pixels}", "UCUM", "pixels"),
    Unit.SQUARE_PIXEL: ("{pixels}", "UCUM", "pixels"),
    Unit.NONE: ("1", "UCUM", "no units"),
}
_REPORT: Final = ("126000", "DCM", "Imaging Measurement Report")
_CONTAINS: Final = "CONTAINS"
_CONTEXT: Final = "HAS OBS CONTEXT"
_MODIFIER: Final = "HAS CONCEPT MOD"


@dataclass(frozen=True, slots=True)
class Image:
    """The image, or the frame of it, that was measured. frame: from 1, 0 where it has one frame."""

    series: str = field(repr=False)
    instance: str = field(repr=False)
    sop_class: str
    frame: int = 0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One shape on one image. tracking: UID that it keeps through all versions of the report."""

    shape: Shape
    image: Image
    points: tuple[tuple[float, float], ...] = field(repr=False)
    values: tuple[tuple[Quantity, float, Unit], ...] = field(repr=False)
    tracking: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The report that this one takes the place of."""

    series: str = field(repr=False)
    instance: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says besides what its study does.

    patient: attributes of patient and study as the measured images have them. observer: name (PN) and id. date, time:
    of its content (DA, TM). number: of this version, from 1.
    """

    patient: Model = field(repr=False)
    study: str = field(repr=False)
    series: str = field(repr=False)
    instance: str = field(repr=False)
    observer: tuple[str, str] = field(repr=False)
    date: str
    time: str
    number: int = 1
    predecessor: Predecessor | None = None


def model(report: Report, measurements: Sequence[Measurement]) -> Model:
    """The data set. Without measurements it says that there are none any more."""
    found: Model = {
        **report.patient,
        "00080005": _one("CS", "ISO_IR 192"),
        "00080016": _one("UI", COMPREHENSIVE_SR),
        "00080018": _one("UI", report.instance),
        "00080023": _one("DA", report.date),
        "00080033": _one("TM", report.time),
        "00080060": _one("CS", "SR"),
        "00080070": _one("LO", "Wardlight"),
        "0008103E": _one("LO", "Measurements"),
        "00081111": {"vr": "SQ"},
        "0020000D": _one("UI", report.study),
        "0020000E": _one("UI", report.series),
        "00200011": _one("IS", 9001),
        "00200013": _one("IS", report.number),
        "0040A040": _one("CS", "CONTAINER"),
        "0040A043": _codes(_REPORT),
        "0040A050": _one("CS", "SEPARATE"),
        "0040A372": {"vr": "SQ"},
        "0040A491": _one("CS", "COMPLETE"),
        "0040A493": _one("CS", "UNVERIFIED"),
        "0040A504": _items({"00080105": _one("CS", "DCMR"), "0040DB00": _one("CS", "1500")}),
        "0040A730": _items(*_content(report, measurements)),
    }
    if measurements:
        found["0040A375"] = _items(_evidence(report.study, [one.image for one in measurements]))
    if report.predecessor is not None:
        before = report.predecessor
        same = Image(before.series, before.instance, COMPREHENSIVE_SR)
        found["0040A360"] = _items(_evidence(report.study, [same]))
    return found


def _content(report: Report, measurements: Sequence[Measurement]) -> Iterable[Model]:
    """TID 1500, with TID 1204 and 1001."""
    name, login = report.observer
    yield _coded(
        _MODIFIER, ("121049", "DCM", "Language of Content Item and Descendants"), ("en", "RFC5646", "English")
    )
    yield _coded(_CONTEXT, ("121005", "DCM", "Observer Type"), ("121006", "DCM", "Person"))
    yield {
        **_item(_CONTEXT, "PNAME", ("121008", "DCM", "Person Observer Name")),
        "0040A123": _one("PN", {"Alphabetic": name}),
    }
    yield _text(_CONTEXT, ("128774", "DCM", "Person Observer's Login Name"), login)
    yield _coded(
        _MODIFIER, ("121058", "DCM", "Procedure reported"), ("363679005", "SCT", "Imaging procedure")
    )
    groups = [_group(one, number) for number, one in enumerate(measurements, 1)]
    yield _container(("126010", "DCM", "Imaging Measurements"), groups)


def _group(one: Measurement, number: int) -> Model:
    """TID 1501 for lines, TID 1410 for regions."""
    region = one.shape not in (Shape.LENGTH, Shape.ANGLE)
    uid = _item(_CONTEXT, "UIDREF", ("112040", "DCM", "Tracking Unique Identifier"))
    held = [
        _text(_CONTEXT, ("112039", "DCM", "Tracking Identifier"), f"{one.shape} {number}"),
        {**uid, "0040A124": _one("UI", one.tracking)},
    ]
    if region:
        held.append(_drawn(one, _CONTAINS, ("111030", "DCM", "Image Region")))
    for quantity, value, unit in one.values:
        measured = {
            "0040A30A": _one("DS", decimal(value)),
            "004008EA": _codes(_UNIT_CODES[unit]),
        }
        number_item = {**_item(_CONTAINS, "NUM", _CONCEPTS[quantity]), "0040A300": _items(measured)}
        if not region:
            number_item["0040A730"] = _items(_drawn(one, "INFERRED FROM", None))
        held.append(number_item)
    return _container(("125007", "DCM", "Measurement Group"), held)


def _drawn(one: Measurement, relation: str, name: _Code | None) -> Model:
    """The shape, and the image that it was drawn on (PS3.3 C.18.6)."""
    points = list(one.points)
    if one.shape in (Shape.RECTANGLE, Shape.POLYGON):
        points.append(points[0])
    reference = {"00081150": _one("UI", one.image.sop_class), "00081155": _one("UI", one.image.instance)}
    if one.image.frame:
        reference["00081160"] = _one("IS", one.image.frame)
    return {
        **_item(relation, "SCOORD", name),
        "00700022": {"vr": "FL", "Value": [place for point in points for place in point]},
        "00700023": _one("CS", "ELLIPSE" if one.shape is Shape.ELLIPSE else "POLYLINE"),
        "0040A730": _items({**_item("SELECTED FROM", "IMAGE", None), "00081199": _items(reference)}),
    }


def _evidence(study: str, images: Iterable[Image]) -> Model:
    """Every instance once, by its series (PS3.3 C.17.2.1)."""
    series: dict[str, dict[str, Model]] = {}
    for one in images:
        reference = {"00081150": _one("UI", one.sop_class), "00081155": _one("UI", one.instance)}
        series.setdefault(one.series, {})[one.instance] = reference
    held = [{"00081199": _items(*rows.values()), "0020000E": _one("UI", uid)} for uid, rows in series.items()]
    return {"00081115": _items(*held), "0020000D": _one("UI", study)}


def decimal(value: float) -> str:
    """A number as a DS: at most 16 characters (PS3.5 Table 6.2-1)."""
    for digits in range(12, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError("no DS")


def _one(vr: str, value: Any) -> Model:
    return {"vr": vr, "Value": [value]}


def _items(*items: Model) -> Model:
    return {"vr": "SQ", "Value": list(items)}


def _codes(code: _Code) -> Model:
    value, scheme, meaning = code
    return _items(
        {"00080100": _one("SH", value), "00080102": _one("SH", scheme), "00080104": _one("LO", meaning)}
    )


def _item(relation: str, kind: str, name: _Code | None) -> Model:
    named = {"0040A043": _codes(name)} if name is not None else {}
    return {"0040A010": _one("CS", relation), "0040A040": _one("CS", kind), **named}


def _coded(relation: str, name: _Code, value: _Code) -> Model:
    return {**_item(relation, "CODE", name), "0040A168": _codes(value)}


def _text(relation: str, name: _Code, value: str) -> Model:
    return {**_item(relation, "TEXT", name), "0040A160": _one("UT", value)}


def _container(name: _Code, held: Sequence[Model]) -> Model:
    found = {**_item(_CONTAINS, "CONTAINER", name), "0040A050": _one("CS", "SEPARATE")}
    if held:
        found["0040A730"] = _items(*held)
    return found
