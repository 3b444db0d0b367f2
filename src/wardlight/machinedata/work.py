"""What the worker does for machine data: ends what is over, removes what ended, tells applications what came.

Every step is safe to repeat: a segment keeps its row until its object is gone, and its key where nothing else needs it.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from wardlight import clock
from wardlight.access.model import SystemScope
from wardlight.agreements import entitlements_store
from wardlight.agreements.service import Agreements
from wardlight.archive import machine_store as store
from wardlight.archive.machine_store import Segment, Subscription
from wardlight.archive.sweeping import discard
from wardlight.archive.tombstones import Tombstones
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.classification.model import DataClass
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.events import outbox
from wardlight.identity import store as identity
from wardlight.identity.institutions import CLOSED
from wardlight.identity.model import PrincipalKind
from wardlight.keys.keystore import Keystore
from wardlight.machinedata.model import NAMES
from wardlight.machinedata.service import deleted
from wardlight.objects.store import ObjectStore

_EVER: Final = 1 << 62
_AT_ONCE: Final = 200
#: An application is told at most so often of one class, in milliseconds: exporters send every few seconds.
_TELL_MS: Final = 60_000


class MachineWork:
    """Any number of workers may."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        keystore: Keystore,
        objects: ObjectStore,
        agreements: Agreements,
        tombstones: Tombstones,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._keystore = keystore
        self._objects = objects
        self._agreements = agreements
        self._tombstones = tombstones

    def expire(self, scope: SystemScope, before_ms: int, reason: str = "retention") -> int:
        """End what came before; how many segments. The worker of retention calls it; `end` removes the bytes."""
        done = 0
        while True:
            with self._database.begin(EVERYWHERE) as tx:
                rows = store.end_before(tx, before_ms, clock.unix_ms(), _AT_ONCE)
                for row in rows:
                    self._recorder.write(tx, row.institution, _ended(scope, row, reason))
                if len(rows) < _AT_ONCE:
                    store.drop_hours(tx, before_ms)
            done += len(rows)
            if len(rows) < _AT_ONCE:
                return done

    def end(self, scope: SystemScope) -> int:
        """End what no agreement carries any more and what is of a closed institution; remove what ended. How many."""
        with self._database.read(EVERYWHERE) as tx:
            owners = store.owners(tx)
        for institution, application in owners:
            reason = self._lost(institution, application)
            if reason:
                self._end_owner(scope, institution, application, reason)
        return self._remove(scope)

    def _end_owner(self, scope: SystemScope, institution: UUID, application: str, reason: str) -> None:
        now = clock.unix_ms()
        with self._database.begin(institution) as tx:
            rows = store.of_owner(tx, institution, application, _AT_ONCE)
            for row in rows:
                if store.end(tx, row.id, now):
                    self._recorder.write(tx, institution, _ended(scope, row, reason))
            # Of any time, for a record says itself of which it is; with the last of what is held.
            store.drop_hours(tx, now if len(rows) == _AT_ONCE else _EVER, (institution, application))

    def _lost(self, institution: UUID, application: str) -> str:
        """Why what is held of this owner may not be held any more."""
        with self._database.read(EVERYWHERE) as tx:
            (row,) = identity.institutions(tx, id_=institution)
            if row.state == CLOSED:
                return "institution-closed"
            if application and self._agreements.current(tx, institution, application) is None:
                return "agreement-withdrawn"
        return ""

    def _remove(self, scope: SystemScope) -> int:
        with self._database.read(EVERYWHERE) as tx:
            rows = store.ended(tx, _AT_ONCE)
        by: dict[UUID, list[Segment]] = {}
        for row in rows:
            by.setdefault(row.institution, []).append(row)
        for institution, gone in by.items():
            with self._database.begin(institution) as tx:
                keys = store.unused(tx, institution, {row.key_id for row in gone})
                for key_id in keys:
                    self._recorder.write(tx, institution, _shredded(scope, key_id))
            if keys:
                self._keystore.destroy_keys(institution, keys)
                buried = [one for one in self._keystore.tombstones(keys) if one.institution == institution]
                self._tombstones.publish(gone[0].id.hex, buried)
            for row in gone:
                discard(self._objects, row.id)
            with self._database.begin(institution) as tx:
                for row in gone:
                    store.drop(tx, row.id)
        return len(rows)

    # ---- who is told ----

    def tell(self) -> int:
        """Tell applications of what came since they were told; how many events."""
        now, done = clock.unix_ms(), 0
        with self._database.read(EVERYWHERE) as tx:
            due = store.to_tell(tx, now - _TELL_MS)
        for one in due:
            with self._database.begin(one.institution) as tx:
                records, last = store.fresh(tx, one)
                if records and self._may(one) and store.told(tx, one, last, now):
                    data: outbox.Data = {
                        "class": NAMES[one.data_class],
                        "records": records,
                        "since": clock.timestamp_ms(one.told_to_ms),
                    }
                    kind = outbox.Kind.MACHINE_DATA_AVAILABLE
                    outbox.tell(tx, one.application, one.institution, kind, data=data)
                    done += 1
        return done

    def _may(self, one: Subscription) -> bool:
        """Whether the application may still see this class."""
        with self._database.read(one.institution) as tx:
            agreement = self._agreements.current(tx, one.institution, one.application)
            subscribed = entitlements_store.is_subscribed(tx, one.institution, one.application)
            asked = entitlements_store.newest(tx, one.application)
        if not subscribed or agreement is None or asked is None:
            return False
        return DataClass(one.data_class) in agreement.classes & asked.classes


def _ended(scope: SystemScope, row: Segment, reason: str) -> Event:
    event = Event(Action.MACHINE_DATA_DELETE, Actor(PrincipalKind.SYSTEM.value, scope.reason))
    return deleted(event, row, reason)


def _shredded(scope: SystemScope, key_id: UUID) -> Event:
    actor = Actor(PrincipalKind.SYSTEM.value, scope.reason)
    return Event(Action.ARCHIVE_KEY_DESTROY, actor, target=Target("key", id=str(key_id)), reason="unused")
