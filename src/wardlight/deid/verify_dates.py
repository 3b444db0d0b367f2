"""The verifier's look at dates in text that stays: each must be one of the input's, moved by the offset of all others.

Written apart from what moves them. A date that has no original, or the wrong distance from it, is no date here but
digits, which the vocabulary does not allow.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from wardlight.deid.verify_reader import Item
from wardlight.deid.verify_rules import BIRTH_DATE

_NAMES: Final = b"jan feb mar apr may jun jul aug sep oct nov dec".split()
_FORMS: Final = tuple(
    re.compile(rb"(?<![0-9A-Za-z.\-])" + form + rb"(?![0-9A-Za-z\-]|\.[0-9A-Za-z])", re.IGNORECASE)
    for form in (
        rb"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)",
        rb"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)",
        rb"(?P<d>\d\d?)\.(?P<m>\d\d?)\.(?P<y>\d{4})",
        rb"(?P<d>\d\d?)[ -](?P<m>[a-z]{3,9})[ -](?P<y>\d{4})",
    )
)
#: Days that a patient's dates move back at the most.
_FARTHEST: Final = 3650


class MovedDays:
    """Dates of an output's text and what of the input they can stand for."""

    def __init__(self, before: bytes, old: list[Item]) -> None:
        self._before = before
        self._old = old
        self._originals: dict[int, set[int]] = {}
        self._births: set[int] | None = None
        #: for each date of the output, the offsets that one of the input's in the same element would have
        self._offsets: list[set[int]] = []

    def without(self, tag: int, value: bytes) -> bytes | None:
        """The value of an element without its dates; None where it has none, or one that is nobody's."""
        found = _dates(value)
        if not found:
            return None
        was = self._of(tag)
        rest = bytearray(value)
        for start, end, day in found:
            offsets = {other - day for other in was if 1 <= other - day <= _FARTHEST}
            if not offsets:
                return None
            self._offsets.append(offsets)
            rest[start:end] = b" " * (end - start)
        return bytes(rest)

    def fit(self, offsets: set[int]) -> bool:
        """Whether the one offset of the other dates explains all; without others, whether one offset does."""
        if not self._offsets:
            return True
        shared = set.intersection(*self._offsets)
        return bool(shared & offsets if offsets else shared)

    def _of(self, tag: int) -> set[int]:
        """The days that the input writes in elements of a tag, birth dates aside."""
        if self._births is None:
            self._births = set()
            for _, other, _, start, end in self._old:
                if other == BIRTH_DATE:
                    self._births |= {day for _, _, day in _dates(self._before[start:end])}
        if tag not in self._originals:
            self._originals[tag] = {
                day
                for _, other, _, start, end in self._old
                if other == tag
                for _, _, day in _dates(self._before[start:end])
            } - self._births
        return self._originals[tag]


def _dates(value: bytes) -> list[tuple[int, int, int]]:
    """Start, end and day number of each whole date in a value."""
    found: list[tuple[int, int, int]] = []
    for form in _FORMS:
        for match in form.finditer(value):
            month = match["m"].lower()
            number = int(month) if month.isdigit() else _month(month)
            try:
                day = date(int(match["y"]), number, int(match["d"])).toordinal()
            except ValueError:
                continue
            found.append((match.start(), match.end(), day))
    return found


def _month(name: bytes) -> int:
    return _NAMES.index(name[:3]) + 1 if name[:3] in _NAMES else 0
