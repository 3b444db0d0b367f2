"""Routes of feeds and webhooks (docs/reference/events.md)."""

from __future__ import annotations

from typing import Final

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import delivery
from wardlight.audit.actions import Action
from wardlight.delivery.feed import MOST
from wardlight.delivery.model import State
from wardlight.web.about import JSON, About, Parameter
from wardlight.web.follow import LONGEST_WAIT_S, STREAM, USUAL, events
from wardlight.web.routes import Follow, Manage

_EVENTS: Final = "/api/v1/events"
_WEBHOOKS: Final = "/api/v1/webhooks"
_ONE: Final = f"{_WEBHOOKS}/{{webhook}}"
_DELIVERIES: Final = f"{_ONE}/deliveries"

_WHO: Final = frozenset({PrincipalKind.APPLICATION})
_FOLLOW: Final = frozenset({TokenScope.EVENTS_READ})
_MANAGE: Final = frozenset({TokenScope.WEBHOOKS_MANAGE})
_READ: Final = Action.EVENTS_WEBHOOK_READ
_CHANGE: Final = Action.EVENTS_WEBHOOK_CHANGE


def _number(name: str, description: str, most: int, least: int = 0) -> Parameter:
    return Parameter(name, description, {"type": "integer", "minimum": least, "maximum": most})


_FEED: Final = (
    Follow(
        _EVENTS,
        events,
        Action.EVENTS_FEED_READ,
        Operation.FEED,
        _WHO,
        _FOLLOW,
        About(
            "Read Events",
            "The application's events behind a position, in their order; as a stream where that is accepted.",
            (JSON, STREAM),
            errors=(429,),
            query=(
                _number(
                    "after", "Position of the last event that was dealt with; Last-Event-ID wins.", 10**12
                ),
                _number("limit", f"Most events; {USUAL} without it.", MOST, least=1),
                _number("wait", "Most seconds to wait where there are none.", LONGEST_WAIT_S),
            ),
            schema="Events",
        ),
    ),
    Manage(
        f"{_EVENTS}/{{event}}/acknowledge",
        delivery.acknowledge,
        Action.EVENTS_NOTIFICATION_ACKNOWLEDGE,
        Operation.FEED,
        _WHO,
        _FOLLOW,
        About(
            "Acknowledge Event",
            "It was acted upon; of a deletion, that nothing is left of the study at the application.",
            (JSON,),
            errors=(413, 415),
            schema="Acknowledged",
        ),
        method="POST",
    ),
)

_REGISTRATION: Final = (
    Manage(
        _WEBHOOKS,
        delivery.listed,
        _READ,
        Operation.WEBHOOKS,
        _WHO,
        _MANAGE,
        About("List Webhooks", "The application's webhooks.", (JSON,), schema="Webhooks"),
    ),
    Manage(
        _WEBHOOKS,
        delivery.register,
        Action.EVENTS_WEBHOOK_CREATE,
        Operation.WEBHOOKS,
        _WHO,
        _MANAGE,
        About(
            "Register Webhook",
            "Send events there from now on. The only answer that shows the secret.",
            (JSON,),
            consumes=(JSON,),
            statuses=(201,),
            errors=(409, 413, 415),
            schema="NewWebhook",
            takes="WebhookTerms",
        ),
        method="POST",
    ),
    Manage(
        _ONE,
        delivery.one,
        _READ,
        Operation.WEBHOOKS,
        _WHO,
        _MANAGE,
        About("Show Webhook", "Where it goes, and which kinds.", (JSON,), schema="Webhook"),
    ),
    Manage(
        _ONE,
        delivery.change,
        _CHANGE,
        Operation.WEBHOOKS,
        _WHO,
        _MANAGE,
        About(
            "Change Webhook",
            "Send elsewhere, or other kinds; the secret stays.",
            (JSON,),
            consumes=(JSON,),
            errors=(413, 415),
            schema="Webhook",
            takes="WebhookTerms",
        ),
        method="PUT",
    ),
    Manage(
        _ONE,
        delivery.end,
        Action.EVENTS_WEBHOOK_DELETE,
        Operation.WEBHOOKS,
        _WHO,
        _MANAGE,
        About("End Webhook", "Send nothing more there.", (JSON,), schema="Ended"),
        method="DELETE",
    ),
    Manage(
        f"{_ONE}/rotate",
        delivery.rotate,
        _CHANGE,
        Operation.WEBHOOKS,
        _WHO,
        _MANAGE,
        About(
            "Rotate Secret",
            "A new secret, shown once; for 24 hours deliveries are signed with both.",
            (JSON,),
            errors=(413, 415),
            schema="Rotated",
        ),
        method="POST",
    ),
    Manage(
        f"{_ONE}/test",
        delivery.test,
        Action.EVENTS_WEBHOOK_TEST,
        Operation.WEBHOOKS,
        _WHO,
        _MANAGE,
        About(
            "Test Webhook",
            "Send an event about nothing, six in a minute at most.",
            (JSON,),
            statuses=(202,),
            errors=(413, 415, 429),
            schema="Tested",
        ),
        method="POST",
    ),
)

_LOG: Final = (
    Manage(
        _DELIVERIES,
        delivery.deliveries,
        _READ,
        Operation.WEBHOOKS,
        _WHO,
        _MANAGE,
        About(
            "List Deliveries",
            "What became of each event, newest first.",
            (JSON,),
            query=(
                Parameter("state", "Of this state only.", {"enum": [state.value for state in State]}),
                Parameter("after", "`next` of the page before.", {"type": "string"}),
                _number("limit", "Most deliveries.", 500, least=1),
            ),
            schema="Deliveries",
        ),
    ),
    Manage(
        f"{_DELIVERIES}/{{delivery}}/redeliver",
        delivery.redeliver,
        Action.EVENTS_NOTIFICATION_REDELIVER,
        Operation.WEBHOOKS,
        _WHO,
        _MANAGE,
        About(
            "Redeliver",
            "Send an event once more, with the same id.",
            (JSON,),
            statuses=(202,),
            errors=(413, 415),
            schema="Redelivered",
        ),
        method="POST",
    ),
)

DELIVERY: Final = (*_FEED, *_REGISTRATION, *_LOG)
