"""Schemas of the OpenID provider's documents and of consents."""

from __future__ import annotations

from typing import Any, Final

from wardlight.identity.model import Role
from wardlight.identity.oidc_request import SCOPES

_TEXT: Final = {"type": "string"}
_SCOPES: Final = {"type": "array", "items": {"enum": list(SCOPES)}}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "properties": properties}


SCHEMAS: Final[dict[str, Any]] = {
    "ProviderMetadata": _object(
        "issuer authorization_endpoint token_endpoint jwks_uri response_types_supported subject_types_supported",
        issuer=_TEXT,
        authorization_endpoint=_TEXT,
        token_endpoint=_TEXT,
        userinfo_endpoint=_TEXT,
        jwks_uri=_TEXT,
        end_session_endpoint=_TEXT,
        response_types_supported={"type": "array", "items": _TEXT},
        subject_types_supported={"type": "array", "items": _TEXT},
    ),
    "KeySet": _object(
        "keys",
        keys={
            "type": "array",
            "items": _object("kty crv x y kid", kty=_TEXT, crv=_TEXT, x=_TEXT, y=_TEXT, kid=_TEXT, alg=_TEXT),
        },
    ),
    "UserInfo": _object(
        "sub institution",
        sub={"type": "string", "description": "The user's name towards this application alone."},
        institution={"type": "string", "description": "The institution's slug."},
        name=_TEXT,
        preferred_username=_TEXT,
        role={"enum": [role.value for role in Role]},
    ),
    "Consents": _object(
        "consents",
        consents={
            "type": "array",
            "items": _object(
                "application scopes given",
                application=_TEXT,
                scopes=_SCOPES,
                given={"type": "string", "format": "date-time"},
            ),
        },
    ),
    "ConsentWithdrawn": _object("application withdrawn", application=_TEXT, withdrawn={"type": "boolean"}),
}

PARAMETERS: Final[dict[str, Any]] = {}
