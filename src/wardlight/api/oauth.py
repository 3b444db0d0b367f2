"""The OAuth 2.0 endpoints of clients: tokens, what they stand for, their end, and what the server can do.

Errors here are OAuth's own (RFC 6749 section 5.2), not problem documents; the finer reason is in the trail only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from wardlight.agreements.purposes import PURPOSES
from wardlight.api import oidc
from wardlight.api.call import OpenRequest
from wardlight.api.exchange import Exchange
from wardlight.db.engine import EVERYWHERE
from wardlight.dicomweb.call import Answer
from wardlight.identity import dpop
from wardlight.identity.application_model import APPLICATION_SCOPES, AuthMethod
from wardlight.identity.application_store import institution_of
from wardlight.identity.clients import Client
from wardlight.identity.issuing import application_scopes, receiver_scopes
from wardlight.identity.jose import ALGORITHMS
from wardlight.identity.model import PrincipalKind
from wardlight.identity.oauth import ClientRequest, OAuthError, parse_form
from wardlight.trail.call import answer

TOKEN: Final = "/oauth2/token"  # noqa: S105 - a path
INTROSPECT: Final = "/oauth2/introspect"
REVOKE: Final = "/oauth2/revoke"
_NO_STORE: Final = {"Cache-Control": "no-store"}
_NONCE: Final = "DPoP-Nonce"


def token(request: OpenRequest) -> Answer:
    """POST /oauth2/token."""
    return _endpoint(request, TOKEN, _token)


def introspect(request: OpenRequest) -> Answer:
    """POST /oauth2/introspect (RFC 7662): a client asks about its own tokens."""
    return _endpoint(request, INTROSPECT, _introspect)


def revoke(request: OpenRequest) -> Answer:
    """POST /oauth2/revoke (RFC 7009): a client ends a token of its own; the answer is the same for any other."""
    return _endpoint(request, REVOKE, _revoke)


def metadata(base: str) -> dict[str, Any]:
    """What the server can do (RFC 8414); base: the platform's address."""
    return {
        "issuer": base,
        "token_endpoint": base + TOKEN,
        "introspection_endpoint": base + INTROSPECT,
        "revocation_endpoint": base + REVOKE,
        "grant_types_supported": sorted(GRANTS),
        "token_endpoint_auth_methods_supported": [method.value for method in AuthMethod],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": sorted(APPLICATION_SCOPES),
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
    }


def _endpoint(
    request: OpenRequest, path: str, work: Callable[[OpenRequest, ClientRequest], Mapping[str, Any]]
) -> Answer:
    try:
        found = work(request, client_request(request, path))
    except OAuthError as error:
        shown = {"error": error.error}
        if error.description:
            shown["error_description"] = error.description
        headers = dict(_NO_STORE)
        if error.error == "use_dpop_nonce":
            headers[_NONCE] = request.platform.platform_keys.nonces().new()
        if error.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="wardlight"'
        return answer(shown, error.status, **headers)
    return answer(found, 200, **_NO_STORE)


def client_request(request: OpenRequest, path: str) -> ClientRequest:
    """What a client sent to an endpoint. An assertion is made out to it, to the token endpoint, or to the issuer."""
    url = request.base_url + path
    return ClientRequest(
        parse_form(request.body, request.headers.get("content-type", "")),
        request.headers.get("authorization", ""),
        request.headers.get("dpop", ""),
        url,
        frozenset({url, request.base_url + TOKEN, request.base_url}),
        request.address,
        request.request,
    )


def _token(request: OpenRequest, asked: ClientRequest) -> Mapping[str, Any]:
    platform = request.platform
    # First: a client that must come again with a nonce has not used up its assertion.
    jkt = _proved(request, asked)
    grant = GRANTS.get(asked.required("grant_type"))
    if grant is None:
        raise OAuthError("unsupported_grant_type")
    client = platform.clients.authenticate(asked)
    try:
        return grant(Exchange(platform, asked, client, jkt))
    except OAuthError as error:
        platform.clients.refuse(asked, client, error)
        raise


def _proved(request: OpenRequest, asked: ClientRequest) -> bytes | None:
    """Thumbprint of the key that a token is to be bound to; None where none is asked for."""
    if not asked.proof:
        return None
    nonces = request.platform.platform_keys.nonces()
    try:
        return dpop.check(asked.proof, "POST", asked.url, nonces)
    except dpop.ProofRefused as error:
        if error.wants_nonce:
            raise OAuthError(
                "use_dpop_nonce", "the proof needs the nonce that comes with this answer"
            ) from None
        raise OAuthError("invalid_dpop_proof", "", error.reason) from None


def _client_credentials(exchange: Exchange) -> Mapping[str, Any]:
    """RFC 6749 section 4.4."""
    client, asked = exchange.client, exchange.asked
    if client.public:
        raise OAuthError("unauthorized_client", "a public application has no token of its own")
    scope = asked.form.get("scope", "")
    if client.kind is PrincipalKind.RECEIVER:
        if exchange.jkt is None or exchange.jkt != client.jkt:
            raise OAuthError("invalid_dpop_proof", "a receiver proves that it holds the key that it enrolled")
        assert client.institution is not None
        return exchange.issue(client.institution, receiver_scopes(scope), "")
    purpose = asked.required("purpose_of_use")
    if purpose not in PURPOSES:
        raise OAuthError("invalid_request", "purpose_of_use is one code of HL7 v3 PurposeOfUse")
    scopes = application_scopes(client, scope)
    return exchange.issue(_institution(exchange, client), scopes, purpose)


def _institution(exchange: Exchange, client: Client) -> UUID:
    """The institution that the token is for: the one that is named, or the only one that uses the application."""
    known = exchange.platform.entitlements.subscribers(client.id)
    named = exchange.asked.form.get("institution", "")
    if not named:
        if len(known) != 1:
            raise OAuthError("invalid_request", "institution is missing")
        return known[0]
    with exchange.platform.database.read(EVERYWHERE) as tx:
        found = institution_of(tx, named)
    # Whether there is such an institution is nobody's business that it does not subscribe to.
    if found not in known:
        raise OAuthError("invalid_target", "no institution of this name uses the application")
    return found


def _introspect(request: OpenRequest, asked: ClientRequest) -> Mapping[str, Any]:
    return request.platform.access_tokens.introspect(_confidential(request, asked), asked.required("token"))


def _revoke(request: OpenRequest, asked: ClientRequest) -> Mapping[str, Any]:
    client = request.platform.clients.authenticate(asked)
    request.platform.access_tokens.revoke(client, asked.required("token"), request=asked)
    return {}


def _confidential(request: OpenRequest, asked: ClientRequest) -> Client:
    client = request.platform.clients.authenticate(asked)
    if client.public:
        error = OAuthError("invalid_client", "", "no-proof")
        request.platform.clients.refuse(asked, client, error)
        raise error
    return client


#: By grant_type: what is given for it.
GRANTS: Final[Mapping[str, Callable[[Exchange], Mapping[str, Any]]]] = {
    "client_credentials": _client_credentials,
    "authorization_code": oidc.authorization_code,
    "refresh_token": oidc.refresh_token,
}
