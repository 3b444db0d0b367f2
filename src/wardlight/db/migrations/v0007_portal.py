"""What the portal brings: uploads by people."""

from __future__ import annotations

from alembic.operations import Operations

from wardlight.db.migrations import _v0007_uploads


def upgrade(op: Operations) -> None:
    """Only adds. In parts; none of them is a version of its own."""
    for part in (_v0007_uploads,):
        part.upgrade(op)
