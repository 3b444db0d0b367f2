"""/healthz, /readyz and /metrics: for the machine that runs this process, about nobody's data."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from wardlight import log
from wardlight.errors import WardlightError
from wardlight.web.metrics import Metrics
from wardlight.web.services import Services


def healthz(_request: Request) -> Response:
    """The process is alive and answers."""
    return JSONResponse({"status": "ok"})


def readyz(services: Services) -> Callable[[Request], Response]:
    """Everything that a request needs is there: 200, else 503, with the state of each part."""

    def answer(_request: Request) -> Response:
        states: dict[str, str] = {}
        for name, check in services.checks.items():
            try:
                check()
                states[name] = "ok"
            except Exception as error:  # noqa: BLE001 - any failure means not ready; its kind is logged
                log.error("web.not_ready", error, reason=name)
                states[name] = "failed"
        ready = "failed" not in states.values()
        return JSONResponse({"status": "ok" if ready else "failed", "checks": states}, 200 if ready else 503)

    return answer


def metrics(registry: Metrics) -> Callable[[Request], Response]:
    """The metrics, for this machine only: through a proxy, or from elsewhere, there is nothing here."""

    def answer(request: Request) -> Response:
        forwarded = "x-forwarded-for" in request.headers or "forwarded" in request.headers
        host = request.client.host if request.client else ""
        if forwarded or not _is_loopback(host):
            raise WardlightError("not-found")
        return Response(registry.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return answer


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
