"""Decides who may do what, and hands out the scope that every read needs. Unknown means no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from wardlight.access.model import NOWHERE, Operation, Scope
from wardlight.agreements import store as agreements
from wardlight.agreements.entitlements_store import is_subscribed
from wardlight.agreements.model import IMAGES, Agreement
from wardlight.audit.actions import Action
from wardlight.audit.denials import Denials
from wardlight.audit.model import Actor, Event, Outcome
from wardlight.db.engine import Database
from wardlight.errors import CATALOGUE, WardlightError
from wardlight.identity.institutions import is_within
from wardlight.identity.model import Principal, PrincipalKind, Role, TokenScope
from wardlight.identity.service import actor_of, behalf_of

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

#: Architecture.md, "who may do what".
_READS: Final = frozenset({Operation.SEARCH, Operation.METADATA, Operation.RETRIEVE})
_IMAGES: Final = _READS | {Operation.STORE}
_TRAIL: Final = frozenset({Operation.AUDIT, Operation.AUDIT_OWN, Operation.AUDIT_LOG})
_RIGHTS: Final = frozenset({Operation.CONFIGURATION, Operation.GRANTS, Operation.ENTITLEMENT})
_OWN: Final = frozenset({Operation.OWN, Operation.AUDIT_OWN})
ROLES: Final = {
    Role.ADMINISTRATOR: _IMAGES
    | _TRAIL
    | _RIGHTS
    | _OWN
    | {
        Operation.CONFIGURE,
        Operation.SHARE,
        Operation.DELETE,
        Operation.REVOKE,
        Operation.CLASSIFY,
        Operation.MACHINE_SEND,
        Operation.MACHINE,
    },
    # Own uploads, and own shares: what is whose is for those who know the study.
    Role.CLINICIAN: _IMAGES
    | _OWN
    | {
        Operation.SHARE,
        Operation.DELETE,
        Operation.GRANTS,
        Operation.REVOKE,
        Operation.ENTITLEMENT,
        Operation.CLASSIFY,
    },
    Role.PRIVACY_OFFICER: frozenset(
        {
            Operation.SEARCH,
            Operation.METADATA,
            Operation.DELETE,
            Operation.REVOKE,
            Operation.CLASSIFY,
            Operation.MACHINE,
        }
    )
    | _TRAIL
    | _RIGHTS
    | _OWN,
    # What was shared with them.
    Role.RESEARCHER: _READS | _OWN,
    Role.OPERATOR: frozenset({Operation.OWN, Operation.PLATFORM}),
}

#: A scope that the token needs, any one of these, beside its holder's role.
_PERSON_SCOPES: Final = (
    dict.fromkeys(_READS, frozenset({TokenScope.IMAGES_READ}))
    | {
        Operation.STORE: frozenset({TokenScope.IMAGES_STORE}),
        Operation.CLASSIFY: frozenset({TokenScope.IMAGES_STORE, TokenScope.MANAGE}),
    }
    | dict.fromkeys(_TRAIL, frozenset({TokenScope.AUDIT_READ}))
    | dict.fromkeys(
        (
            Operation.CONFIGURATION,
            Operation.CONFIGURE,
            Operation.SHARE,
            Operation.DELETE,
            Operation.REVOKE,
            Operation.OWN,
            Operation.MACHINE_SEND,
            Operation.MACHINE,
        ),
        frozenset({TokenScope.MANAGE}),
    )
    | dict.fromkeys(
        (Operation.GRANTS, Operation.ENTITLEMENT), frozenset({TokenScope.MANAGE, TokenScope.IMAGES_READ})
    )
)
_OPERATOR_SCOPES: Final = {
    Operation.PLATFORM: frozenset({TokenScope.PLATFORM}),
    Operation.OWN: frozenset({TokenScope.PLATFORM, TokenScope.MANAGE}),
}
_RECEIVER_SCOPES: Final = {
    Operation.STORE: frozenset({TokenScope.RECEIVER_STORE}),
    Operation.AUDIT_LOG: frozenset({TokenScope.RECEIVER_AUDIT}),
    Operation.AUDIT_SEND: frozenset({TokenScope.RECEIVER_AUDIT}),
    Operation.COLLECT: frozenset({TokenScope.RECEIVER_COLLECT}),
    Operation.MACHINE_SEND: frozenset({TokenScope.RECEIVER_STORE}),
}
_APPLICATION_SCOPES: Final = (
    dict.fromkeys(_READS, frozenset({TokenScope.IMAGES_READ}))
    | {
        Operation.STORE: frozenset({TokenScope.IMAGES_RESULTS, TokenScope.IMAGES_UPLOAD}),
        Operation.CLASSIFY: frozenset({TokenScope.IMAGES_RESULTS, TokenScope.IMAGES_UPLOAD}),
        Operation.RESULTS: frozenset({TokenScope.IMAGES_RESULTS}),
        Operation.UPLOAD: frozenset({TokenScope.IMAGES_UPLOAD}),
        Operation.ENTRIES: frozenset({TokenScope.AUDIT_WRITE}),
        Operation.FEED: frozenset({TokenScope.EVENTS_READ}),
        Operation.WEBHOOKS: frozenset({TokenScope.WEBHOOKS_MANAGE}),
        Operation.NOTIFY: frozenset({TokenScope.NOTIFICATIONS_SEND}),
        Operation.MACHINE_SEND: frozenset({TokenScope.MACHINE_WRITE}),
        Operation.MACHINE: frozenset({TokenScope.MACHINE_READ}),
        Operation.OWN: frozenset({TokenScope.OPENID}),
    }
    | dict.fromkeys(
        (Operation.GRANTS, Operation.ENTITLEMENT),
        frozenset({TokenScope.IMAGES_READ, TokenScope.EVENTS_READ}),
    )
)
_SCOPES: Final = {
    PrincipalKind.PERSON: _PERSON_SCOPES,
    PrincipalKind.RECEIVER: _RECEIVER_SCOPES,
    PrincipalKind.APPLICATION: _APPLICATION_SCOPES,
    PrincipalKind.OPERATOR: _OPERATOR_SCOPES,
}
#: What a principal of the kind may never do is refused with a reason of its own.
_NEVER: Final = {PrincipalKind.RECEIVER: "receiver-stores-only"}


class Access:
    """Decisions on single requests. Nothing is kept between requests."""

    def __init__(self, database: Database, denials: Denials) -> None:
        self._database = database
        self._denials = denials

    def scope_for(
        self,
        principal: Principal,
        action: Action,
        *,
        request: str,
        address: str = "",
        purpose: str = "TREAT",
        operation: Operation | None = None,
        step_up: bool = False,
    ) -> Scope:
        """The scope for one request of this principal.

        request: trace id, 32 hexadecimal digits. address: of the client. purpose: of a person's request; that of an
        application is its token's. operation: what is needed, where the action alone does not tell. step_up: people
        must have proved presence. Raises `forbidden` with a reason, after writing the denial into the trail.
        """
        operation = operation or OPERATION.get(action)
        agreement: Agreement | None = None
        reason = _refusal(principal, operation, address, step_up=step_up)
        institution = NOWHERE if principal.kind is PrincipalKind.OPERATOR else principal.institution
        if not reason and institution is None:
            reason = "no-institution"
        if principal.kind is PrincipalKind.APPLICATION or principal.study is not None:
            purpose = principal.purpose
        people = principal.kind is not PrincipalKind.APPLICATION
        if (
            people
            and not reason
            and operation in _READS
            and institution
            and principal.role is not Role.RESEARCHER
        ):
            agreement, reason = self._agreed(institution, purpose)
        if reason or institution is None or operation is None:
            self.deny(principal, action, reason, request=request, address=address)
            raise WardlightError("forbidden", reason=reason)
        return Scope(
            principal,
            institution,
            operation,
            action,
            request,
            address,
            purpose,
            (agreement.id, agreement.version) if agreement else None,
            agreement.legal_basis if agreement else "",
        )

    def _agreed(self, institution: UUID, purpose: str) -> tuple[Agreement | None, str]:
        """The agreement under which the institution's own people read, or why there is none for this purpose."""
        with self._database.read(institution) as tx:
            agreement = agreements.current(tx, institution, IMAGES)
            subscribed = is_subscribed(tx, institution, IMAGES)
        if agreement is None:
            return None, "no-agreement"
        if not subscribed:
            return None, "not-subscribed"
        return agreement, "" if purpose in agreement.purposes else "purpose-not-agreed"

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
            behalf=behalf_of(principal) if principal else None,
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
            behalf=behalf_of(principal),
            outcome=outcome,
            reason=reason,
            address=address,
            request=request,
            token=principal.token_ref,
            counts=counts,
        )
        self._denials.record(principal.institution, event)


def _refusal(principal: Principal, operation: Operation | None, address: str, *, step_up: bool) -> str:
    """Why not, or nothing."""
    if operation is None:
        return "unknown-action"
    scopes = _SCOPES.get(principal.kind)
    if scopes is None:
        return "principal-kind"
    if principal.study is not None and operation not in _READS:
        return "token-study"
    if operation not in scopes:
        return _NEVER.get(
            principal.kind, "role" if principal.kind is PrincipalKind.PERSON else "principal-kind"
        )
    if principal.kind in (PrincipalKind.PERSON, PrincipalKind.OPERATOR):
        if principal.role is None or operation not in ROLES[principal.role]:
            return "role"
        if not is_within(address, principal.networks):
            return "network"
    if principal.person and (principal.role is None or operation not in ROLES[principal.role]):
        return "role"  # An application may do nothing for its user that the user may not do.
    if principal.person and principal.role is Role.RESEARCHER and operation in _READS:
        return "role"  # What was granted to the application was not shared with its user.
    if scopes[operation].isdisjoint(principal.scopes):
        return "token-scope"
    people = principal.kind in (PrincipalKind.PERSON, PrincipalKind.OPERATOR)
    if step_up and people and not (principal.step_up or TokenScope.STEP_UP in principal.scopes):
        return "step-up"
    return ""
