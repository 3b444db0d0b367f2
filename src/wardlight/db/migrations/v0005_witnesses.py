"""Witnesses, anchors and collectors of the audit trail, and the ids of entries that receivers sent."""

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
    """Only adds."""
    op.create_table(
        "audit_witness",
        Column("id", Id, primary_key=True),
        Column("institution", Id, ForeignKey("institution.id")),
        Column("name", _text(255), nullable=False),
        Column("vkey", _text(400), nullable=False),
        Column("url", _text(400)),
        Column("receiver", _text(32), ForeignKey("receiver.id")),
        Column("created_ms", BigInteger, nullable=False),
        Column("ended_ms", BigInteger),
        *_state("cosigned_ms"),
        _zero("wanted_ms"),
    )
    op.create_index("ix_audit_witness_institution", "audit_witness", ["institution"])
    op.create_table(
        "audit_anchor",
        Column("id", Id, primary_key=True),
        Column("institution", Id, ForeignKey("institution.id")),
        Column("kind", _text(8), nullable=False),
        Column("target", _text(1000), nullable=False),
        Column("every_s", Integer, nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        *_state("sent_ms"),
    )
    op.create_index("ix_audit_anchor_institution", "audit_anchor", ["institution"])
    op.create_table(
        "audit_foreign",
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("id", Id, nullable=False),
        Column("digest", LargeBinary(32), nullable=False),
        PrimaryKeyConstraint("institution", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_node",
        Column("name", _text(64), primary_key=True),
        Column("settings", String().with_variant(Text(collation="C"), "postgresql"), nullable=False),
    )
    op.create_table(
        "audit_collector",
        Column("id", Id, primary_key=True),
        Column("institution", Id, ForeignKey("institution.id")),
        Column("host", _text(255), nullable=False),
        Column("port", Integer, nullable=False),
        Column("ca", _text(1000), nullable=False),
        Column("certificate", _text(1000), nullable=False),
        Column("key", _text(1000), nullable=False),
        Column("msgid", _text(32), nullable=False),
        Column("bom", SmallInteger, nullable=False),
        Column("deliveries", SmallInteger, nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("log", Integer, nullable=False),
        Column("cursor", BigInteger, nullable=False),
        Column("first", BigInteger, nullable=False),
        _zero("sent_ms"),
        Column("state", _text(64), nullable=False, server_default=""),
        Column("holder", _text(32), nullable=False, server_default=""),
        _zero("held_ms"),
    )
    op.create_index("ix_audit_collector_institution", "audit_collector", ["institution"])


def _state(last: str) -> list[Column[Any]]:
    return [
        Column("log", Integer),
        _zero("size"),
        _zero(last),
        Column("state", _text(64), nullable=False, server_default=""),
        _zero("tried_ms"),
    ]


def _zero(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _text(length: int) -> Any:
    """A text that PostgreSQL, too, orders by its bytes."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
