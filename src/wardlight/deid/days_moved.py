"""Days in text that stay: moved by the patient's offset like every other date (PS3.15 E.3.6), in the form they had.

Only what can be nothing but a whole date: 2026-01-05, 20260105, 05.01.2026, 5 Jan 2026, 05-JAN-2026. Every other
number goes where the vocabulary says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

from wardlight.deid.days import Day

_WORD: Final = re.compile(rb"[0-9A-Za-z\x80-\xff]+(?:\.[0-9]+)?")
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_NAMES: Final = rb"|".join(name.encode() for month in _MONTHS for name in {month, month[:3]})
_DATE: Final = re.compile(
    rb"(?<![^ (\\])(?:"
    rb"(?P<year>[0-9]{4})(?P<mark>-?)(?P<month>[0-9]{2})(?P=mark)(?P<day>[0-9]{2})"
    rb"|(?P<day_dot>[0-9]{1,2})\.(?P<month_dot>[0-9]{1,2})\.(?P<year_dot>[0-9]{4})"
    rb"|(?P<day_name>[0-9]{1,2})(?P<gap>[ -])(?P<name>" + _NAMES + rb")(?P=gap)(?P<year_name>[0-9]{4})"
    rb")(?=[,;.)]?(?:[ \\\0]|$))",
    re.IGNORECASE,
)
_YEAR: Final = re.compile(rb"[0-9]{4}")
#: Shorter values hold no whole date.
SHORTEST: Final = 8
#: A day before these years is no examination's; it could be when somebody was born.
_YEARS: Final = range(1980, 2100)


def holds_day(value: bytes) -> bool:
    """Whether a whole date that can be moved stands in a text."""
    return any(_day_of(match) is not None for match in _DATE.finditer(value))


def clean_dated(
    value: bytes, offset: int, clean: Callable[[bytes], bytes], barred: Callable[[Day], bool]
) -> tuple[bytes, frozenset[Day]] | None:
    """What `clean` leaves of a value, and its whole dates moved; with them the days that they were.

    A date goes where what stands beside it goes, for it may belong to that. offset: days back. clean: leaves words of
    a vocabulary. barred: days that must not stay, such as a birth date. None: there is no date to move, and `clean`
    says all.
    """
    if b"\x1b" in value or _YEAR.search(value) is None or _DATE.search(value) is None:
        return None
    days: set[Day] = set()
    made = [_clean_one(one, offset, clean, barred, days) for one in value.split(b"\\")]
    return (b"\\".join(made), frozenset(days)) if days else None


def _clean_one(
    value: bytes,
    offset: int,
    clean: Callable[[bytes], bytes],
    barred: Callable[[Day], bool],
    days: set[Day],
) -> bytes:
    parts: list[tuple[bytes, bytes]] = []
    found: list[Day] = []
    end = 0
    for match in _DATE.finditer(value):
        day = _day_of(match)
        text = None if day is None or barred((day.year, day.month, day.day)) else _moved(match, day, offset)
        if day is None or text is None:
            continue
        parts.append((value[end : match.start()], text))
        found.append((day.year, day.month, day.day))
        end = match.end()
    rest = [*(before for before, _ in parts), value[end:]]
    if not parts or not all(_ends_stay(piece, clean) for piece in rest):
        return clean(value)
    words = [clean(piece).strip() for piece in rest]
    plain = b" ".join(filter(None, words))
    if clean(plain) != plain:
        return clean(value)
    days.update(found)
    dates = [text for _, text in parts] + [b""]
    return b" ".join(piece for pair in zip(words, dates, strict=True) for piece in pair if piece)


def _ends_stay(piece: bytes, clean: Callable[[bytes], bytes]) -> bool:
    """Whether the words beside the dates stay; without words there is nothing that goes."""
    words = _WORD.findall(piece)
    return all(clean(word) == word for word in words[:1] + words[-1:])


def _day_of(match: re.Match[bytes]) -> date | None:
    """The day that a match writes, None where there is none or it is not to be moved."""
    part = match.groupdict()
    if part["year"]:
        year, month, day = part["year"], int(part["month"]), part["day"]
    elif part["year_dot"]:
        year, month, day = part["year_dot"], int(part["month_dot"]), part["day_dot"]
    else:
        name = part["name"].lower().decode("ascii")
        month = next(number for number, full in enumerate(_MONTHS, 1) if full.startswith(name))
        year, day = part["year_name"], part["day_name"]
    try:
        made = date(int(year), month, int(day))
    except ValueError:
        return None
    return made if made.year in _YEARS else None


def _moved(match: re.Match[bytes], day: date, offset: int) -> bytes:
    """The day moved, written as it was."""
    moved = day - timedelta(days=offset)
    part = match.groupdict()
    if part["year"]:
        mark = part["mark"]
        return b"%04d%s%02d%s%02d" % (moved.year, mark, moved.month, mark, moved.day)
    if part["year_dot"]:
        days = _as_wide(moved.day, part["day_dot"])
        return b"%s.%s.%04d" % (days, _as_wide(moved.month, part["month_dot"]), moved.year)
    name = part["name"]
    full = _MONTHS[moved.month - 1]
    written = full if len(name) > 3 else full[:3]
    if name.isupper():
        written = written.upper()
    elif name[:1].isupper():
        written = written.capitalize()
    gap = part["gap"]
    return b"%s%s%s%s%04d" % (_as_wide(moved.day, part["day_name"]), gap, written.encode(), gap, moved.year)


def _as_wide(number: int, written: bytes) -> bytes:
    """A number with a leading zero where the one it stands for had two digits."""
    return b"%02d" % number if len(written) == 2 else b"%d" % number
