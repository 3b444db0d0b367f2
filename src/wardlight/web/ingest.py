"""Routes of sharing, of results on their way back, and of links."""

from __future__ import annotations

from typing import Final

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import handovers, links, measurements, results, shares, viewing
from wardlight.audit.actions import Action
from wardlight.dicomweb.media import DICOM, ZIP
from wardlight.web.about import JSON, About, Parameter
from wardlight.web.routes import Manage, Open

SHARES: Final = "/api/v1/studies/{study}/shares"

RECIPIENTS: Final = "/api/v1/recipients"
VIEWER_LINKS: Final = "/api/v1/studies/{study}/viewer-links"
GRANTS: Final = "/api/v1/grants"
LINKS: Final = "/dicom-web/p"
RESULTS: Final = "/api/v1/receiver/results"
HANDOVERS: Final = "/api/v1/receiver/handovers"

_READERS: Final = frozenset({PrincipalKind.PERSON, PrincipalKind.APPLICATION})
_READ: Final = frozenset({TokenScope.IMAGES_READ})
_LINKED: Final = "signed under the study's key; the grant, the time and the network are checked on each use"
_LINK: Final = (
    Parameter("e", "When it ends, in Unix seconds.", {"type": "integer"}),
    Parameter("s", "Its signature.", {"type": "string"}),
    Parameter("n", "The network that it is for, where it is for one.", {"type": "string"}),
)
_RECEIVERS: Final = frozenset({PrincipalKind.RECEIVER})
_COLLECT: Final = frozenset({TokenScope.RECEIVER_COLLECT})
_PEOPLE: Final = frozenset({PrincipalKind.PERSON})
_MANAGE: Final = frozenset({TokenScope.MANAGE})
_STORE: Final = frozenset({TokenScope.IMAGES_STORE})

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
        # What is released can be copied before it is taken back (security.md section 6).
        step_up=True,
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
        f"{RECIPIENTS}/applications",
        shares.applications,
        Action.AGREEMENT_AGREEMENT_READ,
        Operation.SHARE,
        _PEOPLE,
        _MANAGE,
        About(
            "List Applications to Share with",
            "Those that the institution uses, each with the purposes and levels that were agreed.",
            (JSON,),
            schema="Recipients",
        ),
    ),
    Manage(
        f"{RECIPIENTS}/colleagues",
        shares.colleagues,
        Action.IDENTITY_PERSON_READ,
        Operation.SHARE,
        _PEOPLE,
        _MANAGE,
        About(
            "List Colleagues to Share with",
            "People of one's own institution who may see images: their names, and nothing else of them.",
            (JSON,),
            schema="Recipients",
        ),
    ),
    Manage(
        "/api/v1/studies/{study}/measurements",
        measurements.write,
        Action.DICOMWEB_STUDY_STORE,
        Operation.STORE,
        _PEOPLE,
        _STORE,
        About(
            "Write Measurements",
            "Keep what a person measured as a DICOM SR (PS3.16 TID 1500) in the study, as a new version of another"
            " where that is named. An empty list says that nothing is measured any more.",
            (JSON,),
            consumes=(JSON,),
            statuses=(201,),
            schema="MeasurementsWritten",
            takes="MeasurementsWish",
        ),
        method="POST",
        beside=(Action.INGEST_OBJECT_REFUSE,),
    ),
    Manage(
        VIEWER_LINKS,
        viewing.create,
        Action.ACCESS_URL_CREATE,
        Operation.OWN,
        _PEOPLE,
        _MANAGE,
        About(
            "Open In Viewer",
            "A link that opens this one study in another viewer, for a short time, with what its maker may see.",
            (JSON,),
            consumes=(JSON,),
            statuses=(201,),
            schema="ViewerLink",
            takes="ViewerLinkWish",
        ),
        method="POST",
    ),
    Manage(
        VIEWER_LINKS,
        viewing.end,
        Action.IDENTITY_TOKEN_REVOKE,
        Operation.OWN,
        _PEOPLE,
        _MANAGE,
        About(
            "End Viewer Links",
            "End one's own links to this study at once.",
            (JSON,),
            schema="LinksEnded",
        ),
        method="DELETE",
    ),
    Manage(
        f"{GRANTS}/{{grant}}/urls",
        links.create,
        Action.ACCESS_URL_CREATE,
        Operation.GRANTS,
        _READERS,
        _READ,
        About(
            "Create Link",
            "A link to one instance, or to the study as a zip, that needs no token; never longer than the grant.",
            (JSON,),
            consumes=(JSON,),
            statuses=(201,),
            schema="Link",
            takes="LinkWish",
        ),
        method="POST",
    ),
    Open(
        f"{LINKS}/{{grant}}/study",
        links.study,
        Action.DICOMWEB_STUDY_READ,
        _LINKED,
        About(
            "Open Link to Study",
            "The study of a link as a zip of DICOM files.",
            (ZIP,),
            statuses=(200, 304),
            errors=(404, 412),
            query=_LINK,
        ),
        method="GET",
    ),
    Open(
        f"{LINKS}/{{grant}}/instance/{{row}}",
        links.instance,
        Action.DICOMWEB_STUDY_READ,
        _LINKED,
        About(
            "Open Link to Instance",
            "The DICOM file of a link, as it is stored.",
            (DICOM,),
            statuses=(200, 206, 304),
            errors=(404, 412, 416),
            query=_LINK,
        ),
        method="GET",
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
    Manage(
        HANDOVERS,
        handovers.waiting,
        Action.DICOMWEB_STUDY_EXPORT,
        Operation.COLLECT,
        _RECEIVERS,
        _COLLECT,
        About(
            "List Handovers",
            "Results of applications that others are to have and this receiver makes anew, oldest first.",
            (JSON,),
            schema="Handovers",
        ),
        beside=(Action.ACCESS_RESULT_HANDOVER,),
    ),
    Manage(
        f"{HANDOVERS}/{{handover}}",
        handovers.take,
        Action.DICOMWEB_STUDY_EXPORT,
        Operation.COLLECT,
        _RECEIVERS,
        _COLLECT,
        About("Collect Handover", "The result as its application stored it.", (DICOM,)),
        beside=(Action.ACCESS_RESULT_HANDOVER,),
    ),
    Manage(
        f"{HANDOVERS}/{{handover}}/settle",
        handovers.settle,
        Action.DICOMWEB_STUDY_EXPORT,
        Operation.COLLECT,
        _RECEIVERS,
        _COLLECT,
        About(
            "Settle Handover",
            "It cannot be made anew, for a reason, or not now, without one. What can is stored with"
            " Wardlight-Handover.",
            (JSON,),
            consumes=(JSON,),
            schema="HandoverSettled",
            takes="HandoverSettlement",
        ),
        method="POST",
        beside=(Action.ACCESS_RESULT_HANDOVER,),
    ),
)
