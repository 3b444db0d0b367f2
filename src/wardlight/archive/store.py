"""All SQL of the archive but searches: reserve, take in, find, complete, check."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select, union_all, update

from wardlight.archive.machine_tables import segment as machine
from wardlight.archive.model import Level, PixelIndex, ReleaseState
from wardlight.archive.quarantine_tables import held
from wardlight.archive.tables import instance, orphan, release, segment, series
from wardlight.archive.upload_tables import part as upload_part
from wardlight.archive.upload_tables import upload
from wardlight.db.insert import add_missing, upsert
from wardlight.db.prepared import Prepared

#: Values in one `IN`; SQLite takes 32,766 in a statement.
IN_VALUES: Final = 1000

_Value = TypeVar("_Value")

_FRAGMENT: Final = struct.Struct(">QI")


#: By a name of its own, as a row has a member `bytes`.
Blob = bytes


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A release as the index holds it."""

    id: UUID
    institution: UUID
    application: str
    level: Level
    state: ReleaseState
    key_id: UUID
    study_group: bytes
    sealed_schema: int
    sealed: bytes | None
    study_date: int
    modalities: tuple[str, ...]
    series_count: int
    instance_count: int
    bytes: int
    arrived_ms: int
    last_arrival_ms: int
    metadata_object: UUID | None
    metadata_size: int
    number: int
    origin: Blob | None = None


RELEASE_COLUMNS: Final = (
    release.c.id,
    release.c.institution,
    release.c.application,
    release.c.level,
    release.c.state,
    release.c.key_id,
    release.c.study_group,
    release.c.sealed_schema,
    release.c.sealed,
    release.c.study_date,
    release.c.modalities,
    release.c.series_count,
    release.c.instance_count,
    release.c.bytes,
    release.c.arrived_ms,
    release.c.last_arrival_ms,
    release.c.metadata_object,
    release.c.metadata_size,
    release.c.number,
    release.c.origin,
)


def release_row(row: Sequence[Any]) -> ReleaseRow:
    values = list(row)
    values[3] = Level(values[3])
    values[4] = ReleaseState(values[4])
    # By the space alone: a peer may have sent other white space within a value.
    values[10] = tuple(filter(None, values[10].split(" ")))
    return ReleaseRow(*values)


# Statements of the hot paths are built once: building one costs several times what running it does.

# ---- reserving and taking in ----


class TargetRow(NamedTuple):
    """A release that instances go to. source: the record of the third party that its data is of."""

    id: UUID
    key_id: UUID
    source: UUID | None
    state: str = ReleaseState.RECEIVING.value


_FIND_TARGET: Final = Prepared(
    select(release.c.id, release.c.key_id, release.c.source, release.c.state).where(
        release.c.institution == bindparam("institution"),
        release.c.token == bindparam("token"),
        release.c.application == bindparam("application"),
        release.c.level == bindparam("level"),
    )
)


def find_target(
    tx: Connection, institution: UUID, application: str, level: Level, token: bytes
) -> TargetRow | None:
    """The release of one study for one (institution, application, level)."""
    values = {"institution": institution, "token": token, "application": application, "level": level.value}
    row = _FIND_TARGET.first(tx, values)
    return TargetRow(*row) if row else None


def reserve(tx: Connection, values: dict[str, Any]) -> bool:
    """Insert an empty release; False where another writer reserved it first."""
    unique = (release.c.institution, release.c.token, release.c.application, release.c.level)
    statement = upsert(tx, release).on_conflict_do_nothing(index_elements=unique).returning(release.c.id)
    return tx.execute(statement, values).first() is not None


_RELEASE_BY_ID: Final = select(*RELEASE_COLUMNS).where(release.c.id == bindparam("release"))
_LOCKED_RELEASE: Final = Prepared(_RELEASE_BY_ID.with_for_update())
_UNLOCKED_RELEASE: Final = Prepared(_RELEASE_BY_ID)


def release_by_id(tx: Connection, release_id: UUID, *, lock: bool = False) -> ReleaseRow | None:
    """The release; with `lock` no other writer changes it until the transaction ends."""
    row = (_LOCKED_RELEASE if lock else _UNLOCKED_RELEASE).first(tx, {"release": release_id})
    return release_row(row) if row else None


_LOCK_RELEASES: Final = (
    select(release.c.id)
    .where(release.c.id.in_(bindparam("releases", expanding=True)))
    .order_by(release.c.id)
    .with_for_update()
)


def lock_releases(tx: Connection, releases: Sequence[UUID]) -> None:
    """Let no other writer change these releases until the transaction ends."""
    if releases:
        tx.execute(_LOCK_RELEASES, {"releases": releases}).all()


_TOKENS: Final[BindParameter[Any]] = bindparam("tokens", expanding=True)
_SERIES_BY_TOKEN: Final = Prepared(
    select(series.c.token, series.c.id).where(
        series.c.release == bindparam("release"), series.c.token.in_(_TOKENS)
    )
)
_DIGESTS: Final = Prepared(
    select(instance.c.token, instance.c.digest).where(
        instance.c.release == bindparam("release"), instance.c.token.in_(_TOKENS)
    )
)


def series_by_token(tx: Connection, release_id: UUID, tokens: Iterable[bytes]) -> dict[bytes, UUID]:
    """Ids of those series of a release that are there."""
    found: dict[bytes, UUID] = {}
    for part in _parts(tokens):
        rows = _SERIES_BY_TOKEN.all(tx, {"release": release_id, "tokens": part})
        found.update((bytes(token), id_) for token, id_ in rows)
    return found


def digests_by_token(tx: Connection, release_id: UUID, tokens: Iterable[bytes]) -> dict[bytes, bytes]:
    """Digests of those instances of a release that are there."""
    found: dict[bytes, bytes] = {}
    for part in _parts(tokens):
        rows = _DIGESTS.all(tx, {"release": release_id, "tokens": part})
        found.update((bytes(token), bytes(digest)) for token, digest in rows)
    return found


_ADD_SEGMENT: Final = Prepared(insert(segment))
_ADD_SERIES: Final = Prepared(insert(series))
_ADD_INSTANCES: Final = Prepared(insert(instance))


def add_segment(tx: Connection, values: dict[str, Any]) -> None:
    """Insert a segment."""
    _ADD_SEGMENT.run(tx, [values])


def add_series(tx: Connection, rows: list[dict[str, Any]]) -> None:
    """Insert series."""
    _ADD_SERIES.run(tx, rows)


def add_instances(tx: Connection, rows: list[dict[str, Any]]) -> None:
    """Insert instances in one statement."""
    _ADD_INSTANCES.run(tx, rows)


_GROW_SERIES: Final = Prepared(
    update(series)
    .where(series.c.id == bindparam("row"))
    .values(instance_count=series.c.instance_count + bindparam("more"))
)
_UPDATE_RELEASE: Final = Prepared(update(release).where(release.c.id == bindparam("row")))


def grow_series(tx: Connection, counts: dict[UUID, int]) -> None:
    """Add to the instance counts of series."""
    _GROW_SERIES.run(tx, [{"row": id_, "more": count} for id_, count in counts.items()])


def update_release(tx: Connection, release_id: UUID, values: dict[str, Any]) -> None:
    """Set columns of a release."""
    _UPDATE_RELEASE.run(tx, [{"row": release_id, **values}])


def pack_fragments(fragments: Sequence[tuple[int, int]]) -> bytes | None:
    """(offset, length) pairs as one value; None for none."""
    return b"".join(_FRAGMENT.pack(*fragment) for fragment in fragments) or None


# ---- finding ----


_FIND_RELEASE: Final = Prepared(
    select(*RELEASE_COLUMNS)
    .where(
        release.c.institution == bindparam("institution"),
        release.c.token == bindparam("token"),
        release.c.instance_count > 0,
        release.c.state != ReleaseState.DELETING.value,
    )
    .order_by(release.c.preference)
    .limit(1)
)


def find_release(tx: Connection, institution: UUID, token: bytes) -> ReleaseRow | None:
    """The release that answers to a Study UID: Images' where there are several."""
    row = _FIND_RELEASE.first(tx, {"institution": institution, "token": token})
    return release_row(row) if row else None


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """A series as the index holds it."""

    id: UUID
    sealed: bytes
    metadata_offset: int
    metadata_length: int


_FIND_SERIES: Final = Prepared(
    select(series.c.id, series.c.sealed, series.c.metadata_offset, series.c.metadata_length).where(
        series.c.release == bindparam("release"), series.c.token == bindparam("token")
    )
)


def find_series(
    tx: Connection, release_id: UUID, token: bytes, *, completed: bool = False
) -> SeriesRow | None:
    """The series of a release that answers to a Series UID; completed: if it was there at the last completion."""
    row = _FIND_SERIES.first(tx, {"release": release_id, "token": token})
    if row is None or (completed and not row[3]):
        return None
    return SeriesRow(row[0], row[1], row[2], row[3])


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """An instance as the index holds it, with what is needed of its series and segment."""

    id: UUID
    series: UUID
    series_sealed: bytes
    sealed: bytes
    segment: UUID
    segment_size: int
    sop_class: str
    transfer_syntax: str
    frames: int
    frame_bits: int
    offset: int
    length: int
    dataset_offset: int
    header_length: int
    pixel: PixelIndex | None
    metadata_offset: int
    metadata_length: int


_INSTANCES: Final = (
    select(
        instance.c.id,
        instance.c.series,
        series.c.sealed,
        instance.c.sealed,
        instance.c.segment,
        segment.c.size,
        instance.c.sop_class,
        instance.c.transfer_syntax,
        instance.c.frames,
        instance.c.frame_bits,
        instance.c.offset,
        instance.c.length,
        instance.c.dataset_offset,
        instance.c.header_length,
        instance.c.metadata_offset,
        instance.c.metadata_length,
        instance.c.pixel_tag,
        instance.c.pixel_offset,
        instance.c.pixel_length,
        instance.c.fragments,
    )
    .select_from(
        instance.join(series, series.c.id == instance.c.series).join(
            segment, segment.c.id == instance.c.segment
        )
    )
    .where(instance.c.release == bindparam("release"))
    .order_by(series.c.number, series.c.id, instance.c.number, instance.c.id)
)
_IN_SERIES: Final = instance.c.series == bindparam("series")
_OF_TOKEN: Final = instance.c.token == bindparam("token")
#: By whether a series and whether a token is given.
_FIND_INSTANCES: Final = {
    (False, False): Prepared(_INSTANCES),
    (True, False): Prepared(_INSTANCES.where(_IN_SERIES)),
    (False, True): Prepared(_INSTANCES.where(_OF_TOKEN)),
    (True, True): Prepared(_INSTANCES.where(_IN_SERIES, _OF_TOKEN)),
}


def find_instances(
    tx: Connection,
    release_id: UUID,
    series_id: UUID | None = None,
    token: bytes | None = None,
    *,
    completed: bool = False,
) -> list[InstanceRow]:
    """Instances of a release, or of one series, or the one of this token, by series, then instance number.

    completed: those that were there when the release was last completed.
    """
    values: dict[str, Any] = {"release": release_id}
    if series_id is not None:
        values["series"] = series_id
    if token is not None:
        values["token"] = token
    query = _FIND_INSTANCES[series_id is not None, token is not None]
    rows = [_instance(row) for row in query.all(tx, values)]
    return [row for row in rows if row.metadata_length] if completed else rows


def _instance(row: Sequence[Any]) -> InstanceRow:
    values = list(row[:16])
    values.insert(14, _pixel(*row[16:]))
    return InstanceRow(*values)


def _pixel(tag: int, offset: int, length: int, packed: bytes | None) -> PixelIndex | None:
    if not tag:
        return None
    fragments = tuple(_FRAGMENT.iter_unpack(packed)) if packed else ()
    return PixelIndex(tag, offset, length, fragments)


# ---- completion ----


def quiet_releases(tx: Connection, before_ms: int, limit: int) -> list[UUID]:
    """Releases that receive, hold something, and got nothing since `before_ms`; the longest quiet first."""
    query = (
        select(release.c.id)
        .where(
            release.c.state == ReleaseState.RECEIVING.value,
            release.c.last_arrival_ms <= before_ms,
            release.c.instance_count > 0,
        )
        .order_by(release.c.last_arrival_ms)
        .limit(limit)
    )
    return list(tx.execute(query).scalars())


def place_metadata(
    tx: Connection, instances: list[tuple[UUID, int, int]], series_places: list[tuple[UUID, int, int]]
) -> None:
    """Record (row, offset, length) of precomputed metadata for instances and series."""
    for table, places in ((instance, instances), (series, series_places)):
        statement = (
            update(table)
            .where(table.c.id == bindparam("row"))
            .values(metadata_offset=bindparam("start"), metadata_length=bindparam("bytes_"))
        )
        tx.execute(
            statement, [{"row": row, "start": start, "bytes_": length} for row, start, length in places]
        )


# ---- checks ----


def referenced_objects(tx: Connection) -> dict[UUID, tuple[int, UUID, UUID]]:
    """Every object that a row names: id → (stored size, institution, key id)."""
    join = segment.join(release, release.c.id == segment.c.release)
    query = union_all(
        select(segment.c.id, segment.c.size, release.c.institution, release.c.key_id).select_from(join),
        select(
            release.c.metadata_object, release.c.metadata_size, release.c.institution, release.c.key_id
        ).where(release.c.metadata_object.is_not(None)),
        select(upload_part.c.id, upload_part.c.size, upload.c.institution, upload.c.key_id).select_from(
            upload_part.join(upload, upload.c.id == upload_part.c.upload)
        ),
        select(held.c.object, held.c.size, held.c.institution, held.c.key_id),
        select(machine.c.id, machine.c.size, machine.c.institution, machine.c.key_id),
    )
    return {row[0]: (row[1], row[2], row[3]) for row in tx.execute(query)}


def is_referenced(tx: Connection, object_id: UUID) -> bool:
    """Whether a row names this object."""
    query = union_all(
        select(segment.c.id).where(segment.c.id == object_id),
        select(release.c.metadata_object).where(release.c.metadata_object == object_id),
        select(upload_part.c.id).where(upload_part.c.id == object_id),
        select(held.c.object).where(held.c.object == object_id),
        select(machine.c.id).where(machine.c.id == object_id),
    )
    return tx.execute(query).first() is not None


def note_orphans(tx: Connection, seen: Iterable[UUID], now_ms: int) -> list[UUID]:
    """Remember objects that no row names, forget those not seen any more; returns those remembered before."""
    known = set(tx.execute(select(orphan.c.id)).scalars())
    present = set(seen)
    if fresh := present - known:
        # In one order: two sweeps of the same objects then wait for each other instead of meeting crosswise.
        rows = [{"id": id_, "seen_ms": now_ms} for id_ in sorted(fresh)]
        add_missing(tx, orphan, rows)
    forget_orphans(tx, known - present)
    return sorted(present & known, key=lambda id_: id_.bytes)


def old_orphans(tx: Connection, before_ms: int) -> list[UUID]:
    """Objects first seen without a row before `before_ms`."""
    return list(tx.execute(select(orphan.c.id).where(orphan.c.seen_ms < before_ms)).scalars())


def forget_orphans(tx: Connection, ids: Iterable[UUID]) -> None:
    """Forget objects that were removed or found a row."""
    for part in _parts(ids):
        tx.execute(delete(orphan).where(orphan.c.id.in_(part)))


def empty_reservations(tx: Connection, before_ms: int) -> list[tuple[UUID, UUID, UUID]]:
    """Releases reserved before `before_ms` that never got an instance: (id, institution, key id)."""
    query = select(release.c.id, release.c.institution, release.c.key_id).where(
        release.c.instance_count == 0, release.c.arrived_ms < before_ms
    )
    return [(row[0], row[1], row[2]) for row in tx.execute(query)]


def drop_reservation(tx: Connection, release_id: UUID) -> bool:
    """Remove a release that is still empty; False where it got an instance meanwhile."""
    statement = delete(release).where(release.c.id == release_id, release.c.instance_count == 0)
    return tx.execute(statement).rowcount == 1


def _parts(values: Iterable[_Value]) -> Iterator[list[_Value]]:
    everything = list(values)
    for start in range(0, len(everything), IN_VALUES):
        yield everything[start : start + IN_VALUES]
