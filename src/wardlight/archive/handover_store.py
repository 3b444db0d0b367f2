"""All SQL about handovers: results of one application that another one is to have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, delete, insert, or_, select, update

from wardlight.archive.handover_tables import handover
from wardlight.db.prepared import Prepared


class State(StrEnum):
    """waiting: nobody has it. taken: whoever makes it anew has it. done: the recipient has it. ended: it never will."""

    WAITING = "waiting"
    TAKEN = "taken"
    DONE = "done"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Handover:
    """A result of `application` for `recipient`. receiver: who makes it anew; None: the platform."""

    id: UUID
    institution: UUID
    release: UUID
    instance: UUID
    application: str
    target: UUID
    recipient: str
    access_grant: UUID
    receiver: str | None
    state: State
    attempts: int
    created_ms: int


_ADD: Final = Prepared(insert(handover))
_ROWS: Final = select(*(handover.c[name] for name in Handover.__dataclass_fields__))
_OPEN: Final = handover.c.state.in_((State.WAITING.value, State.TAKEN.value))


def add(tx: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Results that are to be handed over."""
    if rows:
        _ADD.run(tx, list(rows))


def of_receiver(tx: Connection, institution: UUID, receiver: str, now_ms: int, limit: int) -> list[Handover]:
    """What a receiver is to make anew, oldest first, handed out already or not."""
    query = _ROWS.where(
        handover.c.institution == institution,
        handover.c.receiver == receiver,
        handover.c.due_ms <= now_ms,
        _OPEN,
    )
    rows = tx.execute(query.order_by(handover.c.created_ms, handover.c.id).limit(limit))
    return [_handover(row) for row in rows]


def of_platform(tx: Connection, now_ms: int, limit: int) -> list[Handover]:
    """What the platform does itself, and no worker has, oldest first."""
    query = _ROWS.where(handover.c.receiver.is_(None), handover.c.due_ms <= now_ms, _OPEN)
    rows = tx.execute(query.order_by(handover.c.due_ms, handover.c.id).limit(limit))
    return [_handover(row) for row in rows]


def by_id(
    tx: Connection,
    institution: UUID,
    id_: UUID,
    *,
    receiver: str | None,
    lock: bool = False,
    anybody: bool = False,
) -> Handover | None:
    """One of them that is not over; None where it is another's, unless anybody asks.

    lock: nobody else changes it meanwhile.
    """
    query = _ROWS.where(handover.c.id == id_, handover.c.institution == institution, _OPEN)
    if not anybody:
        query = query.where(
            handover.c.receiver.is_(None) if receiver is None else handover.c.receiver == receiver
        )
    row = tx.execute(query.with_for_update() if lock else query).first()
    return _handover(row) if row else None


def change(tx: Connection, id_: UUID, **values: Any) -> None:
    """Set columns of a handover."""
    tx.execute(update(handover).where(handover.c.id == id_).values(**values))


def remove(tx: Connection, releases: Sequence[UUID]) -> None:
    """Those from or into these releases, which are going."""
    gone = or_(handover.c.release.in_(releases), handover.c.target.in_(releases))
    tx.execute(delete(handover).where(gone))


def _handover(row: Any) -> Handover:
    values = dict(zip(Handover.__dataclass_fields__, row, strict=True))
    return Handover(**values | {"state": State(values["state"])})
