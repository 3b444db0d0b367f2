"""Sign-in by an institution's own provider, as browsers go through it."""

from __future__ import annotations

from typing import Final

from wardlight.api import oidc_pages as pages
from wardlight.api.browser import session_cookie
from wardlight.api.call import OpenRequest
from wardlight.api.oidc import AGAIN, RETURN, go_to
from wardlight.audit.actions import Action
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.identity.federation_tokens import FederationRefused
from wardlight.identity.lockout import network
from wardlight.identity.service import actor_of

#: Holds the browser's secret while it is away. Lax: it must come along when another site's page sends the browser back.
_COOKIE: Final = {True: "__Host-wl-away", False: "wl-away"}
_AWAY_S: Final = 600
#: Visits of one network at once, and again in so many seconds; a hospital may have one address for all its people.
_VISITS: Final = (300, 300)


def begin(request: OpenRequest) -> Answer:
    """GET /federation?institution=slug: on to the provider of this institution."""
    _take(request)
    query = request.query
    slug = query.get("institution", "").strip().lower()
    try:
        departure = request.platform.federations.begin(
            slug, local_path(query.get(RETURN, "")), again=query.get(AGAIN) == "1"
        )
    except FederationRefused as error:
        return _refused(request, error.reason, 503)
    except WardlightError as error:
        if error.code != "not-found":
            raise
        return _refused(request, "federation-unknown", 404)
    page = pages.leaving(departure.institution, departure.url)
    page.headers["Set-Cookie"] = _cookie(request, departure.secret, _AWAY_S)
    return page


def callback(request: OpenRequest) -> Answer:
    """GET /federation/{institution}/callback: back from it, with a code or an error."""
    _take(request)
    secret = request.cookies.get(_COOKIE[request.secure], "")
    try:
        opened, path = request.platform.federations.finish(
            request.path["institution"],
            request.query,
            secret,
            address=request.address,
            number=request.request,
        )
    except FederationRefused as error:
        # In the trail already, of the institution.
        return pages.trouble(error.reason, 403)
    except WardlightError as error:
        if error.code != "not-found":
            raise
        return _refused(request, "federation-unknown", 404)
    if request.principal is not None:
        # Nobody's old session goes on beside somebody's new one.
        before = request.principal
        request.platform.identity.sessions.logout(before, by=actor_of(before), address=request.address)
    return go_to(path, **{"Set-Cookie": session_cookie(opened.cookie, request.secure)})


def local_path(text: str) -> str:
    """A path of ours; `/` for anything that a browser could take for another place."""
    plain = text.isascii() and text.isprintable() and not any(character in text for character in "\\ ")
    return text if plain and text.startswith("/") and not text.startswith("//") else "/"


def _take(request: OpenRequest) -> None:
    """Each visit makes the platform ask a provider. Raises `rate-limited`."""
    with request.platform.database.begin() as tx:
        request.platform.rates.take(tx, f"federation:{network(request.address)}", *_VISITS)


def _cookie(request: OpenRequest, secret: str, seconds: int) -> str:
    line = f"{_COOKIE[request.secure]}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}"
    return f"{line}; Secure" if request.secure else line


def _refused(request: OpenRequest, reason: str, status: int) -> Answer:
    request.platform.access.deny(
        None,
        Action.IDENTITY_SESSION_LOGIN,
        reason,
        request=request.request,
        address=request.address,
        status=status,
    )
    return pages.trouble(reason, status)
