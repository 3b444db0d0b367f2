"""All SQL of the receiver: what is in the spool, what has to be uploaded, quarantine, counters.

The functions take an open transaction where a caller joins several steps, else they make their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    not_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from wardlight import clock
from wardlight.receiver.model import DEFAULT_ROUTE, Level, Quarantined, Received, Target, UploadState, Work
from wardlight.receiver.own_database import OwnDatabase
from wardlight.receiver.routes import insert_route
from wardlight.receiver.statements import (
    ADD,
    ADD_UPLOADS,
    ADDED,
    LAST,
    append_audit,
    count,
    raise_watermark,
    spooled_row,
)
from wardlight.receiver.tables import (
    SCHEMA_VERSION,
    held_back,
    quarantine,
    schema_version,
    spool_file,
    spooled,
    state,
    upload,
)

#: Neighbouring objects go to the same pipeline process in blocks of this many, so that a study's batches stay whole.
BLOCK: Final = 64

_WORK_COLUMNS: Final = (
    upload.c.object_id,
    upload.c.application,
    upload.c.level,
    upload.c.attempts,
    spooled.c.file_id,
    spooled.c.stream,
    spooled.c.offset,
    spooled.c.record,
    spooled.c.end,
    spooled.c.length,
    spooled.c.digest,
    spooled.c.study,
    spooled.c.sop_class,
    spooled.c.transfer_syntax,
    spooled.c.body_end,
)
_OF_WORK: Final = and_(
    upload.c.object_id == bindparam("b_object"),
    upload.c.application == bindparam("b_application"),
    upload.c.level == bindparam("b_level"),
    upload.c.state == UploadState.PENDING,
)


@dataclass(frozen=True, slots=True)
class StudyReceived:
    """Objects of one study from one sender that the audit trail does not know yet. last: the highest of their ids."""

    study: bytes
    route: str
    calling_ae: str
    address: str
    instances: int
    bytes: int
    last: int


class ReceiverStore(OwnDatabase):
    """The receiver's database. Threads may share one; each process opens its own."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, schema_version, SCHEMA_VERSION, lambda tx: insert_route(tx, DEFAULT_ROUTE))

    # Registrar -------------------------------------------------------------------------------------------------

    def register(self, objects: Sequence[Received], audit: Sequence[bytes] = ()) -> int:
        """Enter committed objects, their uploads and the watermarks of their files; one transaction.

        An object that is known already (same file and stream) is left alone. Returns how many were new.
        """
        with self.database.begin() as tx:
            append_audit(tx, audit)
            return self._register(tx, objects)

    def _register(self, tx: Connection, objects: Sequence[Received]) -> int:
        if not objects:
            return 0
        ends: dict[str, int] = {}
        for one in objects:
            ends[one.file_id] = max(ends.get(one.file_id, 0), one.end)
        for file_id, end in ends.items():
            raise_watermark(tx, file_id, end)
        # One statement for all of them: with one for each, this would be a fifth of what an object costs.
        last = tx.execute(LAST).scalar() or 0
        tx.execute(ADD, [spooled_row(one) for one in objects])
        added = tx.execute(ADDED, {"last": last})
        ids = {(file_id, stream): object_id for file_id, stream, object_id in added}
        new, size = 0, 0
        pending: list[dict[str, Any]] = []
        for one in objects:
            object_id = ids.pop((one.file_id, one.stream), None)
            if object_id is None:
                continue
            new += 1
            size += one.length
            pending += [
                {
                    "object_id": object_id,
                    "application": target.application,
                    "level": target.level,
                    "state": UploadState.PENDING,
                }
                for target in one.targets
            ]
        if pending:
            tx.execute(ADD_UPLOADS, pending)
        count(tx, "received", new, size)
        return new

    def watermark(self, file_id: str) -> int:
        """Offset up to which the spool file is known to be durable; 0 for an unknown file."""
        with self.database.read() as tx:
            found = select(spool_file.c.durable_end).where(spool_file.c.file_id == file_id)
            return int(tx.execute(found).scalar() or 0)

    def settled_files(self) -> set[str]:
        """Files that need not be read at the start: closed, with every committed object registered."""
        with self.database.read() as tx:
            return set(tx.execute(select(spool_file.c.file_id).where(spool_file.c.settled)).scalars())

    def settle(self, file_id: str, *, damaged: bool = False) -> None:
        """The file is closed and its committed objects are registered; a damaged one is kept for a person."""
        with self.database.begin() as tx:
            raise_watermark(tx, file_id, 0)
            values: dict[str, Any] = {"settled": True}
            if damaged:
                values["damaged"] = True
            tx.execute(update(spool_file).where(spool_file.c.file_id == file_id).values(values))

    def finished_files(self) -> list[str]:
        """Settled files of which no object is needed any more."""
        needed = exists().where(
            spooled.c.file_id == spool_file.c.file_id,
            not_(spooled.c.reported)
            | exists().where(
                upload.c.object_id == spooled.c.id,
                upload.c.state.in_([UploadState.PENDING, UploadState.HELD, UploadState.DAMAGED]),
            ),
        )
        query = select(spool_file.c.file_id).where(
            spool_file.c.settled, not_(spool_file.c.damaged), not_(needed)
        )
        with self.database.read() as tx:
            return list(tx.execute(query).scalars())

    def forget_file(self, file_id: str) -> None:
        """Drop the rows of a spool file that is removed from the disk already."""
        with self.database.begin() as tx:
            tx.execute(delete(spooled).where(spooled.c.file_id == file_id))
            tx.execute(delete(spool_file).where(spool_file.c.file_id == file_id))

    def unreported(self, quiet_before: int, oldest_before: int) -> list[StudyReceived]:
        """Studies with objects that no audit entry counts yet, once they are quiet or long under way."""
        group = (spooled.c.study, spooled.c.route, spooled.c.calling_ae, spooled.c.address)
        query = (
            select(*group, func.count(), func.sum(spooled.c.length), func.max(spooled.c.id))
            .where(not_(spooled.c.reported))
            .group_by(*group)
            .having(
                (func.max(spooled.c.received_ms) <= quiet_before)
                | (func.min(spooled.c.received_ms) <= oldest_before)
            )
        )
        with self.database.read() as tx:
            return [StudyReceived(*row) for row in tx.execute(query)]

    def report(self, study: StudyReceived, content: bytes) -> None:
        """Write the entry about these objects and mark them as counted, but none that came since."""
        mine = and_(
            spooled.c.study == study.study,
            spooled.c.route == study.route,
            spooled.c.calling_ae == study.calling_ae,
            spooled.c.address == study.address,
            spooled.c.id <= study.last,
            not_(spooled.c.reported),
        )
        with self.database.begin() as tx:
            append_audit(tx, [content])
            tx.execute(update(spooled).where(mine).values(reported=True))

    # Pipeline --------------------------------------------------------------------------------------------------

    def pending(
        self,
        slot: int,
        slots: int,
        after: int,
        limit: int,
        held: Iterable[Target] = (),
        agreed: Iterable[Target] | None = None,
    ) -> list[Work]:
        """Uploads to be done by pipeline `slot` of `slots`, from object id `after` on, in order of arrival.

        held: targets the platform refuses at present. agreed: the only ones that may leave; None: not known yet.
        """
        query = (
            select(*_WORK_COLUMNS)
            .join(spooled, spooled.c.id == upload.c.object_id)
            .where(
                upload.c.state == UploadState.PENDING,
                upload.c.object_id >= after,
                upload.c.not_before_ms <= clock.unix_ms(),
            )
            .order_by(upload.c.object_id)
            .limit(limit)
        )
        if slots > 1:
            query = query.where((upload.c.object_id // BLOCK) % slots == slot)
        release = tuple_(upload.c.application, upload.c.level)
        if names := _names(held):
            query = query.where(release.not_in(names))
        if agreed is not None:
            query = query.where(release.in_(_names(agreed)))
        with self.database.read() as tx:
            return [_work(row) for row in tx.execute(query)]

    def finish(self, results: Sequence[tuple[Work, UploadState]], audit: Sequence[bytes]) -> None:
        """The platform has answered durably: mark the uploads done, with their audit entries, in one transaction."""
        with self.database.begin() as tx:
            append_audit(tx, audit)
            tx.execute(
                update(upload).where(_OF_WORK).values(state=bindparam("b_state")),
                [{**_key(work), "b_state": result} for work, result in results],
            )
            for kind in {result for _, result in results}:
                sizes = [work.length for work, result in results if result == kind]
                count(tx, kind, len(sizes), sum(sizes))

    def postpone(self, works: Sequence[Work], until_ms: int, *, counted: bool = True) -> None:
        """Try these uploads again, not before then. counted: it is an attempt that failed for the objects' sake."""
        with self.database.begin() as tx:
            tx.execute(
                update(upload)
                .where(_OF_WORK)
                .values(attempts=upload.c.attempts + int(counted), not_before_ms=bindparam("b_until")),
                [{**_key(work), "b_until": until_ms} for work in works],
            )

    def hold(self, works: Sequence[Work], until_ms: int) -> None:
        """Keep these in the spool and ask again then: their study was deleted, and may be allowed again."""
        with self.database.begin() as tx:
            tx.execute(
                update(upload)
                .where(_OF_WORK)
                .values(state=UploadState.HELD, not_before_ms=bindparam("b_until")),
                [{**_key(work), "b_until": until_ms} for work in works],
            )

    def take_up_held(self) -> int:
        """Let what was held long enough be tried again; how many."""
        due = update(upload).where(
            upload.c.state == UploadState.HELD, upload.c.not_before_ms <= clock.unix_ms()
        )
        with self.database.begin() as tx:
            return tx.execute(due.values(state=UploadState.PENDING)).rowcount

    def damaged(self, work: Work) -> None:
        """The object cannot be read from the spool: nothing more is tried and its file is kept."""
        with self.database.begin() as tx:
            tx.execute(update(upload).where(_OF_WORK).values(state=UploadState.DAMAGED), _key(work))
            tx.execute(update(spool_file).where(spool_file.c.file_id == work.file_id).values(damaged=True))
            count(tx, UploadState.DAMAGED, 1, work.length)

    # Quarantine ------------------------------------------------------------------------------------------------

    def add_quarantine(self, entry: Quarantined, work: Work, audit: Sequence[bytes]) -> bool:
        """The object lies encrypted in quarantine: enter it and end its upload, in one transaction.

        False if the same object is in quarantine for this release already: the caller drops its second copy.
        """
        row = {
            "id": entry.id,
            "size": entry.size,
            "application": entry.target.application,
            "level": entry.target.level,
            "sop_class": entry.sop_class,
            "transfer_syntax": entry.transfer_syntax,
            "reasons": list(entry.reasons),
            "at_ms": entry.at,
            "file_id": work.file_id,
            "stream": work.stream,
        }
        with self.database.begin() as tx:
            added = tx.execute(upsert(quarantine).values(row).on_conflict_do_nothing()).rowcount == 1
            tx.execute(update(upload).where(_OF_WORK).values(state=UploadState.QUARANTINED), _key(work))
            if added:
                append_audit(tx, audit)
                count(tx, UploadState.QUARANTINED, 1, work.length)
                held = {**_of_study(work.study, work.target), "count": 1}
                tx.execute(
                    upsert(held_back)
                    .values(held)
                    .on_conflict_do_update(set_={"count": held_back.c.count + 1})
                )
        return added

    def held_back(self, study: bytes, target: Target) -> int:
        """How many objects of a study went to quarantine instead of this target's release."""
        query = select(held_back.c["count"]).filter_by(**_of_study(study, target))
        with self.database.read() as tx:
            return tx.execute(query).scalar() or 0

    def quarantined(self) -> list[Quarantined]:
        """What is in quarantine, oldest first."""
        with self.database.read() as tx:
            return [_quarantined(row) for row in tx.execute(select(quarantine).order_by(quarantine.c.at_ms))]

    def drop_quarantine(self, identifier: UUID, audit: Sequence[bytes]) -> bool:
        """Forget an object of the quarantine; False if it is not there."""
        with self.database.begin() as tx:
            found = tx.execute(delete(quarantine).where(quarantine.c.id == identifier)).rowcount == 1
            if found:
                append_audit(tx, audit)
        return found

    # State -----------------------------------------------------------------------------------------------------

    def note(self, name: str, value: str) -> None:
        """Keep what a process saw last, for `status`."""
        row = {"name": name, "value": value, "at_ms": clock.unix_ms()}
        with self.database.begin() as tx:
            tx.execute(upsert(state).values(row).on_conflict_do_update(index_elements=["name"], set_=row))

    def begin(
        self, settings: Mapping[str, str], tell: Callable[[Mapping[str, str]], Sequence[bytes]]
    ) -> None:
        """The receiver starts with these settings: keep them, with the entries that `tell` makes of those before."""
        with self.database.begin() as tx:
            rows = tx.execute(select(state.c.name, state.c.value).where(state.c.name.startswith(_SETTING)))
            append_audit(tx, tell({name.removeprefix(_SETTING): value for name, value in rows}))
            tx.execute(delete(state).where(state.c.name.startswith(_SETTING)))
            now = clock.unix_ms()
            tx.execute(
                insert(state),
                [{"name": _SETTING + name, "value": value, "at_ms": now} for name, value in settings.items()],
            )

    def append(self, audit: Sequence[bytes]) -> None:
        """Entries that nothing else is changed with."""
        with self.database.begin() as tx:
            append_audit(tx, audit)

    def forget_note(self, name: str) -> None:
        """Drop what was noted under this name."""
        with self.database.begin() as tx:
            tx.execute(delete(state).where(state.c.name == name))


# Before names of settings that the receiver started with last.
_SETTING: Final = "setting:"


def _key(work: Work) -> dict[str, Any]:
    return {
        "b_object": work.object_id,
        "b_application": work.target.application,
        "b_level": work.target.level,
    }


def _names(targets: Iterable[Target]) -> list[tuple[str, str]]:
    return [(target.application, str(target.level)) for target in targets]


def _work(row: Row[*tuple[Any, ...]]) -> Work:
    return Work(row[0], Target(row[1], Level(row[2])), *tuple(row)[3:])


def _of_study(study: bytes, target: Target) -> dict[str, Any]:
    return {"study": study, "application": target.application, "level": target.level}


def _quarantined(row: Row[Any]) -> Quarantined:
    return Quarantined(
        row.id,
        row.size,
        Target(row.application, Level(row.level)),
        row.sop_class,
        row.transfer_syntax,
        tuple(row.reasons),
        row.at_ms,
    )
