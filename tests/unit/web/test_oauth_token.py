"""The token endpoint and its neighbours: who gets a token, for what, and every trick by which somebody else would."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from datetime import timedelta
from urllib.parse import quote_plus

import pytest
from joserfc.jwk import RSAKey
from sqlalchemy import delete, text

from oauth_kit import (
    BASE,
    TOKEN,
    Caller,
    a_key,
    an_application,
    assertion,
    entries,
    proof,
    public,
    signed,
)
from wardlight import clock
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.identity.application_model import AuthMethod
from wardlight.identity.clients import ASSERTION, Clients
from wardlight.identity.jose import encode, public_key, thumbprint
from wardlight.identity.oauth import ClientRequest
from wardlight.identity.rates_tables import rate
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.identity.tokens import TokenKind, new_token
from web_kit import a_web

APP = "acme_reader_prod"
TARGET = "/.well-known/oauth-authorization-server"


@pytest.fixture(scope="module")
def web(stores):
    with a_web() as web:
        yield web


@pytest.fixture(scope="module")
def platform(web):
    return web.kit.platform


@pytest.fixture(scope="module")
def key():
    return a_key()


@pytest.fixture(scope="module")
def caller(web, platform, key):
    an_application(platform, APP, key, web.kit.institution)
    return Caller(web.client)


@pytest.fixture
def fresh(platform, web):
    """An application of one's own, with its key."""

    def make(institutions=None, **options):
        key, id_ = a_key(), f"acme_x{secrets.token_hex(4)}_test"
        subscribers = [web.kit.institution] if institutions is None else institutions
        keyed = options.get("auth_method", AuthMethod.PRIVATE_KEY_JWT) is AuthMethod.PRIVATE_KEY_JWT
        an_application(platform, id_, key if keyed else None, *subscribers, **options)
        return id_, key

    return make


@pytest.fixture(autouse=True)
def forgotten(platform):
    """So that the limit of failures does not stand in for their reason."""
    with platform.database.begin() as tx:
        tx.execute(delete(rate))


def token_of(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["access_token"]


def refused(answer, error, status=401):
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert "access_token" not in answer.text


def test_a_token_is_for_one_institution_one_purpose_and_some_scopes(web, platform, caller, key):
    answer = caller.token(assertion(key, APP), scope="images.read events.read")
    principal = platform.identity.authenticate(token_of(answer))
    assert (principal.kind, principal.id, principal.purpose) == ("application", APP, "TREAT")
    assert principal.institution == web.kit.institution.id
    assert principal.scopes == {"images.read", "events.read"} and principal.token
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    assert (body["institution"], body["purpose_of_use"]) == (web.kit.institution.slug, "TREAT")
    issued = entries(platform, "identity:token:issue")[-1]
    assert issued["actor"] == {"kind": "application", "id": APP} and issued["purpose"] == "TREAT"


@pytest.mark.parametrize("algorithm", ["ES384", "RS384", "PS256"])
def test_each_algorithm_that_a_key_may_be_for(platform, caller, fresh, algorithm):
    id_, _ = fresh()
    if algorithm == "ES384":
        key = a_key("other", "P-384")
    else:
        key = RSAKey.generate_key(2048, {"kid": "other", "alg": algorithm})
    platform.applications.add_key(id_, public(key), by=BY)
    token_of(caller.token(assertion(key, id_, header={"alg": algorithm})))
    # The other algorithm of the same key.
    other = {"ES384": "ES256", "RS384": "PS256", "PS256": "RS384"}[algorithm]
    if algorithm != "ES384":
        plain = RSAKey.import_key(key.private_key, {"kid": "other"})
        refused(caller.token(assertion(plain, id_, header={"alg": other})), "invalid_client")


NOW = time.time
WRONG = {
    "foreign key": lambda key: assertion(a_key(), APP),
    "alg none": lambda key: unsigned(key),
    "alg HS256 with the public key": lambda key: symmetric(key),
    "another alg of the header": lambda key: relabelled(key, "ES384"),
    "kid of nobody": lambda key: assertion(key, APP, header={"kid": "k2"}),
    "kid is a path": lambda key: assertion(key, APP, header={"kid": "../../../dev/null"}),
    "kid is SQL": lambda key: assertion(key, APP, header={"kid": "' OR 1=1 --"}),
    "jku": lambda key: assertion(key, APP, header={"jku": "https://evil.example/jwks"}),
    "x5u": lambda key: assertion(key, APP, header={"x5u": "https://evil.example/chain"}),
    "jwk in the header": lambda key: with_own_jwk(),
    "crit": lambda key: assertion(key, APP, header={"crit": ["exp"]}),
    "typ of an access token": lambda key: assertion(key, APP, header={"typ": "at+jwt"}),
    "typ of a proof": lambda key: assertion(key, APP, header={"typ": "dpop+jwt"}),
    "audience of another": lambda key: assertion(key, APP, aud="https://other.example/oauth2/token"),
    "audience with more": lambda key: assertion(key, APP, aud=f"{TOKEN}/"),
    "two audiences": lambda key: assertion(key, APP, aud=[TOKEN, "https://other.example"]),
    "no audience": lambda key: assertion(key, APP, aud=None),
    "issuer of another": lambda key: assertion(key, APP, iss="acme_other_prod"),
    "subject of another": lambda key: assertion(key, APP, sub="acme_other_prod"),
    "over": lambda key: assertion(key, APP, exp=int(NOW()) - 1),
    "too long": lambda key: assertion(key, APP, exp=int(NOW()) + 330),
    "no end": lambda key: assertion(key, APP, exp=None),
    "an end that is no number": lambda key: assertion(key, APP, exp="never"),
    "endless": lambda key: assertion(key, APP, exp=float("inf")),
    "an end that is true": lambda key: assertion(key, APP, exp=True),
    "not yet": lambda key: assertion(key, APP, nbf=int(NOW()) + 60),
    "of the future": lambda key: assertion(key, APP, iat=int(NOW()) + 60),
    "no jti": lambda key: assertion(key, APP, jti=None),
    "a jti that is no text": lambda key: assertion(key, APP, jti=5),
    "a jti too long": lambda key: assertion(key, APP, jti="x" * 257),
    "a signature changed": lambda key: assertion(key, APP)[:-4] + "AAAA",
    "claims changed": lambda key: spliced(key),
    "a member twice": lambda key: doubled(key),
    "no token": lambda key: "x.y.z",
    "four parts": lambda key: assertion(key, APP) + ".e30",
    "too large": lambda key: assertion(key, APP, padding="x" * 9000),
}  # fmt: skip


def parts(text):
    return text.split(".")


def unsigned(key):
    _, body, _ = parts(assertion(key, APP))
    return f"{encode(json.dumps({'alg': 'none', 'kid': 'k1'}).encode())}.{body}."


def symmetric(key):
    """Signed by HMAC with the public key's own bytes, which everybody knows; by hand, as no library does it."""
    body = parts(assertion(key, APP))[1]
    signing = f"{encode(json.dumps({'alg': 'HS256', 'kid': 'k1'}).encode())}.{body}"
    return f"{signing}.{encode(hmac.digest(key.as_pem(private=False), signing.encode(), 'sha256'))}"


def relabelled(key, algorithm):
    head, body, signature = parts(assertion(key, APP))
    said = json.loads(base64.urlsafe_b64decode(head + "=="))
    return ".".join((encode(json.dumps(said | {"alg": algorithm}).encode()), body, signature))


def with_own_jwk():
    mine = a_key()
    return assertion(mine, APP, header={"jwk": public(mine)})


def spliced(key):
    head, _, signature = parts(assertion(key, APP))
    other = parts(assertion(key, APP, scope="more"))[1]
    return ".".join((head, other, signature))


def doubled(key):
    claims = json.dumps({"iss": APP, "sub": APP, "aud": TOKEN, "exp": int(NOW()) + 60, "jti": "1"})
    body = encode((claims[:-1] + ', "jti": "2"}').encode())
    return f"{encode(json.dumps({'alg': 'ES256', 'kid': 'k1'}).encode())}.{body}.AAAA"


@pytest.mark.parametrize("trick", WRONG)
def test_an_assertion_that_does_not_hold(web, platform, caller, key, trick):
    refused(caller.token(WRONG[trick](key)), "invalid_client")
    entry = entries(platform, "identity:token:refuse")[-1]
    assert entry["outcome"] == "denied" and entry["actor"]["kind"] == "anonymous"


@pytest.mark.parametrize("name", ["\ud800", "\0", "acme\n"])
def test_a_client_whose_name_is_no_text_is_refused(caller, key, name):
    refused(caller.token(assertion(key, APP, iss=name, sub=name)), "invalid_client")


def test_an_assertion_is_taken_once(platform, caller, key):
    shown = assertion(key, APP)
    token_of(caller.token(shown))
    refused(caller.token(shown), "invalid_client")
    # The same id again, in another assertion.
    twice = secrets.token_hex(8)
    token_of(caller.token(assertion(key, APP, jti=twice)))
    refused(caller.token(assertion(key, APP, jti=twice, exp=int(NOW()) + 100)), "invalid_client")
    # The ids of one client are not another's.
    assert entries(platform, "identity:token:refuse")[-1]["reason"] == "assertion-replayed"


def test_assertions_are_remembered_as_long_as_they_could_be_shown(platform, caller, key, monkeypatch):
    shown = assertion(key, APP, exp=int(NOW()) + 300)
    token_of(caller.token(shown))
    moved = clock.unix_ms() + 298_000
    monkeypatch.setattr(clock, "unix_ms", lambda: moved)
    platform.api.clients.sweep()
    refused(caller.token(shown), "invalid_client")
    later = moved + 10_000
    monkeypatch.setattr(clock, "unix_ms", lambda: later)
    assert platform.api.clients.sweep() >= 1


@pytest.mark.parametrize("audience", [TOKEN, BASE, [TOKEN]])
def test_audiences_that_are_ours(caller, key, audience):
    token_of(caller.token(assertion(key, APP, aud=audience)))


def test_keys_rotate_with_an_overlap(platform, caller, fresh):
    id_, old = fresh()
    new = a_key("k2")
    platform.applications.add_key(id_, public(new), by=BY)
    before = token_of(caller.token(assertion(old, id_)))
    token_of(caller.token(assertion(new, id_)))
    # Two keys: an assertion that names none might be by either.
    refused(caller.token(assertion(old, id_, header={"kid": None})), "invalid_client")
    platform.applications.remove_key(id_, "k1", by=BY, overlap=timedelta(hours=1))
    token_of(caller.token(assertion(old, id_)))
    platform.applications.remove_key(id_, "k1", by=BY)
    refused(caller.token(assertion(old, id_)), "invalid_client")
    token_of(caller.token(assertion(new, id_, header={"kid": None})))
    assert platform.identity.authenticate(before) is not None


def test_a_key_ends_when_its_overlap_is_over(platform, caller, fresh, monkeypatch):
    id_, old = fresh()
    platform.applications.add_key(id_, public(a_key("k2")), by=BY)
    platform.applications.remove_key(id_, "k1", by=BY, overlap=timedelta(hours=1))
    later = clock.unix_ms() + 3_600_001
    monkeypatch.setattr(clock, "unix_ms", lambda: later)
    refused(caller.token(assertion(old, id_, exp=later // 1000 + 60)), "invalid_client")


def basic(name, secret):
    return {"Authorization": "Basic " + base64.b64encode(f"{quote_plus(name)}:{secret}".encode()).decode()}


def test_secrets_rotate_with_an_overlap(platform, caller, fresh):
    id_, _ = fresh(auth_method=AuthMethod.CLIENT_SECRET_BASIC)
    first = platform.applications.new_secret(id_, by=BY)
    token_of(caller.token(headers=basic(id_, first)))
    second = platform.applications.new_secret(id_, by=BY)
    for secret in (first, second):
        token_of(caller.token(headers=basic(id_, secret)))
    third = platform.applications.new_secret(id_, by=BY, overlap=timedelta(0))
    for secret in (first, second):
        refused(caller.token(headers=basic(id_, secret)), "invalid_client")
    answer = caller.token(headers=basic(id_, "wrong"))
    refused(answer, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")
    # In one way only, and not in the body, where it gets into logs.
    refused(caller.token(client_id=id_, client_secret=third), "invalid_client")
    refused(caller.token(headers=basic(id_, third), client_secret=third), "invalid_request", 400)
    # A secret of one application is not another's.
    refused(caller.token(headers=basic(APP, third)), "invalid_client")


def test_an_application_proves_itself_in_the_way_it_is_registered_for(platform, caller, fresh, key):
    id_, _ = fresh(auth_method=AuthMethod.CLIENT_SECRET_BASIC)
    refused(caller.token(assertion(key, id_)), "invalid_client")
    spa, _ = fresh(auth_method=AuthMethod.NONE)
    refused(caller.token(client_id=spa), "unauthorized_client", 400)
    refused(caller.token(client_id=APP), "invalid_client")
    refused(caller.token(client_id="nobody_at_all"), "invalid_client")
    refused(caller.token(), "invalid_client")


def test_who_is_not_active_gets_nothing_and_loses_what_it_has(platform, web, caller):
    key, id_ = a_key(), f"acme_x{secrets.token_hex(4)}_test"
    platform.applications.register(id_, "A", "V", by=BY)
    platform.applications.add_key(id_, public(key), by=BY)
    platform.entitlements.subscribe(web.kit.institution.id, id_, by=BY)
    refused(caller.token(assertion(key, id_)), "invalid_client")
    platform.applications.approve(id_, by=BY)
    token = token_of(caller.token(assertion(key, id_)))
    platform.applications.suspend(id_, by=BY)
    assert platform.identity.authenticate(token) is None
    refused(caller.token(assertion(key, id_)), "invalid_client")
    platform.applications.approve(id_, by=BY)
    # What it lost stays lost.
    assert platform.identity.authenticate(token) is None
    token = token_of(caller.token(assertion(key, id_)))
    platform.applications.delete(id_, by=BY)
    assert platform.identity.authenticate(token) is None
    refused(caller.token(assertion(key, id_)), "invalid_client")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"purpose_of_use": ""}, "invalid_request"),
        ({"purpose_of_use": "CURIOSITY"}, "invalid_request"),
        ({"purpose_of_use": "TREAT HRESCH"}, "invalid_request"),
        ({"scope": "images.read images.upload"}, "invalid_scope"),
        ({"scope": "manage"}, "invalid_scope"),
        ({"scope": "receiver.store"}, "invalid_scope"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"institution": "nowhere"}, "invalid_target"),
        ({"institution": "00000000-0000-0000-0000-000000000000"}, "invalid_target"),
    ],
)
def test_what_is_asked_for_must_be_whole(caller, key, fields, error):
    refused(caller.token(assertion(key, APP), **fields), error, 400)


def test_the_institution_is_one_that_uses_it(platform, web, caller, fresh):
    tag = secrets.token_hex(4)
    other = platform.identity.create_institution(f"o-{tag}", "O", "eu", by=BY)
    id_, key = fresh([])
    refused(caller.token(assertion(key, id_)), "invalid_request", 400)
    # One that does not use it answers as one that is not there.
    missing = caller.token(assertion(key, id_), institution="not-there")
    unused = caller.token(assertion(key, id_), institution=other.slug)
    refused(unused, "invalid_target", 400)
    assert unused.text == missing.text
    for institution in (web.kit.institution, other):
        platform.entitlements.subscribe(institution.id, id_, by=BY)
    refused(caller.token(assertion(key, id_)), "invalid_request", 400)
    for name in (other.slug, str(other.id)):
        token = token_of(caller.token(assertion(key, id_), institution=name))
        assert platform.identity.authenticate(token).institution == other.id
    platform.entitlements.unsubscribe(other.id, id_, by=BY)
    refused(caller.token(assertion(key, id_), institution=other.slug), "invalid_target", 400)


def test_requests_that_are_no_form(web, caller):
    send = web.client.post
    json_ = send("/oauth2/token", json={"grant_type": "client_credentials"})
    refused(json_, "invalid_request", 400)
    twice = send(
        "/oauth2/token",
        content="grant_type=a&grant_type=b",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    refused(twice, "invalid_request", 400)
    assert send("/oauth2/token", content=b"x" * (257 << 10)).status_code == 413


def test_sixty_a_minute_and_failures_do_not_use_them_up(platform, caller, fresh):
    id_, key = fresh()
    for _ in range(3):
        refused(caller.token(assertion(a_key(), id_)), "invalid_client")
    with platform.database.begin() as tx:
        for _ in range(59):
            platform.rates.take(tx, f"token:{id_}", 60, 60)
    token_of(caller.token(assertion(key, id_)))
    answer = caller.token(assertion(key, id_))
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
    # Others go on.
    other, its = fresh()
    token_of(caller.token(assertion(its, other)))


def test_nobody_uses_up_what_the_users_of_a_page_have(platform, fresh):
    """Whoever knows its id may speak as a public application: so its limit is each network's own."""
    id_, _ = fresh(auth_method=AuthMethod.NONE, redirect_uris=("https://page.example/",))

    def ask(address):
        form = {"client_id": id_, "grant_type": "refresh_token", "refresh_token": "x"}
        request = ClientRequest(form, "", "", TOKEN, frozenset(), address, "0" * 32)
        return Clients(platform.database, platform.denials, platform.rates).authenticate(request)

    for number in range(60):
        ask(f"192.0.2.{number}")
    with pytest.raises(WardlightError, match="rate-limited"):
        ask("192.0.2.99")
    assert ask("198.51.100.1").public


def test_guessing_is_slow(platform, caller, key):
    with platform.database.begin() as tx:
        for _ in range(60):
            platform.rates.take(tx, "token-failure:", 60, 60)
    assert caller.token(headers=basic(APP, "guess")).status_code == 429
    token_of(caller.token(assertion(key, APP)))


def a_nonce(web):
    answer = web.client.get(TARGET)
    assert answer.json()["token_endpoint"] == TOKEN
    return answer.headers["dpop-nonce"]


def test_a_token_is_bound_to_the_key_of_its_proof(web, platform, caller, key):
    holder = a_key()
    answer = caller.token(assertion(key, APP), headers={"DPoP": proof(holder, a_nonce(web))})
    assert answer.json()["token_type"] == "DPoP"
    token = token_of(answer)
    assert platform.identity.authenticate(token) is None
    bound = thumbprint(public_key(public(holder))[0])
    assert platform.identity.authenticate(token, bound).id == APP
    assert platform.identity.authenticate(token, b"x" * 32) is None
    # A plain token is not made more by a proof.
    plain = token_of(caller.token(assertion(key, APP)))
    assert platform.identity.authenticate(plain, bound) is None


def test_without_a_nonce_the_assertion_is_not_used_up(web, caller, key):
    shown, holder = assertion(key, APP), a_key()
    for nonce in (None, "", "AAAA", encode(b"\0" * 24)):
        answer = caller.token(shown, headers={"DPoP": proof(holder, nonce)})
        refused(answer, "use_dpop_nonce", 400)
    again = proof(holder, answer.headers["dpop-nonce"])
    token_of(caller.token(shown, headers={"DPoP": again}))


def test_introspection_and_revocation_are_of_ones_own(web, platform, caller, key, fresh):
    token = token_of(caller.token(assertion(key, APP), scope="events.read"))

    def ask(path, token, shown):
        fields = {
            "client_assertion": shown,
            "client_assertion_type": ASSERTION,
        }
        return caller.form(path, token=token, **fields)

    found = ask("/oauth2/introspect", token, assertion(key, APP)).json()
    assert found["active"] and found["client_id"] == APP and found["scope"] == "events.read"
    assert found["purpose_of_use"] == "TREAT" and found["institution"] == web.kit.institution.slug
    assert 0 < found["exp"] - time.time() <= 600
    other, its = fresh()
    for strange in (token, new_token(TokenKind.PERSON), "nonsense"):
        assert ask("/oauth2/introspect", strange, assertion(its, other)).json() == {"active": False}
        assert ask("/oauth2/revoke", strange, assertion(its, other)).status_code == 200
    assert platform.identity.authenticate(token) is not None
    # For the endpoint's own address, too.
    shown = assertion(key, APP, aud=f"{BASE}/oauth2/revoke")
    assert ask("/oauth2/revoke", token, shown).json() == {}
    assert platform.identity.authenticate(token) is None
    assert ask("/oauth2/introspect", token, assertion(key, APP)).json() == {"active": False}
    refused(ask("/oauth2/introspect", token, "x.y.z"), "invalid_client")
    assert entries(platform, "identity:token:revoke")[-1]["actor"]["id"] == APP


def test_nothing_of_a_token_or_secret_is_stored(platform, caller, key, fresh):
    id_, _ = fresh(auth_method=AuthMethod.CLIENT_SECRET_BASIC)
    secret = platform.applications.new_secret(id_, by=BY)
    token = token_of(caller.token(headers=basic(id_, secret)))
    with platform.database.read(EVERYWHERE) as tx:
        kept = repr(
            [
                tx.execute(text(f"SELECT * FROM {table}")).all()
                for table in ("token", "application_key", "audit_pending")
            ]
        )
    assert token not in kept and secret not in kept
    assert token[6:] not in kept and secret[6:] not in kept


def test_the_helpers_sign_what_holds(key):
    """Else each refusal above could be for another reason than its own."""
    head, body, _ = parts(signed({"alg": "ES256", "kid": "k1"}, {"a": 1}, key))
    assert json.loads(base64.urlsafe_b64decode(body + "==")) == {"a": 1} and head
