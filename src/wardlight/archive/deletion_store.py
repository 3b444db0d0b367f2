"""All SQL of deletions: what is to go, how far it is, what stays of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, String, bindparam, case, delete, func, insert, or_, select, text, update

from wardlight.access.tables import grant
from wardlight.agreements.model import Level
from wardlight.archive import handover_store
from wardlight.archive.deletion_tables import deleted, deletion, told
from wardlight.archive.model import ReleaseState
from wardlight.archive.share_store import ShareState
from wardlight.archive.share_tables import result, share
from wardlight.archive.store import RELEASE_COLUMNS, ReleaseRow, release_row
from wardlight.archive.tables import instance, release, segment, series, tail
from wardlight.audit import tables as audit
from wardlight.db.prepared import Prepared
from wardlight.errors import WardlightError

#: Rows of instances removed in one transaction, so that other writers get their turn.
ROWS: Final = 2_000


class DeletionState(StrEnum):
    """How far a deletion is. In each state all of the ones before it is done.

    ended: access is over. unlisted: no search finds it. shredded: its keys are gone. removed: so are objects and rows.
    """

    ENDED = "ended"
    UNLISTED = "unlisted"
    SHREDDED = "shredded"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class DeletionRow:
    """One deletion. Times in Unix milliseconds; None: not yet. rebuild: postings still have to be made anew."""

    id: UUID
    institution: UUID
    state: DeletionState
    deleted_by: str
    role: str
    entry: UUID
    access_ended_ms: int
    key_destroyed_ms: int | None
    removed_ms: int | None
    unreadable_ms: int | None
    allowed_ms: int | None
    rebuild: bool


@dataclass(frozen=True, slots=True)
class DeletedRelease:
    """What stays of a release. study_ref: as the audit trail names the study, "" where that could not be told."""

    release: UUID
    deletion: UUID
    institution: UUID
    application: str
    level: Level
    key_id: UUID
    study_group: bytes = field(repr=False)
    study_ref: str
    instances: int
    bytes: int
    objects: int


@dataclass(frozen=True, slots=True)
class Told:
    """An application that was told, by which event, and when it said that it has deleted its copies."""

    application: str
    event: UUID
    acknowledged_ms: int | None


_DELETION: Final = tuple(deletion.c[name] for name in DeletionRow.__dataclass_fields__)
_DELETED: Final = tuple(deleted.c[name] for name in DeletedRelease.__dataclass_fields__)


def _row(values: Sequence[Any]) -> DeletionRow:
    found = list(values)
    found[2] = DeletionState(found[2])
    found[11] = bool(found[11])
    return DeletionRow(*found)


# ---- to begin ----

_PERSON: Final = bindparam("person", type_=String)
_NOTE_UPLOADER: Final = Prepared(
    update(release)
    .where(release.c.id == bindparam("row"))
    .values(
        uploader=case(
            (or_(release.c.instance_count == bindparam("added"), release.c.uploader == _PERSON), _PERSON),
            else_=None,
        )
    )
)


def note_uploader(tx: Connection, release_id: UUID, person: str | None, added: int) -> None:
    """A person, or None: somebody who is none, added so many instances to a release, in this transaction."""
    _NOTE_UPLOADER.run(tx, [{"row": release_id, "person": person, "added": added}])


_FENCE: Final = {
    exclusive: text(f"SELECT pg_advisory_xact_lock{'' if exclusive else '_shared'}(7161825, :key)")
    for exclusive in (False, True)
}


def fence(tx: Connection, institution: UUID, *, exclusive: bool) -> None:
    """Deletions of an institution wait for releases that are being reserved, and these for deletions.

    Otherwise a release of the same study could come into being unseen between the two looks. SQLite has one writer.
    """
    if tx.dialect.name == "postgresql":
        key = int.from_bytes(institution.bytes[-4:], "big", signed=True)
        tx.execute(_FENCE[exclusive], {"key": key})


def of_study(tx: Connection, institution: UUID, token: bytes) -> list[tuple[ReleaseRow, str | None]]:
    """Every release, with its uploader, of the studies that answer to a Study UID: all of their groups; none twice.

    Those that are being deleted already are left out.
    """
    groups = select(release.c.study_group).where(
        release.c.institution == institution, release.c.token == token, _LIVE
    )
    query = select(*RELEASE_COLUMNS, release.c.uploader).where(
        release.c.institution == institution, release.c.study_group.in_(groups), _LIVE
    )
    return [(release_row(row[:-1]), row[-1]) for row in tx.execute(query.order_by(release.c.id))]


_LIVE: Final = release.c.state != ReleaseState.DELETING.value


def end(tx: Connection, institution: UUID, releases: Sequence[UUID], groups: Sequence[bytes]) -> int:
    """Let nobody read, change, share or collect anything of these releases any more; how many were live."""
    tx.execute(delete(result).where(result.c.release.in_(releases)))
    handover_store.remove(tx, releases)
    going = update(share).where(
        share.c.institution == institution,
        share.c.study_group.in_(groups),
        share.c.state != ShareState.ENDED.value,
    )
    tx.execute(going.values(state=ShareState.ENDED.value, reason="study-deleted"))
    statement = update(release).where(release.c.id.in_(releases), _LIVE)
    return tx.execute(statement.values(state=ReleaseState.DELETING.value)).rowcount


def objects_of(tx: Connection, release_id: UUID) -> list[UUID]:
    """The objects of a release."""
    found = list(tx.execute(select(segment.c.id).where(segment.c.release == release_id)).scalars())
    described = select(release.c.metadata_object).where(
        release.c.id == release_id, release.c.metadata_object.is_not(None)
    )
    return found + list(tx.execute(described).scalars())


def grantees(tx: Connection, institution: UUID, groups: Sequence[bytes]) -> list[tuple[str, UUID, UUID]]:
    """(application, its newest grant, release) of every application that ever had a grant on these studies, by name."""
    query = (
        select(grant.c.application, grant.c.id, grant.c.release)
        .where(
            grant.c.institution == institution,
            grant.c.study_group.in_(groups),
            grant.c.application.is_not(None),
        )
        .order_by(grant.c.application, grant.c.id)
    )
    newest = {row[0]: (row[0], row[1], row[2]) for row in tx.execute(query)}
    return list(newest.values())


def add(tx: Connection, row: DeletionRow, releases: Sequence[DeletedRelease]) -> None:
    """Insert a deletion with its tombstones."""
    tx.execute(insert(deletion), _values(row) | {"state": row.state.value, "rebuild": int(row.rebuild)})
    tx.execute(insert(deleted), [_values(one) | {"level": one.level.value} for one in releases])


def add_told(tx: Connection, row: DeletionRow, application: str, event: UUID) -> None:
    """An application was told."""
    values = {"deletion": row.id, "institution": row.institution, "application": application, "event": event}
    tx.execute(insert(told), values)


def _values(row: DeletionRow | DeletedRelease) -> dict[str, Any]:
    return {name: getattr(row, name) for name in type(row).__dataclass_fields__}


# ---- to go on ----


def unfinished(tx: Connection) -> list[DeletionRow]:
    """Deletions that the worker has to carry on with, oldest first."""
    query = select(*_DELETION).where(
        or_(deletion.c.state != DeletionState.REMOVED.value, deletion.c.rebuild == 1)
    )
    return [_row(row) for row in tx.execute(query.order_by(deletion.c.id))]


def advance(tx: Connection, row: DeletionRow, to: DeletionState, **values: Any) -> bool:
    """The next state; False where another worker was first."""
    statement = update(deletion).where(deletion.c.id == row.id, deletion.c.state == row.state.value)
    return tx.execute(statement.values(state=to.value, **values)).rowcount == 1


def change(tx: Connection, id_: UUID, **values: Any) -> None:
    """Set columns of a deletion."""
    tx.execute(update(deletion).where(deletion.c.id == id_).values(**values))


def rows_of(tx: Connection, releases: Sequence[UUID]) -> list[ReleaseRow]:
    """Those of these releases that still have a row."""
    query = select(*RELEASE_COLUMNS).where(release.c.id.in_(releases)).order_by(release.c.id)
    return [release_row(row) for row in tx.execute(query)]


def remove_instances(release_id: UUID, tx: Connection) -> int:
    """Remove some rows of instances of a release; how many."""
    some = select(instance.c.id).where(instance.c.release == release_id).limit(ROWS)
    return tx.execute(delete(instance).where(instance.c.id.in_(some))).rowcount


def remove_rest(tx: Connection, releases: Sequence[UUID]) -> None:
    """Remove all other rows of releases without instances."""
    for table in (series, segment, tail, result):
        tx.execute(delete(table).where(table.c.release.in_(releases)))
    handover_store.remove(tx, releases)
    tx.execute(delete(release).where(release.c.id.in_(releases)))


def readable(tx: Connection, institution: UUID, before_ms: int) -> list[DeletionRow]:
    """Deletions whose keys were destroyed before then, and lie in backups that can be read as far as anybody knows."""
    query = select(*_DELETION).where(
        deletion.c.institution == institution,
        deletion.c.key_destroyed_ms < before_ms,
        deletion.c.unreadable_ms.is_(None),
    )
    return [_row(row) for row in tx.execute(query.order_by(deletion.c.id))]


def unsettled(tx: Connection) -> list[UUID]:
    """Institutions with deletions whose backups can be read as far as anybody knows."""
    query = select(deletion.c.institution).where(
        deletion.c.key_destroyed_ms.is_not(None), deletion.c.unreadable_ms.is_(None)
    )
    return sorted(tx.execute(query.distinct()).scalars(), key=lambda one: one.bytes)


# ---- what stays ----


def find(tx: Connection, institution: UUID, id_: UUID) -> DeletionRow | None:
    """A deletion of the institution."""
    query = select(*_DELETION).where(deletion.c.id == id_, deletion.c.institution == institution)
    row = tx.execute(query).first()
    return _row(tuple(row)) if row else None


def listed(
    tx: Connection, institution: UUID, after: UUID | None, limit: int, by: str = ""
) -> list[DeletionRow]:
    """Deletions, newest first; after: the last of the page before; by: of this actor only."""
    query = select(*_DELETION).where(deletion.c.institution == institution)
    if after is not None:
        query = query.where(deletion.c.id < after)
    if by:
        query = query.where(deletion.c.deleted_by == by)
    return [_row(row) for row in tx.execute(query.order_by(deletion.c.id.desc()).limit(limit))]


def releases_in(tx: Connection, ids: Iterable[UUID]) -> list[DeletedRelease]:
    """The tombstones of deletions."""
    query = select(*_DELETED).where(deleted.c.deletion.in_(list(ids))).order_by(deleted.c.release)
    return [_deleted(row) for row in tx.execute(query)]


def told_of(tx: Connection, ids: Iterable[UUID]) -> dict[UUID, list[Told]]:
    """Who was told, by deletion."""
    query = select(told.c.deletion, told.c.application, told.c.event, told.c.acknowledged_ms)
    found: dict[UUID, list[Told]] = {}
    for row in tx.execute(query.where(told.c.deletion.in_(list(ids))).order_by(told.c.application)):
        found.setdefault(row[0], []).append(Told(row[1], row[2], row[3]))
    return found


def acknowledge(tx: Connection, institution: UUID, id_: UUID, application: str, now_ms: int) -> bool | None:
    """An application has deleted its copies; False where it had said so before, None where it was never told."""
    mine = (told.c.deletion == id_, told.c.application == application, told.c.institution == institution)
    if tx.execute(select(told.c.event).where(*mine)).first() is None:
        return None
    statement = update(told).where(*mine, told.c.acknowledged_ms.is_(None))
    return tx.execute(statement.values(acknowledged_ms=now_ms)).rowcount == 1


_BY_REF: Final = Prepared(
    select(deletion.c.id)
    .select_from(deleted.join(deletion, deletion.c.id == deleted.c.deletion))
    .where(
        deleted.c.institution == bindparam("institution"),
        deletion.c.allowed_ms.is_(None),
        deleted.c.study_ref.in_(bindparam("refs", expanding=True)),
    )
    .order_by(deletion.c.id.desc())
    .limit(1)
)
_BY_GROUP: Final = Prepared(
    select(deletion.c.id)
    .select_from(deleted.join(deletion, deletion.c.id == deleted.c.deletion))
    .where(
        deleted.c.institution == bindparam("institution"),
        deletion.c.allowed_ms.is_(None),
        deleted.c.study_group == bindparam("group"),
    )
    .limit(1)
)


def deletion_of(tx: Connection, institution: UUID, refs: Sequence[str], group: bytes | None) -> UUID | None:
    """The deletion that a study fell to which may not come again. refs: how the trail may name it, in any epoch."""
    row = _BY_REF.first(tx, {"institution": institution, "refs": list(refs)}) if refs else None
    if row is None and group is not None:
        row = _BY_GROUP.first(tx, {"institution": institution, "group": group})
    return row[0] if row else None


def refuse_deleted(tx: Connection, institution: UUID, refs: Sequence[str], group: bytes | None) -> None:
    """Raise `study-deleted` for a study that was deleted and may not come again."""
    found = deletion_of(tx, institution, refs, group)
    if found is not None:
        raise WardlightError("study-deleted", f"deletion {found.hex}")


def position(tx: Connection, entry: UUID) -> tuple[int, int] | None:
    """(log, index) of a sealed audit entry; None while it waits to be sealed."""
    row = tx.execute(select(audit.entry.c.log, audit.entry.c.idx).where(audit.entry.c.id == entry)).first()
    return (row[0], row[1]) if row else None


def tombstones(tx: Connection) -> list[tuple[UUID, UUID, int]]:
    """(key, institution, when) of every key that deletions of the index have destroyed or are about to destroy."""
    when = func.coalesce(deletion.c.key_destroyed_ms, deletion.c.access_ended_ms)
    join = deleted.join(deletion, deletion.c.id == deleted.c.deletion)
    query = select(deleted.c.key_id, deleted.c.institution, when).select_from(join)
    return [(row[0], row[1], row[2]) for row in tx.execute(query)]


def _deleted(values: Sequence[Any]) -> DeletedRelease:
    found = list(values)
    found[4] = Level(found[4])
    found[6] = bytes(found[6])
    return DeletedRelease(*found)
