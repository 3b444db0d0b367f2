"""Cross-origin requests by allow-list (Fetch standard, section 3.2): exact origins, off unless some are set.

The token endpoint and its neighbours may also be called by pages of single-page applications, from the origins that
these are registered with.

Tokens travel in the Authorization header only, so credentials of a browser are never allowed. A preflight is answered
by the OPTIONS of its path, to which this adds what the browser looks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wardlight.errors import WardlightError
from wardlight.web.threads import in_thread

#: Longest origin that can be one: a scheme, a name of 253 characters, a port.
_LONGEST: Final = 270

_REQUEST_HEADERS: Final = (
    b"Accept, Authorization, Content-Type, DPoP, If-Match, If-None-Match, If-Range, Range, traceparent, "
    b"Wardlight-Purpose"
)
#: What scripts may read beside the names that the Fetch standard lets them.
_EXPOSED: Final = (
    b"Accept-Ranges, Allow, Content-Disposition, Content-Location, Content-Range, DPoP-Nonce, ETag, Link, Retry-After, "
    b"Warning, WWW-Authenticate, X-Request-Id"
)
#: Seconds for which a browser may remember a preflight.
_MAX_AGE: Final = b"600"


class Cors:
    """ASGI middleware, outermost, so that failures too can be read.

    origins: those that are allowed. paths: where those are allowed, too, that `registered` knows.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        origins: Iterable[str],
        paths: frozenset[str],
        registered: Callable[[str], bool],
    ) -> None:
        self._app = app
        self._origins = frozenset(origin.encode("ascii") for origin in origins)
        self._paths = paths
        self._registered = registered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection scope."""
        for_pages = scope["type"] == "http" and scope["path"] in self._paths
        if scope["type"] != "http" or not (self._origins or for_pages):
            await self._app(scope, receive, send)
            return
        fields = dict(scope["headers"])
        origin = fields.get(b"origin", b"")
        allowed = origin in self._origins
        if not allowed and for_pages and 0 < len(origin) <= _LONGEST and origin.isascii():
            try:
                allowed = await in_thread(partial(self._registered, origin.decode("ascii")))
            except WardlightError:
                pass  # Nobody can be asked now, as the answer itself will say.
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
