"""All SQL about entitlements and subscriptions."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select, update

from wardlight.agreements.model import Entitlement, Level, Subscription
from wardlight.agreements.store import joined, joined_classes, parsed_classes
from wardlight.agreements.tables import entitlement, subscription
from wardlight.db.prepared import Prepared

_SUBSCRIBED: Final = Prepared(
    select(subscription.c.created_ms).where(
        subscription.c.institution == bindparam("institution"),
        subscription.c.application == bindparam("application"),
        subscription.c.ended_ms.is_(None),
    )
)
_VERSIONS: Final = select(*entitlement.c).order_by(entitlement.c.application, entitlement.c.version.desc())
_NEWEST: Final = Prepared(_VERSIONS.where(entitlement.c.application == bindparam("application")).limit(1))


def is_subscribed(tx: Connection, institution: UUID, application: str) -> bool:
    """Whether the institution uses the application now."""
    return _SUBSCRIBED.first(tx, {"institution": institution, "application": application}) is not None


def subscriptions(tx: Connection, institution: UUID, application: str | None = None) -> list[Subscription]:
    """Subscriptions of an institution by application, ended ones too; the one of this application where it is named."""
    query = select(*subscription.c).where(subscription.c.institution == institution)
    if application is not None:
        query = query.where(subscription.c.application == application)
    return [Subscription(*row) for row in tx.execute(query.order_by(subscription.c.application))]


def subscribe(tx: Connection, institution: UUID, application: str, now_ms: int, by: str) -> None:
    """Begin a subscription, or begin again one that ended. Raises IntegrityError where another writer was first."""
    begun = {"created_ms": now_ms, "created_by": by, "ended_ms": None, "ended_by": ""}
    again = tx.execute(
        update(subscription)
        .where(subscription.c.institution == institution, subscription.c.application == application)
        .values(begun)
    )
    if not again.rowcount:
        tx.execute(insert(subscription), {"institution": institution, "application": application, **begun})


def unsubscribe(tx: Connection, institution: UUID, application: str, now_ms: int, by: str) -> bool:
    """End a subscription; False where there is none."""
    changed = tx.execute(
        update(subscription)
        .where(
            subscription.c.institution == institution,
            subscription.c.application == application,
            subscription.c.ended_ms.is_(None),
        )
        .values(ended_ms=now_ms, ended_by=by)
    )
    return changed.rowcount == 1


def subscribers(tx: Connection, application: str) -> list[UUID]:
    """Institutions that subscribe to an application now."""
    query = select(subscription.c.institution).where(
        subscription.c.application == application, subscription.c.ended_ms.is_(None)
    )
    return list(tx.execute(query).scalars())


def add(tx: Connection, row: Entitlement) -> None:
    """Insert one version; raises IntegrityError where another writer was first."""
    tx.execute(
        insert(entitlement),
        {
            "application": row.application,
            "version": row.version,
            "purposes": joined(row.purposes),
            "classes": joined_classes(row.classes),
            "level": row.level.value,
            "regions": joined(row.regions),
            "declared_by": row.declared_by,
            "document": row.document,
            "created_ms": row.created_ms,
            "created_by": row.created_by,
        },
    )


def newest(tx: Connection, application: str) -> Entitlement | None:
    """What an application asks for now."""
    row = _NEWEST.first(tx, {"application": application})
    return _entitlement(row) if row else None


def versions(tx: Connection, application: str | None = None) -> list[Entitlement]:
    """All versions by application, newest first; of one application where it is named."""
    query = _VERSIONS if application is None else _VERSIONS.where(entitlement.c.application == application)
    return [_entitlement(tuple(row)) for row in tx.execute(query)]


def _entitlement(row: tuple[Any, ...]) -> Entitlement:
    values = dict(zip((one.name for one in entitlement.c), row, strict=True))
    values["purposes"] = frozenset(values["purposes"].split())
    values["classes"] = parsed_classes(values["classes"])
    values["level"] = Level(values["level"])
    values["regions"] = frozenset(values["regions"].split())
    return Entitlement(**values)
