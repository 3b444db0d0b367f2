"""SQL of the counters by day and hour, and of the newest entries that tell of data that moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, select

from wardlight.audit.log_store import Head
from wardlight.audit.tables import day
from wardlight.trail.filters import Filter
from wardlight.trail.store import OWN, Row, page

_CALLS: Final = 20

_RANGE: Final = (
    day.c.log == OWN,
    day.c.day >= bindparam("first"),
    day.c.day < bindparam("after"),
)


@dataclass(frozen=True, slots=True)
class Counted:
    """hours: (day since 1970-01-01 UTC, hour) → entries. kinds: (action, kind of actor, outcome's number) → entries."""

    hours: dict[tuple[int, int], int]
    kinds: dict[tuple[str, str, int], int]


def counted(
    tx: Connection,
    head: Head,
    first: int,
    after: int,
    *,
    actions: Sequence[str] = (),
    actor_kind: str = "",
    outcomes: Sequence[int] = (),
) -> Counted:
    """The counters of the days [first, after): one range of the primary key, and no entry."""
    n = func.sum(day.c.n)
    hours = select(day.c.day, day.c.hour, n).where(*_RANGE).group_by(day.c.day, day.c.hour)
    kinds = (
        select(day.c.action, day.c.actor_kind, day.c.outcome, n)
        .where(*_RANGE)
        .group_by(day.c.action, day.c.actor_kind, day.c.outcome)
    )
    values: dict[str, Any] = {
        "log": head.log, "institution": head.institution, "first": first, "after": after,
    }  # fmt: skip
    for given, condition in (
        (actions, day.c.action.in_(actions)),
        (actor_kind, day.c.actor_kind == actor_kind),
        (outcomes, day.c.outcome.in_(outcomes)),
    ):
        if given:
            hours, kinds = hours.where(condition), kinds.where(condition)
    return Counted(
        {(row[0], row[1]): int(row[2]) for row in tx.execute(hours, values)},
        {(row[0], row[1], row[2]): int(row[3]) for row in tx.execute(kinds, values)},
    )


def newest(tx: Connection, head: Head, asked: Filter, most: int) -> Iterator[Row | None]:
    """The newest `most` entries that the filter lets through; None at the end where there may be more."""
    before = head.size
    for _ in range(_CALLS):
        found = page(tx, head, asked, before, min(500, most))
        yield from found.rows
        most -= len(found.rows)
        if found.next is None:
            return
        if most <= 0:
            break
        before = found.next
    yield None
