"""Deletion of studies, its receipts, and whether what was deleted may come again (docs/reference/deletion.md)."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from wardlight import clock
from wardlight.api.call import ApiRequest
from wardlight.api.fields import parsed_id
from wardlight.archive.deletion import Asked
from wardlight.archive.receipts import described
from wardlight.audit.actions import Action
from wardlight.dicomweb.call import Answer, is_uid
from wardlight.errors import WardlightError
from wardlight.trail.call import answer

_PAGE: Final = 100
_MOST: Final = 500


def begin(request: ApiRequest) -> Answer:
    """DELETE /api/v1/studies/{study}: access is over with the answer; the rest follows."""
    study = request.path["study"]
    if not is_uid(study):
        raise WardlightError("bad-request", "study is not a UID")
    scope, platform = request.scope, request.platform
    try:
        row = platform.deletion.begin(scope.institution, study, Asked.of(scope))
    except WardlightError as error:
        if error.code == "forbidden":
            platform.access.deny(
                scope.principal,
                Action.ARCHIVE_STUDY_DELETE,
                error.reason,
                request=scope.request,
                address=scope.address,
            )
        raise
    told = {
        "id": row.id.hex,
        "state": row.state.value,
        "access_ended_at": clock.timestamp_ms(row.access_ended_ms),
        "receipt": f"/api/v1/deletions/{row.id.hex}/receipt",
    }
    return answer(told, 202, Location=f"/api/v1/deletions/{row.id.hex}")


def listed(request: ApiRequest) -> Answer:
    """GET /api/v1/deletions: newest first."""
    after = request.query.get("after")
    limit = _limit(request.query.get("limit", ""))
    rows = request.platform.deletion.listed(request.scope, parsed_id(after) if after else None, limit + 1)
    shown: dict[str, Any] = {"deletions": [described(one) for one in rows[:limit]]}
    if len(rows) > limit:
        shown["next"] = rows[limit - 1].row.id.hex
    return answer(shown)


def one(request: ApiRequest) -> Answer:
    """GET /api/v1/deletions/{deletion}."""
    return answer(described(request.platform.deletion.find(request.scope, _id(request))))


def receipt(request: ApiRequest) -> Answer:
    """GET /api/v1/deletions/{deletion}/receipt: signed, as the deletion stands now."""
    known = request.platform.deletion.find(request.scope, _id(request))
    return answer(request.platform.receipts.issue(known))


def allow(request: ApiRequest) -> Answer:
    """POST /api/v1/deletions/{deletion}/allow: the study may come again."""
    scope = request.scope
    row = request.platform.deletion.allow(scope.institution, _id(request), Asked.of(scope))
    assert row.allowed_ms is not None
    return answer({"id": row.id.hex, "allowed_again_at": clock.timestamp_ms(row.allowed_ms)})


def acknowledge(request: ApiRequest) -> Answer:
    """POST /api/v1/deletions/{deletion}/acknowledge: the application has deleted its copies."""
    id_ = _id(request)
    request.platform.deletion.acknowledge(request.scope, id_)
    return answer({"id": id_.hex, "acknowledged": True})


def _id(request: ApiRequest) -> UUID:
    return parsed_id(request.path["deletion"])


def _limit(text: str) -> int:
    if not text:
        return _PAGE
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST:
        raise WardlightError("bad-request", f"limit is 1 to {_MOST}")
    return int(text)
