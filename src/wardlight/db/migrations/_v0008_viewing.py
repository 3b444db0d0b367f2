"""Tokens that show one study to a viewer."""

from __future__ import annotations

from alembic.operations import Operations
from sqlalchemy import Column, LargeBinary


def upgrade(op: Operations) -> None:
    """Only adds."""
    op.add_column("token", Column("study", LargeBinary(16), nullable=True))
