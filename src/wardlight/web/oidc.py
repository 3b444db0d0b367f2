"""Routes of the OpenID provider and of sign-in by institutions' own providers (docs/reference/openid.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import federation, oauth, oidc, oidc_logout
from wardlight.audit.actions import Action
from wardlight.identity.application_model import AuthMethod
from wardlight.identity.dpop import ALGORITHMS as PROOF_ALGORITHMS
from wardlight.identity.jose import ALGORITHMS as ASSERTION_ALGORITHMS
from wardlight.identity.oauth import FORM
from wardlight.identity.oidc_keys import ALGORITHM
from wardlight.identity.oidc_request import SCOPES
from wardlight.web.about import JSON, About, Parameter
from wardlight.web.routes import Manage, Open, Public
from wardlight.web.services import Services

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
JWKS_PATH: Final = "/oauth2/jwks"
FEDERATION_JWKS_PATH: Final = "/federation/jwks"
USERINFO_PATH: Final = "/oauth2/userinfo"
#: What web pages of single-page applications may call: `web.cors.Registered`.
FOR_PAGES: Final = frozenset({oauth.TOKEN, oauth.REVOKE, USERINFO_PATH, DISCOVERY_PATH, JWKS_PATH})
_HTML: Final = "text/html"
_CONSENTS: Final = "/api/v1/consents"
_PEOPLE: Final = frozenset({PrincipalKind.PERSON})
_APPLICATIONS: Final = frozenset({PrincipalKind.APPLICATION})
_MANAGE: Final = frozenset({TokenScope.MANAGE})
_OPENID: Final = frozenset({TokenScope.OPENID})


def metadata(issuer: str) -> dict[str, Any]:
    """The provider's metadata (OpenID Connect Discovery 1.0 section 3, RFC 8414, RFC 9207)."""
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + oidc.AUTHORIZE,
        "token_endpoint": issuer + oauth.TOKEN,
        "userinfo_endpoint": issuer + USERINFO_PATH,
        "jwks_uri": issuer + JWKS_PATH,
        "end_session_endpoint": issuer + oidc_logout.LOGOUT,
        "introspection_endpoint": issuer + oauth.INTROSPECT,
        "revocation_endpoint": issuer + oauth.REVOKE,
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": sorted(oauth.GRANTS),
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": [method.value for method in AuthMethod],
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claims_supported": [
            *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "sid", "at_hash"),
            *("institution", "name", "preferred_username", "role"),
        ],
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


class Document:
    """A public JSON document, made anew for each request."""

    def __init__(self, made: Callable[[Services], dict[str, Any]]) -> None:
        self._made = made

    def __call__(self, services: Services) -> Callable[[Request], Response]:
        """What answers requests for it."""

        def answer(request: Request) -> Response:  # noqa: ARG001 - as every handler
            return Response(json.dumps(self._made(services)), media_type=JSON)

        return answer


_DISCOVERY: Final = Document(lambda services: metadata(services.platform.provider.issuer))
_JWKS: Final = Document(lambda services: services.platform.provider.keys.public())
_FEDERATION_JWKS: Final = Document(lambda services: services.platform.federations.keys.public())


def public(services: Services) -> tuple[Public, ...]:
    """Documents for everybody."""
    return (
        Public(
            DISCOVERY_PATH,
            _DISCOVERY(services),
            "says only what the OpenID provider can do",
            About("Provider Metadata", "OpenID Connect Discovery 1.0.", (JSON,), schema="ProviderMetadata"),
        ),
        Public(
            JWKS_PATH,
            _JWKS(services),
            "shows public keys only",
            About("Provider Keys", "Public keys of id tokens (RFC 7517).", (JSON,), schema="KeySet"),
        ),
        Public(
            FEDERATION_JWKS_PATH,
            _FEDERATION_JWKS(services),
            "shows public keys only",
            About(
                "Federation Keys",
                "Public keys by which institutions' own providers know the platform (RFC 7517).",
                (JSON,),
                schema="KeySet",
            ),
        ),
    )


def registered(services: Services) -> Callable[[str], bool]:
    """Tells whether an origin is that of a redirect address of an active single-page application."""
    return lambda origin: services.platform.provider.knows_origin(origin)


def _text(name: str, description: str) -> Parameter:
    return Parameter(name, description, {"type": "string"})


_REQUEST: Final = (
    _text("response_type", "Always `code`."),
    _text("client_id", "The application's id."),
    _text("redirect_uri", "Exactly as registered."),
    _text("scope", "`openid`, and what else is asked, with spaces."),
    _text("state", "Comes back as it is."),
    _text("nonce", "Stands in the id token."),
    _text("code_challenge", "SHA-256 of the verifier, base64url (RFC 7636)."),
    _text("code_challenge_method", "Always `S256`."),
    _text("prompt", "`none`, `login`, `consent` or `select_account`."),
    Parameter("max_age", "Seconds since the person proved who they are.", {"type": "integer", "minimum": 0}),
    _text("purpose_of_use", "What images are needed for: a code of HL7 v3 PurposeOfUse; `TREAT` without it."),
    Parameter("after", "Added by sign-in: when the person must have signed in.", {"type": "integer"}),
)
_OUT: Final = (
    _text("id_token_hint", "An id token of the sign-in that ends."),
    _text("client_id", "The application's id."),
    _text("post_logout_redirect_uri", "Exactly as registered."),
    _text("state", "Comes back as it is."),
)
_RETURN: Final = _text("return", "Path of this site to go on at.")
_BROWSER: Final = "the person's session decides; without one it leads to the sign-in page"
_OWN_FORM: Final = "a form of our own page, with what only that page knows of the session"

_PROVIDER: Final = (
    Open(
        oidc.AUTHORIZE,
        oidc.authorize,
        Action.IDENTITY_TOKEN_ISSUE,
        _BROWSER,
        About(
            "Authorize",
            "Sign a person in to an application: on with a code, or to the page that must come first.",
            (_HTML,),
            statuses=(200, 303, 400),
            query=_REQUEST,
        ),
        method="GET",
        beside=(Action.IDENTITY_CONSENT_GIVE, Action.IDENTITY_CONSENT_WITHDRAW),
    ),
    Open(
        oidc.AUTHORIZE,
        oidc.authorize_posted,
        Action.IDENTITY_TOKEN_ISSUE,
        _BROWSER,
        About(
            "Authorize by Form",
            "Leads to the same as a query.",
            (_HTML,),
            consumes=(FORM,),
            statuses=(200, 303, 400),
            errors=(413,),
        ),
    ),
    Open(
        oidc.CONSENT,
        oidc.consent,
        Action.IDENTITY_CONSENT_GIVE,
        _OWN_FORM,
        About(
            "Consent",
            "What the person answered; goes on to the application.",
            (_HTML,),
            consumes=(FORM,),
            statuses=(200, 303, 400, 403),
            errors=(413,),
        ),
        beside=(Action.IDENTITY_TOKEN_ISSUE,),
    ),
    Manage(
        USERINFO_PATH,
        oidc.userinfo,
        Action.IDENTITY_PERSON_READ,
        Operation.OWN,
        _APPLICATIONS,
        _OPENID,
        About("User Info", "Who the user of this token is.", (JSON,), schema="UserInfo"),
    ),
    Manage(
        _CONSENTS,
        oidc.consents,
        Action.IDENTITY_PERSON_READ,
        Operation.OWN,
        _PEOPLE,
        _MANAGE,
        About("Own Consents", "Applications that one has agreed to sign in to.", (JSON,), schema="Consents"),
    ),
    Manage(
        f"{_CONSENTS}/{{application}}",
        oidc.withdraw,
        Action.IDENTITY_CONSENT_WITHDRAW,
        Operation.OWN,
        _PEOPLE,
        _MANAGE,
        About(
            "Withdraw Consent", "The application is signed out at once.", (JSON,), schema="ConsentWithdrawn"
        ),
        method="DELETE",
    ),
    Open(
        oidc_logout.LOGOUT,
        oidc_logout.logout,
        Action.IDENTITY_SESSION_LOGOUT,
        "an id token of this very session, or the person is asked",
        About("Sign Out", "Asked for by an application.", (_HTML,), statuses=(200, 303, 400), query=_OUT),
        method="GET",
        beside=(Action.IDENTITY_TOKEN_REVOKE,),
    ),
    Open(
        oidc_logout.LOGOUT,
        oidc_logout.logout_posted,
        Action.IDENTITY_SESSION_LOGOUT,
        "leads to the same as a query",
        About(
            "Sign Out by Form",
            "Leads to the same as a query.",
            (_HTML,),
            consumes=(FORM,),
            statuses=(200, 303, 400),
            errors=(413,),
        ),
    ),
    Open(
        oidc_logout.CONFIRM,
        oidc_logout.confirm,
        Action.IDENTITY_SESSION_LOGOUT,
        _OWN_FORM,
        About(
            "Confirm Sign-Out",
            "The person wants to.",
            (_HTML,),
            consumes=(FORM,),
            statuses=(200, 303, 400, 403),
            errors=(413,),
        ),
    ),
)

_FEDERATION: Final = (
    Open(
        "/federation",
        federation.begin,
        Action.IDENTITY_SESSION_LOGIN,
        "leads to the institution's provider, which asks who it is",
        About(
            "Sign In by Institution",
            "On to the provider of this institution.",
            (_HTML,),
            query=(
                _text("institution", "The institution's slug."),
                _RETURN,
                _text("again", "`1`: ask anew."),
            ),
            statuses=(200, 404, 503),
            errors=(429,),
        ),
        method="GET",
    ),
    Open(
        "/federation/{institution}/callback",
        federation.callback,
        Action.IDENTITY_SESSION_LOGIN,
        "state, browser and the provider's signed token decide",
        About(
            "Back from the Institution",
            "With a code of its provider.",
            (_HTML,),
            statuses=(200, 303, 403, 404),
            errors=(429,),
            query=(
                _text("code", "The provider's code."),
                _text("state", "As it was sent."),
                _text("iss", "Who answers (RFC 9207)."),
                _text("error", "Why not."),
            ),
        ),
        method="GET",
        beside=(Action.IDENTITY_PERSON_CREATE, Action.IDENTITY_SESSION_LOGOUT),
    ),
)

OIDC: Final = (*_PROVIDER, *_FEDERATION)
