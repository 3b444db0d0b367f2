"""What the reports hold: accesses of a patient's data, and what an incident touched (audit.md section 7, R10.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from wardlight.audit.actions import LETTER, Action
from wardlight.audit.log_store import Head

#: Whose word an entry is.
PLATFORM: Final = "platform"

KNOWN: Final = frozenset[str](Action)


@dataclass(frozen=True, slots=True)
class Identifier:
    """A patient's identifier as the hospital writes it. It never leaves the request."""

    id: str = field(repr=False)
    issuer: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` up to before `end`, in milliseconds; None: open."""

    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One sealed entry: number of its log, position there, leaf hash, what it says. others: subjects left out of it."""

    log: int
    index: int
    leaf: bytes = field(repr=False)
    entry: dict[str, Any] = field(repr=False)
    others: int = 0

    @property
    def moment(self) -> str:
        """When it happened: as told by those who were there, else when it was written."""
        told: str = self.entry.get("time") or self.entry["recorded"]
        return told


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The signed head of a log that a report rests on. root: base64, as in the note. recorded: of its newest entry."""

    origin: str
    size: int
    root: str
    recorded: str


@dataclass(frozen=True, slots=True)
class Log:
    """One generation of an institution's log. signed: its newest signed head, None where there is none yet."""

    head: Head
    signed: Checkpoint | None


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries that a rule deleted: those written before `before`, so many of them."""

    before: str
    count: int
    rule: str
    recorded: str


class Kind(StrEnum):
    """What a line is to the patient; the order is that of the report."""

    SEEN = "seen"
    LISTED = "listed"
    REFUSED = "refused"
    OTHER = "other"


class Certainty(StrEnum):
    """How much is known of a read: its end, that it goes on, or that its end was never written."""

    WHOLE = "whole"
    OPEN = "open"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who acted. label: what the report calls them. id is empty where only roles are told."""

    kind: str
    label: str
    role: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened to the patient's data; a read with its end is one line.

    listed: number of studies in the list in which the patient appeared. entries: positions in the log, by which
    anybody can check the line.
    """

    kind: Kind
    start: str
    end: str
    actor: Party
    behalf: Party | None
    action: str
    outcome: str
    reason: str
    purpose: str
    basis: str
    agreement: str
    grant: str
    classes: tuple[str, ...]
    counts: dict[str, int]
    listed: int
    certainty: Certainty
    source: str
    studies: tuple[str, ...]
    entries: tuple[int, ...]
    log: int


@dataclass(frozen=True, slots=True)
class AccessReport:
    """Who did what with one patient's data.

    patients: references, never identifiers. origins: names of the logs by their numbers. found: the entries that the
    lines were made of, oldest first.
    """

    institution: str
    slug: str
    created: str
    zone: str
    names: bool
    period: Period
    patients: tuple[str, ...]
    studies: tuple[str, ...]
    lines: tuple[Line, ...]
    origins: dict[int, str]
    checkpoints: tuple[Checkpoint, ...]
    gaps: tuple[Gap, ...]
    found: tuple[Found, ...] = field(repr=False)


def kind_of(action: str, outcome: str) -> Kind:
    """To which part of the report an entry belongs."""
    letter = LETTER[Action(action)] if action in KNOWN else "N"
    if outcome == "denied" or letter == "D":
        return Kind.REFUSED
    if letter == "Q":
        return Kind.LISTED
    return Kind.SEEN if letter in "RE" else Kind.OTHER
