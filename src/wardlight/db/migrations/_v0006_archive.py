"""Deletion, shares, results and uploads."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds."""
    _sharing(op)


def _sharing(op: Operations) -> None:
    for column in (
        Column("producer", _text(80)),
        Column("source", Id),
        Column("identifiability", _text(16)),
        Column("derived_from", Id),
        Column("origin", LargeBinary),
        Column("quarantined", Integer),
    ):
        op.add_column("archive_release", column)
    op.add_column("archive_instance", Column("producer", _text(64)))
    op.create_table(
        "archive_share",
        Column("id", Id, primary_key=True),
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("study_group", LargeBinary(16), nullable=False),
        Column("source", Id, nullable=False),
        Column("release", Id, nullable=False),
        Column("application", _text(64)),
        Column("person", _text(32)),
        Column("level", _text(16), nullable=False),
        Column("purpose", _text(16), nullable=False),
        Column("until_ms", BigInteger, nullable=False),
        Column("state", _text(16), nullable=False),
        Column("reason", _text(40)),
        Column("total", Integer, nullable=False),
        Column("stored", Integer, nullable=False),
        Column("quarantined", Integer, nullable=False),
        Column("cursor", Id),
        Column("access_grant", Id),
        Column("lease_ms", BigInteger, nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("created_by", _text(80), nullable=False),
        Column("request", _text(32), nullable=False),
    )
    op.create_index("ix_archive_share_release", "archive_share", ["release"])
    op.create_index("archive_share_group", "archive_share", ["institution", "study_group"])
    op.create_index("archive_share_state", "archive_share", ["state", "lease_ms"])
    op.create_table(
        "archive_result",
        Column("id", Id, primary_key=True),
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("release", Id, nullable=False),
        Column("instance", Id, nullable=False),
        Column("application", _text(64), nullable=False),
        Column("access_grant", Id, nullable=False),
        Column("receiver", _text(32), nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("collected_ms", BigInteger),
        Column("acknowledged_ms", BigInteger),
        Column("attempts", Integer, nullable=False),
    )
    op.create_index("archive_result_waiting", "archive_result", ["receiver", "acknowledged_ms", "created_ms"])
    op.create_index("archive_result_release", "archive_result", ["release"])


def _text(length: int) -> Any:
    """A text that PostgreSQL, too, orders by its bytes."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
