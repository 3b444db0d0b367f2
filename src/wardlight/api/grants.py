"""Who can see what, why and until when; and the end of it (R5.4, R6.4)."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from wardlight import clock
from wardlight.access.model import Grant
from wardlight.api.call import ApiRequest
from wardlight.dicomweb.call import Answer, is_uid
from wardlight.errors import WardlightError
from wardlight.trail.call import answer

_PAGE: Final = 100
_MOST: Final = 500


def listed(request: ApiRequest) -> Answer:
    """GET /api/v1/grants: live grants, newest first; `ended=true`: those that are over, too."""
    query = request.query
    limit = _limit(query.get("limit", ""))
    group = None
    archive = request.platform.archive
    if study := query.get("study"):
        if not is_uid(study):
            raise WardlightError("bad-request", "study is not a UID")
        group = archive.study_group(request.scope, study)
    rows = request.platform.grants.listed(
        request.scope,
        application=query.get("application"),
        group=group,
        ended=query.get("ended") == "true",
        after=grant_id(query["after"]) if "after" in query else None,
        limit=limit + 1,
    )
    shown: dict[str, Any] = {"grants": _rows(request, rows[:limit])}
    if len(rows) > limit:
        shown["next"] = rows[limit - 1].id.hex
    return answer(shown)


def one(request: ApiRequest) -> Answer:
    """GET /api/v1/grants/{grant}."""
    row = request.platform.grants.find(request.scope, grant_id(request.path["grant"]))
    return answer(_rows(request, [row])[0])


def revoke(request: ApiRequest) -> Answer:
    """DELETE /api/v1/grants/{grant}: over for the next request, and for what is under way."""
    row = request.platform.grants.revoke(request.scope, grant_id(request.path["grant"]))
    return answer({"id": row.id.hex, "ended": True})


def grant_id(text: str) -> UUID:
    """A grant's id as it stands in addresses. Raises `not-found`."""
    if len(text) != 32 or not text.isascii():
        raise WardlightError("not-found")
    try:
        return UUID(hex=text)
    except ValueError:
        raise WardlightError("not-found") from None


def _limit(text: str) -> int:
    if not text:
        return _PAGE
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST:
        raise WardlightError("bad-request", f"limit is 1 to {_MOST}")
    return int(text)


def _rows(request: ApiRequest, rows: list[Grant]) -> list[dict[str, Any]]:
    seen = request.platform.archive.study_uids(request.scope, [row.release for row in rows])
    own = request.scope.granted
    groups = (
        {} if own else request.platform.archive.images_uids(request.scope, [row.study_group for row in rows])
    )
    return [_row(row, seen, groups, own=own) for row in rows]


def _row(
    row: Grant, seen: dict[UUID, tuple[str, str]], groups: dict[bytes, str], *, own: bool
) -> dict[str, Any]:
    study, level = seen.get(row.release, (None, ""))
    shown: dict[str, Any] = {
        "id": row.id.hex,
        "application": row.application,
        "study": study,
        "level": level,
        "purpose": " ".join(row.purposes),
        "purposes": list(row.purposes),
        "rights": sorted(row.rights),
        "agreement": row.agreement[0],
        "agreement_version": row.agreement[1],
        "not_before": clock.timestamp_ms(row.not_before_ms),
        "expires_at": clock.timestamp_ms(row.expires_ms),
    }
    if not own:
        shown |= {
            "person": row.person,
            "images_study": groups.get(row.study_group),
            "created": clock.timestamp_ms(row.created_ms),
            "created_by": row.created_by,
            "ended": clock.timestamp_ms(row.ended_ms) if row.ended_ms is not None else None,
            "ended_reason": row.ended_reason,
        }
    return shown
