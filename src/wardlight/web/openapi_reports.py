"""Schemas of the OpenAPI document for the reports from the audit trail."""

from __future__ import annotations

from typing import Any, Final

from wardlight.trail.service import MAX_IDENTIFIERS

_TIME: Final = {"type": "string", "description": "A day, or a time with its zone (RFC 3339)."}
_ZONE: Final = {
    "type": "string",
    "description": "Zone in which times are told, such as Europe/Berlin; UTC without it.",
}
_SHORT: Final = {"type": "string", "maxLength": 64}

REPORT_SCHEMAS: Final[dict[str, Any]] = {
    "AccessReportRequest": {
        "type": "object",
        "properties": {
            "patients": {
                "description": "The identifiers and pseudonyms of one patient.",
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"id": _SHORT, "issuer": _SHORT},
                    "required": ["id"],
                    "additionalProperties": False,
                },
                "minItems": 1,
                "maxItems": MAX_IDENTIFIERS,
            },
            "from": _TIME,
            "to": _TIME,
            "names": {"type": "boolean", "description": "Whether staff is named; without it roles are."},
            "timezone": _ZONE,
        },
        "required": ["patients"],
        "additionalProperties": False,
    },
    "BreachReportRequest": {
        "type": "object",
        "description": "What the incident is known by; everything that is named must hold.",
        "properties": {
            "from": _TIME,
            "to": _TIME,
            "actor": {"type": "string", "description": "Who acted, or for whom, as `kind:id`."},
            "application": _SHORT,
            "token": {"type": "string", "description": "As entries name the token, never the token itself."},
            "address": {"type": "string", "maxLength": 45},
            "studies": {
                "type": "array",
                "items": {"type": "string", "pattern": "^[0-9.]{1,64}$"},
                "minItems": 1,
                "maxItems": MAX_IDENTIFIERS,
            },
            "aware": {
                **_TIME,
                "description": "When the institution became aware; the deadlines count from it.",
            },
            "timezone": _ZONE,
        },
        "minProperties": 1,
        "additionalProperties": False,
    },
    "AuditReport": {
        "type": "object",
        "description": "A report as JSON, with codes and words.",
        "properties": {
            "report": {"enum": ["access", "breach"]},
            "version": {"const": 1},
            "institution": {"type": "object"},
            "created": {"type": "string", "format": "date-time"},
            "checkpoints": {"type": "array", "items": {"type": "object"}},
            "pruned": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["report", "version", "institution", "created", "checkpoints", "pruned"],
    },
}
