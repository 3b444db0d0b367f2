"""Protects what people uploaded: each file takes the same path as everything else, and has its result.

An upload that is whole is a row with a state. The worker works on it a few seconds at a time, one segment for each
study of it; whoever dies in the middle of it is followed by another, who goes on behind the last file that has its
result. What was stored twice that way is found by its digest.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock, log
from wardlight.access.model import Operation, SystemScope
from wardlight.access.service import ROLES
from wardlight.agreements.model import IMAGES, Level
from wardlight.agreements.service import Agreements
from wardlight.archive import upload_store as store
from wardlight.archive.service import Archive
from wardlight.archive.upload_store import Upload, UploadPart, UploadState
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.deid.uids import study_group
from wardlight.errors import WardlightError
from wardlight.events.outbox import EventKind, emit
from wardlight.identity import store as identity
from wardlight.identity.model import PrincipalKind
from wardlight.ingest.quarantine import Kept, Quarantine
from wardlight.ingest.upload_files import (
    DUPLICATE,
    QUARANTINED,
    REFUSED,
    STORED,
    Content,
    Files,
    code_of,
    group_key,
)
from wardlight.ingest.uploads import Uploads
from wardlight.keys.keystore import Keystore
from wardlight.objects.store import ObjectStore

if TYPE_CHECKING:
    from wardlight.decoding.pixel_reader import TextReader

#: One piece of work: the worker has other things to do, too. Long enough that a reader of pixels, which takes seconds
#: to start, is worth it.
PIECE_S: Final = 8.0
#: A worker that has not finished a piece by then is gone. One large file takes longest.
_LEASE_MS: Final = 10 * 60_000
#: What could not be done is tried again after so long.
_RETRY_MS: Final = 15_000
_AT_ONCE: Final = 20


class UploadWork:
    """Carries uploads on. Any number of workers may."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        keystore: Keystore,
        objects: ObjectStore,
        archive: Archive,
        agreements: Agreements,
        uploads: Uploads,
        quarantine: Quarantine,
        readers: Callable[[UUID], TextReader] | None = None,
    ) -> None:
        """readers: of pixels, for an institution; without them files whose pixels may hold text stay out."""
        self._database = database
        self._recorder = recorder
        self._keystore = keystore
        self._objects = objects
        self._archive = archive
        self._agreements = agreements
        self._uploads = uploads
        self._quarantine = quarantine
        self._readers = readers

    def work(self, scope: SystemScope) -> int:
        """Carry uploads on, each by one piece of work, oldest first. Returns how many there were."""
        with self._database.read(EVERYWHERE) as tx:
            due = store.due_uploads(tx, clock.unix_ms(), _AT_ONCE)
        until, done = time.monotonic() + PIECE_S, 0
        with ExitStack() as stack:
            pixels = _Pixels(self._readers, stack)
            for id_ in due:
                if done and time.monotonic() > until:
                    break
                done += self._carry_on(scope, id_, until, pixels)
        return done

    def _carry_on(self, scope: SystemScope, id_: UUID, until: float, pixels: _Pixels) -> bool:
        now = clock.unix_ms()
        with self._database.begin(EVERYWHERE) as tx:
            row = store.upload_by_id(tx, id_, lock=True)
            if row is None or row.lease_ms > now or row.state is not UploadState.RECEIVED:
                return False
            store.update_upload(tx, id_, lease_ms=now + _LEASE_MS)
        pause = _RETRY_MS
        try:
            self._advance(scope, row, until, pixels)
            pause = 0
        except WardlightError as error:
            log.error("ingest.upload", error, code=error.code)
        except Exception as error:  # noqa: BLE001 - one upload that fails must not keep the others from going on
            log.error("ingest.upload", error)
        with self._database.begin(row.institution) as tx:
            store.update_upload(tx, id_, lease_ms=clock.unix_ms() + pause)
        return True

    def _advance(self, scope: SystemScope, row: Upload, until: float, pixels: _Pixels) -> None:
        """Some files more. Raises what keeps the archive from storing now."""
        with self._database.read(row.institution) as tx:
            parts = store.parts(tx, row.id)
            allowed = _may_store(row, tx)
        reason = "" if allowed else "forbidden"
        if allowed:
            try:
                self._agreements.require(row.institution, IMAGES, row.level)
            except WardlightError as error:
                reason = error.code
        if reason:
            self._settle(scope, row, [f"{REFUSED}:{reason}"] * (len(row.sizes) - row.done), [])
            return
        with Content(self._objects, self._keystore, row, parts) as content:
            reader = pixels.of(row.institution)
            holding = _Holding(self._quarantine, self._keystore, row, content)
            files = Files(self._archive, self._keystore, row, content, reader, holding.stays)
            try:
                results = files.take(until)
            except BaseException:
                self._quarantine.drop(row.institution, holding.kept)
                raise
        # Where this fails nobody knows whether it is committed: what no row names then is swept.
        self._settle(scope, row, results, holding.kept)

    def _settle(self, scope: SystemScope, row: Upload, results: list[str], kept: Sequence[Kept]) -> None:
        """What became of these files is in the row, in quarantine and in the trail, in one transaction."""
        finished = row.done + len(results) == len(row.sizes)
        values: dict[str, object] = {"done": row.done + len(results)}
        if finished:
            values |= {
                "state": UploadState.DONE.value,
                "expires_ms": clock.unix_ms() + self._uploads.limits.time_ms,
            }
        gone: list[UploadPart] = []
        with self._database.begin(row.institution) as tx:
            late = self._quarantine.enter(tx, row, kept)
            for one in late:
                results[one.place - row.done] = f"{REFUSED}:study-deleted"
            every = [*row.results, *results]
            store.update_upload(tx, row.id, **values, results=",".join(every))
            for event in _events(scope, row, results):
                self._recorder.write(tx, row.institution, event)
            if finished:
                gone = store.drop_parts(tx, row.id)
                self._recorder.write(tx, row.institution, _finished(scope, row, every))
                _tell(tx, row, every)
        self._quarantine.drop(row.institution, late)
        self._uploads.discard(gone)


class _Holding:
    """Puts what stays of an upload aside, file by file."""

    def __init__(self, quarantine: Quarantine, keystore: Keystore, row: Upload, content: Content) -> None:
        self.kept: list[Kept] = []
        self._quarantine = quarantine
        self._row = row
        self._content = content
        self._group_key = group_key(keystore, row.institution)

    def stays(self, place: int, begin: int, reasons: tuple[str, ...]) -> str:
        """Keep the file; its result."""
        from wardlight.ingest import uploaded_file  # As `Files` does.

        row = self._row
        length = row.sizes[place]

        def read(start: int, end: int) -> Iterator[bytes]:
            return self._content.read(begin + start, begin + end)

        study, sop_class = uploaded_file.named(read, length)
        pending = sum(one.length for one in self.kept)
        found = self._quarantine.keep(row.institution, length, lambda: read(0, length), pending)
        if found is None:
            return f"{REFUSED}:quarantine-full"
        group = bytes.fromhex(study_group(self._group_key, study.encode("ascii"))) if study else None
        self.kept.append(Kept(found[0], found[1], length, found[2], place, reasons, sop_class, group))
        return f"{QUARANTINED}:{code_of(reasons[0].partition('(')[0].strip())}"


class _Pixels:
    """Readers of pixels for one piece of work, one for each institution; closed with it."""

    def __init__(self, readers: Callable[[UUID], TextReader] | None, stack: ExitStack) -> None:
        self._readers = readers
        self._stack = stack
        self._open: dict[UUID, TextReader] = {}

    def of(self, institution: UUID) -> TextReader | None:
        """The institution's; None where none can look."""
        if self._readers is None:
            return None
        if institution not in self._open:
            self._open[institution] = self._stack.enter_context(self._readers(institution))
        return self._open[institution]


def _may_store(row: Upload, tx: Connection) -> bool:
    """Whether who sent it may still store. They are looked up as they are now, not as they were."""
    people = identity.people(tx, row.institution, id_=row.person)
    if not people or people[0].state != identity.ACTIVE:
        return False
    return Operation.STORE in ROLES[people[0].role]


def _events(scope: SystemScope, row: Upload, results: Sequence[str]) -> list[Event]:
    """What the trail is told of a piece of work, beside what the archive tells of what it stored."""
    common = Event(
        Action.INGEST_STUDY_PROTECT,
        Actor(PrincipalKind.SYSTEM.value, scope.reason),
        behalf=Actor(PrincipalKind.PERSON.value, row.person, row.role),
        target=Target("upload", id=row.id.hex),
        request=row.request,
    )
    kept = sum(one in (STORED, DUPLICATE) for one in results)
    told = []
    if kept and row.level is not Level.IDENTIFIED:
        told.append(replace(common, counts={"instances": kept}))
    for result, count in sorted(Counter(results).items()):
        kind, _, reason = result.partition(":")
        counts = {"instances": count}
        if kind == QUARANTINED:
            told.append(replace(common, action=Action.INGEST_STUDY_QUARANTINE, reason=reason, counts=counts))
        elif kind == REFUSED:
            told.append(
                replace(
                    common,
                    action=Action.INGEST_OBJECT_REFUSE,
                    outcome=Outcome.DENIED,
                    reason=reason,
                    counts=counts,
                )
            )
    return told


def _tell(tx: Connection, row: Upload, results: Sequence[str]) -> None:
    """Its person is told where not all of it was taken."""
    refused = sum(one not in (STORED, DUPLICATE) for one in results)
    if refused:
        told: dict[str, str | int] = {
            "upload": row.id.hex, "person": row.person, "files": len(results), "refused": refused,
        }  # fmt: skip
        emit(tx, row.institution, EventKind.UPLOAD_DONE, told)


def _finished(scope: SystemScope, row: Upload, results: Sequence[str]) -> Event:
    kinds = Counter(one.partition(":")[0] for one in results)
    whole = kinds[STORED] + kinds[DUPLICATE] == len(results)
    return Event(
        Action.INGEST_UPLOAD_FINISH,
        Actor(PrincipalKind.SYSTEM.value, scope.reason),
        behalf=Actor(PrincipalKind.PERSON.value, row.person, row.role),
        target=Target("upload", id=row.id.hex),
        outcome=Outcome.SUCCESS if whole else Outcome.PARTIAL,
        request=row.request,
        counts={"instances": len(results), **{name: kinds[name] for name in sorted(kinds)}},
    )
