"""Results of applications on their way back to the hospital, collected by the receiver that their study came from."""

from __future__ import annotations

from typing import Any, Final

from wardlight import clock
from wardlight.api.call import ApiRequest
from wardlight.api.fields import Fields, parsed_id
from wardlight.archive.results import Waiting
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.trail.call import answer

_DICOM: Final = "application/dicom"


def waiting(request: ApiRequest) -> Answer:
    """GET /api/v1/receiver/results."""
    rows = request.platform.archive.results.waiting(request.scope)
    return answer({"results": [_row(one) for one in rows]})


def take(request: ApiRequest) -> Answer:
    """GET /api/v1/receiver/results/{result}: its bytes, once."""
    found, pieces = request.platform.archive.results.take(request.scope, parsed_id(request.path["result"]))
    return Answer(pieces, _DICOM, length=found.location.length)


def acknowledge(request: ApiRequest) -> Answer:
    """POST /api/v1/receiver/results/{result}/acknowledge: it arrived, or has to be handed out again."""
    fields = Fields(request.body, frozenset({"received"}))
    if "received" not in fields:
        raise WardlightError("bad-request", "received is missing")
    received = fields.flag("received")
    request.platform.archive.results.acknowledge(
        request.scope, parsed_id(request.path["result"]), received=received
    )
    return answer({"id": request.path["result"], "received": received})


def _row(one: Waiting) -> dict[str, Any]:
    place = one.location
    return {
        "id": one.row.id.hex,
        "application": one.row.application,
        "release_application": place.application,
        "level": place.level.value,
        "study": place.study_uid,
        "series": place.series_uid,
        "instance": place.sop_uid,
        "sop_class": place.sop_class,
        "bytes": place.length,
        "created": clock.timestamp_ms(one.row.created_ms),
        "handed_out": one.row.collected_ms is not None,
    }
