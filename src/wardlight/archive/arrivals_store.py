"""When something came last, and from whom."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import Connection, func, select

from wardlight.archive.tables import release

#: How far back is looked: who sent nothing among these has been quiet for long.
_NEWEST: Final = 1000


def last(tx: Connection, institution: UUID) -> dict[str, int]:
    """Producer, as `kind:id` → Unix time, in ms, of what came last of it."""
    newest = (
        select(release.c.producer, release.c.last_arrival_ms)
        .where(release.c.institution == institution)
        .order_by(release.c.number.desc())
        .limit(_NEWEST)
        .subquery()
    )
    query = (
        select(newest.c.producer, func.max(newest.c.last_arrival_ms))
        .where(newest.c.producer.is_not(None))
        .group_by(newest.c.producer)
    )
    return {producer: at for producer, at in tx.execute(query) if producer is not None}
