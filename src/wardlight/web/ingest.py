"""Routes of sharing, of results on their way back, and of links."""

from __future__ import annotations

from typing import Final

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import shares
from wardlight.audit.actions import Action
from wardlight.web.about import JSON, About
from wardlight.web.routes import Manage

SHARES: Final = "/api/v1/studies/{study}/shares"

_PEOPLE: Final = frozenset({PrincipalKind.PERSON})
_MANAGE: Final = frozenset({TokenScope.MANAGE})

INGEST: Final = (
    Manage(
        SHARES,
        shares.create,
        Action.ACCESS_GRANT_SHARE,
        Operation.SHARE,
        _PEOPLE,
        _MANAGE,
        About(
            "Share Study",
            "Share a study of Images with an application, within its agreement, or with a colleague. A release is made"
            " for it in the background, and the grant when that is complete.",
            (JSON,),
            consumes=(JSON,),
            statuses=(202,),
            schema="Share",
            takes="ShareWish",
        ),
        method="POST",
        beside=(Action.ARCHIVE_KEY_CREATE,),
    ),
    Manage(
        SHARES,
        shares.listed,
        Action.ACCESS_GRANT_READ,
        Operation.SHARE,
        _PEOPLE,
        _MANAGE,
        About("List Shares", "How far the shares of a study are, newest first.", (JSON,), schema="Shares"),
    ),
)
