"""Identity, agreements, grants, deletion and delivery: who may see what, until when, and how that ends."""

from __future__ import annotations

from alembic.operations import Operations

from wardlight.db.migrations import (
    _v0006_access,
    _v0006_agreements,
    _v0006_archive,
    _v0006_delivery,
    _v0006_identity,
    _v0006_oauth,
    _v0006_oidc,
    _v0006_trail,
)


def upgrade(op: Operations) -> None:
    """Only adds. In parts, since one module would be too long; none of them is a version of its own."""
    for part in (
        _v0006_identity,
        _v0006_oauth,
        _v0006_oidc,
        _v0006_agreements,
        _v0006_access,
        _v0006_archive,
        _v0006_delivery,
        _v0006_trail,
    ):
        part.upgrade(op)
