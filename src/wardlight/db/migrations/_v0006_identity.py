"""People: factors, sessions, invitations, networks."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, String


def upgrade(op: Operations) -> None:
    """Only adds."""
    op.create_table(
        "rate",
        Column("key", _text(200), primary_key=True),
        Column("free_us", BigInteger, nullable=False),
    )
    op.create_index("ix_rate_free_us", "rate", ["free_us"])


def _text(length: int) -> Any:
    """A text that PostgreSQL, too, orders by its bytes."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
