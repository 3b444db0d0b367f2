"""All SQL about agreements."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select

from wardlight.agreements.model import Agreement, Level
from wardlight.agreements.tables import agreement
from wardlight.db.prepared import Prepared


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


_COLUMNS: Final = (
    agreement.c.id,
    agreement.c.institution,
    agreement.c.application,
    agreement.c.version,
    agreement.c.levels,
    agreement.c.legal_basis,
    agreement.c.purposes,
    agreement.c.attested_by,
    agreement.c.created_ms,
)
_VERSIONS: Final = (
    select(*_COLUMNS)
    .where(agreement.c.institution == bindparam("institution"))
    .order_by(agreement.c.application, agreement.c.version.desc())
)
# Built once: every store request asks for it.
_CURRENT: Final = Prepared(_VERSIONS.where(agreement.c.application == bindparam("application")).limit(1))


def current(tx: Connection, institution: UUID, application: str) -> Agreement | None:
    """The newest version between an institution and an application."""
    row = _CURRENT.first(tx, {"institution": institution, "application": application})
    return _agreement(row) if row else None


def versions(tx: Connection, institution: UUID) -> list[Agreement]:
    """All versions by application, newest first."""
    return [_agreement(tuple(row)) for row in tx.execute(_VERSIONS, {"institution": institution})]


def _agreement(row: tuple[Any, ...]) -> Agreement:
    id_, institution, application, version, levels, legal_basis, purposes, attested_by, created_ms = row
    return Agreement(
        id_,
        institution,
        application,
        version,
        frozenset(Level(level) for level in levels.split()),
        legal_basis,
        frozenset(purposes.split()),
        attested_by,
        created_ms,
    )
