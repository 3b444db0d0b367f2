"""All SQL about the enrolment of receivers and their keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, insert, select, update

from wardlight.identity.application_tables import receiver_key
from wardlight.identity.tables import institution, receiver, token


def add(tx: Connection, values: dict[str, Any]) -> None:
    """Insert an enrolment."""
    tx.execute(insert(receiver_key), values)


def by_code(tx: Connection, digest: bytes) -> Row[Any] | None:
    """The enrolment of a code's digest, with its receiver's name and its institution's slug."""
    query = (
        select(receiver_key, receiver.c.name, institution.c.slug)
        .join(receiver, receiver.c.id == receiver_key.c.receiver)
        .join(institution, institution.c.id == receiver_key.c.institution)
        .where(receiver_key.c.code_hash == digest)
    )
    return tx.execute(query).first()


def use_code(tx: Connection, id_: UUID, now_ms: int, jwk: str, digits: str) -> bool:
    """Take the key that came with a code; False where the code was used, or its time is over."""
    statement = (
        update(receiver_key)
        .where(
            receiver_key.c.id == id_,
            receiver_key.c.used_ms.is_(None),
            receiver_key.c.ended_ms.is_(None),
            receiver_key.c.code_expires_ms > now_ms,
        )
        .values(used_ms=now_ms, jwk=jwk, digits=digits)
    )
    return tx.execute(statement).rowcount == 1


def enrolments(tx: Connection, institution_id: UUID, receiver_id: str | None = None) -> Sequence[Row[Any]]:
    """Enrolments that have not ended, oldest first: of an institution, or of one of its receivers."""
    query = (
        select(receiver_key)
        .where(receiver_key.c.institution == institution_id, receiver_key.c.ended_ms.is_(None))
        .order_by(receiver_key.c.id)
    )
    if receiver_id is not None:
        query = query.where(receiver_key.c.receiver == receiver_id)
    return tx.execute(query).all()


def confirm(tx: Connection, id_: UUID, now_ms: int) -> None:
    """From now on the key counts."""
    tx.execute(update(receiver_key).where(receiver_key.c.id == id_).values(confirmed_ms=now_ms))


def end(tx: Connection, receiver_id: str, now_ms: int, but: UUID | None = None) -> int:
    """End a receiver's enrolments and keys, but for one; returns how many keys that counted."""
    statement = update(receiver_key).where(
        receiver_key.c.receiver == receiver_id, receiver_key.c.ended_ms.is_(None)
    )
    if but is not None:
        statement = statement.where(receiver_key.c.id != but)
    ended = statement.values(ended_ms=now_ms).returning(receiver_key.c.confirmed_ms)
    return sum(confirmed is not None for confirmed in tx.execute(ended).scalars())


def end_one(tx: Connection, id_: UUID, now_ms: int) -> None:
    """End one enrolment."""
    tx.execute(update(receiver_key).where(receiver_key.c.id == id_).values(ended_ms=now_ms))


def set_state(tx: Connection, receiver_id: str, state: str) -> None:
    """Change a receiver's state."""
    tx.execute(update(receiver).where(receiver.c.id == receiver_id).values(state=state))


def seen(tx: Connection, institution_id: UUID) -> dict[str, int]:
    """When each receiver of an institution got its newest token; those of a day ago are forgotten."""
    query = (
        select(token.c.holder, func.max(token.c.created_ms))
        .join(receiver, receiver.c.id == token.c.holder)
        .where(receiver.c.institution == institution_id)
        .group_by(token.c.holder)
    )
    return {holder: at for holder, at in tx.execute(query)}


def confirmed_keys(tx: Connection, receiver_id: str) -> Sequence[Row[Any, Any, Any, Any]]:
    """Institution, its state, the receiver's state, and each key of the receiver that counts."""
    query = (
        select(
            receiver_key.c.institution,
            receiver_key.c.jwk,
            receiver.c.state.label("receiver_state"),
            institution.c.state.label("institution_state"),
        )
        .join(receiver, receiver.c.id == receiver_key.c.receiver)
        .join(institution, institution.c.id == receiver_key.c.institution)
        .where(
            receiver_key.c.receiver == receiver_id,
            receiver_key.c.confirmed_ms.is_not(None),
            receiver_key.c.ended_ms.is_(None),
        )
        .order_by(receiver_key.c.id)
    )
    return tx.execute(query).all()
