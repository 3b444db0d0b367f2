"""The OpenID provider on both databases: what is used up is used up once, and what ends takes all with it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from oauth_kit import a_key, an_application
from oidc_kit import CALLBACK, encoded
from platform_kit import a_platform
from wardlight import clock
from wardlight.access.model import Role
from wardlight.audit.model import Actor
from wardlight.bootstrap import Platform
from wardlight.db.engine import EVERYWHERE
from wardlight.egress import Reply
from wardlight.identity import oidc_store
from wardlight.identity.clients import Client
from wardlight.identity.issuing import AccessTokens
from wardlight.identity.model import Principal, PrincipalKind
from wardlight.identity.oauth import ClientRequest, OAuthError
from wardlight.identity.oidc_farewell import Farewells
from wardlight.identity.oidc_request import parse
from wardlight.identity.oidc_tokens import LoginTokens
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.identity.tables import token

VERIFIER = secrets.token_urlsafe(48)


@dataclass
class Case:
    """A person signed in here, and an application that they have agreed to."""

    platform: Platform
    principal: Principal
    client: Client

    def code(self) -> str:
        query = {
            "response_type": "code", "scope": "openid profile", "code_challenge_method": "S256",
            "code_challenge": encoded(sha256(VERIFIER.encode()).digest()), "nonce": "n",
        }  # fmt: skip
        asked = parse(query, self.client.application, CALLBACK, clock.unix_ms())
        provider, by = self.platform.provider, Actor("person", self.principal.id)
        if provider.needs_consent(self.principal, asked):
            provider.give_consent(self.principal, asked, by=by, address="", number="0" * 32)
        auth = provider.auth_ms(self.principal)
        return provider.code(self.principal, asked, auth, by=by, address="", number="0" * 32)

    def asked(self, **form: str) -> ClientRequest:
        return ClientRequest(form, "", "", "https://x", frozenset(), "192.0.2.1", "0" * 32)

    def redeem(self, code: str) -> dict[str, Any]:
        form = {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return self.platform.provider.redeem(self.client, self.asked(**form))

    def refresh(self, token: str) -> dict[str, Any]:
        return self.platform.provider.refresh(self.client, self.asked(refresh_token=token))

    def lives(self, tokens: dict[str, Any]) -> bool:
        return self.platform.identity.authenticate(tokens["access_token"]) is not None


@pytest.fixture(scope="module")
def platform(stores: None) -> Iterator[Platform]:
    with a_platform() as made:
        made.identity.create_institution("stmary", "St Mary", "eu", by=BY)
        yield made


@pytest.fixture
def case(platform: Platform) -> Case:
    institution = platform.identity.institution("stmary")
    name = secrets.token_hex(4)
    row = platform.identity.create_person(institution.id, f"{name}@x.example", "A", Role.CLINICIAN, by=BY)
    application = an_application(
        platform, f"acme_{name}_prod", a_key(), institution, redirect_uris=(CALLBACK,)
    )
    with platform.database.begin(institution.id) as tx:
        opened = platform.identity.sessions.open(tx, institution.id, row.id, "passkey", "192.0.2.1")
    principal = platform.identity.authenticate_session(opened.cookie)
    assert principal is not None
    return Case(platform, principal, Client(PrincipalKind.APPLICATION, application.id, application))


def outcome(work: Any, *arguments: Any) -> Any:
    try:
        return work(*arguments)
    except OAuthError as error:
        return error.reason


def test_of_many_who_bring_one_code_at_most_one_gets_tokens_and_none_keeps_them(case: Case) -> None:
    code = case.code()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: outcome(case.redeem, code), range(4)))
    given = [one for one in found if isinstance(one, dict)]
    assert len(given) == 1 and found.count("code-reused") == 3
    assert not case.lives(given[0])
    assert outcome(case.refresh, given[0]["refresh_token"]) == "refresh-token-reused"


def test_of_many_who_bring_one_refresh_token_at_most_one_gets_tokens_and_none_keeps_them(case: Case) -> None:
    tokens = case.redeem(case.code())
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: outcome(case.refresh, tokens["refresh_token"]), range(4)))
    given = [one for one in found if isinstance(one, dict)]
    assert len(given) == 1 and found.count("refresh-token-reused") == 3
    assert not case.lives(tokens) and not case.lives(given[0])


@pytest.mark.parametrize("grant", ["code", "refresh"])
def test_who_signs_out_meanwhile_leaves_no_tokens(
    case: Case, grant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = case.code()
    token = case.redeem(code)["refresh_token"] if grant == "refresh" else ""
    real = oidc_store.login_of_code if grant == "code" else oidc_store.login

    def then_signed_out(*arguments: Any, **options: Any) -> Any:
        found = real(*arguments, **options)
        monkeypatch.undo()
        case.platform.identity.sessions.logout(case.principal, by=BY)
        return found

    monkeypatch.setattr(oidc_store, real.__name__, then_signed_out)
    found = outcome(case.redeem, code) if grant == "code" else outcome(case.refresh, token)
    assert not isinstance(found, dict)


def test_an_end_waits_for_the_tokens_that_are_being_given(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = case.redeem(case.code())["refresh_token"]
    given, go_on = threading.Event(), threading.Event()
    real = LoginTokens.issue

    def slow(*arguments: Any) -> Any:
        found = real(*arguments)
        given.set()
        go_on.wait(5)
        return found

    monkeypatch.setattr(LoginTokens, "issue", slow)
    with ThreadPoolExecutor(2) as threads:
        tokens = threads.submit(case.refresh, token)
        assert given.wait(5)
        ended = threads.submit(case.platform.identity.sessions.logout, case.principal, by=BY)
        # So that it waits for what the refresh has locked.
        time.sleep(0.3)
        go_on.set()
        ended.result(10)
        assert not case.lives(tokens.result(10))


def test_a_user_s_token_stands_for_application_and_person(case: Case) -> None:
    principal = case.platform.identity.authenticate(case.redeem(case.code())["access_token"])
    assert principal is not None
    assert (principal.kind, principal.id) == (PrincipalKind.APPLICATION, case.client.id)
    assert (principal.person, principal.role) == (case.principal.id, Role.CLINICIAN)


def test_signing_out_of_one_session_leaves_others(case: Case) -> None:
    platform, institution = case.platform, case.principal.institution
    assert institution is not None
    first = case.redeem(case.code())
    with platform.database.begin(institution) as tx:
        opened = platform.identity.sessions.open(tx, institution, case.principal.id, "passkey", "")
    second = platform.identity.authenticate_session(opened.cookie)
    assert second is not None
    other = Case(platform, second, case.client)
    later = other.redeem(other.code())
    platform.identity.sessions.end(institution, case.principal.id, case.principal.token, by=BY)
    assert not case.lives(first) and case.lives(later)
    platform.identity.sessions.end(institution, case.principal.id, by=BY)
    assert not case.lives(later)


class Listener:
    """Stands where an application is told of sign-outs."""

    def __init__(self, *answers: int | OSError) -> None:
        self.answers, self.sent = list(answers), []

    def send(self, method: str, url: str, body: bytes, headers: Any, *, wanted: bool) -> Reply:
        self.sent.append((method, url, body))
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return Reply(answer, "", b"")


def farewells(platform: Platform, listener: Listener) -> Farewells:
    provider = platform.provider
    return Farewells(platform.database, platform.recorder, provider.keys, listener, provider.issuer)


def test_applications_are_told_until_they_have_heard(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = case.platform
    with platform.database.begin() as tx:
        oidc_store.set_logout_uri(tx, case.client.id, "https://reader.example/out")
    listener = Listener(503, OSError(), 200)
    worker = farewells(platform, listener)
    while worker.tell():  # What other tests left behind.
        pass
    listener.sent.clear()
    tokens = case.redeem(case.code())
    assert worker.tell() == 0 and not listener.sent
    platform.identity.sessions.logout(case.principal, by=BY)
    real, moved = clock.unix_ms, timedelta()
    monkeypatch.setattr(clock, "unix_ms", lambda: real() + int(moved.total_seconds() * 1000))
    assert worker.tell() == 0
    assert worker.tell() == 0 and len(listener.sent) == 1  # Not before its time.
    moved += timedelta(seconds=6)
    assert worker.tell() == 0 and len(listener.sent) == 2
    moved += timedelta(seconds=31)
    assert worker.tell() == 1 and worker.tell() == 0 and len(listener.sent) == 3
    method, url, body = listener.sent[-1]
    assert (method, url) == ("POST", "https://reader.example/out")
    claims = platform.provider.keys.read(body.decode().removeprefix("logout_token="), "logout+jwt")
    assert claims is not None and "nonce" not in claims
    ours = platform.provider.keys.read(tokens["id_token"], "JWT")
    assert ours is not None
    assert [claims[name] for name in ("iss", "aud", "sub", "sid")] == [
        ours[name] for name in ("iss", "aud", "sub", "sid")
    ]
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    # A token of one kind is never taken for the other (RFC 8725 section 3.11).
    assert platform.provider.keys.read(tokens["id_token"], "logout+jwt") is None


def test_what_nobody_hears_is_given_up(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = case.platform
    with platform.database.begin() as tx:
        oidc_store.set_logout_uri(tx, case.client.id, "https://reader.example/out")
    listener = Listener(*[OSError()] * 9)
    worker = farewells(platform, listener)
    case.redeem(case.code())
    platform.identity.sessions.logout(case.principal, by=BY)
    real, moved = clock.unix_ms, timedelta()
    monkeypatch.setattr(clock, "unix_ms", lambda: real() + int(moved.total_seconds() * 1000))
    for _ in range(8):
        worker.tell()
        moved += timedelta(minutes=11)
    assert len(listener.sent) == 5


def test_what_was_over_long_ago_is_forgotten(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = case.redeem(case.code())
    real = clock.unix_ms
    monkeypatch.setattr(clock, "unix_ms", lambda: real() + 31 * 3600 * 1000)
    assert case.platform.provider.sweep() == 0
    monkeypatch.setattr(clock, "unix_ms", lambda: real() + 33 * 3600 * 1000)
    assert case.platform.provider.sweep() >= 1
    assert outcome(case.refresh, tokens["refresh_token"]) == "unknown-refresh-token"


def test_tokens_that_were_over_long_ago_are_forgotten(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver asks for one every few minutes, for years."""
    home = case.platform.identity.institution("stmary").id

    def rows() -> list[UUID]:
        with case.platform.database.read(EVERYWHERE) as tx:
            return list(tx.execute(select(token.c.id).where(token.c.institution == home)).scalars())

    for _ in range(3):
        AccessTokens(case.platform.database, case.platform.recorder).issue(
            case.client, home, scopes=["images.read"], purpose="TREAT", jkt=None, request=case.asked()
        )
    before, real = rows(), clock.unix_ms
    monkeypatch.setattr(clock, "unix_ms", lambda: real() + 23 * 3600 * 1000)
    case.platform.provider.sweep()
    assert len(before) >= 3 and set(before) <= set(rows())
    monkeypatch.setattr(clock, "unix_ms", lambda: real() + 57 * 3600 * 1000)
    case.platform.provider.sweep()
    assert rows() == []


def test_applications_are_told_in_turn_however_slow_one_is(case: Case) -> None:
    """One that does not answer costs a round one time-out, not one for each of its users."""
    listener = Listener(*[TimeoutError()] * 20)
    worker = farewells(case.platform, listener)
    worker.tell()  # What other tests left behind.
    listener.sent.clear()
    with case.platform.database.begin() as tx:
        oidc_store.set_logout_uri(tx, case.client.id, f"https://{case.client.id}.example/out")
    for _ in range(3):
        case.redeem(case.code())
    case.platform.identity.sessions.logout(case.principal, by=BY)
    worker.tell()
    assert [url for _, url, _ in listener.sent].count(f"https://{case.client.id}.example/out") == 1


def test_keys_are_made_once_and_open_in_their_place_only(platform: Platform) -> None:
    keys = platform.provider.keys
    first = keys.public()["keys"]
    assert keys.public()["keys"] == first
    assert keys.read("a.b.c", "JWT") is None and keys.read("", "JWT") is None
    token = keys.sign("JWT", {"sub": "x"})
    assert keys.read(token, "JWT") == {"sub": "x"}
    assert platform.federations.keys.read(token, "JWT") is None
    with platform.keystore.transaction() as kept:
        kept.execute("UPDATE token_key SET use = 'x' || use WHERE use = 'federation'")
        kept.execute("UPDATE token_key SET use = 'federation' WHERE use = 'provider'")
    try:
        with pytest.raises(Exception, match="wrong-key"):
            platform.federations.keys.sign("JWT", {})
    finally:
        with platform.keystore.transaction() as kept:
            kept.execute("UPDATE token_key SET use = 'provider' WHERE use = 'federation'")
            kept.execute("UPDATE token_key SET use = 'federation' WHERE use = 'xfederation'")
