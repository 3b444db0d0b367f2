"""All SQL about feeds."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, delete, exists, or_, select, update

from wardlight.access.store import live
from wardlight.access.tables import grant
from wardlight.delivery.model import Told
from wardlight.events.outbox import WITH_ACCESS, Kind
from wardlight.events.tables import counter, feed

_TOLD = select(
    feed.c.institution,
    feed.c.application,
    feed.c.seq,
    feed.c.id,
    feed.c.kind,
    feed.c.grant_id,
    feed.c.data,
    feed.c.created_ms,
)


def _told(row: Row[*tuple[Any, ...]]) -> Told:
    return Told(
        row.institution,
        row.application,
        row.seq,
        row.id,
        Kind(row.kind),
        row.grant_id,
        json.loads(row.data),
        row.created_ms,
    )


def after(
    tx: Connection, institution_id: UUID, application_id: str, seq: int, limit: int, now_ms: int
) -> list[Told]:
    """Events of a feed behind a position that may be told now, in their order."""
    accessible = exists().where(grant.c.id == feed.c.grant_id, live())
    query = _TOLD.where(
        feed.c.institution == institution_id,
        feed.c.application == application_id,
        feed.c.seq > seq,
        feed.c.kind != Kind.TEST.value,
        or_(feed.c.kind.not_in([kind.value for kind in WITH_ACCESS]), accessible),
    )
    return [_told(row) for row in tx.execute(query.order_by(feed.c.seq).limit(limit), {"now": now_ms})]


def by_id(tx: Connection, institution_id: UUID, event: UUID) -> Told | None:
    """The event of this id at an institution."""
    row = tx.execute(_TOLD.where(feed.c.institution == institution_id, feed.c.id == event)).first()
    return _told(row) if row else None


def acknowledge(tx: Connection, event: UUID, now_ms: int) -> bool:
    """Note that an event was acted upon; False where that was known."""
    statement = update(feed).where(feed.c.id == event, feed.c.acknowledged_ms.is_(None))
    return tx.execute(statement.values(acknowledged_ms=now_ms)).rowcount == 1


def newest(tx: Connection, applications: Collection[str]) -> dict[tuple[UUID, str], int]:
    """Position of the newest event of each feed of these applications."""
    query = select(counter.c.institution, counter.c.application, counter.c.seq).where(
        counter.c.application.in_(bindparam("applications", expanding=True))
    )
    rows = tx.execute(query, {"applications": list(applications)})
    return {(row.institution, row.application): row.seq for row in rows}


def prune(tx: Connection, before_ms: int) -> int:
    """Drop events that are older; those of deletions stay, since receipts tell of what was acknowledged."""
    old = (feed.c.created_ms < before_ms, feed.c.kind != Kind.STUDY_DELETED.value)
    return tx.execute(delete(feed).where(*old)).rowcount
