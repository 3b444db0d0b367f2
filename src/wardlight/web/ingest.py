"""Routes of sharing, of results on their way back, and of links."""

from __future__ import annotations

from typing import Final

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import results, shares
from wardlight.audit.actions import Action
from wardlight.dicomweb.media import DICOM
from wardlight.web.about import JSON, About
from wardlight.web.routes import Manage

SHARES: Final = "/api/v1/studies/{study}/shares"

RESULTS: Final = "/api/v1/receiver/results"

_RECEIVERS: Final = frozenset({PrincipalKind.RECEIVER})
_COLLECT: Final = frozenset({TokenScope.RECEIVER_COLLECT})
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
    Manage(
        RESULTS,
        results.waiting,
        Action.DICOMWEB_STUDY_EXPORT,
        Operation.COLLECT,
        _RECEIVERS,
        _COLLECT,
        About(
            "List Results",
            "Results of applications that wait for this receiver, oldest first.",
            (JSON,),
            schema="Results",
        ),
    ),
    Manage(
        f"{RESULTS}/{{result}}",
        results.take,
        Action.DICOMWEB_STUDY_EXPORT,
        Operation.COLLECT,
        _RECEIVERS,
        _COLLECT,
        About("Collect Result", "The bytes of one, once.", (DICOM,)),
    ),
    Manage(
        f"{RESULTS}/{{result}}/acknowledge",
        results.acknowledge,
        Action.DICOMWEB_STUDY_EXPORT,
        Operation.COLLECT,
        _RECEIVERS,
        _COLLECT,
        About(
            "Acknowledge Result",
            "It arrived, and is over; or it did not, and is handed out again.",
            (JSON,),
            consumes=(JSON,),
            schema="ResultReceived",
            takes="ResultReceipt",
        ),
        method="POST",
    ),
)
