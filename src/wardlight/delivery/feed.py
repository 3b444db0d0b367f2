"""The feed of an application's events at one institution: ordered, and read again as often as wanted (R9.1)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from wardlight import clock
from wardlight.access.model import Operation, Scope
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.sessions import ReadSessions
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.delivery import feed_store as store
from wardlight.delivery.model import Page, Told
from wardlight.errors import WardlightError
from wardlight.identity import liveness_store
from wardlight.identity.service import actor_of

#: Events of one page.
MOST: Final = 1000
_DAY_MS: Final = 86_400_000


class Feed:
    """Reads feeds. days: how long events are kept."""

    def __init__(self, database: Database, recorder: Recorder, sessions: ReadSessions, days: float) -> None:
        self._database = database
        self._recorder = recorder
        self._sessions = sessions
        self._days = days

    def page(self, scope: Scope, after: int, limit: int) -> Page:
        """Events behind a position. One whose grant has ended is told no more: `access.revoked` tells of that.

        A page with events is in the trail before it is returned; asking in vain is not. Raises `unauthenticated` where
        the token has ended since the decision: whoever waits asks long after it.
        """
        scope.require(Operation.FEED)
        application, token = scope.principal.id, scope.principal.token
        with self._database.read(scope.institution) as tx:
            if token is not None and liveness_store.ended(tx, [token]):
                raise WardlightError("unauthenticated", reason="invalid-token")
            found = store.after(tx, scope.institution, application, after, limit, clock.unix_ms())
            if len(found) == limit:
                after = found[-1].seq
            else:
                # What is told no more is passed over.
                newest = store.newest(tx, [application])
                after = max(after, newest.get((scope.institution, application), 0))
        if found:
            reading = self._sessions.begin(scope.institution, _read(scope))
            reading.count(results=len(found))
        return Page(found, after)

    def acknowledge(self, scope: Scope, event: UUID) -> None:
        """Note that the application has acted upon an event; again is no error. Raises `not-found`."""
        scope.require(Operation.FEED)
        with self._database.begin(scope.institution) as tx:
            told = store.by_id(tx, scope.institution, event)
            if told is None or told.application != scope.principal.id:
                raise WardlightError("not-found")
            if store.acknowledge(tx, event, clock.unix_ms()):
                self._recorder.write(tx, scope.institution, _acknowledged(scope, told))

    def newest(self, applications: Collection[str]) -> dict[tuple[UUID, str], int]:
        """Position of the newest event of each feed of these applications, by institution and application."""
        with self._database.read(EVERYWHERE) as tx:
            return store.newest(tx, applications)

    def prune(self) -> int:
        """Drop events that are too old; returns how many."""
        with self._database.begin(EVERYWHERE) as tx:
            return store.prune(tx, clock.unix_ms() - round(self._days * _DAY_MS))


def _read(scope: Scope) -> Event:
    return Event(
        scope.action,
        actor_of(scope.principal),
        target=Target("feed", id=scope.principal.id),
        purpose=scope.purpose,
        address=scope.address,
        request=scope.request,
        token=scope.principal.token_ref,
    )


def _acknowledged(scope: Scope, told: Told) -> Event:
    return Event(
        Action.EVENTS_NOTIFICATION_ACKNOWLEDGE,
        actor_of(scope.principal),
        target=Target("event", id=told.id.hex),
        grant=told.grant.hex if told.grant else "",
        purpose=scope.purpose,
        address=scope.address,
        request=scope.request,
        token=scope.principal.token_ref,
        detail={"kind": told.kind.value},
    )
