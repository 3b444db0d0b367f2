"""Cross-origin requests by allow-list (Fetch standard, section 3.2): exact origins, off unless some are set.

Tokens travel in the Authorization header only, so credentials of a browser are never allowed. A preflight is answered
by the OPTIONS of its path, to which this adds what the browser looks for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REQUEST_HEADERS: Final = (
    b"Accept, Authorization, Content-Type, If-Match, If-None-Match, If-Range, Range, traceparent"
)
#: What scripts may read beside the names that the Fetch standard lets them.
_EXPOSED: Final = (
    b"Accept-Ranges, Allow, Content-Disposition, Content-Location, Content-Range, ETag, Link, Retry-After, Warning, "
    b"WWW-Authenticate, X-Request-Id"
)
#: Seconds for which a browser may remember a preflight.
_MAX_AGE: Final = b"600"


class Cors:
    """ASGI middleware, outermost, so that failures too can be read. origins: those that are allowed."""

    def __init__(self, app: ASGIApp, *, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.encode("ascii") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fields = dict(scope["headers"])
        origin = fields.get(b"origin", b"")
        allowed = origin in self._origins
        preflight = scope["method"] == "OPTIONS" and b"access-control-request-method" in fields

        async def decorated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                # Also where nothing is allowed: another origin's answer is another one.
                headers.append((b"vary", b"Origin"))
                if allowed:
                    headers += _allowing(origin, headers, preflight=preflight)
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, decorated)


def _allowing(
    origin: bytes, headers: list[tuple[bytes, bytes]], *, preflight: bool
) -> list[tuple[bytes, bytes]]:
    added = [(b"access-control-allow-origin", origin)]
    if not preflight:
        return [*added, (b"access-control-expose-headers", _EXPOSED)]
    methods = next((value for name, value in headers if name == b"allow"), b"")
    return [
        *added,
        (b"access-control-allow-methods", methods),
        (b"access-control-allow-headers", _REQUEST_HEADERS),
        (b"access-control-max-age", _MAX_AGE),
    ]
