"""Routes in the receiver's database: which called AE titles there are, and what each is for (R3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from wardlight import clock
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.receiver.model import Level, Route, Target
from wardlight.receiver.tables import audit_pending, route, route_target


def read_routes(database: Database) -> list[Route]:
    """All routes, by called AE title."""
    with database.read() as tx:
        return _read(tx)


def read_route(database: Database, called_ae: str) -> Route:
    """The route of a called AE title. Raises WardlightError("not-found")."""
    for found in read_routes(database):
        if found.called_ae == called_ae:
            return found
    raise WardlightError("not-found", "there is no route of this called AE title")


def create_route(database: Database, new: Route, audit: Sequence[bytes]) -> Route:
    """Add a route. Raises WardlightError("bad-request") or "already-exists"."""
    new = new.checked()
    with database.begin() as tx:
        if any(found.called_ae == new.called_ae for found in _read(tx)):
            raise WardlightError("already-exists", "this called AE title has a route")
        insert_route(tx, new)
        _audit(tx, audit)
    return new


def change_route(database: Database, new: Route, audit: Sequence[bytes]) -> Route:
    """Put `new` in the place of the route of its called AE title. Raises WardlightError("not-found", "bad-request").

    Objects in the spool keep the releases that the route named when they came.
    """
    new = new.checked()
    with database.begin() as tx:
        if not tx.execute(update(route).where(route.c.called_ae == new.called_ae).values(_row(new))).rowcount:
            raise WardlightError("not-found", "there is no route of this called AE title")
        tx.execute(delete(route_target).where(route_target.c.called_ae == new.called_ae))
        _insert_targets(tx, new)
        _audit(tx, audit)
    return new


def delete_route(database: Database, called_ae: str, audit: Sequence[bytes]) -> None:
    """Remove a route: associations to its title are rejected from now on. Raises WardlightError("not-found")."""
    with database.begin() as tx:
        if not tx.execute(delete(route).where(route.c.called_ae == called_ae)).rowcount:
            raise WardlightError("not-found", "there is no route of this called AE title")
        _audit(tx, audit)


def insert_route(tx: Connection, new: Route) -> None:
    """Add the rows of a route that is checked already."""
    tx.execute(insert(route).values(called_ae=new.called_ae, **_row(new)))
    _insert_targets(tx, new)


def _insert_targets(tx: Connection, new: Route) -> None:
    rows = [
        {"called_ae": new.called_ae, "application": target.application, "level": str(target.level)}
        for target in new.targets
    ]
    tx.execute(insert(route_target), rows)


def _row(new: Route) -> dict[str, Any]:
    return {
        "calling": list(new.calling),
        "networks": list(new.networks),
        "unknown_syntaxes": new.unknown_syntaxes,
        "enabled": new.enabled,
        "changed_ms": clock.unix_ms(),
    }


def _read(tx: Connection) -> list[Route]:
    targets: dict[str, list[Target]] = {}
    for row in tx.execute(select(route_target)):
        targets.setdefault(row.called_ae, []).append(Target(row.application, Level(row.level)))
    return [
        Route(
            row.called_ae,
            tuple(sorted(targets.get(row.called_ae, []))),
            tuple(row.calling),
            tuple(row.networks),
            row.unknown_syntaxes,
            row.enabled,
        )
        for row in tx.execute(select(route).order_by(route.c.called_ae))
    ]


def _audit(tx: Connection, contents: Sequence[bytes]) -> None:
    if contents:
        tx.execute(insert(audit_pending), [{"content": content} for content in contents])
