"""All SQL about rolls whose end the trail has not told yet."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select

from wardlight import clock
from wardlight.archive.deletion_tables import roll


@dataclass(frozen=True, slots=True)
class Begun:
    """A roll that has begun. entry: of the trail, that says so. epoch: that it ends."""

    institution: UUID
    entry: UUID
    epoch: int


def begun(tx: Connection, institution: UUID | None = None) -> list[Begun]:
    """Rolls that have begun, of all institutions or one, and whose end is not in the trail."""
    query = select(roll.c.institution, roll.c.entry, roll.c.epoch)
    if institution is not None:
        query = query.where(roll.c.institution == institution)
    return [Begun(*row) for row in tx.execute(query)]


def begin(tx: Connection, row: Begun) -> None:
    """Remember one. Raises IntegrityError where another has begun."""
    values = {"institution": row.institution, "entry": row.entry, "epoch": row.epoch}
    tx.execute(insert(roll).values(**values, begun_ms=clock.unix_ms()))


def end(tx: Connection, row: Begun) -> bool:
    """Its end is told in this transaction; False where somebody else was first."""
    gone = delete(roll).where(roll.c.institution == row.institution, roll.c.entry == row.entry)
    return tx.execute(gone).rowcount == 1
