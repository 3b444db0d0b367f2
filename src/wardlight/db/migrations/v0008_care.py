"""Notifications to people, quarantine of uploads, results for others, classes, machine data, patients' rights."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations

from wardlight.db.migrations import (
    _v0008_handovers,
    _v0008_machine,
    _v0008_notifications,
    _v0008_quarantine,
    _v0008_regions,
    _v0008_rolls,
    _v0008_viewing,
)

#: In parts; none of them is a version of its own.
_PARTS: tuple[Any, ...] = (
    _v0008_handovers,
    _v0008_rolls,
    _v0008_notifications,
    _v0008_quarantine,
    _v0008_viewing,
    _v0008_regions,
    _v0008_machine,
)


def upgrade(op: Operations) -> None:
    """Only adds."""
    for part in _PARTS:
        part.upgrade(op)
