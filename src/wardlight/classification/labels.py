"""The trigger words of a line, found word by word: what stands after one is its value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from wardlight.classification import words
from wardlight.classification.prefilter import Flag

_TOKEN: Final = re.compile(r"[^\W\d_]+|\d+")
#: Where a word of capitals and small letters falls into several: `patientName`, `patientID`, `DICOMPatient`.
_CAMEL: Final = re.compile(r"(?<=[a-zß-ÿ])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
#: Between words of one phrase.
_GAP: Final = 3
#: Names of conditions of so many letters are found within a word, too.
INSIDE: Final = 6


class Label(NamedTuple):
    """One phrase of a group, at [start, end) of its line."""

    group: int
    start: int
    end: int


_LISTED: Final = (
    (words.PATIENT, Flag.PATIENT),
    (words.TITLES + "|ms", Flag.TITLE),
    (words.NAME, Flag.NAME),
    (words.BIRTH, Flag.BIRTH),
    (words.MRN, Flag.MRN),
    (words.INSURANCE, Flag.INSURANCE),
    (words.NATIONAL, Flag.NATIONAL),
    (words.PHONE, Flag.PHONE),
    (words.ADDRESS, Flag.ADDRESS),
    (words.DEVICE, Flag.DEVICE),
    (words.ACCESSION, Flag.ACCESSION),
    (words.DIAGNOSIS, Flag.HEALTH),
    (words.SECRET, Flag.SECRET),
)
#: Scripts that put no spaces between words.
_EAST: Final = re.compile(r"[\u3040-\u9fff]")


def _phrases() -> tuple[dict[str, list[tuple[tuple[str, ...], int]]], re.Pattern[str], dict[str, int]]:
    found: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    east: dict[str, int] = {}
    for listed, flag in _LISTED:
        for phrase in words.words(listed):
            if _EAST.search(phrase):
                east[phrase] = east.get(phrase, 0) | int(flag)
                continue
            parts = tuple(_TOKEN.findall(phrase))
            found.setdefault(parts[0], []).append((parts[1:], int(flag)))
    for entries in found.values():
        entries.sort(key=lambda entry: -len(entry[0]))
    longest = sorted(east, key=len, reverse=True)
    return found, re.compile("|".join(map(re.escape, longest))), east


_FIRST, _EASTERN, _EASTERN_GROUPS = _phrases()
_STEMS: Final[dict[str, tuple[str, ...]]] = {}
for _stem in words.words(words.CONDITIONS):
    _STEMS[_stem[:3]] = (*_STEMS.get(_stem[:3], ()), _stem)
#: In languages that make one word of several: `Bronchialkarzinom`.
_INSIDE: Final = re.compile(
    "|".join(re.escape(s) for s in words.words(words.CONDITIONS) if len(s) >= INSIDE and not _EAST.search(s))
)
_EASTERN_CONDITIONS: Final = re.compile(
    "|".join(re.escape(stem) for stem in words.words(words.CONDITIONS) if _EAST.search(stem))
)


class Words:
    """The words of one line: its text, each word in small letters with its place, and the labels among them."""

    def __init__(self, text: str) -> None:
        self.text: Final = text
        tokens = []
        for match in _TOKEN.finditer(text):
            word, at = match[0], match.start()
            if word.islower() or word.isupper() or word.istitle() or len(word) > 80:
                tokens.append((word.lower(), at, match.end()))
                continue
            for part in _CAMEL.split(word):
                tokens.append((part.lower(), at, at + len(part)))
                at += len(part)
        self.tokens: Final = tokens
        self.labels: Final = list(self._labels())

    def _labels(self) -> Iterator[Label]:
        tokens = self.tokens
        for place, (word, start, end) in enumerate(tokens):
            entries = _FIRST.get(word)
            # Next to a digit it is a part of a code: a hash may spell a word.
            if entries is None or self.text[start - 1 : start].isdigit():
                continue
            seen = 0
            for rest, group in entries:
                # Of the phrases of one group the longest.
                if not seen & group and (last := self._continued(place, rest) or end) >= 0:
                    seen |= group
                    if not self.text[last : last + 1].isdigit():
                        yield Label(group, start, last)
        if not self.text.isascii() and _EAST.search(self.text):
            for match in _EASTERN.finditer(self.text):
                yield Label(_EASTERN_GROUPS[match[0]], *match.span())

    def _continued(self, place: int, rest: tuple[str, ...]) -> int:
        """Where the phrase ends that begins at `place`; 0 where it is one word, -1 where it does not go on."""
        tokens, end = self.tokens, 0
        for step, word in enumerate(rest, place + 1):
            if step >= len(tokens) or tokens[step][0] != word or tokens[step][1] - tokens[step - 1][2] > _GAP:
                return -1
            end = tokens[step][2]
        return end

    def near(self, groups: int, start: int, end: int, before: int, after: int) -> bool:
        """Whether a label of one of the groups stands near [start, end)."""
        return any(
            label.group & groups and label.end >= start - before and label.start <= end + after
            for label in self.labels
        )

    def conditions(self) -> Iterator[tuple[int, int]]:
        """Words that name a condition."""
        for word, start, end in self.tokens:
            stems = _STEMS.get(word[:3])
            if (stems and word.startswith(stems)) or (end - start > INSIDE and _INSIDE.search(word, 1)):
                yield start, end
        if not self.text.isascii() and _EAST.search(self.text):
            yield from (match.span() for match in _EASTERN_CONDITIONS.finditer(self.text))
