"""The outermost layer of every request: number, limits, security headers, log line, metrics, unforeseen errors.

Pure ASGI: a middleware that wraps responses in objects would buffer streams.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import MutableMapping
from typing import Any, Final

from sqlalchemy.exc import DBAPIError
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wardlight import log
from wardlight.errors import WardlightError
from wardlight.web.metrics import Metrics
from wardlight.web.problems import problem

_TRACE: Final = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
QUERY_BYTES: Final = 16 << 10
#: Status in log and metrics for a client that went away before the answer began; nothing is sent with it.
_GONE: Final = 499
_UNMATCHED: Final = "unmatched"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

#: On every answer. Data is never cached or shown inside another page, and nothing in it runs (security.md section 6).
HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-accel-buffering", b"no"),
)
_STRICT_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000")


class Edge:
    """ASGI middleware around the whole application. limit: largest request body, in bytes."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, limit: int, https: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._limit = limit
        self._headers = (*HEADERS, _STRICT_TRANSPORT) if https else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection scope."""
        if scope["type"] == "http":
            await _Exchange(self._metrics, self._limit, self._headers, scope, receive, send).run(self._app)
        else:
            await self._app(scope, receive, send)


class _Exchange:
    """One request and its answer."""

    __slots__ = (
        "_bytes_in",
        "_bytes_out",
        "_headers",
        "_limit",
        "_metrics",
        "_receive",
        "_request",
        "_scope",
        "_send",
        "_status",
    )

    def __init__(
        self,
        metrics: Metrics,
        limit: int,
        headers: tuple[tuple[bytes, bytes], ...],
        scope: MutableMapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        self._metrics = metrics
        self._limit = limit
        self._headers = headers
        self._scope = scope
        self._receive = receive
        self._send = send
        self._request = _trace_id(scope)
        self._status = 0
        self._bytes_in = 0
        self._bytes_out = 0

    async def run(self, app: ASGIApp) -> None:
        self._scope.setdefault("state", {})["request"] = self._request
        started = time.perf_counter()
        self._metrics.open.inc()
        try:
            await self._answer(app)
        finally:
            self._metrics.open.dec()
            self._record(time.perf_counter() - started)

    async def _answer(self, app: ASGIApp) -> None:
        try:
            self._check()
            await app(self._scope, self._count, self._decorate)
        except ClientDisconnect:
            self._status = self._status or _GONE
        except WardlightError as error:
            await self._fail(error, error)
        except DBAPIError as error:
            await self._fail(WardlightError("unavailable"), error)
        except Exception as error:  # noqa: BLE001 - the last resort, logged with its place and answered 500
            await self._fail(WardlightError("internal"), error)

    def _check(self) -> None:
        """Limits that the request's head breaks."""
        if len(self._scope["query_string"]) > QUERY_BYTES:
            raise WardlightError("too-large", "the query string is longer than 16 KiB")
        for name, value in self._scope["headers"]:
            if name == b"content-length" and int(value) > self._limit:
                raise WardlightError("too-large", "the request body is larger than the limit")

    async def _fail(self, error: WardlightError, cause: Exception) -> None:
        """Answer an error; where an answer has begun, end the connection so that nobody takes it for whole."""
        if error.kind.http >= 500 or self._status:
            log.error("web.failed", cause, request=self._request, template=self._template(), code=error.code)
        if self._status:
            raise cause
        await problem(error, self._request)(self._scope, self._receive, self._decorate)

    async def _count(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes_in += len(message.get("body", b""))
            if self._bytes_in > self._limit:
                raise WardlightError("too-large", "the request body is larger than the limit")
        return message

    async def _decorate(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            request = (b"x-request-id", self._request.encode("ascii"))
            own = message.get("headers", ())
            named = {name for name, _ in own}
            # A page of ours says itself what it may load, and whom it tells: of two policies the stricter would hold.
            ours = (header for header in self._headers if header[0] not in named)
            message["headers"] = [*own, *ours, request]
        elif message["type"] == "http.response.body":
            self._bytes_out += len(message.get("body", b""))
        await self._send(message)

    def _template(self) -> str:
        return getattr(self._scope.get("route"), "path", _UNMATCHED)

    def _record(self, seconds: float) -> None:
        template, method = self._template(), self._scope["method"]
        method = method if method in _METHODS else "OTHER"
        self._metrics.count(method, template, self._status, seconds, self._bytes_in, self._bytes_out)
        log.info(
            "web.request",
            request=self._request,
            method=method,
            template=template,
            http_status=self._status,
            duration_ms=round(seconds * 1000, 2),
            bytes=self._bytes_out or self._bytes_in,
        )


def _trace_id(scope: Scope) -> str:
    """The trace id that the client gave (W3C Trace Context), or a new one: 32 hexadecimal digits."""
    for name, value in scope["headers"]:
        if name == b"traceparent":
            match = _TRACE.fullmatch(value)
            if match:
                return match[1].decode("ascii")
    return secrets.token_hex(16)
