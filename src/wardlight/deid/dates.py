"""Dates: one offset of whole days per patient, so that intervals survive (PS3.15 E.3.6, Modified Dates)."""

from __future__ import annotations

import hmac
import re
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

#: The offset is 1 to this many days back.
LONGEST_OFFSET: Final = 3650
_CLOCK: Final = rb"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?"
_TIME: Final = re.compile(
    _CLOCK + rb"|(?:[01][0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?"
)
_DATETIME: Final = re.compile(
    rb"([0-9]{8}|[0-9]{6}|[0-9]{4})((?<=[0-9]{8})" + _CLOCK + rb")?([+-](?:0[0-9]|1[0-4])[0-5][0-9])?"
)
_ZONE: Final = re.compile(rb"[+-](?:0[0-9]|1[0-4])[0-5][0-9]")
_AGE: Final = re.compile(rb"([0-9]{3})([DWMY])")
#: Above this age a person is rare enough to be known by it (45 CFR 164.514(b)(2)(i)(C)).
OLDEST: Final = 89
#: Bytes of values that are remembered.
_SHORT: Final = 64


def offset_days(key: bytes, patient: bytes) -> int:
    """Days that a patient's dates move back: 1 to 3650."""
    return 1 + int.from_bytes(hmac.digest(key, patient, "sha256")[:8], "big") % LONGEST_OFFSET


def _shift(digits: bytes, days: int) -> bytes | None:
    """YYYY, YYYYMM or YYYYMMDD moved back, in the same precision; None where it is no date."""
    try:
        start = date(int(digits[:4]), int(digits[4:6] or b"1"), int(digits[6:8] or b"1"))
        moved = start - timedelta(days=days)
        return (b"%04d%02d%02d" % (moved.year, moved.month, moved.day))[: len(digits)]
    except (ValueError, OverflowError):
        return None


def shift_dates(value: bytes, days: int) -> bytes | None:
    """A DA value with each of its dates moved back (also YYYY.MM.DD of ACR-NEMA); None if one of them is no date."""
    made: list[bytes] = []
    for one in value.split(b"\\"):
        stripped = one.strip(b"\0 ")
        if len(stripped) == 10 and stripped[4:5] == b"." == stripped[7:8]:
            stripped = stripped.replace(b".", b"")
        moved = (
            _shift(stripped, days)
            if stripped.isdigit() and len(stripped) == 8
            else (None if stripped else b"")
        )
        if moved is None:
            return None
        made.append(moved)
    return b"\\".join(made)


def shift_datetimes(value: bytes, days: int, keep_time: bool) -> bytes | None:
    """A DT value moved back; without its time and zone unless `keep_time`. None if one of its values is no DT."""
    made: list[bytes] = []
    for one in value.split(b"\\"):
        stripped = one.strip(b"\0 ")
        match = _DATETIME.fullmatch(stripped)
        if match is None:
            if stripped:
                return None
            made.append(b"")
            continue
        day, clock, zone = match.groups(b"")
        moved = _shift(day, days)
        if moved is None:
            return None
        made.append(moved + clock + zone if keep_time else moved)
    return b"\\".join(made)


def is_date(value: bytes) -> bool:
    """Whether every value is a DA (YYYY.MM.DD of ACR-NEMA too) or empty (PS3.5 6.2)."""
    return shift_dates(value, 0) is not None


def is_datetime(value: bytes) -> bool:
    """Whether every value is a DT, whole or in part, with or without its zone, or empty (PS3.5 6.2)."""
    return shift_datetimes(value, 0, True) is not None


def zone(value: bytes) -> bytes:
    """An offset from UTC as (0008,0201) has it, b"" for anything else."""
    return value if _ZONE.fullmatch(value.strip(b"\0 ")) else b""


def is_time(value: bytes) -> bool:
    """Whether every value is a TM (with the colons of ACR-NEMA too) or empty."""
    return all(not one or _TIME.fullmatch(one) for one in (v.strip(b"\0 ") for v in value.split(b"\\")))


def age_at(birth: bytes, study: bytes) -> bytes:
    """The age that two DA values give, as AS: years from two on, else months or days; b"" where they give none."""
    # The objects of a study have the same dates.
    return (_age_at if len(birth) + len(study) <= _SHORT else _age_at.__wrapped__)(birth, study)


@lru_cache(maxsize=1024)
def _age_at(birth: bytes, study: bytes) -> bytes:
    days: list[date] = []
    for value in (birth, study):
        digits = (shift_dates(value, 0) or b"").decode("ascii")
        if len(digits) != 8:
            return b""
        days.append(date(int(digits[:4]), int(digits[4:6]), int(digits[6:])))
    born, seen = days
    months = (seen.year - born.year) * 12 + seen.month - born.month - (seen.day < born.day)
    if born > seen or months >= 12 * 1000:
        return b""
    if months >= 24:
        return b"%03dY" % (months // 12)
    return b"%03dM" % months if months else b"%03dD" % (seen - born).days


def same_age(value: bytes, age: bytes) -> bool:
    """Whether two AS values may be one age: they are told in whole units, and people round."""
    ranges = []
    for one in (value, age):
        match = _AGE.fullmatch(one.strip(b"\0 "))
        if match is None:
            return False
        unit = {b"D": 1, b"W": 7, b"M": 31, b"Y": 366}[match[2]]
        ranges.append(((int(match[1]) - 1) * unit, (int(match[1]) + 2) * unit))
    return ranges[0][0] < ranges[1][1] and ranges[1][0] < ranges[0][1]


def coarse_age(value: bytes, bands: bool) -> bytes | None:
    """An AS value with over 89 as 090Y; with `bands` in steps of five years (under five: 000Y). None if it is no AS."""
    match = _AGE.fullmatch(value.strip(b"\0 "))
    if match is None:
        return None
    number, unit = int(match[1]), match[2]
    years = {b"D": number // 365, b"W": number // 52, b"M": number // 12, b"Y": number}[unit]
    if years > OLDEST:
        return b"090Y"
    if not bands:
        return match[0]
    return b"%03dY" % (years - years % 5)
