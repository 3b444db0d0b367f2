"""Schemas of agreements, entitlements, subscriptions and sources."""

from __future__ import annotations

from typing import Any, Final

from wardlight.agreements.legal import CLASSES
from wardlight.agreements.model import Level, SourceKind
from wardlight.agreements.purposes import PURPOSES
from wardlight.classification.regions import TRANSFERS

_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Final = {"type": ["string", "null"], "format": "date-time"}
_LEVEL: Final = {"enum": [level.value for level in Level]}
_CLASS: Final = {"enum": [one.value for one in CLASSES]}
_CODE: Final = {"enum": list(PURPOSES)}
_ID: Final = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_PURPOSES: Final = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["code", "dpv"],
        "properties": {
            "code": _TEXT,
            "dpv": {"type": "string", "description": "IRI of the term in W3C DPV."},
        },
    },
}


def _list(of: Any) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "properties": properties}


def _rows(name: str, of: str) -> dict[str, Any]:
    return _object(name, **{name: _list({"$ref": f"#/components/schemas/{of}"})})


_AGREEMENT: Final = _object(
    "id application version state levels legal_basis purposes classes region transfer access_s attested_by attested "
    "document",
    id=_TEXT,
    application=_TEXT,
    version={"type": "integer"},
    state={"enum": ["in-force", "superseded", "withdrawn", "over"]},
    levels=_list(_LEVEL),
    legal_basis={"type": "string", "examples": ["gdpr:6.1.e+9.2.h", "hipaa:tpo"]},
    purposes=_PURPOSES,
    classes=_list(_CLASS),
    region=_TEXT,
    transfer={"enum": ["", *TRANSFERS], "description": "On what a transfer to another region rests."},
    access_s={"type": "integer", "description": "How long access to a study lasts, in seconds."},
    retention_days={"type": ["integer", "null"]},
    attested_by=_TEXT,
    attested=_TIME,
    document=_TEXT,
    source={"type": ["string", "null"]},
    results_of=_list(_TEXT),
    ends=_MAYBE_TIME,
    created=_TIME,
    withdrawn=_MAYBE_TIME,
    withdrawn_by=_TEXT,
    changes=_list(_object("member", member=_TEXT, before={}, after={})),
)

SCHEMAS: Final[dict[str, Any]] = {
    "Agreement": _AGREEMENT,
    "Agreements": _rows("agreements", "Agreement"),
    "AgreementVersions": _object(
        "application id versions",
        application=_TEXT,
        id=_TEXT,
        versions=_list({"$ref": "#/components/schemas/Agreement"}),
    ),
    "AgreementTerms": _object(
        "attested_by document",
        levels=_list(_LEVEL),
        minimum_level={
            **_LEVEL,
            "description": "This level and those that are stricter; in place of levels.",
        },
        legal_basis=_TEXT,
        purposes=_list(_CODE),
        attested_by={"type": "string", "minLength": 1, "maxLength": 200},
        document={"type": "string", "minLength": 1, "maxLength": 500},
        attested=_MAYBE_TIME,
        classes=_list(_CLASS),
        region=_TEXT,
        transfer={"enum": ["", *TRANSFERS]},
        access_s={"type": ["integer", "null"], "minimum": 60},
        retention_days={"type": ["integer", "null"], "minimum": 1},
        source={"type": ["string", "null"]},
        results_of=_list(_TEXT),
        ends=_MAYBE_TIME,
        of_version={
            "type": "integer",
            "description": "The version that is amended; 409 if it is not the newest.",
        },
    ),
    "Withdrawn": _object("agreement withdrawn", agreement=_TEXT, withdrawn=_list({"type": "integer"})),
    "AgreedTargets": _object(
        "targets",
        targets=_list(_object("application level reason", application=_TEXT, level=_LEVEL, reason=_TEXT)),
    ),
    "Entitled": _object(
        "entitled reasons application purpose level",
        entitled={"type": "boolean"},
        reasons=_list(_TEXT),
        application=_TEXT,
        purpose=_TEXT,
        level=_LEVEL,
        agreement={"type": ["object", "null"]},
    ),
    "Entitlement": _object(
        "application version purposes classes level regions declared_by document created",
        application=_TEXT,
        version={"type": "integer"},
        purposes=_PURPOSES,
        classes=_list(_CLASS),
        level=_LEVEL,
        regions=_list(_TEXT),
        declared_by=_TEXT,
        document=_TEXT,
        created=_TIME,
    ),
    "Entitlements": _rows("entitlements", "Entitlement"),
    "EntitlementRequest": _object(
        "purposes level regions declared_by document",
        purposes=_list(_CODE),
        level=_LEVEL,
        regions=_list(_TEXT),
        classes=_list(_CLASS),
        declared_by={"type": "string", "minLength": 1, "maxLength": 200},
        document={"type": "string", "minLength": 1, "maxLength": 500},
    ),
    "Nothing": {"type": "object", "additionalProperties": False},
    "Subscription": _object(
        "application active created",
        application=_TEXT,
        active={"type": "boolean"},
        created=_TIME,
        ended=_MAYBE_TIME,
    ),
    "Subscriptions": _rows("subscriptions", "Subscription"),
    "Source": _object(
        "id kind name legal_basis attested_by document anonymised evidence created",
        id=_ID,
        kind={"enum": [kind.value for kind in SourceKind]},
        name=_TEXT,
        legal_basis=_TEXT,
        attested_by=_TEXT,
        document=_TEXT,
        anonymised={"type": "boolean"},
        evidence=_TEXT,
        created=_TIME,
        created_by=_TEXT,
    ),
    "Sources": _rows("sources", "Source"),
    "SourceRecord": _object(
        "kind name legal_basis attested_by document",
        kind={"enum": [kind.value for kind in SourceKind]},
        name={"type": "string", "minLength": 1, "maxLength": 200},
        legal_basis=_TEXT,
        attested_by={"type": "string", "minLength": 1, "maxLength": 200},
        document={"type": "string", "minLength": 1, "maxLength": 500},
        anonymised={"type": "boolean"},
        evidence={"type": "string", "maxLength": 500},
    ),
}

PARAMETERS: Final[dict[str, Any]] = {
    "application": {
        "name": "application",
        "in": "path",
        "required": True,
        "description": "An application's id.",
        "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"},
    },
}
