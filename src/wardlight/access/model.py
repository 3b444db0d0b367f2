"""Scopes: proof that a decision was made for one request, without which no read function works."""

from __future__ import annotations

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
    entries and cosignatures.
    """

    SEARCH = "search"
    METADATA = "metadata"
    RETRIEVE = "retrieve"
    STORE = "store"
    AUDIT = "audit"
    AUDIT_OWN = "audit-own"
    AUDIT_LOG = "audit-log"
    AUDIT_SEND = "audit-send"


_CONTAINS: Final = {
    Operation.SEARCH: frozenset({Operation.SEARCH}),
    Operation.METADATA: frozenset({Operation.SEARCH, Operation.METADATA}),
    Operation.RETRIEVE: frozenset({Operation.SEARCH, Operation.METADATA, Operation.RETRIEVE}),
    Operation.STORE: frozenset({Operation.STORE}),
    Operation.AUDIT: frozenset({Operation.AUDIT, Operation.AUDIT_OWN, Operation.AUDIT_LOG}),
    Operation.AUDIT_OWN: frozenset({Operation.AUDIT_OWN}),
    Operation.AUDIT_LOG: frozenset({Operation.AUDIT_LOG}),
    Operation.AUDIT_SEND: frozenset({Operation.AUDIT_SEND}),
}


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

    def require(self, operation: Operation, institution: UUID | None = None) -> None:
        """Raise `forbidden` unless this scope allows the operation, within that institution where one is given."""
        if operation not in _CONTAINS[self.operation]:
            raise WardlightError("forbidden", reason="scope")
        if institution is not None and institution != self.institution:
            raise WardlightError("not-found")

    @property
    def own_only(self) -> bool:
        """Whether of the audit trail only the principal's own actions may be shown."""
        return self.principal.role not in (Role.ADMINISTRATOR, Role.PRIVACY_OFFICER)


@dataclass(frozen=True, slots=True)
class SystemScope:
    """Background work of the platform itself; built only in `bootstrap`, audited with its reason."""

    reason: str
