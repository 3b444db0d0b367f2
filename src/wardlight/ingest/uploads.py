"""Uploads by people: files that come in pieces, are kept encrypted, and go on where the connection broke.

One upload is one or many DICOM files, one behind the other, with the length of each: ten thousand small files need a
few hundred requests. Their names stay with the sender. What is whole is protected by the worker (`upload_work`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol
from uuid import UUID

from wardlight import clock, log
from wardlight.access.model import Operation, Scope
from wardlight.access.service import Access
from wardlight.agreements.model import IMAGES, Agreement, Level
from wardlight.agreements.service import Agreements
from wardlight.archive import upload_store as store
from wardlight.archive.upload_store import Upload, UploadPart, UploadState
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.identity.model import PrincipalKind
from wardlight.identity.service import actor_of
from wardlight.ingest.admission import Admission, Lease
from wardlight.keys.keystore import Keystore
from wardlight.keys.wrap import KeyKind
from wardlight.objects.format import ObjectKind
from wardlight.objects.store import ObjectStore, ObjectWriter, StoredObject

#: Files of one upload: their lengths come in one header.
MOST_FILES: Final = 500
#: Algorithms of a checksum (tus 1.0, Checksum), in the order in which they are offered.
CHECKSUMS: Final = ("sha256", "sha1")
#: Uploads whose time is over that one round removes.
_ENDED_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """What an institution may have on its way. hours: until what is not finished ends, as does what tells of it."""

    file_bytes: int
    count: int
    total_bytes: int
    hours: float

    @property
    def time_ms(self) -> int:
        """`hours` in milliseconds."""
        return round(self.hours * 3_600_000)


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class Uploads:
    """Takes uploads. One for the process; threads share it."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        keystore: Keystore,
        objects: ObjectStore,
        access: Access,
        agreements: Agreements,
        limits: Limits,
    ) -> None:
        self.limits: Final = limits
        self._database = database
        self._recorder = recorder
        self._keystore = keystore
        self._objects = objects
        self._access = access
        self._agreements = agreements
        self._admission = Admission()

    def agreed(self, scope: Scope) -> Agreement:
        """The agreement under which people upload. Raises `no-agreement`, `agreement-withdrawn`, `not-subscribed`."""
        scope.require(Operation.STORE)
        return self._agreements.require(scope.institution, IMAGES, None)

    def create(self, scope: Scope, sizes: Sequence[int], level: Level) -> Upload:
        """Begin an upload of files of these lengths.

        Raises `too-large` beyond what one may be, `rate-limited` where too many are on their way, `out-of-resources`
        where they are too large together, and the agreement's own code, audited, where it does not have the level.
        """
        scope.require(Operation.STORE)
        length, limits = sum(sizes), self.limits
        if length > limits.file_bytes:
            raise WardlightError("too-large", "the upload is larger than one may be", "length")
        try:
            self._agreements.require(scope.institution, IMAGES, level)
        except WardlightError as error:
            self._deny(scope, error)
            raise
        key_id, _ = self._keystore.institution_key(scope.institution, KeyKind.OBJECT)
        now = clock.unix_ms()
        row = Upload(
            id=uuid7(),
            institution=scope.institution,
            person=scope.principal.id,
            role=scope.principal.role or "",
            level=level,
            state=UploadState.OPEN,
            key_id=key_id,
            length=length,
            taken=0,
            sizes=tuple(sizes),
            results=(),
            done=0,
            created_ms=now,
            expires_ms=now + limits.time_ms,
            lease_ms=0,
            request=scope.request,
        )
        with self._database.begin(scope.institution) as tx:
            count, size = store.open_uploads(tx, scope.institution)
            if count >= limits.count:
                raise WardlightError(
                    "rate-limited", "too many uploads of the institution are open", "uploads"
                )
            if size + length > limits.total_bytes:
                raise WardlightError("out-of-resources", "the uploads under way are too large", "uploads")
            store.add_upload(tx, row)
            self._recorder.write(tx, scope.institution, _event(Action.INGEST_UPLOAD_START, scope, row))
        return row

    def show(self, scope: Scope, id_: UUID) -> Upload:
        """An upload of one's own. Raises `not-found`, also for anybody else's and for one whose time is over."""
        scope.require(Operation.STORE)
        with self._database.read(scope.institution) as tx:
            row = store.upload_by_id(tx, id_)
        return _own(row, scope)

    def begin(self, scope: Scope, id_: UUID, offset: int, length: int | None, checksum: str) -> Incoming:
        """Bytes come. Everything that speaks against them is found before the first: nothing is written then.

        length: of what comes, where that is known. checksum: as the header has it, "" without. Raises `not-found`,
        `conflict` where the upload stands elsewhere, `too-large`, `bad-request`; `rate-limited` and `unavailable` as
        `Admission.enter`.
        """
        row = self.show(scope, id_)
        if row.state is not UploadState.OPEN or row.taken != offset:
            raise WardlightError("conflict", f"the upload stands at {row.taken}", "offset")
        room = row.length - row.taken
        if length is not None and length > room:
            raise WardlightError("too-large", "more bytes than the upload has left", "length")
        digest, expected = _checksum(checksum)
        lease = self._admission.enter(scope.principal)
        try:
            key = self._keystore.get_key(row.institution, row.key_id)
            writer = self._objects.create(key, row.key_id, ObjectKind.UPLOAD_PART)
        except BaseException:
            lease.close()
            raise
        return Incoming(self._enter, self._objects, row, writer, lease, digest, expected)

    def cancel(self, scope: Scope, id_: UUID) -> None:
        """End an upload of one's own: its bytes are deleted. What was stored of it stays. Raises `not-found`."""
        with self._database.begin(scope.institution) as tx:
            row = _own(store.upload_by_id(tx, id_, lock=True), scope)
            if row.lease_ms > clock.unix_ms():
                raise WardlightError("conflict", "the upload is being protected just now", "busy")
            parts = store.drop_upload(tx, id_)
            if row.state is not UploadState.DONE:
                self._recorder.write(tx, scope.institution, _event(Action.INGEST_UPLOAD_ABANDON, scope, row))
        self.discard(parts)

    def expire(self) -> int:
        """Remove uploads whose time is over; returns how many."""
        now = clock.unix_ms()
        with self._database.read(EVERYWHERE) as tx:
            due = store.ended_uploads(tx, now, _ENDED_AT_ONCE)
        for id_ in due:
            with self._database.begin(EVERYWHERE) as tx:
                row = store.upload_by_id(tx, id_, lock=True)
                if row is None or row.expires_ms > now:
                    continue
                parts = store.drop_upload(tx, id_)
                if row.state is not UploadState.DONE:
                    event = Event(
                        Action.INGEST_UPLOAD_ABANDON,
                        Actor(PrincipalKind.SYSTEM.value, "expiry"),
                        behalf=Actor(PrincipalKind.PERSON.value, row.person, row.role),
                        target=Target("upload", id=row.id.hex),
                        outcome=Outcome.FAILED,
                        reason="expired",
                        counts=_counts(row),
                        request=row.request,
                    )
                    self._recorder.write(tx, row.institution, event)
            self.discard(parts)
        return len(due)

    def discard(self, parts: Sequence[UploadPart]) -> None:
        """Delete the objects of parts that no row names any more; what fails is swept after a day."""
        for part in parts:
            try:
                self._objects.delete(part.id)
            except WardlightError as error:
                log.error("ingest.upload_discard", error, code=error.code)

    def _enter(self, row: Upload, stored: StoredObject) -> Upload:
        """The bytes are durable: from now on they count. Raises `conflict` where others came first."""
        now = clock.unix_ms()
        with self._database.begin(row.institution) as tx:
            current = store.upload_by_id(tx, row.id, lock=True)
            if current is None or current.expires_ms <= now:
                raise WardlightError("not-found")
            if current.state is not UploadState.OPEN or current.taken != row.taken:
                raise WardlightError("conflict", f"the upload stands at {current.taken}", "offset")
            part = UploadPart(
                stored.object_id, row.id, row.institution, row.taken, stored.plaintext, stored.size
            )
            store.add_part(tx, part)
            taken = row.taken + stored.plaintext
            state = UploadState.RECEIVED if taken == row.length else UploadState.OPEN
            expires = now + self.limits.time_ms
            store.update_upload(tx, row.id, taken=taken, state=state.value, expires_ms=expires)
        return replace(current, taken=taken, state=state, expires_ms=expires)

    def _deny(self, scope: Scope, error: WardlightError) -> None:
        self._access.deny(
            scope.principal, scope.action, error.code, request=scope.request, address=scope.address
        )


class Incoming:
    """Bytes of one request. For one thread at a time: feed…, then finish, keep or abort."""

    def __init__(
        self,
        enter: Callable[[Upload, StoredObject], Upload],
        objects: ObjectStore,
        row: Upload,
        writer: ObjectWriter,
        lease: Lease,
        digest: _Digest | None,
        expected: bytes,
    ) -> None:
        self._enter = enter
        self._objects = objects
        self._row = row
        self._writer = writer
        self._lease = lease
        self._digest = digest
        self._expected = expected

    def feed(self, pieces: list[bytes]) -> None:
        """Take bytes. Raises `too-large` beyond what the upload has left, `out-of-resources`, `unavailable`."""
        for piece in pieces:
            if self._row.taken + self._writer.tell() + len(piece) > self._row.length:
                raise WardlightError("too-large", "more bytes than the upload has left", "length")
            if self._digest is not None:
                self._digest.update(piece)
            self._writer.write(piece)

    def finish(self, last: list[bytes]) -> Upload:
        """The last bytes; all are durable on return. Raises as `feed`, `checksum-mismatch`, `conflict`."""
        self.feed(last)
        if self._digest is not None and self._digest.digest() != self._expected:
            raise WardlightError("checksum-mismatch")
        return self._commit()

    def keep(self) -> None:
        """The connection broke: what came is kept, unless only a checksum over all could tell that it is right."""
        if self._digest is not None:
            self.abort()
            return
        try:
            self._commit()
        finally:
            self.abort()

    def abort(self) -> None:
        """Drop the bytes. Does nothing after `finish`."""
        self._writer.abort()
        self._lease.close()

    def _commit(self) -> Upload:
        if not self._writer.tell():
            self.abort()
            return self._row
        stored = self._writer.commit()
        try:
            row = self._enter(self._row, stored)
        except WardlightError:
            # Decided against it: no row names the object.
            self._objects.delete(stored.object_id)
            raise
        self._lease.close()
        return row


def _own(row: Upload | None, scope: Scope) -> Upload:
    mine = row is not None and row.institution == scope.institution and row.person == scope.principal.id
    if row is None or not mine or row.expires_ms <= clock.unix_ms():
        raise WardlightError("not-found")
    return row


def _checksum(text: str) -> tuple[_Digest | None, bytes]:
    """What is to be computed, and what it must give. Raises `bad-request`."""
    if not text:
        return None, b""
    name, _, value = text.partition(" ")
    try:
        expected = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise WardlightError("bad-request", "the checksum is not base64", "checksum") from None
    if name not in CHECKSUMS:
        raise WardlightError("bad-request", "the checksum's algorithm is not known", "checksum")
    digest: Any = hashlib.new(name, usedforsecurity=False)
    return digest, expected


def _counts(row: Upload) -> dict[str, int]:
    return {"instances": len(row.sizes), "bytes": row.taken}


def _event(action: Action, scope: Scope, row: Upload) -> Event:
    return Event(
        action,
        actor_of(scope.principal),
        target=Target("upload", id=row.id.hex),
        address=scope.address,
        request=scope.request,
        token=scope.principal.token_ref,
        counts=_counts(row) | ({"bytes": row.length} if action is Action.INGEST_UPLOAD_START else {}),
    )
