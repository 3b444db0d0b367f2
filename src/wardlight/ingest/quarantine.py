"""What people uploaded and protection holds back, until a person decides: tried again, released, or discarded.

Never served to applications: nothing but the worker and a picture for those who may see the study opens these bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.access.model import Operation, Role, Scope
from wardlight.access.service import Access
from wardlight.agreements.model import IMAGES
from wardlight.agreements.service import Agreements
from wardlight.archive import deletion_store
from wardlight.archive import quarantine_store as store
from wardlight.archive.quarantine_store import Held, HeldState
from wardlight.archive.sweeping import discard
from wardlight.archive.upload_store import Upload
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.db.ids import uuid7
from wardlight.deid import false_alarms
from wardlight.errors import WardlightError
from wardlight.identity.service import actor_of
from wardlight.keys.keystore import Keystore
from wardlight.keys.wrap import KeyKind
from wardlight.objects.format import ObjectKind
from wardlight.objects.store import ObjectReader, ObjectStore

#: Why a person calls a finding a false alarm. Words of their own could name the patient.
WHY: Final = ("names-nobody", "device", "checked")
_STANDARD: Final = "1.2.840.10008."
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Kept:
    """A file whose bytes are in an object of their own, before its row says so."""

    object: UUID
    key_id: UUID
    length: int
    size: int
    place: int
    reasons: tuple[str, ...]
    sop_class: str
    study_group: bytes | None


def findings(row: Held) -> tuple[str, ...]:
    """What the verifier found in the output, where that is all that holds the file: else nothing can be accepted."""
    codes = {one.partition(" ")[0] for one in row.reasons}
    return row.reasons if codes <= false_alarms.ANSWERABLE else ()


class Quarantine:
    """Keeps files, shows them, and takes decisions on them. One for the process; threads share it."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        keystore: Keystore,
        objects: ObjectStore,
        access: Access,
        agreements: Agreements,
        days: float,
        total_bytes: int,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._keystore = keystore
        self._objects = objects
        self._access = access
        self._agreements = agreements
        self._time_ms = round(days * 86_400_000)
        self._total = total_bytes

    # ---- what comes in ----

    def keep(
        self,
        institution: UUID,
        length: int,
        pieces: Callable[[], Iterator[bytes]],
        pending: int,
    ) -> tuple[UUID, UUID, int] | None:
        """Put a file into an object of its own, under a key of its own: (object, key, stored size).

        pending: bytes that are kept and have no row yet. None: no more is held of this institution.
        """
        with self._database.read(institution) as tx:
            if store.total(tx, institution) + pending + length > self._total:
                return None
        key_id, key = self._keystore.create_key(institution, KeyKind.QUARANTINE)
        try:
            with self._objects.create(key, key_id, ObjectKind.QUARANTINE) as writer:
                for piece in pieces():
                    writer.write(piece)
                stored = writer.commit()
        except BaseException:
            self._keystore.destroy_key(institution, key_id)
            raise
        return stored.object_id, key_id, stored.size

    def enter(self, tx: Connection, row: Upload, kept: Sequence[Kept]) -> list[Kept]:
        """Write the rows of files, in the transaction of their results. Returns those whose study was deleted."""
        now, late = clock.unix_ms(), []
        if kept:
            deletion_store.fence(tx, row.institution, exclusive=False)
        for one in kept:
            group = one.study_group
            if group is not None and deletion_store.deletion_of(tx, row.institution, (), group) is not None:
                late.append(one)
                continue
            held = Held(
                id=uuid7(),
                institution=row.institution,
                object=one.object,
                key_id=one.key_id,
                length=one.length,
                size=one.size,
                upload=row.id,
                place=one.place,
                person=row.person,
                role=row.role,
                level=row.level,
                sop_class=one.sop_class if one.sop_class.startswith(_STANDARD) else "",
                study_group=group,
                reasons=one.reasons,
                state=HeldState.HELD,
                created_ms=now,
                expires_ms=now + self._time_ms,
                tried_ms=None,
                decided_by=None,
                decided_role=None,
                accepted=(),
                ended="",
                lease_ms=0,
                request=row.request,
            )
            store.add(tx, held)
        return late

    def drop(self, institution: UUID, kept: Sequence[Kept]) -> None:
        """Destroy what was kept and gets no row."""
        if kept:
            self._keystore.destroy_keys(institution, [one.key_id for one in kept])
        for one in kept:
            discard(self._objects, one.object)

    # ---- what people do ----

    def listed(self, scope: Scope, after: UUID | None = None, limit: int = _PAGE) -> list[Held]:
        """What is held, newest first; of a clinician what he sent himself."""
        scope.require(Operation.DELETE)
        with self._database.begin(scope.institution) as tx:
            rows = store.listed(tx, scope.institution, _own(scope), after, limit)
            event = Event(Action.INGEST_QUARANTINE_VIEW, actor_of(scope.principal))
            self._write(tx, scope, replace(event, counts={"results": len(rows)}))
        return rows

    def find(self, scope: Scope, id_: UUID) -> Held:
        """One file. Raises `not-found`, also for what another sent and only its sender may see."""
        scope.require(Operation.DELETE)
        with self._database.begin(scope.institution) as tx:
            row = self._found(tx, scope, id_)
            self._write(tx, scope, _event(Action.INGEST_QUARANTINE_VIEW, scope, row))
        return row

    def open(self, scope: Scope, id_: UUID) -> tuple[Held, ObjectReader]:
        """The bytes of one file, for a picture of it. Raises `not-found`, `key-destroyed`, `object-damaged`."""
        scope.require(Operation.STORE)
        self._agreements.require(scope.institution, IMAGES, None)
        with self._database.begin(scope.institution) as tx:
            row = self._found(tx, scope, id_)
            event = _event(Action.INGEST_QUARANTINE_VIEW, scope, row)
            self._write(tx, scope, replace(event, counts={"frames": 1}))
        return row, opened(self._objects, self._keystore, row)

    def retry(self, scope: Scope, id_: UUID) -> Held:
        """Have protection tried again, with the profile as it is now. Raises `not-found`, `conflict`."""
        return self._decide(scope, id_, "retry", ())

    def release(self, scope: Scope, id_: UUID, why: str, accepted: Sequence[str]) -> Held:
        """A person calls what was found a false alarm, and has the file stored at the level that was asked for.

        accepted: the findings that the person has seen; where the next try finds anything else, the file stays.
        Raises `not-found`, `bad-request`; `forbidden` for others than administrators and privacy officers; `conflict`
        where it is held for something that no person can answer for, or for other findings by now.
        """
        if scope.principal.role not in (Role.ADMINISTRATOR, Role.PRIVACY_OFFICER):
            self._access.deny(
                scope.principal, scope.action, "role", request=scope.request, address=scope.address
            )
            raise WardlightError("forbidden", reason="role")
        if why not in WHY:
            raise WardlightError("bad-request", f"why is one of {', '.join(WHY)}", "why")
        if not accepted:
            raise WardlightError("bad-request", "name the findings that are false alarms", "findings")
        return self._decide(scope, id_, why, tuple(accepted))

    def discard(self, scope: Scope, id_: UUID) -> None:
        """Delete a file. Raises `not-found`; `conflict` while it is tried again."""
        scope.require(Operation.DELETE)
        with self._database.begin(scope.institution) as tx:
            row = self._idle(tx, scope, id_)
            store.change(tx, row.id, state=HeldState.ENDED.value, ended="discarded")
            event = _event(Action.INGEST_QUARANTINE_DISCARD, scope, row)
            self._write(tx, scope, replace(event, detail={"level": row.level.value}))

    def _decide(self, scope: Scope, id_: UUID, why: str, accepted: tuple[str, ...]) -> Held:
        scope.require(Operation.DELETE)
        # Whether the level is agreed on still is asked when the file is protected.
        self._agreements.require(scope.institution, IMAGES, None)
        with self._database.begin(scope.institution) as tx:
            row = self._idle(tx, scope, id_)
            if accepted and (not findings(row) or set(accepted) != set(findings(row))):
                raise WardlightError("conflict", "these are not what holds the file", "findings")
            values = {
                "state": HeldState.QUEUED.value,
                "accepted": "\n".join(accepted),
                "decided_by": scope.principal.id,
                "decided_role": scope.principal.role or "",
                "request": scope.request,
            }
            store.change(tx, row.id, **values)
            event = _event(Action.INGEST_QUARANTINE_RELEASE, scope, row)
            detail = {"level": row.level.value, "findings": list(accepted or row.reasons)}
            self._write(tx, scope, replace(event, reason=why, detail=detail))
            found = store.by_id(tx, row.id)
        assert found is not None
        return found

    def _idle(self, tx: Connection, scope: Scope, id_: UUID) -> Held:
        row = self._found(tx, scope, id_, lock=True)
        if row.state is not HeldState.HELD or row.lease_ms > clock.unix_ms():
            raise WardlightError("conflict", "the file is being protected just now", "busy")
        return row

    def _found(self, tx: Connection, scope: Scope, id_: UUID, *, lock: bool = False) -> Held:
        row = store.by_id(tx, id_, lock=lock)
        own = _own(scope)
        if (
            row is None
            or row.institution != scope.institution
            or row.state is HeldState.ENDED
            or row.expires_ms <= clock.unix_ms()
            or own not in (None, row.person)
        ):
            raise WardlightError("not-found")
        return row

    def _write(self, tx: Connection, scope: Scope, event: Event) -> None:
        told = replace(event, address=scope.address, request=scope.request, token=scope.principal.token_ref)
        self._recorder.write(tx, scope.institution, told)


def opened(objects: ObjectStore, keystore: Keystore, row: Held) -> ObjectReader:
    """The bytes of a file. Raises `key-destroyed`, `wrong-key`, `object-damaged` also for an object of another kind."""
    reader = objects.open(row.object, keystore.get_key(row.institution, row.key_id), row.size)
    if reader.kind is not ObjectKind.QUARANTINE or reader.plaintext != row.length:
        reader.close()
        raise WardlightError("object-damaged")
    return reader


def _own(scope: Scope) -> str | None:
    """Whose files alone may be shown; None: the whole institution's (architecture.md, who may do what)."""
    everything = scope.principal.role in (Role.ADMINISTRATOR, Role.PRIVACY_OFFICER)
    return None if everything else scope.principal.id


def _event(action: Action, scope: Scope, row: Held) -> Event:
    return Event(action, actor_of(scope.principal), target=Target("quarantine", id=row.id.hex))
