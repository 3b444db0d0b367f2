"""All SQL about what applications may tell."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update

from wardlight.agreements.tables import subscription
from wardlight.notifications.model import Channel, Definition, Permission
from wardlight.notifications.own import OWN
from wardlight.notifications.tables import definition


def _definition(row: Row[*tuple[Any, ...]]) -> Definition:
    return Definition(
        application=row.application,
        name=row.name,
        version=row.version,
        title=row.title,
        text=row.text,
        permission=Permission(row.permission),
        licence=row.licence,
        channels=frozenset(Channel(one) for one in row.channels.split()),
        created_ms=row.created_ms,
        retired_ms=row.retired_ms,
    )


def definitions(
    tx: Connection, institution: UUID, application: str | None = None, *, every: bool = False
) -> list[Definition]:
    """Newest versions at an institution, of one application where it is named; every: all versions, retired too."""
    query = select(definition).where(definition.c.institution == institution)
    if application is not None:
        query = query.where(definition.c.application == application)
    query = query.order_by(definition.c.application, definition.c.name, definition.c.version.desc())
    rows = [_definition(row) for row in tx.execute(query)]
    if every:
        return rows
    newest = {row.key: row for row in reversed(rows)}
    return sorted((row for row in newest.values() if row.retired_ms is None), key=lambda row: row.key)


def subscribed(tx: Connection, institution: UUID) -> set[str]:
    """Applications that the institution subscribes to."""
    query = select(subscription.c.application).where(
        subscription.c.institution == institution, subscription.c.ended_ms.is_(None)
    )
    return set(tx.execute(query).scalars())


def add_definition(tx: Connection, institution: UUID, row: Definition) -> None:
    """One more version. Raises IntegrityError where another writer was first."""
    values = {
        "institution": institution,
        "application": row.application,
        "name": row.name,
        "version": row.version,
        "title": row.title,
        "text": row.text,
        "permission": row.permission.value,
        "licence": row.licence,
        "channels": " ".join(sorted(row.channels)),
        "created_ms": row.created_ms,
    }
    tx.execute(insert(definition), values)


def retire(tx: Connection, institution: UUID, row: Definition, now_ms: int) -> None:
    """Tell nobody of it any more."""
    one = (
        definition.c.institution == institution,
        definition.c.application == row.application,
        definition.c.name == row.name,
    )
    tx.execute(update(definition).where(*one).values(retired_ms=now_ms))


def versions(
    tx: Connection, institution: UUID, applications: Collection[str]
) -> dict[tuple[str, str, int], Definition]:
    """Every version of these applications' definitions, and of the platform's own."""
    found = [*OWN.values()]
    for application in applications:
        if application:
            found += definitions(tx, institution, application, every=True)
    return {(one.application, one.name, one.version): one for one in found}
