"""The data map of one institution: what is held, where, how much, how long, on which basis, and who may see it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from wardlight.agreements.model import Agreement, Entitlement
from wardlight.classification.model import DataClass
from wardlight.identity.application_model import Application


class Kind(StrEnum):
    """Which document: the map, the record of GDPR Art. 30(1), or the beginning of an assessment of Art. 35."""

    MAP = "data-map"
    RECORD = "record-of-processing"
    ASSESSMENT = "impact-assessment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Images of one application at one level and identifiability. bytes: of content; *_ms: of the oldest and newest."""

    application: str
    level: str
    identifiability: str
    studies: int
    series: int
    instances: int
    bytes: int
    metadata_bytes: int
    first_ms: int
    last_ms: int

    @property
    def data_class(self) -> DataClass:
        """The class of the images."""
        if self.identifiability == "anonymised":
            return DataClass.IMAGE_ANONYMISED
        return DataClass.IMAGE_IDENTIFIED if self.level == "identified" else DataClass.IMAGE_PSEUDONYMISED


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """One data class. stores: where, as declared. amount: how much there is, as (number, of what); bytes: 0 where that
    is not counted. bases, purposes: of the agreements that are about it. kept: how long, in words for people."""

    data_class: DataClass
    stores: tuple[str, ...]
    amounts: tuple[tuple[int, str], ...]
    bytes: int
    bases: tuple[str, ...]
    purposes: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRow:
    """What one application may see, and why. agreement: the version that holds, if any. grants: live ones, on so many
    studies. refused: why it may have nothing, "" where it may. receives: where it runs, as its entitlement says."""

    application: Application
    asked: Entitlement | None
    agreement: Agreement | None
    subscribed: bool
    refused: str
    grants: int
    studies: int
    next_end_ms: int | None
    holdings: tuple[Holding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataMap:
    """All of it at one moment. node_region, objects_region: where the data is. sources: third parties it is from."""

    institution: str
    slug: str
    region: str
    node_region: str
    objects_region: str
    created_ms: int
    classes: tuple[ClassRow, ...]
    applications: tuple[ApplicationRow, ...]
    people: int
    receivers: int
    sources: tuple[str, ...]
    transfers: tuple[Agreement, ...]
    event_days: float

    @property
    def studies(self) -> int:
        """Studies held, each copy for another application counted."""
        return sum(one.studies for row in self.applications for one in row.holdings)

    @property
    def bytes(self) -> int:
        """Bytes of images held."""
        return sum(one.bytes for row in self.applications for one in row.holdings)

    @property
    def grants(self) -> int:
        """Grants that give access now."""
        return sum(row.grants for row in self.applications)
