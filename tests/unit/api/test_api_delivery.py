"""Webhooks and acknowledgements over HTTP, answered as the OpenAPI document says; hostile bodies are refused."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest
from starlette.testclient import TestClient

from delivery_kit import an_endpoint, told
from share_kit import ACME, BETA
from wardlight.access.model import Role
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.ingest.service import Ingest
from wardlight.web.app import create_app
from wardlight.web.services import Services

HOOKS = "/api/v1/webhooks"


class Desk:
    """The web application, asked by ACME unless somebody else is named."""

    def __init__(self, kit, client):
        self.kit, self.client = kit, client
        self.token = kit.token(ACME)
        self.document = client.get("/api/openapi.json").json()

    def ask(self, method, path, template="", token=None, **more):
        """A request, whose answer is as its schema says."""
        bearer = {"Authorization": f"Bearer {token or self.token}"}
        answer = self.client.request(method, path, headers={**more.pop("headers", {}), **bearer}, **more)
        assert answer.status_code < 500, answer.text
        described = self.document["paths"][template or path][method.lower()]["responses"]
        assert str(answer.status_code) in described
        if answer.status_code < 300:
            schema = described[str(answer.status_code)]["content"]["application/json"]["schema"]
            whole = {**schema, "components": self.document["components"]}
            jsonschema_rs.validate(whole, answer.json())
        return answer


@pytest.fixture(scope="module")
def desk():
    with an_endpoint() as place, told(place) as kit:
        platform = kit.platform
        services = Services(
            platform.settings, platform.identity, platform.access, platform.archive,
            Ingest(platform.archive, platform.access, platform.agreements), None, platform.parts, platform.api, None,
        )  # fmt: skip
        client = TestClient(
            create_app(services), base_url="http://ward.example", raise_server_exceptions=False
        )
        desk = Desk(kit, client)
        desk.place = place
        yield desk


def test_a_webhook_from_its_registration_to_its_end(desk):
    one, log = f"{HOOKS}/{{webhook}}", f"{HOOKS}/{{webhook}}/deliveries"
    made = desk.ask("POST", HOOKS, json={"url": desk.place.url, "kinds": ["study.deleted"]})
    assert made.status_code == 201 and made.json()["secret"].startswith("whsec_")
    hook = f"{HOOKS}/{made.json()['id']}"
    assert "secret" not in desk.ask("GET", hook, one).json()
    assert len(desk.ask("GET", HOOKS).json()["webhooks"]) == 1
    assert desk.ask("PUT", hook, one, json={"url": desk.place.url}).json()["kinds"] == []
    assert desk.ask("POST", f"{hook}/rotate", f"{one}/rotate").json()["secret"] != made.json()["secret"]
    assert desk.ask("GET", hook, one).json()["old_secret_until"]
    tested = desk.ask("POST", f"{hook}/test", f"{one}/test")
    assert tested.status_code == 202
    assert desk.kit.deliver() == 1 and desk.place.got[-1].id == tested.json()["event"]
    (row,) = desk.ask("GET", f"{hook}/deliveries", log, params={"state": "delivered"}).json()["deliveries"]
    assert (row["event"], row["status"], row["attempts"]) == (tested.json()["event"], 204, 1)
    assert row["took_ms"] >= 0
    again = desk.ask("POST", f"{hook}/deliveries/{row['id']}/redeliver", f"{log}/{{delivery}}/redeliver")
    assert again.status_code == 202
    (row,) = desk.ask("GET", f"{hook}/deliveries", log).json()["deliveries"]
    assert row["state"] == "pending" and row["took_ms"] is None
    assert desk.kit.deliver() == 1 and desk.place.got[-1].id == tested.json()["event"]
    assert desk.ask("GET", f"{hook}/deliveries", log, params={"limit": 0}).status_code == 400
    assert desk.ask("GET", f"{hook}/deliveries", log, params={"state": "x"}).status_code == 400
    assert desk.ask("GET", f"{hook}/deliveries", log, params={"after": "x"}).status_code == 400
    assert desk.ask("GET", hook, one, token=desk.kit.token(BETA)).status_code == 404
    assert desk.ask("DELETE", hook, one).json()["ended"] is True
    assert desk.ask("GET", hook, one).status_code == 404


def test_an_event_is_acknowledged(desk):
    template = "/api/v1/events/{event}/acknowledge"
    event = desk.kit.tell()
    for _ in range(2):
        answer = desk.ask("POST", f"/api/v1/events/{event.hex}/acknowledge", template)
        assert answer.json() == {"id": event.hex, "acknowledged": True}
    for other in ("0" * 32, "x", event.hex.upper() + "0"):
        assert desk.ask("POST", f"/api/v1/events/{other}/acknowledge", template).status_code == 404
    answer = desk.ask("POST", f"/api/v1/events/{event.hex}/acknowledge", template, token=desk.kit.token(BETA))
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b"{}", b'{"url": 1}', b'{"url": null}', b'{"url": "https://10.0.0.1/"}',
        b'{"url": "https://93.184.215.14/", "kinds": "study.deleted"}',
        b'{"url": "https://93.184.215.14/", "kinds": [1]}',
        b'{"url": "https://93.184.215.14/", "kinds": ["webhook.test"]}',
        b'{"url": "https://93.184.215.14/", "secret": "mine"}',
        b'{"url": "https://93.184.215.14/\\u0000"}', b'{"url": "\\ud800"}', b'{"url": "https://\\ud800.example/"}',
        b'{"url": "https://93.184.215.14/", "url": "https://93.184.215.14/"}', b"\xff\xfe",
        json.dumps({"url": "https://" + "a." * 5000}).encode(),
    ],
)  # fmt: skip
def test_what_is_no_registration(desk, body):
    answer = desk.ask("POST", HOOKS, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and answer.json()["code"] == "bad-request"
    assert desk.ask("GET", HOOKS).json()["webhooks"] == []


def test_others_have_no_business_here(desk):
    identity = desk.kit.platform.identity
    person = identity.create_person(
        desk.kit.institution.id, "p@x.example", "P", Role.ADMINISTRATOR, by=LOCAL_ADMINISTRATOR
    )
    tokens = (
        identity.issue_person_token(person, by=LOCAL_ADMINISTRATOR),
        identity.issue_receiver_token(desk.kit.receiver, by=LOCAL_ADMINISTRATOR),
        desk.kit.token(ACME, "images.read", "events.read"),
    )
    for token in tokens:
        assert desk.ask("GET", HOOKS, token=token).status_code == 403
        assert desk.ask("POST", HOOKS, token=token, json={"url": desk.place.url}).status_code == 403
    for token in tokens[:2]:
        assert desk.ask("GET", "/api/v1/events", token=token).status_code == 403
    assert desk.ask("GET", "/api/v1/events", token=tokens[2]).status_code == 200
