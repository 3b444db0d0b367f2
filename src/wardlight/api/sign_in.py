"""Signing in and out, one's own session, password and factors (security.md section 6).

Each handler decides for itself: these routes are for people whom nobody knows yet, and for the holders of a session.
Those of an API token have nothing to do here.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from wardlight import clock
from wardlight.api.browser import cookie_name, from_own_page, session_cookie
from wardlight.api.call import OpenRequest
from wardlight.api.fields import Fields
from wardlight.audit.actions import Action
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.identity import totp
from wardlight.identity.factor_store import Factor
from wardlight.identity.model import Person, Principal
from wardlight.identity.passkeys import Site
from wardlight.identity.service import actor_of
from wardlight.identity.sessions import Opened, csrf_token, home
from wardlight.identity.sign_in import Attempt
from wardlight.trail.call import JSON, answer, parse_body


def show(request: OpenRequest) -> Answer:
    """GET /api/v1/session: who is signed in, and what unsafe requests of this session must bring."""
    principal = signed_in(request, Action.IDENTITY_PERSON_READ)
    return answer(_shown(request, principal, own_cookie(request)))


def sign_in(request: OpenRequest) -> Answer:
    """POST /api/v1/session: name, password and code together."""
    body = _json(request, "login", "password", "code", "institution")
    opened = by_password(
        request,
        body.text("login"),
        body.text("password"),
        body.text("code", ""),
        body.text("institution", ""),
    )
    return opened_answer(request, opened)


def by_password(request: OpenRequest, login: str, password: str, code: str, institution: str) -> Opened:
    """A session in place of the one that the browser may have: nobody's old cookie becomes somebody's session."""
    require_own_page(request)
    opened = request.platform.sign_in.by_password(login, password, code, _attempt(request), institution)
    _leave(request)
    return opened


def passkey_options(request: OpenRequest) -> Answer:
    """POST /api/v1/session/passkey-options."""
    require_own_page(request)
    return answer(request.platform.sign_in.passkey_options(site(request), _attempt(request)))


def passkey(request: OpenRequest) -> Answer:
    """POST /api/v1/session/passkey: the browser's answer to those options."""
    require_own_page(request)
    given = _json(request, "passkey").members("passkey")
    opened = request.platform.sign_in.by_passkey(site(request), given, _attempt(request))
    _leave(request)
    return opened_answer(request, opened)


def follow_link(request: OpenRequest) -> Answer:
    """POST /api/v1/session/link: a password for somebody who was invited, or let back in."""
    require_own_page(request)
    body = _json(request, "token", "password")
    opened = request.platform.sign_in.follow_link(
        body.text("token"), body.text("password"), _attempt(request)
    )
    if opened is None:
        return answer({"signed_in": False})
    _leave(request)
    return opened_answer(request, opened)


def sign_out(request: OpenRequest) -> Answer:
    """DELETE /api/v1/session."""
    principal = signed_in(request, Action.IDENTITY_SESSION_LOGOUT)
    request.platform.identity.sessions.logout(
        principal, by=actor_of(principal), address=request.address, request=request.request
    )
    return answer({"signed_in": False}, 200, **{"Set-Cookie": session_cookie("", request.secure)})


def step_up_options(request: OpenRequest) -> Answer:
    """POST /api/v1/session/step-up-options."""
    principal = signed_in(request, Action.IDENTITY_SESSION_LOGIN)
    return answer(request.platform.sign_in.step_up_options(site(request), principal, _attempt(request)))


def step_up(request: OpenRequest) -> Answer:
    """POST /api/v1/session/step-up: a code or a passkey's answer; the session gets a new id."""
    principal = signed_in(request, Action.IDENTITY_SESSION_LOGIN)
    body = _json(request, "code", "passkey")
    given = (site(request), body.members("passkey")) if "passkey" in body else None
    opened = request.platform.sign_in.step_up(
        principal, _attempt(request), code="" if given else body.text("code"), passkey=given
    )
    return opened_answer(request, opened)


def change_password(request: OpenRequest) -> Answer:
    """POST /api/v1/session/password."""
    principal = signed_in(request, Action.IDENTITY_PASSWORD_CHANGE)
    body = _json(request, "old", "new")
    request.platform.sign_in.change_password(
        principal, body.text("old"), body.text("new"), _attempt(request), by=actor_of(principal)
    )
    return answer({"changed": True})


def sessions(request: OpenRequest) -> Answer:
    """GET /api/v1/session/all: one's own sessions."""
    principal = signed_in(request, Action.IDENTITY_PERSON_READ)
    rows = [
        {
            "id": str(row.id),
            "method": row.method,
            "address": row.address,
            "created": clock.timestamp_ms(row.created_ms),
            "seen": clock.timestamp_ms(row.seen_ms),
            "expires_at": clock.timestamp_ms(row.expires_ms),
            "this": row.id == principal.token,
        }
        for row in request.platform.identity.sessions.of(principal)
    ]
    return answer({"sessions": rows})


def end_session(request: OpenRequest) -> Answer:
    """DELETE /api/v1/session/all/{session}: end one of one's own."""
    principal = signed_in(request, Action.IDENTITY_SESSION_REVOKE)
    ended = request.platform.identity.sessions.end(
        home(principal), principal.id, _id(request.path["session"]), by=actor_of(principal)
    )
    if not ended:
        raise WardlightError("not-found")
    return answer({"ended": ended})


def factors(request: OpenRequest) -> Answer:
    """GET /api/v1/session/factors."""
    principal = signed_in(request, Action.IDENTITY_PERSON_READ)
    found, codes = request.platform.factors.of(principal)
    return answer({"factors": [_factor(one) for one in found], "recovery_codes": codes})


def begin_totp(request: OpenRequest) -> Answer:
    """POST /api/v1/session/factors/totp: the secret of a new authenticator, which a code is to confirm."""
    principal = _may_change_factors(request, Action.IDENTITY_FACTOR_ADD)
    secret = request.platform.factors.begin_totp(principal, _json(request, "name").text("name"))
    login = _person(request, principal).login
    return answer({"secret": totp.shown(secret), "address": totp.address(secret, login)})


def confirm_totp(request: OpenRequest) -> Answer:
    """POST /api/v1/session/factors/totp/confirm: a code of the new authenticator."""
    principal = _may_change_factors(request, Action.IDENTITY_FACTOR_ADD)
    opened, codes = request.platform.factors.confirm_totp(
        principal, _json(request, "code").text("code"), by=actor_of(principal)
    )
    return opened_answer(request, opened, codes)


def begin_passkey(request: OpenRequest) -> Answer:
    """POST /api/v1/session/factors/passkey-options."""
    principal = _may_change_factors(request, Action.IDENTITY_FACTOR_ADD)
    person = _person(request, principal)
    return answer(request.platform.factors.begin_passkey(principal, site(request), person.login, person.name))


def add_passkey(request: OpenRequest) -> Answer:
    """POST /api/v1/session/factors/passkey: the browser's answer to those options."""
    principal = _may_change_factors(request, Action.IDENTITY_FACTOR_ADD)
    body = _json(request, "passkey", "name")
    opened, codes = request.platform.factors.add_passkey(
        principal, site(request), body.members("passkey"), body.text("name"), by=actor_of(principal)
    )
    return opened_answer(request, opened, codes)


def remove_factor(request: OpenRequest) -> Answer:
    """DELETE /api/v1/session/factors/{factor}."""
    principal = _may_change_factors(request, Action.IDENTITY_FACTOR_REMOVE)
    request.platform.factors.remove(principal, _id(request.path["factor"]), by=actor_of(principal))
    return answer({"removed": True})


def new_codes(request: OpenRequest) -> Answer:
    """POST /api/v1/session/factors/recovery-codes."""
    principal = _may_change_factors(request, Action.IDENTITY_FACTOR_ADD)
    return answer({"recovery_codes": request.platform.factors.new_codes(principal, by=actor_of(principal))})


def require_own_page(request: OpenRequest) -> None:
    """Raise `forbidden` where another site's page sends it: it could sign its victim in as somebody else."""
    if not from_own_page(request.headers, request.base_url):
        request.platform.access.deny(
            None, Action.IDENTITY_SESSION_LOGIN, "origin", request=request.request, address=request.address
        )
        raise WardlightError("forbidden", reason="origin")


def signed_in(request: OpenRequest, action: Action) -> Principal:
    """Who is signed in. Raises `unauthenticated`, audited."""
    if request.principal is None:
        request.platform.access.deny(
            None, action, "no-session", request=request.request, address=request.address, status=401
        )
        raise WardlightError("unauthenticated", reason="no-session")
    return request.principal


def own_cookie(request: OpenRequest) -> str:
    """The session's cookie, "" where the request has none."""
    return request.cookies.get(cookie_name(request.secure), "")


def site(request: OpenRequest) -> Site:
    """The relying party of passkeys: this site as browsers know it."""
    return Site(request.base_url)


def opened_answer(request: OpenRequest, opened: Opened, codes: list[str] | None = None) -> Answer:
    """A session that has begun, or has a new id."""
    principal = request.platform.identity.authenticate_session(opened.cookie)
    if principal is None:
        raise WardlightError("sign-in-failed")
    shown = _shown(request, principal, opened.cookie)
    if codes:
        shown["recovery_codes"] = codes
    return answer(shown, 200, **{"Set-Cookie": session_cookie(opened.cookie, request.secure)})


def _may_change_factors(request: OpenRequest, action: Action) -> Principal:
    """Who is signed in and has just shown it; or has nothing yet to show it with. Raises `forbidden`, audited."""
    principal = signed_in(request, action)
    if not principal.step_up and (principal.scopes or request.platform.factors.of(principal)[0]):
        request.platform.access.deny(
            principal, action, "step-up", request=request.request, address=request.address
        )
        raise WardlightError("forbidden", reason="step-up")
    return principal


def _leave(request: OpenRequest) -> None:
    """End the session that the browser had before."""
    before = request.platform.identity.authenticate_session(own_cookie(request))
    if before is not None:
        request.platform.identity.sessions.logout(
            before, by=actor_of(before), address=request.address, request=request.request
        )


def _attempt(request: OpenRequest) -> Attempt:
    return Attempt(request.address, request.request)


def _person(request: OpenRequest, principal: Principal) -> Person:
    return request.platform.people.self(principal)


def _shown(request: OpenRequest, principal: Principal, cookie: str) -> dict[str, Any]:
    person = _person(request, principal)
    return {
        "signed_in": True,
        "id": person.id,
        "login": person.login,
        "name": person.name,
        "role": person.role.value,
        "institution": request.platform.identity.institution(str(person.institution)).slug,
        # Somebody without a second factor may give themselves one, and do nothing else.
        "limited": not principal.scopes,
        "step_up": principal.step_up,
        "csrf": csrf_token(cookie),
    }


def _factor(row: Factor) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "kind": row.kind,
        "name": row.name,
        "created": clock.timestamp_ms(row.created_ms),
        "used": clock.timestamp_ms(row.used_ms) if row.used_ms else None,
    }


def _json(request: OpenRequest, *known: str) -> Fields:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise WardlightError("unsupported-media-type", f"the body must be {JSON}")
    return Fields(parse_body(request.body), frozenset(known))


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise WardlightError("not-found") from None
