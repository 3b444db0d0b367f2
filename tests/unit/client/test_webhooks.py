"""Webhooks are taken from the platform only, and each once."""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, b64encode

import pytest

from wardlight import client as wl

NOW = 1_795_507_560
SECRETS = ["whsec_" + b64encode(bytes([number]) * 32).decode() for number in range(3)]
EVENT = {"specversion": "1.0", "id": "e1", "type": "access.revoked", "time": "t", "data": {"grant": "g"}}


def signed(secret: str, body: bytes, sent: int = NOW, id_: str = "e1") -> dict[str, str]:
    key = b64decode(secret.removeprefix("whsec_"))
    signature = b64encode(hmac.digest(key, f"{id_}.{sent}.".encode() + body, "sha256")).decode()
    return {"Webhook-Id": id_, "webhook-timestamp": str(sent), "webhook-signature": f"v1,{signature}"}


BODY = json.dumps(EVENT).encode()


def test_the_example_of_the_standard() -> None:
    """Its signature is good; what it signs is no event of ours, which is looked at only after."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    with pytest.raises(wl.WebhookError, match="no event"):
        wl.verify(secret, headers, b'{"test": 2432232314}', now=1614265330)
    with pytest.raises(wl.WebhookError, match="signature"):
        wl.verify(secret, headers, b'{"test": 2432232315}', now=1614265330)


def test_an_event_is_taken() -> None:
    event = wl.verify(SECRETS[0], signed(SECRETS[0], BODY), BODY, now=NOW)
    assert (event.id, event.type, event.grant) == ("e1", "access.revoked", "g")


def test_rotation() -> None:
    both = signed(SECRETS[0], BODY)
    both["webhook-signature"] += " v1a,AAAA " + signed(SECRETS[1], BODY)["webhook-signature"]
    for secrets in (SECRETS[0], SECRETS[1], SECRETS[:2], SECRETS[1:]):
        assert wl.verify(secrets, both, BODY, now=NOW).id == "e1"
    with pytest.raises(wl.WebhookError):
        wl.verify(SECRETS[2], both, BODY, now=NOW)


@pytest.mark.parametrize("late", [-301, 301])
def test_old_and_future_ones_are_refused(late) -> None:
    headers = signed(SECRETS[0], BODY, NOW + late)
    with pytest.raises(wl.WebhookError, match="old"):
        wl.verify(SECRETS[0], headers, BODY, now=NOW)
    assert wl.verify(SECRETS[0], headers, BODY, now=NOW + late - 299)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v2," + signed(SECRETS[0], BODY)["webhook-signature"][3:]},
        {"webhook-signature": "v1,\udcff"},
        {"webhook-timestamp": "0x10"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-timestamp": str(NOW + 1)},
        {"Webhook-Id": "e2"},
    ],
)
def test_changed_headers_are_refused(change) -> None:
    headers = {**signed(SECRETS[0], BODY), **change}
    with pytest.raises(wl.WebhookError):
        wl.verify(SECRETS[0], headers, BODY, now=NOW)


def test_headers_that_lack_are_refused() -> None:
    for name in signed(SECRETS[0], BODY):
        headers = signed(SECRETS[0], BODY)
        del headers[name]
        with pytest.raises(wl.WebhookError):
            wl.verify(SECRETS[0], headers, BODY, now=NOW)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"null", b"\xff", json.dumps({**EVENT, "id": "e2"}).encode()]
)
def test_good_signatures_of_what_is_no_event_of_theirs(body) -> None:
    with pytest.raises(wl.WebhookError):
        wl.verify(SECRETS[0], signed(SECRETS[0], body), body, now=NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "whsec_ä", "nothing"])
def test_a_secret_that_is_none_is_a_mistake_of_ours(secret) -> None:
    with pytest.raises(ValueError, match="secret"):
        wl.verify(secret, signed(SECRETS[0], BODY), BODY, now=NOW)


def test_seen_ids() -> None:
    now = 0.0
    seen = wl.SeenIds(seconds=10, most=3, clock=lambda: now)
    assert [seen.is_new(id_) for id_ in ("a", "b", "a")] == [True, True, False]
    now = 11.0
    assert seen.is_new("a")  # it is too long ago
    for id_ in ("c", "d", "e", "f"):
        assert seen.is_new(id_)
    assert seen.is_new("a")  # and so many are not kept
    assert len(seen._seen) <= 4
