"""On what a transfer to another region rests."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import Column, String


def upgrade(op: Operations) -> None:
    """Only adds."""
    text = String(16).with_variant(String(16, collation="C"), "postgresql")
    op.add_column("agreement", Column("transfer", text, nullable=False, server_default=""))
