"""Decides who may do what, and hands out the scope that every read needs. Unknown means no."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from wardlight.access.model import Operation, Scope
from wardlight.audit.actions import Action
from wardlight.audit.denials import Denials
from wardlight.audit.model import Actor, Event, Outcome
from wardlight.errors import WardlightError
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
}

#: Architecture.md, "who may do what". Researchers see shares of their own, of which there are none yet.
ROLES: Final = {
    Role.ADMINISTRATOR: frozenset(Operation),
    Role.CLINICIAN: frozenset(Operation),
    Role.PRIVACY_OFFICER: frozenset({Operation.SEARCH, Operation.METADATA}),
    Role.RESEARCHER: frozenset[Operation](),
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


def _refusal(principal: Principal, action: Action) -> str:
    """Why not, or nothing."""
    operation = OPERATION.get(action)
    if operation is None:
        return "unknown-action"
    if principal.kind is PrincipalKind.RECEIVER:
        if operation is not Operation.STORE:
            return "receiver-stores-only"
        return "" if TokenScope.RECEIVER_STORE in principal.scopes else "token-scope"
    if principal.kind is not PrincipalKind.PERSON or principal.role is None:
        return "principal-kind"
    if operation not in ROLES[principal.role]:
        return "role"
    needed = TokenScope.IMAGES_STORE if operation is Operation.STORE else TokenScope.IMAGES_READ
    return "" if needed in principal.scopes else "token-scope"
