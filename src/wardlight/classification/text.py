"""Finds in one line of text what identifies or tells of health: the prefilter decides which detectors look at it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from wardlight.classification import (
    detectors_contact,
    detectors_device,
    detectors_health,
    detectors_national,
    detectors_person,
    detectors_secret,
    hl7,
)
from wardlight.classification.found import Hit, settled
from wardlight.classification.labels import Words
from wardlight.classification.patterns import Detector
from wardlight.classification.prefilter import Flag, flags_of

DETECTORS: Final[tuple[Detector, ...]] = (
    *detectors_person.DETECTORS,
    *detectors_national.DETECTORS,
    *detectors_contact.DETECTORS,
    *detectors_device.DETECTORS,
    *detectors_health.DETECTORS,
    *detectors_secret.DETECTORS,
)
#: Names of all detectors of text, in order.
NAMES: Final = tuple(dict.fromkeys([*(one.name for one in DETECTORS), *detectors_national.NAMES]))
_DIGITS: Final = int(Flag.DIGITS | Flag.NATIONAL | Flag.INSURANCE)
_HEALTH: Final = int(Flag.HEALTH)
_HL7: Final = int(Flag.HL7)
#: Characters of a line that are looked at together. A longer one is looked at in pieces that overlap.
LONGEST: Final = 16 << 10
_OVERLAP: Final = 512


@lru_cache(maxsize=4096)
def _of(flags: int) -> tuple[Detector, ...]:
    return tuple(one for one in DETECTORS if one.flags & flags)


def find(text: str, flags: int | None = None) -> list[Hit]:
    """What is found in one line, in order and without overlaps. flags: of the prefilter, where they are known."""
    known = flags_of(text) if flags is None else flags
    if not known:
        return []
    if len(text) <= LONGEST:
        return settled(_found(text, known))
    hits: set[Hit] = set()
    for start in range(0, len(text), LONGEST - _OVERLAP):
        for hit in _found(text[start : start + LONGEST], known):
            hits.add(hit._replace(start=hit.start + start, end=hit.end + start))
    return settled(list(hits))


def _found(text: str, flags: int) -> list[Hit]:
    hits: list[Hit] = []
    line: Words | None = None
    for detector in _of(flags):
        matches: Iterable[re.Match[str] | None]
        if detector.label:
            line = line or Words(text)
            matches = (
                detector.pattern.match(text, one.end) for one in line.labels if one.group & detector.label
            )
        else:
            matches = detector.pattern.finditer(text)
        for match in matches:
            if match is None:
                continue
            judged = detector.judge(match)
            if judged is not None:
                start, end = match.span("v") if match.re.groups else match.span()
                if len(judged) == 3:
                    end = start + judged[2]
                hits.append(Hit(start, end, detector.name, detector.data_class, judged[0], judged[1]))
    if flags & _DIGITS:
        hits += detectors_national.find(text)
    if flags & _HEALTH:
        hits += detectors_health.find(line or Words(text))
    if flags & _HL7:
        hits += hl7.find(text)
    return hits
