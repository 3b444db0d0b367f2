"""Routes of the audit trail for people and witnesses, and what they say of themselves (docs/reference/audit-api.md)."""

from __future__ import annotations

from typing import Any, Final

from wardlight.access.model import PrincipalKind, TokenScope
from wardlight.audit.actions import Action
from wardlight.trail import api, bundle_api
from wardlight.trail.service import MAX_LIMIT, USUAL_LIMIT
from wardlight.web.about import JSON, About, Parameter
from wardlight.web.routes import Api

ROOT: Final = "/api/v1/audit"
_LOG: Final = f"{ROOT}/log"

PEOPLE: Final = frozenset({PrincipalKind.PERSON})
WITNESSES: Final = frozenset({PrincipalKind.PERSON, PrincipalKind.RECEIVER})
READ: Final = frozenset({TokenScope.AUDIT_READ})
WITNESS: Final = frozenset({TokenScope.AUDIT_READ, TokenScope.RECEIVER_AUDIT})


def _text(name: str, description: str) -> Parameter:
    return Parameter(name, description, {"type": "string"})


def _number(name: str, description: str, **limits: Any) -> Parameter:
    return Parameter(name, description, {"type": "integer", "minimum": 0, **limits})


_GENERATION: Final = _number("generation", "Which generation of the log; the newest without it.", minimum=1)
_FROM: Final = _text("from", "A day, or a time with its zone (RFC 3339): recorded then or later.")
_TO: Final = _text("to", "A day, or a time with its zone: recorded before it.")
_ACTION: Final = _text("action", "Actions as they stand in entries, with commas.")
_GROUP: Final = _text("group", "Groups of actions, with commas, such as `read` or `denial`.")
_OUTCOME: Final = _text("outcome", "success, partial, unknown, denied, failed; several with commas.")

_ENTRIES: Final = About(
    "Read Audit Trail",
    "Entries of the institution's trail, newest first; of clinicians and researchers their own.",
    (JSON,),
    query=(
        _FROM,
        _TO,
        _ACTION,
        _GROUP,
        _text("actor", "Who did it, as `kind:id`."),
        _OUTCOME,
        _text("subject", "Keyed references of patients, studies or series, with commas."),
        _text("object", "What it was done to, as `kind:id`."),
        _text("purpose", "A code of HL7 v3 PurposeOfUse."),
        _text("grant", "The grant that it rested on."),
        _number("limit", f"Most entries, {USUAL_LIMIT} without it.", minimum=1, maximum=MAX_LIMIT),
        _text("cursor", "`next` of the page before."),
        _GENERATION,
    ),
    schema="AuditPage",
)
_SEARCH: Final = About(
    "Search Audit Trail",
    "Entries that speak of patients or studies, who are named in the body.",
    (JSON,),
    consumes=(JSON,),
    errors=(415,),
    schema="AuditPage",
    takes="AuditSearch",
)
_AGGREGATES: Final = About(
    "Audit Aggregates",
    "How many entries, by day and hour, group of actions, kind of actor and outcome; or flows of data.",
    (JSON,),
    query=(
        _text("from", "The first day."),
        _text("to", "The day after the last one."),
        _ACTION,
        _GROUP,
        _text("actor_kind", "person, receiver, application, operator, system or anonymous."),
        _OUTCOME,
        Parameter("flows", "Flows of data instead of counters.", {"type": "boolean"}),
        _GENERATION,
    ),
    schema="AuditAggregates",
)
_LOGS: Final = About(
    "Audit Logs", "The generations of the institution's log and their keys.", (JSON,), schema="AuditLogs"
)
_CHECKPOINT: Final = About(
    "Audit Checkpoint",
    "A signed head of the log with its cosignatures (C2SP tlog-checkpoint).",
    ("text/plain",),
    query=(_number("size", "The head of this size; the newest without it."), _GENERATION),
)
_TILE: Final = About(
    "Audit Tile",
    "Hashes of the log (C2SP tlog-tiles).",
    ("application/octet-stream",),
    statuses=(200, 206, 304),
    errors=(412, 416),
    query=(_GENERATION,),
)
_ENTRY_TILE: Final = About(
    "Audit Entry Bundle",
    "The entries below a tile, each after its length (C2SP tlog-tiles).",
    ("application/octet-stream",),
    query=(_GENERATION,),
)
_EXPORT: Final = About(
    "Audit Bundle",
    "Entries with all that it takes to verify them offline: a bundle `wardlight-audit/1`.",
    tuple(form.media_type for form in bundle_api.FORMS.values()),
    query=(
        _number("from", "Position of the first entry, 0 without it."),
        _number("to", "Position after the last one; the newest signed size without it."),
        _text("format", "`csv`, `fhir` or `dicom` instead of the bundle; only that can be verified."),
        _GENERATION,
    ),
)
_INCLUSION: Final = About(
    "Audit Inclusion Proof",
    "Hashes by which an entry is found to be in a head (RFC 9162).",
    (JSON,),
    query=(
        _number("index", "Position of the entry."),
        _number("size", "Size of the head; that of the log without it."),
        _GENERATION,
    ),
    schema="AuditProof",
)
_CONSISTENCY: Final = About(
    "Audit Consistency Proof",
    "Hashes by which a head is found to extend an earlier one (RFC 9162).",
    (JSON,),
    query=(
        _number("from", "Size of the earlier head."),
        _number("to", "Size of the later head; that of the log without it."),
        _GENERATION,
    ),
    schema="AuditProof",
)

_SEEN: Final = Action.AUDIT_LOG_READ

READING: Final = (
    Api(
        f"{ROOT}/entries",
        api.entries,
        Action.AUDIT_ENTRY_READ,
        PEOPLE,
        READ,
        _ENTRIES,
        beside=(Action.AUDIT_ENTRY_SEARCH,),
    ),
    Api(f"{ROOT}/search", api.search, Action.AUDIT_PATIENT_SEARCH, PEOPLE, READ, _SEARCH, method="POST"),
    Api(f"{ROOT}/aggregates", api.aggregates, Action.AUDIT_REPORT_CREATE, PEOPLE, READ, _AGGREGATES),
    Api(f"{ROOT}/export", bundle_api.export, Action.AUDIT_ENTRY_EXPORT, PEOPLE, READ, _EXPORT),
    Api(f"{ROOT}/logs", api.logs, _SEEN, WITNESSES, WITNESS, _LOGS),
    Api(f"{_LOG}/checkpoint", api.checkpoint, _SEEN, WITNESSES, WITNESS, _CHECKPOINT),
    Api(
        f"{_LOG}/tile/entries/{{tile:path}}",
        api.entry_tile,
        Action.AUDIT_ENTRY_EXPORT,
        PEOPLE,
        READ,
        _ENTRY_TILE,
    ),
    Api(f"{_LOG}/tile/{{level}}/{{tile:path}}", api.tile, _SEEN, WITNESSES, WITNESS, _TILE),
    Api(f"{_LOG}/proof/inclusion", api.inclusion, _SEEN, WITNESSES, WITNESS, _INCLUSION),
    Api(f"{_LOG}/proof/consistency", api.consistency, _SEEN, WITNESSES, WITNESS, _CONSISTENCY),
)
