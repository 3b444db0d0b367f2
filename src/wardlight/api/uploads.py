"""Uploads by people, as the tus protocol 1.0 has them (docs/reference/uploads.md); bytes come by `web/uploads`."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final
from uuid import UUID

from wardlight import clock
from wardlight.agreements.model import Level
from wardlight.api.call import ApiRequest
from wardlight.api.told import told
from wardlight.archive.upload_store import Upload, UploadState
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.ingest.uploads import CHECKSUMS, MOST_FILES
from wardlight.trail.call import JSON, answer

#: The protocol's version, and what of its extensions there is.
VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,expiration,checksum,termination"
OFFSET: Final = "application/offset+octet-stream"
_NONE: Final[Mapping[str, str]] = {}
_DIGITS: Final = 16
_METADATA: Final = 32 << 10


def terms(request: ApiRequest) -> Answer:
    """GET /api/v1/uploads: at which levels people may upload, and the limits."""
    uploads = request.platform.uploads
    agreement = uploads.agreed(request.scope)
    levels = [level.value for level in Level if level in agreement.levels]
    told(request, len(levels))
    return answer(
        {
            "levels": levels,
            "agreement": {"id": agreement.id, "version": agreement.version},
            "file_bytes": uploads.limits.file_bytes,
            "files": MOST_FILES,
            "hours": uploads.limits.hours,
        }
    )


def create(request: ApiRequest) -> Answer:
    """POST /api/v1/uploads (tus 1.0, Creation)."""
    require_version(request.headers)
    length = whole(request.headers, "upload-length")
    sent = _metadata(request.headers.get("upload-metadata", ""))
    level = sent.get("level", "")
    if level not in set(Level):
        raise WardlightError("bad-request", "the level is not known", "level")
    sizes = [_whole(one) for one in sent["sizes"].split(",")] if "sizes" in sent else [length]
    if not 1 <= len(sizes) <= MOST_FILES or sum(sizes) != length or min(sizes) < 1:
        raise WardlightError("bad-request", "the files' lengths do not add up to the upload's", "sizes")
    row = request.platform.uploads.create(request.scope, sizes, Level(level))
    location = f"{request.base_url}/api/v1/uploads/{row.id.hex}"
    return _answer(row, 201, {"Location": location})


def show(request: ApiRequest) -> Answer:
    """GET and HEAD /api/v1/uploads/{upload}: how far it is, and what became of its files."""
    row = request.platform.uploads.show(request.scope, upload_id(request.path))
    return _answer(row)


def cancel(request: ApiRequest) -> Answer:
    """DELETE /api/v1/uploads/{upload} (tus 1.0, Termination)."""
    id_ = upload_id(request.path)
    require_version(request.headers)
    request.platform.uploads.cancel(request.scope, id_)
    return Answer(b"", "", 204, {"Tus-Resumable": VERSION})


def upload_id(path: Mapping[str, str]) -> UUID:
    """The upload that a path names. Raises `not-found`."""
    text = path["upload"]
    if len(text) != 32 or not all(one in "0123456789abcdef" for one in text):
        raise WardlightError("not-found")
    return UUID(hex=text)


def require_version(headers: Mapping[str, str]) -> None:
    """Raise `precondition-failed` unless the client speaks this version (tus 1.0, Tus-Resumable)."""
    if headers.get("tus-resumable") != VERSION:
        supported = {"Tus-Version": VERSION, "Tus-Resumable": VERSION}
        raise WardlightError(
            "precondition-failed", f"Tus-Resumable must be {VERSION}", "version", headers=supported
        )


def whole(headers: Mapping[str, str], name: str) -> int:
    """A whole number of a header. Raises `bad-request`."""
    return _whole(headers.get(name, ""), name)


def headers_of(row: Upload) -> dict[str, str]:
    """How far an upload is, as headers."""
    expires = datetime.fromtimestamp(row.expires_ms // 1000, UTC)
    return {
        "Tus-Resumable": VERSION,
        "Upload-Offset": str(row.taken),
        "Upload-Length": str(row.length),
        "Upload-Expires": format_datetime(expires, usegmt=True),
        "Cache-Control": "no-store",
    }


def shown(row: Upload) -> dict[str, Any]:
    """How far an upload is, as JSON. results: of the first files; more follow until it is done."""
    return {
        "id": row.id.hex,
        "state": row.state.value,
        "level": row.level.value,
        "length": row.length,
        "offset": row.taken,
        "files": len(row.sizes),
        "results": [_result(one) for one in row.results],
        "created": clock.timestamp_ms(row.created_ms),
        "expires": clock.timestamp_ms(row.expires_ms),
        "finished": row.state is UploadState.DONE,
    }


def _answer(row: Upload, status: int = 200, headers: Mapping[str, str] = _NONE) -> Answer:
    return Answer(json.dumps(shown(row)).encode(), JSON, status, {**headers_of(row), **headers})


def _result(text: str) -> dict[str, str | None]:
    kind, _, reason = text.partition(":")
    return {"result": kind, "reason": reason or None}


def _whole(text: str, name: str = "sizes") -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise WardlightError("bad-request", f"{name} must be a whole number", name)
    return int(text)


def _metadata(text: str) -> dict[str, str]:
    """Names and values of Upload-Metadata. Raises `bad-request`."""
    if len(text) > _METADATA:
        raise WardlightError("bad-request", "the metadata is too long", "metadata")
    found: dict[str, str] = {}
    for pair in filter(None, (one.strip() for one in text.split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            raise WardlightError("bad-request", "the metadata is not base64", "metadata") from None
    if not found.keys() <= {"level", "sizes"}:
        # Names of files name people: none is taken.
        raise WardlightError("bad-request", "the metadata has level and sizes only", "metadata")
    return found


#: Offered with OPTIONS.
DISCOVERY: Final = {
    "Tus-Resumable": VERSION,
    "Tus-Version": VERSION,
    "Tus-Extension": EXTENSIONS,
    "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
}
