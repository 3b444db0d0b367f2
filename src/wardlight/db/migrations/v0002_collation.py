"""Texts are ordered by their bytes on PostgreSQL, as SQLite orders them: the same pages and keys on both."""

from __future__ import annotations

from typing import Final

from alembic.operations import Operations
from sqlalchemy import String, Text
from sqlalchemy.types import TypeEngine

# Table → column → length; 0 is a text without limit.
_TEXTS: Final = {
    "agreement": {
        "id": 32,
        "application": 64,
        "levels": 0,
        "legal_basis": 100,
        "purposes": 0,
        "attested_by": 200,
    },
    "application": {"id": 64, "name": 200, "vendor": 200, "state": 16},
    "archive_instance": {"sop_class": 64, "transfer_syntax": 64},
    "archive_release": {"application": 64, "level": 16, "state": 16, "modalities": 0},
    "archive_series": {"modality": 16},
    "audit_log": {"origin": 255},
    "event_outbox": {"kind": 64, "payload": 0},
    "institution": {"slug": 40, "name": 200, "region": 16, "state": 16},
    "person": {"id": 32, "login": 200, "name": 200, "role": 32, "state": 16},
    "receiver": {"id": 32, "name": 200, "state": 16},
    "token": {"kind": 16, "holder": 32, "scopes": 0},
}


def upgrade(op: Operations) -> None:
    """Rewrites no table: PostgreSQL rebuilds the indexes on these columns only."""
    if op.get_context().dialect.name != "postgresql":
        return
    for table, columns in _TEXTS.items():
        for name, length in columns.items():
            type_: TypeEngine[str] = String(length, collation="C") if length else Text(collation="C")
            op.alter_column(table, name, type_=type_)
