"""Rolls that have begun."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, Integer

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds."""
    op.create_table(
        "archive_roll",
        Column("institution", Id, ForeignKey("institution.id"), primary_key=True),
        Column("entry", Id, nullable=False),
        Column("epoch", Integer, nullable=False),
        Column("begun_ms", BigInteger, nullable=False),
    )
