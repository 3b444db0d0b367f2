"""Measurements of people on a study's images, kept as a DICOM SR beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from wardlight.api.call import ApiRequest
from wardlight.api.fields import Fields
from wardlight.dicom.measurement_report import (
    POINTS,
    QUANTITIES,
    UNITS,
    Image,
    Measurement,
    Predecessor,
    Quantity,
    Shape,
    Unit,
)
from wardlight.dicom.uid import is_valid_uid
from wardlight.dicomweb.call import Answer, is_uid
from wardlight.errors import WardlightError
from wardlight.ingest.measurements import MOST, Wish, new_uid
from wardlight.trail.call import answer

_KNOWN: Final = frozenset({"measurements", "replaces", "version"})
_ONE: Final = frozenset({"kind", "series", "instance", "frame", "points", "values", "tracking"})
_VALUE: Final = frozenset({"quantity", "value", "unit"})
_REPLACED: Final = frozenset({"series", "instance"})
#: Farthest that a point may lie, in pixels, and the largest value.
_FAR: Final = 1e5
_LARGEST: Final = 1e7
_VERSIONS: Final = 100_000


def write(request: ApiRequest) -> Answer:
    """POST /api/v1/studies/{study}/measurements."""
    study = request.path["study"]
    if not is_uid(study):
        raise WardlightError("not-found")
    fields = Fields(request.body, _KNOWN)
    version = fields.number("version", 1)
    if not 1 <= version <= _VERSIONS:
        raise _bad("version")
    wish = Wish(study, _measurements(request.body.get("measurements")), version, _replaced(fields))
    if not wish.measurements and wish.predecessor is None:
        raise _bad("measurements")
    people, principal, scope = request.platform.people, request.principal, request.scope
    written = request.platform.measurements.write(
        principal, wish, lambda: people.self(principal).name, request=scope.request, address=scope.address
    )
    return answer(
        {"series": written.series, "instance": written.instance, "version": written.number}, status=201
    )


def _replaced(fields: Fields) -> Predecessor | None:
    if "replaces" not in fields:
        return None
    one = Fields(fields.members("replaces"), _REPLACED)
    return Predecessor(_uid(one, "series"), _uid(one, "instance"))


def _measurements(rows: object) -> tuple[Measurement, ...]:
    if not isinstance(rows, list) or len(rows) > MOST:
        raise WardlightError("bad-request", f"measurements is a list of at most {MOST}")
    found = tuple(_measurement(Fields(_members(row), _ONE), row) for row in rows)
    if len({one.tracking for one in found}) < len(found):
        raise _bad("tracking")
    return found


def _measurement(one: Fields, row: Mapping[str, Any]) -> Measurement:
    shape = one.choice("kind", Shape)
    frame = one.number("frame", 0)
    if not 0 <= frame < 1 << 31:
        raise _bad("frame")
    return Measurement(
        shape,
        Image(_uid(one, "series"), _uid(one, "instance"), "", frame),
        _points(shape, row.get("points")),
        _values(shape, row.get("values")),
        _uid(one, "tracking") if "tracking" in one else new_uid(),
    )


def _points(shape: Shape, rows: object) -> tuple[tuple[float, float], ...]:
    least, most = POINTS[shape]
    if not isinstance(rows, list) or not least <= len(rows) <= most:
        raise _bad("points")
    found = []
    for row in rows:
        if not isinstance(row, list) or len(row) != 2:
            raise _bad("points")
        found.append((_number(row[0], "points", _FAR), _number(row[1], "points", _FAR)))
    return tuple(found)


def _values(shape: Shape, rows: object) -> tuple[tuple[Quantity, float, Unit], ...]:
    """At least one, each quantity once, in a unit that it can have."""
    if not isinstance(rows, list) or not 1 <= len(rows) <= len(QUANTITIES[shape]):
        raise _bad("values")
    found = []
    for row in rows:
        one = Fields(_members(row), _VALUE)
        quantity, unit = one.choice("quantity", Quantity), one.choice("unit", Unit)
        if quantity not in QUANTITIES[shape] or unit not in UNITS[quantity]:
            raise _bad("values")
        found.append((quantity, _number(row.get("value"), "values", _LARGEST), unit))
    if len({quantity for quantity, _, _ in found}) < len(found):
        raise _bad("values")
    return tuple(found)


def _number(value: object, name: str, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(name)
    number = float(value) if abs(value) <= most else math.inf
    if not math.isfinite(number):
        raise _bad(name)
    return number


def _members(row: object) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise _bad("measurements")
    return row


def _uid(fields: Fields, name: str) -> str:
    value = fields.text(name)
    if not is_valid_uid(value):
        raise _bad(name)
    return value


def _bad(name: str) -> WardlightError:
    return WardlightError("bad-request", f"{name} is not as it must be")
