"""Days that people wrote into text, in the ways people write them, wherever they stand.

Every candidate of a text is found once and compared with sets of days, so the cost grows with the text alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from typing import Final, NamedTuple, TypeAlias

#: (year, month, day); of a date with a two-digit year the first is below 100.
Day: TypeAlias = tuple[int, int, int]

_GAP: Final = r"[^0-9a-z\n]{1,3}"
_LOOSE: Final = r"(?:st|nd|rd|th|er)?[^0-9a-z\n]{0,3}(?:of |de |di )?"
#: More years than this are not looked for one by one.
_FEW_YEARS: Final = 32
#: Characters between the year and the farthest part of a date.
_REACH: Final = 32
_LETTERS: Final = r"[^\W\d_]{3,10}"
# Look-ahead, for candidates overlap: in 1.5.7.1963 the date is the last three.
_RUN: Final = re.compile(r"[0-9]{6,}")
_MARKED: Final = re.compile(
    rf"(?=(?<![0-9])([0-9]{{1,4}}){_GAP}([0-9]{{1,2}}){_GAP}([0-9]{{4}}|[0-9]{{1,2}})(?![0-9]))"
)
_NAMED: Final = re.compile(
    rf"(?=(?<![0-9])([0-9]{{1,4}}){_LOOSE}({_LETTERS})[^0-9a-z\n]{{0,3}}(?:de )?([0-9]{{4}}|[0-9]{{1,2}})(?![0-9]))"
)
_MONTH_FIRST: Final = re.compile(
    rf"(?=(?<![^\W\d_])({_LETTERS})[^0-9a-z\n]{{0,3}}([0-9]{{1,2}}){_LOOSE}([0-9]{{4}}|[0-9]{{2}})(?![0-9]))"
)
_NAMES: Final = """
    jan ene gen | feb fev | mar maa mrz | apr abr avr | may mai mag maj mei | jun jui giu | jul jui lug |
    aug ago aou | sep set | oct okt ott out | nov | dec dez dic des
"""
#: First three letters of a month's name → its number; French juin and juillet share theirs.
_MONTHS: Final[dict[str, tuple[int, ...]]] = {}
for _number, _names in enumerate(_NAMES.split("|"), 1):
    for _name in _names.split():
        _MONTHS[_name] = (*_MONTHS.get(_name, ()), _number)


class Written(NamedTuple):
    """One candidate: where it stands, and every day it can mean."""

    start: int
    end: int
    days: tuple[Day, ...]


def written_days(text: str) -> Iterator[Written]:
    """Every date in a text that is in lower case: 19630507, 070563, 5/7/1963, 7.5.63, 07 May 1963, May 7th, 1963."""
    for match in _RUN.finditer(text):
        run, start = match[0], match.start()
        if len(run) == 6:
            a, b, c = int(run[:2]), int(run[2:4]), int(run[4:])
            yield Written(start, match.end(), ((a, b, c), (c, b, a), (c, a, b)))
            continue
        for at in range(len(run) - 7):
            eight = run[at : at + 8]
            a, b, c = int(eight[:2]), int(eight[2:4]), int(eight[4:])
            days = ((int(eight[:4]), int(eight[4:6]), int(eight[6:])), (c, b, a), (c, a, b))
            yield Written(start + at, start + at + 8, days)
    for match in _MARKED.finditer(text):
        first, second, third = match.groups()
        a, b, c = int(first), int(second), int(third)
        if len(first) == 4:
            yield Written(match.start(), match.end(3), ((a, b, c), (a, c, b)))
        elif len(first) <= 2 and len(third) > 1:
            yield Written(match.start(), match.end(3), ((c, b, a), (c, a, b), (a, b, c)))
    for match in _NAMED.finditer(text):
        months = _MONTHS.get(match[2][:3], ())
        a, c = int(match[1]), int(match[3])
        yield Written(match.start(), match.end(3), tuple(d for m in months for d in ((c, m, a), (a, m, c))))
    for match in _MONTH_FIRST.finditer(text):
        months = _MONTHS.get(match[1][:3], ())
        yield Written(match.start(), match.end(3), tuple((int(match[3]), m, int(match[2])) for m in months))


def day_of(digits: bytes) -> Day | None:
    """The day of a DA or DT value that has all of year, month and day, else None."""
    plain = digits.strip(b" \0").replace(b".", b"")[:8]
    if len(plain) < 8 or not plain.isdigit():
        return None
    return int(plain[:4]), int(plain[4:6]), int(plain[6:])


def short_year(day: Day) -> Day:
    """The day as a date with a two-digit year says it."""
    return day[0] % 100, day[1], day[2]


def spans(text: str, days: Set[Day]) -> list[tuple[int, int]]:
    """Where one of the days is written, in a text in lower case."""
    years = {f"{day[0]:02d}" for day in days}
    parts = [(0, len(text))] if len(years) > _FEW_YEARS else _near(text, years)
    return [
        (start + found.start, start + found.end)
        for start, end in parts
        for found in written_days(text[start:end])
        if not days.isdisjoint(found.days)
    ]


def _near(text: str, years: set[str]) -> list[tuple[int, int]]:
    """The parts of a text around the years; a date is nowhere else."""
    if not any(year in text for year in years):
        return []
    parts: list[tuple[int, int]] = []
    for match in re.finditer("|".join(years), text):
        start, end = match.start() - _REACH, match.end() + _REACH
        if parts and start <= parts[-1][1]:
            parts[-1] = (parts[-1][0], end)
        else:
            # A number is not cut, for its end could look like a date.
            while start > 0 and text[start - 1].isdigit() and start > match.start() - 2 * _REACH:
                start -= 1
            parts.append((max(start, 0), end))
    return parts
