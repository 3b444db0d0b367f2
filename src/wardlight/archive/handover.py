"""Results of one application for another whose agreement names it (`results_of`): decided, handed out, brought in.

Each release has its own UIDs and pseudonyms, so a result is made anew for each recipient: by the receiver that made
both releases, which holds the way back, or by the platform where both name the patient. It is decided when the result
is stored and asked for again whenever anything of it moves; what came of it is an instance of the recipient's release.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.access import store as access
from wardlight.access.model import Operation, Scope, SystemScope
from wardlight.archive import handover_store, share_store, store
from wardlight.archive.content import stored_range
from wardlight.archive.copying import Copying, Whole
from wardlight.archive.handover_rules import ITSELF, HandoverRules
from wardlight.archive.handover_store import Handover, State
from wardlight.archive.intake_parts import Telling, image_classes
from wardlight.archive.keyring import release_key
from wardlight.archive.model import InstanceLocation, Level, ReleaseTarget
from wardlight.archive.places import locations
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.identity.service import actor_of
from wardlight.keys.keystore import Keystore
from wardlight.objects.store import ObjectStore

#: Handovers that one page of a receiver's queue shows, and that one round of the worker looks at.
PAGE: Final = 100
#: How often one is tried before it ends.
ATTEMPTS: Final = 10
#: Pause before it is tried again, doubled each time.
_PAUSE_MS: Final = 15_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A handover whose result is there. level: of the release that it goes to.

    source: the release that the platform made both of; None where nothing has to be made anew, or a receiver does it.
    """

    row: Handover
    location: InstanceLocation
    whole: Whole
    level: Level
    source: UUID | None


@dataclass(frozen=True, slots=True)
class HandoverPlace:
    """Where a result that was made anew goes, and as what."""

    target: ReleaseTarget
    study_uid: str = field(repr=False)
    telling: Telling


class Handovers:
    """Threads may share it."""

    def __init__(
        self,
        database: Database,
        keystore: Keystore,
        objects: ObjectStore,
        recorder: Recorder,
        copying: Copying,
    ) -> None:
        self._database = database
        self._keystore = keystore
        self._objects = objects
        self._recorder = recorder
        self._copying = copying
        self._rules = HandoverRules(database, recorder)

    # For the receiver ------------------------------------------------------------------------------------------

    def waiting(self, scope: Scope) -> list[Waiting]:
        """What this receiver is to make anew, oldest first; what may not go on any more ends here."""
        scope.require(Operation.COLLECT)
        with self._database.read(scope.institution) as tx:
            rows = handover_store.of_receiver(
                tx, scope.institution, scope.principal.id, clock.unix_ms(), PAGE
            )
        found = [one for row in rows if (one := self._open(row)) is not None]
        with self._database.begin(scope.institution) as tx:
            self._recorder.write(tx, scope.institution, self._told(scope, found, {"results": len(found)}))
        return found

    def take(self, scope: Scope, id_: UUID) -> tuple[Waiting, Iterator[bytes]]:
        """Hand a result out. Raises `not-found`, and `conflict` where it was handed out and not put back."""
        found = self._one(scope, id_)
        with self._database.begin(scope.institution) as tx:
            self._taken(tx, scope.institution, id_, scope.principal.id)
            self._recorder.write(tx, scope.institution, self._told(scope, [found], {"instances": 1}))
        return found, self.pieces(found)

    def settle(self, scope: Scope, id_: UUID, reason: str) -> None:
        """The receiver could not make it anew: for this reason never, or, with none, not yet. Raises `not-found`."""
        found = self._one(scope, id_)
        with self._database.begin(scope.institution) as tx:
            row = handover_store.by_id(tx, scope.institution, id_, receiver=scope.principal.id, lock=True)
            if row is None:
                raise WardlightError("not-found")
            self._put_back(tx, row, reason)
            event = self._told(scope, [found], {"results": 1}, reason or "put-back")
            self._recorder.write(tx, scope.institution, event)

    def place(self, institution: UUID, id_: UUID, receiver: str | None) -> HandoverPlace:
        """Where what was made anew goes. Raises `forbidden` with the reason."""
        with self._database.read(institution) as tx:
            row = handover_store.by_id(tx, institution, id_, receiver=receiver)
            reason = "handover" if row is None or row.state is not State.TAKEN else self._rules.over(tx, row)
            grant = access.by_id(tx, institution, row.access_grant) if row else None
        if reason or row is None or grant is None:
            raise WardlightError("forbidden", reason=reason or "handover")
        whole = self._copying.whole(institution, row.target)
        release = whole.release
        key = release_key(self._keystore, release)
        target = ReleaseTarget(
            institution,
            release.id,
            release.application,
            release.level,
            release.key_id,
            key.key,
            whole.study_uid,
        )
        telling = Telling(
            Action.ARCHIVE_STUDY_STORE,
            agreement=grant.agreement,
            producer=row.application,
            subjects=whole.subjects[1:],
            handover=row.id,
        )
        return HandoverPlace(target, whole.study_uid, telling)

    # For the platform itself -----------------------------------------------------------------------------------

    def due(self, scope: SystemScope) -> list[Waiting]:  # noqa: ARG002 - proof that the worker asks
        """What the platform is to do now, oldest first; what may not go on any more ends here."""
        with self._database.read(EVERYWHERE) as tx:
            rows = handover_store.of_platform(tx, clock.unix_ms(), PAGE)
        found = [one for row in rows if (one := self._open(row)) is not None]
        for one in found:
            if one.row.attempts >= ATTEMPTS:
                # Whoever took it ended without a word, each time.
                self.give_up(one, "attempts")
        return [one for one in found if one.row.attempts < ATTEMPTS]

    def begin(self, found: Waiting, lease_ms: int) -> bool:
        """Take it for so long; False where another worker was first."""
        row = found.row
        with self._database.begin(row.institution) as tx:
            now = handover_store.by_id(tx, row.institution, row.id, receiver=None, lock=True)
            if now is None or now.attempts != row.attempts:
                return False
            values = {"state": State.TAKEN.value, "attempts": row.attempts + 1}
            handover_store.change(tx, row.id, **values, due_ms=clock.unix_ms() + lease_ms)
        return True

    def give_up(self, found: Waiting, reason: str) -> None:
        """It was not done: for this reason never, or, with none, not yet."""
        row = found.row
        with self._database.begin(row.institution) as tx:
            now = handover_store.by_id(tx, row.institution, row.id, receiver=None, lock=True)
            if now is not None and self._put_back(tx, now, reason):
                self._recorder.write(tx, row.institution, _ended(now, reason or "attempts"))

    def pieces(self, found: Waiting) -> Iterator[bytes]:
        """The file of the result as its application stored it."""
        location = found.location
        key = release_key(self._keystore, found.whole.release).key
        with self._objects.open(location.object_id, key, location.object_size) as reader:
            yield from stored_range(reader, location, 0, location.length)

    # Parts -----------------------------------------------------------------------------------------------------

    def _open(self, row: Handover) -> Waiting | None:
        """The handover with its result; None, and over, where it may not go on."""
        with self._database.read(row.institution) as tx:
            reason = self._rules.over(tx, row)
        found = None if reason else self._located(row)
        if found is None:
            with self._database.begin(row.institution) as tx:
                handover_store.change(
                    tx, row.id, state=State.ENDED.value, reason=(reason or "study-deleted")[:40]
                )
                self._recorder.write(tx, row.institution, _ended(row, reason or "study-deleted"))
        return found

    def _located(self, row: Handover) -> Waiting | None:
        try:
            whole = self._copying.whole(row.institution, row.release)
        except WardlightError as error:
            if error.kind.http >= 500:
                raise
            return None
        with self._database.read(row.institution) as tx:
            token = share_store.instance_token(tx, row.instance)
            places = store.find_instances(tx, row.release, token=token) if token else []
            target = store.release_by_id(tx, row.target)
            origin = share_store.origin(tx, row.release)
        if not places or target is None or origin is None:
            return None
        as_it_is = whole.release.level is target.level is Level.IDENTIFIED
        key = release_key(self._keystore, whole.release)
        place = locations(whole.release, key, places, whole.study_uid, None)[0]
        source = None if as_it_is or row.receiver is not None else origin.derived_from
        return Waiting(row, place, whole, target.level, source)

    def _one(self, scope: Scope, id_: UUID) -> Waiting:
        scope.require(Operation.COLLECT)
        with self._database.read(scope.institution) as tx:
            row = handover_store.by_id(tx, scope.institution, id_, receiver=scope.principal.id)
        found = self._open(row) if row else None
        if found is None:
            raise WardlightError("not-found")
        return found

    def _taken(self, tx: Connection, institution: UUID, id_: UUID, receiver: str) -> None:
        row = handover_store.by_id(tx, institution, id_, receiver=receiver, lock=True)
        if row is None:
            raise WardlightError("not-found")
        if row.state is State.TAKEN:
            raise WardlightError("conflict", "the result was handed out", "collected")
        handover_store.change(tx, id_, state=State.TAKEN.value, attempts=row.attempts + 1)

    def _put_back(self, tx: Connection, row: Handover, reason: str) -> bool:
        """End it for a reason, or after too many attempts; else it waits again. Returns whether it ended."""
        if not reason and row.attempts < ATTEMPTS:
            due = clock.unix_ms() + (_PAUSE_MS << max(0, row.attempts - 1))
            handover_store.change(tx, row.id, state=State.WAITING.value, due_ms=due)
            return False
        handover_store.change(tx, row.id, state=State.ENDED.value, reason=(reason or "attempts")[:40])
        return True

    def _told(self, scope: Scope, found: list[Waiting], counts: dict[str, int], reason: str = "") -> Event:
        references = self._recorder.references(scope.institution)
        subjects = {one.references(references): None for waiting in found for one in waiting.whole.subjects}
        classes = {name for one in found for name in image_classes(one.whole.release.level)}
        return Event(
            scope.action,
            actor_of(scope.principal),
            outcome=Outcome.FAILED if reason else Outcome.SUCCESS,
            target=Target("result", id=found[0].row.id.hex) if len(found) == 1 else None,
            subjects=tuple(subjects),
            classes=tuple(sorted(classes)),
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            reason=reason,
            counts=counts,
        )


def _ended(row: Handover, reason: str) -> Event:
    return Event(
        Action.ACCESS_RESULT_HANDOVER,
        ITSELF,
        outcome=Outcome.DENIED,
        target=Target("application", id=row.recipient),
        grant=row.access_grant.hex,
        reason=reason,
        counts={"results": 1},
        detail={"application": row.application},
    )
