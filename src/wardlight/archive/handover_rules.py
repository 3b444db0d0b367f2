"""Who else is to have a result of an application: those whose agreement names it, while they may see the study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.access import store as access
from wardlight.access.model import Grant
from wardlight.agreements import store as agreements
from wardlight.agreements.entitlements import Entitlements
from wardlight.archive import handover_store, share_store, store
from wardlight.archive.handover_store import Handover, State
from wardlight.archive.intake_parts import Telling, image_classes
from wardlight.archive.model import Level, ReleaseState
from wardlight.archive.store import ReleaseRow
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.identity.model import PrincipalKind

_RECEIVER: Final = f"{PrincipalKind.RECEIVER.value}:"
#: Who decides what nobody asked for.
ITSELF: Final = Actor(PrincipalKind.SYSTEM.value, "archive")


class HandoverRules:
    """Decides, and decides again whenever something moves. Threads may share it."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._recorder = recorder
        self._entitlements = Entitlements(database, recorder)

    def decide(
        self, tx: Connection, release: ReleaseRow, telling: Telling, instances: Sequence[UUID]
    ) -> None:
        """Who else is to have these results of `telling.producer`, in the transaction that stores them.

        Asked are those who have, or had, a grant on another release of the study, and whose agreement names the
        producer. Each decision is an entry, with the reason where it is no.
        """
        producer = telling.producer
        if producer is None or telling.handover is not None:
            return
        now = clock.unix_ms()
        for grant in _candidates(tx, release, producer):
            target = store.release_by_id(tx, grant.release)
            if target is None or target.state is ReleaseState.DELETING:
                continue
            reason = self._why_not(tx, grant, target.level, now)
            receiver = None
            if not reason:
                receiver, reason = _maker(tx, release, target)
            self._recorder.write(
                tx,
                release.institution,
                Event(
                    Action.ACCESS_RESULT_HANDOVER,
                    ITSELF,
                    outcome=Outcome.DENIED if reason else Outcome.SUCCESS,
                    target=Target("application", id=grant.application or ""),
                    subjects=((grant.patient_ref, grant.study_ref),),
                    agreement=grant.agreement,
                    grant=grant.id.hex,
                    classes=image_classes(target.level),
                    reason=reason,
                    counts={"results": len(instances)},
                    detail={"application": producer, "level": target.level.value},
                ),
            )
            if not reason:
                rows = [_row(release, one, producer, grant, receiver, now) for one in instances]
                handover_store.add(tx, rows)

    def require(self, tx: Connection, institution: UUID, id_: UUID, target: UUID) -> None:
        """That what was made of a result may still be stored in this release. Raises `forbidden` with the reason."""
        row = handover_store.by_id(tx, institution, id_, receiver=None, lock=True, anybody=True)
        if row is None or row.state is not State.TAKEN or row.target != target:
            raise WardlightError("forbidden", reason="handover")
        reason = self.over(tx, row)
        if reason:
            raise WardlightError("forbidden", reason=reason)

    def done(self, tx: Connection, id_: UUID) -> None:
        """The recipient has it."""
        handover_store.change(tx, id_, state=State.DONE.value)

    def over(self, tx: Connection, row: Handover) -> str:
        """Why it must not go on any more; "" where it may."""
        grant = access.by_id(tx, row.institution, row.access_grant)
        target = store.release_by_id(tx, row.target)
        source = store.release_by_id(tx, row.release)
        gone = {None if one is None else one.state for one in (target, source)}
        if grant is None or target is None or gone & {None, ReleaseState.DELETING}:
            return "study-deleted"
        agreement = agreements.current(tx, row.institution, row.recipient)
        if agreement is None:
            return "no-agreement"
        if row.application not in agreement.results_of:
            return "results-not-agreed"
        return self._why_not(tx, grant, target.level, clock.unix_ms())

    def _why_not(self, tx: Connection, grant: Grant, level: Level, now: int) -> str:
        """Why the holder of a grant may see nothing more of the study now; "" where it may."""
        if not access.live_ids(tx, [grant.id], now):
            return grant.ended_reason or "grant-ended"
        agreement = agreements.current(tx, grant.institution, grant.application or "")
        if agreement is None:
            return "no-agreement"
        if level not in agreement.levels:
            return "level-not-agreed"
        purposes = [one for one in grant.purposes if one in agreement.purposes]
        if not purposes:
            return "purpose-not-agreed"
        reasons = [
            self._entitlements.why_not(tx, grant.institution, grant.application or "", one, level)
            for one in purposes
        ]
        return "" if "" in reasons else reasons[0]


def _candidates(tx: Connection, release: ReleaseRow, producer: str) -> Iterator[Grant]:
    """The newest grant of each application that has one on another release of the study and whose agreement names the
    producer."""
    seen: set[tuple[str, UUID]] = set()
    for grant in access.listed(
        tx, release.institution, group=release.study_group, ended=True, now_ms=0, limit=1000
    ):
        holder = grant.application
        if holder is None or holder == producer or grant.release == release.id:
            continue
        if (holder, grant.release) in seen:
            continue
        seen.add((holder, grant.release))
        agreement = agreements.current(tx, release.institution, holder)
        if agreement is not None and producer in agreement.results_of:
            yield grant


def _maker(tx: Connection, source: ReleaseRow, target: ReleaseRow) -> tuple[str | None, str]:
    """The receiver that makes a result of one release one of the other, None for the platform; or why nobody can."""
    if source.level is Level.IDENTIFIED and target.level is Level.IDENTIFIED:
        # Both name patient, study and images as the hospital does.
        return None, ""
    origins = [share_store.origin(tx, one.id) for one in (source, target)]
    sources = {None if one is None else one.derived_from for one in origins}
    if len(sources) == 1 and None not in sources:
        # The platform made both of one release: it can make the way back again.
        return None, ""
    made = [one.producer for one in origins if one is not None and one.derived_from is None and one.producer]
    if len(made) == 2 and all(one.startswith(_RECEIVER) for one in made):
        return made[0].removeprefix(_RECEIVER), ""
    return None, "way-back-unknown"


def _row(
    release: ReleaseRow, instance: UUID, producer: str, grant: Grant, receiver: str | None, now: int
) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "institution": release.institution,
        "release": release.id,
        "instance": instance,
        "application": producer,
        "target": grant.release,
        "recipient": grant.application,
        "access_grant": grant.id,
        "receiver": receiver,
        "state": State.WAITING.value,
        "attempts": 0,
        "due_ms": now,
        "created_ms": now,
    }
