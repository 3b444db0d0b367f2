"""A partner application that signs in its users, and a browser that somebody uses: both as their own code would be."""

from __future__ import annotations

import json
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import contextmanager
from hashlib import sha256
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.testclient import TestClient

from oauth_kit import BY, Caller, a_key, an_application, assertion
from wardlight import clock
from wardlight.access.model import Role
from wardlight.identity.application_model import AuthMethod
from web_kit import Web, a_web

ORIGIN = "http://ward.example"
CALLBACK = "https://reader.example/callback"
AFTER_LOGOUT = "https://reader.example/bye"


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(token: str, part: int = 1) -> dict[str, Any]:
    """A part of a compact token, not verified."""
    text = token.split(".")[part]
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class Partner:
    """An application of a hospital: web (with a key) or single-page (with nothing)."""

    def __init__(self, world: World, id_: str, *, public: bool = False, **options: Any) -> None:
        self.world, self.id, self.key = world, id_, None if public else a_key()
        method = AuthMethod.NONE if public else AuthMethod.PRIVATE_KEY_JWT
        settings = {"redirect_uris": (CALLBACK,), "post_logout_uris": (AFTER_LOGOUT,), **options}
        an_application(
            world.platform, id_, self.key, world.institution, auth_method=method, **settings
        )  # fmt: skip
        self.caller = Caller(world.client)
        self.verifier = secrets.token_urlsafe(48)

    def request(self, **changes: str | None) -> str:
        """Address of the authorization endpoint with a request that is in order, but for changes; None takes away."""
        fields = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": CALLBACK,
            "scope": "openid profile",
            "state": "s-1",
            "nonce": "n-1",
            "code_challenge": encoded(sha256(self.verifier.encode()).digest()),
            "code_challenge_method": "S256",
        } | changes
        return "/oauth2/authorize?" + urlencode({k: v for k, v in fields.items() if v is not None})

    def exchange(self, code: str, /, **changes: str | None) -> Any:
        """The token endpoint's answer to a code."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
        } | changes
        return self._token({k: v for k, v in fields.items() if v is not None})

    def refresh(self, token: str, **changes: str) -> Any:
        return self._token({"grant_type": "refresh_token", "refresh_token": token, **changes})

    def _token(self, fields: dict[str, str]) -> Any:
        if self.key is None:
            fields = {"client_id": self.id, **fields}
            return self.caller.form("/oauth2/token", **fields)
        return self.caller.token(self.proof(), purpose_of_use="", **fields)

    def proof(self) -> str:
        """A client assertion of now, wherever the test has moved the clock to."""
        assert self.key is not None
        now = clock.unix_ms() // 1000
        return assertion(self.key, self.id, iat=now, exp=now + 60)

    def tokens(self, person: Person, **changes: str | None) -> dict[str, Any]:
        """What a whole sign-in gives."""
        answer = self.exchange(person.agree(self.request(**changes)))
        assert answer.status_code == 200, answer.text
        return answer.json()


class Person:
    """Somebody with a browser, signed in here."""

    def __init__(
        self, world: World, login: str, role: Role = Role.CLINICIAN, *, method: str = "passkey"
    ) -> None:
        self.world = world
        self.row = world.platform.identity.create_person(
            world.institution.id, login, "Robin Hale", role, by=BY
        )
        self.browser = TestClient(
            world.web.client.app, base_url=ORIGIN, raise_server_exceptions=False, follow_redirects=False
        )
        if method:
            self.sign_in(method)

    def sign_in(self, method: str = "passkey") -> None:
        with self.world.platform.database.begin(self.world.institution.id) as tx:
            opened = self.world.platform.identity.sessions.open(
                tx, self.world.institution.id, self.row.id, method, "testclient"
            )
        self.browser.cookies.set("wl", opened.cookie)

    @property
    def session(self) -> Any:
        return self.world.platform.identity.authenticate_session(self.browser.cookies["wl"])

    def visit(self, path: str, **headers: str) -> Any:
        return self.browser.get(path, headers=headers)

    def submit(self, page: Any, choice: str = "allow", origin: str = ORIGIN, **changes: str) -> Any:
        """Send the form of a page."""
        action = unescape(re.search(r'action="([^"]*)"', page.text)[1])
        fields = dict(re.findall(r'name="([^"]*)" value="([^"]*)"', page.text.partition("<button")[0]))
        fields = {name: unescape(value) for name, value in fields.items()} | {"choice": choice} | changes
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if origin:
            headers["Origin"] = origin
        return self.browser.post(action, content=urlencode(fields), headers=headers)

    def agree(self, path: str) -> str:
        """Go through consent where it is asked; the code."""
        answer = self.visit(path)
        if answer.status_code == 200:
            answer = self.submit(answer)
        return returned(answer)["code"]


class World:
    """A platform with one institution and its web application. port: of a provider, where a test has one."""

    port = 0

    def __init__(self, web: Web) -> None:
        self.web, self.platform = web, web.kit.platform
        self.client, self.institution = web.client, web.kit.institution
        self.issuer = self.platform.settings.base_url


@contextmanager
def a_world(**settings: Any) -> Any:
    with a_web(**settings) as web:
        yield World(web)


def returned(answer: Any, uri: str = CALLBACK) -> dict[str, str]:
    """What the application got by its redirect address."""
    assert answer.status_code == 303, answer.text
    place = answer.headers["location"]
    assert place.startswith(f"{uri}?"), place
    return {name: values[0] for name, values in parse_qs(urlsplit(place).query).items()}
