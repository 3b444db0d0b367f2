"""Pre-authorised links: made under a grant, opened by whoever has them while they hold (R6.7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from wardlight import clock
from wardlight.access.model import Scope
from wardlight.api.call import ApiRequest, OpenRequest
from wardlight.api.fields import Fields, parsed_id
from wardlight.archive.links import LIFE_S
from wardlight.archive.model import InstanceLocation
from wardlight.archive.service import Archive
from wardlight.dicomweb.archive_zip import zipped
from wardlight.dicomweb.call import Answer, is_uid
from wardlight.dicomweb.conditional import entity_tag
from wardlight.dicomweb.media import DICOM
from wardlight.errors import WardlightError
from wardlight.trail.call import answer

_KNOWN: Final = frozenset({"instance", "seconds", "network"})
#: What a link shows is for whom it was given, and is kept by nobody on the way.
_PRIVATE: Final = {"Cache-Control": "private, no-store", "Referrer-Policy": "no-referrer"}


def create(request: ApiRequest) -> Answer:
    """POST /api/v1/grants/{grant}/urls."""
    fields = Fields(request.body, _KNOWN)
    sop_uid = fields.text("instance", "") or None
    if sop_uid is not None and not is_uid(sop_uid):
        raise WardlightError("bad-request", "instance is not a UID")
    link = request.platform.links.create(
        request.scope,
        parsed_id(request.path["grant"]),
        sop_uid,
        life_s=fields.number("seconds", LIFE_S),
        network=fields.text("network", ""),
    )
    expires = clock.timestamp_ms(link.expires_s * 1000)
    return answer({"url": request.base_url + link.path, "expires_at": expires}, status=201)


def study(request: OpenRequest) -> Answer:
    """GET /dicom-web/p/{grant}/study: a zip of its DICOM files."""
    return _shown(request, None)


def instance(request: OpenRequest) -> Answer:
    """GET /dicom-web/p/{grant}/instance/{row}: a DICOM file as it is stored."""
    return _shown(request, request.path["row"])


def _shown(request: OpenRequest, row: str | None) -> Answer:
    archive = request.platform.archive
    opened = request.platform.links.open(
        request.path["grant"], row, request.query, request=request.request, address=request.address
    )
    scope = opened.scope
    places = archive.instances(scope, opened.study_uid, opened.series_uid, opened.sop_uid)
    if any(place.release != opened.release for place in places):
        # Its holder sees another release under this UID; the link is for this one.
        raise WardlightError("not-found")
    shown = zipped(archive, scope, places, "study") if row is None else _file(archive, scope, places[0])
    return replace(shown, headers={**shown.headers, **_PRIVATE}, shown_to=scope)


def _file(archive: Archive, scope: Scope, place: InstanceLocation) -> Answer:
    uncounted = iter((1,))

    def read(start: int, end: int) -> Iterator[bytes]:
        # A request for ranges counts as one for the instance, however little of it they are.
        return archive.read(scope, place, start, end, instances=next(uncounted, 0))

    media = f"{DICOM}; transfer-syntax={place.transfer_syntax}"
    return Answer(read, media, length=place.length, etag=entity_tag("instance", place.row))
