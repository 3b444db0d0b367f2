"""What an institution agreed to: application, privacy levels, legal basis, purposes (R2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

#: The institution's own application: the one whose releases people see by default (architecture.md decision 3).
IMAGES = "images"


class Level(StrEnum):
    """Privacy level of a release (R4.1), strictest first. The value is the spelling of CLI, headers and profiles."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    IDENTIFIED = "identified"


@dataclass(frozen=True, slots=True)
class Agreement:
    """One version of an agreement between an institution and an application.

    legal_basis: as the audit trail spells it, e.g. `gdpr:6.1.e+9.2.h`. purposes: HL7 v3 PurposeOfUse codes.
    """

    id: str
    institution: UUID
    application: str
    version: int
    levels: frozenset[Level]
    legal_basis: str
    purposes: frozenset[str]
    attested_by: str
    created_ms: int
