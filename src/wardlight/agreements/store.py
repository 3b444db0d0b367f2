"""All SQL about agreements."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select, update

from wardlight import clock
from wardlight.agreements.model import Agreement, Level
from wardlight.agreements.tables import agreement
from wardlight.classification.model import DataClass
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
            "purposes": joined(row.purposes),
            "attested_by": row.attested_by,
            "created_ms": row.created_ms,
            "classes": joined_classes(row.classes),
            "region": row.region,
            "transfer": row.transfer,
            "access_s": row.access_s,
            "retention_days": row.retention_days,
            "document": row.document,
            "attested_ms": row.attested_ms,
            "source": row.source,
            "results_of": joined(row.results_of),
            "ends_ms": row.ends_ms,
            "withdrawn_by": "",
        },
    )


_COLUMNS: Final = tuple(agreement.c)
_VERSIONS: Final = (
    select(*_COLUMNS)
    .where(agreement.c.institution == bindparam("institution"))
    .order_by(agreement.c.application, agreement.c.version.desc())
)
# Built once: every store request asks for it.
_NEWEST: Final = Prepared(_VERSIONS.where(agreement.c.application == bindparam("application")).limit(1))


def newest(tx: Connection, institution: UUID, application: str) -> Agreement | None:
    """The newest version between an institution and an application, whether or not it holds."""
    row = _NEWEST.first(tx, {"institution": institution, "application": application})
    return _agreement(row) if row else None


def current(tx: Connection, institution: UUID, application: str) -> Agreement | None:
    """The version in force, if any: the newest, unless it is withdrawn or over."""
    row = newest(tx, institution, application)
    return row if row and row.in_force(clock.unix_ms()) else None


def versions(tx: Connection, institution: UUID, application: str | None = None) -> list[Agreement]:
    """All versions by application, newest first; of one application where it is named."""
    query = _VERSIONS if application is None else _VERSIONS.where(agreement.c.application == application)
    return [_agreement(tuple(row)) for row in tx.execute(query, {"institution": institution})]


def ended(tx: Connection, now_ms: int) -> list[Agreement]:
    """Versions of all institutions whose end has come and who do not say so yet."""
    rows = tx.execute(
        select(*_COLUMNS)
        .where(agreement.c.ends_ms <= now_ms, agreement.c.withdrawn_ms.is_(None))
        .order_by(agreement.c.id, agreement.c.version)
    )
    return [_agreement(tuple(row)) for row in rows]


def withdraw(tx: Connection, row: Agreement, now_ms: int, by: str) -> bool:
    """End one version; False where it had ended."""
    changed = tx.execute(
        update(agreement)
        .where(
            agreement.c.id == row.id, agreement.c.version == row.version, agreement.c.withdrawn_ms.is_(None)
        )
        .values(withdrawn_ms=now_ms, withdrawn_by=by)
    )
    return changed.rowcount == 1


def joined(words: frozenset[str]) -> str:
    """A set of codes as a column holds it."""
    return " ".join(sorted(words))


def joined_classes(classes: frozenset[DataClass]) -> str:
    """A set of data classes as a column holds it."""
    return ";".join(one.value for one in DataClass if one in classes)


def parsed_classes(text: str) -> frozenset[DataClass]:
    """What `joined_classes` made."""
    return frozenset(DataClass(one) for one in text.split(";") if one)


def _agreement(row: tuple[Any, ...]) -> Agreement:
    values = dict(zip((one.name for one in _COLUMNS), row, strict=True))
    values["levels"] = frozenset(Level(level) for level in values["levels"].split())
    values["purposes"] = frozenset(values["purposes"].split())
    values["classes"] = parsed_classes(values["classes"])
    values["results_of"] = frozenset(values["results_of"].split())
    return Agreement(**values)
