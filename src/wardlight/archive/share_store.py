"""All SQL about shares, results on their way back, and where releases come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, and_, bindparam, func, insert, or_, select, update

from wardlight.agreements.model import Level
from wardlight.archive.model import ReleaseState
from wardlight.archive.share_tables import result, share
from wardlight.archive.tables import instance, release
from wardlight.db.prepared import Prepared

#: Shares of one study that are listed.
MOST_SHARES: Final = 200
#: A release made of one that was made of another, and so on, is followed back so far.
_MOST_STEPS: Final = 8


class ShareState(StrEnum):
    """copying: the release is being made. waiting: it is there, and not complete yet. granted, ended: it is over."""

    COPYING = "copying"
    WAITING = "waiting"
    GRANTED = "granted"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Share:
    """A study shared with an application or a person, and how far that is.

    source: the release that is shared; release: the one made of it, the same where nothing of it has to change. total:
    instances of the source when it was last copied; stored, quarantined: of them. cursor: the last that was looked at.
    created_by: kind, id and role of an actor.
    """

    id: UUID
    institution: UUID
    study_group: bytes = field(repr=False)
    source: UUID
    release: UUID
    application: str | None
    person: str | None
    level: Level
    purpose: str
    until_ms: int
    state: ShareState
    reason: str | None
    total: int
    stored: int
    quarantined: int
    cursor: UUID | None
    access_grant: UUID | None
    lease_ms: int
    created_ms: int
    created_by: str
    request: str


_SHARES: Final = select(
    share.c.id,
    share.c.institution,
    share.c.study_group,
    share.c.source,
    share.c.release,
    share.c.application,
    share.c.person,
    share.c.level,
    share.c.purpose,
    share.c.until_ms,
    share.c.state,
    share.c.reason,
    share.c.total,
    share.c.stored,
    share.c.quarantined,
    share.c.cursor,
    share.c.access_grant,
    share.c.lease_ms,
    share.c.created_ms,
    share.c.created_by,
    share.c.request,
)


def _share(row: Sequence[Any]) -> Share:
    values = list(row)
    values[2] = bytes(values[2])
    values[7] = Level(values[7])
    values[10] = ShareState(values[10])
    return Share(*values)


def add_share(tx: Connection, row: Share) -> None:
    """Insert a share."""
    values = {name: getattr(row, name) for name in Share.__dataclass_fields__}
    tx.execute(insert(share), values | {"level": row.level.value, "state": row.state.value})


def shares_of_group(tx: Connection, institution: UUID, group: bytes) -> list[Share]:
    """Shares of one original study, newest first."""
    query = _SHARES.where(share.c.institution == institution, share.c.study_group == group)
    return [_share(tuple(row)) for row in tx.execute(query.order_by(share.c.id.desc()).limit(MOST_SHARES))]


def share_by_id(tx: Connection, id_: UUID, *, lock: bool = False) -> Share | None:
    """The share; with `lock` no other worker changes it until the transaction ends."""
    query = _SHARES.where(share.c.id == id_)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return _share(tuple(row)) if row else None


def update_share(tx: Connection, id_: UUID, **values: Any) -> None:
    """Set columns of a share."""
    tx.execute(update(share).where(share.c.id == id_).values(**values))


def due_shares(tx: Connection, now_ms: int, limit: int) -> list[UUID]:
    """Shares with something to do that no worker has: to copy, to grant, or their source has more than was copied."""
    grown = and_(
        share.c.state == ShareState.GRANTED.value,
        share.c.source != share.c.release,
        share.c.until_ms > now_ms,
        release.c.state == ReleaseState.COMPLETE.value,
        release.c.instance_count > share.c.total,
    )
    query = (
        select(share.c.id)
        .select_from(share.outerjoin(release, release.c.id == share.c.source))
        .where(
            share.c.lease_ms <= now_ms,
            or_(share.c.state.in_((ShareState.COPYING.value, ShareState.WAITING.value)), grown),
        )
        .order_by(share.c.lease_ms, share.c.id)
        .limit(limit)
    )
    return list(tx.execute(query).scalars())


# ---- where releases come from ----


@dataclass(frozen=True, slots=True)
class OriginRow:
    """What a release says of where it comes from, and how much of it was held back there."""

    producer: str | None
    source: UUID | None
    identifiability: str | None
    derived_from: UUID | None
    quarantined: int


_ORIGIN: Final = Prepared(
    select(
        release.c.producer,
        release.c.source,
        release.c.identifiability,
        release.c.derived_from,
        release.c.quarantined,
    ).where(release.c.id == bindparam("release"))
)


def origin(tx: Connection, release_id: UUID) -> OriginRow | None:
    """Where a release comes from."""
    row = _ORIGIN.first(tx, {"release": release_id})
    if row is None:
        return None
    producer, source, declared, derived_from, quarantined = row
    return OriginRow(producer, source, declared, derived_from, quarantined or 0)


_RECEIVER: Final = "receiver:"


def receiver_of(tx: Connection, release_id: UUID) -> str | None:
    """The receiver that brought what a release is, or was made of."""
    for _ in range(_MOST_STEPS):
        found = origin(tx, release_id)
        if found is None or found.derived_from is None:
            producer = found.producer if found else None
            known = producer is not None and producer.startswith(_RECEIVER)
            return producer.removeprefix(_RECEIVER) if producer and known else None
        release_id = found.derived_from
    return None


def set_quarantined(tx: Connection, release_id: UUID, count: int) -> None:
    """So many objects of the study are held back."""
    tx.execute(update(release).where(release.c.id == release_id).values(quarantined=count))


def results_in(tx: Connection, release_id: UUID) -> set[UUID]:
    """Instances of a release that are results of an application."""
    query = select(instance.c.id).where(instance.c.release == release_id, instance.c.producer.is_not(None))
    return set(tx.execute(query).scalars())


def has_others(tx: Connection, series: Iterable[UUID], producer: str) -> bool:
    """Whether one of these series holds what this application did not make."""
    wanted = list(series)
    if not wanted:
        return False
    query = (
        select(func.count())
        .select_from(instance)
        .where(
            instance.c.series.in_(wanted),
            or_(instance.c.producer.is_(None), instance.c.producer != producer),
        )
    )
    return bool(tx.execute(query).scalar())


# ---- results on their way back ----


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A result that waits for a receiver."""

    id: UUID
    institution: UUID
    release: UUID
    instance: UUID
    application: str
    access_grant: UUID
    receiver: str
    created_ms: int
    collected_ms: int | None
    acknowledged_ms: int | None
    attempts: int


_QUEUE: Final = Prepared(insert(result))
_RESULTS: Final = select(
    result.c.id,
    result.c.institution,
    result.c.release,
    result.c.instance,
    result.c.application,
    result.c.access_grant,
    result.c.receiver,
    result.c.created_ms,
    result.c.collected_ms,
    result.c.acknowledged_ms,
    result.c.attempts,
)


def queue_results(tx: Connection, rows: list[dict[str, Any]]) -> None:
    """Results wait for their receiver."""
    _QUEUE.run(tx, rows)


def waiting_results(tx: Connection, institution: UUID, receiver: str, limit: int) -> list[ResultRow]:
    """What waits for a receiver, oldest first, handed out already or not."""
    query = _RESULTS.where(
        result.c.institution == institution,
        result.c.receiver == receiver,
        result.c.acknowledged_ms.is_(None),
    )
    rows = tx.execute(query.order_by(result.c.created_ms, result.c.id).limit(limit))
    return [ResultRow(*row) for row in rows]


def result_for(
    tx: Connection, institution: UUID, receiver: str, id_: UUID, *, lock: bool = False
) -> ResultRow | None:
    """One of them; None where it is not this receiver's, or is over. lock: nobody else changes it meanwhile."""
    query = _RESULTS.where(
        result.c.id == id_,
        result.c.institution == institution,
        result.c.receiver == receiver,
        result.c.acknowledged_ms.is_(None),
    )
    row = tx.execute(query.with_for_update() if lock else query).first()
    return ResultRow(*row) if row else None


def instance_token(tx: Connection, id_: UUID) -> bytes | None:
    """The token of an instance, by which it is found."""
    token = tx.execute(select(instance.c.token).where(instance.c.id == id_)).scalar()
    return bytes(token) if token is not None else None


def update_result(tx: Connection, id_: UUID, **values: Any) -> None:
    """Set columns of a queued result."""
    tx.execute(update(result).where(result.c.id == id_).values(**values))
