"""All SQL about what protection holds back of uploads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from wardlight.agreements.model import Level
from wardlight.archive.quarantine_tables import held


class HeldState(StrEnum):
    """held: it waits for a person. queued: the worker is to try again. ended: its key, object and row are to go."""

    HELD = "held"
    QUEUED = "queued"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Held:
    """One file that is held back. Columns as in `quarantine_tables`."""

    id: UUID
    institution: UUID
    object: UUID
    key_id: UUID
    length: int
    size: int
    upload: UUID
    place: int
    person: str
    role: str
    level: Level
    sop_class: str
    study_group: bytes | None = field(repr=False)
    reasons: tuple[str, ...]
    state: HeldState
    created_ms: int
    expires_ms: int
    tried_ms: int | None
    decided_by: str | None
    decided_role: str | None
    accepted: tuple[str, ...]
    ended: str
    lease_ms: int
    request: str


_NAMES: Final = tuple(Held.__dataclass_fields__)
_ROWS: Final = select(*(held.c[name] for name in _NAMES))
_LIVE: Final = held.c.state != HeldState.ENDED.value


def _held(row: Sequence[Any]) -> Held:
    values = dict(zip(_NAMES, row, strict=True))
    values["level"] = Level(values["level"])
    values["state"] = HeldState(values["state"])
    for name in ("reasons", "accepted"):
        values[name] = tuple(values[name].split("\n")) if values[name] else ()
    return Held(**values)


def add(tx: Connection, row: Held) -> None:
    """Insert a file."""
    values = {name: getattr(row, name) for name in _NAMES}
    values |= {name: "\n".join(values[name]) for name in ("reasons", "accepted")}
    tx.execute(insert(held), values | {"level": row.level.value, "state": row.state.value})


def by_id(tx: Connection, id_: UUID, *, lock: bool = False) -> Held | None:
    """The file; with `lock` nobody else changes it until the transaction ends."""
    query = _ROWS.where(held.c.id == id_)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return _held(tuple(row)) if row else None


def listed(
    tx: Connection, institution: UUID, person: str | None, after: UUID | None, limit: int
) -> list[Held]:
    """What is held of an institution, or of one person there, newest first; after: the last of the page before."""
    query = _ROWS.where(held.c.institution == institution, _LIVE)
    if person is not None:
        query = query.where(held.c.person == person)
    if after is not None:
        query = query.where(held.c.id < after)
    return [_held(tuple(row)) for row in tx.execute(query.order_by(held.c.id.desc()).limit(limit))]


def change(tx: Connection, id_: UUID, **values: Any) -> None:
    """Set columns of a file."""
    tx.execute(update(held).where(held.c.id == id_).values(**values))


def total(tx: Connection, institution: UUID) -> int:
    """Bytes that are held of an institution."""
    query = select(func.coalesce(func.sum(held.c.length), 0)).where(held.c.institution == institution, _LIVE)
    return int(tx.execute(query).scalar_one())


def due(tx: Connection, now_ms: int, limit: int) -> list[UUID]:
    """Files that the worker is to try again and no worker has, oldest first."""
    query = select(held.c.id).where(held.c.state == HeldState.QUEUED.value, held.c.lease_ms <= now_ms)
    return list(tx.execute(query.order_by(held.c.id).limit(limit)).scalars())


def over(tx: Connection, now_ms: int, lost: Collection[UUID], limit: int) -> list[UUID]:
    """Files whose time is over, or whose institution is among `lost`, and that no worker has."""
    query = select(held.c.id).where(
        _LIVE,
        held.c.lease_ms <= now_ms,
        or_(held.c.expires_ms <= now_ms, held.c.institution.in_(lost)),
    )
    return list(tx.execute(query.limit(limit)).scalars())


def institutions(tx: Connection) -> list[UUID]:
    """Institutions of which something is held."""
    return list(tx.execute(select(held.c.institution).where(_LIVE).distinct()).scalars())


def ended(tx: Connection, now_ms: int, limit: int) -> list[Held]:
    """Files whose key, object and row are to go."""
    query = _ROWS.where(held.c.state == HeldState.ENDED.value, held.c.lease_ms <= now_ms)
    return [_held(tuple(row)) for row in tx.execute(query.order_by(held.c.id).limit(limit))]


def drop(tx: Connection, id_: UUID) -> bool:
    """Remove the row of a file; False where it is gone."""
    return bool(tx.execute(delete(held).where(held.c.id == id_)).rowcount)


def end_groups(tx: Connection, institution: UUID, groups: Sequence[bytes], why: str) -> int:
    """End what is held of these original studies; how many files."""
    going = update(held).where(held.c.institution == institution, held.c.study_group.in_(groups), _LIVE)
    return tx.execute(going.values(state=HeldState.ENDED.value, ended=why)).rowcount


def others(tx: Connection, institution: UUID, groups: Sequence[bytes], person: str) -> bool:
    """Whether somebody else than this person sent something that is held of these original studies."""
    query = select(held.c.id).where(
        held.c.institution == institution, held.c.study_group.in_(groups), held.c.person != person, _LIVE
    )
    return tx.execute(query.limit(1)).first() is not None


def keys(tx: Connection) -> set[UUID]:
    """The keys of everything that has a row."""
    return set(tx.execute(select(held.c.key_id)).scalars())


def all_held(tx: Connection) -> list[Held]:
    """Everything that has a row, for checks."""
    return [_held(tuple(row)) for row in tx.execute(_ROWS.order_by(held.c.id))]


def drop_without(tx: Connection, known: Collection[UUID]) -> int:
    """Remove the rows of what has none of these keys: nobody can read it. How many."""
    gone = [row.id for row in all_held(tx) if row.key_id not in known]
    for id_ in gone:
        drop(tx, id_)
    return len(gone)
