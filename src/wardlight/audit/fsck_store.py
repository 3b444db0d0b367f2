"""All SQL of checks of the trail: entries with their searchable columns, subjects, and counters as they are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from wardlight.audit.log_store import Hour
from wardlight.audit.tables import day, entry, subject, tile


def rows(tx: Connection, number: int, start: int, stop: int) -> list[dict[str, Any]]:
    """Entries from `start` to before `stop` with all their columns."""
    query = (
        select(entry)
        .where(entry.c.log == number, entry.c.idx >= start, entry.c.idx < stop)
        .order_by(entry.c.idx)
    )
    return [dict(row) for row in tx.execute(query).mappings()]


def beyond(tx: Connection, number: int, size: int) -> bool:
    """Whether there are entries past the end of the log."""
    query = select(entry.c.idx).where(entry.c.log == number, entry.c.idx >= size).limit(1)
    return tx.execute(query).first() is not None


def subjects(tx: Connection, number: int) -> Iterator[tuple[str, int]]:
    """(reference, index) of all that are spoken of."""
    query = select(subject.c.ref, subject.c.idx).where(subject.c.log == number)
    yield from map(tuple, tx.execute(query.execution_options(yield_per=10_000)))


def hours(tx: Connection, number: int) -> Counter[Hour]:
    """The counters of days."""
    query = select(day.c.day, day.c.hour, day.c.action, day.c.actor_kind, day.c.outcome, day.c.n)
    found = tx.execute(query.where(day.c.log == number))
    return Counter({(row[0], row[1], row[2], row[3], row[4]): row[5] for row in found})


def tile_count(tx: Connection, number: int) -> int:
    """How many tiles a log has."""
    found: int = tx.execute(select(func.count()).where(tile.c.log == number)).scalar_one()
    return found
