"""The routes over in-memory services: who may come, what is answered, what is never half done."""

from __future__ import annotations

import io
import json

import pytest
from starlette.testclient import TestClient

from unit.web.fakes import Fakes, make, part10, protected
from wardlight import log
from wardlight.archive.matching import Rules
from wardlight.archive.model import FrameTable, Page
from wardlight.dicom.related import RelatedParser, RelatedWriter
from wardlight.errors import WardlightError
from wardlight.web.app import create_app

WRITER = RelatedWriter("b0undary")
STORE = WRITER.content_type("application/dicom")
INSTANCE = "/dicom-web/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.1"


@pytest.fixture
def fakes() -> Fakes:
    return make()


@pytest.fixture
def client(fakes: Fakes) -> TestClient:
    return TestClient(create_app(fakes.services), raise_server_exceptions=False)


def bearer(token: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **{k.replace("_", "-"): v for k, v in headers.items()}}


def multipart(*files: bytes, content_type: str = "application/dicom") -> bytes:
    heads = [WRITER.head({"Content-Type": content_type}, first=n == 0) for n in range(len(files))]
    return b"".join(head + file for head, file in zip(heads, files, strict=True)) + WRITER.tail


def store(client: TestClient, *files: bytes, token: str = "admin", path: str = "", **headers: str):
    headers = bearer(token, **{"Content_Type": STORE, **headers})
    return client.post(f"/dicom-web/studies{path}", content=multipart(*files), headers=headers)


def parts(answer) -> list[tuple[dict[str, str], bytes]]:
    boundary = answer.headers["content-type"].partition("boundary=")[2]
    parser, found = RelatedParser(boundary), []
    for event in parser.feed(answer.content):
        if hasattr(event, "headers"):
            found.append((event.headers, b""))
        elif hasattr(event, "data"):
            found[-1] = (found[-1][0], found[-1][1] + bytes(event.data))
    parser.finish()
    return found


# --- every answer ---


def test_headers_and_number_of_every_answer(client: TestClient) -> None:
    for path in ("/healthz", "/nothing", "/dicom-web/studies"):
        answer = client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert len(answer.headers["x-request-id"]) == 32
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = client.get("/nothing", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert answer.headers["x-request-id"] == answer.json()["request"] == trace
    answer = client.get("/nothing", headers={"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"})
    assert answer.headers["x-request-id"] != "0" * 32


def test_failures_are_problems_of_the_catalogue(client: TestClient) -> None:
    answer = client.get("/nothing/here?secret=1")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "not-found"
    assert "secret" not in answer.text
    answer = client.delete("/dicom-web/studies")
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    answer = client.get("/dicom-web/studies?a=" + "x" * 20_000, headers=bearer("admin"))
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


def test_unforeseen_errors_say_nothing(fakes: Fakes, client: TestClient, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("Doe^Jane")

    monkeypatch.setattr(fakes.services.identity, "authenticate", broken, raising=False)
    answer = client.get("/dicom-web/studies", headers=bearer("admin"))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "Doe" not in answer.text


def test_health(fakes: Fakes) -> None:
    def broken() -> None:
        raise OSError("/secret/path")

    services = fakes.services
    object.__setattr__(services, "checks", {"database": lambda: None, "objects": broken})
    client = TestClient(create_app(services), client=("127.0.0.1", 1))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "failed", "checks": {"database": "ok", "objects": "failed"}}
    client.get("/dicom-web/studies/1.2.3", headers=bearer("admin"))
    text = client.get("/metrics").text
    assert 'template="/dicom-web/studies/{study}"' in text
    assert "1.2.3" not in text.replace("1.2.3", "", 0) or "/studies/1.2.3" not in text
    assert client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 404
    assert TestClient(create_app(services), client=("192.0.2.1", 1)).get("/metrics").status_code == 404


@pytest.mark.parametrize(
    ("proxied", "lines", "expected"),
    [
        (True, ["198.51.100.7"], "198.51.100.7"),
        (True, ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        # What the client sends comes before what the proxy adds, on the same line or on one of its own.
        (True, ["203.0.113.9", "203.0.113.8, 198.51.100.7"], "198.51.100.7"),
        (True, ["203.0.113.9", "not an address"], ""),
        # As proxies write that listen on both: else all of IPv4 would be one network to whoever counts.
        (True, ["::ffff:198.51.100.7"], "198.51.100.7"),
        (True, [], "192.0.2.44"),
        (False, ["203.0.113.9"], "192.0.2.44"),
    ],
)
def test_address_of_the_client(proxied: bool, lines: list[str], expected: str) -> None:
    fakes = make(behind_tls_proxy=proxied)
    client = TestClient(create_app(fakes.services), client=("192.0.2.44", 1))
    headers = [("X-Forwarded-For", line) for line in lines]
    assert client.get("/dicom-web/studies", headers=headers).status_code == 401
    assert [event.address for event in fakes.denials.events] == [expected]


def test_log_holds_templates_only(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = io.StringIO()
    monkeypatch.setattr(log, "_logger", log.Logger("web", lines, 10))
    log.dropped.clear()
    store(client, part10(1), part10(2)[:-3])
    client.get(f"{INSTANCE}/frames/1?PatientName=Canary", headers=bearer("admin"))
    client.get("/dicom-web/studies?PatientName=Canary", headers=bearer("wl_pt_canary"))
    client.get("/Canary", headers=bearer("admin"))
    rows = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [row["template"] for row in rows if row["event"] == "web.request"][1].endswith("/frames/{frames}")
    for secret in ("anary", "1.2.3", "Doe", "Bearer"):
        assert secret not in lines.getvalue()
    assert not log.dropped


# --- who may come ---


def test_without_a_token(fakes: Fakes, client: TestClient) -> None:
    for headers in ({}, bearer("unknown"), {"Authorization": "Basic YTpi"}, bearer("x" * 5000)):
        answer = client.get("/dicom-web/studies", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith('Bearer realm="wardlight"')
    assert len(fakes.denials.events) == 4
    assert fakes.archive.queries == []


def test_refused_before_the_body_is_read(fakes: Fakes, client: TestClient) -> None:
    def body():
        raise AssertionError("read")
        yield b""

    for token, status in (("unknown", 401), ("reader", 403), ("application", 403), ("officer", 403)):
        headers = bearer(token, Content_Type=STORE)
        assert client.post("/dicom-web/studies", content=body(), headers=headers).status_code == status
    for content_type, status in (
        ("text/plain", 415),
        ("multipart/related; type=image/jpeg; boundary=b", 415),
        ("nonsense", 400),
    ):
        headers = bearer("admin", Content_Type=content_type)
        assert client.post("/dicom-web/studies", content=body(), headers=headers).status_code == status
    headers = bearer("admin", Content_Type=STORE, Accept="image/png")
    assert client.post("/dicom-web/studies", content=body(), headers=headers).status_code == 406
    headers = bearer("admin", Content_Type=STORE, Content_Encoding="gzip")
    assert client.post("/dicom-web/studies", content=body(), headers=headers).status_code == 415


def test_agreement_is_needed(fakes: Fakes, client: TestClient) -> None:
    receiver = {"Wardlight_Application": "acme", "Wardlight_Level": "high"}
    assert store(client, protected(), token="receiver", **receiver).status_code == 200
    assert fakes.archive.targets[0].application == "acme"
    answer = store(client, part10(), token="receiver", **{**receiver, "Wardlight_Level": "low"})
    assert (answer.status_code, answer.json()["code"]) == (403, "level-not-agreed")
    answer = store(client, part10(), token="receiver", **{**receiver, "Wardlight_Application": "other"})
    assert (answer.status_code, answer.json()["code"]) == (403, "no-agreement")
    fakes.agreements.levels["images"] = set()
    assert store(client, part10()).json()["code"] == "level-not-agreed"
    assert {event.reason for event in fakes.denials.events} == {"level-not-agreed", "no-agreement"}


def test_headers_of_the_release(fakes: Fakes, client: TestClient) -> None:
    headers = {
        "Wardlight_Application": "acme",
        "Wardlight_Level": "high",
        "Wardlight_Study_Group": "0f" * 16,
    }
    assert store(client, protected(), token="receiver", **headers).status_code == 200
    assert fakes.archive.groups == [b"\x0f" * 16]
    for name, value in (
        ("Wardlight_Level", "none"),
        ("Wardlight_Study_Group", "xyz"),
        ("Wardlight_Application", "../x"),
    ):
        assert store(client, part10(), token="receiver", **{**headers, name: value}).status_code == 400
    assert store(client, part10(), token="receiver").status_code == 400
    assert store(client, part10(), token="admin", **headers).status_code == 400


# --- store ---


def test_store_and_get_back(fakes: Fakes, client: TestClient) -> None:
    files = [part10(1), part10(2)]
    answer = store(client, *files)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom+json")
    body = answer.json()
    assert body["00081190"]["Value"] == ["http://testserver/dicom-web/studies/1.2.3"]
    items = body["00081199"]["Value"]
    assert [item["00081155"]["Value"] for item in items] == [["1.2.3.4.1"], ["1.2.3.4.2"]]
    assert "00081198" not in body
    assert items[0]["00081190"]["Value"] == [f"http://testserver{INSTANCE}"]
    assert fakes.archive.commits == 1
    answer = client.get("/dicom-web/studies/1.2.3", headers=bearer("reader"))
    assert [data for _, data in parts(answer)] == files
    assert int(answer.headers["content-length"]) == len(answer.content)
    # Sent again it is a success, and nothing is added.
    assert store(client, *files).status_code == 200
    assert len(fakes.archive.instances_of) == 2


def test_single_part(client: TestClient) -> None:
    headers = bearer("admin", Content_Type="application/dicom")
    assert client.post("/dicom-web/studies", content=part10(), headers=headers).status_code == 200
    answer = client.get(INSTANCE, headers=bearer("admin", Accept="application/dicom"))
    assert answer.content == part10()
    assert answer.headers["content-type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    answer = client.post("/dicom-web/studies", content=b"nothing", headers=headers)
    assert (answer.status_code, answer.json()) == (
        409,
        {"0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xC000]}}]}},
    )


def test_other_content_is_a_conflict(fakes: Fakes, client: TestClient) -> None:
    store(client, part10(1))
    answer = store(client, part10(1, name="Roe^Jane"), part10(2))
    assert answer.status_code == 202
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081197"]["Value"] == [0x0111]
    assert "the first is kept" in answer.headers["warning"]
    answer = store(client, part10(1, name="Roe^Jane"))
    assert answer.status_code == 409
    assert "00081190" not in answer.json()


def test_each_file_has_its_own_outcome(fakes: Fakes, client: TestClient) -> None:
    good, cut = part10(1), part10(2)[:-3]
    headless = part10(3).replace(b"\x20\x00\x0d\x00UI", b"\x20\x00\x0c\x00UI")
    answer = store(client, cut, b"not DICOM", headless, b"", good, part10(4, study="1.9", series="1.9.1"))
    assert answer.status_code == 202
    body = answer.json()
    assert len(body["00081199"]["Value"]) == 2
    assert [row["00081197"]["Value"] for row in body["0008119A"]["Value"]] == [[0xC000], [0xC000]]
    assert [row["00081197"]["Value"] for row in body["00081198"]["Value"]] == [[0xC000], [0xC000]]
    assert "00081190" not in body  # two studies
    stored = [data for _, data in fakes.archive.instances_of.values()]
    assert good in stored


def test_files_of_another_study(client: TestClient) -> None:
    assert store(client, part10(1), path="/1.2.3").status_code == 200
    answer = store(client, part10(2), part10(3, study="1.9"), path="/1.2.3")
    assert answer.status_code == 202
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081197"]["Value"] == [0xA900]
    assert store(client, part10(2), path="/nonsense").status_code == 404


def test_parts_of_another_type(client: TestClient) -> None:
    body = multipart(b"{}", content_type="application/dicom+json")
    answer = client.post("/dicom-web/studies", content=body, headers=bearer("admin", Content_Type=STORE))
    assert answer.status_code == 409


def test_broken_bodies_store_nothing(fakes: Fakes, client: TestClient) -> None:
    whole = multipart(part10(1), part10(2))
    for body in (whole[:-5], whole[:400], b"", b"x" * 2000, whole.replace(WRITER.tail, b"\r\n--b0undaryX")):
        answer = client.post("/dicom-web/studies", content=body, headers=bearer("admin", Content_Type=STORE))
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert fakes.archive.commits == 0
    assert all(writer.aborted for writer in fakes.archive.writers)
    empty = client.post(
        "/dicom-web/studies", content=b"--b0undary--", headers=bearer("admin", Content_Type=STORE)
    )
    assert empty.status_code == 400


def test_the_archive_cannot_store(fakes: Fakes, client: TestClient) -> None:
    fakes.archive.fail = WardlightError("out-of-resources")
    answer = store(client, part10(1))
    assert (answer.status_code, answer.json()["code"]) == (507, "out-of-resources")
    assert answer.headers["retry-after"] == "60"
    assert all(writer.aborted for writer in fakes.archive.writers)


def test_limits_of_a_request() -> None:
    fakes = make(request_bytes=2000, part_count=2)
    client = TestClient(create_app(fakes.services), raise_server_exceptions=False)
    assert store(client, part10(1), part10(2), part10(3)).status_code == 413
    headers = bearer("admin", Content_Type=STORE)

    def chunks():
        yield multipart(part10(1, pixels=bytes(1000)))
        yield bytes(3000)

    assert client.post("/dicom-web/studies", content=chunks(), headers=headers).status_code == 413
    small = make(part_count=2)
    client = TestClient(create_app(small.services), raise_server_exceptions=False)
    answer = store(client, part10(1), part10(2), part10(3))
    assert (answer.status_code, answer.json()["reason"]) == (413, "multipart-count")
    assert fakes.archive.commits == small.archive.commits == 0


# --- search ---


def test_search(fakes: Fakes, client: TestClient) -> None:
    row = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}, "00100010": {"vr": "PN"}}
    fakes.archive.page = Page([row], more=True, next="abc-_9")
    answer = client.get(
        "/dicom-web/studies?PatientName=D*&00100020=4711&StudyInstanceUID=1.2&StudyInstanceUID=1.3"
        "&includefield=00081030,SeriesDescription&includefield=all&limit=5&offset=10&fuzzymatching=true",
        headers=bearer("officer"),
    )
    assert answer.headers["content-type"] == "application/dicom+json"
    assert answer.json()[0]["00081190"]["Value"] == ["http://testserver/dicom-web/studies/1.2.3"]
    assert answer.headers["warning"].startswith(
        '299 http://testserver/dicom-web "There are additional results'
    )
    link = (
        "<http://testserver/dicom-web/studies?PatientName=D*&00100020=4711&StudyInstanceUID=1.2&StudyInstanceUID=1.3"
        "&includefield=00081030,SeriesDescription&includefield=all&limit=5&fuzzymatching=true&cursor=abc-_9>"
    )
    assert answer.headers["link"] == f'{link}; rel="next"'
    (query,) = fakes.archive.queries
    assert query.rules == Rules(fuzzy=True)
    client.get(link[1:-1], headers=bearer("officer"))
    assert (fakes.archive.queries.pop().cursor, query.cursor) == ("abc-_9", "")
    assert {key.path: key.value for key in query.keys} == {
        (0x00100010,): "D*",
        (0x00100020,): "4711",
        (0x0020000D,): "1.2,1.3",
    }
    assert (query.limit, query.offset, query.include_all) == (5, 10, True)
    assert query.include == {0x00081030, 0x0008103E}


def test_search_below(fakes: Fakes, client: TestClient) -> None:
    headers = bearer("admin", Accept="application/json")
    for path in ("/series", "/instances", "/studies/1.2/series", "/studies/1.2/instances"):
        answer = client.get(f"/dicom-web{path}", headers=headers)
        assert (answer.status_code, answer.json()) == (200, [])
        assert answer.headers["content-type"] == "application/json"
    fakes.archive.page = Page([{"00080018": {"vr": "UI", "Value": ["1.9"]}}], more=False)
    answer = client.get("/dicom-web/studies/1.2/series/1.3/instances", headers=headers)
    url = "http://testserver/dicom-web/studies/1.2/series/1.3/instances/1.9"
    assert answer.json()[0]["00081190"]["Value"] == [url]
    query = fakes.archive.queries[-1]
    assert (query.study_uid, query.series_uid) == ("1.2", "1.3")
    answer = client.get("/dicom-web/studies?limit=0", headers=headers)
    assert (answer.status_code, answer.json()) == (200, [])
    answer = client.get(
        "/dicom-web/instances?RequestAttributesSequence.ScheduledProcedureStepID=1", headers=headers
    )
    assert answer.status_code == 200
    assert fakes.archive.queries[-1].keys[0].path == (0x00400275, 0x00400009)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("NoSuchKeyword=1", "matching-key-not-supported"),
        ("00091001=1", "matching-key-not-supported"),
        ("includefield=Nonsense", "matching-key-not-supported"),
        ("A.B.C=1", "matching-key-not-supported"),
        ("limit=-1", "bad-request"),
        ("limit=1&limit=2", "bad-request"),
        ("offset=x", "bad-request"),
        ("limit=٣", "bad-request"),
        ("fuzzymatching=yes", "bad-request"),
        ("PatientID=1&PatientID=2", "bad-request"),
        ("PatientName=%ff", "bad-request"),
        ("PatientID=1&" + "&".join(f"x{n}=1" for n in range(1001)), "bad-request"),
    ],
)
def test_queries_refused(client: TestClient, query: str, code: str) -> None:
    answer = client.get(f"/dicom-web/studies?{query}", headers=bearer("admin"))
    assert (answer.status_code, answer.json()["code"]) == (400, code)


# --- retrieve ---


def accepts(client: TestClient, path: str, accept: str):
    return client.get(path, headers=bearer("admin", Accept=accept))


def test_accepted_transfer_syntaxes(client: TestClient) -> None:
    jpeg = "1.2.840.10008.1.2.4.50"
    store(client, part10(1), part10(2, syntax=jpeg, fragments=[b"\xff\xd8\xff\xd9"]))
    study, related = "/dicom-web/studies/1.2.3", 'multipart/related; type="application/dicom"'
    for accept, status in (
        ("", 200),
        ("*/*", 200),
        ("multipart/related", 200),
        (related, 200),
        (f"{related}; transfer-syntax=*", 200),
        (f"{related}; transfer-syntax={jpeg}", 406),
        (f"{related}; transfer-syntax={jpeg}, {related}; transfer-syntax=1.2.840.10008.1.2.1", 200),
        ("application/dicom", 406),
        ("application/dicom+json", 406),
        ("text/html", 406),
        (f"{related}; q=0", 406),
        ('a/b; c="', 400),
        (",".join(["a/b"] * 100), 400),
    ):
        assert accepts(client, study, accept).status_code == status, accept
    other = INSTANCE.replace("4.1", "4.2")
    assert accepts(client, other, f"{related}; transfer-syntax={jpeg}").status_code == 200
    assert accepts(client, INSTANCE, f"{related}; transfer-syntax={jpeg}").status_code == 406
    answer = accepts(client, INSTANCE, f"{related}; q=0.5, application/dicom")
    assert answer.headers["content-type"].startswith("application/dicom;")
    answer = client.get(f"{INSTANCE}?accept=application/dicom", headers=bearer("admin"))
    assert answer.headers["content-type"].startswith("application/dicom;")


def test_unseen_is_unknown(client: TestClient) -> None:
    store(client, part10(1))
    answers = [
        client.get(path, headers=bearer("admin"))
        for path in (
            "/dicom-web/studies/1.9",
            "/dicom-web/studies/1.2.3/series/1.9",
            f"{INSTANCE}9",
            f"{INSTANCE}9/frames/1",
            "/dicom-web/studies/..%2f..",
            "/dicom-web/studies/x",
        )
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["code"] for answer in answers} == {"not-found"}


def test_native_frames(client: TestClient) -> None:
    store(client, part10(1))
    octets = 'multipart/related; type="application/octet-stream"'
    for accept in ("", "*/*", octets, f"{octets}; transfer-syntax=1.2.840.10008.1.2.1"):
        answer = accepts(client, f"{INSTANCE}/frames/1", accept)
        assert answer.headers["content-type"].startswith(octets)
        ((headers, data),) = parts(answer)
        assert data == b"\x01\x02\x03\x04"
        assert headers["content-type"] == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    answer = accepts(client, f"{INSTANCE}/frames/1", "application/octet-stream")
    assert answer.content == b"\x01\x02\x03\x04"
    assert accepts(client, f"{INSTANCE}/frames/1", "image/jpeg").status_code == 406
    assert accepts(client, f"{INSTANCE}/frames/2", "").status_code == 404
    for bad in ("0", "x", "1,,2", "1-2", "-1", "٣"):
        assert accepts(client, f"{INSTANCE}/frames/{bad}", "").status_code == 400


def test_encapsulated_frames(client: TestClient) -> None:
    syntax = "1.2.840.10008.1.2.4.90"
    store(client, part10(1, syntax=syntax, fragments=[b"one1", b"twotwo"]))
    answer = accepts(client, f"{INSTANCE}/frames/2,1", "")
    assert answer.headers["content-type"].startswith('multipart/related; type="image/jp2"')
    found = parts(answer)
    assert [data for _, data in found] == [b"twotwo", b"one1"]
    assert found[0][0]["content-location"].endswith("/frames/2")
    assert found[0][0]["content-type"] == f"image/jp2; transfer-syntax={syntax}"
    octets = 'multipart/related; type="application/octet-stream"'
    for accept, status in (
        ('multipart/related; type="image/jp2"', 200),
        ('multipart/related; type="image/*"', 200),
        (f'multipart/related; type="image/jp2"; transfer-syntax={syntax}', 200),
        ('multipart/related; type="image/jp2"; transfer-syntax=1.2.840.10008.1.2.4.91', 406),
        (f"{octets}; transfer-syntax=*", 200),
        (f"{octets}; transfer-syntax={syntax}", 200),
        (octets, 406),  # means explicit little endian
        ("image/jp2", 406),  # one part for two frames
    ):
        assert accepts(client, f"{INSTANCE}/frames/1,2", accept).status_code == status, accept
    answer = accepts(client, f"{INSTANCE}/frames/1", f"{octets}; transfer-syntax=*")
    assert parts(answer)[0][0]["content-type"] == f"application/octet-stream; transfer-syntax={syntax}"
    assert accepts(client, f"{INSTANCE}/frames/1", "image/jp2").content == b"one1"


def test_fragmented_frames_are_joined(fakes: Fakes, client: TestClient) -> None:
    store(client, part10(1, syntax="1.2.840.10008.1.2.5", fragments=[b"aaaa", b"bb", b"cccc"]))
    ((row, _),) = fakes.archive.instances_of.values()
    places = tuple((start, start + size) for start, size in row.pixel.fragments[1:])
    fakes.archive.table = FrameTable((places[:2], places[2:], ()))
    answer = accepts(client, f"{INSTANCE}/frames/1,2,3", "*/*")
    assert [data for _, data in parts(answer)] == [b"aaaabb", b"cccc", b""]
    assert parts(answer)[0][0]["content-type"].startswith("image/dicom-rle")


def test_bit_packed_frames_start_at_a_byte(fakes: Fakes, client: TestClient) -> None:
    frames = [0b10110, 0b01101, 0b11111, 0b00001]
    packed = sum(frame << (5 * n) for n, frame in enumerate(frames)).to_bytes(4, "little")
    store(client, part10(1, pixels=packed))
    ((row, _),) = fakes.archive.instances_of.values()
    begin = row.pixel.offset
    places = [((begin + n * 5 // 8, begin + (n * 5 + 5 + 7) // 8),) for n in range(4)]
    fakes.archive.table = FrameTable(tuple(places), frame_bits=5)
    answer = accepts(client, f"{INSTANCE}/frames/1,2,3,4", "*/*")
    assert [data for _, data in parts(answer)] == [bytes([frame]) for frame in frames]


def test_frames_that_cannot_be_decoded_are_given_as_they_are_stored_only(
    fakes: Fakes, client: TestClient
) -> None:
    store(client, part10(1))
    fakes.archive.syntax = "1.2.840.10008.1.2.4.102"
    octets = 'multipart/related; type="application/octet-stream"'
    assert accepts(client, f"{INSTANCE}/frames/1", octets).status_code == 406
    answer = accepts(client, f"{INSTANCE}/frames/1", "*/*")
    assert parts(answer)[0][0]["content-type"] == "video/mp4; transfer-syntax=1.2.840.10008.1.2.4.102"
    answer = accepts(client, f"{INSTANCE}/frames/1", f"{octets}; transfer-syntax=*")
    assert parts(answer)[0][0]["content-type"].endswith("1.2.840.10008.1.2.4.102")


def test_metadata(fakes: Fakes, client: TestClient) -> None:
    path = "/dicom-web/studies/1.2/metadata"
    assert client.get(path, headers=bearer("officer")).json() == []
    fakes.archive.rows = [b'{"a":1},{"a":2}', b',{"a"', b":3}"]
    answer = client.get(path, headers=bearer("officer"))
    assert [row["a"] for row in answer.json()] == [1, 2, 3]
    assert answer.headers["content-type"] == "application/dicom+json"
    assert "content-length" in answer.headers
    assert fakes.archive.base_url == "http://testserver/dicom-web"
    assert client.get(path, headers=bearer("officer", Accept="application/dicom+xml")).status_code == 406
    fakes.archive.rows = [json.dumps({"a": "x" * 100_000}).encode(), b","] * 50 + [b"{}"]
    assert len(client.get(path, headers=bearer("officer")).json()) == 51


def test_pixels_are_not_for_the_privacy_officer(client: TestClient) -> None:
    store(client, part10(1))
    for path in ("/dicom-web/studies/1.2.3", INSTANCE, f"{INSTANCE}/frames/1"):
        assert client.get(path, headers=bearer("officer")).status_code == 403


def test_damage_before_the_first_byte_is_an_error(fakes: Fakes, client: TestClient) -> None:
    store(client, part10(1))
    fakes.archive.damaged_after = 0
    answer = client.get(INSTANCE, headers=bearer("admin"))
    assert (answer.status_code, answer.json()["code"]) == (500, "object-damaged")


def test_public_address(fakes: Fakes) -> None:
    fakes = make()
    settings = fakes.services.settings.model_copy(update={"public_url": "https://pacs.example/"})
    object.__setattr__(fakes.services, "settings", settings)
    client = TestClient(create_app(fakes.services))
    assert store(client, part10(1)).json()["00081190"]["Value"] == [
        "https://pacs.example/dicom-web/studies/1.2.3"
    ]
    client = TestClient(create_app(make().services))
    answer = store(client, part10(1), Host="evil.example/<script>")
    assert answer.json()["00081190"]["Value"] == ["http://localhost:8080/dicom-web/studies/1.2.3"]
