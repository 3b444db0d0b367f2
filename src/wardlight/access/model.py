"""Scopes: proof that a decision was made for one request, without which no read function works."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

from wardlight.audit.actions import Action
from wardlight.errors import WardlightError
from wardlight.identity.model import Principal, PrincipalKind, Role, TokenScope

__all__ = ["Operation", "Principal", "PrincipalKind", "Role", "Scope", "SystemScope", "TokenScope"]


class Operation(StrEnum):
    """What a scope allows. METADATA is contained in RETRIEVE, SEARCH in both; AUDIT_OWN and AUDIT_LOG in AUDIT.

    AUDIT_OWN: entries of one's own actions. AUDIT_LOG: hashes and signed heads, no entry. AUDIT_SEND: a receiver's own
    entries and cosignatures. OWN: one's own account and sessions. CONFIGURATION: to read agreements, people, receivers;
    CONFIGURE: to change them. GRANTS: who can see what; REVOKE: to end that. ENTITLEMENT: whether an application may
    ask. PLATFORM: institutions and applications, for operators. RESULTS, UPLOAD, ENTRIES, FEED, WEBHOOKS, NOTIFY:
    what applications do. COLLECT: what is queued for one receiver. CLASSIFY: to have something looked
    at that is not kept. MACHINE_SEND: to bring machine data; MACHINE: to search it, and to end it.
    """

    SEARCH = "search"
    METADATA = "metadata"
    RETRIEVE = "retrieve"
    STORE = "store"
    AUDIT = "audit"
    AUDIT_OWN = "audit-own"
    AUDIT_LOG = "audit-log"
    AUDIT_SEND = "audit-send"
    OWN = "own"
    CONFIGURATION = "configuration"
    CONFIGURE = "configure"
    SHARE = "share"
    DELETE = "delete"
    GRANTS = "grants"
    REVOKE = "revoke"
    ENTITLEMENT = "entitlement"
    PLATFORM = "platform"
    RESULTS = "results"
    UPLOAD = "upload"
    ENTRIES = "entries"
    FEED = "feed"
    WEBHOOKS = "webhooks"
    NOTIFY = "notify"
    COLLECT = "collect"
    CLASSIFY = "classify"
    MACHINE_SEND = "machine-send"
    MACHINE = "machine"


_CONTAINS: Final = {operation: frozenset({operation}) for operation in Operation} | {
    Operation.METADATA: frozenset({Operation.SEARCH, Operation.METADATA}),
    Operation.RETRIEVE: frozenset({Operation.SEARCH, Operation.METADATA, Operation.RETRIEVE}),
    Operation.AUDIT: frozenset({Operation.AUDIT, Operation.AUDIT_OWN, Operation.AUDIT_LOG}),
    Operation.CONFIGURE: frozenset({Operation.CONFIGURE, Operation.CONFIGURATION}),
}

#: Stands for the institution of operators, who belong to none.
NOWHERE: Final = UUID(int=0)


class Rights(StrEnum):
    """What a grant allows beside being there."""

    READ = "read"
    RESULTS = "results"


@dataclass(frozen=True, slots=True)
class Use:
    """A release that a request reads, and the grant that this rests on; None for the institution's own people."""

    release: UUID
    grant: UUID | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """Access of one application, or one person, to one release, for purposes and a time (R6.3).

    patient_ref, study_ref: as the audit trail names them. purposes: HL7 v3 PurposeOfUse codes. agreement: the version
    that it rests on. not_before_ms, expires_ms: Unix milliseconds, the second excluded. ended_reason: why it ended
    before its time.
    """

    id: UUID
    institution: UUID
    application: str | None
    person: str | None
    release: UUID
    study_group: bytes = field(repr=False)
    patient_ref: str
    study_ref: str
    agreement: tuple[str, int]
    purposes: tuple[str, ...]
    rights: frozenset[Rights]
    not_before_ms: int
    expires_ms: int
    created_ms: int
    created_by: str
    ended_ms: int | None = None
    ended_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """A decision for one request: this principal may do this, within this institution.

    Built only by `access.service.Access.scope_for`; a rules test fails on any other construction. Never kept
    beyond the request it was made for.
    """

    principal: Principal
    institution: UUID
    operation: Operation
    action: Action
    request: str
    address: str = field(repr=False)
    purpose: str
    agreement: tuple[str, int] | None = None
    """The version that the institution's own people read under, and its legal basis."""
    basis: str = ""
    uses: list[Use] = field(default_factory=list, repr=False, compare=False)
    """What the request turned out to read; open answers are checked by it."""
    decided: float = field(default_factory=time.monotonic, repr=False, compare=False)
    """When the decision was made, by the process's clock in seconds."""

    def require(self, operation: Operation, institution: UUID | None = None) -> None:
        """Raise `forbidden` unless this scope allows the operation, within that institution where one is given."""
        if operation not in _CONTAINS[self.operation]:
            raise WardlightError("forbidden", reason="scope")
        if institution is not None and institution != self.institution:
            raise WardlightError("not-found")

    @property
    def granted(self) -> bool:
        """Whether of images only what was granted to this principal may be shown (R6.2)."""
        return self.principal.kind is not PrincipalKind.PERSON or self.principal.role is Role.RESEARCHER

    @property
    def own_only(self) -> bool:
        """Whether of the audit trail only the principal's own actions may be shown."""
        return self.principal.role not in (Role.ADMINISTRATOR, Role.PRIVACY_OFFICER)


@dataclass(frozen=True, slots=True)
class SystemScope:
    """Background work of the platform itself; built only in `bootstrap`, audited with its reason."""

    reason: str
