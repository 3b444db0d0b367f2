"""Schemas of deletions."""

from __future__ import annotations

from typing import Any, Final

_TIME: Final = {"type": "string", "format": "date-time"}
_MAYBE: Final = {"type": ["string", "null"], "format": "date-time"}
_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_ID: Final = {"type": "string", "pattern": "^[0-9a-f]{32}$"}

_RELEASE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["study", "application", "level", "key", "instances", "bytes", "objects"],
    "properties": {
        "study": {"type": ["string", "null"], "description": "As the audit trail refers to the study."},
        "application": _TEXT,
        "level": _TEXT,
        "key": {"type": "string", "description": "Id of the key that was destroyed."},
        "instances": _COUNT,
        "bytes": _COUNT,
        "objects": _COUNT,
    },
}
_DELETION: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "institution", "state", "deleted_by", "access_ended_at", "releases", "applications"],
    "properties": {
        "id": _ID,
        "institution": _TEXT,
        "state": {"enum": ["ended", "unlisted", "shredded", "removed"]},
        "deleted_by": {
            "type": "object",
            "properties": {"kind": _TEXT, "id": _TEXT, "role": {"type": ["string", "null"]}},
        },
        "access_ended_at": _TIME,
        "key_destroyed_at": _MAYBE,
        "objects_removed_at": _MAYBE,
        "backups_unreadable_since": _MAYBE,
        "allowed_again_at": _MAYBE,
        "releases": {"type": "array", "items": _RELEASE},
        "totals": {"type": "object", "properties": dict.fromkeys(("instances", "bytes", "objects"), _COUNT)},
        "applications": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["application", "event", "acknowledged_at"],
                "properties": {"application": _TEXT, "event": _TEXT, "acknowledged_at": _MAYBE},
            },
        },
    },
}

SCHEMAS: Final[dict[str, Any]] = {
    "Deletion": _DELETION,
    "DeletionNothing": {"type": "object", "description": "Nothing needs to be said: `{}`."},
    "DeletionBegun": {
        "type": "object",
        "required": ["id", "state", "access_ended_at", "receipt"],
        "properties": {"id": _ID, "state": _TEXT, "access_ended_at": _TIME, "receipt": _TEXT},
    },
    "Deletions": {
        "type": "object",
        "required": ["deletions"],
        "properties": {
            "deletions": {"type": "array", "items": {"$ref": "#/components/schemas/Deletion"}},
            "next": {"type": "string", "description": "`after` of the next page."},
        },
    },
    "DeletionReceipt": {
        "type": "object",
        "required": ["format", "receipt", "signature"],
        "properties": {
            "format": {"const": "wardlight-receipt/1"},
            "receipt": {"$ref": "#/components/schemas/Deletion"},
            "signature": {"type": "string", "description": "A signature line of the audit log's key."},
        },
    },
    "DeletionAllowed": {
        "type": "object",
        "required": ["id", "allowed_again_at"],
        "properties": {"id": _ID, "allowed_again_at": _TIME},
    },
    "DeletionAcknowledged": {
        "type": "object",
        "required": ["id", "acknowledged"],
        "properties": {"id": _ID, "acknowledged": {"type": "boolean"}},
    },
}

PARAMETERS: Final[dict[str, Any]] = {
    "deletion": {
        "name": "deletion",
        "in": "path",
        "required": True,
        "description": "A deletion's id.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
}
