"""What protection holds back of uploads, and what people decide about it (docs/reference/quarantine.md)."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from wardlight import clock
from wardlight.access.model import Role
from wardlight.api.call import ApiRequest
from wardlight.api.fields import Fields, parsed_id
from wardlight.archive.quarantine_store import Held
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.ingest.quarantine import findings
from wardlight.trail.call import answer

_PAGE: Final = 50
_MOST: Final = 200


def listed(request: ApiRequest) -> Answer:
    """GET /api/v1/quarantine: newest first; clinicians see what they sent."""
    after, limit = request.query.get("after"), _limit(request.query.get("limit", ""))
    rows = request.platform.quarantine.listed(request.scope, parsed_id(after) if after else None, limit + 1)
    shown: dict[str, Any] = {"files": [_shown(request, row) for row in rows[:limit]]}
    if len(rows) > limit:
        shown["next"] = rows[limit - 1].id.hex
    return answer(shown)


def one(request: ApiRequest) -> Answer:
    """GET /api/v1/quarantine/{held}."""
    return answer(_shown(request, request.platform.quarantine.find(request.scope, _id(request))))


def retry(request: ApiRequest) -> Answer:
    """POST /api/v1/quarantine/{held}/retry: protection is tried again, with the profile as it is now."""
    return answer(_shown(request, request.platform.quarantine.retry(request.scope, _id(request))), 202)


def release(request: ApiRequest) -> Answer:
    """POST /api/v1/quarantine/{held}/release: what was found is a false alarm."""
    fields = Fields(request.body, frozenset({"why", "findings"}))
    accepted = sorted(fields.words("findings"))
    row = request.platform.quarantine.release(request.scope, _id(request), fields.text("why"), accepted)
    return answer(_shown(request, row), 202)


def discard(request: ApiRequest) -> Answer:
    """DELETE /api/v1/quarantine/{held}: nobody sees it from now on; key and bytes follow."""
    request.platform.quarantine.discard(request.scope, _id(request))
    return Answer(b"", "", 204)


def held_id(path: str) -> UUID:
    """The file that a path names. Raises `not-found`."""
    return parsed_id(path)


def _id(request: ApiRequest) -> UUID:
    return held_id(request.path["held"])


def _shown(request: ApiRequest, row: Held) -> dict[str, Any]:
    role = request.principal.role
    decides = role in (Role.ADMINISTRATOR, Role.PRIVACY_OFFICER)
    return {
        "id": row.id.hex,
        "state": row.state.value,
        "level": row.level.value,
        "sop_class": row.sop_class or None,
        "bytes": row.length,
        "upload": row.upload.hex,
        "file": row.place + 1,
        "sent_by": row.person,
        "own": row.person == request.principal.id,
        "reasons": [_reason(one) for one in row.reasons],
        "findings": list(findings(row)) if decides else [],
        "created": clock.timestamp_ms(row.created_ms),
        "expires": clock.timestamp_ms(row.expires_ms),
        "tried": clock.timestamp_ms(row.tried_ms) if row.tried_ms is not None else None,
        "picture": role is not Role.PRIVACY_OFFICER,
    }


def _reason(text: str) -> dict[str, Any]:
    """A code, and the tags that lead to where it was found."""
    code, _, place = text.partition("(")
    tags = [one.replace(",", "").upper() for one in place.rstrip(")").split(")(")] if place else []
    return {"code": code.strip(), "tags": tags}


def _limit(text: str) -> int:
    if not text:
        return _PAGE
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST:
        raise WardlightError("bad-request", f"limit is 1 to {_MOST}")
    return int(text)
