"""All SQL about agreements."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, insert, select

from wardlight.agreements.model import Agreement, Level
from wardlight.agreements.tables import agreement


def add(tx: Connection, row: Agreement) -> None:
    """Insert one version; raises IntegrityError where another writer was first."""
    tx.execute(
        insert(agreement),
        {
            "id": row.id,
            "version": row.version,
            "institution": row.institution,
            "application": row.application,
            "levels": " ".join(level for level in Level if level in row.levels),
            "legal_basis": row.legal_basis,
            "purposes": " ".join(sorted(row.purposes)),
            "attested_by": row.attested_by,
            "created_ms": row.created_ms,
        },
    )


def current(tx: Connection, institution: UUID, application: str) -> Agreement | None:
    """The newest version between an institution and an application."""
    rows = versions(tx, institution, application, newest_only=True)
    return rows[0] if rows else None


def versions(
    tx: Connection, institution: UUID, application: str | None = None, *, newest_only: bool = False
) -> list[Agreement]:
    """All versions by application, newest first."""
    query = (
        select(agreement)
        .where(agreement.c.institution == institution)
        .order_by(agreement.c.application, agreement.c.version.desc())
    )
    if application is not None:
        query = query.where(agreement.c.application == application)
    if newest_only:
        query = query.limit(1)
    return [
        Agreement(
            row.id,
            row.institution,
            row.application,
            row.version,
            frozenset(Level(level) for level in row.levels.split()),
            row.legal_basis,
            frozenset(row.purposes.split()),
            row.attested_by,
            row.created_ms,
        )
        for row in tx.execute(query)
    ]
