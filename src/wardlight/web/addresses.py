"""Addresses of a request: where it comes from, and what it was sent to."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from fastapi import Request

from wardlight.web.services import Services

_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,255}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")


def client_address(services: Services, request: Request) -> str:
    """The client's address; behind our own proxy the one it saw.

    A proxy appends what it saw, to the line it got or as a line of its own: only the last element of the last line is
    its word, everything before it the client may have sent.
    """
    address = request.client.host if request.client else ""
    if services.settings.web.behind_tls_proxy:
        lines = request.headers.getlist("x-forwarded-for")
        address = lines[-1].rpartition(",")[2].strip() if lines else address
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(getattr(found, "ipv4_mapped", None) or found)


def base_url(services: Services, request: Request) -> str:
    """Address of the DICOMweb service for URLs in answers."""
    return f"{site_url(services, request)}/dicom-web"


def site_url(services: Services, request: Request) -> str:
    """Address of the platform for URLs in answers: as configured, else as the client called it."""
    settings = services.settings
    host = request.headers.get("host", "")
    if settings.public_url or not _HOST.fullmatch(host):
        return settings.base_url
    return f"{'https' if secure(services, request) else 'http'}://{host}"


def secure(services: Services, request: Request) -> bool:
    """Whether the client came by TLS."""
    return request.scope.get("scheme") == "https" or services.settings.web.behind_tls_proxy
