"""Results of one application for another, which the receiver that made both releases makes anew."""

from __future__ import annotations

import re
from typing import Any, Final

from wardlight import clock
from wardlight.api.call import ApiRequest
from wardlight.api.fields import Fields, parsed_id
from wardlight.archive.handover import Waiting
from wardlight.archive.handover_store import State
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.trail.call import answer

_DICOM: Final = "application/dicom"
_REASON: Final = re.compile(r"[a-z0-9][a-z0-9:-]{0,39}")


def waiting(request: ApiRequest) -> Answer:
    """GET /api/v1/receiver/handovers."""
    rows = request.platform.archive.handovers.waiting(request.scope)
    return answer({"handovers": [_row(one) for one in rows]})


def take(request: ApiRequest) -> Answer:
    """GET /api/v1/receiver/handovers/{handover}: the result as its application stored it."""
    handovers = request.platform.archive.handovers
    found, pieces = handovers.take(request.scope, parsed_id(request.path["handover"]))
    return Answer(pieces, _DICOM, length=found.location.length)


def settle(request: ApiRequest) -> Answer:
    """POST /api/v1/receiver/handovers/{handover}/settle: it cannot be done, or not now."""
    fields = Fields(request.body, frozenset({"reason"}))
    reason = fields.text("reason") if "reason" in fields else ""
    if reason and not _REASON.fullmatch(reason):
        raise WardlightError("bad-request", "the reason is a code", "reason")
    id_ = parsed_id(request.path["handover"])
    request.platform.archive.handovers.settle(request.scope, id_, reason)
    return answer({"id": request.path["handover"], "reason": reason})


def _row(one: Waiting) -> dict[str, Any]:
    place = one.location
    return {
        "id": one.row.id.hex,
        "application": one.row.application,
        "release_level": place.level.value,
        "recipient": one.row.recipient,
        "level": one.level.value,
        "study": place.study_uid,
        "instance": place.sop_uid,
        "bytes": place.length,
        "created": clock.timestamp_ms(one.row.created_ms),
        "handed_out": one.row.state is State.TAKEN,
    }
