"""Webhooks: who may register what, secrets, rotation, tests of them, their log; all of it in the trail."""

from __future__ import annotations

from base64 import b64decode
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from delivery_kit import Clock, told
from delivery_kit import an_endpoint as endpoint
from share_kit import ACME, BETA
from wardlight.access.model import Operation
from wardlight.audit.actions import Action
from wardlight.cli import app
from wardlight.client import webhooks as client
from wardlight.delivery import webhooks
from wardlight.delivery.model import KINDS, State
from wardlight.delivery.secrets import signature_headers
from wardlight.errors import WardlightError
from wardlight.events.outbox import Kind


@pytest.fixture
def place():
    with endpoint() as running:
        yield running


@pytest.fixture
def kit(stores, place):
    with told(place) as hospital:
        yield hospital


@pytest.fixture
def ward(place):
    """The same on the embedded stores alone, for what is not about the database."""
    with told(place) as hospital:
        yield hospital


def other(kit):
    return kit.scope(Action.EVENTS_WEBHOOK_CHANGE, Operation.WEBHOOKS, BETA)


def test_a_webhook_lives_and_each_change_is_in_the_trail(kit, place):
    hooks, scope = kit.platform.webhooks, kit.managing
    row, secret = hooks.register(scope, place.url, ["study.deleted", "study.available"])
    assert row.kinds == (Kind.STUDY_AVAILABLE, Kind.STUDY_DELETED)
    assert len(b64decode(secret.removeprefix("whsec_"))) == 32
    assert [one.id for one in hooks.listed(scope)] == [row.id]
    changed = hooks.change(scope, row.id, place.url + "?key=HIDDEN", [])
    assert (changed.kinds, changed.url) == ((), place.url + "?key=HIDDEN")
    hooks.end(scope, row.id)
    assert hooks.listed(scope) == []
    with pytest.raises(WardlightError, match="not-found"):
        hooks.find(scope, row.id)
    made, altered, ended = kit.entries(
        "events:webhook:create", "events:webhook:change", "events:webhook:delete"
    )
    assert {one["object"]["id"] for one in (made, altered, ended)} == {row.id.hex}
    assert {"path": "url", "after": place.url} in made["change"]
    # What may be a secret in the address is not told.
    assert "HIDDEN" not in str(altered) and secret not in str(kit.entries())


def test_the_secret_lies_sealed_and_opens_in_its_own_row_only(ward, place):
    (one, secret), (two, _) = ward.hook(place), ward.hook(place)
    raw = b64decode(secret.removeprefix("whsec_"))
    rows = dict(ward.sql("SELECT id, secret FROM webhook"))
    assert all(raw not in bytes(sealed) for sealed in rows.values())
    sealed = {bytes(id_): bytes(value) for id_, value in rows.items()}
    secrets = ward.worker()._secrets
    own = ward.institution.id
    assert secrets.open(own, one, sealed[one.bytes]) == raw
    for place_ in ((own, two, sealed[one.bytes]), (own, one, sealed[one.bytes][:-1] + b"x"), (own, one, b"")):
        with pytest.raises(WardlightError, match="object-damaged"):
            secrets.open(*place_)


def test_for_a_day_both_secrets_sign(ward, place, monkeypatch):
    moved = Clock(monkeypatch)
    hook, old = ward.hook(place)
    new = ward.platform.webhooks.rotate(ward.managing, hook)
    for secret in (old, new):
        ward.tell(grant=uuid4())
        ward.deliver()
        client.verify(secret, place.got[-1].headers, place.got[-1].body)
    assert len(place.got[-1].headers["webhook-signature"].split()) == 2
    moved.on(24 * 3600 + 1)
    ward.tell()
    ward.deliver()
    got, now = place.got[-1], moved.now() / 1000
    client.verify(new, got.headers, got.body, now=now)
    with pytest.raises(client.WebhookError):
        client.verify(old, got.headers, got.body, now=now)


def test_addresses_that_are_not_taken_all_look_alike(ward):
    for url in (
        "http://hook.example/", "https://127.0.0.1/", "https://10.0.0.1/", "https://[::1]/", "https://localhost/",
        "https://169.254.169.254/latest", "https://1.1.1.1:22/", "ftp://1.1.1.1/", "https://u:p@1.1.1.1/", "", "x",
        "https://no-such-name.invalid/",
    ):  # fmt: skip
        with pytest.raises(WardlightError) as refused:
            ward.platform.webhooks.register(ward.managing, url, [])
        assert (refused.value.code, refused.value.detail) == (
            "bad-request", "url is no https address that webhooks may reach",
        )  # fmt: skip
    assert ward.platform.webhooks.listed(ward.managing) == []


def test_limits(ward, place, monkeypatch):
    with pytest.raises(WardlightError, match="kinds are of"):
        ward.hook(place, "webhook.test")
    hook, _ = ward.hook(place)
    for _ in range(6):
        ward.platform.webhooks.test(ward.managing, hook)
    with pytest.raises(WardlightError, match="rate-limited"):
        ward.platform.webhooks.test(ward.managing, hook)
    assert ward.deliver() == 6 and {got.event["type"] for got in place.got} == {"webhook.test"}
    # A test stands in no feed.
    assert "webhook.test" not in str(ward.platform.feed.page(ward.reading, 0, 100))
    monkeypatch.setattr(webhooks, "MOST", 1)
    with pytest.raises(WardlightError, match="conflict"):
        ward.hook(place)
    ward.platform.webhooks.end(ward.managing, hook)
    ward.hook(place)


def test_another_application_finds_nothing(ward, place):
    hook, _ = ward.hook(place)
    ward.tell()
    (row,) = ward.log(hook)
    hooks = ward.platform.webhooks
    for refused in (
        lambda: hooks.find(other(ward), hook),
        lambda: hooks.change(other(ward), hook, place.url, []),
        lambda: hooks.end(other(ward), hook),
        lambda: hooks.rotate(other(ward), hook),
        lambda: hooks.test(other(ward), hook),
        lambda: hooks.deliveries(other(ward), hook, None, None, 10),
        lambda: hooks.redeliver(other(ward), hook, row.id),
        lambda: hooks.redeliver(ward.managing, hook, uuid4()),
    ):
        with pytest.raises(WardlightError, match="not-found"):
            refused()
    assert hooks.listed(other(ward)) == []
    with pytest.raises(WardlightError, match="forbidden"):
        hooks.listed(ward.reading)


def test_what_waits_for_a_webhook_ends_with_it(kit, place):
    hook, _ = kit.hook(place)
    kit.tell()
    kit.platform.webhooks.end(kit.managing, hook)
    assert kit.due() == [] and kit.worker().deliver(kit.institution.id, hook) == 0
    assert kit.sql("SELECT state FROM webhook_delivery") == [("dropped",)]
    assert bytes(kit.sql("SELECT secret FROM webhook")[0][0]) == b""


def test_the_log_is_paged_and_forgotten(kit, place, monkeypatch):
    moved = Clock(monkeypatch)
    hook, _ = kit.hook(place)
    for _ in range(5):
        kit.tell(grant=uuid4())
    kit.deliver()
    hooks, scope = kit.platform.webhooks, kit.managing
    found, before = [], None
    while rows := hooks.deliveries(scope, hook, State.DELIVERED, before, 2):
        found += rows
        before = rows[-1].id
    assert len({row.id for row in found}) == 5 and {row.status for row in found} == {204}
    assert hooks.deliveries(scope, hook, State.DEAD, None, 10) == []
    moved.on(29 * 86_400)
    assert hooks.prune() == 0
    moved.on(2 * 86_400)
    assert hooks.prune() == 5


@pytest.mark.embedded
def test_the_operator_sees_no_event_and_sends_again(kit, place, monkeypatch):
    moved = Clock(monkeypatch)
    hook, secret = kit.hook(place)
    place.status = lambda _got: 500
    kit.tell()
    kit.deliver()
    moved.on(4 * 86_400)
    kit.deliver()
    assert [row.state for row in kit.log(hook)] == [State.DEAD]
    arguments = ["--data", str(kit.platform.settings.data_dir)]
    monkeypatch.setenv("WARDLIGHT_DEMO", "1")
    shown = CliRunner().invoke(app, ["admin", "webhook", "list", "--application", ACME, *arguments])
    assert f"webhook={hook.hex}" in shown.output and "dead=1" in shown.output
    assert secret not in shown.output and "agreement" not in shown.output
    again = CliRunner().invoke(app, ["admin", "webhook", "redeliver", hook.hex, *arguments])
    assert again.output.strip() == "1 deliveries are sent again"
    assert kit.entries("events:notification:redeliver")[-1]["actor"] == {
        "kind": "operator", "id": "local-admin",
    }  # fmt: skip
    unknown = CliRunner().invoke(app, ["admin", "webhook", "redeliver", "x", *arguments])
    assert unknown.exit_code


@given(
    st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=2), st.text(max_size=40), st.binary()
)
def test_signatures_are_those_of_the_standard(secrets, event, body):
    """Standard Webhooks: HMAC-SHA-256 over id, time and body, made here by other means."""
    import hashlib
    import hmac
    from base64 import b64encode

    headers = signature_headers(secrets, event, 1_700_000_000, body)
    text = event.encode() + b".1700000000." + body
    made = [b64encode(hmac.new(one, text, hashlib.sha256).digest()).decode() for one in secrets]
    assert headers["webhook-signature"] == " ".join(f"v1,{one}" for one in made)


def test_every_kind_fits_its_column():
    assert len(f" {' '.join(KINDS)} ") <= 200
