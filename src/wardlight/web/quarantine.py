"""Routes of what protection holds back of uploads (docs/reference/quarantine.md): for people alone."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.responses import Response

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import quarantine
from wardlight.audit.actions import Action
from wardlight.dicomweb.call import Answer
from wardlight.web.about import JSON, About, Parameter
from wardlight.web.follow import Following
from wardlight.web.responses import AnswerResponse
from wardlight.web.routes import Follow, Manage

ROOT: Final = "/api/v1/quarantine"
_ONE: Final = f"{ROOT}/{{held}}"
_PEOPLE: Final = frozenset({PrincipalKind.PERSON})
_MANAGE: Final = frozenset({TokenScope.MANAGE})
_JPEG: Final = "image/jpeg"


async def picture(call: Following) -> Response:
    """GET /api/v1/quarantine/{held}/picture: made in the decoder's process, kept nowhere."""
    data = await call.guarded(partial(_picture, call))
    headers = {"Cache-Control": "no-store"}
    return AnswerResponse(Answer(data, _JPEG, 200, headers), head=call.request.method == "HEAD")


def _picture(call: Following) -> bytes:
    from wardlight.api.quarantine_picture import picture  # Loads what draws, which few requests need.

    services = call.services
    held = quarantine.held_id(call.request.path_params["held"])
    return picture(services.platform.quarantine, services.decoders, call.scope, held)


QUARANTINE: Final = (
    Manage(
        ROOT,
        quarantine.listed,
        Action.INGEST_QUARANTINE_VIEW,
        Operation.DELETE,
        _PEOPLE,
        _MANAGE,
        About(
            "List Quarantine",
            "Uploaded files that protection holds back, newest first: why, who sent them, when they are deleted. "
            "Clinicians see their own.",
            (JSON,),
            query=(
                Parameter("after", "`next` of the page before.", {"type": "string"}),
                Parameter("limit", "Most files.", {"type": "integer", "minimum": 1, "maximum": 200}),
            ),
            schema="Quarantine",
        ),
    ),
    Manage(
        _ONE,
        quarantine.one,
        Action.INGEST_QUARANTINE_VIEW,
        Operation.DELETE,
        _PEOPLE,
        _MANAGE,
        About("Show Quarantined File", "One file that is held back.", (JSON,), schema="QuarantinedFile"),
    ),
    Follow(
        f"{_ONE}/picture",
        picture,
        Action.INGEST_QUARANTINE_VIEW,
        Operation.STORE,
        _PEOPLE,
        frozenset({TokenScope.IMAGES_STORE}),
        About(
            "Picture of Quarantined File",
            "A small picture as the file came, with what may identify: for administrators, and for the clinician who "
            "sent it.",
            (_JPEG,),
            errors=(406,),
        ),
    ),
    Manage(
        f"{_ONE}/retry",
        quarantine.retry,
        Action.INGEST_QUARANTINE_RELEASE,
        Operation.DELETE,
        _PEOPLE,
        _MANAGE,
        About(
            "Protect Again",
            "Have a file protected again with the profile as it is now; it is stored if it passes.",
            (JSON,),
            consumes=(JSON,),
            statuses=(202,),
            errors=(409,),
            schema="QuarantinedFile",
            takes="QuarantineNothing",
        ),
        method="POST",
    ),
    Manage(
        f"{_ONE}/release",
        quarantine.release,
        Action.INGEST_QUARANTINE_RELEASE,
        Operation.DELETE,
        _PEOPLE,
        _MANAGE,
        About(
            "Release False Alarm",
            "An administrator or privacy officer says that what the verifier found identifies nobody, and why; the "
            "file is protected again, and stored unless anything else is found.",
            (JSON,),
            consumes=(JSON,),
            statuses=(202,),
            errors=(409,),
            schema="QuarantinedFile",
            takes="QuarantineRelease",
        ),
        method="POST",
        step_up=True,
    ),
    Manage(
        _ONE,
        quarantine.discard,
        Action.INGEST_QUARANTINE_DISCARD,
        Operation.DELETE,
        _PEOPLE,
        _MANAGE,
        About(
            "Discard Quarantined File",
            "Delete a file that is held back: its key is destroyed, and its bytes follow.",
            (),
            statuses=(204,),
            errors=(409,),
        ),
        method="DELETE",
        step_up=True,
    ),
)
