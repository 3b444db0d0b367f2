"""Deletion, shares, results and uploads."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, SmallInteger, String

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds."""
    _sharing(op)
    _deletion(op)


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


def _deletion(op: Operations) -> None:
    op.add_column("archive_release", Column("uploader", _text(32)))
    op.create_table(
        "archive_deletion",
        Column("id", Id, primary_key=True),
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("state", _text(16), nullable=False),
        Column("deleted_by", _text(80), nullable=False),
        Column("role", _text(32), nullable=False),
        Column("entry", Id, nullable=False),
        Column("access_ended_ms", BigInteger, nullable=False),
        Column("key_destroyed_ms", BigInteger),
        Column("removed_ms", BigInteger),
        Column("unreadable_ms", BigInteger),
        Column("allowed_ms", BigInteger),
        Column("rebuild", SmallInteger, nullable=False),
    )
    op.create_index("archive_deletion_page", "archive_deletion", ["institution", "id"])
    op.create_index("archive_deletion_state", "archive_deletion", ["state"])
    op.create_table(
        "archive_deleted_release",
        Column("release", Id, primary_key=True),
        Column("deletion", Id, ForeignKey("archive_deletion.id"), nullable=False),
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("application", _text(64), nullable=False),
        Column("level", _text(16), nullable=False),
        Column("key_id", Id, nullable=False),
        Column("study_group", LargeBinary(16), nullable=False),
        Column("study_ref", _text(64), nullable=False),
        Column("instances", Integer, nullable=False),
        Column("bytes", BigInteger, nullable=False),
        Column("objects", Integer, nullable=False),
    )
    op.create_index("ix_archive_deleted_release_deletion", "archive_deleted_release", ["deletion"])
    op.create_index("ix_archive_deleted_release_key_id", "archive_deleted_release", ["key_id"])
    op.create_index("archive_deleted_group", "archive_deleted_release", ["institution", "study_group"])
    op.create_index("archive_deleted_ref", "archive_deleted_release", ["institution", "study_ref"])
    op.create_table(
        "archive_deletion_told",
        Column("deletion", Id, ForeignKey("archive_deletion.id"), primary_key=True),
        Column("application", _text(64), primary_key=True),
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("event", Id, nullable=False),
        Column("acknowledged_ms", BigInteger),
    )


def _text(length: int) -> Any:
    """A text that PostgreSQL, too, orders by its bytes."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
