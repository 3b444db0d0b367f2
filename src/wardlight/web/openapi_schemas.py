"""Schemas of the OpenAPI document: the DICOM JSON Model (PS3.18 Annex F), problems, parameters of paths."""

from __future__ import annotations

from typing import Any, Final

from wardlight.dicom.vr import ALL_VRS
from wardlight.errors import CATALOGUE

_NAME: Final = {
    "type": "object",
    "properties": {
        "Alphabetic": {"type": "string"},
        "Ideographic": {"type": "string"},
        "Phonetic": {"type": "string"},
    },
    "additionalProperties": False,
}

SCHEMAS: Final[dict[str, Any]] = {
    "PersonName": _NAME,
    "Attribute": {
        "type": "object",
        "description": "One attribute (PS3.18 section F.2.2).",
        "properties": {
            "vr": {"type": "string", "enum": sorted(vr.decode("ascii") for vr in ALL_VRS)},
            "Value": {
                "type": "array",
                "items": {
                    "anyOf": [
                        {"type": ["string", "number", "null"]},
                        {"$ref": "#/components/schemas/PersonName"},
                        {"$ref": "#/components/schemas/DataSet"},
                    ]
                },
            },
            "BulkDataURI": {"type": "string", "format": "uri"},
            "InlineBinary": {"type": "string", "contentEncoding": "base64"},
        },
        "required": ["vr"],
        "additionalProperties": False,
    },
    "DataSet": {
        "type": "object",
        "description": "A data set in the DICOM JSON Model, by tag (PS3.18 section F.2.1).",
        "patternProperties": {"^[0-9A-F]{8}$": {"$ref": "#/components/schemas/Attribute"}},
        "additionalProperties": False,
    },
    "DataSets": {"type": "array", "items": {"$ref": "#/components/schemas/DataSet"}},
    "Problem": {
        "type": "object",
        "description": "A failure (RFC 9457).",
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "enum": sorted(CATALOGUE)},
            "request": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "detail": {"type": "string"},
            "reason": {"type": "string"},
        },
        "required": ["type", "title", "status", "code", "request"],
        "additionalProperties": False,
    },
    "Health": {
        "type": "object",
        "properties": {
            "status": {"enum": ["ok", "failed"]},
            "checks": {"type": "object", "additionalProperties": {"enum": ["ok", "failed"]}},
        },
        "required": ["status"],
        "additionalProperties": False,
    },
    "CapabilitiesResource": {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "methods": {"type": "array", "items": {"type": "object"}},
            "resources": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/CapabilitiesResource"},
            },
        },
        "required": ["path", "methods", "resources"],
    },
    "Capabilities": {
        "type": "object",
        "properties": {
            "base": {"type": "string", "format": "uri"},
            "resources": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/CapabilitiesResource"},
            },
        },
        "required": ["base", "resources"],
        "additionalProperties": False,
    },
    "OpenApi": {"type": "object", "required": ["openapi", "info", "paths"]},
}


def in_path(name: str, description: str, pattern: str) -> dict[str, Any]:
    """A parameter of a path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "pattern": pattern},
    }


_UID: Final = "^[0-9.]{1,64}$"
PATH_PARAMETERS: Final = {
    "study": in_path("study", "Study Instance UID.", _UID),
    "series": in_path("series", "Series Instance UID.", _UID),
    "instance": in_path("instance", "SOP Instance UID.", _UID),
    "frames": in_path(
        "frames", "Frame numbers from 1, joined by commas.", "^[1-9][0-9]{0,5}(,[1-9][0-9]{0,5})*$"
    ),
    "tags": in_path(
        "tags",
        "Tags, with item numbers from 0 between, joined by slashes, which may be sent as they are.",
        "^([0-9A-F]{8}/[0-9]{1,6}/)*[0-9A-F]{8}$",
    ),
}
