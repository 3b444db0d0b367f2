"""The OpenID provider's endpoints: authorization and consent, what its tokens are given for, whom they are of.

What is wrong with client or redirect address is shown to the person and sent nowhere; all else goes back to the
application, with `iss` (RFC 9207).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from wardlight import clock
from wardlight.access.model import Operation
from wardlight.api import oidc_pages as pages
from wardlight.api.call import ApiRequest, OpenRequest
from wardlight.api.exchange import Exchange
from wardlight.api.sign_in import own_cookie
from wardlight.audit.actions import Action
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.identity.application_model import Application
from wardlight.identity.application_store import applications
from wardlight.identity.model import Principal, PrincipalKind
from wardlight.identity.oauth import OAuthError, parse_form
from wardlight.identity.oidc_model import Consent
from wardlight.identity.oidc_request import (
    AFTER,
    AuthorizationError,
    AuthorizationRequest,
    BadClient,
    origin_of,
    parse,
    redirect_of,
    with_parameters,
)
from wardlight.identity.service import actor_of
from wardlight.identity.sessions import csrf_token
from wardlight.trail.call import answer

AUTHORIZE: Final = "/oauth2/authorize"
CONSENT: Final = "/oauth2/consent"
SIGN_IN: Final = "/signin"
#: Where sign-in goes on at, and that it asks again though somebody is signed in.
RETURN: Final = "return"
AGAIN: Final = "again"


def authorize(request: OpenRequest) -> Answer:
    """GET /oauth2/authorize (OpenID Connect Core 3.1.2)."""
    return _authorize(request, request.query)


def authorize_posted(request: OpenRequest) -> Answer:
    """POST /oauth2/authorize: the same as a GET, for which the browser also brings its cookie along."""
    try:
        form = parse_form(request.body, request.headers.get("content-type", ""))
    except OAuthError:
        return _trouble(request, "bad-request")
    return go_to(f"{AUTHORIZE}?{urlencode(form)}")


def consent(request: OpenRequest) -> Answer:
    """POST /oauth2/consent: what the person answered on the page, with the request that it was shown for."""
    try:
        form = parse_form(request.body, request.headers.get("content-type", ""))
        query = dict(parse_qsl(form.get("request", ""), keep_blank_values=True, max_num_fields=50))
    except (OAuthError, ValueError):
        return _trouble(request, "bad-request")
    if request.principal is None:
        return _trouble(request, "own-page", 403)
    return _authorize(request, query, form.get("choice", ""))


def _authorize(request: OpenRequest, query: Mapping[str, str], choice: str = "") -> Answer:
    """choice: `allow` or `deny` where the person was asked."""
    try:
        client = find_application(request, query.get("client_id", ""))
        uri = redirect_of(query, client)
        assert client is not None
    except BadClient as error:
        return _trouble(request, error.code)
    state = query.get("state")
    try:
        asked = parse(query, client, uri, clock.unix_ms())
        found = _decide(request, query, asked, choice)
        if isinstance(found, Answer):
            return found
        parameters: dict[str, str | None] = {"code": found}
    except AuthorizationError as error:
        parameters = {"error": error.code, "error_description": error.text}
    return go_to(
        with_parameters(uri, {**parameters, "state": state, "iss": request.platform.provider.issuer})
    )


def _decide(
    request: OpenRequest, query: Mapping[str, str], asked: AuthorizationRequest, choice: str
) -> Answer | str:
    """A code, or the page that must come first. Raises AuthorizationError."""
    provider = request.platform.provider
    principal = person_of(request)
    if principal is None or provider.auth_ms(principal) < asked.fresh_since_ms:
        if asked.silent:
            raise AuthorizationError("login_required", "the person must sign in")
        return _sign_in_first(query, asked, again=principal is not None)
    _require_allowed(request, principal, asked)
    by = actor_of(principal)
    if choice == "deny":
        raise AuthorizationError("access_denied", "the person did not agree")
    if choice == "allow":
        provider.give_consent(principal, asked, by=by, address=request.address, number=request.request)
    elif provider.needs_consent(principal, asked):
        if asked.silent:
            raise AuthorizationError("consent_required", "the person must agree")
        return _ask(request, query, principal, asked)
    return provider.code(
        principal,
        asked,
        provider.auth_ms(principal),
        by=by,
        address=request.address,
        number=request.request,
    )


def _require_allowed(request: OpenRequest, principal: Principal, asked: AuthorizationRequest) -> None:
    """The person may be here from this network, and the institution uses the application. Raises AuthorizationError."""
    platform, action = request.platform, Action.IDENTITY_TOKEN_ISSUE
    try:
        platform.access.scope_for(
            principal, action, operation=Operation.OWN, request=request.request, address=request.address
        )
    except WardlightError as error:
        raise AuthorizationError("access_denied", error.reason) from None
    assert principal.institution is not None
    if not platform.provider.may_sign_in(principal.institution, asked.client.id):
        platform.access.deny(
            principal, action, "not-subscribed", request=request.request, address=request.address
        )
        raise AuthorizationError("access_denied", "not-subscribed")


def _sign_in_first(query: Mapping[str, str], asked: AuthorizationRequest, *, again: bool) -> Answer:
    after = {AFTER: str(asked.fresh_since_ms)} if asked.fresh_since_ms else {}
    here = f"{AUTHORIZE}?{urlencode({**query, **after})}"
    return go_to(with_parameters(SIGN_IN, {RETURN: here, AGAIN: "1" if again else None}))


def _ask(
    request: OpenRequest, query: Mapping[str, str], principal: Principal, asked: AuthorizationRequest
) -> Answer:
    person = request.platform.people.self(principal)
    institution = request.platform.identity.institution(str(person.institution))
    return pages.consent(
        application=asked.client.name,
        vendor=asked.client.vendor,
        institution=institution.name,
        person=person.name,
        scopes=asked.scopes,
        purpose=asked.purpose,
        action=CONSENT,
        hidden={"request": urlencode(query), "csrf": csrf_token(own_cookie(request))},
        origin=origin_of(asked.redirect_uri),
    )


# ---- one's own consents ----


def consents(request: ApiRequest) -> Answer:
    """GET /api/v1/consents: to which applications one has agreed."""
    scope = request.scope
    rows = request.platform.provider.consents(
        request.principal, by=request.actor, address=scope.address, number=scope.request
    )
    return answer({"consents": [_shown(row) for row in rows]})


def withdraw(request: ApiRequest) -> Answer:
    """DELETE /api/v1/consents/{application}: the application is signed out at once."""
    principal, application = request.principal, request.path["application"]
    assert principal.institution is not None
    ended = request.platform.provider.withdraw_consent(
        principal.institution,
        principal.id,
        application,
        by=request.actor,
        address=request.scope.address,
        number=request.scope.request,
    )
    if not ended:
        raise WardlightError("not-found")
    return answer({"application": application, "withdrawn": True})


def _shown(row: Consent) -> dict[str, Any]:
    return {
        "application": row.application,
        "scopes": sorted(row.scopes),
        "given": clock.timestamp_ms(row.given_ms),
    }


# ---- tokens ----


def authorization_code(exchange: Exchange) -> Mapping[str, Any]:
    """The grant of RFC 6749 section 4.1.3 with PKCE."""
    return exchange.platform.provider.redeem(exchange.client, exchange.asked, exchange.jkt)


def refresh_token(exchange: Exchange) -> Mapping[str, Any]:
    """The grant of RFC 6749 section 6."""
    return exchange.platform.provider.refresh(exchange.client, exchange.asked, exchange.jkt)


def userinfo(request: ApiRequest) -> Answer:
    """GET /oauth2/userinfo (Core section 5.3)."""
    scope = request.scope
    found = request.platform.provider.userinfo(request.principal, number=scope.request, address=scope.address)
    if found is None:
        raise WardlightError("unauthenticated", reason="user-inactive")
    return answer(found)


# ---- shared with sign-out and federation ----


def go_to(url: str, **headers: str) -> Answer:
    """Send the browser there, always with GET (RFC 9110 section 15.4.4)."""
    return Answer(b"", "", 303, {"Location": url, **headers})


def person_of(request: OpenRequest) -> Principal | None:
    """Who is signed in with all that it takes: somebody of an institution, with a second factor."""
    found = request.principal
    return found if found and found.kind is PrincipalKind.PERSON and found.scopes else None


def form_targets(request: OpenRequest, path: str) -> tuple[str, ...]:
    """Origins to which a form may lead whose answer goes on at this path of ours: that of the application, if any.

    Browsers hold redirects after a form to the `form-action` of its page.
    """
    if not path.startswith(f"{AUTHORIZE}?"):
        return ()
    query = dict(parse_qsl(path.partition("?")[2]))
    try:
        return (origin_of(redirect_of(query, find_application(request, query.get("client_id", "")))),)
    except BadClient:
        return ()


def find_application(request: OpenRequest, id_: str) -> Application | None:
    """The application of this id."""
    with request.platform.database.read() as tx:
        found = applications(tx, id_)
    return found[0] if found else None


def _trouble(request: OpenRequest, reason: str, status: int = 400) -> Answer:
    request.platform.access.deny(
        None,
        Action.IDENTITY_TOKEN_ISSUE,
        reason,
        request=request.request,
        address=request.address,
        status=status,
    )
    return pages.trouble(reason, status)
