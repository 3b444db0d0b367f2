"""All SQL of fsck: whole releases at one moment, and counts of what is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, Connection, bindparam, cast, func, select

from wardlight.archive import store
from wardlight.archive.deletion_store import DeletionState
from wardlight.archive.deletion_tables import deleted, deletion
from wardlight.archive.store import InstanceRow, ReleaseRow, SeriesRow
from wardlight.archive.tables import instance, release, segment, series


def all_releases(tx: Connection) -> list[ReleaseRow]:
    """Every release, for checks."""
    return [
        store.release_row(row) for row in tx.execute(select(*store.RELEASE_COLUMNS).order_by(release.c.id))
    ]


def _counts_of(tx: Connection, release_id: UUID) -> tuple[int, int, int, int]:
    """What a release holds by counting: series, instances, bytes, and series whose own count is wrong."""
    instances, size = tx.execute(
        select(func.count(), cast(func.coalesce(func.sum(instance.c.length), 0), BigInteger)).where(
            instance.c.release == release_id
        )
    ).one()
    per_series = (
        select(series.c.id, series.c.instance_count, func.count(instance.c.id).label("held"))
        .select_from(series.outerjoin(instance, instance.c.series == series.c.id))
        .where(series.c.release == release_id)
        .group_by(series.c.id, series.c.instance_count)
    )
    rows = tx.execute(per_series).all()
    wrong = sum(row.instance_count != row.held or not row.held for row in rows)
    return len(rows), instances, size, wrong


@dataclass(frozen=True, slots=True)
class DeletedCheck:
    """A tombstone of the index. unlisting: it may be in postings; shredded: its key is gone; removed: so is its row."""

    release: UUID
    institution: UUID
    key_id: UUID
    unlisting: bool
    shredded: bool
    removed: bool


def deletions(tx: Connection) -> list[DeletedCheck]:
    """Every tombstone, for checks."""
    query = select(
        deleted.c.release, deleted.c.institution, deleted.c.key_id, deletion.c.state, deletion.c.rebuild
    ).select_from(deleted.join(deletion, deletion.c.id == deleted.c.deletion))
    found = []
    for release_id, institution, key_id, state, rebuild in tx.execute(query):
        removed = state == DeletionState.REMOVED.value
        shredded = removed or state == DeletionState.SHREDDED.value
        unlisting = state == DeletionState.ENDED.value or bool(rebuild)
        found.append(DeletedCheck(release_id, institution, key_id, unlisting, shredded, removed))
    return found


@dataclass(frozen=True, slots=True)
class ReleaseChecks:
    """All rows of a release at one moment, with the columns that only checks look at."""

    release: ReleaseRow
    token: bytes
    preference: int
    #: series, instances, bytes, and series whose own count is wrong: by counting.
    counts: tuple[int, int, int, int]
    #: Segment → stored size.
    segments: dict[UUID, int]
    series: list[SeriesCheck]
    instances: list[InstanceCheck]


@dataclass(frozen=True, slots=True)
class SeriesCheck:
    """A series as checks see it."""

    row: SeriesRow
    token: bytes
    modality: str
    number: int


@dataclass(frozen=True, slots=True)
class InstanceCheck:
    """An instance as checks see it."""

    row: InstanceRow
    token: bytes
    digest: bytes
    number: int


_SERIES_CHECKS: Final = select(
    series.c.id,
    series.c.sealed,
    series.c.metadata_offset,
    series.c.metadata_length,
    series.c.token,
    series.c.modality,
    series.c.number,
).where(series.c.release == bindparam("release"))


def checks_of(tx: Connection, release_id: UUID) -> ReleaseChecks | None:
    """Everything about a release; None where it is gone."""
    found = store.release_by_id(tx, release_id)
    if found is None:
        return None
    columns = (release.c.token, release.c.preference)
    token, preferred = tx.execute(select(*columns).where(release.c.id == release_id)).one()
    sizes = tx.execute(select(segment.c.id, segment.c.size).where(segment.c.release == release_id)).all()
    all_series = tx.execute(_SERIES_CHECKS, {"release": release_id}).all()
    query = select(instance.c.id, instance.c.token, instance.c.digest, instance.c.number).where(
        instance.c.release == release_id
    )
    extra = {row.id: (bytes(row.token), bytes(row.digest), row.number) for row in tx.execute(query)}
    return ReleaseChecks(
        found,
        bytes(token),
        preferred,
        _counts_of(tx, release_id),
        {row.id: row.size for row in sizes},
        [SeriesCheck(SeriesRow(*row[:4]), bytes(row[4]), row[5], row[6]) for row in all_series],
        [InstanceCheck(row, *extra[row.id]) for row in store.find_instances(tx, release_id)],
    )
