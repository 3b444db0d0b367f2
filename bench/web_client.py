"""An HTTP/1.1 client that costs next to nothing, for measuring servers: one kept connection, requests as bytes.

It reads answers with Content-Length or in chunks into one buffer that is reused. It is the same for all servers;
`latencies` also says what it costs.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

_BUFFER = 1 << 20
_IDLE_S = 0.5
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """status; how many bytes the body had; the body, if it was asked for; head as it came."""

    status: int
    length: int
    body: bytes
    head: bytes

    def json(self) -> Any:
        """The body as JSON; an empty list for none, which is how QIDO-RS says no match."""
        return json.loads(self.body) if self.body else []


class Client:
    """One connection, opened again where the server closed it. Not for use by two threads at once."""

    def __init__(self, root: str, headers: Mapping[str, str] | None = None, timeout: float = 300.0) -> None:
        """root: address that paths are put behind. headers: sent with every request."""
        parts = urlsplit(root)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._root = parts.path.rstrip("/")
        lines = [f"Host: {parts.netloc}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
        self._headers = "\r\n".join(lines)
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._buffer = memoryview(bytearray(_BUFFER))
        self._ready = b""
        self._used = 0.0

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._ready = b""

    def get(self, path: str, accept: str, *, keep: bool = False, extra: str = "") -> Answer:
        """GET below the root. keep: give the body back. extra: more header lines, each ending in CR LF."""
        return self.send(
            f"GET {self._root}{path} HTTP/1.1\r\n{self._headers}\r\nAccept: {accept}\r\n{extra}\r\n".encode(),
            keep=keep,
        )

    def begin(self, path: str, accept: str) -> socket.socket:
        """Send a GET and give the connection from which its answer can be read, slowly or not at all."""
        connection = self.connection()
        connection.sendall(
            f"GET {self._root}{path} HTTP/1.1\r\n{self._headers}\r\nAccept: {accept}\r\n\r\n".encode()
        )
        return connection

    def post(self, path: str, parts: Iterable[bytes | memoryview], media: str, accept: str) -> Answer:
        """POST a body that is given in parts."""
        parts = list(parts)
        head = (
            f"POST {self._root}{path} HTTP/1.1\r\n{self._headers}\r\nAccept: {accept}\r\n"
            f"Content-Type: {media}\r\nContent-Length: {sum(map(len, parts))}\r\n\r\n"
        )
        return self.send(head.encode(), parts, keep=True)

    def send(self, head: bytes, parts: Iterable[bytes | memoryview] = (), *, keep: bool = False) -> Answer:
        """Send a request and read its answer."""
        if time.monotonic() - self._used > _IDLE_S:
            self.close()  # Servers hang up on idle connections: Orthanc after a second.
        try:
            connection = self.connection()
            connection.sendall(head)
            for part in parts:
                connection.sendall(part)
            return self.read(keep=keep)
        except BaseException:
            self.close()
            raise
        finally:
            self._used = time.monotonic()

    def connection(self) -> socket.socket:
        """The open connection."""
        if self._socket is None:
            self._socket = socket.create_connection(self._address, self._timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def read(self, *, keep: bool = False) -> Answer:
        """Read the answer to what was sent. Raises ConnectionError if it ends early."""
        data = self._ready
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._some()
        head, rest = data[: end + 2], data[end + 4 :]
        status = int(head[9:12])
        kept: list[bytes] = []
        length = _LENGTH.search(head)
        if _CHUNKED.search(head):
            got, self._ready = self._chunks(rest, kept, keep)
        elif length or status in (204, 304):
            got = int(length[1]) if length else 0
            self._ready = rest[got:]
            if keep:
                kept.append(rest[:got])
            self._exactly(got - len(rest), kept, keep)
        else:
            got = self._rest(rest, kept, keep)
        if _CLOSE.search(head):
            self.close()
        return Answer(status, got, b"".join(kept), head)

    def _some(self) -> bytes:
        got = self.connection().recv_into(self._buffer)
        if not got:
            raise ConnectionError("the server closed the connection early")
        return bytes(self._buffer[:got])

    def _exactly(self, left: int, kept: list[bytes], keep: bool) -> None:
        connection = self.connection()
        while left > 0:
            got = connection.recv_into(self._buffer, min(left, _BUFFER))
            if not got:
                raise ConnectionError("the server closed the connection early")
            if keep:
                kept.append(bytes(self._buffer[:got]))
            left -= got

    def _chunks(self, data: bytes, kept: list[bytes], keep: bool) -> tuple[int, bytes]:
        total = 0
        while True:
            while (end := data.find(b"\r\n")) < 0:
                data += self._some()
            size = int(data[:end].split(b";")[0], 16)
            data = data[end + 2 :]
            if size == 0:
                while len(data) < 2:
                    data += self._some()
                return total, data[2:]
            total += size
            if keep:
                kept.append(data[:size])
            self._exactly(size - len(data), kept, keep)
            data = data[size:]
            while len(data) < 2:
                data += self._some()
            data = data[2:]

    def _rest(self, data: bytes, kept: list[bytes], keep: bool) -> int:
        total = len(data)
        kept += [data] if keep else []
        while got := self.connection().recv_into(self._buffer):
            total += got
            if keep:
                kept.append(bytes(self._buffer[:got]))
        self.close()
        return total


def require(answer: Answer, *statuses: int) -> Answer:
    """The answer, if its status is one of these (default 200). Raises RuntimeError otherwise."""
    if answer.status not in (statuses or (200,)):
        raise RuntimeError(f"the server answered {answer.status}")
    return answer


def latencies(client: Client, paths: Iterable[str], accept: str) -> tuple[list[float], float]:
    """Milliseconds of each GET, sorted, and this process's own processor time for one, in milliseconds."""
    times = []
    cpu = time.thread_time()
    for path in paths:
        began = time.perf_counter()
        require(client.get(path, accept))
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times), (time.thread_time() - cpu) * 1000 / max(1, len(times))


def percentile(times: list[float], share: float) -> float:
    """The value below which this share of sorted `times` lies."""
    return times[min(len(times) - 1, int(len(times) * share))]
