"""Routes of uploads by people (docs/reference/uploads.md), and the one that takes their bytes.

A refused request writes nothing: the decision, the offset and the length are looked at before a byte of the body is
read.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import uploads
from wardlight.audit.actions import Action
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.ingest.uploads import Incoming
from wardlight.web.about import JSON, About
from wardlight.web.bodies import pump
from wardlight.web.follow import Following
from wardlight.web.responses import AnswerResponse
from wardlight.web.routes import Follow, Manage, Public
from wardlight.web.threads import in_thread

ROOT: Final = "/api/v1/uploads"
_ONE: Final = f"{ROOT}/{{upload}}"
_PEOPLE: Final = frozenset({PrincipalKind.PERSON})
_STORE: Final = frozenset({TokenScope.IMAGES_STORE})


def discover(_request: Request) -> Response:
    """OPTIONS /api/v1/uploads: what of the protocol there is."""
    allow = {"Allow": "GET, HEAD, OPTIONS, POST"}
    return Response(status_code=204, headers={**allow, **uploads.DISCOVERY})


async def append(call: Following) -> Response:
    """PATCH /api/v1/uploads/{upload}: the next bytes; they are durable before the answer."""
    incoming = await call.guarded(partial(_begin, call))
    try:
        last = await pump(call.request, incoming)
        row = await call.guarded(partial(incoming.finish, last))
    except BaseException as error:
        await asyncio.shield(in_thread(partial(_give_up, call, incoming, error)))
        raise
    return AnswerResponse(Answer(b"", "", 204, uploads.headers_of(row)))


def _begin(call: Following) -> Incoming:
    headers = call.request.headers
    id_ = uploads.upload_id(call.request.path_params)
    call.services.platform.uploads.show(call.scope, id_)
    uploads.require_version(headers)
    if headers.get("content-type", "").partition(";")[0].strip().lower() != uploads.OFFSET:
        raise WardlightError("unsupported-media-type", f"the body must be {uploads.OFFSET}")
    length = uploads.whole(headers, "content-length") if "content-length" in headers else None
    return call.services.platform.uploads.begin(
        call.scope,
        id_,
        uploads.whole(headers, "upload-offset"),
        length,
        headers.get("upload-checksum", ""),
    )


def _give_up(call: Following, incoming: Incoming, error: BaseException) -> None:
    try:
        if isinstance(error, ClientDisconnect):
            # What came is there when the sender comes again.
            incoming.keep()
    finally:
        incoming.abort()
    if isinstance(error, Exception) and not isinstance(error, WardlightError):
        with call.guard():
            raise error


#: Beside the routes: before anybody is known.
DISCOVERY: Final = Public(
    ROOT,
    discover,
    "says only which parts of the upload protocol there are",
    About("Discover Uploads", "Version and extensions of the upload protocol.", (), statuses=(204,)),
    method="OPTIONS",
)
UPLOADS: Final = (
    Manage(
        ROOT,
        uploads.terms,
        Action.PLATFORM_SETTING_READ,
        Operation.STORE,
        _PEOPLE,
        _STORE,
        About(
            "Show Upload Terms",
            "At which privacy levels people may upload, by the agreement, and the limits.",
            (JSON,),
            schema="UploadTerms",
        ),
    ),
    Manage(
        ROOT,
        uploads.create,
        Action.INGEST_UPLOAD_START,
        Operation.STORE,
        _PEOPLE,
        _STORE,
        About(
            "Create Upload",
            "Begin an upload of one file, or of several one behind the other (tus 1.0, Creation).",
            (JSON,),
            statuses=(201,),
            errors=(412, 413, 429, 507),
            schema="Upload",
        ),
        method="POST",
        beside=(Action.INGEST_OBJECT_REFUSE,),
    ),
    Manage(
        _ONE,
        uploads.show,
        Action.INGEST_UPLOAD_START,
        Operation.STORE,
        _PEOPLE,
        _STORE,
        About(
            "Show Upload",
            "How far an upload of one's own is, and what became of each of its files.",
            (JSON,),
            schema="Upload",
        ),
    ),
    Follow(
        _ONE,
        append,
        Action.INGEST_UPLOAD_START,
        Operation.STORE,
        _PEOPLE,
        _STORE,
        About(
            "Append to Upload",
            "The next bytes of an upload of one's own (tus 1.0, PATCH); durable before the answer.",
            (),
            consumes=(uploads.OFFSET,),
            statuses=(204,),
            errors=(409, 412, 413, 415, 429, 507),
        ),
        method="PATCH",
    ),
    Manage(
        _ONE,
        uploads.cancel,
        Action.INGEST_UPLOAD_ABANDON,
        Operation.STORE,
        _PEOPLE,
        _STORE,
        About(
            "End Upload",
            "Delete what has come of an upload of one's own (tus 1.0, Termination); what was stored of it stays.",
            (),
            statuses=(204,),
            errors=(409, 412),
        ),
        method="DELETE",
    ),
)
