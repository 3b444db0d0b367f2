"""Sealed audit entries: the entries, their subjects, the tree's tiles, signed heads, day counters, retention."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Text,
)

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds; what is pending is sealed afterwards."""
    op.add_column("audit_log", Column("halted", SmallInteger, nullable=False, server_default="0"))
    op.add_column("audit_log", Column("pruned", BigInteger, nullable=False, server_default="0"))
    _entries(op)
    op.create_table(
        "audit_tile",
        _log(),
        Column("level", SmallInteger, nullable=False),
        Column("n", BigInteger, nullable=False),
        Column("data", LargeBinary, nullable=False),
        PrimaryKeyConstraint("log", "level", "n"),
    )
    op.create_table(
        "audit_checkpoint",
        _log(),
        Column("size", BigInteger, nullable=False),
        Column("root", LargeBinary(32), nullable=False),
        Column("note", _text(), nullable=False),
        Column("first_recorded_ms", BigInteger, nullable=False),
        Column("last_recorded_ms", BigInteger, nullable=False),
        PrimaryKeyConstraint("log", "size"),
    )
    op.create_table(
        "audit_day",
        _log(),
        Column("day", Integer, nullable=False),
        Column("hour", SmallInteger, nullable=False),
        Column("action", _text(64), nullable=False),
        Column("actor_kind", _text(16), nullable=False),
        Column("outcome", SmallInteger, nullable=False),
        Column("n", BigInteger, nullable=False),
        PrimaryKeyConstraint("log", "day", "hour", "action", "actor_kind", "outcome"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_retention",
        Column("institution", Id, ForeignKey("institution.id"), primary_key=True),
        Column("days", Integer, nullable=False),
        Column("hold", SmallInteger, nullable=False),
    )


def _entries(op: Operations) -> None:
    op.create_table(
        "audit_entry",
        _log(),
        Column("idx", BigInteger, nullable=False),
        Column("id", Id),
        Column("recorded_ms", BigInteger),
        Column("action", _text(64)),
        Column("actor", _text(255)),
        Column("object", _text(255)),
        Column("outcome", SmallInteger),
        Column("purpose", _text(16)),
        Column("grant_id", _text(64)),
        Column("content", LargeBinary),
        PrimaryKeyConstraint("log", "idx"),
        sqlite_with_rowid=False,
    )
    op.create_index("audit_entry_actor", "audit_entry", ["log", "actor", "idx"])
    op.create_index("audit_entry_action", "audit_entry", ["log", "action", "idx"])
    op.create_index("audit_entry_outcome", "audit_entry", ["log", "outcome", "idx"])
    op.create_index("audit_entry_id", "audit_entry", ["log", "id"], unique=True)
    op.create_table(
        "audit_subject",
        _log(),
        Column("ref", _text(64), nullable=False),
        Column("idx", BigInteger, nullable=False),
        PrimaryKeyConstraint("log", "ref", "idx"),
        sqlite_with_rowid=False,
    )


def _log() -> Column[Any]:
    return Column("log", Integer, ForeignKey("audit_log.log"), nullable=False)


def _text(length: int | None = None) -> Any:
    """A text that PostgreSQL, too, orders by its bytes."""
    on_postgresql = String(length, collation="C") if length else Text(collation="C")
    return String(length).with_variant(on_postgresql, "postgresql")
