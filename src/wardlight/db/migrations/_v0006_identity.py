"""People: factors, sessions, invitations, networks."""

from __future__ import annotations

from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    """Only adds."""
