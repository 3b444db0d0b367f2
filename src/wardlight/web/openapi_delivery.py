"""Schemas of feeds and webhooks."""

from __future__ import annotations

from typing import Any, Final

from wardlight.delivery.model import KINDS, State
from wardlight.events.outbox import Kind

_ID: Final = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_TIME: Final = {"type": "string", "format": "date-time"}
_LATER: Final = {"type": ["string", "null"], "format": "date-time"}
_KINDS: Final = {
    "type": "array",
    "items": {"enum": [kind.value for kind in KINDS]},
    "description": "Empty: all kinds.",
}
_SECRET: Final = {"type": "string", "description": "`whsec_` and 32 bytes in base64; shown once."}


def _object(required: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required or properties), "properties": properties}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_EVENT: Final = _object(
    specversion={"const": "1.0"},
    id=_ID,
    source={"type": "string", "description": "The institution."},
    type={"enum": [kind.value for kind in Kind]},
    time=_TIME,
    sequence={"type": "string", "description": "Its position in the feed, with zeros before it."},
    datacontenttype={"const": "application/json"},
    data={
        "type": "object",
        "properties": {"grant": {**_ID, "description": "Whose study it is about."}},
        "additionalProperties": {"description": "Ids, counts and codes."},
    },
)
_WEBHOOK: Final[dict[str, Any]] = {
    "id": _ID,
    "url": {"type": "string", "format": "uri"},
    "kinds": _KINDS,
    "created": _TIME,
    "failures": {"type": "integer", "description": "Since the last success."},
    "old_secret_until": _LATER,
}

SCHEMAS: Final[dict[str, Any]] = {
    "Event": _EVENT,
    "Events": _object(
        events={"type": "array", "items": _reference("Event")},
        next={"type": "string", "description": "`after` of the next request."},
    ),
    "Acknowledged": _object(id=_ID, acknowledged={"type": "boolean"}),
    "Webhook": _object(**_WEBHOOK),
    "NewWebhook": _object(**_WEBHOOK, secret=_SECRET),
    "Webhooks": _object(webhooks={"type": "array", "items": _reference("Webhook")}),
    "WebhookTerms": {
        **_object(("url",), url={"type": "string", "description": "https, public or listed."}, kinds=_KINDS),
        "additionalProperties": False,
    },
    "Rotated": _object(id=_ID, secret=_SECRET),
    "Tested": _object(id=_ID, event=_ID),
    "Redelivered": _object(id=_ID, state={"const": State.PENDING.value}),
    "Delivery": _object(
        id=_ID,
        event=_ID,
        type={"type": "string"},
        state={"enum": [state.value for state in State]},
        attempts={"type": "integer"},
        created=_TIME,
        tried=_LATER,
        ended=_LATER,
        took_ms={
            "type": ["integer", "null"],
            "description": "How long the try that ended it took, in milliseconds.",
        },
        next=_LATER,
        status={"type": ["integer", "null"], "description": "HTTP status of the last answer."},
        reason={"type": "string", "description": "Why the last try failed."},
    ),
    "Deliveries": _object(
        ("deliveries",),
        deliveries={"type": "array", "items": _reference("Delivery")},
        next={"type": "string", "description": "`after` of the next page."},
    ),
}

PARAMETERS: Final[dict[str, Any]] = {
    name: {"name": name, "in": "path", "required": True, "description": text, "schema": _ID}
    for name, text in (
        ("event", "An event's id."),
        ("webhook", "A webhook's id."),
        ("delivery", "A delivery's id."),
    )
}
