"""The route of the classifier (docs/reference/classifier.md): for people and applications."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.audit.actions import Action
from wardlight.errors import WardlightError
from wardlight.web.about import JSON, About, Parameter
from wardlight.web.bodies import pump
from wardlight.web.follow import Following
from wardlight.web.responses import AnswerResponse
from wardlight.web.routes import Follow
from wardlight.web.threads import in_thread

if TYPE_CHECKING:
    from wardlight.api.classify import Classifying

ROOT: Final = "/api/v1/classify"


async def classify(call: Following) -> Response:
    """POST /api/v1/classify: which classes are in the body."""
    looking = await call.guarded(partial(_begin, call))
    try:
        try:
            last = await pump(call.request, looking)
        except WardlightError as error:
            await call.guarded(partial(_fail, error))
            raise
        return AnswerResponse(await call.guarded(partial(looking.finish, last)))
    finally:
        await asyncio.shield(in_thread(looking.abort))


def _begin(call: Following) -> Classifying:
    from wardlight.api.classify import MOST, Classifying  # loads the detectors, which few requests need

    headers = call.request.headers
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > MOST:
        raise WardlightError("too-large", f"the body is larger than {MOST >> 20} MiB")
    return Classifying(call.services.platform, call.scope, headers.get("content-type", ""), call.query())


def _fail(error: WardlightError) -> None:
    raise error


CLASSIFY: Final = (
    Follow(
        ROOT,
        classify,
        Action.CLASSIFY_ITEM_CLASSIFY,
        Operation.CLASSIFY,
        frozenset({PrincipalKind.PERSON, PrincipalKind.APPLICATION}),
        frozenset(
            {
                TokenScope.IMAGES_STORE,
                TokenScope.MANAGE,
                TokenScope.IMAGES_UPLOAD,
                TokenScope.IMAGES_RESULTS,
            }
        ),
        About(
            "Classify",
            "Which data classes are in the body, where, and why: DICOM, JSON, tables, HL7, logs and other text, each "
            "also in gzip. It is looked at while it comes and kept nowhere.",
            (JSON,),
            consumes=("application/octet-stream", "text/plain", "text/csv", JSON, "application/dicom"),
            errors=(413, 429),
            query=(Parameter("least", "Leave out what is less sure.", {"enum": ["low", "medium", "high"]}),),
            schema="Classified",
        ),
        method="POST",
    ),
)
