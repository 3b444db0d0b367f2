"""Schemas of what protection holds back of uploads."""

from __future__ import annotations

from typing import Any, Final

_TIME: Final = {"type": "string", "format": "date-time"}
_ID: Final = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_COUNT: Final = {"type": "integer", "minimum": 0}

_FILE: Final = {
    "type": "object",
    "required": [
        "id", "state", "level", "sop_class", "bytes", "upload", "file", "sent_by", "own", "reasons", "findings",
        "created", "expires", "tried", "picture",
    ],
    "properties": {
        "id": _ID,
        "state": {"enum": ["held", "queued"], "description": "queued: protection is being tried again."},
        "level": {"enum": ["high", "medium", "low"], "description": "The level that was asked for."},
        "sop_class": {"type": ["string", "null"], "description": "Where it is one of the standard."},
        "bytes": _COUNT,
        "upload": {**_ID, "description": "The upload that it came with."},
        "file": {"type": "integer", "minimum": 1, "description": "Which file of that upload it was."},
        "sent_by": {"type": "string", "description": "Id of the person."},
        "own": {"type": "boolean", "description": "Whether that is who asks."},
        "reasons": {
            "type": "array",
            "description": "Why it is held: what was found where, never a value.",
            "items": {
                "type": "object",
                "required": ["code", "tags"],
                "properties": {
                    "code": {"type": "string"},
                    "tags": {
                        "type": "array",
                        "description": "The path to the element: sequences first.",
                        "items": {"type": "string", "pattern": "^[0-9A-F]{8}$"},
                    },
                },
            },
        },
        "findings": {
            "type": "array",
            "description": "What may be called a false alarm, as `release` takes it; empty where nothing may be.",
            "items": {"type": "string"},
        },
        "created": _TIME,
        "expires": {**_TIME, "description": "Then it is deleted."},
        "tried": {"type": ["string", "null"], "format": "date-time", "description": "Last tried again."},
        "picture": {"type": "boolean", "description": "Whether who asks may see a picture of it."},
    },
}  # fmt: skip

SCHEMAS: Final[dict[str, Any]] = {
    "Quarantine": {
        "type": "object",
        "required": ["files"],
        "properties": {
            "files": {"type": "array", "items": {"$ref": "#/components/schemas/QuarantinedFile"}},
            "next": {"type": "string", "description": "Where the next page begins; absent on the last."},
        },
    },
    "QuarantinedFile": _FILE,
    "QuarantineNothing": {"type": "object", "additionalProperties": False},
    "QuarantineRelease": {
        "type": "object",
        "required": ["why", "findings"],
        "additionalProperties": False,
        "properties": {
            "why": {
                "enum": ["names-nobody", "device", "checked"],
                "description": "names-nobody: the words name no person; device: a name of a device or a place; "
                "checked: looked up with those who know the patient.",
            },
            "findings": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string"},
                "description": "All of `findings`, as the person has seen them.",
            },
        },
    },
}

PARAMETERS: Final[dict[str, Any]] = {
    "held": {
        "name": "held",
        "in": "path",
        "required": True,
        "description": "Id of a file that is held back.",
        "schema": _ID,
    },
}
