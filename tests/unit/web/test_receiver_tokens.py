"""Receivers over HTTP: from a code to short tokens that only their key can use, and their end (security.md 5)."""

from __future__ import annotations

import json
import secrets as stdlib_secrets
import time
from http.client import HTTPMessage
from types import SimpleNamespace

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import delete

from oauth_kit import BASE, Caller, a_key, assertion, entries, proof
from wardlight import clock
from wardlight.access.model import TokenScope
from wardlight.audit.note import VerifierKey
from wardlight.errors import WardlightError
from wardlight.identity.enrolments import Code
from wardlight.identity.rates_tables import rate
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.receiver import credential, enrolment, secrets
from wardlight.receiver.credential import Credential
from wardlight.receiver.exchange import Exchange, ExchangeError
from wardlight.receiver.witness import Witness
from web_kit import a_web

METADATA = "/.well-known/oauth-authorization-server"


class Wire:
    """The platform's address for code that knows http.client: requests go to the application in this process."""

    def __init__(self, client):
        self._client = client
        self.asked = []

    def open(self, path, timeout):
        return self, path

    def request(self, method, path, body=None, headers=None):
        self.asked.append((method, path))
        self._client.headers.pop("Authorization", None)
        self._answer = self._client.request(method, path, content=body, headers=headers or {})

    def getresponse(self):
        headers = HTTPMessage()
        for name, value in self._answer.headers.items():
            headers[name] = value
        answer = self._answer
        return SimpleNamespace(
            status=answer.status_code, headers=headers, read=lambda most: answer.content, will_close=True,
            isclosed=lambda: True,
        )  # fmt: skip

    def close(self):
        pass


@pytest.fixture(scope="module")
def web():
    with a_web() as web:
        yield web


@pytest.fixture(scope="module")
def platform(web):
    return web.kit.platform


@pytest.fixture(scope="module")
def administrator(web, platform):
    person = platform.identity.person(web.kit.institution.id, "a@x.example")
    scopes = (TokenScope.MANAGE, TokenScope.STEP_UP)
    token = platform.identity.issue_person_token(person, by=BY, scopes=scopes)
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(autouse=True)
def forgotten(platform):
    with platform.database.begin() as tx:
        tx.execute(delete(rate))


@pytest.fixture
def gateway(web, administrator, tmp_path):
    return Gateway(web, administrator, tmp_path / "secrets")


class Gateway:
    """A receiver that has enrolled and was let in, with its own credential."""

    def __init__(self, web, administrator, folder):
        self.web, self.administrator, self.folder = web, administrator, folder
        self.wire = Wire(web.client)
        self.name = f"gateway-{stdlib_secrets.token_hex(4)}"
        self.code = self.post("/api/v1/receivers", {"name": self.name}, 201)["code"]
        self.found = enrolment.enrol(self.code, enrolment.over_http(self.wire), folder)
        self.id, self.digits = self.found["receiver"], self.found["digits"]
        self.credential = Credential(self.wire, folder)

    def post(self, path, body, status=200):
        answer = self.web.client.post(path, json=body, headers=self.administrator)
        assert answer.status_code == status, answer.text
        return answer.json()

    def listed(self):
        rows = self.web.client.get("/api/v1/receivers", headers=self.administrator).json()["receivers"]
        return next(row for row in rows if row["id"] == self.id)

    def confirm(self):
        self.post(f"/api/v1/receivers/{self.id}/confirm", {"digits": self.digits})
        return self

    def ask(self, method, path, *, token="", **changed):
        """A request with a proof; what is changed is in the proof."""
        headers = self.credential.headers(method, path)
        held = headers["Authorization"].partition(" ")[2]
        if token or changed:
            options = {
                "nonce": self.nonce(),
                "method": method,
                "url": BASE + path,
                "token": token or held,
            } | changed
            headers["DPoP"] = proof(
                self.key, options.pop("nonce"), options.pop("method"), options.pop("url"), **options
            )
            headers["Authorization"] = f"DPoP {token or held}"
        self.web.client.headers.pop("Authorization", None)
        return self.web.client.request(
            method, path, headers=headers, json={"entries": []} if method == "POST" else None
        )

    @property
    def key(self):
        return credential.enrolled(self.folder).key

    def named(self):
        """The key with the id by which assertions name it."""
        return ECKey.import_key(self.key.private_key, {"kid": self.key.thumbprint()})

    def nonce(self):
        return self.web.client.get(METADATA).headers["dpop-nonce"]

    def token(self, **fields):
        shown = assertion(self.named(), self.id)
        return Caller(self.web.client).token(
            shown, {"DPoP": proof(self.key, self.nonce())}, purpose_of_use="", **fields
        )


#: What a receiver may ask for, and what it may send.
AGREED = "/api/v1/receiver/agreements"
ENTRIES = "/api/v1/audit/receiver/entries"


def test_enrolment_by_http(gateway):
    listed = gateway.listed()
    assert (listed["state"], listed["enrolment"], listed["digits"]) == ("pending", "waiting", gateway.digits)
    with pytest.raises(WardlightError) as error:
        gateway.credential.headers("GET", AGREED)
    assert (error.value.code, error.value.reason) == ("unauthenticated", "key-refused")
    gateway.confirm()
    assert gateway.listed()["state"] == "active" and "digits" not in gateway.listed()
    assert gateway.ask("GET", AGREED).status_code == 200
    # A code is for one key.
    with pytest.raises(WardlightError) as error:
        enrolment.enrol(gateway.code, enrolment.over_http(gateway.wire), gateway.folder)
    assert error.value.code == "enrolment-refused"
    assert gateway.ask("GET", AGREED).status_code == 200, "the key before stays"


def test_when_a_receiver_was_heard_of_is_told(gateway):
    before = gateway.listed()
    assert (before["seen"], before["last_object"]) == (None, None)
    gateway.confirm()
    assert gateway.ask("GET", AGREED).status_code == 200
    after = gateway.listed()
    assert after["seen"] >= after["created"] and after["last_object"] is None


def test_five_enrolments_an_hour(gateway, platform):
    code = Code("A" * 20, Code.parse(gateway.code).platform).text
    answers = []
    for _ in range(6):
        try:
            enrolment.enrol(code, enrolment.over_http(gateway.wire), gateway.folder)
        except WardlightError as error:
            answers.append(error.code)
    assert answers[:4] == ["enrolment-refused"] * 4 and answers[-1] == "rate-limited"


def test_only_who_may_configure_gives_out_codes(web, platform, gateway):
    person = platform.identity.person(web.kit.institution.id, "a@x.example")
    without = platform.identity.issue_person_token(person, by=BY, scopes=(TokenScope.MANAGE,))
    for path, body in (
        ("/api/v1/receivers", {"name": "x"}),
        (f"/api/v1/receivers/{gateway.id}/confirm", {"digits": gateway.digits}),
    ):
        answer = web.client.post(path, json=body, headers={"Authorization": f"Bearer {without}"})
        assert (answer.status_code, answer.json()["reason"]) == (403, "step-up")
    assert gateway.listed()["state"] == "pending"


def test_a_token_is_of_five_minutes_and_shared(gateway):
    gateway.confirm()
    first = gateway.credential.headers("GET", "/x")["Authorization"]
    assert first.startswith("DPoP wl_rt_")
    assert gateway.credential.headers("POST", "/y")["Authorization"] == first
    assert gateway.wire.asked.count(("POST", "/oauth2/token")) == 1
    answer = gateway.token().json()
    assert answer["expires_in"] == 300 and answer["scope"] == "receiver.audit receiver.store"
    # Each proof is another.
    assert gateway.credential.headers("GET", "/x")["DPoP"] != gateway.credential.headers("GET", "/x")["DPoP"]


def test_a_token_alone_is_worth_nothing(web, gateway, platform):
    gateway.confirm()
    token = gateway.credential.headers("GET", AGREED)["Authorization"].partition(" ")[2]
    for headers in (
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"DPoP {token}"},
        {
            "Authorization": f"DPoP {token}",
            "DPoP": proof(a_key(), gateway.nonce(), "GET", BASE + AGREED, token=token),
        },
    ):
        answer = web.client.get(AGREED, headers=headers)
        assert answer.status_code == 401, headers
    assert gateway.ask("GET", AGREED).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"htu": f"{BASE}/api/v1/audit/log/cosignatures"},
        {"htu": "http://evil.example" + AGREED},
        {"htm": "PUT"},
        {"ath": "AAAA"},
        {"header": {"typ": "JWT"}},
    ],
    ids=str,
)
def test_a_proof_of_another_request(gateway, changed):
    """Security test 14: a proof with another address, method or token."""
    gateway.confirm()
    answer = gateway.ask("GET", AGREED, **changed)
    assert (
        answer.status_code == 401
        and answer.headers["www-authenticate"] == 'DPoP realm="wardlight", error="invalid_dpop_proof"'
    )


def test_a_proof_of_another_token(gateway):
    gateway.confirm()
    other = gateway.token().json()["access_token"]
    held = gateway.credential.headers("GET", AGREED)["Authorization"].partition(" ")[2]
    shown = proof(gateway.key, gateway.nonce(), "GET", BASE + AGREED, token=other)
    answer = gateway.web.client.post(
        ENTRIES, json={"entries": []}, headers={"Authorization": f"DPoP {held}", "DPoP": shown}
    )
    assert answer.status_code == 401


def test_an_old_nonce_is_answered_with_a_new_one(gateway, monkeypatch):
    gateway.confirm()
    gateway.credential.headers("GET", AGREED)
    nonce, now = gateway.nonce(), clock.unix_ms()
    monkeypatch.setattr(clock, "unix_ms", lambda: now + 90_000)
    answer = gateway.ask("GET", AGREED, nonce=nonce)
    assert answer.status_code == 401 and 'error="use_dpop_nonce"' in answer.headers["www-authenticate"]
    assert gateway.ask("GET", AGREED, nonce=answer.headers["dpop-nonce"]).status_code == 200


def test_the_credential_renews_nonce_and_token_in_time(gateway, monkeypatch):
    gateway.confirm()
    gateway.credential.headers("GET", "/x")
    asked = len(gateway.wire.asked)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 45)
    gateway.credential.headers("GET", "/x")
    assert gateway.wire.asked[asked:] == [("GET", METADATA)]
    monkeypatch.setattr(time, "monotonic", lambda: now + 45 + 271)
    gateway.credential.headers("GET", "/x")
    assert gateway.wire.asked[asked + 1 :] == [("GET", METADATA), ("POST", "/oauth2/token")]


def test_a_receiver_whose_clock_is_off_goes_by_the_platforms(gateway, monkeypatch):
    gateway.confirm()
    truth = time.time
    monkeypatch.setattr(credential, "_moment", lambda date, otherwise: truth())
    monkeypatch.setattr(time, "time", lambda: truth() - 3600)
    assert gateway.credential.headers("GET", "/x")["Authorization"].startswith("DPoP ")


def test_a_receiver_reads_nothing(gateway, web):
    """Security test 18: a receiver's token, of either kind, on every route that reads."""
    gateway.confirm()
    collect = gateway.token(scope="receiver.collect").json()["access_token"]
    reads = [
        "/dicom-web/studies", "/dicom-web/studies/1.2.3", "/dicom-web/studies/1.2.3/metadata", "/api/v1/grants",
        "/api/v1/receivers", "/api/v1/applications", "/api/v1/platform/applications", "/api/v1/audit/entries",
        "/api/v1/agreements",
    ]  # fmt: skip
    for path in reads:
        for token in ("", collect):
            answer = gateway.ask("GET", path, token=token)
            assert answer.status_code in (403, 404), (path, answer.text)
    # What collects does not store.
    assert gateway.ask("GET", AGREED, token=collect).status_code == 403


@pytest.mark.parametrize("scope", ["receiver.store receiver.collect", "images.read", "manage"])
def test_no_token_both_writes_and_reads(gateway, scope):
    gateway.confirm()
    answer = gateway.token(scope=scope)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_a_receiver_proves_its_own_key_for_a_token(gateway, web):
    gateway.confirm()
    caller = Caller(web.client)
    for headers in ({}, {"DPoP": proof(a_key(), gateway.nonce())}):
        shown = assertion(gateway.named(), gateway.id)
        answer = caller.token(shown, headers, purpose_of_use="")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    # A minute at most, unlike an application's.
    shown = assertion(gateway.named(), gateway.id, exp=int(time.time()) + 90)
    assert (
        caller.token(shown, {"DPoP": proof(gateway.key, gateway.nonce())}, purpose_of_use="").status_code
        == 401
    )
    # Another receiver's key.
    shown = assertion(a_key(gateway.key.thumbprint()), gateway.id)
    assert (
        caller.token(shown, {"DPoP": proof(gateway.key, gateway.nonce())}, purpose_of_use="").status_code
        == 401
    )


def test_revoked_centrally_the_next_request_is_refused(gateway, web, platform):
    gateway.confirm()
    exchange = Exchange(gateway.wire, gateway.folder)
    exchange._credential = gateway.credential
    assert exchange.get(AGREED)["targets"]
    answer = web.client.delete(f"/api/v1/receivers/{gateway.id}", headers=gateway.administrator)
    assert answer.json()["state"] == "revoked"
    for code in ("unauthenticated", "key-refused", "key-refused"):
        with pytest.raises(ExchangeError) as error:
            exchange.get(AGREED)
        assert error.value.code == code
    assert entries(platform, "identity:receiver:revoke")[-1]["counts"] == {"tokens": 1}
    assert gateway.listed()["state"] == "revoked"


def test_a_receiver_of_a_platform_elsewhere_shows_its_key_to_no_other(gateway):
    gateway.confirm()
    credential.save(gateway.folder, gateway.id, "https://ward.example", gateway.key)
    with pytest.raises(WardlightError) as error:
        gateway.credential.headers("GET", "/x")
    assert error.value.reason == "other-platform"
    assert ("POST", "/oauth2/token") not in gateway.wire.asked


def test_it_becomes_a_witness_by_itself(gateway, platform, tmp_path, web):
    gateway.confirm()
    platform.sealer.seal()
    exchange = Exchange(gateway.wire, gateway.folder)
    exchange._credential = gateway.credential
    logs = SimpleNamespace(newest=lambda: (_ for _ in ()).throw(ExchangeError("enough")))
    witness = Witness(exchange, logs, gateway.folder, None)
    with pytest.raises(ExchangeError):
        witness.round()
    key = secrets.witness_key(gateway.folder)
    assert key.name.startswith(f"receiver.{web.kit.institution.slug}/w")
    assert secrets.log_key(gateway.folder) == VerifierKey.parse(
        platform.audit_log.vkeys(platform.audit_log.logs(web.kit.institution.id)[-1])[0]
    )
    known = {one.receiver: one.vkey for one in platform.witnesses.active(web.kit.institution.id)}
    assert (
        known[gateway.id]
        == VerifierKey.of(key.name, key.seed, VerifierKey.parse(known[gateway.id]).kind).text
    )


def test_what_the_receiver_keeps(gateway):
    file = gateway.folder / secrets.CREDENTIAL_FILE
    assert file.stat().st_mode & 0o777 == 0o400
    kept = json.loads(file.read_text())
    # On loopback, or by a name of this test, it may be called by any of its names.
    assert kept["receiver"] == gateway.id and kept["jwk"]["d"]
    file.chmod(0o444)
    with pytest.raises(WardlightError):
        gateway.credential.headers("GET", "/x")
