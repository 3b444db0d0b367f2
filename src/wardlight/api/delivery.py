"""An application's webhooks, what became of deliveries, and what it has acknowledged (R9.1)."""

from __future__ import annotations

from typing import Any, Final

from wardlight import clock
from wardlight.api.call import ApiRequest
from wardlight.api.fields import Fields, parsed_id
from wardlight.delivery.model import Delivery, State, Webhook
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.trail.call import answer

_FIELDS: Final = frozenset({"url", "kinds"})
_PAGE: Final = 100
_MOST: Final = 500


def acknowledge(request: ApiRequest) -> Answer:
    """POST /api/v1/events/{event}/acknowledge: it was acted upon; of a deletion, nothing is left of the study."""
    event = parsed_id(request.path["event"])
    request.platform.feed.acknowledge(request.scope, event)
    return answer({"id": event.hex, "acknowledged": True})


def register(request: ApiRequest) -> Answer:
    """POST /api/v1/webhooks: the only answer that shows its secret."""
    fields = Fields(request.body, _FIELDS)
    row, secret = request.platform.webhooks.register(
        request.scope, fields.text("url"), sorted(fields.words("kinds"))
    )
    return answer({**_webhook(row), "secret": secret}, 201)


def listed(request: ApiRequest) -> Answer:
    """GET /api/v1/webhooks."""
    return answer({"webhooks": [_webhook(row) for row in request.platform.webhooks.listed(request.scope)]})


def one(request: ApiRequest) -> Answer:
    """GET /api/v1/webhooks/{webhook}."""
    row = request.platform.webhooks.find(request.scope, parsed_id(request.path["webhook"]))
    return answer(_webhook(row))


def change(request: ApiRequest) -> Answer:
    """PUT /api/v1/webhooks/{webhook}: where to, and which kinds; the secret stays."""
    fields = Fields(request.body, _FIELDS)
    row = request.platform.webhooks.change(
        request.scope, parsed_id(request.path["webhook"]), fields.text("url"), sorted(fields.words("kinds"))
    )
    return answer(_webhook(row))


def end(request: ApiRequest) -> Answer:
    """DELETE /api/v1/webhooks/{webhook}: what waits for it is dropped; the feed has it."""
    webhook = parsed_id(request.path["webhook"])
    request.platform.webhooks.end(request.scope, webhook)
    return answer({"id": webhook.hex, "ended": True})


def rotate(request: ApiRequest) -> Answer:
    """POST /api/v1/webhooks/{webhook}/rotate: a new secret; for 24 hours deliveries are signed with both."""
    webhook = parsed_id(request.path["webhook"])
    return answer({"id": webhook.hex, "secret": request.platform.webhooks.rotate(request.scope, webhook)})


def test(request: ApiRequest) -> Answer:
    """POST /api/v1/webhooks/{webhook}/test: an event about nothing; what became of it is among its deliveries."""
    webhook = parsed_id(request.path["webhook"])
    event = request.platform.webhooks.test(request.scope, webhook)
    return answer({"id": webhook.hex, "event": event.hex}, 202)


def deliveries(request: ApiRequest) -> Answer:
    """GET /api/v1/webhooks/{webhook}/deliveries: newest first; neither what was sent nor what was answered."""
    query = request.query
    limit = _limit(query.get("limit", ""))
    rows = request.platform.webhooks.deliveries(
        request.scope,
        parsed_id(request.path["webhook"]),
        _state(query.get("state", "")),
        parsed_id(query["after"], "bad-request") if "after" in query else None,
        limit + 1,
    )
    shown: dict[str, Any] = {"deliveries": [_delivery(row) for row in rows[:limit]]}
    if len(rows) > limit:
        shown["next"] = rows[limit - 1].id.hex
    return answer(shown)


def redeliver(request: ApiRequest) -> Answer:
    """POST /api/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver: once more, with the same event id."""
    delivery = parsed_id(request.path["delivery"])
    request.platform.webhooks.redeliver(request.scope, parsed_id(request.path["webhook"]), delivery)
    return answer({"id": delivery.hex, "state": State.PENDING.value}, 202)


def _limit(text: str) -> int:
    if not text:
        return _PAGE
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST:
        raise WardlightError("bad-request", f"limit is 1 to {_MOST}")
    return int(text)


def _state(text: str) -> State | None:
    try:
        return State(text) if text else None
    except ValueError:
        raise WardlightError("bad-request", f"state is one of {', '.join(State)}") from None


def _webhook(row: Webhook) -> dict[str, Any]:
    return {
        "id": row.id.hex,
        "url": row.url,
        "kinds": [kind.value for kind in row.kinds],
        "created": clock.timestamp_ms(row.created_ms),
        "failures": row.failures,
        "old_secret_until": _time(row.old_until_ms or None),
    }


def _delivery(row: Delivery) -> dict[str, Any]:
    return {
        "id": row.id.hex,
        "event": row.event.hex,
        "type": row.kind,
        "state": row.state.value,
        "attempts": row.attempts,
        "created": clock.timestamp_ms(row.created_ms),
        "tried": _time(row.tried_ms),
        "ended": _time(row.ended_ms),
        "took_ms": row.took_ms,
        "next": _time(row.next_ms if row.state is State.PENDING else None),
        "status": row.status,
        "reason": row.reason,
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else clock.timestamp_ms(at_ms)
