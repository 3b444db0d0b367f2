"""Grants."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Text

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds."""
    op.create_table(
        "access_grant",
        Column("id", Id, primary_key=True),
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("application", _text(64)),
        Column("person", _text(32)),
        Column("release", Id, nullable=False),
        Column("study_group", LargeBinary(16), nullable=False),
        Column("subject_ref", _text(64), nullable=False),
        Column("study_ref", _text(64), nullable=False),
        Column("agreement", _text(32), nullable=False),
        Column("agreement_version", Integer, nullable=False),
        Column("purposes", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False),
        Column("rights", _text(40), nullable=False),
        Column("not_before_ms", BigInteger, nullable=False),
        Column("expires_ms", BigInteger, nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("created_by", _text(80), nullable=False),
        Column("ended_ms", BigInteger),
        Column("ended_reason", _text(32)),
    )
    for name, columns in (
        ("release", ["release", "ended_ms"]),
        ("application", ["institution", "application", "ended_ms"]),
        ("person", ["institution", "person", "ended_ms"]),
        ("group", ["institution", "study_group"]),
        ("open", ["ended_ms", "expires_ms"]),
        ("basis", ["agreement", "agreement_version", "ended_ms"]),
    ):
        op.create_index(f"access_grant_{name}", "access_grant", columns)


def _text(length: int) -> Any:
    """A text that PostgreSQL, too, orders by its bytes."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
