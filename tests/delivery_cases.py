"""Cases of feeds and webhooks for `test_audit_unwritable`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wardlight.access.model import Operation, Principal, PrincipalKind, Scope, TokenScope
from wardlight.audit.actions import Action
from wardlight.delivery import feed_store
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY

#: Subscribed, and so told of that.
PARTNER = "acme_reader_prod"
#: Public, and never connected to here.
URL = "https://93.184.215.14/hook"

ELSEWHERE = {
    "delivery/deliver.Deliverer._write": "test_deliver: nothing is sent, or taken for sent, without its entry"
}


def _scope(world: Any, action: Action, operation: Operation) -> Scope:
    held = frozenset({TokenScope.EVENTS_READ, TokenScope.WEBHOOKS_MANAGE})
    principal = Principal(
        PrincipalKind.APPLICATION, PARTNER, world.own.id, None, held, "ref", purpose="TREAT"
    )
    return world.platform.access.scope_for(principal, action, operation=operation, request="0" * 32)


def _page(world: Any) -> Any:
    return world.platform.feed.page(_scope(world, Action.EVENTS_FEED_READ, Operation.FEED), 0, 10)


def _acknowledge(world: Any) -> None:
    with world.platform.database.read(world.own.id) as tx:
        event = feed_store.after(tx, world.own.id, PARTNER, 0, 1, 0)[0].id
    world.platform.feed.acknowledge(_scope(world, Action.EVENTS_FEED_READ, Operation.FEED), event)


def _register(world: Any) -> Any:
    scope = _scope(world, Action.EVENTS_WEBHOOK_CREATE, Operation.WEBHOOKS)
    return world.platform.webhooks.register(scope, URL, [])


def _redeliver(world: Any) -> Any:
    return world.platform.webhooks.redeliver_dead(
        world.platform.webhooks.overview(PARTNER)[0].webhook.id, by=BY
    )


CASES: dict[str, Callable[[Any], object]] = {
    "delivery/feed.Feed.page": _page,
    "delivery/feed.Feed.acknowledge": _acknowledge,
    "delivery/webhooks.Webhooks._write": _register,
    "delivery/webhooks.Webhooks.redeliver_dead": _redeliver,
}
