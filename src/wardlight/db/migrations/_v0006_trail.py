"""Entries of applications."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String, Text

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds."""
    op.create_table(
        "audit_claim",
        Column("institution", Id, ForeignKey("institution.id"), primary_key=True),
        Column("application", _text(64), primary_key=True),
        Column("id", Id, primary_key=True),
        Column("digest", LargeBinary(32), nullable=False),
        Column("entry", Id, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_definition",
        Column("institution", Id, ForeignKey("institution.id"), primary_key=True),
        Column("application", _text(64), primary_key=True),
        Column("content", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False),
        Column("changed_ms", BigInteger, nullable=False),
    )


def _text(length: int) -> Any:
    return String(length).with_variant(String(length, collation="C"), "postgresql")
