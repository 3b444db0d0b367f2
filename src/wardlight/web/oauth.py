"""Routes by which applications and receivers are registered, and by which they get tokens."""

from __future__ import annotations

import json
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from wardlight.access.model import Operation as Allowed
from wardlight.access.model import PrincipalKind, TokenScope
from wardlight.api import applications, oauth, receivers
from wardlight.audit.actions import Action
from wardlight.identity.oauth import FORM
from wardlight.web.about import JSON, About, Parameter
from wardlight.web.addresses import site_url
from wardlight.web.routes import Manage, Open, Operation
from wardlight.web.services import Services

_PEOPLE: Final = frozenset({PrincipalKind.PERSON})
_OPERATORS: Final = frozenset({PrincipalKind.OPERATOR})
_RECEIVERS: Final = frozenset({PrincipalKind.RECEIVER})
_MANAGE: Final = frozenset({TokenScope.MANAGE})
_PLATFORM: Final = frozenset({TokenScope.PLATFORM})
_SEND: Final = frozenset({TokenScope.RECEIVER_AUDIT})

_APPLICATIONS: Final = "/api/v1/platform/applications"
_APPLICATION: Final = f"{_APPLICATIONS}/{{application}}"
_RECEIVER: Final = "/api/v1/receivers"
_CHANGED: Final = (409, 413, 415)
_OVERLAP: Final = Parameter(
    "overlap_hours", "How long the old one goes on.", {"type": "integer", "minimum": 0, "maximum": 720}
)

METADATA_PATH: Final = "/.well-known/oauth-authorization-server"
METADATA: Final = About(
    "Server Metadata", "What the token endpoint can do (RFC 8414).", (JSON,), schema="ServerMetadata"
)


class Metadata:
    """GET /.well-known/oauth-authorization-server."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def __call__(self, request: Request) -> Response:
        """The document, with a nonce for a client's first proof (RFC 9449 section 8)."""
        shown = oauth.metadata(site_url(self._services, request))
        nonce = self._services.platform.platform_keys.nonces().new()
        headers = {"Cache-Control": "no-store", "DPoP-Nonce": nonce}
        return Response(json.dumps(shown), media_type=JSON, headers=headers)


def _endpoint(name: str, summary: str, schema: str) -> About:
    return About(
        name,
        summary,
        (JSON,),
        consumes=(FORM,),
        statuses=(200, 400, 401),
        errors=(429,),
        schema=schema,
        takes=f"{schema}Request",
    )


_OAUTH: Final = (
    Open(
        oauth.TOKEN,
        oauth.token,
        Action.IDENTITY_TOKEN_ISSUE,
        "clients prove who they are by a signed assertion, or a secret",
        _endpoint("Token", "An access token (RFC 6749 section 3.2).", "OAuthToken"),
        beside=(Action.IDENTITY_TOKEN_REFUSE,),
    ),
    Open(
        oauth.INTROSPECT,
        oauth.introspect,
        Action.IDENTITY_TOKEN_REFUSE,
        "clients prove who they are, and learn of their own tokens only",
        _endpoint("Introspection", "What a token of the client stands for (RFC 7662).", "OAuthIntrospection"),
    ),
    Open(
        oauth.REVOKE,
        oauth.revoke,
        Action.IDENTITY_TOKEN_REVOKE,
        "clients prove who they are, and end their own tokens only",
        _endpoint("Revocation", "End a token of the client (RFC 7009).", "OAuthRevocation"),
        beside=(Action.IDENTITY_TOKEN_REFUSE,),
    ),
)

_REGISTRY: Final = (
    Manage(
        "/api/v1/applications",
        applications.listed,
        Action.PLATFORM_SETTING_READ,
        Allowed.CONFIGURATION,
        _PEOPLE,
        _MANAGE,
        About("List Applications", "Partner applications there are.", (JSON,), schema="Applications"),
    ),
    Manage(
        _APPLICATIONS,
        applications.listed,
        Action.PLATFORM_SETTING_READ,
        Allowed.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        About("List Applications", "Partner applications there are.", (JSON,), schema="Applications"),
    ),
    Manage(
        _APPLICATIONS,
        applications.register,
        Action.IDENTITY_APPLICATION_REGISTER,
        Allowed.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        About(
            "Register Application",
            "In one environment; it waits for approval.",
            (JSON,),
            consumes=(JSON,),
            statuses=(201,),
            errors=_CHANGED,
            schema="Application",
            takes="ApplicationRegistration",
        ),
        method="POST",
        step_up=True,
    ),
    Manage(
        _APPLICATION,
        applications.one,
        Action.PLATFORM_SETTING_READ,
        Allowed.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        About("Show Application", "With its keys.", (JSON,), schema="Application"),
    ),
    Manage(
        _APPLICATION,
        applications.change,
        Action.IDENTITY_APPLICATION_CHANGE,
        Allowed.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        About(
            "Change Application",
            "What is not named stays; where it loses a scope its tokens end.",
            (JSON,),
            consumes=(JSON,),
            errors=_CHANGED,
            schema="Application",
            takes="ApplicationChange",
        ),
        method="PUT",
        step_up=True,
    ),
    Manage(
        _APPLICATION,
        applications.delete,
        Action.IDENTITY_APPLICATION_DELETE,
        Allowed.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        About(
            "Delete Application",
            "For good; its tokens end at once.",
            (JSON,),
            errors=(409,),
            schema="Application",
        ),
        method="DELETE",
        step_up=True,
    ),
    *(
        Manage(
            f"{_APPLICATION}/{word}",
            handler,
            action,
            Allowed.PLATFORM,
            _OPERATORS,
            _PLATFORM,
            About(
                f"{word.capitalize()} Application",
                summary,
                (JSON,),
                consumes=(JSON,),
                errors=_CHANGED,
                schema="Application",
                takes="Nothing",
            ),
            method="POST",
            step_up=True,
        )
        for word, handler, action, summary in (
            ("approve", applications.approve, Action.IDENTITY_APPLICATION_APPROVE, "Let it in."),
            (
                "suspend",
                applications.suspend,
                Action.IDENTITY_APPLICATION_SUSPEND,
                "Keep it out, at once and with the tokens that it has.",
            ),
        )
    ),
    Manage(
        f"{_APPLICATION}/keys",
        applications.add_key,
        Action.IDENTITY_APPLICATION_ROTATE_KEY,
        Allowed.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        About(
            "Add Key",
            "A public key (RFC 7517) beside those that it has.",
            (JSON,),
            consumes=(JSON,),
            statuses=(201,),
            errors=_CHANGED,
            schema="ApplicationKey",
            takes="Jwk",
        ),
        method="POST",
        step_up=True,
    ),
    Manage(
        f"{_APPLICATION}/keys/{{kid}}",
        applications.remove_key,
        Action.IDENTITY_APPLICATION_ROTATE_KEY,
        Allowed.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        About(
            "Remove Key", "Now, or after a time.", (JSON,), query=(_OVERLAP,), schema="ApplicationKeyRemoved"
        ),
        method="DELETE",
        step_up=True,
    ),
    Manage(
        f"{_APPLICATION}/secret",
        applications.new_secret,
        Action.IDENTITY_APPLICATION_ROTATE_KEY,
        Allowed.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        About(
            "New Secret",
            "In the place of the one that it has; shown once.",
            (JSON,),
            consumes=(JSON,),
            statuses=(201,),
            errors=_CHANGED,
            query=(_OVERLAP,),
            schema="ApplicationSecret",
            takes="Nothing",
        ),
        method="POST",
        step_up=True,
    ),
)

_ENROLMENT: Final = (
    Manage(
        _RECEIVER,
        receivers.listed,
        Action.PLATFORM_SETTING_READ,
        Allowed.CONFIGURATION,
        _PEOPLE,
        _MANAGE,
        About("List Receivers", "With the digits of those that wait for them.", (JSON,), schema="Receivers"),
    ),
    Manage(
        _RECEIVER,
        receivers.open_enrolment,
        Action.IDENTITY_RECEIVER_ENROL,
        Allowed.CONFIGURE,
        _PEOPLE,
        _MANAGE,
        About(
            "Enrolment Code",
            "For a new receiver, or for a new key of one that is known; shown once.",
            (JSON,),
            consumes=(JSON,),
            statuses=(201,),
            errors=_CHANGED,
            schema="EnrolmentCode",
            takes="ReceiverName",
        ),
        method="POST",
        step_up=True,
    ),
    Manage(
        f"{_RECEIVER}/{{receiver}}/confirm",
        receivers.confirm,
        Action.IDENTITY_RECEIVER_ENROL,
        Allowed.CONFIGURE,
        _PEOPLE,
        _MANAGE,
        About(
            "Confirm Receiver",
            "Its screen shows these digits; with others its enrolment ends.",
            (JSON,),
            consumes=(JSON,),
            errors=_CHANGED,
            schema="ReceiverState",
            takes="Digits",
        ),
        method="POST",
        beside=(Action.IDENTITY_RECEIVER_ROTATE_KEY, Action.IDENTITY_RECEIVER_REVOKE),
        step_up=True,
    ),
    Manage(
        f"{_RECEIVER}/{{receiver}}",
        receivers.revoke,
        Action.IDENTITY_RECEIVER_REVOKE,
        Allowed.CONFIGURE,
        _PEOPLE,
        _MANAGE,
        About("Revoke Receiver", "Its next request is refused.", (JSON,), schema="ReceiverState"),
        method="DELETE",
        step_up=True,
    ),
    Open(
        "/api/v1/enrolments",
        receivers.enrol,
        Action.IDENTITY_RECEIVER_ENROL,
        "a receiver brings a one-time code and a proof of its key, and waits for its digits to be confirmed",
        About(
            "Enrol Receiver",
            "Take a receiver's code and key; the answer is signed by the platform that the code names.",
            (JSON,),
            consumes=(JSON,),
            statuses=(201,),
            errors=(403, 415, 429),
            schema="Enrolled",
            takes="Enrolment",
        ),
    ),
    Manage(
        "/api/v1/receiver/witness-key",
        receivers.witness_key,
        Action.IDENTITY_RECEIVER_ENROL,
        Allowed.AUDIT_SEND,
        _RECEIVERS,
        _SEND,
        About(
            "Witness Key",
            "The public key by which the receiver cosigns heads of the log from now on.",
            (JSON,),
            consumes=(JSON,),
            statuses=(201,),
            errors=_CHANGED,
            schema="WitnessKey",
            takes="WitnessPublic",
        ),
        method="POST",
        beside=(Action.IDENTITY_RECEIVER_ROTATE_KEY,),
    ),
)

OAUTH: Final[tuple[Operation, ...]] = (*_OAUTH, *_REGISTRY, *_ENROLMENT)
