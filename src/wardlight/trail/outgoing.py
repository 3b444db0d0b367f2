"""Requests to witnesses and anchors. The operator names their addresses on the command line, private ones, too."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from wardlight.egress import Egress, Reply, is_loopback
from wardlight.errors import WardlightError
from wardlight.settings import http_address


def check_url(url: str) -> str:
    """The URL without a slash at its end. Raises `bad-request` unless it is https, or http on this machine."""
    parts = http_address(url)
    if parts is None or len(url) > 400:
        raise WardlightError("bad-request", "the address is not an https URL")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise WardlightError("bad-request", "an http URL is taken for this machine only")
    return url.rstrip("/")


def post(
    url: str,
    body: bytes,
    media_type: str,
    *,
    context: Callable[[], ssl.SSLContext] = ssl.create_default_context,
) -> Reply:
    """POST it. Raises OSError (of which TLS and time-out errors are some) where no answer came."""
    egress = Egress(lambda _address, _port: True, context)
    return egress.send("POST", url, body, {"Content-Type": media_type})
