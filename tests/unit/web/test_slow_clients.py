"""A client that takes nothing, or hangs up, costs bounded memory and is let go."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from unit.web.fakes import Fakes, make
from unit.web.test_server import serving, wait_for
from wardlight.dicomweb.call import Answer
from wardlight.web import responses
from wardlight.web.threads import OF_ONE_CLIENT

PIECE = bytes(256 << 10)
#: A batch that waits to be sent, the next one that is read meanwhile, and what lies in the buffers of both sockets.
MOST_BYTES = 4 << 20
REQUEST = b"GET /dicom-web/studies/1.2/metadata HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n\r\n"


class Endless:
    """Metadata without an end that counts what is taken of it, and who let go."""

    def __init__(self) -> None:
        self.taken = self.closed = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            while True:
                with self._lock:
                    self.taken += len(PIECE)
                yield PIECE
        finally:
            with self._lock:
                self.closed += 1


@pytest.fixture
def fakes() -> Fakes:
    return make(port=0)


@pytest.fixture
def endless(fakes: Fakes) -> Endless:
    fakes.archive.rows = Endless()  # type: ignore[assignment]
    return fakes.archive.rows  # type: ignore[return-value]


def ask(port: int) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
    client.settimeout(10)
    client.connect(("127.0.0.1", port))
    client.sendall(REQUEST)
    return client


def test_who_takes_nothing_is_not_read_for(fakes: Fakes, endless: Endless) -> None:
    clients = 12
    with serving(fakes) as port:
        waiting = [ask(port) for _ in range(clients)]
        wait_for(lambda: endless.taken >= clients << 20)
        still = threading.Event()
        before = -1
        while before != endless.taken:  # nothing more is read once all buffers are full
            before = endless.taken
            still.wait(0.3)
        assert endless.taken <= clients * MOST_BYTES
        # Others are served meanwhile.
        with socket.create_connection(("127.0.0.1", port), timeout=5) as other:
            other.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert other.recv(100).startswith(b"HTTP/1.1 200")
        for client in waiting:
            client.close()
        wait_for(lambda: endless.closed == clients)


def test_who_takes_a_little_gets_a_little(fakes: Fakes, endless: Endless) -> None:
    with serving(fakes) as port, ask(port) as client:
        got = 0
        while got < 8 << 20:
            got += len(client.recv(64 << 10))
            assert endless.taken - got <= MOST_BYTES


def test_who_stalls_is_let_go(fakes: Fakes, endless: Endless, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "_STALL_S", 0.3)
    with serving(fakes) as port, ask(port) as client:
        wait_for(lambda: endless.closed == 1)
        # By a reset: what waited in buffers is dropped, and nobody takes what came for the whole.
        with pytest.raises(ConnectionResetError):
            received = b""
            while piece := client.recv(1 << 20):
                received = (received + piece)[-5:]
            assert received == b"0\r\n\r\n"


def test_a_head_that_is_asked_for_begins_nothing(fakes: Fakes, endless: Endless) -> None:
    with serving(fakes) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(REQUEST.replace(b"GET", b"HEAD"))
        head = client.recv(4096)
        assert head.startswith(b"HTTP/1.1 200") and head.endswith(b"\r\n\r\n")
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")  # the connection serves on
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    assert endless.taken == 0


class Stuck(Endless):
    """Metadata that waits, as for a decoder or a slow disk."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.inside = 0

    def __iter__(self) -> Iterator[bytes]:
        with self._lock:
            self.inside += 1
        self.go.wait(20)
        yield b"{}"


def test_one_client_does_not_take_all_threads(fakes: Fakes) -> None:
    """Eighty requests of one token wait; the process still says that it lives, and others are served."""
    stuck = Stuck()
    fakes.archive.rows = stuck  # type: ignore[assignment]
    with serving(fakes) as port:
        clients = [ask(port) for _ in range(80)]
        wait_for(lambda: stuck.inside >= OF_ONE_CLIENT)
        for request in (
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
            REQUEST.replace(b"/metadata", b"/series").replace(b"admin", b"nobody"),
        ):
            other = socket.create_connection(("127.0.0.1", port), 5)
            other.sendall(request)
            assert other.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 401")
            other.close()
        assert stuck.inside == OF_ONE_CLIENT
        stuck.go.set()
        for client in clients:
            assert client.recv(12) == b"HTTP/1.1 200"
            client.close()
        assert stuck.inside == 80


@pytest.mark.parametrize("whole", [True, False])
def test_one_large_piece_waits_for_its_client_in_small_ones(whole: bool) -> None:
    """A frame of 256 MiB: the server buffers a piece at once, and a stall of any length would keep it there."""
    large = bytes(range(256)) * (20 << 12)  # 20 MiB
    sent: list[int] = []

    async def send(message: dict) -> None:
        sent.append(len(message.get("body", b"")))

    async def receive() -> dict:
        await asyncio.sleep(3600)
        return {}

    answer = responses.AnswerResponse(Answer(large if whole else iter((large,)), "a/b", length=len(large)))
    asyncio.run(answer({}, receive, send))  # type: ignore[arg-type]
    assert sum(sent) == len(large) and max(sent) <= 1 << 20


def test_who_stalls_within_one_large_piece_is_let_go(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "_STALL_S", 0.5)
    fakes.archive.rows = [bytes(32 << 20)]  # type: ignore[assignment]
    with serving(fakes) as port, ask(port) as client:
        client.recv(1000)
        time.sleep(2)
        with pytest.raises(ConnectionResetError):
            while client.recv(1 << 20):
                pass
