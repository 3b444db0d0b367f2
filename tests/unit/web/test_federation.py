"""Sign-in by an institution's own provider: the way as it is meant, and providers and browsers that cheat."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import select, text
from starlette.testclient import TestClient

from oidc_kit import ORIGIN, World, a_world, encoded
from wardlight.access.model import Role
from wardlight.audit.tables import pending
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.identity.federation_tokens import FederationRefused
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY

CLIENT, SECRET = "wardlight at stmary", "a secret: of 20 + letters"
RSA = RSAKey.generate_key(2048, {"kid": "r1", "alg": "RS256", "use": "sig"})
PLAIN = RSAKey.import_key(RSA.private_key)
EC = ECKey.generate_key("P-256", {"kid": "e1"})


class Idp:
    """A provider on loopback that says what the test wants it to say."""

    def __init__(self) -> None:
        idp = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(idp.get(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(idp.token(dict(self.headers), parse_qs(body.decode())))

            def _answer(self, value: tuple[int, Any]) -> None:
                status, shown = value
                body = shown if isinstance(shown, bytes) else json.dumps(shown).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.issuer = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.reset()

    def reset(self) -> None:
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
        }
        self.keys: list[Any] = [RSA, EC]
        self.codes: dict[str, dict[str, Any]] = {}
        self.status = 200
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.asked: list[tuple[dict[str, str], dict[str, list[str]]]] = []
        self.make: Any = lambda claims: jwt.encode({"alg": "RS256", "kid": "r1"}, claims, RSA, ["RS256"])

    def get(self, path: str) -> tuple[int, Any]:
        self.goes_on.wait(9)
        if self.status != 200:
            return self.status, b""
        if path == "/jwks":
            return 200, {"keys": [key.as_dict(private=False) for key in self.keys]}
        return 200, self.metadata

    def token(self, headers: dict[str, str], form: dict[str, list[str]]) -> tuple[int, Any]:
        self.asked.append((headers, form))
        known = self.codes.pop(form["code"][0], None)
        challenge = encoded(sha256(form["code_verifier"][0].encode()).digest())
        if (
            known is None
            or known["challenge"] != challenge
            or known["redirect_uri"] != form["redirect_uri"][0]
        ):
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": self.make(known["claims"])}

    def sign_in(self, url: str, **changes: Any) -> dict[str, str]:
        """What the browser brings back, for a person of these claims; None takes a claim away."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["code_challenge_method"] == "S256" and asked["response_type"] == "code"
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "sub": "sub-1", "iat": now, "exp": now + 60,
            "nonce": asked["nonce"], "preferred_username": "dr.hale", "auth_time": now, "name": "Robin Hale",
        } | changes  # fmt: skip
        code = secrets.token_hex(8)
        self.codes[code] = {
            "claims": {name: value for name, value in claims.items() if value is not None},
            "challenge": asked["code_challenge"],
            "redirect_uri": asked["redirect_uri"],
        }
        return {"code": code, "state": asked["state"]}


@pytest.fixture(scope="module")
def idp() -> Iterator[Idp]:
    made = Idp()
    yield made
    made.server.shutdown()


@pytest.fixture(scope="module")
def world(idp: Idp) -> Iterator[World]:
    with a_world(outgoing_targets=(f"127.0.0.1/32:{idp.port}",)) as made:
        yield made


@pytest.fixture(autouse=True)
def configured(world: World, idp: Idp) -> Iterator[None]:
    idp.reset()
    configure(world, idp)
    yield
    world.platform.federations.remove(world.institution.id, by=BY)


def configure(world: World, idp: Idp, **changes: Any) -> None:
    options: dict[str, Any] = {"secret": SECRET, "default_role": Role.CLINICIAN, "by": BY} | changes
    world.platform.federations.set(world.institution.id, idp.issuer, CLIENT, **options)


class Browser:
    def __init__(self, world: World) -> None:
        self.world = world
        self.client = TestClient(
            world.client.app, base_url=ORIGIN, raise_server_exceptions=False, follow_redirects=False
        )

    def leave(self, **query: str) -> str:
        """Type the institution's name; the address of the provider that the page leads to."""
        query = {"institution": "stmary", "return": "/studies"} | query
        answer = self.client.get("/federation", params=query)
        assert answer.status_code == 200, answer.text
        return unescape(answer.text.partition('content="0;url=')[2].partition('"')[0])

    def back(self, found: dict[str, str], slug: str = "stmary") -> Any:
        return self.client.get(f"/federation/{slug}/callback", params=found)

    @property
    def principal(self) -> Any:
        return self.world.platform.identity.authenticate_session(self.client.cookies.get("wl", ""))


@pytest.fixture
def browser(world: World) -> Browser:
    return Browser(world)


def refused(world: World, answer: Any) -> str:
    """The reason in the institution's trail; nothing was opened."""
    assert answer.status_code == 403 and "location" not in answer.headers, answer.text
    assert "wl=" not in answer.headers.get("set-cookie", "")
    with world.platform.database.read(EVERYWHERE) as tx:
        rows = tx.execute(select(pending.c.content).order_by(pending.c.seq.desc()).limit(5)).scalars()
        for row in map(json.loads, rows):
            if row["action"] == "identity:session:login":
                assert row["outcome"] == "denied" and "stmary" in row["log"]
                return row["reason"].removeprefix("federation-")
    raise AssertionError("no entry")


# ---- as it is meant ----


def test_a_person_signs_in_by_their_hospital(world: World, idp: Idp, browser: Browser) -> None:
    row = world.platform.identity.create_person(
        world.institution.id, "dr.known", "Robin Hale", Role.RESEARCHER, by=BY
    )
    url = browser.leave()
    asked = parse_qs(urlsplit(url).query)
    assert asked["redirect_uri"] == [f"{world.issuer}/federation/stmary/callback"]
    answer = browser.back(idp.sign_in(url, preferred_username="dr.known", sub="s-known"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies")
    principal = browser.principal
    assert (principal.id, principal.role, principal.step_up) == (row.id, Role.RESEARCHER, True)
    headers, form = idp.asked[-1]
    pair = "wardlight+at+stmary:a+secret%3A+of+20+%2B+letters"
    assert headers["Authorization"] == f"Basic {b64encode(pair.encode()).decode()}"
    assert form["grant_type"] == ["authorization_code"] and "client_secret" not in form


def test_the_platform_can_prove_itself_by_a_key(world: World, idp: Idp, browser: Browser) -> None:
    configure(world, idp, secret=None)
    assert (
        browser.back(idp.sign_in(browser.leave(), sub="s-key", preferred_username="key")).status_code == 303
    )
    headers, form = idp.asked[-1]
    assert "Authorization" not in headers
    keys = ECKey.import_key(world.client.get("/federation/jwks").json()["keys"][0])
    claims = jwt.decode(form["client_assertion"][0], keys, ["ES256"]).claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == (CLIENT, CLIENT, idp.issuer)
    assert claims["exp"] - claims["iat"] <= 60


@pytest.mark.parametrize(("header", "key"), [({"alg": "ES256", "kid": "e1"}, EC), ({"alg": "PS256"}, PLAIN)])
def test_usual_algorithms_are_believed(idp: Idp, browser: Browser, header: dict[str, str], key: Any) -> None:
    # Without an id there must be one key only that it can be by.
    idp.keys = [key]
    idp.make = lambda claims: jwt.encode(header, claims, key, [header["alg"]])
    assert browser.back(idp.sign_in(browser.leave(), preferred_username="algs")).status_code == 303


def test_the_subject_decides_once_it_is_known(world: World, idp: Idp, browser: Browser) -> None:
    first = Browser(world)
    first.back(idp.sign_in(first.leave(), sub="s-a", preferred_username="shared"))
    person = first.principal.id
    # The login was given to somebody else there: they do not become the person here.
    answer = browser.back(idp.sign_in(browser.leave(), sub="s-b", preferred_username="shared"))
    assert refused(world, answer) == "other-subject"
    # The person's login there has changed: they are who they were.
    again = Browser(world)
    again.back(idp.sign_in(again.leave(), sub="s-a", preferred_username="married"))
    assert again.principal.id == person


def test_only_people_of_the_institution_get_in(world: World, idp: Idp, browser: Browser) -> None:
    configure(world, idp, default_role=None)
    answer = browser.back(idp.sign_in(browser.leave(), sub="s-new", preferred_username="stranger"))
    assert refused(world, answer) == "not-affiliated"
    invited, token = world.platform.people.invite(
        world.institution.id, "invited", "Kim Berg", Role.CLINICIAN, by=BY
    )
    answer = browser.back(idp.sign_in(browser.leave(), sub="s-inv", preferred_username="invited"))
    assert answer.status_code == 303 and browser.principal.id == invited.id
    # The link of the invitation is good no more.
    with pytest.raises(WardlightError):
        from wardlight.identity.sign_in import Attempt

        world.platform.sign_in.follow_link(token, "correct horse battery", Attempt("192.0.2.1"))


def test_an_address_that_nobody_verified_is_nobody_s_login(world: World, idp: Idp, browser: Browser) -> None:
    """Many providers let people write any address into their account, and say nothing of having verified it."""
    configure(world, idp, login_claim="email")
    for said in (None, False, "false"):
        found = idp.sign_in(browser.leave(), email="dr.hale", email_verified=said)
        assert refused(world, browser.back(found)) == "email-not-verified"
    found = idp.sign_in(browser.leave(), email="dr.hale", email_verified=True)
    assert browser.back(found).status_code == 303


def test_a_claim_may_be_needed(world: World, idp: Idp, browser: Browser) -> None:
    configure(world, idp, required=("groups", "staff"))
    for groups in (None, "students", ["students"], {"staff": True}):
        found = idp.sign_in(browser.leave(), sub="s-g", preferred_username="g", groups=groups)
        assert refused(world, browser.back(found)) == "not-of-the-institution"
    found = idp.sign_in(browser.leave(), sub="s-g", preferred_username="g", groups=["students", "staff"])
    assert browser.back(found).status_code == 303


def test_who_is_suspended_here_stays_out(world: World, idp: Idp, browser: Browser) -> None:
    browser.back(idp.sign_in(browser.leave(), sub="s-s", preferred_username="susp"))
    person = browser.principal.id
    world.platform.people.change(world.institution.id, person, state="suspended", by=BY)
    assert browser.principal is None
    answer = browser.back(idp.sign_in(browser.leave(), sub="s-s", preferred_username="susp"))
    assert refused(world, answer) == "person-suspended"


def test_an_old_proof_there_is_no_fresh_proof_here(idp: Idp, browser: Browser) -> None:
    for auth_time in (int(time.time()) - 3600, None):
        found = idp.sign_in(browser.leave(), sub="s-o", preferred_username="old", auth_time=auth_time)
        browser.back(found)
        assert browser.principal is not None and not browser.principal.step_up
    assert "prompt=login" in browser.leave(again="1")


def test_an_old_session_does_not_go_on(world: World, idp: Idp, browser: Browser) -> None:
    """Session fixation: what the browser had before is ended, and the new session has an id of its own."""
    browser.back(idp.sign_in(browser.leave(), sub="s-f", preferred_username="fix"))
    before = browser.client.cookies["wl"]
    browser.back(idp.sign_in(browser.leave(), sub="s-f", preferred_username="fix"))
    assert browser.client.cookies["wl"] != before
    assert world.platform.identity.authenticate_session(before) is None


# ---- browsers that are not the one that left ----


def test_login_csrf_another_browser_s_answer_signs_nobody_in(
    world: World, idp: Idp, browser: Browser
) -> None:
    attacker = Browser(world)
    found = idp.sign_in(attacker.leave(), sub="s-evil", preferred_username="evil")
    browser.leave()
    assert refused(world, browser.back(found)) == "browser"
    assert browser.principal is None
    # Nor afterwards the attacker themselves: the state was used.
    assert refused(world, attacker.back(found)) == "state"


def test_an_answer_counts_once(world: World, idp: Idp, browser: Browser) -> None:
    found = idp.sign_in(browser.leave(), sub="s-once", preferred_username="once")
    assert browser.back(found).status_code == 303
    assert refused(world, browser.back(found)) == "state"
    assert refused(world, browser.back({"code": "x"})) == "state"
    assert refused(world, browser.back({"code": "x", "state": "x" * 43})) == "state"


def test_errors_of_the_provider_are_not_shown(world: World, idp: Idp, browser: Browser) -> None:
    state = idp.sign_in(browser.leave())["state"]
    answer = browser.back({"error": "<script>alert(1)</script>", "error_description": "x", "state": state})
    assert refused(world, answer) == "error" and "alert" not in answer.text


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:x"]
)
def test_it_never_goes_on_elsewhere(idp: Idp, browser: Browser, target: str) -> None:
    found = idp.sign_in(browser.leave(**{"return": target}), sub="s-r", preferred_username="ret")
    assert browser.back(found).headers["location"] == "/"


# ---- mix-up (RFC 9207, RFC 9700 section 4.4) ----


def test_the_answer_of_another_provider_is_not_taken(world: World, idp: Idp, browser: Browser) -> None:
    found = idp.sign_in(browser.leave(), sub="s-m", preferred_username="mix")
    assert refused(world, browser.back({**found, "iss": "https://honest.example"})) == "mix-up"
    idp.metadata["authorization_response_iss_parameter_supported"] = True
    found = idp.sign_in(browser.leave(), sub="s-m", preferred_username="mix")
    assert refused(world, browser.back(found)) == "mix-up"
    found = idp.sign_in(browser.leave(), sub="s-m", preferred_username="mix")
    assert browser.back({**found, "iss": idp.issuer}).status_code == 303


def test_a_sign_in_to_one_institution_does_not_come_back_to_another(
    world: World, idp: Idp, browser: Browser
) -> None:
    name = f"other-{secrets.token_hex(3)}"
    other = world.platform.identity.create_institution(name, "Other", "eu", by=BY)
    world.platform.federations.set(other.id, idp.issuer, CLIENT, secret=SECRET, by=BY)
    found = idp.sign_in(browser.leave(), sub="s-x", preferred_username="x")
    assert browser.back(found, name).status_code == 403
    assert browser.principal is None


def test_another_provider_meanwhile_ends_what_is_under_way(world: World, idp: Idp, browser: Browser) -> None:
    found = idp.sign_in(browser.leave(), sub="s-y", preferred_username="y")
    world.platform.federations.set(world.institution.id, "https://new.example", CLIENT, secret=SECRET, by=BY)
    assert refused(world, browser.back(found)) == "state"


# ---- providers that cheat, and tokens that are not theirs ----


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://other.example"}, "token-issuer"),
        ({"aud": "somebody else"}, "token-audience"),
        ({"aud": [CLIENT, "somebody else"]}, "token-audience"),
        ({"azp": "somebody else"}, "token-audience"),
        ({"nonce": "replayed"}, "token-nonce"),
        ({"nonce": None}, "token-nonce"),
        ({"exp": 1}, "token-times"),
        ({"exp": None}, "token-times"),
        ({"iat": 99999999999}, "token-times"),
        ({"exp": True}, "token-times"),
        ({"sub": ""}, "token-subject"),
        ({"sub": 7}, "token-subject"),
        ({"sub": "x" * 256}, "token-subject"),
        ({"preferred_username": None}, "no-login"),
        ({"preferred_username": ["a"]}, "no-login"),
        ({"preferred_username": "a\nb"}, "no-login"),
    ],
)
def test_claims_that_do_not_fit(
    world: World, idp: Idp, browser: Browser, changes: dict[str, Any], reason: str
) -> None:
    found = idp.sign_in(browser.leave(), **({"sub": "s-bad"} | changes))
    assert refused(world, browser.back(found)) == reason


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    return ".".join([*(encoded(json.dumps(part).encode()) for part in (header, claims)), signature])


FOREIGN = RSAKey.generate_key(2048, {"kid": "r1"})


def by_mac(key: bytes, claims: dict[str, Any]) -> str:
    """Joserfc refuses to make this; the attacker does not."""
    signed = unsigned({"alg": "HS256", "kid": "r1"}, claims).rpartition(".")[0]
    return f"{signed}.{encoded(hmac.digest(key, signed.encode(), 'sha256'))}"


FORGERIES: dict[str, Any] = {
    "alg none": lambda claims: unsigned({"alg": "none"}, claims),
    "alg None": lambda claims: unsigned({"alg": "nOnE", "kid": "r1"}, claims),
    "MAC by the public key": lambda claims: by_mac(RSA.as_pem(private=False), claims),
    "MAC by our secret": lambda claims: by_mac(SECRET.encode(), claims),
    "foreign key": lambda claims: jwt.encode({"alg": "RS256", "kid": "r1"}, claims, FOREIGN, ["RS256"]),
    "kid that is a path": lambda claims: jwt.encode(
        {"alg": "RS256", "kid": "../../dev/null"}, claims, RSA, ["RS256"]
    ),
    "algorithm of another kind of key": lambda claims: jwt.encode(
        {"alg": "ES256", "kid": "r1"}, claims, EC, ["ES256"]
    ),
    "other typ": lambda claims: jwt.encode(
        {"alg": "RS256", "kid": "r1", "typ": "logout+jwt"}, claims, RSA, ["RS256"]
    ),
    "signature of other claims": lambda claims: (
        jwt.encode({"alg": "RS256", "kid": "r1"}, claims, RSA, ["RS256"]).rsplit(".", 1)[0]
        + "."
        + jwt.encode({"alg": "RS256", "kid": "r1"}, {**claims, "sub": "z"}, RSA, ["RS256"]).rsplit(".", 1)[1]
    ),
    "not a token": lambda claims: "token",
    "five parts": lambda claims: "a.b.c.d.e",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_tokens(world: World, idp: Idp, browser: Browser, name: str) -> None:
    idp.make = FORGERIES[name]
    found = idp.sign_in(browser.leave(), sub="s-forged", preferred_username="forged")
    assert refused(world, browser.back(found)).startswith("token-")


def test_a_header_that_brings_its_own_key_is_refused(world: World, idp: Idp, browser: Browser) -> None:
    for member in ("jku", "x5u", "jwk", "crit"):

        def make(claims: dict[str, Any], member: str = member) -> str:
            header = {"alg": "RS256", "kid": "r1", member: ["x"]}
            return unsigned(header, claims, "c2ln")

        idp.make = make
        assert refused(world, browser.back(idp.sign_in(browser.leave()))) == "token-header"


def test_two_keys_of_one_id_are_no_key(world: World, idp: Idp, browser: Browser) -> None:
    idp.keys = [RSA, FOREIGN]
    assert refused(world, browser.back(idp.sign_in(browser.leave()))) == "token-unknown-key"


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"token_endpoint": 7},
        {"jwks_uri": ""},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://user@evil.example/"},
    ],
)
def test_metadata_that_is_not_of_the_issuer(idp: Idp, browser: Browser, metadata: dict[str, Any]) -> None:
    idp.metadata |= metadata
    answer = browser.client.get("/federation", params={"institution": "stmary"})
    assert answer.status_code == 503 and "evil" not in answer.text and "alert" not in answer.text


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:1/token", "http://169.254.169.254/", "https://10.0.0.1/"]
)
def test_the_provider_cannot_send_the_platform_elsewhere(
    world: World, idp: Idp, browser: Browser, place: str
) -> None:
    idp.metadata["token_endpoint"] = place
    assert refused(world, browser.back(idp.sign_in(browser.leave()))) in ("address-denied", "not-https")
    idp.metadata |= {"token_endpoint": f"{idp.issuer}/token", "jwks_uri": place}
    assert refused(world, browser.back(idp.sign_in(browser.leave()))) in ("address-denied", "not-https")


def test_a_provider_that_keeps_us_waiting_keeps_nobody_else(world: World, idp: Idp) -> None:
    async def visit() -> tuple[list[int], list[int]]:
        transport = httpx.ASGITransport(world.client.app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            leaving = [
                asyncio.create_task(client.get("/federation", params={"institution": "stmary"}))
                for _ in range(12)
            ]
            await asyncio.sleep(0.3)
            form = {"grant_type": "client_credentials"}
            others = [client.get("/healthz"), client.post("/oauth2/token", data=form)]
            # Another institution, which has no provider.
            others.append(client.get("/federation", params={"institution": "elsewhere"}))
            try:
                async with asyncio.timeout(5):
                    found = [(await one).status_code for one in others]
            finally:
                idp.goes_on.set()
            return found, [answer.status_code for answer in await asyncio.gather(*leaving)]

    idp.goes_on.clear()
    found, left = asyncio.run(visit())
    assert found == [200, 401, 404]
    # Some go on when it answers, the others are told at once to come again.
    assert set(left) == {200, 503}


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_provider_that_does_not_answer(idp: Idp, browser: Browser, status: int) -> None:
    idp.status = status
    assert browser.client.get("/federation", params={"institution": "stmary"}).status_code == 503


def test_institutions_without_a_provider_are_not_told_apart_from_none(world: World, browser: Browser) -> None:
    name = f"bare-{secrets.token_hex(3)}"
    world.platform.identity.create_institution(name, "Bare", "eu", by=BY)
    answers = {
        browser.client.get("/federation", params={"institution": one}).text.replace(one, "")
        for one in (name, "nobody", "", "../x", "stmary'--")
    }
    assert len(answers) == 1
    for slug in (name, "nobody"):
        assert browser.back({"state": "x", "code": "y"}, slug).status_code in (403, 404)


# ---- configuration ----


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://login.example"},
        {"issuer": "https://login.example?x=1"},
        {"issuer": "https://user@login.example"},
        {"issuer": "not an address"},
        {"client_id": ""},
        {"client_id": "a\nb"},
        {"secret": "short"},
        {"login_claim": "a b"},
        {"required": ("a b", "x")},
        {"default_role": Role.OPERATOR},
    ],
)
def test_configuration_is_checked(world: World, idp: Idp, changes: dict[str, Any]) -> None:
    options = {"issuer": "https://login.example", "client_id": CLIENT, "secret": SECRET, "by": BY} | changes
    with pytest.raises(WardlightError, match="bad-request"):
        world.platform.federations.set(
            world.institution.id, options.pop("issuer"), options.pop("client_id"), **options
        )


def test_the_secret_lies_sealed_and_in_its_place(world: World, idp: Idp) -> None:
    row = world.platform.federations.show(world.institution.id)
    assert SECRET.encode() not in (row.secret or b"") and SECRET not in repr(row)
    other = world.platform.identity.create_institution(f"o-{secrets.token_hex(3)}", "O", "eu", by=BY)
    with pytest.raises(WardlightError, match="wrong-key"):
        world.platform.federations._unseal(other.id, row.secret)


def test_without_a_provider_nobody_signs_in_by_it(world: World, idp: Idp) -> None:
    world.platform.federations.remove(world.institution.id, by=BY)
    with pytest.raises(WardlightError, match="not-found"):
        world.platform.federations.begin("stmary", "/")
    configure(world, idp)
    with pytest.raises(FederationRefused):
        world.platform.federations.finish("stmary", {}, "", address="", number="0" * 32)


def test_sign_ins_that_never_came_back_are_forgotten(
    world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wardlight import clock

    browser.leave()
    real = clock.unix_ms
    assert world.platform.federations.sweep() == 0
    monkeypatch.setattr(clock, "unix_ms", lambda: real() + 601_000)
    assert world.platform.federations.sweep() >= 1


def test_nobody_enters_without_an_entry(world: World, idp: Idp, browser: Browser) -> None:
    found = idp.sign_in(browser.leave(), sub="s-e", preferred_username="entry")
    with world.platform.database.begin() as tx:
        tx.execute(
            text(
                "CREATE TRIGGER no_entry BEFORE INSERT ON audit_pending BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        )
    try:
        assert browser.back(found).status_code == 503
        assert browser.back({"state": "x"}).status_code == 503
    finally:
        with world.platform.database.begin() as tx:
            tx.execute(text("DROP TRIGGER no_entry"))
    assert browser.principal is None
    with pytest.raises(WardlightError, match="not-found"):
        world.platform.identity.person(world.institution.id, "entry")
