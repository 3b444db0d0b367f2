"""Runs the web application: uvicorn on a socket of ours, with limits on heads and an orderly end."""

from __future__ import annotations

import array
import asyncio
import fcntl
import signal
import socket
import struct
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wardlight import log
from wardlight.web.app import Services, create_app
from wardlight.web.responses import ABORT

_HEAD_BYTES: Final = 64 << 10  # request line and headers; the query string has a smaller limit of its own
_HEAD_S: Final = 30.0
_KEEP_ALIVE_S: Final = 75
_GRACE_S: Final = 10
_BACKLOG: Final = 512
#: What a request may take on the wire beyond the largest body: its head, the framing of its chunks, and what is read
#: before the application has counted the body and answered.
_OVERHEAD: Final = 1 << 20
_CONNECTIONS: Final = 4096
#: What may be on its way to a slow client when its access ends (security.md section 6).
_SEND_BUFFER: Final = 256 << 10


class LimitedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with bounds that the server itself does not have: size and time of a request's head, bytes of it all.

    The application counts bodies only; extensions of chunks (RFC 9112 section 7.1.1) are no body and have no end.
    """

    #: Most bytes of one request, from its first to its last.
    request_bytes = 64 << 30
    _wire_bytes = 0
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected: its first head is due."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._head_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of one request or, at a border, of two."""
        self._wire_bytes += len(data)
        if self._wire_bytes > self.request_bytes + _OVERHEAD:
            log.warning("web.request_bytes")
            self.transport.abort()
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins. The extension `ABORT` of its scope ends its connection."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"now": self._abort, "left": self._left}}
        self._head_bytes = self._wire_bytes = 0
        if self._head_timer is None:
            self._await_head()

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._grow(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_done()
        super().on_headers_complete()

    def _abort(self) -> None:
        """End the connection by a reset: nothing more of what waits in buffers reaches the client."""
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _left(self) -> int:
        """Bytes that were given to the connection and have not reached the client; called from other threads."""
        connection = self.transport.get_extra_info("socket")
        if self.transport.is_closing() or connection is None:
            return 0
        waiting = array.array("i", [0])
        with suppress(OSError):  # Closed at this moment: nothing more goes out.
            fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, waiting)
        return self.transport.get_write_buffer_size() + waiting[0]

    def _grow(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _HEAD_BYTES:
            # The parser turns this into an invalid request: 400, and the connection ends.
            raise ValueError("head too large")

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(_HEAD_S, self._head_late)

    def _head_done(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.abort()


class _Server(uvicorn.Server):
    """As the base, but a signal ends `run` and nothing more: who called it still has services to close."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM while serving, in the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class WebServer:
    """One web server. bind() takes the port, run() serves until stop() or a signal."""

    def __init__(self, services: Services) -> None:
        web = services.settings.web
        self._web: Final = web
        self._socket: socket.socket | None = None
        tls: dict[str, Any] = {}
        if web.tls_certificate and web.tls_key:
            tls = {"ssl_certfile": str(web.tls_certificate), "ssl_keyfile": str(web.tls_key)}
        self._server: Final = _Server(
            uvicorn.Config(
                create_app(services),
                loop="uvloop",
                http=type("Protocol", (LimitedProtocol,), {"request_bytes": web.request_bytes}),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                limit_concurrency=_CONNECTIONS,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_GRACE_S,
                **tls,
            )
        )

    def bind(self) -> int:
        """Take the port that the settings name, a free one for 0, and return it. Raises `OSError`."""
        web = self._web
        family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            listener.bind((web.host, web.port))
            # Who is told the port may connect at once: the queue holds them until `run`.
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        self._socket = listener
        return int(listener.getsockname()[1])

    def run(self) -> None:
        """Serve. In the main thread SIGINT and SIGTERM end it: open answers get ten seconds."""
        if self._socket is None:
            self.bind()
        assert self._socket is not None
        log.info("web.listening", port=self._socket.getsockname()[1])
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()
        log.info("web.stopped")

    def stop(self) -> None:
        """End `run`, from any thread."""
        self._server.should_exit = True


def run(services: Services, *, bound: Callable[[int], None] | None = None) -> None:
    """Bind, tell `bound` the port, and serve until SIGINT or SIGTERM."""
    server = WebServer(services)
    port = server.bind()
    if bound is not None:
        bound(port)
    server.run()
