"""What tells of somebody's health: what follows a word for diagnosis, codes of conditions, their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from wardlight.classification import words
from wardlight.classification.found import Confidence, Hit
from wardlight.classification.labels import Words
from wardlight.classification.model import DataClass
from wardlight.classification.patterns import BEFORE, LOOSE, Judged, labelled, phrase_regex
from wardlight.classification.prefilter import Flag

_HEALTH: Final = DataClass.HEALTH
_OF_SOMEBODY: Final = phrase_regex(
    f"{words.PATIENT}|male|female|man|woman|year old|yo|jahre|jährige|jähriger|ans|años|anni|jaar|anos|he|she|mr|mrs|"
    "herr|frau|known|bekannt|history|history of|suffers|diagnosed"
)
_GROUPS: Final = int(Flag.PATIENT | Flag.TITLE | Flag.BIRTH | Flag.HEALTH)
#: What stands after such a word in messages of machines.
_NO_TEXT: Final = re.compile(
    r"(?:none|null|true|false|unknown|ok|pending|n/?a|normal|unremarkable|report|code|status|error|ongoing|enabled|disabled)\b",
    re.I,
)


_ICD: Final = re.compile(r"(?<!\w)[A-TV-Z][0-9]{2}(?:\.[0-9]{1,4})?(?!\w)")


def _diagnosis(match: re.Match[str]) -> Judged:
    value = match["v"].strip()
    if _NO_TEXT.match(value):
        return None
    if _ICD.search(value) or any(Words(value).conditions()):
        return Confidence.HIGH, "a condition after a word for diagnosis or history"
    if len(value) < 4 or (len(value.split()) < 2 and value.isascii()) or sum(c.isalpha() for c in value) < 3:
        return None
    return Confidence.LOW, "text after a word for diagnosis or history"


def _icd(_match: re.Match[str]) -> Judged:
    return Confidence.HIGH, "code of ICD-10 after its word"


def find(line: Words) -> Iterator[Hit]:
    """Names of conditions."""
    for start, end in line.conditions():
        near = f"{line.text[max(0, start - BEFORE) : start]} | {line.text[end : end + BEFORE]}"
        if _OF_SOMEBODY.search(near) or line.near(_GROUPS, start, end, BEFORE, BEFORE):
            yield Hit(
                start,
                end,
                "health",
                _HEALTH,
                Confidence.MEDIUM,
                "name of a condition near a word for a person",
            )
        else:
            yield Hit(start, end, "health", _HEALTH, Confidence.LOW, "name of a condition")


DETECTORS: Final = (
    labelled("health", _HEALTH, Flag.HEALTH, r"[^\n\"|<>{}=]{2,160}+", _diagnosis),
    labelled(
        *("icd-code", _HEALTH, Flag.HEALTH, r"[A-TV-Z][0-9]{2}(?:\.[0-9]{1,4})?(?!\w)", _icd),
        between=LOOSE,
        flags=0,
    ),
)
