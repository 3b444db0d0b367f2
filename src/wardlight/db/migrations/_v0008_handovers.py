"""Results of one application for another."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds."""
    op.create_table(
        "archive_handover",
        Column("id", Id, primary_key=True),
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("release", Id, nullable=False),
        Column("instance", Id, nullable=False),
        Column("application", _text(64), nullable=False),
        Column("target", Id, nullable=False),
        Column("recipient", _text(64), nullable=False),
        Column("access_grant", Id, nullable=False),
        Column("receiver", _text(32)),
        Column("state", _text(16), nullable=False),
        Column("reason", _text(40)),
        Column("attempts", Integer, nullable=False),
        Column("due_ms", BigInteger, nullable=False),
        Column("created_ms", BigInteger, nullable=False),
    )
    op.create_index("archive_handover_state", "archive_handover", ["state", "receiver", "due_ms"])
    op.create_index("archive_handover_release", "archive_handover", ["release"])
    op.create_index("archive_handover_target", "archive_handover", ["target"])


def _text(length: int) -> Any:
    return String(length).with_variant(String(length, collation="C"), "postgresql")
