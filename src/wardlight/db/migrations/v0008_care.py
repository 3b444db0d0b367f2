"""Notifications to people, quarantine of uploads, results for others, classes, machine data, patients' rights."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations

#: In parts; none of them is a version of its own.
_PARTS: tuple[Any, ...] = ()


def upgrade(op: Operations) -> None:
    """Only adds."""
    for part in _PARTS:
        part.upgrade(op)
