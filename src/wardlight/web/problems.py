"""Every failure leaves as problem+json of the error catalogue (RFC 9457), whoever raised it."""

from __future__ import annotations

import json
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from wardlight.errors import WardlightError

_MEDIA: Final = "application/problem+json"
#: What the framework raises on its own, by status. Anything else is our mistake.
_FRAMEWORK: Final = {400: "bad-request", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}

#: Seconds after which a client may try again, where the error passes by itself (RFC 9110 10.2.3).
_RETRY_AFTER: Final = {"unavailable": "5", "rate-limited": "5", "out-of-resources": "60"}


def problem(error: WardlightError, request: str) -> Response:
    """The answer for an error. request: the number under which it is logged."""
    kind = error.kind
    body = {
        "type": f"urn:wardlight:error:{kind.code}",
        "title": kind.title,
        "status": kind.http,
        "code": kind.code,
        "request": request,
    }
    if error.detail:
        body["detail"] = error.detail
    if error.reason:
        body["reason"] = error.reason
    retry = {"Retry-After": _RETRY_AFTER[kind.code]} if kind.code in _RETRY_AFTER else {}
    return Response(json.dumps(body), kind.http, headers={**retry, **error.headers}, media_type=_MEDIA)


def install(app: FastAPI) -> None:
    """Make `app` answer errors of ours and of the framework as problems. What is unforeseen the middleware answers."""

    def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, WardlightError)
        return problem(error, request.state.request)

    def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _FRAMEWORK.get(error.status_code, "internal")
        headers = {"Allow": _allowed(app, request)} if error.status_code == 405 else {}
        if error.status_code == 405 and request.method == "OPTIONS":
            # What a path allows is no secret, nor is it about anybody's data (RFC 9110 section 9.3.7).
            return Response(status_code=204, headers=headers)
        return problem(WardlightError(code, headers=headers), request.state.request)

    def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        # Only the places are named: the values are the client's.
        places = sorted({".".join(str(part) for part in row["loc"])[:80] for row in error.errors()})
        return problem(WardlightError("bad-request", ", ".join(places)), request.state.request)

    app.add_exception_handler(WardlightError, ours)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, validation)


def _allowed(app: FastAPI, request: Request) -> str:
    """Methods that the path has, over all routes of the same path."""
    methods = {"OPTIONS"}
    for route in app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods))
