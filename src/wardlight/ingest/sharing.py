"""Sharing: a study of Images for an application or a colleague, as a release of its own and a grant on it (R6.3).

A share is a row with a state. What is slow, the copy, is done by the worker, a few seconds at a time; whoever dies in
the middle of it is followed by another, who goes on behind the last instance that was committed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock, log
from wardlight.access import store as access_store
from wardlight.access.grants import Completed, Grants, Terms
from wardlight.access.model import Operation, Scope, SystemScope
from wardlight.access.service import ROLES, Access
from wardlight.agreements.entitlements import Entitlements
from wardlight.agreements.model import IMAGES, Agreement, Level
from wardlight.agreements.service import Agreements
from wardlight.archive import share_store as store
from wardlight.archive.copying import Whole
from wardlight.archive.model import ReleaseState
from wardlight.archive.service import Archive, Origin, Telling
from wardlight.archive.share_store import Share, ShareState
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.references import References
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.db.ids import uuid7
from wardlight.errors import CATALOGUE, WardlightError
from wardlight.identity import store as identity
from wardlight.identity.model import PrincipalKind
from wardlight.identity.service import actor_of
from wardlight.ingest.copying import Copied, Copier

#: One piece of work: the worker has other things to do, too.
PIECE_S: Final = 2.0
#: A worker that has not finished a piece by then is gone. One large instance takes longest.
_LEASE_MS: Final = 10 * 60_000
#: What could not be done is tried again after so long.
_RETRY_MS: Final = 15_000
_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True)
class Wish:
    """Exactly one of application and person, an id. level: the strictest that is agreed where None. until_ms: Unix
    milliseconds; as long as the agreement lets it where None."""

    application: str | None
    person: str | None
    purpose: str
    level: Level | None = None
    until_ms: int | None = None

    @property
    def agreed_with(self) -> str:
        """Under whose agreement: colleagues work under that of the institution's own application."""
        return self.application or IMAGES


class Sharing:
    """Takes wishes to share, and carries them out."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        archive: Archive,
        copier: Copier,
        access: Access,
        agreements: Agreements,
        entitlements: Entitlements,
        grants: Grants,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._archive = archive
        self._copier = copier
        self._access = access
        self._agreements = agreements
        self._entitlements = entitlements
        self._grants = grants

    def share(self, scope: Scope, study_uid: str, wish: Wish) -> Share:
        """Share a study of Images; the grant is made when its release is complete.

        The same wish again, while it is being carried out, is the same share. Raises `not-found`, `bad-request`, and
        `forbidden` with the reason, or the agreement's own code, where the receiver may not have it.
        """
        whole = self._archive.shareable(scope, study_uid)
        now = clock.unix_ms()
        with self._database.read(scope.institution) as tx:
            agreement, level, reason = self._agreed(tx, scope.institution, whole.release.level, wish)
            if not reason and wish.person is not None and not _may_see(tx, scope.institution, wish.person):
                raise WardlightError(
                    "bad-request", "there is no such person in the institution who may see images", "person"
                )
        if reason or agreement is None or level is None:
            self._access.deny(
                scope.principal, scope.action, reason, request=scope.request, address=scope.address
            )
            raise WardlightError(*((reason,) if reason in CATALOGUE else ("forbidden",)), reason=reason)
        latest = agreement.access_until(now)
        until = latest if wish.until_ms is None else wish.until_ms
        if not now < until <= latest:
            raise WardlightError("bad-request", "until is past, or after what the agreement lets", "until")
        row = self._planned(scope, whole, wish, level, until, now)
        with self._database.begin(scope.institution) as tx:
            for other in store.shares_of_group(tx, scope.institution, row.study_group):
                if _same(other, row):
                    return other
            store.add_share(tx, row)
            self._recorder.write(tx, scope.institution, self._told(scope, whole, row, agreement))
        return row

    def listed(self, scope: Scope, study_uid: str) -> list[Share]:
        """Shares of a study, newest first. Raises `not-found`."""
        whole = self._archive.shareable(scope, study_uid)
        references = self._recorder.references(scope.institution)
        with self._database.begin(scope.institution) as tx:
            rows = store.shares_of_group(tx, scope.institution, whole.release.study_group)
            event = Event(
                scope.action,
                actor_of(scope.principal),
                subjects=_subjects(references, whole),
                address=scope.address,
                request=scope.request,
                token=scope.principal.token_ref,
                counts={"results": len(rows)},
            )
            self._recorder.write(tx, scope.institution, event)
        return rows

    def work(self, scope: SystemScope) -> int:
        """Carry shares on, each by one piece of work, those that waited longest first. Returns how many there were."""
        with self._database.read(EVERYWHERE) as tx:
            due = store.due_shares(tx, clock.unix_ms(), _AT_ONCE)
        until, done = time.monotonic() + PIECE_S, 0
        for id_ in due:
            if done and time.monotonic() > until:
                break
            done += self._carry_on(scope, id_)
        return done

    def _carry_on(self, scope: SystemScope, id_: UUID) -> bool:
        now = clock.unix_ms()
        with self._database.begin(EVERYWHERE) as tx:
            row = store.share_by_id(tx, id_, lock=True)
            if row is None or row.lease_ms > now or row.state is ShareState.ENDED:
                return False
            store.update_share(tx, id_, lease_ms=now + _LEASE_MS)
        pause = _RETRY_MS
        try:
            self._advance(scope, row)
            pause = 0
        except WardlightError as error:
            if error.kind.http < 500:
                self._end(row, error.reason or error.code)
                pause = 0
            else:
                log.error("ingest.share", error, code=error.code)
        except Exception as error:  # noqa: BLE001 - one share that fails must not keep the others from going on
            log.error("ingest.share", error)
        with self._database.begin(row.institution) as tx:
            store.update_share(tx, id_, lease_ms=clock.unix_ms() + pause)
        return True

    def _advance(self, scope: SystemScope, row: Share) -> None:
        """One step. Raises an error below 500 where the share can never be carried out."""
        if row.until_ms <= clock.unix_ms():
            raise WardlightError("forbidden", reason="grant-expired")
        whole = self._archive.whole(row.institution, row.source)
        with self._database.read(row.institution) as tx:
            granted = row.access_grant
            if granted and access_store.live_by_id(tx, row.institution, granted, clock.unix_ms()) is None:
                raise WardlightError("forbidden", reason="grant-ended")
            if not granted and _is_over(tx, row):
                raise WardlightError("forbidden", reason="person-suspended")
            wish = Wish(row.application, row.person, row.purpose, row.level)
            agreement, _, reason = self._agreed(tx, row.institution, whole.release.level, wish)
        if reason or agreement is None:
            raise WardlightError("forbidden", reason=reason)
        if row.state is ShareState.WAITING:
            self._grant(row, whole, agreement)
        else:
            self._copy(scope, row, whole, agreement)

    def _copy(self, scope: SystemScope, row: Share, whole: Whole, agreement: Agreement) -> None:
        by = _actor(row)
        done = self._copier.copy(
            scope,
            whole,
            row.release,
            application=row.application or IMAGES,
            level=row.level,
            cursor=row.cursor,
            telling=Telling(
                Action.ARCHIVE_STUDY_STORE,
                behalf=by,
                purpose=row.purpose,
                agreement=(agreement.id, agreement.version),
                subjects=whole.subjects,
            ),
            request=row.request,
            seconds=PIECE_S,
        )
        row = replace(
            row, stored=row.stored + done.stored, quarantined=row.quarantined + done.quarantined.total()
        )
        values: dict[str, object] = {
            "cursor": done.cursor,
            "stored": row.stored,
            "quarantined": row.quarantined,
        }
        if done.finished:
            values["total"] = whole.release.instance_count
            if row.state is ShareState.COPYING:
                values["state"] = ShareState.WAITING.value
            if not row.stored:
                values |= {"state": ShareState.ENDED.value, "reason": "quarantined"}
        with self._database.begin(row.institution) as tx:
            store.set_quarantined(tx, row.release, row.quarantined)
            store.update_share(tx, row.id, **values)
            for event in self._protected(scope, row, whole, done, by):
                self._recorder.write(tx, row.institution, event)

    def _protected(
        self, scope: SystemScope, row: Share, whole: Whole, done: Copied, by: Actor
    ) -> list[Event]:
        """What the trail is told of a piece of de-identification."""
        if row.level is Level.IDENTIFIED:
            return []
        subjects = _subjects(self._recorder.references(row.institution), whole)
        worker = Actor("system", scope.reason)
        common = Event(Action.INGEST_STUDY_PROTECT, worker, behalf=by, subjects=subjects, request=row.request)
        told = [replace(common, counts={"instances": done.stored})] if done.stored else []
        for reason, count in sorted(done.quarantined.items()):
            counts = {"instances": count}
            told.append(replace(common, action=Action.INGEST_STUDY_QUARANTINE, reason=reason, counts=counts))
        return told

    def _grant(self, row: Share, source: Whole, agreement: Agreement) -> None:
        """Make the grant, once the release is complete."""
        made = source if row.release == row.source else self._archive.whole(row.institution, row.release)
        release = made.release
        if release.metadata_object is None or release.state is ReleaseState.DELETING:
            return
        references = self._recorder.references(row.institution)
        patient, study = _subjects(references, made)[0]
        done = Completed(
            institution=row.institution,
            release=row.release,
            application=row.application or IMAGES,
            level=row.level,
            study_group=row.study_group,
            patient_ref=patient,
            study_ref=study,
            instances=release.instance_count,
            quarantined=row.quarantined,
        )
        until = min(row.until_ms, agreement.access_until(clock.unix_ms()))
        with self._database.begin(row.institution) as tx:
            current = store.share_by_id(tx, row.id, lock=True)
            if current is None or current.state is not ShareState.WAITING:
                return
            grant = self._grants.open(
                tx,
                done,
                Terms(agreement, (row.purpose,), until),
                application=row.application,
                person=row.person,
                by=_actor(row),
                request=row.request,
            )
            store.update_share(tx, row.id, state=ShareState.GRANTED.value, access_grant=grant.id)

    def _end(self, row: Share, reason: str) -> None:
        with self._database.begin(row.institution) as tx:
            store.update_share(tx, row.id, state=ShareState.ENDED.value, reason=reason[:40])

    def _agreed(
        self, tx: Connection, institution: UUID, source: Level, wish: Wish
    ) -> tuple[Agreement | None, Level | None, str]:
        """Under which agreement and at which level, or why not."""
        agreement = self._agreements.current(tx, institution, wish.agreed_with)
        if agreement is None:
            return None, None, "no-agreement"
        # Never less strict than what is shared: what it does not hold cannot come back, and need not seem to.
        allowed = source.at_least()
        level = wish.level or next((one for one in Level if one in allowed & agreement.levels), None)
        if level is None or level not in allowed:
            return None, None, "level-not-agreed"
        reason = self._agreements.why_not(tx, institution, wish.agreed_with, wish.purpose, level)
        reason = reason or self._entitlements.why_not(tx, institution, wish.agreed_with, wish.purpose, level)
        return agreement, level, reason

    def _planned(self, scope: Scope, whole: Whole, wish: Wish, level: Level, until: int, now: int) -> Share:
        """The share with its release, reserved where a new one is made."""
        source = whole.release
        by = actor_of(scope.principal)
        # A colleague sees what Images has; only at a stricter level that has to be made.
        as_it_is = wish.application is None and level is source.level
        release = source.id
        if not as_it_is:
            application = wish.application or IMAGES
            release = self._archive.target(
                scope.institution,
                application,
                level,
                self._copier.study_uid(scope.institution, application, level, whole.study_uid),
                source.study_group,
                by=by,
                request=scope.request,
                origin=Origin(derived_from=source.id, source=whole.source, subjects=whole.subjects),
            ).release
        return Share(
            id=uuid7(),
            institution=scope.institution,
            study_group=source.study_group,
            source=source.id,
            release=release,
            application=wish.application,
            person=wish.person,
            level=level,
            purpose=wish.purpose,
            until_ms=until,
            state=ShareState.WAITING if as_it_is else ShareState.COPYING,
            reason=None,
            total=source.instance_count,
            stored=source.instance_count if as_it_is else 0,
            quarantined=0,
            cursor=None,
            access_grant=None,
            lease_ms=0,
            created_ms=now,
            created_by=f"{by.kind}:{by.id}",
            request=scope.request,
        )

    def _told(self, scope: Scope, whole: Whole, row: Share, agreement: Agreement) -> Event:
        holder = {"application": row.application} if row.application else {"person": row.person or ""}
        subjects = _subjects(self._recorder.references(row.institution), whole)
        return Event(
            Action.ACCESS_GRANT_SHARE,
            actor_of(scope.principal),
            target=Target("study", ref=subjects[0][1]),
            subjects=subjects,
            purpose=row.purpose,
            basis=agreement.legal_basis,
            agreement=(agreement.id, agreement.version),
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            detail={
                **holder,
                "purposes": [row.purpose],
                "expires": clock.timestamp_ms(row.until_ms),
                "level": row.level.value,
            },
        )


def _same(one: Share, other: Share) -> bool:
    """Whether it is the same wish, not carried out yet."""
    return one.state in (ShareState.COPYING, ShareState.WAITING) and (
        one.release,
        one.application,
        one.person,
        one.purpose,
    ) == (other.release, other.application, other.person, other.purpose)


def _actor(row: Share) -> Actor:
    kind, _, id_ = row.created_by.partition(":")
    return Actor(kind, id_)


def _is_over(tx: Connection, row: Share) -> bool:
    """Whether who shares may do nothing any more: then what is not granted yet is not granted."""
    by = _actor(row)
    people = identity.people(tx, row.institution, id_=by.id) if by.kind == PrincipalKind.PERSON.value else []
    return bool(people) and people[0].state != identity.ACTIVE


def _subjects(references: References, whole: Whole) -> tuple[tuple[str, str], ...]:
    return tuple(one.references(references) for one in whole.subjects)


def _may_see(tx: Connection, institution: UUID, person: str) -> bool:
    rows = identity.people(tx, institution, id_=person)
    return bool(rows) and rows[0].state == identity.ACTIVE and Operation.RETRIEVE in ROLES[rows[0].role]
