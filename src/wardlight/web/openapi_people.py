"""Schemas of sessions, people and institutions."""

from __future__ import annotations

from typing import Any, Final

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_SHORT: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": 200}
_FLAG: Final[dict[str, Any]] = {"type": "boolean"}
_TIME: Final[dict[str, Any]] = {"type": "string", "format": "date-time"}
_ROLE: Final[dict[str, Any]] = {
    "enum": ["administrator", "clinician", "researcher", "privacy-officer", "operator"]
}
_NETWORKS: Final[dict[str, Any]] = {
    "type": "array",
    "items": _TEXT,
    "description": "CIDRs that people of the institution may come from.",
}
_OBJECT: Final[dict[str, Any]] = {"type": "object"}


def _named(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(optional: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(members), "properties": {**members, **(optional or {})}}


def _body(optional: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    return _answer(optional, **members) | {"additionalProperties": False}


_SESSION: Final = _answer(
    {"recovery_codes": {"type": "array", "items": _TEXT, "description": "Shown once."}},
    signed_in=_FLAG,
    id=_TEXT,
    login=_TEXT,
    name=_TEXT,
    role=_ROLE,
    institution=_TEXT,
    limited={
        "type": "boolean",
        "description": "There is no second factor yet: the session may add one, and nothing else.",
    },
    step_up={"type": "boolean", "description": "Presence was proved in the last five minutes."},
    csrf={"type": "string", "description": "What unsafe requests of this session bring as `X-CSRF`."},
)
_PERSON: Final = _answer(
    id=_TEXT,
    login=_TEXT,
    name=_TEXT,
    role=_ROLE,
    state={"enum": ["invited", "active", "suspended"]},
    created=_TIME,
)
_INSTITUTION: Final = _answer(
    id={"type": "string", "format": "uuid"},
    slug=_TEXT,
    name=_TEXT,
    region=_TEXT,
    state={"enum": ["active", "suspended", "closed"]},
    networks=_NETWORKS,
    created=_TIME,
)

SCHEMAS: Final[dict[str, Any]] = {
    "Session": _SESSION,
    "SignedOut": _answer(signed_in=_FLAG),
    "SignedInOrNot": {"anyOf": [_named("Session"), _named("SignedOut")]},
    "SignIn": _body(
        {
            "code": {"type": "string", "description": "Of an authenticator, or for recovery."},
            "institution": {"type": "string", "description": "Slug, where the answer asked for it."},
        },
        login=_TEXT,
        password=_TEXT,
    ),
    "PasskeyOptions": {"type": "object", "description": "WebAuthn level 3, in its JSON form."},
    "Passkey": _body(passkey=_OBJECT),
    "NewPasskey": _body(passkey=_OBJECT, name=_SHORT),
    "LinkPassword": _body(token=_TEXT, password=_TEXT),
    "StepUp": _body({"code": _TEXT, "passkey": _OBJECT}),
    "Passwords": _body(old=_TEXT, new=_TEXT),
    "Code": _body(code=_TEXT),
    "FactorName": _body(name=_SHORT),
    "TotpSecret": _answer(secret=_TEXT, address=_TEXT),
    "RecoveryCodes": _answer(recovery_codes={"type": "array", "items": _TEXT}),
    "Sessions": _answer(
        sessions={
            "type": "array",
            "items": _answer(
                id=_TEXT,
                method=_TEXT,
                address=_TEXT,
                created=_TIME,
                seen=_TIME,
                expires_at=_TIME,
                this={"type": "boolean", "description": "The one that asks."},
            ),
        }
    ),
    "Factors": _answer(
        factors={
            "type": "array",
            "items": _answer(
                id=_TEXT,
                kind={"enum": ["totp", "passkey"]},
                name=_TEXT,
                created=_TIME,
                used={"type": ["string", "null"], "format": "date-time"},
            ),
        },
        recovery_codes={"type": "integer", "description": "How many are left."},
    ),
    "Done": {"type": "object", "minProperties": 1},
    "Nothing": {"type": "object", "maxProperties": 0},
    "Person": _PERSON,
    "People": _answer(people={"type": "array", "items": _named("Person")}),
    "Invitation": _body(login=_SHORT, name=_SHORT, role=_ROLE),
    "AdministratorInvitation": _body(login=_SHORT, name=_SHORT),
    "PersonChange": _body({"name": _SHORT, "role": _ROLE, "state": {"enum": ["active", "suspended"]}}),
    "Link": _answer(link={"type": "string", "description": "Shown once; for that person alone."}),
    "Invited": _answer(person=_named("Person"), link=_TEXT),
    "Institution": _INSTITUTION,
    "Institutions": _answer(institutions={"type": "array", "items": _named("Institution")}),
    "NewInstitution": _body({"networks": _NETWORKS}, slug=_SHORT, name=_SHORT, region=_SHORT),
    "InstitutionChange": _body(
        {"name": _SHORT, "networks": _NETWORKS, "state": {"enum": ["active", "suspended", "closed"]}}
    ),
}


def _parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", **schema},
    }


PARAMETERS: Final[dict[str, Any]] = {
    "person": _parameter("person", "A person's id."),
    "institution": _parameter("institution", "Slug or id of an institution."),
    "session": _parameter("session", "A session's id.", format="uuid"),
    "factor": _parameter("factor", "A factor's id.", format="uuid"),
    "file": _parameter("file", "Name of a file of the sign-in page."),
}
