"""What protection holds back of uploads."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Text

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds."""
    op.create_table(
        "archive_quarantine",
        Column("id", Id, primary_key=True),
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("object", Id, nullable=False),
        Column("key_id", Id, nullable=False),
        Column("length", BigInteger, nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("upload", Id, nullable=False),
        Column("place", Integer, nullable=False),
        Column("person", _text(64), nullable=False),
        Column("role", _text(32), nullable=False),
        Column("level", _text(16), nullable=False),
        Column("sop_class", _text(64), nullable=False),
        Column("study_group", LargeBinary(16), nullable=True),
        Column("reasons", _long(), nullable=False),
        Column("state", _text(16), nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("expires_ms", BigInteger, nullable=False),
        Column("tried_ms", BigInteger, nullable=True),
        Column("decided_by", _text(64), nullable=True),
        Column("decided_role", _text(32), nullable=True),
        Column("accepted", _long(), nullable=False),
        Column("ended", _text(32), nullable=False),
        Column("lease_ms", BigInteger, nullable=False),
        Column("request", _text(32), nullable=False),
    )
    table = "archive_quarantine"
    op.create_index("ix_archive_quarantine_object", table, ["object"])
    op.create_index("archive_quarantine_listed", table, ["institution", "id"])
    op.create_index("archive_quarantine_group", table, ["institution", "study_group"])
    op.create_index("archive_quarantine_state", table, ["state", "lease_ms"])
    op.create_index("archive_quarantine_expires", table, ["expires_ms"])


def _text(length: int) -> Any:
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _long() -> Any:
    return Text().with_variant(Text(collation="C"), "postgresql")
