"""Protects what people uploaded: each file takes the same path as everything else, and has its result.

An upload that is whole is a row with a state. The worker works on it a few seconds at a time, one segment for each
study of it; whoever dies in the middle of it is followed by another, who goes on behind the last file that has its
result. What was stored twice that way is found by its digest.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock, log
from wardlight.access.model import Operation, Principal, Role, SystemScope
from wardlight.access.service import ROLES
from wardlight.agreements.model import IMAGES, Level
from wardlight.agreements.service import Agreements
from wardlight.archive import upload_store as store
from wardlight.archive.model import Outcome as Stored
from wardlight.archive.service import Archive
from wardlight.archive.upload_store import Upload, UploadPart, UploadState
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.deid.keys import DeidKeys
from wardlight.deid.profile import load_profile
from wardlight.deid.uids import study_group
from wardlight.errors import WardlightError
from wardlight.identity import store as identity
from wardlight.identity.model import PrincipalKind
from wardlight.identity.service import actor_of
from wardlight.ingest.part import Demands, IncomingPart, Segment
from wardlight.ingest.stays import StaysError
from wardlight.ingest.uploads import Uploads
from wardlight.keys.keystore import Keystore
from wardlight.keys.wrap import KeyKind
from wardlight.objects.store import ObjectReader, ObjectStore

if TYPE_CHECKING:
    from wardlight.decoding.pixel_reader import TextReader
    from wardlight.deid.engine import Deidentifier

#: One piece of work: the worker has other things to do, too. Long enough that a reader of pixels, which takes seconds
#: to start, is worth it.
PIECE_S: Final = 8.0
#: A worker that has not finished a piece by then is gone. One large file takes longest.
_LEASE_MS: Final = 10 * 60_000
#: What could not be done is tried again after so long.
_RETRY_MS: Final = 15_000
_AT_ONCE: Final = 20
#: A segment of one study is committed at so many bytes.
_SEGMENT_BYTES: Final = 128 << 20
_OPEN_READERS: Final = 4

#: What became of a file, before the colon of its code.
STORED: Final = "stored"
DUPLICATE: Final = "duplicate"
REFUSED: Final = "refused"
QUARANTINED: Final = "quarantined"


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
            results = [f"{REFUSED}:{reason}"] * (len(row.sizes) - row.done)
        else:
            with _Content(self._objects, self._keystore, row, parts) as content:
                reader = pixels.of(row.institution)
                results = _Files(self._archive, self._keystore, row, content, reader).take(until)
        self._settle(scope, row, results)

    def _settle(self, scope: SystemScope, row: Upload, results: Sequence[str]) -> None:
        """What became of these files is in the row and in the trail, in one transaction."""
        every = [*row.results, *results]
        finished = len(every) == len(row.sizes)
        values: dict[str, object] = {"results": ",".join(every), "done": len(every)}
        if finished:
            values |= {
                "state": UploadState.DONE.value,
                "expires_ms": clock.unix_ms() + self._uploads.limits.time_ms,
            }
        gone: list[UploadPart] = []
        with self._database.begin(row.institution) as tx:
            store.update_upload(tx, row.id, **values)
            for event in _events(scope, row, results):
                self._recorder.write(tx, row.institution, event)
            if finished:
                gone = store.drop_parts(tx, row.id)
                self._recorder.write(tx, row.institution, _finished(scope, row, every))
        self._uploads.discard(gone)


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


class _Content:
    """The bytes of an upload, over its parts."""

    def __init__(
        self, objects: ObjectStore, keystore: Keystore, row: Upload, parts: Sequence[UploadPart]
    ) -> None:
        self._objects = objects
        self._key = keystore.get_key(row.institution, row.key_id)
        self._parts = parts
        self._open: OrderedDict[UUID, ObjectReader] = OrderedDict()

    def __enter__(self) -> _Content:
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._open.values():
            reader.close()

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes [start, end) in pieces. Raises as `ObjectReader`."""
        for part in self._parts:
            if part.begins + part.length > start and part.begins < end:
                begin, stop = max(start - part.begins, 0), min(end - part.begins, part.length)
                yield from self._reader(part).iter(begin, stop)

    def _reader(self, part: UploadPart) -> ObjectReader:
        reader = self._open.get(part.id)
        if reader is None:
            reader = self._open[part.id] = self._objects.open(part.id, self._key, part.size)
            if len(self._open) > _OPEN_READERS:
                self._open.popitem(last=False)[1].close()
        return reader


class _Files:
    """The files of an upload on their way into releases; one segment for each study."""

    def __init__(
        self, archive: Archive, keystore: Keystore, row: Upload, content: _Content, pixels: TextReader | None
    ) -> None:
        self._archive = archive
        self._row = row
        self._content = content
        self._pixels = pixels
        role = Role(row.role) if row.role else None
        #: Who sent it stored it: what people alone uploaded they may delete.
        self._person = Principal(PrincipalKind.PERSON, row.person, row.institution, role)
        _, secret = keystore.institution_key(row.institution, KeyKind.PSEUDONYM)
        self._group_key = DeidKeys.derive(secret, "", "").group
        self._deidentifier = _deidentifier(secret, row.level)
        self._segments: dict[str, Segment] = {}
        self._results: list[str] = []
        self._seen = ""

    def take(self, until: float) -> list[str]:
        """Take files from the first without a result until the time is over, one at least; the result of each."""
        from wardlight.ingest import uploaded_file  # Loads numpy, which the web process can do without.

        row = self._row
        begins = [0, *accumulate(row.sizes)]
        try:
            for place in range(row.done, len(row.sizes)):
                begin = begins[place]

                def read(start: int, end: int, begin: int = begin) -> Iterator[bytes]:
                    return self._content.read(begin + start, begin + end)

                self._results.append(STORED)
                self._store(
                    uploaded_file.pieces(read, row.sizes[place], self._deidentifier, self._pixels, self._note)
                )
                full = any(one.writer.tell() >= _SEGMENT_BYTES for one in self._segments.values())
                if full or time.monotonic() >= until:
                    break
            self._commit()
        finally:
            for segment in self._segments.values():
                segment.writer.abort()
        return self._results

    def _store(self, pieces: Iterator[bytes | memoryview]) -> None:
        part = IncomingPart(self._segment, lambda _size: None, Demands(self._row.level))
        try:
            for piece in pieces:
                part.write(memoryview(piece))
            instance = part.finish()
        except WardlightError as error:
            if error.kind.http >= 500 and error.code != "object-damaged":
                raise
            # What fits its release not at all is refused; what should have been protected and is not stays.
            kind = QUARANTINED if error.code == "not-deidentified" else REFUSED
            self._results[-1] = f"{kind}:{_code(error.reason or error.code)}"
        except StaysError as refusal:
            self._results[-1] = f"{QUARANTINED}:{_code(refusal.reason)}"
        except (OSError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - logged; a fault of ours in one file lets it stay out
            log.error("ingest.protect_failed", error)
            self._results[-1] = f"{QUARANTINED}:internal"
        else:
            assert part.segment is not None
            part.segment.instances.append(instance)
            part.segment.places.append(len(self._results) - 1)

    def _segment(self, study_uid: str) -> Segment:
        found = self._segments.get(study_uid)
        if found is None:
            row = self._row
            target = self._archive.target(
                row.institution,
                IMAGES,
                row.level,
                study_uid,
                self._group(study_uid),
                by=actor_of(self._person),
                request=row.request,
            )
            found = self._segments[study_uid] = Segment(target, self._archive.begin_segment(target))
        return found

    def _note(self, group: str) -> None:
        self._seen = group

    def _group(self, study_uid: str) -> bytes:
        """What ties the levels of one original study together, whose UID a protected file no longer has."""
        group = self._seen if self._row.level is not Level.IDENTIFIED else ""
        return bytes.fromhex(group or study_group(self._group_key, study_uid.encode("ascii")))

    def _commit(self) -> None:
        while self._segments:
            segment = self._segments.pop(next(iter(self._segments)))
            if not segment.instances:
                segment.writer.abort()
                continue
            try:
                outcomes = self._archive.commit(
                    segment.target,
                    segment.writer,
                    segment.instances,
                    actor=self._person,
                    request=self._row.request,
                )
            except WardlightError as error:
                if error.kind.http >= 500:
                    raise
                for place in segment.places:
                    self._results[place] = f"{REFUSED}:{_code(error.code)}"
                continue
            for place, outcome in zip(segment.places, outcomes, strict=True):
                if outcome.outcome is Stored.DUPLICATE:
                    self._results[place] = DUPLICATE
                elif outcome.outcome is Stored.CONFLICT:
                    self._results[place] = f"{REFUSED}:instance-conflict"


def _deidentifier(secret: bytes, level: Level) -> Deidentifier | None:
    if level is Level.IDENTIFIED:
        return None
    from wardlight.deid.engine import Deidentifier  # Most rounds of the worker never need it.

    return Deidentifier(load_profile(level.value), DeidKeys.derive(secret, IMAGES, level.value))


def _may_store(row: Upload, tx: Connection) -> bool:
    """Whether who sent it may still store. They are looked up as they are now, not as they were."""
    people = identity.people(tx, row.institution, id_=row.person)
    if not people or people[0].state != identity.ACTIVE:
        return False
    return Operation.STORE in ROLES[people[0].role]


def _code(text: str) -> str:
    """A code as it may stand in a list: no comma, and short."""
    return text.replace(",", ";")[:40]


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
