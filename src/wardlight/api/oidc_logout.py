"""Signing out, asked for by an application (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from wardlight.api import oidc_pages as pages
from wardlight.api.browser import session_cookie
from wardlight.api.call import OpenRequest
from wardlight.api.oidc import find_application, go_to
from wardlight.api.sign_in import own_cookie
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor
from wardlight.dicomweb.call import Answer
from wardlight.identity.model import Principal
from wardlight.identity.oauth import OAuthError, parse_form
from wardlight.identity.oidc_model import Login
from wardlight.identity.oidc_request import origin_of, with_parameters
from wardlight.identity.service import actor_of
from wardlight.identity.sessions import csrf_token

LOGOUT: Final = "/oauth2/logout"
CONFIRM: Final = "/oauth2/logout/confirm"


def logout(request: OpenRequest) -> Answer:
    """GET /oauth2/logout: at once for whoever brings an id token of this very session, else the person is asked."""
    query = request.query
    hint = _hint(request, query)
    try:
        back = _back(request, query, hint)
    except ValueError:
        return _trouble(request, "return-address")
    login = _login_of(request, hint)
    principal = request.principal
    if principal is None:
        if login is not None and login.ended_ms is None:
            by = Actor("application", login.application)
            request.platform.provider.end(login, by=by, address=request.address, number=request.request)
        return _done(back)
    if login is not None and (login.session, login.person) == (principal.token, principal.id):
        return _sign_out(request, principal, back)
    hidden = {"request": urlencode(query), "csrf": csrf_token(own_cookie(request))}
    return pages.sign_out(action=CONFIRM, hidden=hidden, origin=origin_of(back) if back else "")


def logout_posted(request: OpenRequest) -> Answer:
    """POST /oauth2/logout: the same as a GET, for which the browser also brings its cookie along."""
    try:
        form = parse_form(request.body, request.headers.get("content-type", ""))
    except OAuthError:
        return _trouble(request, "bad-request")
    return go_to(f"{LOGOUT}?{urlencode(form)}")


def confirm(request: OpenRequest) -> Answer:
    """POST /oauth2/logout/confirm: the person wants to."""
    try:
        form = parse_form(request.body, request.headers.get("content-type", ""))
        query = dict(parse_qsl(form.get("request", ""), keep_blank_values=True, max_num_fields=50))
        back = _back(request, query, _hint(request, query))
    except (OAuthError, ValueError):
        return _trouble(request, "bad-request")
    if request.principal is None:
        return _trouble(request, "own-page", 403)
    return _sign_out(request, request.principal, back)


def _sign_out(request: OpenRequest, principal: Principal, back: str) -> Answer:
    request.platform.identity.sessions.logout(
        principal, by=actor_of(principal), address=request.address, request=request.request
    )
    done = _done(back)
    done.headers["Set-Cookie"] = session_cookie("", request.secure)
    return done


def _done(back: str) -> Answer:
    return go_to(back) if back else pages.signed_out()


def _hint(request: OpenRequest, query: Mapping[str, str]) -> dict[str, Any]:
    """The claims of an id token of ours, whose time may be over; {} for anything else."""
    provider = request.platform.provider
    claims = provider.keys.read(query.get("id_token_hint", ""), "JWT") or {}
    return claims if claims.get("iss") == provider.issuer else {}


def _back(request: OpenRequest, query: Mapping[str, str], hint: Mapping[str, Any]) -> str:
    """Where to go on, "" for nowhere. Raises ValueError for an address that is not the application's own."""
    uri = query.get("post_logout_redirect_uri", "")
    if not uri:
        return ""
    client = query.get("client_id") or str(hint.get("aud", ""))
    found = find_application(request, client)
    if found is None or uri not in found.post_logout_uris or hint.get("aud", client) != client:
        raise ValueError
    return with_parameters(uri, {"state": query.get("state")})


def _login_of(request: OpenRequest, hint: Mapping[str, Any]) -> Login | None:
    try:
        return request.platform.provider.login(UUID(str(hint.get("sid", ""))))
    except ValueError:
        return None


def _trouble(request: OpenRequest, reason: str, status: int = 400) -> Answer:
    request.platform.access.deny(
        None,
        Action.IDENTITY_SESSION_LOGOUT,
        reason,
        request=request.request,
        address=request.address,
        status=status,
    )
    return pages.trouble(reason, status)
