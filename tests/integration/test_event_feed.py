"""The feed over HTTP: at once, waiting, as a stream; it ends with the token, the application, the institution."""

from __future__ import annotations

import http.client
import json
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
from sqlalchemy import update

from delivery_kit import Told
from platform_kit import a_platform
from share_kit import ACME, BETA
from wardlight.archive.open_reads import OpenReads
from wardlight.decoding.pool import DecoderPool
from wardlight.events.outbox import Kind
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.identity.tables import token as token_table
from wardlight.ingest.service import Ingest
from wardlight.settings import WebSettings
from wardlight.web import follow, waiting
from wardlight.web.server import WebServer
from wardlight.web.services import Services

BY = LOCAL_ADMINISTRATOR
#: Within which an open feed ends (R6.4), with something for this machine's load.
SOON_S = 1.5


class Served:
    def __init__(self, kit: Told) -> None:
        self.kit = kit
        platform = kit.platform
        self.reads = OpenReads(platform.database, platform.recorder)
        settings = platform.settings.model_copy(update={"web": WebSettings(port=0)})
        self.pool = DecoderPool(1, allow_unsandboxed=True)
        ingest = Ingest(platform.archive, platform.access, platform.agreements)
        self.server = WebServer(
            Services(
                settings, platform.identity, platform.access, platform.archive, ingest, self.pool,
                platform.parts, platform.api, self.reads,
            )
        )  # fmt: skip
        self.port = self.server.bind()
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        self.reads.start()

    def close(self) -> None:
        self.reads.close()
        self.server.stop()
        self.thread.join(20)
        self.pool.close()

    def ask(self, token: str, method: str = "GET", headers: dict[str, str] | None = None, **query: object):
        """An open request for events; its answer when that is asked for."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        path = "/api/v1/events" + (f"?{urlencode(query)}" if query else "")
        connection.request(method, path, headers={"Authorization": f"Bearer {token}", **(headers or {})})
        return connection

    def events(self, token: str, **query: object) -> dict:
        answer = self.ask(token, **query).getresponse()
        body = json.loads(answer.read())
        assert answer.status == 200, body
        return body

    @contextmanager
    def stream(self, token: str, after: int, last: str = ""):
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        answer = self.ask(token, headers=headers, after=after).getresponse()
        assert answer.status == 200 and answer.getheader("content-type").startswith("text/event-stream")
        try:
            yield answer
        finally:
            answer.close()


@pytest.fixture(scope="module", params=["embedded", pytest.param("postgresql-s3", marks=pytest.mark.long)])
def served(request):
    import platform_kit

    platform_kit.chosen = request.param
    with a_platform() as platform:
        running = Served(Told(platform))
        try:
            yield running
        finally:
            running.close()
            platform_kit.chosen = platform_kit.STORES[0]


@pytest.fixture
def told(served):
    return served.kit


def newest(served, token: str) -> int:
    return int(served.events(token)["next"])


def message(answer) -> dict[str, str]:
    """The next event of a stream; comments are passed over."""
    fields: dict[str, str] = {}
    while True:
        line = answer.readline().decode().rstrip("\n")
        name, _, value = line.partition(": ")
        if name in ("id", "event", "data"):
            fields[name] = value
        elif not line and fields:
            return fields


def test_events_are_read_and_acknowledged(served, told):
    token = told.token(ACME)
    start = newest(served, token)
    events = [told.tell(data={"instances": number}) for number in range(3)]
    page = served.events(token, after=start, limit=2)
    assert [event["id"] for event in page["events"]] == [one.hex for one in events[:2]]
    assert [event["id"] for event in served.events(token, after=page["next"])["events"]] == [events[2].hex]
    first = page["events"][0]
    assert first["specversion"] == "1.0" and first["type"] == "agreement.changed"
    assert int(first["sequence"]) == start + 1
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    for _ in range(2):
        connection.request(
            "POST", f"/api/v1/events/{first['id']}/acknowledge", headers={"Authorization": f"Bearer {token}"}
        )
        answer = connection.getresponse()
        assert answer.status == 200 and json.loads(answer.read())["acknowledged"] is True


@pytest.mark.parametrize(
    "query", [{"after": "-1"}, {"after": "x"}, {"limit": 0}, {"limit": 1001}, {"wait": 31}, {"wait": "1.5"},
              {"after": "１"}, {"after": 10**13}]
)  # fmt: skip
def test_what_cannot_be_asked(served, told, query):
    answer = served.ask(told.token(ACME), **query).getresponse()
    assert answer.status == 400 and json.loads(answer.read())["code"] == "bad-request"


def test_it_waits_for_what_comes(served, told):
    token = told.token(ACME)
    start = newest(served, token)
    began = time.monotonic()
    assert served.events(token, after=start, wait=1)["events"] == []
    assert 0.9 < time.monotonic() - began < 5
    connection = served.ask(token, after=start, wait=20)
    time.sleep(0.3)
    event, began = told.tell(), time.monotonic()
    body = json.loads(connection.getresponse().read())
    assert [one["id"] for one in body["events"]] == [event.hex]
    assert time.monotonic() - began < SOON_S
    # Another application's event wakes nobody; a head does not wait.
    connection = served.ask(token, after=int(body["next"]), wait=1)
    told.tell(application=BETA)
    assert json.loads(connection.getresponse().read())["events"] == []
    began = time.monotonic()
    answer = served.ask(token, "HEAD", after=10**9, wait=20).getresponse()
    assert answer.status == 200 and answer.read() == b"" and time.monotonic() - began < 5


def test_many_wait_and_no_thread_does(served, told):
    """More than a client has threads, and together more than there are: others are served meanwhile."""
    tokens = [told.token(ACME), told.token(BETA)]
    starts = [newest(served, token) for token in tokens]
    each = 30
    open_ = [
        served.ask(token, after=start, wait=20)
        for token, start in zip(tokens, starts, strict=True)
        for _ in range(each)
    ]
    time.sleep(1)
    began = time.monotonic()
    assert served.events(tokens[0], limit=1)["events"] and time.monotonic() - began < SOON_S
    # There is a limit to them.
    assert each + 2 == waiting.MOST_OF_ONE
    more = [served.ask(tokens[0], after=starts[0], wait=20) for _ in range(3)]
    time.sleep(0.5)
    events = [told.tell(application=application) for application in (ACME, BETA)]
    for number, connection in enumerate(open_):
        body = json.loads(connection.getresponse().read())
        assert [one["id"] for one in body["events"]] == [events[number // each].hex]
    assert sorted(one.getresponse().status for one in more) == [200, 200, 429]


def test_a_stream_goes_on_where_it_was(served, told):
    token = told.token(ACME)
    start = newest(served, token)
    first = told.tell()
    with served.stream(token, start) as answer:
        got = message(answer)
        assert (got["id"], got["event"]) == (str(start + 1), "agreement.changed")
        assert json.loads(got["data"])["id"] == first.hex
        second = told.tell(Kind.STUDY_DELETED)
        got = message(answer)
        assert json.loads(got["data"])["id"] == second.hex
    third = told.tell()
    with served.stream(token, 0, last=got["id"]) as answer:
        assert json.loads(message(answer)["data"])["id"] == third.hex


def ends(answer) -> float:
    """How long until the stream ends."""
    began = time.monotonic()
    try:
        while answer.readline():
            pass
    except (OSError, http.client.HTTPException):
        pass
    return time.monotonic() - began


def refused(poll) -> bool:
    """Whether a request that waits ends without an event, by an answer or a reset."""
    try:
        return poll.getresponse().status == 401
    except (OSError, http.client.HTTPException):
        return True


def end_token(told):
    with told.platform.database.begin(told.institution.id) as tx:
        tx.execute(update(token_table).where(token_table.c.application == ACME).values(revoked_ms=1))


ENDINGS = {
    "token": (end_token, lambda told: None),
    "application": (
        lambda told: told.platform.applications.suspend(ACME, by=BY),
        lambda told: told.platform.applications.approve(ACME, by=BY),
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_open_feed_ends_with_its_access(served, told, ending):
    begin, undo = ENDINGS[ending]
    token, other = told.token(ACME), told.token(BETA)
    start = newest(served, token)
    with served.stream(token, start) as answer, served.stream(other, 0) as stays:
        assert answer.readline()
        poll = served.ask(token, after=start, wait=20)
        time.sleep(0.2)
        begin(told)
        try:
            told.tell(Kind.STUDY_DELETED)
            assert ends(answer) < SOON_S
            assert refused(poll)
            assert served.ask(token).getresponse().status == 401
        finally:
            undo(told)
        told.tell(Kind.STUDY_DELETED, application=BETA)
        got = message(stays)
        while got["event"] != "study.deleted":
            got = message(stays)
    told.platform.denials.sweep(everything=True)
    told_of = [
        entry["detail"]["action"]
        for entry in told.entries("access:stream:cut", "access:decision:deny")
        if entry["actor"]["id"] == ACME and entry["reason"] in ("revoked", "invalid-token")
    ]
    assert told_of.count("events:feed:read") >= 2


def test_a_stream_ends_in_time_and_says_that_it_lives(served, told, monkeypatch):
    monkeypatch.setattr(follow, "_ALIVE_S", 0.3)
    monkeypatch.setattr(follow, "_LONGEST_S", 1.0)
    token = told.token(ACME)
    with served.stream(token, newest(served, token)) as answer:
        text = answer.read().decode()
    assert text.startswith("retry: 3000\n\n") and text.count(": \n\n") >= 2
