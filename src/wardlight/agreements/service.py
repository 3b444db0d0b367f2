"""What may be taken in for whom: no agreement, no data (R2.1). Versions are only added, and stay readable (R2.2)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from wardlight import clock
from wardlight.agreements import entitlements_store, legal, regions, sources_store, store
from wardlight.agreements.model import IMAGES, Agreement, Level, Source, Terms, classes_of
from wardlight.agreements.purposes import PURPOSES
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Change, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.events import outbox
from wardlight.identity import application_store

#: Access lasts at least a minute and at most ten years, in seconds.
_ACCESS_S: Final = (60, 10 * 366 * 86_400)
#: Longest time for which data is kept by an agreement, in days.
_RETENTION_DAYS: Final = 200 * 366
#: Members of an agreement whose values the trail does not repeat: they name people.
_UNTOLD: Final = frozenset({"attested_by", "document"})
_EXPIRED: Final = Actor("system", "expiry")


class Agreements:
    """Agreements of institutions with applications, each a row of versions of which only the newest can hold."""

    def __init__(self, database: Database, recorder: Recorder, place: str) -> None:
        """place: the region in which this node, and what it stores, is."""
        self._database = database
        self._recorder = recorder
        self._place = place

    def create(
        self,
        institution: UUID,
        application: str,
        levels: Iterable[Level],
        *,
        legal_basis: str,
        purposes: Iterable[str],
        attested_by: str,
        by: Actor,
    ) -> Agreement:
        """`record` with what every agreement must say, and what is usual for the rest."""
        terms = Terms(
            levels=frozenset(levels),
            legal_basis=legal_basis,
            purposes=frozenset(purposes),
            attested_by=attested_by,
        )
        return self.record(institution, application, terms, by=by)

    def record(self, institution: UUID, application: str, terms: Terms, *, by: Actor) -> Agreement:
        """Agree, or amend what was agreed: the same institution and application get a new version.

        The institution's own application is subscribed to with its first agreement. Raises `bad-request`, `not-found`
        for an application or source that is not there, `conflict` where somebody else amended at the same moment.
        """
        try:
            with self._database.begin(institution) as tx:
                before = store.newest(tx, institution, application)
                return self._add(tx, institution, application, before, terms, by)
        except IntegrityError:
            raise WardlightError("conflict", "the agreement was amended at the same moment") from None

    def amend(
        self,
        institution: UUID,
        application: str,
        changes: dict[str, Any],
        *,
        by: Actor,
        of_version: int | None = None,
    ) -> Agreement:
        """A new version with these members of `Terms` changed.

        of_version: the version that is to be amended; `conflict` where it is not the newest. Raises `not-found` where
        nothing was agreed yet, and as `record`.
        """
        try:
            with self._database.begin(institution) as tx:
                before = store.newest(tx, institution, application)
                if before is None:
                    raise WardlightError("not-found", "there is no agreement to be amended")
                if of_version not in (None, before.version):
                    raise WardlightError("conflict", f"the newest version is {before.version}")
                terms = replace(before.terms, **changes)
                return self._add(tx, institution, application, before, terms, by)
        except IntegrityError:
            raise WardlightError("conflict", "the agreement was amended at the same moment") from None

    def withdraw(
        self, institution: UUID, application: str, *, by: Actor, version: int | None = None
    ) -> tuple[Agreement, ...]:
        """Withdraw one version, or all; returns those that were in force or could carry access until now.

        Access that rests on them is over with this transaction. Withdrawing the newest leaves nothing in force: earlier
        ones were replaced by it. Raises `not-found`, and `conflict` where they are withdrawn already.
        """
        with self._database.begin(institution) as tx:
            rows = store.versions(tx, institution, application)
            rows = [row for row in rows if version in (None, row.version)]
            if not rows:
                raise WardlightError("not-found", "there is no such version of an agreement")
            found = self._end(tx, rows, Action.AGREEMENT_AGREEMENT_WITHDRAW, by)
            if not found:
                raise WardlightError("conflict", "it is withdrawn already")
        return found

    def expire(self) -> int:
        """End versions whose end has come; returns how many. They have not held since that moment."""
        with self._database.read(EVERYWHERE) as tx:
            due = store.ended(tx, clock.unix_ms())
        for id_ in dict.fromkeys(row.id for row in due):
            rows = [row for row in due if row.id == id_]
            with self._database.begin(rows[0].institution) as tx:
                self._end(tx, rows, Action.AGREEMENT_AGREEMENT_EXPIRE, _EXPIRED)
        return len(due)

    def list(self, institution: UUID, application: str | None = None) -> list[Agreement]:
        """All versions of an institution's agreements, newest first for each application."""
        with self._database.read(institution) as tx:
            return store.versions(tx, institution, application)

    def show(self, institution: UUID, application: str) -> Agreement:
        """The agreement that holds. Raises `no-agreement`, `agreement-withdrawn`."""
        with self._database.read(institution) as tx:
            return self._held(tx, institution, application)

    def current(self, tx: Connection, institution: UUID, application: str) -> Agreement | None:
        """The version in force, if any: the newest, unless it is withdrawn or over."""
        return store.current(tx, institution, application)

    def why_not(self, tx: Connection, institution: UUID, application: str, purpose: str, level: Level) -> str:
        """Why the agreement does not cover this purpose at this level; "" where it does."""
        try:
            row = self._held(tx, institution, application)
        except WardlightError as error:
            return error.code
        if level not in row.levels:
            return "level-not-agreed"
        if not regions.may_be_at(tx, self._place, institution, row):
            return "region-not-agreed"
        return "" if purpose in row.purposes else "purpose-not-agreed"

    def source(self, institution: UUID, source: UUID) -> Source | None:
        """The record of a third party whose data is taken in."""
        with self._database.read(institution) as tx:
            return next(iter(sources_store.sources(tx, institution, source)), None)

    def require(self, institution: UUID, application: str, level: Level | None) -> Agreement:
        """The agreement under which data of this level, or of none, may be taken in.

        Raises `no-agreement`, `agreement-withdrawn`, `level-not-agreed`, `not-subscribed`, `region-not-agreed`.
        """
        with self._database.read(institution) as tx:
            row = self._held(tx, institution, application)
            here = regions.may_be_at(tx, self._place, institution, row)
            subscribed = entitlements_store.is_subscribed(tx, institution, application)
        if level is not None and level not in row.levels:
            raise WardlightError("level-not-agreed")
        if not subscribed:
            raise WardlightError("not-subscribed")
        if not here:
            raise WardlightError("region-not-agreed")
        return row

    def standing(self, institution: UUID) -> dict[tuple[str, Level], str]:
        """Application with which something was agreed, level → why nothing may be taken in, "" where it may."""
        now = clock.unix_ms()
        with self._database.read(institution) as tx:
            newest = {row.application: row for row in reversed(store.versions(tx, institution))}
            subscribed = {
                row.application
                for row in entitlements_store.subscriptions(tx, institution)
                if row.ended_ms is None
            }
            elsewhere = {
                application
                for application, row in newest.items()
                if not regions.may_be_at(tx, self._place, institution, row)
            }
        found = {}
        for application, row in newest.items():
            reason = "" if application in subscribed else "not-subscribed"
            if not row.in_force(now):
                reason = "agreement-withdrawn"
            for level in Level:
                agreed = "region-not-agreed" if application in elsewhere else ""
                found[application, level] = reason or (agreed if level in row.levels else "level-not-agreed")
        return found

    def _held(self, tx: Connection, institution: UUID, application: str) -> Agreement:
        row = store.newest(tx, institution, application)
        if row is None:
            raise WardlightError("no-agreement")
        if not row.in_force(clock.unix_ms()):
            raise WardlightError("agreement-withdrawn")
        return row

    def _add(
        self,
        tx: Connection,
        institution: UUID,
        application: str,
        before: Agreement | None,
        terms: Terms,
        by: Actor,
    ) -> Agreement:
        terms = self._checked(tx, institution, application, terms)
        now = clock.unix_ms()
        terms = replace(terms, attested_ms=terms.attested_ms or now)
        if terms.ends_ms is not None and terms.ends_ms <= now:
            raise WardlightError("bad-request", "the agreement would end before it begins")
        row = Agreement(
            **{field.name: getattr(terms, field.name) for field in fields(Terms)},
            id=before.id if before else f"agr-{secrets.token_hex(6)}",
            institution=institution,
            application=application,
            version=before.version + 1 if before else 1,
            created_ms=now,
        )
        if application == IMAGES and not entitlements_store.subscriptions(tx, institution, IMAGES):
            subscribe(tx, self._recorder, institution, IMAGES, by)
        store.add(tx, row)
        self._recorder.write(tx, institution, _recorded(row, before, by))
        _tell(tx, row, "in-force")
        return row

    def _checked(self, tx: Connection, institution: UUID, application: str, terms: Terms) -> Terms:
        """The terms with their defaults, or `bad-request`, `not-found`."""
        if not terms.levels or not terms.purposes or not PURPOSES.keys() >= terms.purposes:
            raise WardlightError("bad-request", "levels or purposes are missing or unknown")
        classes = terms.classes or classes_of(terms.levels)
        if not classes.issubset(legal.CLASSES):
            raise WardlightError("bad-request", "an agreement cannot be about one of these data classes")
        if not legal.covers(classes, terms.levels):
            raise WardlightError("bad-request", "the data classes leave out what data at these levels is")
        legal.require_basis(terms.legal_basis, terms.purposes, classes, terms.levels)
        require_text(terms.attested_by, "attested_by", 200)
        if terms.document:
            require_text(terms.document, "document", 500)
        if not _ACCESS_S[0] <= terms.access_s <= _ACCESS_S[1]:
            raise WardlightError("bad-request", "access lasts at least 60 s and at most ten years")
        if terms.retention_days is not None and not 0 < terms.retention_days <= _RETENTION_DAYS:
            raise WardlightError("bad-request", "retention is a number of days, at most 200 years")
        for one in {application, *terms.results_of} - {IMAGES}:
            if not application_store.applications(tx, one):
                raise WardlightError("not-found", "there is no such application")
        if terms.source is not None and not sources_store.sources(tx, institution, terms.source):
            raise WardlightError("not-found", "there is no such source")
        terms = regions.checked(terms, regions.home(tx, institution))
        return replace(terms, classes=classes)

    def _end(
        self, tx: Connection, rows: Sequence[Agreement], action: Action, by: Actor
    ) -> tuple[Agreement, ...]:
        """End versions of one agreement, with one entry; returns those that had not ended."""
        now = clock.unix_ms()
        found = tuple(row for row in rows if store.withdraw(tx, row, now, named(by)))
        if found:
            row = max(found, key=lambda one: one.version)
            event = Event(
                action,
                by,
                target=Target("agreement", id=row.id, version=row.version),
                agreement=(row.id, row.version),
                detail={"application": row.application, "versions": sorted(one.version for one in found)},
            )
            self._recorder.write(tx, row.institution, event)
            _tell(tx, row, "withdrawn" if action is Action.AGREEMENT_AGREEMENT_WITHDRAW else "expired")
        return found


def subscribe(tx: Connection, recorder: Recorder, institution: UUID, application: str, by: Actor) -> None:
    """Begin a subscription, with its entry, in the caller's transaction."""
    entitlements_store.subscribe(tx, institution, application, clock.unix_ms(), named(by))
    target = Target("application", id=application)
    recorder.write(tx, institution, Event(Action.AGREEMENT_ENTITLEMENT_SUBSCRIBE, by, target=target))
    tell(tx, institution, application, {"state": "subscribed"})


def tell(tx: Connection, institution: UUID, application: str, data: outbox.Data) -> None:
    """Tell a partner application that what was agreed with it, or its subscription, has changed."""
    if application != IMAGES:
        outbox.tell(tx, application, institution, outbox.Kind.AGREEMENT_CHANGED, data=data)


def _tell(tx: Connection, row: Agreement, state: str) -> None:
    data: outbox.Data = {"agreement": row.id, "version": row.version, "state": state}
    tell(tx, row.institution, row.application, data)
    kind = outbox.EventKind.AGREEMENT_CHANGED if state == "in-force" else outbox.EventKind.AGREEMENT_ENDED
    outbox.emit(tx, row.institution, kind, {"application": row.application, "version": row.version})


def require_text(text: str, what: str, length: int) -> None:
    """Raise `bad-request` unless a text is printable, and of 1 to so many characters."""
    if not text.isprintable() or not 0 < len(text) <= length:
        raise WardlightError("bad-request", f"{what} must be 1 to {length} printable characters")


def named(by: Actor) -> str:
    """An actor as a column holds it."""
    return f"{by.kind}:{by.id}"


def differences(before: Terms, after: Terms) -> list[Change]:
    """What two versions say differently, as people read it."""
    return [
        Change(field.name, _plain(old), _plain(new))
        for field in fields(Terms)
        if (old := getattr(before, field.name)) != (new := getattr(after, field.name))
    ]


def _plain(value: Any) -> str | int | None:
    if isinstance(value, frozenset):
        return (
            " ".join(sorted(value))
            if not value or isinstance(min(value), Level)
            else ", ".join(sorted(value))
        )
    return str(value) if isinstance(value, UUID) else value


def _recorded(row: Agreement, before: Agreement | None, by: Actor) -> Event:
    changes = differences(before.terms, row.terms) if before else []
    return Event(
        Action.AGREEMENT_AGREEMENT_AMEND if before else Action.AGREEMENT_AGREEMENT_CREATE,
        by,
        target=Target("agreement", id=row.id, version=row.version),
        agreement=(row.id, row.version),
        change=tuple(Change(one.path) if one.path in _UNTOLD else one for one in changes),
        detail={
            "application": row.application,
            "levels": [level.value for level in Level if level in row.levels],
            "purposes": sorted(row.purposes),
            "basis": row.legal_basis,
            **({"region": row.region, "transfer": row.transfer} if row.transfer else {}),
        },
    )
