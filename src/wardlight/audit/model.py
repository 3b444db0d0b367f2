"""What is said in one audit entry (audit.md section 1), before it gets its id, salt and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from wardlight.audit.actions import Action


class Outcome(StrEnum):
    """How it ended. unknown: the node was lost before the end; readers take it as everything was read."""

    SUCCESS = "success"
    DENIED = "denied"
    FAILED = "failed"
    PARTIAL = "partial"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: kind as in PrincipalKind, an opaque id, and the role acted in.

    address, request, token: from where, within which request, with which token, where the event does not say it itself.
    """

    kind: str
    id: str
    role: str = ""
    address: str = field(default="", repr=False)
    request: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What it was done to: `ref` (keyed) for patients, studies and series, `id` for what is no patient's."""

    kind: str
    id: str = ""
    ref: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One changed member of a configuration or right. A path of class secret has neither before nor after."""

    path: str
    before: str | int | None = None
    after: str | int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `subjects` are (patient reference, study reference), either may be empty."""

    action: Action
    actor: Actor
    outcome: Outcome = Outcome.SUCCESS
    target: Target | None = None
    subjects: tuple[tuple[str, str], ...] = ()
    phase: str = ""
    of: UUID | None = None
    behalf: Actor | None = None
    purpose: str = ""
    basis: str = ""
    agreement: tuple[str, int] | None = None
    grant: str = ""
    classes: tuple[str, ...] = ()
    reason: str = ""
    address: str = field(default="", repr=False)
    request: str = ""
    token: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    change: tuple[Change, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)


_READ: Final = {"series": list, "level": str}
_TOLD: Final = {"event": str, "kind": str, "application": str}
_GRANT: Final = {"application": str, "person": str, "purposes": list, "expires": str, "level": str}

_AGREED: Final = {
    "application": str, "levels": list, "purposes": list, "basis": str, "region": str, "transfer": str,
}  # fmt: skip

#: Members of `detail` that an action may have, with their type; any other member is refused.
DETAIL: Final[Mapping[Action, Mapping[str, type]]] = {
    Action.DICOMWEB_STUDY_QUERY: {"query": str, "level": str},
    Action.DICOMWEB_STUDY_READ: _READ,
    Action.DICOMWEB_METADATA_READ: _READ,
    Action.DICOMWEB_FRAME_READ: _READ,
    Action.DICOMWEB_RENDERED_READ: _READ,
    Action.DICOMWEB_THUMBNAIL_READ: _READ,
    Action.DICOMWEB_BULKDATA_READ: _READ,
    Action.DICOMWEB_STUDY_STORE: {"level": str, "application": str},
    Action.DICOMWEB_RESULT_STORE: {"level": str, "application": str},
    Action.ARCHIVE_STUDY_STORE: {"level": str, "application": str},
    Action.ARCHIVE_STUDY_COMPLETE: {"level": str, "application": str},
    Action.ARCHIVE_OBJECT_REPAIR: {"removed": str, "rebuilt": str},
    Action.INGEST_QUARANTINE_RELEASE: {"level": str, "findings": list},
    Action.INGEST_QUARANTINE_DISCARD: {"level": str},
    Action.ARCHIVE_STUDY_DELETE: {"deletion": str},
    Action.ARCHIVE_KEY_DESTROY: {"deletion": str},
    Action.ARCHIVE_KEY_REWRAP: {"epoch": int},
    Action.PLATFORM_BACKUP_CREATE: {"objects": bool, "keystore": bool},
    Action.PLATFORM_BACKUP_RESTORE: {"keystore": bool, "gap": bool, "lost": int},
    Action.IDENTITY_SESSION_LOGIN: {"method": str},
    Action.IDENTITY_FACTOR_ADD: {"factor": str},
    Action.IDENTITY_FACTOR_REMOVE: {"factor": str},
    Action.IDENTITY_PERSON_CREATE: {"name": str},
    Action.IDENTITY_PERSON_CHANGE: {"name": str},
    Action.IDENTITY_CONSENT_GIVE: {"scopes": list},
    Action.IDENTITY_TOKEN_ISSUE: {"kind": str, "scopes": list, "expires": str},
    Action.AGREEMENT_AGREEMENT_CREATE: _AGREED,
    Action.AGREEMENT_AGREEMENT_AMEND: _AGREED,
    Action.AGREEMENT_AGREEMENT_WITHDRAW: {"application": str, "versions": list},
    Action.AGREEMENT_AGREEMENT_EXPIRE: {"application": str, "versions": list},
    Action.CLASSIFY_RECORD_EXPORT: {"format": str, "kind": str},
    Action.MACHINE_DATA_STORE: {"class": str, "form": str, "detectors": list},
    Action.MACHINE_DATA_QUERY: {"query": str},
    Action.MACHINE_DATA_DELETE: {"class": str},
    Action.MACHINE_SUBSCRIPTION_CREATE: {"class": str},
    Action.MACHINE_SUBSCRIPTION_DELETE: {"class": str},
    Action.AGREEMENT_ENTITLEMENT_REQUEST: {"purposes": list, "level": str, "regions": list},
    Action.AGREEMENT_SOURCE_RECORD: {"kind": str, "basis": str, "anonymised": bool},
    Action.PLATFORM_INSTITUTION_CREATE: {"region": str},
    Action.PLATFORM_NODE_START: {"process": str, "version": str, "settings": str},
    Action.PLATFORM_NODE_STOP: {"process": str},
    Action.PLATFORM_CHECK_RUN: {"deep": bool, "repair": bool},
    Action.AUDIT_LOG_START: {"vkey": str},
    Action.AUDIT_LOG_CONTINUE: {"vkey": str, "origin": str, "size": int, "root": str},
    Action.AUDIT_LOG_ROTATE_KEY: {"vkey": str},
    Action.AUDIT_WITNESS_COSIGN: {"origin": str, "size": int},
    Action.AUDIT_WITNESS_FAIL: {"origin": str, "size": int},
    Action.AUDIT_ANCHOR_SEND: {"origin": str, "size": int},
    Action.AUDIT_ANCHOR_FAIL: {"origin": str, "size": int},
    Action.AUDIT_LOG_ALARM: {"origin": str, "size": int, "signed": int},
    Action.AUDIT_ENTRIES_PRUNE: {"before": str, "ranges": list, "count": int, "rule": str, "origin": str},
    Action.AUDIT_ENTRY_SEARCH: {"query": str},
    Action.AUDIT_PATIENT_SEARCH: {"query": str},
    Action.AUDIT_REPORT_CREATE: {"query": str, "format": str},
    Action.SUBJECT_REPORT_ACCESS: {"format": str, "names": bool},
    Action.AUDIT_ENTRY_EXPORT: {"format": str, "from": int, "to": int},
    Action.EVENTS_NOTIFICATION_SEND: _TOLD,
    Action.EVENTS_NOTIFICATION_DELIVER: _TOLD,
    Action.EVENTS_NOTIFICATION_FAIL: _TOLD,
    Action.EVENTS_NOTIFICATION_DEAD: _TOLD,
    Action.EVENTS_NOTIFICATION_REDELIVER: _TOLD,
    Action.EVENTS_NOTIFICATION_ACKNOWLEDGE: _TOLD,
    Action.NOTIFY_DEFINITION_CHANGE: {"application": str, "name": str, "version": int, "retired": bool},
    Action.NOTIFY_PREFERENCE_CHANGE: {"application": str, "name": str},
    Action.NOTIFY_MESSAGE_SEND: {"name": str, "version": int},
    Action.NOTIFY_MAIL_SEND: {"person": str, "digest": bool},
    Action.NOTIFY_MAIL_FAIL: {"person": str, "digest": bool},
    Action.ACCESS_DECISION_DENY: {"action": str, "status": int},
    Action.AUDIT_DEFINITION_CHANGE: {"codes": int, "params": int, "digest": str},
    # What an application claims, and what its grant was when it did.
    **{action: {"claim": dict, "grant": str} for action in Action if action.startswith("app:")},
    Action.ACCESS_STREAM_CUT: {"action": str},
    Action.ACCESS_RESULT_HANDOVER: {"application": str, "level": str},
    Action.ACCESS_GRANT_CREATE: _GRANT,
    Action.ACCESS_GRANT_SHARE: _GRANT,
    Action.ACCESS_GRANT_EXPIRE: _GRANT,
    Action.ACCESS_GRANT_REVOKE: _GRANT,
    Action.ACCESS_URL_CREATE: {"expires": str, "what": str, "link": str},
}
