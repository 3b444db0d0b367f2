"""Shipping of the receiver's trail: nothing is lost, nothing comes twice, whatever fails in between."""

from __future__ import annotations

import json
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import insert, select, text

from trail_kit import Line
from wardlight.audit.actions import Action
from wardlight.db.engine import EVERYWHERE
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.receiver.connection import Address
from wardlight.receiver.entries import Entries
from wardlight.receiver.exchange import Exchange, ExchangeError
from wardlight.receiver.shipping import BATCH, PATH, Shipping
from wardlight.receiver.status import _from_database
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.tables import audit_pending, audit_refused
from web_kit import a_web

ENTRIES = Entries("gw-1")


@pytest.fixture(scope="module")
def web():
    with a_web() as web:
        identity = web.kit.platform.identity
        row = identity.create_receiver(web.kit.institution.id, "gateway-1", by=LOCAL_ADMINISTRATOR)
        web.token = identity.issue_receiver_token(row, by=LOCAL_ADMINISTRATOR)
        yield web


@pytest.fixture
def gateway(web, tmp_path):
    return Gateway(web, tmp_path)


class Gateway:
    def __init__(self, web, folder):
        self.web = web
        self.folder = folder
        self.line = Line(web.client, web.token)
        self.open()

    def open(self):
        self.store = ReceiverStore(self.folder / "receiver.db")
        self.shipping = Shipping(self.line, self.store, threading.Event())

    def make(self, number):
        contents = [ENTRIES.association("WARD", f"CT{one}", "192.0.2.7") for one in range(number)]
        self.add(*contents)
        return {json.loads(content)["id"] for content in contents}

    def add(self, *contents):
        with self.store.database.begin() as tx:
            tx.execute(insert(audit_pending), [{"content": content} for content in contents])

    def left(self):
        with self.store.database.read() as tx:
            return [json.loads(row)["id"] for row in tx.execute(select(audit_pending.c.content)).scalars()]

    def refused(self):
        with self.store.database.read() as tx:
            return tx.execute(select(audit_refused.c.content, audit_refused.c.code)).all()

    def recorded(self):
        """Ids of receivers' entries at the platform, in their order."""
        with self.web.kit.platform.database.read(EVERYWHERE) as tx:
            rows = tx.execute(text("SELECT content FROM audit_pending ORDER BY seq")).scalars()
            found = [json.loads(row) for row in rows]
        return [entry["id"] for entry in found if entry["source"] == "receiver"]

    def drain(self):
        while self.shipping.ship():
            pass


def test_all_of_it_arrives_in_its_order(gateway):
    made = gateway.make(2 * BATCH + 7)
    order = gateway.left()
    gateway.drain()
    assert gateway.left() == [] and [id_ for id_ in gateway.recorded() if id_ in made] == order
    assert [len(one["entries"]) for one in gateway.line.sent] == [100, 100, 7]


def test_batches_stay_below_what_the_platform_takes(gateway):
    big = [
        ENTRIES.route(Action.RECEIVER_ROUTE_CHANGE, "WARD", [{"path": "calling", "after": "x" * 12_000}])
        for _ in range(40)
    ]
    gateway.add(*big)
    sizes = []
    send = gateway.line.post
    gateway.line.post = lambda path, data: (sizes.append(len(data)), send(path, data))[1]
    gateway.drain()
    assert gateway.left() == [] and len(sizes) > 2 and max(sizes) < 256 << 10


def test_an_outage_loses_and_doubles_nothing(gateway):
    """Answers are lost, requests are lost, the process is killed after each step: at random."""
    made = gateway.make(230)
    order = gateway.left()
    send, dice = gateway.line.post, random.Random(4)

    def unreliable(path, data):
        fate = dice.random()
        if fate < 0.25:
            raise ExchangeError("unreachable")
        answer = send(path, data)
        if fate < 0.5:
            raise ExchangeError("unreachable")  # It was recorded, and nobody told us.
        if fate < 0.7:
            raise KeyboardInterrupt  # Killed before the rows were deleted.
        return answer

    gateway.line.post = unreliable
    for _ in range(200):
        try:
            if not gateway.shipping.ship():
                break
        except ExchangeError:
            continue
        except KeyboardInterrupt:
            gateway.open()
    assert gateway.left() == []
    assert [id_ for id_ in gateway.recorded() if id_ in made] == order


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_while_it_is_not_taken_it_stays(gateway, status):
    gateway.make(3)
    order = gateway.left()

    def post(path, data):
        raise ExchangeError("x", status)

    send, gateway.line.post = gateway.line.post, post
    for _ in range(3):
        with pytest.raises(ExchangeError):
            gateway.shipping.ship()
    assert gateway.left() == order
    gateway.line.post = send
    gateway.drain()
    assert gateway.left() == [] and set(order) <= set(gateway.recorded())


@pytest.mark.parametrize(
    "answer",
    [
        {}, {"entries": 1}, {"entries": []}, {"entries": [{}, {}]}, {"entries": [1, 2]},
        {"entries": [{"id": "x", "status": "recorded"}] * 2}, {"entries": "wrong status"},
    ],
)  # fmt: skip
def test_an_answer_that_is_none_settles_nothing(gateway, answer):
    gateway.make(2)
    order = gateway.left()
    if answer == {"entries": "wrong status"}:
        answer = {"entries": [{"id": id_, "status": "fine"} for id_ in order]}
    gateway.line.twist = lambda path, real: answer
    with pytest.raises(ExchangeError):
        gateway.shipping.ship()
    assert gateway.left() == order


def test_what_the_platform_refuses_is_kept_apart_and_holds_up_nothing(gateway):
    made = gateway.make(3)
    bad = json.loads(ENTRIES.association("WARD", "CT", "192.0.2.7"))
    bad["source"] = "platform"
    gateway.add(json.dumps(bad).encode())
    more = gateway.make(2)
    gateway.drain()
    assert gateway.left() == [] and made | more <= set(gateway.recorded())
    assert [(json.loads(row.content)["id"], row.code) for row in gateway.refused()] == [
        (bad["id"], "bad-request")
    ]
    assert _from_database(gateway.store)["audit"]["refused"] == 1


def test_one_that_cannot_even_be_read_is_found_among_the_others(gateway):
    made = gateway.make(3)
    gateway.add(b'{"id":"x","id":"y"}')
    more = gateway.make(2)
    gateway.drain()
    assert gateway.left() == [] and made | more <= set(gateway.recorded())
    assert len(gateway.refused()) == 1


def test_the_thread_goes_on_after_anything(gateway):
    made = gateway.make(5)
    fates = iter([ExchangeError("unreachable"), ValueError(), OSError(), RuntimeError()])
    send, gone = gateway.line.post, threading.Event()

    def post(path, data):
        fate = next(fates, None)
        if fate is not None:
            raise fate
        answer = send(path, data)
        gone.set()
        return answer

    gateway.line.post = post
    stop = gateway.shipping._stop
    gateway.shipping._backoff.next = lambda *_: 0.01
    thread = threading.Thread(target=gateway.shipping.run)
    thread.start()
    assert gone.wait(20)
    stop.set()
    thread.join(10)
    assert not thread.is_alive() and gateway.left() == [] and made <= set(gateway.recorded())


class _Platform(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tokens.append(self.headers["Authorization"])
        status, data, close = self.server.answers.pop(0)
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = close

    def log_message(self, *_):
        pass


def test_the_exchange_over_a_connection(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Platform)
    server.tokens = []
    server.answers = [
        (200, b'{"a":1}', True), (200, b'{"a":2}', False), (0, b"", True), (200, b'{"a":3}', False),
        (503, b"", False), (401, b"", False), (200, b"[]", False), (200, b"<html>", False), (302, b"", False),
    ]  # fmt: skip
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    exchange = Exchange(Address(f"http://127.0.0.1:{server.server_address[1]}"), tmp_path)
    with pytest.raises(ExchangeError, match="no-credential"):
        exchange.post(PATH, b"{}")
    (tmp_path / "token").touch(0o400)
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "token").write_text("wl_rt_x")
    # A kept connection that the other side has closed is no outage.
    assert [exchange.post(PATH, b"{}") for _ in range(3)] == [{"a": 1}, {"a": 2}, {"a": 3}]
    codes = []
    for _ in range(5):
        with pytest.raises(ExchangeError) as error:
            exchange.post(PATH, b"{}")
        codes.append((error.value.code, error.value.status))
    assert codes == [
        ("busy", 503), ("unauthenticated", 401), ("bad-answer", 0), ("bad-answer", 0), ("http-302", 302),
    ]  # fmt: skip
    assert set(server.tokens) == {"Bearer wl_rt_x"}
    server.shutdown()
    server.server_close()
    exchange.close()
    with pytest.raises(ExchangeError, match="unreachable"):
        exchange.post(PATH, b"{}")
