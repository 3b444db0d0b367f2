"""What goes wrong in a request, as exceptions: one class for each way of dealing with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx


class WardlightClientError(Exception):
    """Anything that the client raises."""


class ApiError(WardlightClientError):
    """The platform answered with a problem (RFC 9457).

    status: of HTTP. code: of the platform's error catalogue, such as `not-found`. reason: finer, where there is one,
    such as `grant-expired`. request: number under which the platform logged it. retry_after: seconds to wait, 0.0 where
    the platform did not say.
    """

    def __init__(
        self, status: int, code: str, title: str, *, detail: str = "", reason: str = "", request: str = ""
    ) -> None:
        super().__init__(f"{status} {code}: {detail or title}" + (f" ({reason})" if reason else ""))
        self.status: Final = status
        self.code: Final = code
        self.detail: Final = detail
        self.reason: Final = reason
        self.request: Final = request
        self.retry_after = 0.0


class Unauthenticated(ApiError):
    """No token was given out, or it is not taken: the client's key, its state, or its institution's subscription."""


class Forbidden(ApiError):
    """The token does not allow this; `reason` says why."""


class NotFound(ApiError):
    """There is nothing here that this application may see, be it gone, ended, or never there."""


class Conflict(ApiError):
    """What is stored does not allow this."""


class RateLimited(ApiError):
    """Too many requests: try again after `retry_after` seconds."""


class Unavailable(ApiError):
    """The platform cannot answer now; the same request may succeed later."""


class Interrupted(WardlightClientError):
    """A transfer ended before its end: the connection broke, or access ended. Nothing of it was kept."""


class NotStored(WardlightClientError):
    """Some instances were not stored. failed: their SOP Instance UIDs with the Failure Reason (PS3.18 Annex I)."""

    def __init__(self, failed: Mapping[str, int]) -> None:
        reasons = ", ".join(sorted({f"0x{reason:04X}" for reason in failed.values()}))
        super().__init__(f"{len(failed)} instances were not stored: {reasons}")
        self.failed: Final = failed


_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(answer: httpx.Response) -> ApiError:
    """The error that an answer of 400 or more is; its body must have been read."""
    status = answer.status_code
    problem = _members(answer)

    def text(name: str) -> str:
        value = problem.get(name)
        return value if isinstance(value, str) else ""

    # An OAuth error (RFC 6749 section 5.2) has a code and words of its own.
    code = text("code") or text("error") or "unknown"
    kind = _BY_STATUS.get(status, ApiError)
    if text("error") == "invalid_client":
        kind = Unauthenticated
    found = kind(
        status,
        code,
        text("title") or answer.reason_phrase,
        detail=text("detail") or text("error_description"),
        reason=text("reason"),
        request=text("request"),
    )
    wait = answer.headers.get("retry-after", "")
    found.retry_after = float(wait) if wait.isascii() and wait.isdigit() else 0.0
    return found


def _members(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
