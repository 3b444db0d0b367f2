"""What applications ask for, who subscribes to them, and whether an application may get a study at all."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from wardlight import clock
from wardlight.agreements import entitlements_store as store
from wardlight.agreements import legal
from wardlight.agreements import regions as where
from wardlight.agreements import store as agreements
from wardlight.agreements.model import IMAGES, Entitlement, Level, Subscription, classes_of
from wardlight.agreements.purposes import PURPOSES
from wardlight.agreements.service import named, require_text, subscribe, tell
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.classification.model import DataClass
from wardlight.classification.regions import is_region
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.identity import application_store
from wardlight.identity import store as identity


class Entitlements:
    """An application is entitled where it asked for the purpose and level, and the institution subscribes to it."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def request(
        self,
        application: str,
        *,
        purposes: Iterable[str],
        level: Level,
        regions: Iterable[str],
        declared_by: str,
        document: str,
        classes: Iterable[DataClass] = (),
        by: Actor,
    ) -> Entitlement:
        """Ask for purposes, data classes, a least strict level and regions; replaces what the application asked before.

        declared_by, document: who declares for the application's owner that it complies, and where that is written.
        classes: what data at that level is, where none are named. Raises `bad-request`, `not-found`, `conflict`.
        """
        asked, places = frozenset(purposes), frozenset(regions)
        named_classes = frozenset(classes) or classes_of((level,))
        if not asked or not asked <= PURPOSES.keys() or not named_classes.issubset(legal.CLASSES):
            raise WardlightError("bad-request", "purposes or data classes are missing or unknown")
        if not places or not all(is_region(one) for one in places):
            raise WardlightError("bad-request", "regions are missing or not of a-z, 0-9 and hyphens")
        require_text(declared_by, "declared_by", 200)
        require_text(document, "document", 500)
        try:
            with self._database.begin() as tx:
                if not application_store.applications(tx, application):
                    raise WardlightError("not-found", "there is no such application")
                before = store.newest(tx, application)
                row = Entitlement(
                    application=application,
                    version=before.version + 1 if before else 1,
                    purposes=asked,
                    classes=named_classes,
                    level=level,
                    regions=places,
                    declared_by=declared_by,
                    document=document,
                    created_ms=clock.unix_ms(),
                    created_by=named(by),
                )
                store.add(tx, row)
                self._recorder.write(tx, None, _requested(row, by))
        except IntegrityError:
            raise WardlightError("conflict", "another request came at the same moment") from None
        return row

    def subscribe(self, institution: UUID, application: str, *, by: Actor) -> Subscription:
        """The institution uses the application from now on. Raises `not-found`, `already-exists`."""
        try:
            with self._database.begin(institution) as tx:
                if application != IMAGES and not application_store.applications(tx, application):
                    raise WardlightError("not-found", "there is no such application")
                if store.is_subscribed(tx, institution, application):
                    raise WardlightError("already-exists", "the institution subscribes to it already")
                subscribe(tx, self._recorder, institution, application, by)
                return store.subscriptions(tx, institution, application)[0]
        except IntegrityError:
            raise WardlightError("already-exists", "the institution subscribes to it already") from None

    def unsubscribe(self, institution: UUID, application: str, *, by: Actor) -> Subscription:
        """The institution does not use it any longer: access is over with this transaction. Raises `not-found`."""
        with self._database.begin(institution) as tx:
            if not store.unsubscribe(tx, institution, application, clock.unix_ms(), named(by)):
                raise WardlightError("not-found", "the institution does not subscribe to it")
            target = Target("application", id=application)
            event = Event(Action.AGREEMENT_ENTITLEMENT_UNSUBSCRIBE, by, target=target)
            self._recorder.write(tx, institution, event)
            tell(tx, institution, application, {"state": "unsubscribed"})
            return store.subscriptions(tx, institution, application)[0]

    def subscriptions(self, institution: UUID) -> list[Subscription]:
        """Subscriptions of an institution by application, ended ones too."""
        with self._database.read(institution) as tx:
            return store.subscriptions(tx, institution)

    def subscribers(self, application: str) -> list[UUID]:
        """The institutions that use the application now."""
        with self._database.read(EVERYWHERE) as tx:
            return store.subscribers(tx, application)

    def why_not(self, tx: Connection, institution: UUID, application: str, purpose: str, level: Level) -> str:
        """Why the application may have nothing of the institution for this purpose at this level; "" where it may.

        `not-subscribed`, `application-suspended`, `not-entitled`, `region-not-agreed`. What else was agreed is another
        question, of `Agreements.why_not`. The institution's own application asks for nothing, and needs a
        subscription only.
        """
        if not store.is_subscribed(tx, institution, application):
            return "not-subscribed"
        if application == IMAGES:
            return ""
        found = application_store.applications(tx, application)
        if not found or found[0].state != identity.ACTIVE:
            return "application-suspended"
        asked = store.newest(tx, application)
        if asked is None or purpose not in asked.purposes or level not in asked.level.at_least():
            return "not-entitled"
        agreed = agreements.current(tx, institution, application)
        places = (where.may_be_at(tx, place, institution, agreed) for place in asked.regions)
        return "" if any(places) else "region-not-agreed"

    def list(self, application: str | None = None) -> list[Entitlement]:
        """All versions of what applications ask for, newest first for each."""
        with self._database.read() as tx:
            return store.versions(tx, application)


def _requested(row: Entitlement, by: Actor) -> Event:
    return Event(
        Action.AGREEMENT_ENTITLEMENT_REQUEST,
        by,
        target=Target("application", id=row.application, version=row.version),
        detail={
            "purposes": sorted(row.purposes),
            "level": row.level.value,
            "regions": sorted(row.regions),
        },
    )
