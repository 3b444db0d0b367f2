"""Schemas of the OpenAPI document for the audit trail's routes."""

from __future__ import annotations

from typing import Any, Final

from wardlight.agreements.purposes import PURPOSES
from wardlight.audit.actions import Action
from wardlight.audit.tables import OUTCOMES
from wardlight.trail.application_entries import MAX_ENTRIES
from wardlight.trail.filters import GROUPS
from wardlight.trail.service import MAX_IDENTIFIERS, MAX_LIMIT
from wardlight.web.openapi_schemas import in_path

_COUNT: Final = {"type": "integer", "minimum": 0}
_HASH: Final = {"type": "string", "contentEncoding": "base64", "minLength": 44, "maxLength": 44}
_DAY: Final = {"type": "string", "format": "date"}
_CODE: Final = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}
_CODES: Final = {"type": "array", "items": _CODE, "maxItems": 64}
_TEXTS: Final = {"type": "array", "items": {"type": "string"}, "maxItems": 100}


def _record(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_LOG: Final = {"origin": {"type": "string"}, "generation": {"type": "integer", "minimum": 1}, "size": _COUNT}

TRAIL_SCHEMAS: Final[dict[str, Any]] = {
    "AuditEntry": {
        "type": "object",
        "description": "One entry. Its canonical form (RFC 8785) are the bytes of the log's leaf.",
        "properties": {
            "v": {"const": 1},
            "id": {"type": "string", "format": "uuid"},
            "salt": {"type": "string"},
            "log": {"type": "string"},
            "recorded": {"type": "string", "format": "date-time"},
            "node": {"type": "string"},
            "source": {"enum": ["platform", "receiver", "application"]},
            "action": {"enum": sorted(Action)},
            "actor": {"type": "object"},
            "outcome": {"enum": list(OUTCOMES)},
        },
        "required": [
            "v", "id", "salt", "log", "recorded", "node", "source", "action", "actor", "outcome",
        ],
    },
    "AuditLog": _record(_LOG),
    "AuditPage": _record(
        {
            "log": _reference("AuditLog"),
            "sealing": {"type": "array", "items": _reference("AuditEntry")},
            "entries": {
                "type": "array",
                "items": {
                    "anyOf": [
                        _record({"index": _COUNT, "leaf": _HASH, "entry": _reference("AuditEntry")}),
                        _record({"index": _COUNT, "pruned": {"const": True}}),
                    ]
                },
                "maxItems": MAX_LIMIT,
            },
            "actors": {"type": "object", "additionalProperties": {"type": "string"}},
            "next": {"type": ["string", "null"]},
        }
    ),
    "AuditClaims": _record(
        {
            "entries": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_ENTRIES,
                "items": _record(
                    {
                        "id": {"type": "string", "format": "uuid"},
                        "action": {"enum": sorted(action for action in Action if action.startswith("app:"))},
                        "time": {"type": "string", "pattern": r"^[0-9TZ:.-]{24}$"},
                    },
                    grant={"type": "string", "pattern": "^[0-9a-f]{32}$"},
                    study={"type": "string", "maxLength": 64},
                    user={
                        "anyOf": [
                            _record({"id": {"type": "string", "maxLength": 32}}),
                            _record({"local": {"type": "string", "maxLength": 32}}),
                        ]
                    },
                    purpose={"enum": sorted(PURPOSES)},
                    outcome={"enum": list(OUTCOMES)},
                    reason=_CODE,
                    code=_CODE,
                    params={"type": "object", "maxProperties": 16},
                ),
            }
        }
    ),
    "AuditOutcomes": _record(
        {
            "entries": {
                "type": "array",
                "items": _record(
                    {"status": {"enum": ["recorded", "duplicate", "refused"]}},
                    id={"type": "string", "maxLength": 36},
                    entry={"type": "string", "format": "uuid"},
                    error=_record({"code": {"type": "string"}, "detail": {"type": "string"}}),
                ),
            }
        }
    ),
    "AuditDefinition": _record(
        {},
        codes=_CODES,
        params={
            "type": "object",
            "maxProperties": 16,
            "additionalProperties": {"anyOf": [{"enum": ["integer", "boolean"]}, _CODES]},
        },
    ),
    "AuditSearch": _record(
        {},
        patients={
            "type": "array",
            "items": _record({"id": {"type": "string", "maxLength": 64}}, issuer={"type": "string", "maxLength": 64}),
            "maxItems": MAX_IDENTIFIERS,
        },
        studies={
            "type": "array",
            "items": {"type": "string", "pattern": "^[0-9.]{1,64}$"},
            "maxItems": MAX_IDENTIFIERS,
        },
        **{"from": {"type": "string"}},
        to={"type": "string"},
        action=_TEXTS,
        group={"type": "array", "items": {"enum": list(GROUPS)}},
        actor={"type": "string"},
        outcome={"type": "array", "items": {"enum": list(OUTCOMES)}},
        subject=_TEXTS,
        object={"type": "string"},
        purpose={"type": "string"},
        grant={"type": "string"},
        generation={"type": "integer", "minimum": 1},
        limit={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
        cursor={"type": "string"},
    ),
    "AuditAggregates": _record(
        {"log": _reference("AuditLog"), "from": _DAY, "to": _DAY},
        days={
            "type": "array",
            "items": _record(
                {"day": _DAY, "hours": {"type": "array", "items": _COUNT, "minItems": 24, "maxItems": 24}}
            ),
        },
        kinds={
            "type": "array",
            "items": _record(
                {
                    "group": {"enum": list(GROUPS)},
                    "actor_kind": {"type": "string"},
                    "outcome": {"enum": list(OUTCOMES)},
                    "entries": _COUNT,
                }
            ),
        },
        groups={"type": "array", "items": {"enum": list(GROUPS)}},
        flows={
            "type": "array",
            "items": _record(
                {
                    "direction": {"enum": ["in", "out"]},
                    "source": {"type": "string"},
                    "purpose": {"type": "string"},
                    "application": {"type": "string"},
                    "entries": _COUNT,
                    "instances": _COUNT,
                }
            ),
        },
        complete={"type": "boolean"},
    ),
    "AuditLogs": _record(
        {
            "logs": {
                "type": "array",
                "items": _record({**_LOG, "halted": _COUNT, "vkeys": {"type": "array", "items": {"type": "string"}}}),
            },
            "witnesses": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Verifier keys of those who cosign its heads now.",
            },
        }
    ),
    "AuditProof": _record(
        {"log": _reference("AuditLog"), "proof": {"type": "array", "items": _HASH, "maxItems": 64}},
        index=_COUNT,
        size=_COUNT,
        leaf=_HASH,
        **{"from": _COUNT},
        to=_COUNT,
    ),
}  # fmt: skip

TRAIL_PARAMETERS: Final = {
    "level": in_path("level", "Level of the tile.", "^([0-9]|[1-5][0-9]|6[0-3])$"),
    "tile": in_path(
        "tile",
        "Number of the tile, with `.p/` and its width where it is not full; also as C2SP writes it.",
        r"^((x[0-9]{3}/){0,5}[0-9]{3}|[0-9]{1,16})(\.p/[1-9][0-9]{0,2})?$",
    ),
}
