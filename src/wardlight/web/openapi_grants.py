"""Schemas of grants."""

from __future__ import annotations

from typing import Any, Final

_TIME: Final = {"type": "string", "format": "date-time"}
_TEXT: Final = {"type": "string"}

_GRANT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "purpose", "purposes", "not_before", "expires_at", "rights"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "application": {"type": ["string", "null"]},
        "person": {"type": ["string", "null"]},
        "study": {"type": ["string", "null"], "description": "Study Instance UID that its holder sees."},
        "images_study": {
            "type": ["string", "null"],
            "description": "Study Instance UID in Images; applications are not told.",
        },
        "level": _TEXT,
        "purpose": {"type": "string", "description": "Codes of HL7 v3 PurposeOfUse, with spaces between."},
        "purposes": {"type": "array", "items": _TEXT},
        "rights": {"type": "array", "items": {"enum": ["read", "results"]}},
        "agreement": {"type": "string"},
        "agreement_version": {"type": "integer"},
        "not_before": _TIME,
        "expires_at": _TIME,
        "created": _TIME,
        "created_by": _TEXT,
        "ended": {"type": ["string", "null"], "format": "date-time"},
        "ended_reason": {"type": ["string", "null"]},
    },
}

SCHEMAS: Final[dict[str, Any]] = {
    "Grant": _GRANT,
    "Ended": {
        "type": "object",
        "required": ["id", "ended"],
        "properties": {"id": {"type": "string"}, "ended": {"type": "boolean"}},
    },
    "Grants": {
        "type": "object",
        "required": ["grants"],
        "properties": {
            "grants": {"type": "array", "items": {"$ref": "#/components/schemas/Grant"}},
            "next": {"type": "string", "description": "`after` of the next page."},
        },
    },
}

PARAMETERS: Final[dict[str, Any]] = {
    "grant": {
        "name": "grant",
        "in": "path",
        "required": True,
        "description": "A grant's id.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
}
