"""What an institution agreed to: application, privacy levels, legal basis, purposes, for how long (R2.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final
from uuid import UUID

from wardlight.classification.model import DataClass

#: The institution's own application: the one whose releases people see by default (architecture.md decision 3).
IMAGES = "images"

#: How long access lasts where nothing else is agreed, in seconds: 30 days.
ACCESS_S: Final = 30 * 86_400


class Level(StrEnum):
    """Privacy level of a release (R4.1), strictest first. The value is the spelling of CLI, headers and profiles."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    IDENTIFIED = "identified"

    def at_least(self) -> frozenset[Level]:
        """This level and those that are stricter."""
        return frozenset(list(Level)[: list(Level).index(self) + 1])


def classes_of(levels: Iterable[Level]) -> frozenset[DataClass]:
    """What data at these levels is, at most."""
    classes = {DataClass.HEALTH}
    for level in levels:
        if level is Level.IDENTIFIED:
            classes |= {DataClass.PERSONAL, DataClass.IMAGE_IDENTIFIED}
        else:
            classes.add(DataClass.IMAGE_PSEUDONYMISED)
    return frozenset(classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What can be agreed, and changed by an amendment.

    levels: privacy levels at which data may be taken in and shown. legal_basis: as the audit trail spells it, like
    `gdpr:6.1.e+9.2.h`. purposes: HL7 v3 PurposeOfUse codes. attested_by, attested_ms, document: who vouched for the
    legal basis, when (Unix, ms; 0: when it is recorded), and in which document. classes: empty for what the levels are.
    region: where the data may be; empty for the institution's. transfer: on what the transfer rests where that is
    another region than the institution's (`classification.regions.TRANSFERS`). access_s: how long access to a study
    lasts. retention_days: how long the data is kept; None: until it is deleted. source: of a third party's data.
    results_of: other applications whose results this one may see. ends_ms: when the agreement itself ends, if ever.
    """

    levels: frozenset[Level]
    legal_basis: str
    purposes: frozenset[str]
    attested_by: str
    classes: frozenset[DataClass] = frozenset()
    region: str = ""
    transfer: str = ""
    access_s: int = ACCESS_S
    retention_days: int | None = None
    document: str = ""
    attested_ms: int = 0
    source: UUID | None = None
    results_of: frozenset[str] = frozenset()
    ends_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement(Terms):
    """One version of an agreement between an institution and an application.

    withdrawn_ms: when this version was withdrawn or came to its end. withdrawn_by: by whom, as `kind:id`.
    """

    id: str
    institution: UUID
    application: str
    version: int
    created_ms: int
    withdrawn_ms: int | None = None
    withdrawn_by: str = ""

    @property
    def terms(self) -> Terms:
        """What was agreed."""
        return Terms(**{field.name: getattr(self, field.name) for field in fields(Terms)})

    def in_force(self, now_ms: int) -> bool:
        """Whether this version is neither withdrawn nor over."""
        return self.withdrawn_ms is None and (self.ends_ms is None or now_ms < self.ends_ms)

    def access_until(self, now_ms: int) -> int:
        """When access that begins now ends: never after the agreement."""
        until = now_ms + self.access_s * 1000
        return until if self.ends_ms is None else min(until, self.ends_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """One version of what an application asks of every institution.

    level: the least strict that it asks for. regions: where it runs. declared_by, document: who declared for its owner
    that it complies with what it asks for, and where that is written; both are empty for what was agreed before
    applications had to ask. created_by: as `kind:id`.
    """

    application: str
    version: int
    purposes: frozenset[str]
    classes: frozenset[DataClass]
    level: Level
    regions: frozenset[str]
    declared_by: str
    document: str
    created_ms: int
    created_by: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """An institution uses an application, since `created_ms` and until `ended_ms`."""

    institution: UUID
    application: str
    created_ms: int
    created_by: str
    ended_ms: int | None
    ended_by: str


class SourceKind(StrEnum):
    """Who provides data that is not from the institution's own patients (R2.4)."""

    COMPANY = "connected-company"
    RETAILER = "retailer"
    AGENCY = "agency"
    PARTNER = "partner"
    OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where data of third parties is from, and on which legal basis it came to them.

    anonymised: the source declares that its data is anonymised already; evidence: on what that stands (R1.4).
    """

    id: UUID
    institution: UUID
    kind: SourceKind
    name: str
    legal_basis: str
    attested_by: str
    document: str
    anonymised: bool
    evidence: str
    created_ms: int
    created_by: str
