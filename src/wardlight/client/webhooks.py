"""Webhooks: whether a delivery is the platform's own and new (Standard Webhooks 1.0.0)."""

from __future__ import annotations

import hmac
import time
from base64 import b64decode, b64encode
from binascii import Error
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from wardlight.client.errors import WardlightClientError
from wardlight.client.model import Event

#: Seconds by which the time of a delivery may differ from ours.
TOLERANCE_S: Final = 300
#: How long ids are remembered: the platform tries again for less than that.
REMEMBERED_S: Final = 24 * 3600

_PREFIX: Final = "whsec_"
#: Signatures that are looked at: with rotation there are two.
_MOST_SIGNATURES: Final = 16


class WebhookError(WardlightClientError):
    """The delivery is not to be trusted; answer 400 and forget it."""


def verify(
    secrets: str | Sequence[str], headers: Mapping[str, str], body: bytes, *, now: float | None = None
) -> Event:
    """The event that a delivery brings. Raises WebhookError where it is not from the platform, or too old or new.

    secrets: the endpoint's (`whsec_…`); during a rotation the old and the new. headers, body: of the request, the body
    as it came. now: seconds since 1970, the clock's without it. A known id is not refused: drop it with `SeenIds`, and
    answer 2xx.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        id_, sent, signatures = (found[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError:
        raise WebhookError("a webhook header is missing") from None
    if not (sent.isascii() and sent.isdigit() and len(sent) <= 12):
        raise WebhookError("the time is no number")
    if abs((time.time() if now is None else now) - int(sent)) > TOLERANCE_S:
        raise WebhookError("the delivery is too old or too new")
    signed = f"{id_}.{sent}.".encode() + body
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    good = {b64encode(hmac.digest(key, signed, "sha256")) for key in keys}
    given = [
        value.encode("utf-8", "replace")
        for version, _, value in (one.partition(",") for one in signatures.split()[:_MOST_SIGNATURES])
        if version == "v1"
    ]
    # Each is compared with each: how long it takes says nothing of which was nearly right.
    if not any([hmac.compare_digest(one, other) for one in given for other in good]):
        raise WebhookError("no signature fits")
    try:
        event = Event.parse(body)
    except (ValueError, KeyError, TypeError):
        raise WebhookError("the body is no event") from None
    if event.id != id_:
        raise WebhookError("the id is another event's")
    return event


def _key(secret: str) -> bytes:
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (Error, ValueError):
        raise ValueError("a webhook secret is whsec_ and base64") from None
    if len(key) < 24:
        raise ValueError("a webhook secret has 24 bytes at least")
    return key


class SeenIds:
    """Ids that were seen in the last `seconds`, `most` at most: deliveries come at least once. Kept in memory.

    A receiver of several processes needs a table of its own instead.
    """

    def __init__(
        self,
        seconds: float = REMEMBERED_S,
        most: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds, self._most, self._clock = seconds, most, clock
        self._seen: OrderedDict[str, float] = OrderedDict()

    def is_new(self, id_: str) -> bool:
        """Whether the id was not seen before; from now on it was."""
        now = self._clock()
        while self._seen and (
            len(self._seen) > self._most or next(iter(self._seen.values())) < now - self._seconds
        ):
            self._seen.popitem(last=False)
        if id_ in self._seen:
            return False
        self._seen[id_] = now
        return True
