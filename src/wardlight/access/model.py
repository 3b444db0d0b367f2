"""Scopes: proof that a decision was made for one request, without which no read function works."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from wardlight.audit.actions import Action
from wardlight.identity.model import Principal, PrincipalKind, Role, TokenScope

__all__ = ["Operation", "Principal", "PrincipalKind", "Role", "Scope", "SystemScope", "TokenScope"]


class Operation(StrEnum):
    """What a scope allows. METADATA is contained in RETRIEVE, SEARCH in both."""

    SEARCH = "search"
    METADATA = "metadata"
    RETRIEVE = "retrieve"
    STORE = "store"


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


@dataclass(frozen=True, slots=True)
class SystemScope:
    """Background work of the platform itself; built only in `bootstrap`, audited with its reason."""

    reason: str
