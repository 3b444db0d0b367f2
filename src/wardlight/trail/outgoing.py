"""Requests that the platform itself makes, to witnesses and anchors: bounded in time and size, no redirects."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wardlight import __version__
from wardlight.errors import WardlightError
from wardlight.settings import http_address

_TIMEOUT_S: Final = 10.0
#: All of a request and its answer, in seconds.
_WHOLE_S: Final = 30.0
_ANSWER_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `body` is cut at 64 KiB."""

    status: int
    media_type: str
    body: bytes


def check_url(url: str) -> str:
    """The URL without a slash at its end. Raises `bad-request` unless it is https, or http on this machine."""
    parts = http_address(url)
    if parts is None or len(url) > 400:
        raise WardlightError("bad-request", "the address is not an https URL")
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
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
    parts = http_address(url)
    if parts is None:
        raise OSError("no address")
    host = parts.hostname or ""
    connection = (
        http.client.HTTPSConnection(host, parts.port or 443, timeout=_TIMEOUT_S, context=context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port or 80, timeout=_TIMEOUT_S)
    )
    headers = {"Content-Type": media_type, "User-Agent": f"wardlight/{__version__}", "Connection": "close"}
    deadline = time.monotonic() + _WHOLE_S
    try:
        connection.request("POST", parts.path or "/", body=body, headers=headers)
        response = connection.getresponse()
        answer = bytearray()
        while len(answer) < _ANSWER_BYTES and (piece := response.read1(_ANSWER_BYTES - len(answer))):
            answer += piece
            if time.monotonic() > deadline:
                raise TimeoutError
    except http.client.HTTPException as error:
        raise OSError(type(error).__name__) from None
    finally:
        connection.close()
    kind = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
    return Reply(response.status, kind, bytes(answer))


def reason_of(error: OSError) -> str:
    """A word for why no answer came."""
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, TimeoutError | socket.timeout):
        return "timeout"
    return "unreachable"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
