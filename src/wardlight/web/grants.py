"""Routes of grants."""

from __future__ import annotations

from typing import Final

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import grants
from wardlight.audit.actions import Action
from wardlight.web.about import JSON, About, Parameter
from wardlight.web.routes import Manage

ROOT: Final = "/api/v1/grants"

_WHO: Final = frozenset({PrincipalKind.PERSON, PrincipalKind.APPLICATION})
_PEOPLE: Final = frozenset({PrincipalKind.PERSON})
_SEE: Final = frozenset({TokenScope.MANAGE, TokenScope.IMAGES_READ, TokenScope.EVENTS_READ})
_MANAGE: Final = frozenset({TokenScope.MANAGE})


def _text(name: str, description: str) -> Parameter:
    return Parameter(name, description, {"type": "string"})


GRANTS: Final = (
    Manage(
        ROOT,
        grants.listed,
        Action.ACCESS_GRANT_READ,
        Operation.GRANTS,
        _WHO,
        _SEE,
        About(
            "List Grants",
            "Who can see what, for what, until when; of an application its own live grants.",
            (JSON,),
            query=(
                _text("application", "Of this application only."),
                _text("study", "On this study of Images, or any release of it."),
                Parameter("ended", "`true`: those that are over, too.", {"enum": ["true", "false"]}),
                _text("after", "`next` of the page before."),
                Parameter("limit", "Most grants.", {"type": "integer", "minimum": 1, "maximum": 500}),
            ),
            schema="Grants",
        ),
    ),
    Manage(
        f"{ROOT}/{{grant}}",
        grants.one,
        Action.ACCESS_GRANT_READ,
        Operation.GRANTS,
        _WHO,
        _SEE,
        About("Show Grant", "One grant, with the study that its holder sees.", (JSON,), schema="Grant"),
    ),
    Manage(
        f"{ROOT}/{{grant}}",
        grants.revoke,
        Action.ACCESS_GRANT_REVOKE,
        Operation.REVOKE,
        _PEOPLE,
        _MANAGE,
        About(
            "Revoke Grant",
            "End it: for the next request, and for every answer that is under way.",
            (JSON,),
            schema="Ended",
        ),
        method="DELETE",
    ),
)
