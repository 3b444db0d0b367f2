"""Uploads on their way."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Text

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds."""
    op.create_table(
        "archive_upload",
        Column("id", Id, primary_key=True),
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("person", _text(64), nullable=False),
        Column("role", _text(32), nullable=False),
        Column("level", _text(16), nullable=False),
        Column("state", _text(16), nullable=False),
        Column("key_id", Id, nullable=False),
        Column("length", BigInteger, nullable=False),
        Column("taken", BigInteger, nullable=False),
        Column("sizes", _long(), nullable=False),
        Column("results", _long(), nullable=False),
        Column("done", Integer, nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("expires_ms", BigInteger, nullable=False),
        Column("lease_ms", BigInteger, nullable=False),
        Column("request", _text(32), nullable=False),
    )
    op.create_index("archive_upload_state", "archive_upload", ["state", "lease_ms"])
    op.create_index("archive_upload_expires", "archive_upload", ["expires_ms"])
    op.create_index("archive_upload_institution", "archive_upload", ["institution", "state"])
    op.create_table(
        "archive_upload_part",
        Column("id", Id, primary_key=True),
        Column("upload", Id, ForeignKey("archive_upload.id"), nullable=False),
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("begins", BigInteger, nullable=False),
        Column("length", BigInteger, nullable=False),
        Column("size", BigInteger, nullable=False),
    )
    op.create_index("ix_archive_upload_part_upload", "archive_upload_part", ["upload"])


def _text(length: int) -> Any:
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _long() -> Any:
    return Text().with_variant(Text(collation="C"), "postgresql")
