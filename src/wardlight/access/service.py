"""Decides who may do what, and hands out the scope that every read needs. Unknown means no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from wardlight.access.model import Operation, Scope
from wardlight.audit.actions import Action
from wardlight.audit.denials import Denials
from wardlight.audit.model import Actor, Event, Outcome
from wardlight.errors import CATALOGUE, WardlightError
from wardlight.identity.model import Principal, PrincipalKind, Role, TokenScope
from wardlight.identity.service import actor_of

#: What each audited action needs. An action that is not here needs no scope and gets none.
OPERATION: Final = {
    Action.DICOMWEB_STUDY_QUERY: Operation.SEARCH,
    Action.DICOMWEB_METADATA_READ: Operation.METADATA,
    Action.DICOMWEB_STUDY_READ: Operation.RETRIEVE,
    Action.DICOMWEB_FRAME_READ: Operation.RETRIEVE,
    Action.DICOMWEB_RENDERED_READ: Operation.RETRIEVE,
    Action.DICOMWEB_THUMBNAIL_READ: Operation.RETRIEVE,
    Action.DICOMWEB_BULKDATA_READ: Operation.RETRIEVE,
    Action.DICOMWEB_STUDY_STORE: Operation.STORE,
    Action.AUDIT_ENTRY_READ: Operation.AUDIT_OWN,
    Action.AUDIT_ENTRY_SEARCH: Operation.AUDIT_OWN,
    Action.AUDIT_PATIENT_SEARCH: Operation.AUDIT,
    Action.AUDIT_ENTRY_EXPORT: Operation.AUDIT,
    Action.AUDIT_REPORT_CREATE: Operation.AUDIT,
    Action.SUBJECT_REPORT_ACCESS: Operation.AUDIT,
    Action.AUDIT_LOG_READ: Operation.AUDIT_LOG,
    Action.AUDIT_ENTRY_STORE: Operation.AUDIT_SEND,
    Action.AUDIT_WITNESS_COSIGN: Operation.AUDIT_SEND,
}

#: Architecture.md, "who may do what". Researchers see shares of their own, of which there are none yet.
_IMAGES: Final = frozenset({Operation.SEARCH, Operation.METADATA, Operation.RETRIEVE, Operation.STORE})
_TRAIL: Final = frozenset({Operation.AUDIT, Operation.AUDIT_OWN, Operation.AUDIT_LOG})
ROLES: Final = {
    Role.ADMINISTRATOR: _IMAGES | _TRAIL,
    Role.CLINICIAN: _IMAGES | {Operation.AUDIT_OWN},
    Role.PRIVACY_OFFICER: frozenset({Operation.SEARCH, Operation.METADATA}) | _TRAIL,
    Role.RESEARCHER: frozenset({Operation.AUDIT_OWN}),
}

#: The scope that a token needs beside its holder's role.
_PERSON_SCOPES: Final = (
    dict.fromkeys(_IMAGES, TokenScope.IMAGES_READ)
    | {Operation.STORE: TokenScope.IMAGES_STORE}
    | dict.fromkeys(_TRAIL, TokenScope.AUDIT_READ)
)
_RECEIVER_SCOPES: Final = {
    Operation.STORE: TokenScope.RECEIVER_STORE,
    Operation.AUDIT_LOG: TokenScope.RECEIVER_AUDIT,
    Operation.AUDIT_SEND: TokenScope.RECEIVER_AUDIT,
}


class Access:
    """Decisions on single requests. Nothing is kept between requests."""

    def __init__(self, denials: Denials) -> None:
        self._denials = denials

    def scope_for(
        self, principal: Principal, action: Action, *, request: str, address: str = "", purpose: str = "TREAT"
    ) -> Scope:
        """The scope for one request of this principal.

        request: trace id, 32 hexadecimal digits. address: of the client. Raises `forbidden` with a reason, after
        writing the denial into the trail.
        """
        reason = _refusal(principal, action)
        if reason or principal.institution is None:
            self.deny(principal, action, reason or "no-institution", request=request, address=address)
            raise WardlightError("forbidden", reason=reason or "no-institution")
        operation = OPERATION[action]
        return Scope(principal, principal.institution, operation, action, request, address, purpose)

    def require_store(self, principal: Principal, *, request: str, address: str = "") -> UUID:
        """The institution into which this principal may store. Raises `forbidden`, audited."""
        return self.scope_for(
            principal, Action.DICOMWEB_STUDY_STORE, request=request, address=address
        ).institution

    def deny(
        self,
        principal: Principal | None,
        action: Action,
        reason: str,
        *,
        request: str,
        address: str = "",
        status: int = 403,
    ) -> None:
        """Write a denial into the trail; principal None: nobody whom we know."""
        actor = actor_of(principal) if principal else Actor(PrincipalKind.ANONYMOUS.value, "-")
        event = Event(
            Action.ACCESS_DECISION_DENY,
            actor,
            outcome=Outcome.DENIED,
            reason=reason,
            address=address,
            request=request,
            token=principal.token_ref if principal else "",
            detail={"action": action.value, "status": status},
        )
        self._denials.record(principal.institution if principal else None, event)

    def fail(
        self, principal: Principal, action: Action, reason: str, *, request: str, address: str = ""
    ) -> None:
        """Write into the trail that something failed which this principal was allowed, and nothing of it was done.

        Raises what the database raises: then the answer is `unavailable`.
        """
        self._write(principal, action, Outcome.FAILED, reason, request, address, {})

    def refuse(
        self, principal: Principal, reasons: Mapping[str, int], *, request: str, address: str = ""
    ) -> None:
        """Write into the trail that so many files of a store request were not taken, by code of the error."""
        for reason, count in sorted(reasons.items()):
            outcome = Outcome.FAILED if CATALOGUE[reason].http >= 500 else Outcome.DENIED
            counts = {"instances": count}
            self._write(principal, Action.INGEST_OBJECT_REFUSE, outcome, reason, request, address, counts)

    def _write(
        self,
        principal: Principal,
        action: Action,
        outcome: Outcome,
        reason: str,
        request: str,
        address: str,
        counts: Mapping[str, int],
    ) -> None:
        event = Event(
            action,
            actor_of(principal),
            outcome=outcome,
            reason=reason,
            address=address,
            request=request,
            token=principal.token_ref,
            counts=counts,
        )
        self._denials.record(principal.institution, event)


def _refusal(principal: Principal, action: Action) -> str:
    """Why not, or nothing."""
    operation = OPERATION.get(action)
    if operation is None:
        return "unknown-action"
    if principal.kind is PrincipalKind.RECEIVER:
        if operation not in _RECEIVER_SCOPES:
            return "receiver-stores-only"
        return "" if _RECEIVER_SCOPES[operation] in principal.scopes else "token-scope"
    if principal.kind is not PrincipalKind.PERSON or principal.role is None:
        return "principal-kind"
    if operation not in ROLES[principal.role]:
        return "role"
    return "" if _PERSON_SCOPES[operation] in principal.scopes else "token-scope"
