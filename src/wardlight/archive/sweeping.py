"""Removes what a crash left behind: objects that no row names, releases that never got an instance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock, log
from wardlight.access.model import SystemScope
from wardlight.archive import store
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.identity.model import PrincipalKind
from wardlight.keys.keystore import Keystore
from wardlight.objects.store import ObjectStore

#: Transactions end within 30 s, so what has no row after a day never gets one.
AGE_MS: Final = 24 * 3600 * 1000


def discard(objects: ObjectStore, object_id: UUID) -> None:
    """Delete an object that no row names. Where that fails, the sweep will: it must not undo what was decided."""
    try:
        objects.delete(object_id)
    except WardlightError as error:
        log.error("archive.discard", error, code=error.code)


def key_destroyed(key_id: UUID, actor: Actor) -> Event:
    """What the trail is told before a study key that protects nothing is destroyed."""
    return Event(Action.ARCHIVE_KEY_DESTROY, actor, target=Target("key", id=str(key_id)), reason="unused")


class Sweeper:
    """Any number of workers may sweep."""

    def __init__(
        self, database: Database, keystore: Keystore, objects: ObjectStore, recorder: Recorder
    ) -> None:
        self._database = database
        self._keystore = keystore
        self._objects = objects
        self._recorder = recorder

    def sweep(self, scope: SystemScope) -> int:
        """See `Archive.sweep`. The object store keeps no times: an object's age counts from when it was first seen."""
        now = clock.unix_ms()
        # Objects first, rows second: an object that gets its row in between is found there.
        present = [object_id for object_id, _ in self._objects.list()]

        def note(tx: Connection) -> list[UUID]:
            named = store.referenced_objects(tx)
            store.note_orphans(tx, (object_id for object_id in present if object_id not in named), now)
            return store.old_orphans(tx, now - AGE_MS)

        old = self._database.run(note, EVERYWHERE)
        removed = self.remove_objects(old, Actor(PrincipalKind.SYSTEM.value, scope.reason))
        return removed + self._drop_reservations(
            now - AGE_MS, Actor(PrincipalKind.SYSTEM.value, scope.reason)
        )

    def remove_objects(self, candidates: Iterable[UUID], actor: Actor) -> int:
        """Delete objects that still no row names; returns how many. Each is an entry in the operator's trail."""
        removed = 0
        for object_id in candidates:
            with self._database.begin(EVERYWHERE) as tx:
                store.forget_orphans(tx, [object_id])
                if store.is_referenced(tx, object_id):
                    continue
                event = Event(
                    Action.ARCHIVE_OBJECT_REPAIR,
                    actor,
                    target=Target("object", id=str(object_id)),
                    detail={"removed": "orphan"},
                )
                self._recorder.write(tx, None, event)
            self._objects.delete(object_id)
            removed += 1
        return removed

    def _drop_reservations(self, before_ms: int, actor: Actor) -> int:
        with self._database.read(EVERYWHERE) as tx:
            empty = store.empty_reservations(tx, before_ms)
        dropped = 0
        for release, institution, key_id in empty:
            with self._database.begin(EVERYWHERE) as tx:
                gone = store.drop_reservation(tx, release)
                if gone:
                    self._recorder.write(tx, institution, key_destroyed(key_id, actor))
            if gone:
                self._keystore.destroy_key(institution, key_id)
                dropped += 1
        return dropped
