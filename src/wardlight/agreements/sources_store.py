"""All SQL about sources of third parties' data."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, insert, select

from wardlight.agreements.model import Source, SourceKind
from wardlight.agreements.tables import source


def add(tx: Connection, row: Source) -> None:
    """Insert a source."""
    tx.execute(
        insert(source),
        {
            "id": row.id,
            "institution": row.institution,
            "kind": row.kind.value,
            "name": row.name,
            "legal_basis": row.legal_basis,
            "attested_by": row.attested_by,
            "document": row.document,
            "anonymised": int(row.anonymised),
            "evidence": row.evidence,
            "created_ms": row.created_ms,
            "created_by": row.created_by,
        },
    )


def sources(tx: Connection, institution: UUID, id_: UUID | None = None) -> list[Source]:
    """Sources of an institution, oldest first; the one of this id where it is given."""
    query = select(*source.c).where(source.c.institution == institution)
    if id_ is not None:
        query = query.where(source.c.id == id_)
    return [
        Source(
            id=row.id,
            institution=row.institution,
            kind=SourceKind(row.kind),
            name=row.name,
            legal_basis=row.legal_basis,
            attested_by=row.attested_by,
            document=row.document,
            anonymised=bool(row.anonymised),
            evidence=row.evidence,
            created_ms=row.created_ms,
            created_by=row.created_by,
        )
        for row in tx.execute(query.order_by(source.c.created_ms, source.c.id))
    ]
