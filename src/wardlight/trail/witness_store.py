"""All SQL of witnesses: who they are, what they cosigned last, and the notes that their lines are appended to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, insert, select, update

from wardlight.audit.log_store import Checkpoint
from wardlight.audit.tables import checkpoint, entry, witness
from wardlight.db.ids import uuid7


@dataclass(frozen=True, slots=True)
class Witness:
    """Who cosigns the heads of an institution's log, or the operator's (None).

    url: of one that is pushed to. receiver: id of the receiver that pulls. log, size: the head that it cosigned last.
    state: what the trail said of it last. wanted_ms: since when somebody waits for it, 0 if nobody does.
    """

    id: UUID
    institution: UUID | None
    name: str
    vkey: str
    url: str | None
    receiver: str | None
    log: int | None
    size: int
    cosigned_ms: int
    state: str
    tried_ms: int
    wanted_ms: int

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for its cosignature."""
        return self.wanted_ms > self.cosigned_ms


_WITNESS: Final = select(
    witness.c.id,
    witness.c.institution,
    witness.c.name,
    witness.c.vkey,
    witness.c.url,
    witness.c.receiver,
    witness.c.log,
    witness.c.size,
    witness.c.cosigned_ms,
    witness.c.state,
    witness.c.tried_ms,
    witness.c.wanted_ms,
).where(witness.c.ended_ms.is_(None))


def _witness(row: Sequence[Any]) -> Witness:
    return Witness(*row)


def active(tx: Connection, institution: UUID | None) -> list[Witness]:
    """Witnesses of one institution, or the operator's (None), by name."""
    return [
        _witness(row) for row in tx.execute(_WITNESS.where(_of(institution)).order_by(witness.c.created_ms))
    ]


def pushed(tx: Connection) -> list[Witness]:
    """All witnesses that are pushed to."""
    return [_witness(row) for row in tx.execute(_WITNESS.where(witness.c.url.is_not(None)))]


def of_receiver(tx: Connection, receiver: str) -> Witness | None:
    """The witness key of a receiver."""
    row = tx.execute(
        _WITNESS.where(witness.c.receiver == receiver).order_by(witness.c.created_ms.desc())
    ).first()
    return None if row is None else _witness(row)


def by_id(tx: Connection, id_: UUID, *, lock: bool = False) -> Witness | None:
    """One witness, held until the transaction ends where asked."""
    query = _WITNESS.where(witness.c.id == id_)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _witness(row)


def names(tx: Connection, institution: UUID | None) -> set[str]:
    """Names that were ever given, of witnesses that ended, too: a name stands for one key."""
    return set(tx.execute(select(witness.c.name).where(_of(institution))).scalars())


def vkeys(tx: Connection, institution: UUID | None) -> list[str]:
    """Keys of all witnesses that there ever were, oldest first: old bundles carry their cosignatures."""
    query = select(witness.c.vkey).where(_of(institution)).order_by(witness.c.created_ms, witness.c.id)
    return list(tx.execute(query).scalars())


def add(
    tx: Connection,
    institution: UUID | None,
    name: str,
    vkey: str,
    now_ms: int,
    *,
    url: str | None = None,
    receiver: str | None = None,
) -> None:
    """Insert a witness."""
    row = {
        "id": uuid7(),
        "institution": institution,
        "name": name,
        "vkey": vkey,
        "url": url,
        "receiver": receiver,
        "created_ms": now_ms,
    }
    tx.execute(insert(witness).values(row))


def end(tx: Connection, id_: UUID, now_ms: int) -> None:
    """The witness is not asked any more."""
    tx.execute(update(witness).where(witness.c.id == id_).values(ended_ms=now_ms))


def want(tx: Connection, institution: UUID | None, now_ms: int) -> None:
    """Ask all witnesses for a cosignature of the newest head."""
    tx.execute(update(witness).where(_of(institution), witness.c.ended_ms.is_(None)).values(wanted_ms=now_ms))


def claim(tx: Connection, one: Witness, now_ms: int) -> bool:
    """Take the next push to a witness for this process; False where another one was first."""
    taken = tx.execute(
        update(witness)
        .where(witness.c.id == one.id, witness.c.tried_ms == one.tried_ms)
        .values(tried_ms=now_ms)
    )
    return taken.rowcount == 1


def cosigned(tx: Connection, one: Witness, log: int, size: int, now_ms: int) -> None:
    """It has cosigned this head."""
    values = {"log": log, "size": size, "cosigned_ms": now_ms, "state": "cosigned"}
    tx.execute(update(witness).where(witness.c.id == one.id).values(values))


def failed(tx: Connection, one: Witness, state: str) -> None:
    """It did not cosign; `state` says why."""
    tx.execute(update(witness).where(witness.c.id == one.id).values(state=state))


def note(tx: Connection, number: int, size: int) -> str | None:
    """The checkpoint of this size, held until the transaction ends."""
    query = select(checkpoint.c.note).where(checkpoint.c.log == number, checkpoint.c.size == size)
    found: str | None = tx.execute(query.with_for_update()).scalar()
    return found


def put_note(tx: Connection, number: int, size: int, text: str) -> None:
    """The same checkpoint with one line more."""
    mine = (checkpoint.c.log == number, checkpoint.c.size == size)
    tx.execute(update(checkpoint).where(*mine).values(note=text))


def next_rotation(
    tx: Connection, number: int, size: int, action: str
) -> tuple[int, bytes, Checkpoint] | None:
    """The first entry of `action` at or after index `size`: (index, content, the first checkpoint that covers it)."""
    found = tx.execute(
        select(entry.c.idx, entry.c.content)
        .where(
            entry.c.log == number,
            entry.c.action == action,
            entry.c.idx >= size,
            entry.c.content.is_not(None),
        )
        .order_by(entry.c.idx)
        .limit(1)
    ).first()
    if found is None:
        return None
    idx, content = found
    row = tx.execute(
        select(
            checkpoint.c.size,
            checkpoint.c.root,
            checkpoint.c.note,
            checkpoint.c.first_recorded_ms,
            checkpoint.c.last_recorded_ms,
        )
        .where(checkpoint.c.log == number, checkpoint.c.size > idx)
        .order_by(checkpoint.c.size)
        .limit(1)
    ).first()
    return None if row is None else (idx, bytes(content), Checkpoint(*row))


def _of(institution: UUID | None) -> ColumnElement[bool]:
    return witness.c.institution.is_(None) if institution is None else witness.c.institution == institution
