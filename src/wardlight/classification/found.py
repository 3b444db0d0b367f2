"""What a detector says: a hit in one line of text, and a finding in a file. Neither ever holds the value itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from wardlight.classification.model import DataClass


class Confidence(StrEnum):
    """How sure a finding is.

    high: format and context, or a check digit with context. medium: a format that little else has, or context alone.
    low: it may well be something else; for who would rather mask too much.
    """

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


#: The higher, the surer.
RANK: Final = {Confidence.LOW: 0, Confidence.MEDIUM: 1, Confidence.HIGH: 2}


class Hit(NamedTuple):
    """Something found in a text, at [start, end) of it."""

    start: int
    end: int
    detector: str
    data_class: DataClass
    confidence: Confidence
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found in a file.

    file: as the caller named it, with the member's name after "!" for archives. line: from 1, 0 where there are none.
    element: of a DICOM file, as (gggg,eeee) with its sequences before it. field: path in JSON, column of a table,
    segment and field of HL7. keyword: of the element in PS3.6.
    """

    file: str
    data_class: DataClass
    detector: str
    confidence: Confidence
    reason: str
    line: int = 0
    element: str = ""
    field: str = ""
    keyword: str = ""

    def members(self) -> dict[str, str | int]:
        """As JSON has it: only the places that there are."""
        found: dict[str, str | int] = {"file": self.file}
        if self.line:
            found["line"] = self.line
        for name in ("element", "keyword", "field"):
            if value := getattr(self, name):
                found[name] = value
        return found | {
            "class": self.data_class.value,
            "detector": self.detector,
            "confidence": self.confidence.value,
            "reason": self.reason,
        }


#: Say less than others of the same place: a national number after a word for insurance is that number.
_GENERAL: Final = frozenset(("mrn", "insurance-number", "accession", "device-serial", "phone"))


def settled(hits: list[Hit]) -> list[Hit]:
    """Hits in their order, of those that overlap the surest, then the longest, then the first."""
    if len(hits) < 2:
        return hits
    kept: list[Hit] = []
    for hit in sorted(hits, key=_order):
        if all(hit.end <= other.start or hit.start >= other.end for other in kept):
            kept.append(hit)
    return sorted(kept)


def _order(hit: Hit) -> tuple[int, bool, int, int]:
    return -RANK[hit.confidence], hit.detector in _GENERAL, hit.start - hit.end, hit.start
