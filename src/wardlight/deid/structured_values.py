"""The values of content items: the rules of their elements, under what the item's concept says (`structured`)."""

from __future__ import annotations

from typing import Final

from wardlight.deid.dates import OLDEST
from wardlight.deid.handlers import DUMMY
from wardlight.deid.state import ObjectState
from wardlight.deid.structured import VALUE_TYPE
from wardlight.dicom.dictionary import vr_of
from wardlight.dicom.rewrite import Handler, Rule

_PATIENT_NAME: Final = 0x00100010
_TEXT: Final = 0x0040A160
_NUMBER: Final = 0x0040A30A
#: Other forms of a number that stands in (0040,A30A).
_FORMS: Final = frozenset((0x0040A161, 0x0040A162, 0x0040A163))
#: Elements that hold the value of a content item, or that of the code or the number in one.
VALUES: Final = _FORMS | {
    *(0x0040A120, 0x0040A121, 0x0040A122, 0x0040A123, _TEXT, _NUMBER, 0x00700006),
    *(0x00080100, 0x00080102, 0x00080104, 0x00080119, 0x00080120),
}
#: How many of a UCUM unit make a year.
_YEARS: Final = {b"a": 1.0, b"mo": 12.0, b"wk": 52.0, b"d": 365.0}
_SHORTEST: Final = 5


def ruled(tag: int, rule: Rule, bands: bool, link: Handler | None) -> Rule:
    """The rule of an element below the top level, aware of the content item it stands in.

    bands: ages are told in steps of five years. link: for the names of lesions, None where they are text like other.
    """
    if tag == VALUE_TYPE and callable(rule):
        return _value_type(rule)
    if tag not in VALUES or not callable(rule):
        return rule
    inner = _age(tag, rule, bands) if tag == _NUMBER or tag in _FORMS else rule
    if tag == _TEXT and link is not None:
        inner = _linked(rule, link)
    return _value(inner, None if tag in _FORMS else DUMMY[vr_of(tag)])


def _value(inner: Handler, dummy: bytes | None) -> Handler:
    """`inner`, but a value that its concept forbids is harvested where it identifies, and says nothing any more."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        content = state.content
        if not content.gone:
            return inner(state, tag, vr, value)
        if len(value) >= _SHORTEST or vr == b"PN":
            named = content.harvested == _PATIENT_NAME
            state.seen.append((content.harvested or tag, b"PN" if named else vr, value, state.charset))
        return dummy

    return handle


def _linked(inner: Handler, link: Handler) -> Handler:
    """`inner`, but a name of a lesion is one in every object, or lesions could no more be told apart."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        return link(state, tag, vr, value) if state.content.link else inner(state, tag, vr, value)

    return handle


def _value_type(inner: Handler) -> Handler:
    """The value type must be the one that was read ahead."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        if state.concepts is not None and state.content.value_type != value.strip(b" \0"):
            state.unclear = True
        return inner(state, tag, vr, value)

    return handle


def _age(tag: int, inner: Handler, bands: bool) -> Handler:
    """A patient's age as a number: over 89 years as 90, in bands where the profile wants them."""

    def handle(state: ObjectState, one: int, vr: bytes, value: bytes) -> bytes | None:
        if not state.content.age:
            return inner(state, one, vr, value)
        return inner(state, one, vr, coarse(value, state.content.unit, bands)) if tag == _NUMBER else None

    return handle


def coarse(value: bytes, unit: bytes, bands: bool) -> bytes:
    """A number of years (months, weeks, days) with everything over 89 years as 90; "0" where that cannot be told."""
    per_year = _YEARS.get(unit)
    try:
        number = float(value.strip(b" \0"))
        years = number / per_year if per_year is not None else -1.0
        if not 0 <= years < 1000:
            return b"0"
    except ValueError:
        return b"0"
    if int(years) > OLDEST:
        years = OLDEST + 1
    elif not bands:
        return value
    else:
        years = int(years) - int(years) % 5
    return b"%d" % round(years * (per_year or 1.0))
