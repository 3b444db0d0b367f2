"""All SQL about what is to be mailed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, exists, func, insert, select, update

from wardlight.access.model import Role
from wardlight.notifications.model import Letter, LetterState, Permission
from wardlight.notifications.store import shown, text_of
from wardlight.notifications.tables import mail


def add(tx: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """More mails; `data` as an object."""
    if rows:
        tx.execute(insert(mail), [{**row, "data": text_of(row["data"])} for row in rows])


def _letter(row: Row[*tuple[Any, ...]]) -> Letter:
    return Letter(
        row.id, row.institution, row.person, row.application, row.name, row.version, Permission(row.permission),
        json.loads(row.data), row.release, row.digest, row.attempts, row.created_ms, row.next_ms,
    )  # fmt: skip


def due(tx: Connection, now_ms: int, limit: int) -> list[Letter]:
    """Mails that may be tried now, those that have waited longest first."""
    query = select(mail).where(mail.c.state == LetterState.PENDING.value, mail.c.next_ms <= now_ms)
    return [_letter(row) for row in tx.execute(query.order_by(mail.c.next_ms).limit(limit))]


def claim(tx: Connection, one: Letter, until_ms: int) -> bool:
    """Have a mail to oneself until then, unless another worker has it."""
    mine = (
        mail.c.id == one.id,
        mail.c.state == LetterState.PENDING.value,
        mail.c.next_ms == one.next_ms,
    )
    values = {"next_ms": until_ms, "attempts": one.attempts + 1}
    return tx.execute(update(mail).where(*mine).values(values)).rowcount == 1


def may_go(tx: Connection, one: Letter, role: Role, now_ms: int) -> bool:
    """Whether its person may still be told of it."""
    query = select(exists().where(mail.c.id == one.id, *shown(mail, role)))
    return bool(tx.execute(query, {"now": now_ms}).scalar())


def end(tx: Connection, ids: Collection[UUID], state: LetterState, reason: str, now_ms: int) -> None:
    """It is over: nothing of it stays but that."""
    values = {"state": state.value, "reason": reason, "ended_ms": now_ms, "data": "{}", "release": None}
    tx.execute(update(mail).where(mail.c.id.in_(list(ids))).values(values))


def put_off(tx: Connection, ids: Collection[UUID], next_ms: int, reason: str) -> None:
    """Try again then."""
    tx.execute(update(mail).where(mail.c.id.in_(list(ids))).values(next_ms=next_ms, reason=reason))


def drop_person(tx: Connection, institution: UUID, person_id: str, now_ms: int) -> None:
    """What waits for somebody who wants no mail any more."""
    mine = (mail.c.institution == institution, mail.c.person == person_id)
    ids = (
        tx.execute(select(mail.c.id).where(*mine, mail.c.state == LetterState.PENDING.value)).scalars().all()
    )
    end(tx, ids, LetterState.WITHHELD, "no-address", now_ms)


def counted(tx: Connection, institution: UUID | None = None) -> dict[LetterState, int]:
    """How many mails there are in each state."""
    query = select(mail.c.state, func.count()).group_by(mail.c.state)
    if institution is not None:
        query = query.where(mail.c.institution == institution)
    found = {LetterState(state): int(count) for state, count in tx.execute(query)}
    return {state: found.get(state, 0) for state in LetterState}


def dead(tx: Connection, institution: UUID) -> dict[str, int]:
    """Reasons of mails that were given up, with their counts."""
    mine = (mail.c.institution == institution, mail.c.state == LetterState.DEAD.value)
    query = select(mail.c.reason, func.count()).where(*mine).group_by(mail.c.reason)
    return {reason: int(count) for reason, count in tx.execute(query)}
