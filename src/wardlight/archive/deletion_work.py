"""Carries deletions on: search, keys, objects, rows; later the roll that ends their backups (security.md §2).

Every step is safe to repeat, and the state says which ones are done: a worker that dies is followed by another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from wardlight import clock, log
from wardlight.access.model import SystemScope
from wardlight.archive import deletion_store as store
from wardlight.archive import postings_store, roll_store
from wardlight.archive.deletion_store import DeletedRelease, DeletionRow, DeletionState
from wardlight.archive.postings_merge import Postings
from wardlight.archive.roll_store import Begun
from wardlight.archive.tombstones import Tombstones
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.events.outbox import EventKind, emit
from wardlight.identity.model import PrincipalKind
from wardlight.keys.epochs import Epochs, Roll
from wardlight.keys.keystore import Keystore
from wardlight.objects.store import ObjectStore

#: For so long a study is taken out of its postings one by one; then all of them are made anew.
_PATIENCE_MS: Final = 60_000
#: After so long the institution's epoch rolls, so that with an hourly job it is never a day.
ROLL_MS: Final = 22 * 3600 * 1000
_REASON: Final = "study-deleted"


@dataclass(frozen=True, slots=True)
class Places:
    """Where what is deleted lies."""

    database: Database
    keystore: Keystore
    objects: ObjectStore
    recorder: Recorder


class DeletionWork:
    """What the worker does for deletions. Any number of workers may."""

    def __init__(self, places: Places, epochs: Epochs, tombstones: Tombstones) -> None:
        self._database = places.database
        self._keystore = places.keystore
        self._objects = places.objects
        self._recorder = places.recorder
        self._postings = Postings(places.database, places.keystore)
        self._epochs = epochs
        self._tombstones = tombstones

    def work(self, scope: SystemScope) -> int:
        """Carry every deletion on as far as it goes; returns how many steps were done."""
        with self._database.read(EVERYWHERE) as tx:
            rows = store.unfinished(tx)
        done = 0
        for row in rows:
            try:
                done += self._carry_on(scope, row)
            except Exception as error:  # noqa: BLE001 - one that is stuck must not hold up the others
                log.error("archive.delete", error, deletion=row.id.hex)
        return done

    def _carry_on(self, scope: SystemScope, row: DeletionRow) -> int:
        done = 0
        while True:
            with self._database.read(row.institution) as tx:
                now = store.find(tx, row.institution, row.id)
                releases = store.releases_in(tx, [row.id])
            if now is None:
                return done
            if now.state is DeletionState.ENDED:
                moved = self._unlist(now, releases)
            elif now.state is DeletionState.UNLISTED:
                moved = self._shred(scope, now, releases)
            elif now.state is DeletionState.SHREDDED:
                moved = self._remove(scope, now, releases)
            else:
                return done + self._rebuild(now)
            if not moved:
                return done
            done += 1

    def _unlist(self, row: DeletionRow, releases: list[DeletedRelease]) -> bool:
        """Step 2: out of the postings, which takes the keys that are about to end."""
        with self._database.read(row.institution) as tx:
            found = store.rows_of(tx, [one.release for one in releases])
        rebuild = False
        for release in found:
            if release.sealed is None:
                continue
            try:
                self._postings.remove(row.institution, release)
            except WardlightError as error:
                if clock.unix_ms() - row.access_ended_ms < _PATIENCE_MS and error.kind.http == 503:
                    raise
                log.error("archive.unlist", error, release=str(release.id), code=error.code)
                rebuild = True
        return self._advance(row, DeletionState.UNLISTED, (), rebuild=int(rebuild))

    def _shred(self, scope: SystemScope, row: DeletionRow, releases: list[DeletedRelease]) -> bool:
        """Step 3: keys end, their bytes leave the keystore's file and log, and tombstones say so where backups are."""
        keys = [one.key_id for one in releases]
        self._keystore.destroy_keys(row.institution, keys)
        tombstones = [one for one in self._keystore.tombstones(keys) if one.institution == row.institution]
        self._tombstones.publish(row.id.hex, tombstones)
        at = max((one.destroyed_ms for one in tombstones), default=clock.unix_ms())
        told = [
            Event(
                Action.ARCHIVE_KEY_DESTROY,
                _actor(scope),
                target=Target("key", id=str(key)),
                reason=_REASON,
                detail={"deletion": row.id.hex},
            )
            for key in keys
        ]
        return self._advance(row, DeletionState.SHREDDED, told, key_destroyed_ms=at)

    def _remove(self, scope: SystemScope, row: DeletionRow, releases: list[DeletedRelease]) -> bool:
        """Step 4: objects in all versions, then rows."""
        ids = [one.release for one in releases]
        for release in ids:
            with self._database.read(row.institution) as tx:
                objects = store.objects_of(tx, release)
            for object_id in objects:
                self._objects.delete(object_id)
            while self._database.run(partial(store.remove_instances, release), row.institution):
                pass

        def finish(tx: Connection) -> bool:
            store.remove_rest(tx, ids)
            moved = store.advance(tx, row, DeletionState.REMOVED, removed_ms=clock.unix_ms())
            if moved:
                self._recorder.write(tx, row.institution, _issued(scope, row))
                done = {"deletion": row.id.hex, "by": row.deleted_by}
                emit(tx, row.institution, EventKind.DELETION_DONE, done)
            return moved

        return self._database.run(finish, row.institution)

    def _rebuild(self, row: DeletionRow) -> int:
        """Begin to make the postings anew, once no other rebuilding is under way that may hold the study."""
        if not row.rebuild:
            return 0
        with self._database.read(row.institution) as tx:
            if postings_store.state(tx, row.institution).building:
                return 0
        self._postings.rekey(row.institution)
        with self._database.begin(row.institution) as tx:
            store.change(tx, row.id, rebuild=0)
        return 1

    def _advance(
        self, row: DeletionRow, to: DeletionState, told: list[Event] | tuple[()], **values: Any
    ) -> bool:
        with self._database.begin(row.institution) as tx:
            moved = store.advance(tx, row, to, **values)
            for event in told if moved else ():
                self._recorder.write(tx, row.institution, event)
        return moved

    # ---- the roll ----

    def roll_due(self, scope: SystemScope) -> int:
        """Roll the institutions whose first destroyed key is 22 hours old, and end rolls that were interrupted."""
        done = 0
        for institution in sorted(self.due(), key=lambda one: one.bytes):
            try:
                self.roll(institution, _actor(scope))
                done += 1
            except Exception as error:  # noqa: BLE001 - one that cannot must not hold up the others
                log.error("keys.roll", error, institution=str(institution))
        return done + self.catch_up(scope)

    def due(self) -> set[UUID]:
        """Institutions whose epoch has to roll by now, or whose roll was interrupted, if only before its last entry."""
        before = clock.unix_ms() - ROLL_MS
        with self._database.read(EVERYWHERE) as tx:
            begun = {row.institution for row in roll_store.begun(tx)}
        due = {one for one, at in self._epochs.unrolled().items() if at <= before}
        return due | begun | set(self._epochs.unfinished())

    def roll(self, institution: UUID, by: Actor) -> Roll:
        """Roll an institution's epoch now: what was destroyed before is in no backup that can be read.

        The trail is told before anything is done, and of the end when it has come; one that was interrupted is brought
        to its end, under the entry of its beginning. Raises as `Epochs.roll`.
        """
        begun = self._begun(institution, by)
        roll = self._rolled(begun) or self._epochs.roll(institution)
        event = Event(
            Action.ARCHIVE_KEY_REWRAP,
            by,
            target=Target("epoch", id=str(roll.epoch)),
            phase="finished",
            of=begun.entry,
            counts={"keys": roll.keys} if roll.keys else {},
            detail={"epoch": roll.epoch},
        )
        with self._database.begin(institution) as tx:
            if roll_store.end(tx, begun):
                self._recorder.write(tx, institution, event)
        self._settle(institution, by)
        return roll

    def _begun(self, institution: UUID, by: Actor) -> Begun:
        """The roll that has begun, with its entry; one that was interrupted, where there is one."""
        with self._database.begin(institution) as tx:
            for row in roll_store.begun(tx, institution):
                return row
            # Of one that was interrupted before this was kept, the epoch is the new one already.
            epoch = self._keystore.epoch(institution) - (institution in self._epochs.unfinished())
            event = Event(
                Action.ARCHIVE_KEY_REWRAP,
                by,
                target=Target("epoch", id=str(epoch + 1)),
                phase="authorised",
                detail={"epoch": epoch + 1},
            )
            row = Begun(institution, self._recorder.write(tx, institution, event), epoch)
            try:
                roll_store.begin(tx, row)
            except IntegrityError:
                raise WardlightError("conflict", "another process rolls at this moment") from None
        return row

    def _rolled(self, begun: Begun) -> Roll | None:
        """What a roll did that was interrupted after its last step, before its end was told; None where it goes on."""
        institution = begun.institution
        epoch = self._keystore.epoch(institution)
        if epoch <= begun.epoch or institution in self._epochs.unfinished():
            return None
        rewrapped_ms, retired_ms = self._epochs.rolls(institution)[-1]
        return Roll(institution, epoch, 0, rewrapped_ms, retired_ms)

    def catch_up(self, scope: SystemScope) -> int:
        """Write into receipts what rolls have done whose end this database was not told of; returns how many."""
        with self._database.read(EVERYWHERE) as tx:
            waiting = store.unsettled(tx)
        return sum(self._settle(institution, _actor(scope)) for institution in waiting)

    def _settle(self, institution: UUID, by: Actor) -> int:
        """The receipts of what a completed roll has put beyond reach say so."""
        done = 0
        for rewrapped_ms, retired_ms in self._epochs.rolls(institution):
            with self._database.begin(institution) as tx:
                for row in store.readable(tx, institution, rewrapped_ms):
                    store.change(tx, row.id, unreadable_ms=retired_ms)
                    self._recorder.write(tx, institution, _issued_by(by, row))
                    done += 1
        return done


def _actor(scope: SystemScope) -> Actor:
    return Actor(PrincipalKind.SYSTEM.value, scope.reason)


def _issued(scope: SystemScope, row: DeletionRow) -> Event:
    return _issued_by(_actor(scope), row)


def _issued_by(by: Actor, row: DeletionRow) -> Event:
    return Event(Action.ARCHIVE_RECEIPT_ISSUE, by, target=Target("deletion", id=row.id.hex))
