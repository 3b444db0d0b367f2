"""All SQL that reads the audit trail. Each statement names log and institution, each walks one index (audit.md §7).

The planner is not left to choose: it takes the primary key for a rare value of the newest entries, and then walks the
whole log. So an index is walked for positions alone, which only the right index holds, and what is found is looked at
by its position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    bindparam,
    func,
    literal,
    select,
    true,
    union_all,
)

from wardlight.audit.log_store import Head
from wardlight.audit.tables import checkpoint, entry, log, pending, subject
from wardlight.db.prepared import Prepared
from wardlight.identity.tables import person, receiver
from wardlight.trail.filters import Filter

#: Positions that one call looks at, at most; the page then ends early, with a cursor that goes on.
SCAN: Final = 8_000
#: Entries that wait for the sealer and are looked at, at most; with a sealer that works there are a few.
MOST_PENDING: Final = 500
#: `recorded` may lie so far behind that of an earlier entry: transactions end within 30 s, clocks differ by 2 s.
SLACK_MS: Final = 120_000

_FIRST_ROUND: Final = 128
_TOGETHER: Final = 50  # index walks in one statement
_AT_ONCE: Final = 1_000  # positions in one statement


@dataclass(frozen=True, slots=True)
class Row:
    """One sealed entry; content None: pruned."""

    idx: int
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Found:
    """A page, newest first. next: look on before this position; None: there is nothing more."""

    rows: list[Row]
    next: int | None


#: The log's number, where it is the institution's.
OWN: Final = (
    select(log.c.log)
    .where(
        log.c.log == bindparam("log", type_=log.c.log.type),
        log.c.institution.is_not_distinct_from(bindparam("institution", type_=log.c.institution.type)),
    )
    .scalar_subquery()
)


def page(tx: Connection, head: Head, asked: Filter, before: int, limit: int) -> Found:
    """The newest entries before a position that the filter lets through, at most `limit`.

    May hold fewer and yet have a `next`: then so much was looked at that another call must go on.
    """
    low, high = _bounds(tx, head, asked, before)
    walks, rest = _plan(asked)
    rows: list[Row] = []
    left, size = SCAN, max(_FIRST_ROUND, limit + 1)
    while high > low and left > 0:
        size = min(size, left)
        positions, reached = _walk(tx, head, walks, low, high, size)
        left -= max(len(positions), 1)
        for row in _look(tx, head, asked, rest, positions, limit + 1 - len(rows)):
            rows.append(row)
            if len(rows) > limit:
                return Found(rows[:limit], rows[limit - 1].idx)
        high = reached
        size *= 4
    return Found(rows, high if high > low else None)


def _plan(asked: Filter) -> tuple[list[tuple[str, Any]], tuple[str, ...]]:
    """(index, value) of each walk, none for the primary key alone; and what must be looked at in each entry."""
    choices: tuple[tuple[str, Sequence[Any]], ...] = (
        ("subject", asked.subjects),
        ("actor", (asked.actor,) if asked.actor else ()),
        ("outcome", asked.outcomes if 0 not in asked.outcomes else ()),
        ("action", asked.actions),
    )
    chosen = next(((name, values) for name, values in choices if values), ("", ()))
    rest = {
        "actor": asked.actor,
        "outcome": asked.outcomes,
        "action": asked.actions,
        "object": asked.object,
        "purpose": asked.purpose,
        "grant": asked.grant,
        "from": asked.from_ms is not None,
        "to": asked.to_ms is not None,
    }
    return (
        [(chosen[0], value) for value in chosen[1]],
        tuple(name for name, given in rest.items() if given and name != chosen[0]),
    )


def _walk(
    tx: Connection, head: Head, walks: list[tuple[str, Any]], low: int, high: int, size: int
) -> tuple[Sequence[int], int]:
    """Positions in [low, high), the newest first, about `size`; and the position down to which these are all."""
    if not walks:
        reached = max(low, high - size)
        return range(high - 1, reached - 1, -1), reached
    each = max(8, size // len(walks))
    found: set[int] = set()
    reached = low
    with _only(tx, _INDEXES):
        for start in range(0, len(walks), _TOGETHER):
            part = walks[start : start + _TOGETHER]
            values: dict[str, Any] = {f"value_{n}": value for n, (_, value) in enumerate(part)}
            values |= {
                "log": head.log, "institution": head.institution, "low": low, "high": high, "each": each,
            }  # fmt: skip
            rows = tx.execute(_walking(part[0][0], len(part)), values).all()
            for _, group in groupby(rows, key=lambda row: row.walk):
                positions = [row.idx for row in group]
                if len(positions) == each:  # There may be more of this one below.
                    reached = max(reached, min(positions))
                found.update(positions)
    return sorted((idx for idx in found if idx >= reached), reverse=True), reached


@lru_cache(64)
def _walking(name: str, count: int) -> Any:
    table = subject if name == "subject" else entry
    column: ColumnElement[Any] = subject.c.ref if name == "subject" else entry.c[name]
    index = "" if name == "subject" else f"INDEXED BY audit_entry_{name}"
    parts: list[Select[Any]] = []
    for number in range(count):
        one = (
            select(table.c.idx)
            .where(
                table.c.log == OWN,
                column == bindparam(f"value_{number}", type_=column.type),
                table.c.idx >= bindparam("low", type_=table.c.idx.type),
                table.c.idx < bindparam("high", type_=table.c.idx.type),
            )
            .order_by(table.c.idx.desc())
            .limit(bindparam("each", type_=table.c.log.type))
        )
        if index:
            one = one.with_hint(table, index, "sqlite")
        inner = one.subquery()
        parts.append(select(literal(number, literal_execute=True).label("walk"), inner.c.idx))
    return parts[0] if count == 1 else union_all(*parts)


@contextmanager
def _only(tx: Connection, plans: Select[Any]) -> Iterator[None]:
    """Inside, PostgreSQL has one way left, whatever it knows of numbers."""
    if tx.dialect.name != "postgresql":
        yield
        return
    tx.execute(plans, {"value": "off"})
    yield
    tx.execute(plans, {"value": None})  # As the server has it.


def _plans(*names: str) -> Select[Any]:
    # What is switched off costs so much in the planner's eyes that it would compile the rest.
    return select(
        *(func.set_config(name, bindparam("value", type_=String), True) for name in (*names, "jit"))
    )


#: Positions come from the index that holds log, value and position: no other can do without the table.
_INDEXES: Final = _plans("enable_seqscan", "enable_indexscan", "enable_bitmapscan")
#: A range of positions comes from the primary key: no other index has it in order.
_IN_ORDER: Final = _plans("enable_seqscan", "enable_bitmapscan", "enable_sort")


def _look(
    tx: Connection, head: Head, asked: Filter, rest: tuple[str, ...], positions: Sequence[int], limit: int
) -> Iterator[Row]:
    """Entries at these positions that the rest of the filter lets through, in their order, at most `limit`."""
    values: dict[str, Any] = {
        "log": head.log, "institution": head.institution, "limit": limit, "actor": asked.actor,
        "outcome": asked.outcomes, "action": asked.actions, "object": asked.object, "purpose": asked.purpose,
        "grant": asked.grant, "from": asked.from_ms, "to": asked.to_ms,
    }  # fmt: skip
    values = {name: value for name, value in values.items() if name in rest or name in _ALWAYS}
    if isinstance(positions, range):
        if positions:
            values |= {"first": positions[-1], "last": positions[0]}
            with _only(tx, _IN_ORDER):
                rows = tx.execute(_looking(rest, in_order=True), values).all()
            yield from (Row(*row) for row in rows)
        return
    query = _fetching(rest) if tx.dialect.name == "postgresql" else _looking(rest, in_order=False)
    step = _AT_ONCE if rest else limit
    for start in range(0, len(positions), step):
        values["positions"] = positions[start : start + step]
        yield from (Row(*row) for row in tx.execute(query, values))


_ALWAYS: Final = ("log", "institution", "limit")


@lru_cache(256)
def _looking(rest: tuple[str, ...], *, in_order: bool) -> Any:
    place = entry.c.idx
    # The positions are known: the primary key it is (SQLite's words for it).
    query = select(place, entry.c.content).with_hint(entry, "NOT INDEXED", "sqlite").where(entry.c.log == OWN)
    if in_order:
        query = query.where(place >= bindparam("first"), place <= bindparam("last"))
    else:
        query = query.where(place.in_(bindparam("positions", expanding=True)))
    query = query.where(*(_RESTS[name] for name in rest))
    return query.order_by(place.desc()).limit(bindparam("limit"))


@lru_cache(256)
def _fetching(rest: tuple[str, ...]) -> Any:
    """The same for PostgreSQL, which is made to look up one position after the other, whatever it knows of numbers."""
    wanted = (
        func.unnest(bindparam("positions", type_=ARRAY(BigInteger)))
        .table_valued("idx")
        .render_derived("wanted")
    )
    one = (
        select(entry.c.idx, entry.c.content)
        .where(entry.c.log == OWN, entry.c.idx == wanted.c.idx, *(_RESTS[name] for name in rest))
        .limit(1)
        .lateral("one")
    )
    query = select(one.c.idx, one.c.content).select_from(wanted.join(one, true()))
    return query.order_by(one.c.idx.desc()).limit(bindparam("limit"))


_RESTS: Final[dict[str, ColumnElement[bool]]] = {
    "actor": entry.c.actor == bindparam("actor", type_=entry.c.actor.type),
    "outcome": entry.c.outcome.in_(bindparam("outcome", expanding=True)),
    "action": entry.c.action.in_(bindparam("action", expanding=True)),
    "object": entry.c.object == bindparam("object", type_=entry.c.object.type),
    "purpose": entry.c.purpose == bindparam("purpose", type_=entry.c.purpose.type),
    "grant": entry.c.grant_id == bindparam("grant", type_=entry.c.grant_id.type),
    "from": entry.c.recorded_ms >= bindparam("from", type_=entry.c.recorded_ms.type),
    "to": entry.c.recorded_ms < bindparam("to", type_=entry.c.recorded_ms.type),
}


# Where a time lies: signed heads, of which there is one each second at most, know the times of what they cover.
_HEAD: Final = Prepared(
    select(checkpoint.c.size, checkpoint.c.last_recorded_ms)
    .where(checkpoint.c.log == OWN, checkpoint.c.size > bindparam("after", type_=checkpoint.c.size.type))
    .order_by(checkpoint.c.size)
    .limit(1)
)


def _bounds(tx: Connection, head: Head, asked: Filter, before: int) -> tuple[int, int]:
    """Positions outside of which no entry is of the time asked for."""
    low, high = 0, before
    if asked.from_ms is not None:
        low, _ = _head_at(tx, head, asked.from_ms - SLACK_MS, before)
    if asked.to_ms is not None:
        _, high = _head_at(tx, head, asked.to_ms + SLACK_MS, before)
    return low, min(high, before)


def _head_at(tx: Connection, head: Head, ms: int, size: int) -> tuple[int, int]:
    """Sizes of two heads, one after the other: the later is the first with an entry of this time or after it.

    0 and `size` stand for heads that there are not. Finds it by halves, in some 20 steps for ten million entries.
    """
    low, high = 0, size  # The head is after `low`, and not after `high`, which is `size` where there is none.
    end = size  # Above it nothing is left to look for.
    while low < end:
        middle = (low + end) // 2
        row = _HEAD.first(tx, {"log": head.log, "institution": head.institution, "after": middle})
        if row is None or row[0] > high:
            end = middle
        elif row[1] >= ms:
            high, end = row[0], middle
        else:
            low = row[0]
    return low, high


_PENDING: Final = (
    select(pending.c.log, pending.c.content).order_by(pending.c.seq.desc()).limit(MOST_PENDING).subquery()
)
_SEALING: Final = select(_PENDING.c.content).where(_PENDING.c.log == OWN)


def sealing(tx: Connection, head: Head) -> list[bytes]:
    """Entries of the log that wait for the sealer, newest first."""
    return list(tx.execute(_SEALING, {"log": head.log, "institution": head.institution}).scalars())


_PEOPLE: Final = select(person.c.id, person.c.name).where(
    person.c.institution == bindparam("institution", type_=person.c.institution.type),
    person.c.id.in_(bindparam("ids", expanding=True)),
)
_RECEIVERS: Final = select(receiver.c.id, receiver.c.name).where(
    receiver.c.institution == bindparam("institution", type_=receiver.c.institution.type),
    receiver.c.id.in_(bindparam("ids", expanding=True)),
)


def names(
    tx: Connection, institution: UUID | None, people: Sequence[str], receivers: Sequence[str]
) -> dict[str, str]:
    """Name of each "kind:id" of those that are accounts of the institution still."""
    found: dict[str, str] = {}
    for kind, query, ids in (("person", _PEOPLE, people), ("receiver", _RECEIVERS, receivers)):
        if ids:
            rows = tx.execute(query, {"institution": institution, "ids": list(ids)})
            found |= {f"{kind}:{row.id}": row.name for row in rows}
    return found
