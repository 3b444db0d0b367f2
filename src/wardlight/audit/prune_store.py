"""All SQL of retention: what an institution decided, which entries are older, and how they are pruned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, select, update

from wardlight.audit.log_store import Columns, Head
from wardlight.audit.tables import day, entry, log, retention, subject
from wardlight.db.insert import upsert
from wardlight.db.prepared import Prepared

#: Everything of an entry but its place.
_EMPTY: Final = {column.name: None for column in entry.c if column.nullable}
_FORGET_SUBJECT: Final = Prepared(
    delete(subject).where(
        subject.c.log == bindparam("log"),
        subject.c.ref == bindparam("ref"),
        subject.c.idx == bindparam("idx"),
    )
)


def rule(tx: Connection, institution: UUID) -> tuple[int, bool] | None:
    """(days, legal hold) where an institution has decided."""
    query = select(retention.c.days, retention.c.hold).where(retention.c.institution == institution)
    found = tx.execute(query).first()
    return None if found is None else (found.days, bool(found.hold))


def set_rule(tx: Connection, institution: UUID, days: int, *, hold: bool) -> None:
    """Keep a decision."""
    values = {"days": days, "hold": int(hold)}
    new = upsert(tx, retention).on_conflict_do_update(index_elements=["institution"], set_=values)
    tx.execute(new, {"institution": institution, **values})


def older(tx: Connection, head: Head, before_ms: int, most: int) -> list[tuple[int, bytes | None]]:
    """(index, content) of the oldest entries that were not looked at, up to the first that is too young."""
    query = (
        select(entry.c.idx, entry.c.content, entry.c.recorded_ms)
        .where(entry.c.log == head.log, entry.c.idx >= head.pruned)
        .order_by(entry.c.idx)
        .limit(most)
    )
    found: list[tuple[int, bytes | None]] = []
    for idx, content, recorded in tx.execute(query):
        if recorded is not None and recorded >= before_ms:
            break
        found.append((idx, content))
    return found


def prune(tx: Connection, number: int, ranges: Sequence[Sequence[int]], entries: Sequence[Columns]) -> None:
    """Empty the entries of these ranges, and forget of whom they spoke. Tiles stay."""
    gone = [{"log": number, "ref": ref, "idx": one.row["idx"]} for one in entries for ref in sorted(one.refs)]
    if gone:
        _FORGET_SUBJECT.run(tx, gone)
    for start, stop in ranges:
        tx.execute(
            update(entry)
            .where(entry.c.log == number, entry.c.idx >= start, entry.c.idx < stop)
            .values(**_EMPTY)
        )


def looked_at(tx: Connection, head: Head, up_to: int) -> None:
    """Entries before this index need not be looked at again; counters that came to nothing go."""
    tx.execute(update(log).where(log.c.log == head.log).values(pruned=up_to))
    tx.execute(delete(day).where(day.c.log == head.log, day.c.n == 0))
