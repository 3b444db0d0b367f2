"""SQL of applications' entries."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from wardlight.db.insert import upsert
from wardlight.identity.tables import person
from wardlight.trail.application_tables import claim, definition


def add_claim(
    tx: Connection, institution: UUID, application: str, id_: UUID, digest: bytes, entry: UUID
) -> bool:
    """Keep that this id is taken; False where it was before."""
    row: dict[str, Any] = {
        "institution": institution, "application": application, "id": id_, "digest": digest, "entry": entry,
    }  # fmt: skip
    statement = upsert(tx, claim).values(row).on_conflict_do_nothing().returning(claim.c.id)
    return tx.execute(statement).first() is not None


def claims(
    tx: Connection, institution: UUID, application: str, ids: Collection[UUID]
) -> dict[UUID, tuple[bytes, UUID]]:
    """Ids that were taken in before → (digest of what was sent, id of the entry)."""
    query = select(claim.c.id, claim.c.digest, claim.c.entry).where(
        claim.c.institution == institution, claim.c.application == application, claim.c.id.in_(list(ids))
    )
    return {row.id: (bytes(row.digest), row.entry) for row in tx.execute(query)}


def definition_of(tx: Connection, institution: UUID, application: str) -> str | None:
    """What the application registered, as JSON; None where it did not."""
    query = select(definition.c.content).where(
        definition.c.institution == institution, definition.c.application == application
    )
    return tx.execute(query).scalar()


def define(tx: Connection, institution: UUID, application: str, content: str, now_ms: int) -> None:
    """Put what the application registers in the place of what was before."""
    row = {"institution": institution, "application": application, "content": content, "changed_ms": now_ms}
    statement = upsert(tx, definition).values(row)
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=[definition.c.institution, definition.c.application],
            set_={"content": content, "changed_ms": now_ms},
        )
    )


def people(tx: Connection, institution: UUID, ids: Collection[str]) -> set[str]:
    """Those of the ids that are people of the institution, whatever their state."""
    query = select(person.c.id).where(person.c.institution == institution, person.c.id.in_(list(ids)))
    return set(tx.execute(query).scalars())
