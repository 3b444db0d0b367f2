"""The server on a socket: streams of any size, clients that go away, heads without end."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from unit.web.fakes import Fakes, make, part10
from wardlight.ingest.admission import Admission
from wardlight.web import bodies
from wardlight.web.server import WebServer

AUTH = {"Authorization": "Bearer admin"}
INSTANCE = "/dicom-web/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.1"


@pytest.fixture
def fakes() -> Fakes:
    return make(port=0)


@contextmanager
def serving(fakes: Fakes) -> Iterator[int]:
    server = WebServer(fakes.services)
    number = server.bind()
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield number
    finally:
        server.stop()
        thread.join(15)
    assert not thread.is_alive()


@pytest.fixture
def port(fakes: Fakes) -> Iterator[int]:
    with serving(fakes) as number:
        yield number


def connect(port: int) -> http.client.HTTPConnection:
    for _ in range(100):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.connect()
            return connection
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server does not listen")


def wait_for(check) -> None:
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def post(connection: http.client.HTTPConnection, body, **headers: str) -> http.client.HTTPResponse:
    connection.request(
        "POST", "/dicom-web/studies", body, {**AUTH, "Content-Type": "application/dicom", **headers}
    )
    return connection.getresponse()


def test_large_both_ways(port: int) -> None:
    connection = connect(port)
    file = part10(pixels=bytes(range(256)) * (20 << 12))
    answer = post(connection, iter([file[n : n + 100_001] for n in range(0, len(file), 100_001)]))
    assert answer.status == 200
    answer.read()
    connection.request("GET", INSTANCE, headers={**AUTH, "Accept": "application/dicom"})
    answer = connection.getresponse()
    assert int(answer.headers["content-length"]) == len(file)
    assert answer.read() == file
    # The same connection serves on.
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b'{"status":"ok"}'


def test_client_hangs_up_while_sending(fakes: Fakes, port: int) -> None:
    connection = connect(port)
    connection.putrequest("POST", "/dicom-web/studies")
    for name, value in {**AUTH, "Content-Type": "application/dicom", "Content-Length": "90000000"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(part10(pixels=bytes(4 << 20)))
    wait_for(lambda: fakes.archive.writers)
    connection.close()
    wait_for(lambda: fakes.archive.writers[0].aborted)
    assert fakes.archive.commits == 0


def test_client_hangs_up_while_receiving(fakes: Fakes, port: int) -> None:
    connection = connect(port)
    post(connection, part10(pixels=bytes(40 << 20))).read()
    connection.request("GET", INSTANCE, headers={**AUTH, "Accept": "application/dicom"})
    connection.getresponse().read(1000)
    assert fakes.archive.closed == 0
    connection.sock and connection.sock.close()
    connection.close()
    wait_for(lambda: fakes.archive.closed == 1)


def test_damage_in_the_middle_ends_the_connection(fakes: Fakes, port: int) -> None:
    connection = connect(port)
    post(connection, part10(pixels=bytes(8 << 20))).read()
    fakes.archive.damaged_after = 4 << 20
    connection.request("GET", INSTANCE, headers={**AUTH, "Accept": "application/dicom"})
    answer = connection.getresponse()
    assert answer.status == 200
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()


def test_refused_before_continue(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(
            b"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Type: application/dicom\r\nContent-Length: 1000\r\n\r\n"
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("head", [b"GET /" + b"x" * 90_000, b"GET / HTTP/1.1\r\nA: " + b"x" * 90_000])
def test_heads_are_bounded(port: int, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        try:
            client.sendall(head)
            client.sendall(b"x" * 100_000 + b" HTTP/1.1\r\n\r\n")
            answer = client.recv(1000)
        except ConnectionError:
            return
        assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "request_", [b"\0\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"]
)
def test_nonsense_is_400(port: int, request_: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request_)
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_a_signal_ends_the_server_and_lets_the_caller_close() -> None:
    code = (
        "from unit.web.fakes import make\n"
        "from wardlight.web.server import run\n"
        "run(make(port=0).services, bound=lambda port: print(port, flush=True))\n"
        "print('closed', flush=True)"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        connection = connect(port)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b"closed\n"
    assert process.returncode == 0


def chunked(client: socket.socket) -> None:
    client.sendall(
        b"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n"
        b"Content-Type: application/dicom\r\nTransfer-Encoding: chunked\r\n\r\n"
    )


def test_chunk_extensions_are_counted() -> None:
    fakes = make(port=0, request_bytes=1 << 20)
    with serving(fakes) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        chunked(client)
        sent = 0
        with pytest.raises(ConnectionError):
            while sent < 64 << 20:
                client.sendall(b"1;" + b"x" * 60_000 + b"\r\n\0\r\n")
                sent += 60_000
        # What lies in buffers between the two was sent, too.
        assert sent < 32 << 20
    assert fakes.archive.commits == 0


def test_requests_on_one_connection_are_counted_singly() -> None:
    fakes = make(port=0, request_bytes=1 << 20)
    with serving(fakes) as port:
        connection = connect(port)
        for number in range(1, 6):
            answer = post(connection, part10(number, pixels=bytes(900_000)))
            assert answer.status == 200
            answer.read()
        assert post(connection, iter([bytes(1 << 20), b"x"])).status == 413


def test_slow_bodies_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_SLOW_S", 0.4)
    monkeypatch.setattr(bodies, "_SLOW_BYTES", 2000)
    fakes = make(port=0)
    with serving(fakes) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            chunked(client)
            client.settimeout(0.05)
            answer = b""
            for _ in range(100):
                client.sendall(b"1\r\n\0\r\n")
                try:
                    answer = client.recv(2000)
                    break
                except TimeoutError:
                    continue
            assert answer.startswith(b"HTTP/1.1 400 ")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            chunked(client)
            assert client.recv(2000).startswith(b"HTTP/1.1 400 ")
        # Fast enough, although it takes longer than the window.
        file = part10(pixels=bytes(10_000))

        def slowly() -> Iterator[bytes]:
            for start in range(0, len(file), 1000):
                yield file[start : start + 1000]
                time.sleep(0.1)

        assert post(connect(port), slowly()).status == 200


def test_too_many_requests_of_one_principal_are_told_when_to_come_again(fakes: Fakes, port: int) -> None:
    fakes.services.ingest._admission = Admission(principal_requests=1)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as first:
        chunked(first)
        first.sendall(b"1\r\n\0\r\n")
        wait_for(lambda: fakes.services.ingest._admission._open)
        answer = post(connect(port), part10())
        assert (answer.status, answer.headers["Retry-After"]) == (429, "5")
    wait_for(lambda: not fakes.services.ingest._admission._open)
    assert post(connect(port), part10()).status == 200
