"""Routes by which applications write into the audit trail."""

from __future__ import annotations

from typing import Final

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import application_entries
from wardlight.audit.actions import Action
from wardlight.web.about import JSON, About
from wardlight.web.routes import Manage

_ROOT: Final = "/api/v1/audit"
_APPLICATIONS: Final = frozenset({PrincipalKind.APPLICATION})
_WRITE: Final = frozenset({TokenScope.AUDIT_WRITE})
#: What an entry may be in the trail as: the application says which.
_SAID: Final = tuple(action for action in Action if action.startswith("app:"))

TRAIL_APPLICATIONS: Final = (
    Manage(
        f"{_ROOT}/entries",
        application_entries.record,
        Action.AUDIT_ENTRY_STORE,
        Operation.ENTRIES,
        _APPLICATIONS,
        _WRITE,
        About(
            "Application Entries",
            "Take in what an application says for the trail, each entry once; tells what became of each.",
            (JSON,),
            consumes=(JSON,),
            errors=(413, 415, 429),
            schema="AuditOutcomes",
            takes="AuditClaims",
        ),
        method="POST",
        beside=_SAID,
    ),
    Manage(
        f"{_ROOT}/definition",
        application_entries.define,
        Action.AUDIT_DEFINITION_CHANGE,
        Operation.ENTRIES,
        _APPLICATIONS,
        _WRITE,
        About(
            "Define Entries",
            "Register the codes and parameters of the application's entries, in the place of what was before.",
            (JSON,),
            consumes=(JSON,),
            errors=(413, 415, 429),
            schema="AuditDefinition",
            takes="AuditDefinition",
        ),
        method="PUT",
    ),
)
