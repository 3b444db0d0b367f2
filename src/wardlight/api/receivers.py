"""Receivers: a code for a new one, what it does with it, the digits by which it is let in, and its end."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final
from urllib.parse import urlsplit

from wardlight import clock
from wardlight.api.call import ApiRequest, OpenRequest
from wardlight.api.fields import Fields
from wardlight.api.told import told
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.identity.enrolments import Enrolment
from wardlight.identity.model import Receiver
from wardlight.trail.call import answer, parse_body

#: Enrolments from one address in an hour (security.md section 6).
_ENROLMENTS: Final = 5
_HOUR_S: Final = 3600
#: The title by which a receiver takes in for Images where no routes were made.
_AE_TITLE: Final = "TEAMPLAYISHARE"


def listed(request: ApiRequest) -> Answer:
    """GET /api/v1/receivers: with the digits of those that wait for them."""
    platform, institution = request.platform, request.scope.institution
    rows = platform.identity.receivers(institution)
    enrolments = {one.receiver: one for one in platform.enrolments.list(institution)}
    told(request, len(rows))
    seen, arrived = platform.enrolments.seen(institution), platform.archive.arrivals(request.scope)
    shown = [
        _row(row, enrolments.get(row.id)) | _health(seen.get(row.id), arrived.get(f"receiver:{row.id}"))
        for row in rows
    ]
    port = platform.dicom_port
    return answer({"receivers": shown} | ({"dicom": _dicom(request, port)} if port else {}))


def open_enrolment(request: ApiRequest) -> Answer:
    """POST /api/v1/receivers: a one-time code, for a new receiver or for a new key of one that is known."""
    platform, body = request.platform, Fields(request.body, frozenset({"name"}))
    institution = platform.identity.institution(str(request.scope.institution))
    row, code = platform.enrolments.open(institution, body.text("name"), by=request.actor)
    return answer({"id": row.id, "name": row.name, "code": code}, 201)


def confirm(request: ApiRequest) -> Answer:
    """POST /api/v1/receivers/{receiver}/confirm: the digits are those on the receiver's screen."""
    body = Fields(request.body, frozenset({"digits"}))
    institution, receiver = request.scope.institution, request.path["receiver"]
    row = request.platform.enrolments.confirm(institution, receiver, body.text("digits"), by=request.actor)
    return answer({"id": row.id, "name": row.name, "state": "active"})


def revoke(request: ApiRequest) -> Answer:
    """DELETE /api/v1/receivers/{receiver}: its next request is refused; it goes on spooling, and says so."""
    receiver = request.path["receiver"]
    request.platform.enrolments.revoke(request.scope.institution, receiver, by=request.actor)
    return answer({"id": receiver, "state": "revoked"})


def enrol(request: OpenRequest) -> Answer:
    """POST /api/v1/enrolments: a receiver brings its code and its key."""
    platform = request.platform
    with platform.database.begin() as tx:
        platform.rates.take(tx, f"enrol:{request.address}", _ENROLMENTS, _HOUR_S)
    body = Fields(parse_body(request.body), frozenset({"enrolment"}))
    signed = platform.enrolments.use(
        body.text("enrolment"), issuer=request.base_url, address=request.address, request=request.request
    )
    return answer({"enrolled": signed}, 201, **{"Cache-Control": "no-store"})


def witness_key(request: ApiRequest) -> Answer:
    """POST /api/v1/receiver/witness-key: the public key by which the receiver will cosign heads of the log."""
    platform, principal = request.platform, request.principal
    body = Fields(request.body, frozenset({"public"}))
    try:
        public = base64.b64decode(body.text("public"), validate=True)
    except (binascii.Error, ValueError):
        public = b""
    if len(public) != 32:
        raise WardlightError("bad-request", "public is not an Ed25519 key in base64")
    institution = platform.identity.institution(str(request.scope.institution))
    rows = [row for row in platform.identity.receivers(institution.id) if row.id == principal.id]
    key = platform.witnesses.enrol(institution, rows[0], public, by=request.actor)
    known = platform.audit_log.vkeys(platform.audit_log.logs(institution.id)[-1])
    # Whoever follows the log begins with its first key, and sees each rotation.
    return answer({"vkey": key.text, "log_vkey": known[0] if known else ""}, 201)


def _health(seen_ms: int | None, arrived_ms: int | None) -> dict[str, Any]:
    """seen: its newest token, null where that is older than a day. last_object: null where it was quiet for long."""
    return {
        "seen": clock.timestamp_ms(seen_ms) if seen_ms else None,
        "last_object": clock.timestamp_ms(arrived_ms) if arrived_ms else None,
    }


def _dicom(request: ApiRequest, port: int) -> dict[str, Any]:
    """Where a PACS sends to: the receiver on this machine, by the title that each receiver has."""
    return {"host": urlsplit(request.base_url).hostname or "", "port": port, "ae_title": _AE_TITLE}


def _row(row: Receiver, enrolment: Enrolment | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "state": row.state,
        "created": clock.timestamp_ms(row.created_ms),
    }
    if enrolment is not None:
        shown |= {"enrolment": enrolment.state, "code_expires": clock.timestamp_ms(enrolment.code_expires_ms)}
    return shown | ({"digits": enrolment.digits} if enrolment and enrolment.state == "waiting" else {})
