"""Schemas of uploads by people."""

from __future__ import annotations

from typing import Any, Final

_TIME: Final = {"type": "string", "format": "date-time"}
_ID: Final = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_LEVEL: Final = {"enum": ["high", "medium", "low", "identified"]}

SCHEMAS: Final[dict[str, Any]] = {
    "UploadTerms": {
        "type": "object",
        "required": ["levels", "agreement", "file_bytes", "files", "hours"],
        "properties": {
            "levels": {
                "type": "array",
                "items": _LEVEL,
                "description": "Levels that are agreed, strictest first: the first is the usual one.",
            },
            "agreement": {
                "type": "object",
                "required": ["id", "version"],
                "properties": {"id": {"type": "string"}, "version": _COUNT},
            },
            "file_bytes": {**_COUNT, "description": "Largest upload, in bytes."},
            "files": {**_COUNT, "description": "Most files of one upload."},
            "hours": {"type": "number", "description": "An upload ends so long after its last byte."},
        },
    },
    "Upload": {
        "type": "object",
        "required": ["id", "state", "level", "length", "offset", "files", "results", "expires", "finished"],
        "properties": {
            "id": _ID,
            "state": {"enum": ["open", "received", "done"]},
            "level": _LEVEL,
            "length": _COUNT,
            "offset": {**_COUNT, "description": "Bytes that are durable."},
            "files": _COUNT,
            "results": {
                "type": "array",
                "description": "What became of the first files, in order; of all where it is finished.",
                "items": {
                    "type": "object",
                    "required": ["result", "reason"],
                    "properties": {
                        "result": {"enum": ["stored", "duplicate", "refused", "quarantined"]},
                        "reason": {"type": ["string", "null"], "description": "A code."},
                    },
                },
            },
            "created": _TIME,
            "expires": _TIME,
            "finished": {"type": "boolean"},
        },
    },
}

PARAMETERS: Final[dict[str, Any]] = {
    "upload": {
        "name": "upload",
        "in": "path",
        "required": True,
        "description": "Id of an upload, as its address has it.",
        "schema": _ID,
    },
}
