"""Webhooks of applications: where they want events sent to, with what secret, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from wardlight import clock
from wardlight.access.model import Operation, Scope
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Change, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Connection, Database
from wardlight.db.ids import uuid7
from wardlight.delivery import webhook_store as store
from wardlight.delivery.model import KINDS, Delivery, State, Webhook
from wardlight.delivery.secrets import Secrets
from wardlight.egress import Egress
from wardlight.errors import WardlightError
from wardlight.events.outbox import Kind, tell_webhook
from wardlight.identity.rates import Rates
from wardlight.identity.service import actor_of

#: Webhooks of one application at one institution.
MOST: Final = 10
#: How long the old secret signs beside the new one.
ROTATION_MS: Final = 24 * 3_600_000
#: How long what became of a delivery is kept after its end.
KEPT_MS: Final = 30 * 86_400_000
_TESTS: Final = 6
_TEST_WINDOW_S: Final = 60


@dataclass(frozen=True, slots=True)
class Overview:
    """A webhook as an operator sees it: no secret, no payload."""

    webhook: Webhook
    pending: int
    dead: int


class Webhooks:
    """Registers, changes and ends webhooks, and shows what was delivered. Every change is an entry of the trail."""

    def __init__(
        self, database: Database, recorder: Recorder, rates: Rates, secrets: Secrets, egress: Egress
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._rates = rates
        self._secrets = secrets
        self._egress = egress

    def register(self, scope: Scope, url: str, kinds: Sequence[str]) -> tuple[Webhook, str]:
        """Send events there from now on; returns the secret as well, which is shown never again.

        Raises `bad-request`, `conflict`.
        """
        scope.require(Operation.WEBHOOKS)
        wanted, address = _kinds(kinds), self._address(url)
        id_ = uuid7()
        shown, sealed = self._secrets.new(scope.institution, id_)
        row = Webhook(
            id_,
            scope.institution,
            scope.principal.id,
            address,
            wanted,
            sealed,
            None,
            0,
            clock.unix_ms(),
            0,
            0,
        )
        with self._database.begin(scope.institution) as tx:
            if len(store.of(tx, scope.institution, scope.principal.id)) >= MOST:
                raise WardlightError("conflict", f"an application has {MOST} webhooks at most")
            store.add(tx, row)
            changes = (Change("url", after=_told(address)), Change("kinds", after=" ".join(wanted) or "all"))
            self._write(tx, scope, Action.EVENTS_WEBHOOK_CREATE, row, change=changes)
        return row, shown

    def listed(self, scope: Scope) -> list[Webhook]:
        """The application's webhooks at its institution."""
        scope.require(Operation.WEBHOOKS)
        with self._database.begin(scope.institution) as tx:
            found = store.of(tx, scope.institution, scope.principal.id)
            self._write(tx, scope, Action.EVENTS_WEBHOOK_READ, None, counts={"results": len(found)})
        return found

    def find(self, scope: Scope, id_: UUID) -> Webhook:
        """One of them. Raises `not-found`."""
        with self._database.begin(scope.institution) as tx:
            row = self._own(tx, scope, id_)
            self._write(tx, scope, Action.EVENTS_WEBHOOK_READ, row, counts={"results": 1})
        return row

    def change(self, scope: Scope, id_: UUID, url: str, kinds: Sequence[str]) -> Webhook:
        """Send elsewhere, or other events, from now on. Raises `not-found`, `bad-request`."""
        scope.require(Operation.WEBHOOKS)
        wanted, address = _kinds(kinds), self._address(url)
        with self._database.begin(scope.institution) as tx:
            row = self._own(tx, scope, id_)
            store.change(tx, id_, address, wanted)
            changes = (
                Change("url", _told(row.url), _told(address)),
                Change("kinds", " ".join(row.kinds) or "all", " ".join(wanted) or "all"),
            )
            self._write(tx, scope, Action.EVENTS_WEBHOOK_CHANGE, row, change=changes)
            return self._own(tx, scope, id_)

    def rotate(self, scope: Scope, id_: UUID) -> str:
        """Make a new secret, which is returned; for 24 hours the old one signs as well. Raises `not-found`."""
        with self._database.begin(scope.institution) as tx:
            row = self._own(tx, scope, id_)
            shown, sealed = self._secrets.new(row.institution, row.id)
            store.rotate(tx, id_, sealed, clock.unix_ms() + ROTATION_MS)
            self._write(tx, scope, Action.EVENTS_WEBHOOK_CHANGE, row, change=(Change("secret"),))
        return shown

    def end(self, scope: Scope, id_: UUID) -> None:
        """Send nothing more there. Raises `not-found`."""
        with self._database.begin(scope.institution) as tx:
            row = self._own(tx, scope, id_)
            dropped = store.end(tx, id_, clock.unix_ms())
            counts = {"deliveries": dropped} if dropped else {}
            self._write(tx, scope, Action.EVENTS_WEBHOOK_DELETE, row, counts=counts)

    def test(self, scope: Scope, id_: UUID) -> UUID:
        """Have an event about nothing sent there; returns its id. Raises `not-found`, `rate-limited`."""
        with self._database.begin(scope.institution) as tx:
            row = self._own(tx, scope, id_)
            self._rates.take(
                tx, f"webhook-test:{row.application}:{row.institution.hex}", _TESTS, _TEST_WINDOW_S
            )
            event = tell_webhook(tx, row.application, row.institution, row.id)
            self._write(tx, scope, Action.EVENTS_WEBHOOK_TEST, row)
        return event

    def deliveries(
        self, scope: Scope, id_: UUID, state: State | None, before: UUID | None, limit: int
    ) -> list[Delivery]:
        """What became of what was to be sent there, newest first. Raises `not-found`."""
        with self._database.begin(scope.institution) as tx:
            row = self._own(tx, scope, id_)
            found = store.deliveries(tx, id_, state, before, limit)
            self._write(tx, scope, Action.EVENTS_WEBHOOK_READ, row, counts={"results": len(found)})
        return found

    def redeliver(self, scope: Scope, id_: UUID, delivery: UUID) -> None:
        """Send an event once more, with the same id. Raises `not-found`."""
        with self._database.begin(scope.institution) as tx:
            row = self._own(tx, scope, id_)
            found = store.delivery_by_id(tx, id_, delivery)
            if found is None:
                raise WardlightError("not-found")
            store.again(tx, id_, delivery, clock.unix_ms())
            detail = {"event": found.event.hex}
            self._write(tx, scope, Action.EVENTS_NOTIFICATION_REDELIVER, row, detail=detail)

    # ---- the operator's ----

    def overview(self, application: str | None = None) -> list[Overview]:
        """All webhooks, or an application's, and how many deliveries wait or were given up."""
        with self._database.read(EVERYWHERE) as tx:
            found = []
            for row in store.everywhere(tx, application):
                counted = store.waiting(tx, row.id)
                found.append(Overview(row, counted[State.PENDING], counted[State.DEAD]))
        return found

    def redeliver_dead(self, id_: UUID, *, by: Actor) -> int:
        """Send once more what was given up at a webhook; returns how much. Raises `not-found`."""
        with self._database.read(EVERYWHERE) as tx:
            row = store.by_id(tx, id_)
        if row is None:
            raise WardlightError("not-found", "there is no such webhook")
        with self._database.begin(row.institution) as tx:
            found = store.dead(tx, id_)
            for one in found:
                store.again(tx, id_, one.id, clock.unix_ms())
            event = Event(
                Action.EVENTS_NOTIFICATION_REDELIVER,
                by,
                target=Target("webhook", id=id_.hex),
                counts={"deliveries": len(found)},
            )
            self._recorder.write(tx, row.institution, event)
        return len(found)

    def prune(self) -> int:
        """Drop deliveries that ended long ago; returns how many."""
        with self._database.begin(EVERYWHERE) as tx:
            return store.prune(tx, clock.unix_ms() - KEPT_MS)

    def _address(self, url: str) -> str:
        """The URL, if its addresses may be reached now. Why not is not told: it would show what is in our network."""
        try:
            return self._egress.check(url)
        except OSError:
            raise WardlightError("bad-request", "url is no https address that webhooks may reach") from None

    def _own(self, tx: Connection, scope: Scope, id_: UUID) -> Webhook:
        scope.require(Operation.WEBHOOKS)
        row = store.by_id(tx, id_)
        if row is None or (row.institution, row.application) != (scope.institution, scope.principal.id):
            raise WardlightError("not-found")
        return row

    def _write(
        self,
        tx: Connection,
        scope: Scope,
        action: Action,
        row: Webhook | None,
        *,
        change: tuple[Change, ...] = (),
        counts: Mapping[str, int] | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        event = Event(
            action,
            actor_of(scope.principal),
            target=Target("webhook", id=row.id.hex) if row else None,
            purpose=scope.purpose,
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            counts=counts or {},
            change=change,
            detail=detail or {},
        )
        self._recorder.write(tx, scope.institution, event)


def _kinds(texts: Sequence[str]) -> tuple[Kind, ...]:
    known = {kind.value: kind for kind in KINDS}
    if not set(texts) <= known.keys():
        raise WardlightError("bad-request", f"kinds are of {', '.join(known)}")
    return tuple(known[text] for text in sorted(set(texts)))


def _told(url: str) -> str:
    """As the trail tells it: without the query, in which a secret may stand."""
    return url.partition("?")[0][:400]
