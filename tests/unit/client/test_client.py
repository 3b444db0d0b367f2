"""The client of partner applications against a stub of the platform: tokens, tries, feed, downloads, results."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from wardlight import client as wl
from wardlight.client import calls
from wardlight.client.multipart import FilesBody, StudyFolder

BASE = "https://images.example"


class Stub:
    """A platform that gives tokens, and answers of a list in turn."""

    def __init__(self, *answers, expires: int = 600, kind: str = "Bearer") -> None:
        self.answers = list(answers)
        self.expires, self.kind = expires, kind
        self.tokens: list[httpx.Request] = []
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        if request.url.path == "/oauth2/token":
            self.tokens.append(request)
            body = {
                "access_token": f"wl_at_{len(self.tokens)}",
                "token_type": self.kind,
                "expires_in": self.expires,
            }
            return httpx.Response(200, json=body)
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def client(self, **options) -> wl.Client:
        return wl.Client(
            BASE, "acme_ai_prod", KEY, institution="stmary", purpose="TREAT",
            transport=httpx.MockTransport(self), **options,
        )  # fmt: skip


KEY = ec.generate_private_key(ec.SECP256R1())
GRANT = {
    "id": "0" * 32,
    "study": "2.25.1",
    "purpose": "TREAT",
    "not_before": "2026-01-01T00:00:00Z",
    "expires_at": "x",
}


def problem(status: int, code: str, **more) -> httpx.Response:
    return httpx.Response(status, json={"status": status, "code": code, "title": code, **more})


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(calls, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(calls, "_LONGEST_PAUSE", 0.01)


# ---- keys ----


@pytest.mark.parametrize(
    ("key", "algorithm", "reader"),
    [
        (KEY, "ES256", ECKey),
        (ec.generate_private_key(ec.SECP384R1()), "ES384", ECKey),
        (rsa.generate_private_key(65537, 2048), "RS384", RSAKey),
    ],
)
def test_another_library_reads_what_a_key_signs(key, algorithm, reader, tmp_path) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    for given_as in (key, pem, tmp_path / "key.pem", str(tmp_path / "key.pem")):
        signing = wl.SigningKey(given_as)
        public = reader.import_key(signing.public_jwk)
        token = jwt.decode(signing.assertion("acme", "https://a/token"), public, algorithms=[algorithm])
        assert token.claims["iss"] == token.claims["sub"] == "acme"
        assert token.claims["aud"] == "https://a/token"
        assert 0 < token.claims["exp"] - token.claims["iat"] <= 300
        assert token.header == {"alg": algorithm, "typ": "JWT", "kid": public.thumbprint()}
    two = {
        jwt.decode(signing.assertion("a", "b"), public, algorithms=[algorithm]).claims["jti"]
        for _ in range(2)
    }
    assert len(two) == 2


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP521R1()), rsa.generate_private_key(65537, 1024), "/nowhere", b"no pem"],
)
def test_other_keys_are_refused(key) -> None:
    with pytest.raises((ValueError, OSError)):
        wl.SigningKey(key)


# ---- tokens ----


def test_one_token_serves_until_it_nearly_expires() -> None:
    stub = Stub(httpx.Response(200, json=GRANT))
    with stub.client() as client:
        client.grant("g")
        client.grant("g")
        assert len(stub.tokens) == 1
        client.auth._until -= 570.5  # half a minute is left of ten
        client.grant("g")
    assert [request.headers["authorization"] for request in stub.requests] == [
        "Bearer wl_at_1", "Bearer wl_at_1", "Bearer wl_at_2",
    ]  # fmt: skip
    form = {name: values[0] for name, values in parse_qs(stub.tokens[0].content.decode()).items()}
    assert form.pop("client_assertion").count(".") == 2
    assert form == {
        "grant_type": "client_credentials",
        "client_id": "acme_ai_prod",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "institution": "stmary",
        "purpose_of_use": "TREAT",
    }
    assert stub.tokens[0].content != stub.tokens[1].content  # an assertion is used once


def test_a_token_that_is_not_taken_is_replaced_once_a_request() -> None:
    refused = problem(401, "unauthenticated")
    stub = Stub(refused, httpx.Response(200, json=GRANT), refused)
    with stub.client() as client:
        assert client.grant("g").study == "2.25.1"
        assert len(stub.tokens) == 2
        with pytest.raises(wl.Unauthenticated):
            client.grant("g")
    assert len(stub.requests) == 4


def test_why_no_token_is_given() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": "invalid_client", "error_description": "suspended"})

    with wl.Client(
        BASE, "a", KEY, institution="s", purpose="TREAT", transport=httpx.MockTransport(refuse)
    ) as client, pytest.raises(wl.Unauthenticated, match="suspended") as raised:  # fmt: skip
        client.grants()
    assert raised.value.code == "invalid_client"


def test_with_dpop_the_nonce_that_the_platform_wants_is_used() -> None:
    wanted = iter(["n1", "n2", "n2", "n2", "n3"])
    seen: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        claims = json.loads(urlsafe_b64decode(request.headers["dpop"].split(".")[1] + "=="))
        seen.append((request.url.path, claims.get("nonce", "")))
        nonce = next(wanted)
        if claims.get("nonce") == nonce:
            body = {"access_token": "wl_at_1", "token_type": "DPoP", "expires_in": 600, "grants": []}
            return httpx.Response(200, json=body, headers={"DPoP-Nonce": nonce})
        is_token = request.url.path == "/oauth2/token"
        return httpx.Response(
            400 if is_token else 401, json={"error": "use_dpop_nonce"}, headers={"DPoP-Nonce": nonce}
        )

    with wl.Client(
        BASE, "a", KEY, institution="s", purpose="TREAT", dpop=True, transport=httpx.MockTransport(answer)
    ) as client:  # fmt: skip
        client.grants()
    token, grants = "/oauth2/token", "/api/v1/grants"
    assert seen == [(token, ""), (token, "n1"), (token, "n2"), (grants, "n2")]
    wanted = (f"n{number}" for number in range(100))
    seen.clear()
    with wl.Client(
        BASE, "a", KEY, institution="s", purpose="TREAT", dpop=True, transport=httpx.MockTransport(answer)
    ) as client, pytest.raises(wl.Unauthenticated):  # fmt: skip
        client.grants()
    assert len(seen) == 3


def test_with_dpop_each_request_proves_the_key() -> None:
    stub = Stub(page(), kind="DPoP")
    with stub.client(dpop=True) as client:
        for _ in range(2):
            client._send(calls.events(0, 1))
    keys = set()
    for request, token in ((stub.tokens[0], ""), *((one, "wl_at_1") for one in stub.requests)):
        proof = request.headers["dpop"]
        header = json.loads(urlsafe_b64decode(proof.split(".")[0] + "=="))
        keys.add(header["jwk"]["x"])
        claims = jwt.decode(proof, ECKey.import_key(header["jwk"]), algorithms=["ES256"]).claims
        assert header["typ"] == "dpop+jwt"
        assert claims["htm"] == request.method
        assert claims["htu"] == str(request.url.copy_with(query=None))
        expected = urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        assert claims.get("ath") == (expected if token else None)
        if token:
            assert request.headers["authorization"] == "DPoP wl_at_1"
    assert len(keys) == 1
    assert wl.SigningKey(KEY).public_jwk["x"] not in keys
    # A token that is bound to nothing is not what was asked for.
    with Stub(kind="Bearer").client(dpop=True) as client, pytest.raises(wl.Unauthenticated):
        client.grants()


@pytest.mark.parametrize(
    "address", ["http://images.example", "ftp://localhost", "images.example", "http://127.0.0.1.evil/"]
)
def test_keys_and_tokens_do_not_go_in_clear(address) -> None:
    with pytest.raises(ValueError, match="https"):
        wl.Client(address, "a", KEY, institution="s", purpose="TREAT")
    for good in ("http://localhost:8080/", "http://[::1]:8080", "http://127.0.0.1", BASE):
        assert calls.base_of(good) == good.rstrip("/")


# ---- errors and tries ----


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, wl.ApiError), (403, wl.Forbidden), (404, wl.NotFound), (409, wl.Conflict), (410, wl.NotFound),
        (429, wl.RateLimited), (500, wl.ApiError), (503, wl.Unavailable),
    ],
)  # fmt: skip
def test_problems_are_exceptions(status, kind) -> None:
    answer = problem(status, "some-code", reason="grant-expired", detail="words", request="ab")
    answer.headers["retry-after"] = "7"
    with Stub(answer).client() as client, pytest.raises(kind) as raised:
        client.grants()
    error = raised.value
    assert type(error) is kind
    assert (error.status, error.code, error.reason, error.detail) == (
        status,
        "some-code",
        "grant-expired",
        "words",
    )
    assert (error.request, error.retry_after) == ("ab", 7.0)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b'{"code": 5, "title": null}'])
def test_an_error_without_a_problem_is_one_all_the_same(body) -> None:
    with Stub(httpx.Response(404, content=body)).client() as client, pytest.raises(wl.NotFound) as raised:
        client.grants()
    assert raised.value.code == "unknown"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"id": 5}', b"\xff"])
def test_an_answer_of_somebody_else_is_an_error(body) -> None:
    with Stub(httpx.Response(200, content=body)).client() as client, pytest.raises(wl.ApiError):
        client.grant("g")

    def portal(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    with wl.Client(
        BASE, "a", KEY, institution="s", purpose="TREAT", transport=httpx.MockTransport(portal)
    ) as client, pytest.raises(wl.Unauthenticated):  # fmt: skip
        client.grants()


def test_a_redirect_is_not_followed_and_names_are_no_paths(tmp_path) -> None:
    away = httpx.Response(302, headers={"location": "https://evil.example/"})
    stub = Stub(away)
    with stub.client() as client:
        for call in (client.grants, lambda: client.download("../../api/v1/grants?x#y", tmp_path / "study")):
            with pytest.raises(wl.WardlightClientError):
                call()
    assert {request.url.host for request in stub.requests} == {"images.example"}
    assert stub.requests[-1].url.raw_path == b"/dicom-web/studies/..%2F..%2Fapi%2Fv1%2Fgrants%3Fx%23y"


def test_what_passes_is_tried_again() -> None:
    good = httpx.Response(200, json={"grants": [GRANT]})
    passing = (problem(503, "unavailable"), httpx.ConnectError("down"), problem(429, "rate-limited"))
    stub = Stub(*passing[:2], good)
    with stub.client() as client:
        assert [one.study for one in client.grants()] == ["2.25.1"]
    stub = Stub(*passing, good)
    with stub.client() as client, pytest.raises(wl.RateLimited):
        client.grants()
    stub = Stub(problem(404, "not-found"), good)
    with stub.client() as client, pytest.raises(wl.NotFound):
        client.grants()


def test_grants_of_several_pages() -> None:
    pages = [
        httpx.Response(200, json={"grants": [{**GRANT, "id": str(number)}], "next": following})
        for number, following in ((3, "3"), (2, "2"))
    ]
    stub = Stub(*pages, httpx.Response(200, json={"grants": [{**GRANT, "id": "1"}]}))
    with stub.client() as client:
        assert [one.id for one in client.grants()] == ["3", "2", "1"]
    assert [request.url.params.get("after") for request in stub.requests] == [None, "3", "2"]


def test_how_long_it_waits() -> None:
    calls._LONGEST_PAUSE = 60.0
    error = wl.RateLimited(429, "rate-limited", "")
    error.retry_after = 20.0
    assert calls.pause_after(error, 2.0) == 20.0
    error.retry_after = 86_400.0
    assert calls.pause_after(error, 2.0) == 60.0
    assert calls.pause_after(httpx.ReadTimeout(""), 2.0) == 2.0


# ---- the feed ----


def page(*numbers: int, following: int = 0) -> httpx.Response:
    rows = [
        {
            "specversion": "1.0", "id": f"e{number}", "type": "study.available", "time": "t",
            "sequence": f"{number:012}", "data": {"grant": f"g{number}"},
        }
        for number in numbers
    ]  # fmt: skip
    return httpx.Response(200, json={"events": rows, "next": following or max(numbers, default=0)})


def taken(stub: Stub, count: int, after: int = 0) -> list[wl.Event]:
    with stub.client() as client:
        found = []
        for event in client.events(after):
            found.append(event)
            if len(found) == count:
                client.close()
        return found


def test_events_come_in_order_once_each_and_go_on_after_errors() -> None:
    stub = Stub(
        page(4, 5),
        page(following=9),
        problem(503, "unavailable"),
        httpx.ReadError("cut"),
        page(5, 6),
        page(6, 10, 11),
    )
    found = taken(stub, 5, after=3)
    assert [event.position for event in found] == [4, 5, 6, 10, 11]
    assert [event.grant for event in found] == ["g4", "g5", "g6", "g10", "g11"]
    asked = [request.url.params["after"] for request in stub.requests]
    assert asked == ["3", "5", "9", "9", "9", "9"]


def test_a_feed_that_is_refused_ends() -> None:
    with pytest.raises(wl.Forbidden):
        taken(Stub(problem(403, "forbidden", reason="token-scope")), 1)


# ---- downloads and results ----


def related(files: list[bytes], boundary: str = "b0undary", end: bool = True) -> bytes:
    parts = [
        f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file + b"\r\n" for file in files
    ]
    return b"".join(parts) + (f"--{boundary}--\r\n".encode() if end else b"")


CONTENT = 'multipart/related; type="application/dicom"; boundary=b0undary'


@given(
    st.lists(
        st.lists(st.sampled_from([b"\r\n", b"--", b"b0undary", b"\r\n--b0undar", b"x", b"\r"]), max_size=6)
        .map(b"".join),
        min_size=1, max_size=4,
    ),
    st.integers(1, 40),
)  # fmt: skip
def test_parts_are_found_however_they_are_cut(tmp_path_factory, files, size) -> None:
    files = [file for file in files if b"\r\n--b0undary" not in b"\r\n" + file + b"\r\n"] or [b""]
    body = related(files)
    folder = tmp_path_factory.mktemp("parts") / "study"
    into = StudyFolder(folder, CONTENT)
    for start in range(0, len(body), size):
        into.feed(body[start : start + size])
    assert [path.read_bytes() for path in into.finish()] == files


def test_a_study_is_downloaded(tmp_path) -> None:
    stub = Stub(httpx.Response(200, content=related([b"one", b"two" * 9]), headers={"content-type": CONTENT}))
    with stub.client() as client:
        paths = client.download("2.25.1", tmp_path / "a" / "study")
        with pytest.raises(FileExistsError):
            client.download("2.25.1", tmp_path / "a" / "study")
    assert [path.name for path in paths] == ["00001.dcm", "00002.dcm"]
    assert paths[1].read_bytes() == b"two" * 9
    assert list((tmp_path / "a").iterdir()) == [tmp_path / "a" / "study"]
    assert (
        stub.requests[0].headers["accept"] == 'multipart/related; type="application/dicom"; transfer-syntax=*'
    )


class Cut(httpx.SyncByteStream):
    def __iter__(self):
        yield related([b"one", b"two"], end=False)
        raise httpx.ReadError("reset")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(200, stream=Cut(), headers={"content-type": CONTENT}), wl.Interrupted),
        (
            httpx.Response(200, content=related([b"one"], end=False), headers={"content-type": CONTENT}),
            wl.Interrupted,
        ),
        (
            httpx.Response(200, content=b"x" * 20_000, headers={"content-type": CONTENT}),
            wl.WardlightClientError,
        ),
        (httpx.Response(200, content=b"x", headers={"content-type": "text/html"}), wl.WardlightClientError),
        (problem(404, "not-found"), wl.NotFound),
    ],
)
def test_nothing_is_left_of_half_a_study(answer, error, tmp_path) -> None:
    with Stub(answer).client() as client, pytest.raises(error):
        client.download("2.25.1", tmp_path / "study")
    assert list(tmp_path.iterdir()) == []


def test_results_are_sent_as_multipart(tmp_path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"file")
    stored = {"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}]}}
    module = {"content-type": "application/dicom+json"}
    refused = problem(401, "unauthenticated")
    stub = Stub(refused, httpx.Response(200, content=json.dumps(stored), headers=module))
    with stub.client() as client:
        assert client.store("2.25.1", [tmp_path / "a.dcm", b"bytes"]) == ["1.2"]
    assert stub.requests[0].url.path == "/dicom-web/studies/2.25.1"
    first, second = stub.requests  # with the second token the body is read once more
    assert first.content == second.content
    assert b"\r\n\r\nfile\r\n--" in second.content
    assert second.content.endswith(b"\r\n\r\nbytes\r\n" + second.content.split(b"\r\n")[0] + b"--\r\n")
    failed = {"00081198": {"vr": "SQ", "Value": [
        {"00081155": {"vr": "UI", "Value": ["1.3"]}, "00081197": {"vr": "US", "Value": [0x0124]}}
    ]}}  # fmt: skip
    for status in (202, 409):
        stub = Stub(httpx.Response(status, content=json.dumps(failed), headers=module))
        with stub.client() as client, pytest.raises(wl.NotStored, match="0x0124") as raised:
            client.store("2.25.1", [b"x"])
        assert raised.value.failed == {"1.3": 0x0124}
    with Stub(problem(409, "conflict")).client() as client, pytest.raises(wl.Conflict):
        client.store("2.25.1", [b"x"])


def test_a_large_file_is_not_held(tmp_path) -> None:
    with (tmp_path / "large.dcm").open("wb") as file:
        file.truncate(64 << 20)
    assert max(len(piece) for piece in FilesBody([tmp_path / "large.dcm"])) == 1 << 20


# ---- entries ----


def test_entries_go_in_requests_of_a_hundred() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        rows = json.loads(request.content).get("entries", ())
        return httpx.Response(
            200, json={"entries": [{"id": one["id"], "status": "recorded", "entry": "e"} for one in rows]}
        )

    stub = Stub(answer)
    entries = [
        wl.AuditEntry("app:study:process", grant="g", study="2.25.1", params={"slices": 3})
        for _ in range(150)
    ]
    with stub.client() as client:
        outcomes = client.record(*entries)
        client.define_audit(["done"], {"slices": int, "urgent": bool, "tool": ["a", "b"]})
    assert [one.id for one in outcomes] == [one.id for one in entries]
    assert [len(json.loads(request.content)["entries"]) for request in stub.requests[:2]] == [100, 50]
    assert entries[0].members() == {
        "action": "app:study:process", "grant": "g", "study": "2.25.1", "outcome": "success",
        "params": {"slices": 3}, "id": entries[0].id, "time": entries[0].time,
    }  # fmt: skip
    assert json.loads(stub.requests[2].content) == {
        "codes": ["done"],
        "params": {"slices": "integer", "urgent": "boolean", "tool": ["a", "b"]},
    }


# ---- asyncio ----


def test_the_asynchronous_client_does_the_same(tmp_path) -> None:
    multipart = httpx.Response(200, content=related([b"one"]), headers={"content-type": CONTENT})
    stored = httpx.Response(200, content=b"{}", headers={"content-type": "application/dicom+json"})
    stub = Stub(
        problem(401, "unauthenticated"), problem(503, "unavailable"), httpx.Response(200, json=GRANT),
        multipart, stored, page(1), httpx.ReadError("cut"), page(1, 2),
    )  # fmt: skip

    async def run() -> list[int]:
        async with wl.AsyncClient(
            BASE,
            "acme_ai_prod",
            KEY,
            institution="stmary",
            purpose="TREAT",
            transport=httpx.MockTransport(stub),
        ) as client:
            assert (await client.grant("g")).study == "2.25.1"
            (path,) = await client.download("2.25.1", tmp_path / "study")
            assert path.read_bytes() == b"one"
            assert await client.store("2.25.1", [b"x"]) == []
            found = []
            async for event in client.events():
                found.append(event.position)
                if len(found) == 2:
                    return found
        raise AssertionError

    assert asyncio.run(run()) == [1, 2]
    assert len(stub.tokens) == 2


def test_it_needs_nothing_else_of_wardlight() -> None:
    code = (
        "import sys, wardlight.client; from wardlight.client import dicomweb\n"
        "print(*sorted(name for name in sys.modules if name.startswith('wardlight')))\n"
        "print(*sorted({'sqlalchemy', 'pydantic', 'pydicom', 'fastapi', 'requests'} & sys.modules.keys()))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours, others = ran.stdout.splitlines()
    assert all(name == "wardlight" or name.startswith("wardlight.client") for name in ours.split())
    assert others == ""


# ---- people ----


def test_definitions_are_registered_and_people_told():
    row = {
        "name": "result-ready", "title": "{application}", "text": "{count}", "permission": "images", "licence": "",
        "channels": ["bell"], "version": 2, "created": "x",
    }  # fmt: skip
    stub = Stub(
        httpx.Response(201, json=row),
        httpx.Response(200, json={"definitions": [row]}),
        httpx.Response(202, json={"id": "ab"}),
        httpx.Response(200, json={"name": "result-ready", "retired": True}),
    )
    wanted = wl.Definition("result-ready", "{application}", "{count}", "images", channels=("bell",))
    with stub.client() as client:
        assert client.define(wanted) == 2
        [found] = client.definitions()
        assert found.members() == wanted.members() and found.version == 2
        assert client.notify("result-ready", {"count": 3}, grant="0" * 32, people=["u-1"]) == "ab"
        client.retire("result-ready")
    sent = json.loads(stub.requests[2].content)
    assert sent == {"values": {"count": 3}, "grant": "0" * 32, "people": ["u-1"]}
    assert [(one.method, one.url.path) for one in stub.requests] == [
        ("POST", "/api/v1/notification-definitions"),
        ("GET", "/api/v1/notification-definitions"),
        ("POST", "/api/v1/notification-definitions/result-ready/send"),
        ("DELETE", "/api/v1/notification-definitions/result-ready"),
    ]


def test_people_are_not_told_twice_by_a_try_of_the_client():
    stub = Stub(problem(503, "unavailable"))
    with stub.client() as client, pytest.raises(wl.Unavailable):
        client.notify("result-ready")
    assert len(stub.requests) == 1


def test_machine_data_is_sent_once_as_lines():
    stub = Stub(httpx.Response(201, json={"masked": 1}))
    with stub.client() as client:
        assert client.tell([{"text": "ü"}, {"text": "b", "n": 1}], source="ai") == 1
    (request,) = stub.requests
    assert request.headers["content-type"] == "application/x-ndjson"
    assert dict(request.url.params) == {"class": "log", "source": "ai"}
    assert json.loads(request.content.decode().split("\n")[0]) == {"text": "ü"}
    busy = Stub(httpx.Response(503, json={}))
    with busy.client() as client, pytest.raises(wl.ApiError):
        client.tell([{"text": "b"}])
    assert len(busy.requests) == 1
