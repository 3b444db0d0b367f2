"""Applications, their keys, tokens and receivers' enrolment."""

from __future__ import annotations

from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    """Only adds."""
