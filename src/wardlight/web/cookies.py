"""Sessions of browsers: whom a request's cookie stands for (security.md section 6)."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from fastapi import Request

from wardlight.access.model import Principal
from wardlight.api.browser import CSRF_HEADER, cookie_name, from_own_page
from wardlight.identity.institutions import is_within
from wardlight.identity.oauth import FORM
from wardlight.identity.sessions import csrf_fits
from wardlight.web.addresses import client_address, secure, site_url
from wardlight.web.services import Services

_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_LENGTH: Final = 256


def cookie_principal(
    services: Services, request: Request, body: bytes = b"", *, seen: bool = True
) -> tuple[Principal | None, str]:
    """Whom the cookie stands for; else None and why.

    An unsafe method must come from a page of ours, as Origin or Sec-Fetch-Site say, and bring what only a page that
    reads our answers knows: else another site's page could act with the cookie that the browser sends along. A form
    without script brings it as its field `csrf`; body: of a form. seen: whether it shows that somebody is there.
    """
    tls = secure(services, request)
    cookie = request.cookies.get(cookie_name(tls), "")
    if not 0 < len(cookie) <= _LENGTH or not cookie.isascii():
        return None, "no-token"
    # A cookie that any page on the way could read opens nothing but the demo.
    if not tls and not services.settings.demo:
        return None, "no-tls"
    if request.method not in _SAFE:
        if not from_own_page(request.headers, site_url(services, request)):
            return None, "origin"
        if not csrf_fits(cookie, request.headers.get(CSRF_HEADER) or _field(request, body)):
            return None, "csrf"
    principal = services.identity.authenticate_session(cookie, seen=seen)
    return (principal, "") if principal is not None else (None, "invalid-token")


def own_principal(services: Services, request: Request, body: bytes) -> Principal | None:
    """Whom the cookie stands for on routes that decide for themselves: nobody from where their people may not come."""
    principal, _ = cookie_principal(services, request, body)
    if principal is None or not is_within(client_address(services, request), principal.networks):
        return None
    return principal


def _field(request: Request, body: bytes) -> str:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return ""
    try:
        return parse_qs(body.decode("ascii"), max_num_fields=30).get("csrf", [""])[0]
    except ValueError:
        return ""
