"""What the worker does for the quarantine: tries files again that a person decided on, and ends what is over.

Every step is safe to repeat: a file that is to end keeps its row until its key and its object are gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

from wardlight import clock, log
from wardlight.access.model import SystemScope
from wardlight.agreements.model import IMAGES, Level
from wardlight.agreements.service import Agreements
from wardlight.archive import quarantine_store as store
from wardlight.archive.quarantine_store import Held, HeldState
from wardlight.archive.service import Archive
from wardlight.archive.sweeping import discard
from wardlight.archive.tombstones import Tombstones
from wardlight.archive.upload_store import Upload, UploadPart, UploadState
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.identity.model import PrincipalKind
from wardlight.ingest.upload_files import DUPLICATE, STORED, Content, Files
from wardlight.keys.keystore import Keystore
from wardlight.objects.store import ObjectStore

if TYPE_CHECKING:
    from wardlight.decoding.pixel_reader import TextReader

#: As of uploads: the worker has other things to do, too; who has not finished by then is gone.
_PIECE_S: Final = 8.0
_LEASE_MS: Final = 10 * 60_000
_RETRY_MS: Final = 15_000
_AT_ONCE: Final = 50
#: Without an agreement that holds nothing may be kept of what came under it.
_LOST: Final = frozenset({"no-agreement", "agreement-withdrawn"})


class QuarantineWork:
    """Any number of workers may."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        keystore: Keystore,
        objects: ObjectStore,
        archive: Archive,
        agreements: Agreements,
        tombstones: Tombstones,
        readers: Callable[[UUID], TextReader] | None = None,
    ) -> None:
        """readers: as `UploadWork` has them."""
        self._database = database
        self._recorder = recorder
        self._keystore = keystore
        self._objects = objects
        self._archive = archive
        self._agreements = agreements
        self._tombstones = tombstones
        self._readers = readers

    # ---- another try ----

    def work(self, scope: SystemScope) -> int:
        """Try files again that a person decided on; how many."""
        with self._database.read(EVERYWHERE) as tx:
            due = store.due(tx, clock.unix_ms(), _AT_ONCE)
        until, done = time.monotonic() + _PIECE_S, 0
        for id_ in due:
            if done and time.monotonic() > until:
                break
            done += self._try(scope, id_)
        return done

    def _try(self, scope: SystemScope, id_: UUID) -> bool:
        now = clock.unix_ms()
        with self._database.begin(EVERYWHERE) as tx:
            row = store.by_id(tx, id_, lock=True)
            if row is None or row.state is not HeldState.QUEUED or row.lease_ms > now:
                return False
            store.change(tx, id_, lease_ms=now + _LEASE_MS)
        try:
            result, reasons = self._protected(row)
        except Exception as error:  # noqa: BLE001 - one file that fails must not keep the others from going on
            log.error("ingest.quarantine", error)
            with self._database.begin(row.institution) as tx:
                store.change(tx, id_, lease_ms=clock.unix_ms() + _RETRY_MS)
            return True
        kind, _, code = result.partition(":")
        stored = kind in (STORED, DUPLICATE)
        event = _told(scope, row, stored=stored, held=reasons[0] if reasons else "", code=code)
        with self._database.begin(row.institution) as tx:
            current = store.by_id(tx, id_, lock=True)
            if current is None:
                return True
            values: dict[str, object] = {"lease_ms": 0, "tried_ms": clock.unix_ms(), "accepted": ""}
            if current.state is HeldState.QUEUED:
                # Else its study was deleted meanwhile, and its end stands.
                values["state"] = (HeldState.ENDED if stored else HeldState.HELD).value
                values["ended"] = "released" if stored else ""
            if not stored:
                values["reasons"] = "\n".join(reasons or (code,))
            store.change(tx, id_, **values)
            self._recorder.write(tx, row.institution, event)
        return True

    def _protected(self, row: Held) -> tuple[str, tuple[str, ...]]:
        """What became of the file, and why it stays. Raises what keeps the archive from storing now."""
        try:
            self._agreements.require(row.institution, IMAGES, row.level)
        except WardlightError as error:
            return f"refused:{error.code}", ()
        found: list[tuple[str, ...]] = []

        def stays(_place: int, _begin: int, reasons: tuple[str, ...]) -> str:
            found.append(reasons)
            return "quarantined"

        upload = _as_upload(row)
        part = UploadPart(row.object, row.id, row.institution, 0, row.length, row.size)
        with ExitStack() as stack:
            reader = stack.enter_context(self._readers(row.institution)) if self._readers else None
            content = stack.enter_context(Content(self._objects, self._keystore, upload, [part]))
            files = Files(
                self._archive, self._keystore, upload, content, reader, stays, frozenset(row.accepted)
            )
            (result,) = files.take(0.0)
        return result, found[0] if found else ()

    # ---- the end ----

    def end(self, scope: SystemScope) -> int:
        """End what is over: its time, its agreement; then keys, objects and rows of all that ended. How many."""
        now = clock.unix_ms()
        with self._database.read(EVERYWHERE) as tx:
            institutions = store.institutions(tx)
        lost = {one: why for one in institutions if (why := self._lost(one))}
        with self._database.read(EVERYWHERE) as tx:
            due = store.over(tx, now, lost.keys(), _AT_ONCE)
        for id_ in due:
            with self._database.begin(EVERYWHERE) as tx:
                row = store.by_id(tx, id_, lock=True)
                if row is None or row.state is HeldState.ENDED or row.lease_ms > now:
                    continue
                why = "expired" if row.expires_ms <= now else lost.get(row.institution, "")
                if not why:
                    continue
                store.change(tx, id_, state=HeldState.ENDED.value, ended=why)
                self._recorder.write(tx, row.institution, _discarded(scope, row, why))
        return self._remove(scope)

    def _lost(self, institution: UUID) -> str:
        try:
            self._agreements.require(institution, IMAGES, None)
        except WardlightError as error:
            return error.code if error.code in _LOST else ""
        return ""

    def _remove(self, scope: SystemScope) -> int:
        with self._database.read(EVERYWHERE) as tx:
            rows = store.ended(tx, clock.unix_ms(), _AT_ONCE)
        by: dict[UUID, list[Held]] = {}
        for row in rows:
            by.setdefault(row.institution, []).append(row)
        for institution, gone in by.items():
            keys = [row.key_id for row in gone]
            self._keystore.destroy_keys(institution, keys)
            buried = [one for one in self._keystore.tombstones(keys) if one.institution == institution]
            self._tombstones.publish(gone[0].id.hex, buried)
            for row in gone:
                discard(self._objects, row.object)
            with self._database.begin(institution) as tx:
                for row in gone:
                    if store.drop(tx, row.id):
                        self._recorder.write(tx, institution, _shredded(scope, row))
        return len(rows)


def _as_upload(row: Held) -> Upload:
    """The file as an upload of its own, by whom it was."""
    return Upload(
        id=row.id,
        institution=row.institution,
        person=row.person,
        role=row.role,
        level=Level(row.level),
        state=UploadState.RECEIVED,
        key_id=row.key_id,
        length=row.length,
        taken=row.length,
        sizes=(row.length,),
        results=(),
        done=0,
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        lease_ms=0,
        request=row.request,
    )


def _of_system(scope: SystemScope, row: Held, action: Action) -> Event:
    return Event(
        action,
        Actor(PrincipalKind.SYSTEM.value, scope.reason),
        behalf=Actor(PrincipalKind.PERSON.value, row.decided_by or row.person, row.decided_role or row.role),
        target=Target("quarantine", id=row.id.hex),
        request=row.request,
    )


def _told(scope: SystemScope, row: Held, *, stored: bool, held: str, code: str) -> Event:
    """What became of another try."""
    event = replace(_of_system(scope, row, Action.INGEST_STUDY_PROTECT), counts={"instances": 1})
    if stored:
        return event
    if held:
        return replace(event, action=Action.INGEST_STUDY_QUARANTINE, reason=held.partition("(")[0].strip())
    return replace(event, action=Action.INGEST_OBJECT_REFUSE, outcome=Outcome.DENIED, reason=code)


def _discarded(scope: SystemScope, row: Held, why: str) -> Event:
    event = _of_system(scope, row, Action.INGEST_QUARANTINE_DISCARD)
    return replace(event, reason=why, detail={"level": row.level.value})


def _shredded(scope: SystemScope, row: Held) -> Event:
    actor = Actor(PrincipalKind.SYSTEM.value, scope.reason)
    target = Target("key", id=str(row.key_id))
    return Event(Action.ARCHIVE_KEY_DESTROY, actor, target=target, reason=row.ended)
