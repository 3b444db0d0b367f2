"""Schemas of applications, receivers, and the OAuth endpoints."""

from __future__ import annotations

from typing import Any, Final

from wardlight.agreements.purposes import PURPOSES
from wardlight.identity.application_model import (
    APPLICATION_SCOPES,
    ApplicationKind,
    ApplicationState,
    AuthMethod,
)
from wardlight.identity.jose import ALGORITHMS

_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_MAYBE: Final[dict[str, Any]] = {"type": ["string", "null"], "format": "date-time"}
_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 200}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_SCOPES: Final = {"type": "array", "items": {"enum": sorted(APPLICATION_SCOPES)}, "minItems": 1}
_KIND: Final = {"enum": [kind.value for kind in ApplicationKind]}
_METHOD: Final = {"enum": [method.value for method in AuthMethod]}
_ERROR: Final = {"error": _TEXT, "error_description": _TEXT}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "properties": properties}


def _rows(name: str, of: str) -> dict[str, Any]:
    rows = {"type": "array", "items": {"$ref": f"#/components/schemas/{of}"}}
    return _object(name, **{name: rows})


def _form(required: str, **properties: Any) -> dict[str, Any]:
    """A form of a client that proves who it is by the same form, or by its Authorization header."""
    proof = {"client_id": _TEXT, "client_assertion_type": _TEXT, "client_assertion": _TEXT}
    return _object(required, **properties, **proof)


SCHEMAS: Final[dict[str, Any]] = {
    "Application": _object(
        "id name vendor environment kind owner state auth_method scopes redirect_uris post_logout_uris created",
        id=_TEXT,
        name=_TEXT,
        vendor=_TEXT,
        environment=_TEXT,
        kind=_KIND,
        owner={"type": "string", "description": "Whom to ask at the company."},
        state={"enum": [state.value for state in ApplicationState]},
        auth_method=_METHOD,
        scopes=_TEXTS,
        redirect_uris=_TEXTS,
        post_logout_uris=_TEXTS,
        created=_TIME,
        keys={"type": "array", "items": {"$ref": "#/components/schemas/ApplicationKey"}},
    ),
    "Applications": _rows("applications", "Application"),
    "ApplicationRegistration": _object(
        "id name vendor",
        id={"type": "string", "pattern": "^[a-z0-9-]{1,20}_[a-z0-9-]{1,20}_[a-z0-9-]{1,20}$"},
        name=_NAME,
        vendor=_NAME,
        owner={"type": "string", "maxLength": 200},
        kind=_KIND,
        auth_method=_METHOD,
        scopes=_SCOPES,
        redirect_uris=_TEXTS,
        post_logout_uris=_TEXTS,
    ),
    "ApplicationChange": {
        "type": "object",
        "properties": {
            "name": _NAME,
            "owner": {"type": "string", "maxLength": 200},
            "scopes": _SCOPES,
            "redirect_uris": _TEXTS,
            "post_logout_uris": _TEXTS,
        },
    },
    "ApplicationKey": _object(
        "kid alg created ends",
        kid=_TEXT,
        alg={"enum": [*ALGORITHMS, "secret"]},
        created=_TIME,
        ends={"type": ["string", "null"], "format": "date-time"},
    ),
    "ApplicationKeyRemoved": _object("application kid", application=_TEXT, kid=_TEXT),
    "ApplicationSecret": _object("application client_secret", application=_TEXT, client_secret=_TEXT),
    "Jwk": _object(
        "kty",
        kty={"enum": ["EC", "RSA"]},
        kid={"type": "string", "minLength": 1, "maxLength": 128},
        crv={"enum": ["P-256", "P-384"]},
        x=_TEXT,
        y=_TEXT,
        n=_TEXT,
        e=_TEXT,
        alg={"enum": list(ALGORITHMS)},
        use={"enum": ["sig"]},
    ),
    "OAuthToken": {
        "type": "object",
        "properties": {
            "access_token": _TEXT,
            "token_type": {"enum": ["Bearer", "DPoP"]},
            "expires_in": {"type": "integer"},
            "scope": _TEXT,
            "institution": _TEXT,
            "purpose_of_use": _TEXT,
            **_ERROR,
        },
    },
    "OAuthTokenRequest": _form(
        "grant_type",
        grant_type={"enum": ["client_credentials"]},
        scope=_TEXT,
        purpose_of_use={"enum": list(PURPOSES)},
        institution={"type": "string", "description": "Slug or id; may be left out where only one uses it."},
    ),
    "OAuthIntrospection": {"type": "object", "properties": {"active": {"type": "boolean"}, **_ERROR}},
    "OAuthIntrospectionRequest": _form("token", token=_TEXT),
    "OAuthRevocation": {"type": "object", "properties": _ERROR},
    "OAuthRevocationRequest": _form("token", token=_TEXT, token_type_hint=_TEXT),
    "ServerMetadata": _object("issuer token_endpoint", issuer=_TEXT, token_endpoint=_TEXT),
    "Receiver": _object(
        "id name state created",
        id=_TEXT,
        name=_TEXT,
        state={"enum": ["pending", "active", "revoked"]},
        created=_TIME,
        enrolment={"enum": ["open", "late", "waiting", "confirmed"]},
        code_expires=_TIME,
        digits={"type": "string", "pattern": "^[0-9]{6}$"},
        seen={**_MAYBE, "description": "Its newest token; null where that is more than a day ago."},
        last_object={**_MAYBE, "description": "Null where it was quiet for long."},
    ),
    "Receivers": _object(
        "receivers",
        receivers={"type": "array", "items": {"$ref": "#/components/schemas/Receiver"}},
        dicom={
            **_object("host port ae_title", host=_TEXT, port={"type": "integer"}, ae_title=_TEXT),
            "description": "Where a PACS sends to, if the receiver is on the platform's machine.",
        },
    ),
    "ReceiverName": _object("name", name=_NAME),
    "EnrolmentCode": _object("id name code", id=_TEXT, name=_TEXT, code=_TEXT),
    "Digits": _object("digits", digits={"type": "string", "pattern": "^[0-9]{6}$"}),
    "ReceiverState": _object("id state", id=_TEXT, name=_TEXT, state=_TEXT),
    "Enrolment": _object("enrolment", enrolment={"type": "string", "description": "A token of the new key."}),
    "Enrolled": _object("enrolled", enrolled={"type": "string", "description": "A token of the platform."}),
    "WitnessPublic": _object(
        "public", public={"type": "string", "description": "Ed25519 public key, base64."}
    ),
    "WitnessKey": _object("vkey log_vkey", vkey=_TEXT, log_vkey=_TEXT),
}

PARAMETERS: Final[dict[str, Any]] = {
    "kid": {
        "name": "kid",
        "in": "path",
        "required": True,
        "description": "A key's id.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~:+=-]{1,128}$"},
    },
    "receiver": {
        "name": "receiver",
        "in": "path",
        "required": True,
        "description": "A receiver's id.",
        "schema": {"type": "string", "pattern": "^rc-[0-9a-f]{12}$"},
    },
}
