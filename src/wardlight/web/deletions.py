"""Routes of deletions (docs/reference/deletion.md)."""

from __future__ import annotations

from typing import Final

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import deletions
from wardlight.audit.actions import Action
from wardlight.web.about import JSON, About, Parameter
from wardlight.web.routes import Manage

ROOT: Final = "/api/v1/deletions"
_ONE: Final = f"{ROOT}/{{deletion}}"

_PEOPLE: Final = frozenset({PrincipalKind.PERSON})
_APPLICATIONS: Final = frozenset({PrincipalKind.APPLICATION})
_MANAGE: Final = frozenset({TokenScope.MANAGE})
_FEED: Final = frozenset({TokenScope.EVENTS_READ})

DELETIONS: Final = (
    Manage(
        "/api/v1/studies/{study}",
        deletions.begin,
        Action.ARCHIVE_STUDY_DELETE,
        Operation.DELETE,
        _PEOPLE,
        _MANAGE,
        About(
            "Delete Study",
            "End all access to a study in all of its releases, now; keys, objects and rows follow. Clinicians delete "
            "what they alone uploaded.",
            (JSON,),
            statuses=(202,),
            schema="DeletionBegun",
        ),
        method="DELETE",
        beside=(Action.ACCESS_GRANT_REVOKE, Action.ACCESS_GRANT_EXPIRE),
        step_up=True,
    ),
    Manage(
        ROOT,
        deletions.listed,
        Action.ARCHIVE_RECEIPT_ISSUE,
        Operation.DELETE,
        _PEOPLE,
        _MANAGE,
        About(
            "List Deletions",
            "What was deleted, newest first, and how far each deletion is; clinicians see their own.",
            (JSON,),
            query=(
                Parameter("after", "`next` of the page before.", {"type": "string"}),
                Parameter("limit", "Most deletions.", {"type": "integer", "minimum": 1, "maximum": 500}),
            ),
            schema="Deletions",
        ),
    ),
    Manage(
        _ONE,
        deletions.one,
        Action.ARCHIVE_RECEIPT_ISSUE,
        Operation.DELETE,
        _PEOPLE,
        _MANAGE,
        About("Show Deletion", "One deletion and how far it is.", (JSON,), schema="Deletion"),
    ),
    Manage(
        f"{_ONE}/receipt",
        deletions.receipt,
        Action.ARCHIVE_RECEIPT_ISSUE,
        Operation.DELETE,
        _PEOPLE,
        _MANAGE,
        About(
            "Get Receipt",
            "The signed receipt of a deletion as it stands now; `wardlight receipt verify` checks it offline.",
            (JSON,),
            schema="DeletionReceipt",
        ),
    ),
    Manage(
        f"{_ONE}/allow",
        deletions.allow,
        Action.ARCHIVE_STUDY_UNHOLD,
        Operation.CONFIGURE,
        _PEOPLE,
        _MANAGE,
        About(
            "Allow Study Again",
            "Let a study that was deleted come again: what its receivers hold is taken with their next attempt.",
            (JSON,),
            consumes=(JSON,),
            schema="DeletionAllowed",
            takes="DeletionNothing",
        ),
        method="POST",
        step_up=True,
    ),
    Manage(
        f"{_ONE}/acknowledge",
        deletions.acknowledge,
        Action.ARCHIVE_RECEIPT_ACKNOWLEDGE,
        Operation.FEED,
        _APPLICATIONS,
        _FEED,
        About(
            "Acknowledge Deletion",
            "The application says that it has deleted its copies; the receipt then says so, too.",
            (JSON,),
            consumes=(JSON,),
            schema="DeletionAcknowledged",
            takes="DeletionNothing",
        ),
        method="POST",
    ),
)
