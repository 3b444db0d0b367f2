"""Browsers before the whole web application: people with passwords and authenticators, by TLS as far as it knows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count

from sqlalchemy import text
from starlette.testclient import TestClient

from wardlight import clock
from wardlight.db.engine import EVERYWHERE
from wardlight.identity import passwords, totp
from wardlight.identity.model import Person, Role
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from web_kit import a_web

ORIGIN = "https://ward.example"
PASSWORD = "umbrella horizon 42 tin"
BY = LOCAL_ADMINISTRATOR


class Browser:
    """One browser: its cookies, its address, and what its pages send along."""

    def __init__(self, app, address: str = "192.0.2.7", origin: str = ORIGIN) -> None:
        self.client = TestClient(
            app,
            base_url=origin,
            raise_server_exceptions=False,
            client=(address, 5000),
            follow_redirects=False,
        )
        self.origin = origin
        self.address = address
        self.csrf = ""

    def send(self, method: str, path: str, body=None, **headers: str | None):
        """A request of a page of ours; a header that is None is left out."""
        sent = {
            "Origin": self.origin,
            "X-CSRF": self.csrf,
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        sent = {name: value for name, value in sent.items() if value is not None}
        content = None if body is None else json.dumps(body)
        if content is not None:
            sent["Content-Type"] = "application/json"
        answer = self.client.request(method, path, content=content, headers=sent)
        if answer.headers.get("content-type") == "application/json":
            self.csrf = answer.json().get("csrf", self.csrf)
        return answer

    def get(self, path: str):
        return self.send("GET", path)

    def post(self, path: str, body=None, **headers: str | None):
        return self.send("POST", path, {} if body is None else body, **headers)

    def sign_in(self, login: str, password: str = PASSWORD, code: str = "", **more: str):
        return self.post("/api/v1/session", {"login": login, "password": password, "code": code, **more})

    @property
    def cookie(self) -> str:
        """The session's cookie, "" where there is none."""
        return self.client.cookies.get("__Host-wl") or self.client.cookies.get("wl") or ""


class Site:
    """The application, and how to bring people into it."""

    def __init__(self, web) -> None:
        self.platform = web.kit.platform
        self.institution = web.kit.institution
        self.app = web.client.app
        self.services = web.services
        self._networks = count(1)

    def browser(self, address: str = "", origin: str = ORIGIN) -> Browser:
        """A browser at this address, else in a network of its own."""
        number = next(self._networks)
        return Browser(self.app, address or f"10.{number // 256}.{number % 256}.7", origin)

    def person(
        self, login: str, role: Role = Role.CLINICIAN, *, institution=None, password: str = PASSWORD
    ) -> tuple[Person, bytes]:
        """Somebody with a password and an authenticator; returns its secret, too."""
        where = institution or self.institution
        person = self.platform.identity.create_person(where.id, login, "N. N.", role, by=BY)
        self.platform.sign_in.give_password(person, password, by=BY)
        return person, self.platform.factors.give_totp(person, by=BY)

    def entries(self, action: str, institution=None) -> list[dict]:
        """Entries of that action that wait to be sealed, in any log."""
        with self.platform.database.read(EVERYWHERE) as tx:
            rows = tx.execute(text("SELECT content FROM audit_pending ORDER BY seq")).scalars()
            found = [json.loads(bytes(row)) for row in rows]
        return [one for one in found if one["action"] == action]


def code(secret: bytes, ahead: int = 0) -> str:
    """The authenticator's code now, or so many steps later; one of before is good for some seconds still."""
    left_ms = 30_000 - clock.unix_ms() % 30_000
    if ahead < 0 and left_ms < 6_000:
        time.sleep(left_ms / 1000)
    return totp.code(secret, clock.unix_ms() // 30_000 + ahead)


class Clock:
    """The time as the platform reads it, moved by hand."""

    def __init__(self, monkeypatch) -> None:
        self.seconds = 0.0
        real_ms, real_now = clock.unix_ms, clock.now
        monkeypatch.setattr(clock, "unix_ms", lambda: real_ms() + int(self.seconds * 1000))
        monkeypatch.setattr(clock, "now", lambda: real_now() + timedelta(seconds=self.seconds))

    def move(self, seconds: float) -> None:
        self.seconds += seconds


@contextmanager
def cheap_passwords() -> Iterator[None]:
    """Hashes of 1 MiB in place of 32, as tests make many that are about something else."""
    kept = passwords._MEMORY_KIB
    passwords._MEMORY_KIB = 1024
    try:
        yield
    finally:
        passwords._MEMORY_KIB = kept


@contextmanager
def a_site(**settings: object) -> Iterator[Site]:
    with cheap_passwords(), a_web(**settings) as web:
        yield Site(web)
