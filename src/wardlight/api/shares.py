"""Sharing a study with an application or a colleague, and what became of that (R5.4)."""

from __future__ import annotations

from typing import Any, Final

from wardlight import clock
from wardlight.agreements.model import Level
from wardlight.agreements.purposes import PURPOSES
from wardlight.api.call import ApiRequest
from wardlight.api.fields import Fields
from wardlight.archive.share_store import Share
from wardlight.dicomweb.call import Answer, is_uid
from wardlight.errors import WardlightError
from wardlight.ingest.recipients import Recipient
from wardlight.ingest.sharing import Wish
from wardlight.trail.call import answer

_KNOWN: Final = frozenset({"application", "person", "level", "purpose", "until"})


def create(request: ApiRequest) -> Answer:
    """POST /api/v1/studies/{study}/shares."""
    fields = Fields(request.body, _KNOWN)
    if ("application" in fields) == ("person" in fields):
        raise WardlightError("bad-request", "share with either an application or a person")
    purpose = fields.text("purpose")
    if purpose not in PURPOSES:
        raise WardlightError("bad-request", "purpose is not known")
    wish = Wish(
        fields.text("application") if "application" in fields else None,
        fields.text("person") if "person" in fields else None,
        purpose,
        fields.choice("level", Level) if "level" in fields else None,
        fields.moment("until"),
    )
    row = request.platform.sharing.share(request.scope, _study(request), wish)
    return answer(_rows(request, [row])[0], status=202)


def listed(request: ApiRequest) -> Answer:
    """GET /api/v1/studies/{study}/shares."""
    rows = request.platform.sharing.listed(request.scope, _study(request))
    return answer({"shares": _rows(request, rows)})


def applications(request: ApiRequest) -> Answer:
    """GET /api/v1/recipients/applications."""
    rows = request.platform.recipients.applications(request.scope, request.actor)
    return answer({"recipients": [_recipient(row) for row in rows]})


def colleagues(request: ApiRequest) -> Answer:
    """GET /api/v1/recipients/colleagues."""
    rows = request.platform.recipients.colleagues(request.scope, request.actor)
    return answer({"recipients": [_recipient(row) for row in rows]})


def _recipient(row: Recipient) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "purposes": list(row.purposes),
        "levels": [level.value for level in row.levels],
        "access_s": row.access_s,
    }


def _study(request: ApiRequest) -> str:
    study = request.path["study"]
    if not is_uid(study):
        raise WardlightError("not-found")
    return study


def _rows(request: ApiRequest, rows: list[Share]) -> list[dict[str, Any]]:
    seen = request.platform.archive.study_uids(request.scope, [row.release for row in rows])
    return [_row(row, seen.get(row.release, (None, ""))[0]) for row in rows]


def _row(row: Share, study: str | None) -> dict[str, Any]:
    return {
        "id": row.id.hex,
        "application": row.application,
        "person": row.person,
        "level": row.level.value,
        "purpose": row.purpose,
        "until": clock.timestamp_ms(row.until_ms),
        "state": row.state.value,
        "reason": row.reason,
        "total": row.total,
        "stored": row.stored,
        "quarantined": row.quarantined,
        "study": study,
        "grant": row.access_grant.hex if row.access_grant else None,
        "created": clock.timestamp_ms(row.created_ms),
        "created_by": row.created_by,
    }
