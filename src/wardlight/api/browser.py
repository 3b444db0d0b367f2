"""What tells our own pages from others: cookies, Origin, and a value that only ours know (security.md section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: The cookie over TLS, which no other host and no plain http can set; and that of the demo on plain http.
SECURE_COOKIE: Final = "__Host-wl"
PLAIN_COOKIE: Final = "wl"
#: The header that an unsafe request with a cookie must bring.
CSRF_HEADER: Final = "x-csrf"

_SAME: Final = "same-origin"


def cookie_name(secure: bool) -> str:
    """Name of the session's cookie. A cookie of the one name is never taken for the other's."""
    return SECURE_COOKIE if secure else PLAIN_COOKIE


def session_cookie(cookie: str, secure: bool) -> str:
    """The Set-Cookie line of a session, for as long as the browser runs; an empty cookie drops it."""
    line = f"{cookie_name(secure)}={cookie}; Path=/; HttpOnly; SameSite=Lax"
    if not cookie:
        line += "; Max-Age=0"
    return f"{line}; Secure" if secure else line


def from_own_page(headers: Mapping[str, str], origin: str) -> bool:
    """Whether a request was sent by a page of ours: Origin is ours, or the browser says that it is of the same origin.

    Neither of both is no browser's request of ours either: every browser sends one with an unsafe method.
    """
    sent = headers.get("origin", "")
    site = headers.get("sec-fetch-site", "")
    if sent not in ("", "null", origin) or site not in ("", _SAME):
        return False
    return sent == origin or site == _SAME
