"""Makes the data map of an institution, and gives it away as a file; both are in the trail first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.agreements import entitlements_store, sources_store
from wardlight.agreements import store as agreements
from wardlight.agreements.entitlements import Entitlements
from wardlight.agreements.legal import CLASSES as AGREED_ON
from wardlight.agreements.model import IMAGES, Agreement, Level
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.classification.model import DataClass
from wardlight.classification.rules import HANDLING, Kept
from wardlight.datamap import declared, forms, store
from wardlight.datamap.declared import Place
from wardlight.datamap.model import ApplicationRow, ClassRow, DataMap, Holding, Kind
from wardlight.db.engine import Database
from wardlight.identity import application_store
from wardlight.identity import store as identity
from wardlight.identity.application_model import Application, ApplicationState
from wardlight.settings import Settings
from wardlight.trail.report_forms import Form

#: The institution's own application is registered nowhere.
_IMAGES_ITSELF: Final = Application(IMAGES, "Images", "", ApplicationState.ACTIVE.value, 0)
_IMAGES: Final = (DataClass.IMAGE_IDENTIFIED, DataClass.IMAGE_PSEUDONYMISED, DataClass.IMAGE_ANONYMISED)


@dataclass(frozen=True, slots=True)
class File:
    """A document as a file. name: says whose it is, and nothing of a patient."""

    data: bytes = field(repr=False)
    media: str
    name: str


class DataMaps:
    """What the platform holds of each institution."""

    def __init__(
        self, database: Database, recorder: Recorder, entitlements: Entitlements, settings: Settings
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._entitlements = entitlements
        self._settings = settings
        self._places: Final[Sequence[Place]] = tuple(declared.platform())

    def export(self, institution: UUID, kind: Kind, form: Form, *, by: Actor) -> File:
        """One of the documents, in one of the forms that it has."""
        found = self.show(institution, kind, form, by=by)
        return File(
            forms.render(found, kind, form, self._places),
            form.media,
            f"{found.slug}-{kind.value}.{form.value}",
        )

    def show(self, institution: UUID, kind: Kind, form: Form, *, by: Actor) -> DataMap:
        """The map as it is now. That it was shown is in the trail: it tells who may see what."""
        with self._database.begin(institution) as tx:
            found = self._made(tx, institution)
            event = Event(
                Action.CLASSIFY_RECORD_EXPORT,
                by,
                target=Target("data-map", id=kind.value),
                detail={"format": form.value, "kind": kind.value},
            )
            self._recorder.write(tx, institution, event)
        return found

    def _made(self, tx: Connection, institution: UUID) -> DataMap:
        tenant = identity.institutions(tx, id_=institution)[0]
        now = clock.unix_ms()
        holdings = store.holdings(tx, institution)
        # Newest first, of which the first of each application counts.
        newest = {row.application: row for row in reversed(agreements.versions(tx, institution))}
        held = {name: row for name, row in newest.items() if row.in_force(now)}
        people = store.people(tx, institution)
        amounts = _amounts(holdings, people, store.audit_entries(tx, institution), len(newest))
        return DataMap(
            institution=tenant.name,
            slug=tenant.slug,
            region=tenant.region,
            node_region=self._settings.region,
            objects_region=self._settings.objects_place,
            created_ms=now,
            classes=tuple(
                self._class(one, holdings, amounts.get(one, ()), list(held.values())) for one in DataClass
            ),
            applications=self._applications(tx, institution, holdings, held, now),
            people=people,
            receivers=store.receivers(tx, institution),
            sources=tuple(row.name for row in sources_store.sources(tx, institution)),
            transfers=tuple(row for row in held.values() if row.transfer),
            event_days=self._settings.event_days,
        )

    def _class(
        self,
        data_class: DataClass,
        holdings: Sequence[Holding],
        amounts: tuple[tuple[int, str], ...],
        held: Sequence[Agreement],
    ) -> ClassRow:
        about = [row for row in held if data_class in row.classes] if data_class in AGREED_ON else []
        own = [one for one in holdings if one.data_class is data_class]
        size = sum(one.bytes for one in own)
        if data_class is DataClass.HEALTH:
            size = sum(one.metadata_bytes for one in holdings)
        needs = HANDLING[data_class].legal_basis
        return ClassRow(
            data_class=data_class,
            stores=declared.stores_of(data_class, self._places),
            amounts=amounts,
            bytes=size,
            bases=tuple(dict.fromkeys(row.legal_basis for row in about if needs)),
            purposes=tuple(sorted({purpose for row in about if needs for purpose in row.purposes})),
            kept=self._kept(HANDLING[data_class].kept, about),
        )

    def _kept(self, rule: Kept, about: Sequence[Agreement]) -> tuple[str, ...]:
        if rule is not Kept.AGREEMENT or not about:
            return (rule.value,)
        times: dict[str, list[str]] = {}
        for row in about:
            days = "until it is deleted" if row.retention_days is None else f"{row.retention_days} days"
            times.setdefault(days, []).append(row.application)
        if len(times) == 1:
            return tuple(times)
        return tuple(f"{days}: {', '.join(sorted(names))}" for days, names in times.items())

    def _applications(
        self,
        tx: Connection,
        institution: UUID,
        holdings: Sequence[Holding],
        held: dict[str, Agreement],
        now: int,
    ) -> tuple[ApplicationRow, ...]:
        live = store.live_grants(tx, institution, now)
        subscribed = {
            row.application
            for row in entitlements_store.subscriptions(tx, institution)
            if row.ended_ms is None
        }
        known = {IMAGES: _IMAGES_ITSELF} | {row.id: row for row in application_store.applications(tx)}
        wanted = {*held, *subscribed, *live, *(one.application for one in holdings)}
        rows = []
        for name in sorted(wanted & known.keys(), key=lambda name: (name != IMAGES, name)):
            agreement = held.get(name)
            grants, studies, next_ms = live.get(name, (0, 0, None))
            rows.append(
                ApplicationRow(
                    application=known[name],
                    asked=entitlements_store.newest(tx, name) if name != IMAGES else None,
                    agreement=agreement,
                    subscribed=name in subscribed,
                    refused=self._refused(tx, institution, name, agreement),
                    grants=grants,
                    studies=studies,
                    next_end_ms=next_ms,
                    holdings=tuple(one for one in holdings if one.application == name),
                )
            )
        return tuple(rows)

    def _refused(self, tx: Connection, institution: UUID, name: str, agreement: Agreement | None) -> str:
        """Why the application would get nothing new, "" where it would for one of the purposes that are agreed."""
        if agreement is None:
            return "no-agreement"
        level = next(level for level in Level if level in agreement.levels)
        reasons = [
            self._entitlements.why_not(tx, institution, name, purpose, level)
            for purpose in sorted(agreement.purposes)
        ]
        return "" if "" in reasons else reasons[0]


def _amounts(
    holdings: Sequence[Holding], people: int, entries: int, agreed: int
) -> dict[DataClass, tuple[tuple[int, str], ...]]:
    """How much there is of each class that is counted."""
    found: dict[DataClass, tuple[tuple[int, str], ...]] = {}
    for data_class in _IMAGES:
        own = [one for one in holdings if one.data_class is data_class]
        found[data_class] = (
            _counted(sum(one.studies for one in own), "study", "studies"),
            _counted(sum(one.instances for one in own), "instance", "instances"),
        )
    named = sum(one.studies for one in holdings if one.data_class is DataClass.IMAGE_IDENTIFIED)
    rows = sum(one.studies + one.series + one.instances for one in holdings)
    found[DataClass.PERSONAL] = (_counted(named, "study with names", "studies with names"),)
    found[DataClass.HEALTH] = (_counted(rows, "sealed description", "sealed descriptions"),)
    found[DataClass.ACCOUNT] = (_counted(people, "account", "accounts"),)
    found[DataClass.AUDIT] = (_counted(entries, "sealed entry", "sealed entries"),)
    found[DataClass.CONFIGURATION] = (_counted(agreed, "agreement", "agreements"),)
    return found


def _counted(count: int, one: str, many: str) -> tuple[int, str]:
    return count, one if count == 1 else many
