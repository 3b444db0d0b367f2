"""Grants: made when a release is complete, ended by time, by people, and by losing what they stand on (R6.3, R6.4)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.access import store
from wardlight.access.model import Grant, Operation, Rights, Scope
from wardlight.agreements import store as agreements
from wardlight.agreements.entitlements import Entitlements
from wardlight.agreements.model import IMAGES, Agreement, Level
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.events.outbox import EventKind, Kind, emit, tell
from wardlight.identity.model import PrincipalKind, Role
from wardlight.identity.service import actor_of, behalf_of

#: Who ends what nobody has ended.
_ITSELF: Final = Actor(PrincipalKind.SYSTEM.value, "access")
#: Reasons for which a grant ends by time rather than by somebody.
_EXPIRED: Final = "grant-expired"


@dataclass(frozen=True, slots=True)
class Completed:
    """A release that has just been completed, in whose transaction whatever follows from it is done.

    patient_ref, study_ref: as the audit trail names them. instances: how many it holds. quarantined: how many of the
    study were held back. first: whether it was never complete before. shared: whether somebody shared it, who says for
    what and how long.
    """

    institution: UUID
    release: UUID
    application: str
    level: Level
    study_group: bytes = field(repr=False)
    patient_ref: str
    study_ref: str
    instances: int
    quarantined: int = 0
    first: bool = True
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """For what and how long a grant is made. until_ms: at the latest; the agreement may end it before."""

    agreement: Agreement
    purposes: tuple[str, ...]
    until_ms: int
    rights: frozenset[Rights] = frozenset(Rights)


class Grants:
    """All that makes, shows and ends grants. Every change is an entry of the trail in its transaction."""

    def __init__(self, database: Database, recorder: Recorder, entitlements: Entitlements) -> None:
        self._database = database
        self._recorder = recorder
        self._entitlements = entitlements

    def completed(self, tx: Connection, done: Completed) -> Grant | None:
        """What follows from a complete release: one grant for the application it was made for, told to it.

        Nothing for Images, whose releases are the institution's own. Where the agreement does not hold, or the
        application is not entitled, the refusal is in the trail.
        """
        if done.application == IMAGES:
            return None
        now = clock.unix_ms()
        for one in store.open_of_release(tx, done.release):
            if one.application == done.application and store.live_ids(tx, [one.id], now):
                self._tell(tx, one, Kind.STUDY_CHANGED, done)
                return one
        if done.shared or store.had_grant(tx, done.release, done.application):
            # What ended, or is a person's to open, does not come back because another instance came.
            return None
        agreement = agreements.current(tx, done.institution, done.application)
        purposes, reason = self._entitled(tx, done, agreement)
        if agreement is None or not purposes:
            self._recorder.write(tx, done.institution, _refused(done, reason))
            return None
        terms = Terms(agreement, purposes, agreement.access_until(now))
        return self.open(tx, done, terms, application=done.application, by=_ITSELF)

    def open(
        self,
        tx: Connection,
        done: Completed,
        terms: Terms,
        *,
        application: str | None = None,
        person: str | None = None,
        by: Actor,
        request: str = "",
        shared: bool = False,
    ) -> Grant:
        """Make a grant on a complete release, and tell the application; shared: a person made it by hand."""
        now = clock.unix_ms()
        row = Grant(
            id=uuid7(),
            institution=done.institution,
            application=application,
            person=person,
            release=done.release,
            study_group=done.study_group,
            patient_ref=done.patient_ref,
            study_ref=done.study_ref,
            agreement=(terms.agreement.id, terms.agreement.version),
            purposes=terms.purposes,
            rights=terms.rights,
            not_before_ms=now,
            expires_ms=terms.until_ms,
            created_ms=now,
            created_by=f"{by.kind}:{by.id}",
        )
        store.add(tx, row)
        action = Action.ACCESS_GRANT_SHARE if shared else Action.ACCESS_GRANT_CREATE
        event = _about(row, action, by, request=request, basis=terms.agreement.legal_basis)
        self._recorder.write(tx, row.institution, event)
        self._tell(tx, row, Kind.STUDY_AVAILABLE, done)
        emit(tx, row.institution, EventKind.GRANT_MADE, {"grant": row.id.hex, "by": row.created_by})
        return row

    def find(self, scope: Scope, id_: UUID) -> Grant:
        """The grant of this id. Applications know their own live ones only. Raises `not-found`."""
        scope.require(Operation.GRANTS)
        with self._database.begin(scope.institution) as tx:
            if scope.granted:
                row = store.live_by_id(tx, scope.institution, id_, clock.unix_ms())
            else:
                row = store.by_id(tx, scope.institution, id_)
            if row is None or (scope.granted and not _shows(scope, row)):
                raise WardlightError("not-found")
            self._recorder.write(tx, scope.institution, _read(scope, [row], id_.hex))
        return row

    def listed(
        self,
        scope: Scope,
        *,
        application: str | None = None,
        group: bytes | None = None,
        ended: bool = False,
        after: UUID | None = None,
        limit: int = 100,
    ) -> list[Grant]:
        """Grants of the institution, newest first; of an application its own live ones for its purpose."""
        scope.require(Operation.GRANTS)
        if scope.granted:
            application, ended = scope.principal.id, False
        with self._database.begin(scope.institution) as tx:
            found = store.listed(
                tx,
                scope.institution,
                application=application,
                purpose=scope.purpose if scope.granted else "",
                group=group,
                ended=ended,
                now_ms=clock.unix_ms(),
                after=after,
                limit=limit,
            )
            self._recorder.write(tx, scope.institution, _read(scope, found))
        return found

    def revoke(self, scope: Scope, id_: UUID) -> Grant:
        """End a grant at once; a second time is no error. Clinicians end those that they made.

        Raises `not-found`, `forbidden`.
        """
        scope.require(Operation.REVOKE)
        by = actor_of(scope.principal)
        with self._database.begin(scope.institution) as tx:
            row = store.by_id(tx, scope.institution, id_)
            if row is None:
                raise WardlightError("not-found")
            if scope.principal.role is Role.CLINICIAN and row.created_by != f"{by.kind}:{by.id}":
                raise WardlightError("forbidden", reason="role")
            self._end(tx, row, "revoked", by, scope.request, scope.address)
        return row

    def end_releases(
        self, tx: Connection, releases: Collection[UUID], reason: str, *, by: Actor, request: str = ""
    ) -> list[Grant]:
        """End every open grant on these releases, which are going; returns them. The applications are not told here."""
        ended = []
        for release in releases:
            for row in store.open_of_release(tx, release):
                if self._end(tx, row, reason, by, request, "", told=False):
                    ended.append(row)
        return ended

    def end_lost(self) -> int:
        """End grants whose time or basis is gone, and tell their applications; returns how many.

        They gave no access any more since it went: every read asks for what a grant stands on.
        """
        with self._database.read(EVERYWHERE) as tx:
            found = store.lost(tx, clock.unix_ms())
        for row, reason in found:
            with self._database.begin(row.institution) as tx:
                self._end(tx, row, reason, _ITSELF, "", "")
        return len(found)

    def _entitled(
        self, tx: Connection, done: Completed, agreement: Agreement | None
    ) -> tuple[tuple[str, ...], str]:
        """The purposes that are agreed and that the application is entitled to, or why there are none."""
        if agreement is None:
            return (), "no-agreement"
        if done.level not in agreement.levels:
            return (), "level-not-agreed"
        reasons = {
            purpose: self._entitlements.why_not(tx, done.institution, done.application, purpose, done.level)
            for purpose in sorted(agreement.purposes)
        }
        purposes = tuple(purpose for purpose, reason in reasons.items() if not reason)
        return purposes, "" if purposes else next(iter(reasons.values()))

    def _end(
        self,
        tx: Connection,
        row: Grant,
        reason: str,
        by: Actor,
        request: str,
        address: str,
        *,
        told: bool = True,
    ) -> bool:
        if not store.end(tx, row.id, reason, clock.unix_ms()):
            return False
        action = Action.ACCESS_GRANT_EXPIRE if reason == _EXPIRED else Action.ACCESS_GRANT_REVOKE
        event = _about(row, action, by, reason=reason, request=request, address=address)
        self._recorder.write(tx, row.institution, event)
        who = {"grant": row.id.hex, "by": f"{by.kind}:{by.id}"}
        emit(tx, row.institution, EventKind.GRANT_ENDED, who)
        if told and row.application:
            data = {"reason": reason}
            kind = Kind.ACCESS_REVOKED
            tell(tx, row.application, row.institution, kind, grant=row.id, study=row.release, data=data)
        return True

    def _tell(self, tx: Connection, row: Grant, kind: Kind, done: Completed) -> None:
        """One event in the application's feed, if it is an application's grant."""
        if row.application:
            data = {"instances": done.instances, "quarantined": done.quarantined}
            tell(tx, row.application, row.institution, kind, grant=row.id, study=row.release, data=data)


def _shows(scope: Scope, row: Grant) -> bool:
    """Whether an application is shown this grant: its own, for what its token is for."""
    return row.application == scope.principal.id and scope.purpose in ("", *row.purposes)


def _read(scope: Scope, rows: list[Grant], id_: str = "") -> Event:
    """That grants were shown, and on whose data."""
    return Event(
        Action.ACCESS_GRANT_READ,
        actor_of(scope.principal),
        behalf=behalf_of(scope.principal),
        target=Target("grant", id=id_) if id_ else None,
        subjects=tuple(dict.fromkeys((row.patient_ref, row.study_ref) for row in rows)),
        purpose=scope.purpose,
        address=scope.address,
        request=scope.request,
        token=scope.principal.token_ref,
        counts={"results": len(rows)},
    )


def _about(
    row: Grant,
    action: Action,
    by: Actor,
    *,
    reason: str = "",
    basis: str = "",
    request: str = "",
    address: str = "",
) -> Event:
    holder = {"application": row.application} if row.application else {"person": row.person or ""}
    return Event(
        action,
        by,
        target=Target("grant", id=row.id.hex),
        subjects=((row.patient_ref, row.study_ref),),
        basis=basis,
        agreement=row.agreement,
        grant=row.id.hex,
        reason=reason,
        request=request,
        address=address,
        detail={
            **holder,
            "purposes": list(row.purposes),
            "expires": clock.timestamp_ms(row.expires_ms),
        },
    )


def _refused(done: Completed, reason: str) -> Event:
    return Event(
        Action.ACCESS_GRANT_CREATE,
        _ITSELF,
        outcome=Outcome.DENIED,
        target=Target("application", id=done.application),
        subjects=((done.patient_ref, done.study_ref),),
        reason=reason,
        detail={"application": done.application, "level": done.level.value},
    )
