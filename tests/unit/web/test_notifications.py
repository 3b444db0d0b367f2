"""Notifications over HTTP: one's own, live, and those of applications."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading

import httpx
import pytest

from notify_kit import Ward
from people_kit import Clock
from platform_kit import a_platform
from share_kit import ACME, study
from wardlight.access.model import Role
from wardlight.agreements.model import IMAGES, Level
from wardlight.bootstrap import WORKER
from wardlight.decoding.pool import DecoderPool
from wardlight.identity.model import TokenScope
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.ingest.service import Ingest
from wardlight.web.app import create_app
from wardlight.web.services import Services

ROOT = "/api/v1/notifications"


class Web:
    def __init__(self, platform, pool):
        self.ward = Ward(platform)
        ingest = Ingest(platform.archive, platform.access, platform.agreements)
        self.app = create_app(
            Services(
                platform.settings, platform.identity, platform.access, platform.archive, ingest, pool,
                platform.parts, platform.api, None,
            )
        )  # fmt: skip
        self.tokens = {
            role: platform.identity.issue_person_token(
                person, by=BY, scopes=(TokenScope.MANAGE, TokenScope.IMAGES_READ)
            )
            for role, person in self.ward.people.items()
        }
        self.tokens[ACME] = self.ward.token(ACME, TokenScope.NOTIFICATIONS_SEND.value)

    def headers(self, who):
        return {"Authorization": f"Bearer {self.tokens[who]}"}

    def ask(self, who, method, path, body=None):
        async def go():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://ward.example") as client:
                return await client.request(method, path, json=body, headers=self.headers(who))

        return asyncio.run(go())

    def follow(self, who, *acts, until):
        """Events of the stream until there are so many, an act after each; and its status."""
        got, state = [], {}
        stop = threading.Event()

        async def go():
            disconnect = asyncio.Event()

            async def receive():
                await disconnect.wait()
                return {"type": "http.disconnect"}

            async def send(message):
                if message["type"] == "http.response.start":
                    state["status"] = message["status"]
                    return
                for block in message["body"].decode().split("\n\n"):
                    lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
                    if "event" in lines:
                        got.append((lines["event"], json.loads(lines["data"])))
                        if len(got) >= until:
                            disconnect.set()
                        elif len(got) <= len(acts):
                            await asyncio.to_thread(acts[len(got) - 1])

            scope = {
                "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
                "scheme": "http", "path": f"{ROOT}/stream", "raw_path": f"{ROOT}/stream".encode(),
                "query_string": b"", "root_path": "", "client": ("192.0.2.7", 5000), "server": ("ward.example", 80),
                "headers": [(b"host", b"ward.example"), (b"accept", b"text/event-stream"),
                            (b"authorization", self.headers(who)["Authorization"].encode())],
            }  # fmt: skip
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self.app(scope, receive, send), 20)
            stop.set()

        asyncio.run(go())
        return got, state.get("status")


@pytest.fixture
def web():
    with a_platform() as platform:
        pool = DecoderPool(1, allow_unsandboxed=True)
        yield Web(platform, pool)
        pool.close()


def arrive(web, uid):
    web.ward.store(*study(1, uid), application=IMAGES, level=Level.IDENTIFIED)
    web.ward.platform.archive.complete(WORKER)
    web.ward.platform.producer.work()


def test_the_bell_is_live_and_leads_to_the_study(web):
    clinician = Role.CLINICIAN

    def read():
        assert web.ask(clinician, "POST", f"{ROOT}/read", {"all": True}).json() == {"read": 1}

    got, status = web.follow(clinician, lambda: arrive(web, "1.2.3.4"), lambda: None, read, until=4)
    assert status == 200
    assert got == [
        ("unread", {"unread": 0}),
        ("unread", {"unread": 1}),
        ("studies", {}),
        ("unread", {"unread": 0}),
    ]
    found = web.ask(clinician, "GET", ROOT).json()
    assert [(row["name"], row["study"], row["read"]) for row in found["notifications"]] == [
        ("study-available", "1.2.3.4", True)
    ]
    assert web.ask(Role.RESEARCHER, "GET", ROOT).json() == {"notifications": [], "unread": 0}


def test_researchers_are_not_told_that_other_studies_came(web):
    researcher = Role.RESEARCHER

    def act():
        arrive(web, "1.2.3.4")
        web.ward.platform.definitions.send(
            web.ward.application(), web.ward.define().name, {"count": 1, "date": "2026-11-24T08:00:00Z"}
        )

    got, _ = web.follow(researcher, act, until=2)
    assert got == [("unread", {"unread": 0}), ("unread", {"unread": 1})]


def test_what_an_application_registers_and_sends(web):
    defined = {
        "name": "result-ready",
        "title": "{application}",
        "text": "{count} results",
        "permission": "images",
    }
    answer = web.ask(ACME, "POST", "/api/v1/notification-definitions", defined)
    assert answer.status_code == 201 and answer.json()["version"] == 1
    sent = web.ask(
        ACME, "POST", "/api/v1/notification-definitions/result-ready/send", {"values": {"count": 3}}
    )
    assert sent.status_code == 202 and sent.json().keys() == {"id"}
    [row] = web.ask(Role.CLINICIAN, "GET", ROOT).json()["notifications"]
    assert (row["source"], row["title"], row["text"], row["study"]) == (ACME, ACME, "3 results", None)
    for values in ({"count": "Doe^Jane"}, {}, {"count": 3, "patient": 1}):
        path = "/api/v1/notification-definitions/result-ready/send"
        assert web.ask(ACME, "POST", path, {"values": values}).status_code == 400
    assert web.ask(ACME, "DELETE", "/api/v1/notification-definitions/result-ready").status_code == 200
    assert web.ask(ACME, "GET", "/api/v1/notification-definitions").json() == {"definitions": []}
    assert web.ask(ACME, "GET", ROOT).status_code == 403
    assert web.ask(Role.ADMINISTRATOR, "GET", "/api/v1/notification-definitions").status_code == 403


def test_preferences_over_http(web):
    found = web.ask(Role.PRIVACY_OFFICER, "GET", f"{ROOT}/preferences").json()
    assert not found["mail"] and found["address"] == ""
    assert {row["name"] for row in found["preferences"]} == {
        "agreement-changed", "agreement-ended", "receiver-silent", "deletion-done",
    }  # fmt: skip
    body = {"application": "wardlight", "name": "receiver-silent", "bell": False, "mail": "daily"}
    assert web.ask(Role.PRIVACY_OFFICER, "PUT", f"{ROOT}/preferences", body).json() == {
        "bell": False,
        "mail": "daily",
    }
    again = web.ask(Role.PRIVACY_OFFICER, "GET", f"{ROOT}/preferences").json()
    assert [(r["bell"], r["mail"]) for r in again["preferences"] if r["name"] == "receiver-silent"] == [
        (False, "daily")
    ]
    assert web.ask(Role.CLINICIAN, "PUT", f"{ROOT}/preferences", body).status_code == 404
    assert web.ask(Role.CLINICIAN, "PUT", f"{ROOT}/address", {"address": "a@b.example"}).status_code == 503


def test_looking_on_keeps_no_session_alive(web, monkeypatch):
    sessions = web.ward.platform.identity.sessions
    person = web.ward.people[Role.CLINICIAN]
    with web.ward.platform.database.begin(web.ward.institution.id) as tx:
        opened = sessions.open(tx, web.ward.institution.id, person.id, "password", "192.0.2.7")
    moved = Clock(monkeypatch)
    moved.seconds = 20 * 60
    assert sessions.authenticate(opened.cookie, seen=False) is not None
    moved.seconds = 31 * 60
    assert sessions.authenticate(opened.cookie) is None
