"""What the receiver is doing, for `wardlight receiver status`: read from its database, its disk, the platform."""

from __future__ import annotations

import base64
import http.client
import os
import ssl
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Row, func, select

from wardlight import clock
from wardlight.errors import WardlightError
from wardlight.receiver import agreed, shipping
from wardlight.receiver.connection import Address
from wardlight.receiver.followed import NOTE
from wardlight.receiver.model import HANDOVERS_NOTE, UploadState
from wardlight.receiver.places import database_path, platform_address, spool_dir
from wardlight.receiver.secrets import CREDENTIAL_FILE, TOKEN_FILE, WITNESS_FILE
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.tables import (
    agreed_target,
    audit_pending,
    audit_refused,
    followed,
    meter,
    quarantine,
    spool_file,
    spooled,
    state,
    upload,
)
from wardlight.settings import Settings

#: Throughput is averaged over so many whole minutes.
_MINUTES: Final = 5
_REACH_S: Final = 3.0


def status(chosen: Settings, *, ask_platform: bool = True) -> dict[str, Any]:
    """Everything `status` shows, as JSON can hold it. No value is of a patient."""
    store = ReceiverStore(database_path(chosen))
    try:
        result = _from_database(store)
        result["agreements"] = _agreements(store)
    finally:
        store.close()
    result["spool"] |= _disk(spool_dir(chosen))
    # The one tier that is built: key files of the service's user outside the data folder (security.md section 5).
    result["spool"]["key_tier"] = 3
    files = (chosen.receiver_secrets / CREDENTIAL_FILE, chosen.receiver_secrets / TOKEN_FILE)
    result["platform"]["credential"] = any(file.exists() for file in files)
    result["witness"]["key"] = (chosen.receiver_secrets / WITNESS_FILE).exists()
    if ask_platform:
        result["platform"]["reachable"], result["platform"]["why"] = reachable(platform_address(chosen))
    return result


def reachable(address: Address) -> tuple[bool, str]:
    """Whether the platform answers that it is ready; else why not, in a word."""
    try:
        connection, path = address.open("/readyz", _REACH_S)
        try:
            connection.request("GET", path)
            status = connection.getresponse().status
        finally:
            connection.close()
    except ssl.SSLCertVerificationError as error:
        return False, f"certificate not trusted: {error.verify_message}"
    except (OSError, http.client.HTTPException, WardlightError) as error:
        return False, type(error).__name__
    return status == 200, "" if status == 200 else f"HTTP {status}"


def _from_database(store: ReceiverStore) -> dict[str, Any]:
    minute = clock.unix_ms() // 60_000
    with store.database.read() as tx:
        pending = tx.execute(
            select(
                func.count(),
                func.count(upload.c.object_id.distinct()),
                func.coalesce(func.sum(spooled.c.length), 0),
                func.min(spooled.c.received_ms),
                func.coalesce(func.max(upload.c.attempts), 0),
            )
            .join(spooled, spooled.c.id == upload.c.object_id)
            .where(upload.c.state == UploadState.PENDING)
        ).one()
        held = tx.execute(
            select(func.count(), func.min(spooled.c.received_ms))
            .join(spooled, spooled.c.id == upload.c.object_id)
            .where(upload.c.state == UploadState.HELD)
        ).one()
        damaged = tx.execute(select(func.count()).where(spool_file.c.damaged)).scalar_one()
        files = tx.execute(select(func.count()).select_from(spool_file)).scalar_one()
        reasons = Counter(
            found[0] if found else "" for found in tx.execute(select(quarantine.c.reasons)).scalars()
        )
        notes = {row.name: row for row in tx.execute(select(state))}
        counters = tx.execute(
            select(
                meter.c.kind, func.sum(meter.c["count"]), func.sum(meter.c.bytes), func.max(meter.c.last_ms)
            ).group_by(meter.c.kind)
        ).all()
        recent = tx.execute(
            select(meter.c.kind, func.sum(meter.c["count"]), func.sum(meter.c.bytes))
            .where(meter.c.minute > minute - _MINUTES)
            .group_by(meter.c.kind)
        ).all()
        audit = tx.execute(select(func.count()).select_from(audit_pending)).scalar_one()
        refused = tx.execute(select(func.count()).select_from(audit_refused)).scalar_one()
        logs = tx.execute(select(followed).order_by(followed.c.number.desc())).all()
    return {
        "port": int(notes["port"].value) if "port" in notes else None,
        "queue": {
            "uploads": pending[0],
            "objects": pending[1],
            "bytes": int(pending[2]),
            "oldest": _moment(pending[3]),
            "attempts": pending[4],
        },
        # Of studies that were deleted on the platform, where somebody has to decide about them.
        "held_deleted": {"uploads": held[0], "oldest": _moment(held[1])},
        "last_day": {
            row[0]: {"instances": row[1], "bytes": row[2], "last": _moment(row[3])} for row in counters
        },
        "throughput": {
            row[0]: {
                "instances_per_s": round(row[1] / _MINUTES / 60, 2),
                "bytes_per_s": row[2] // (_MINUTES * 60),
            }
            for row in recent
        },
        "quarantine": {"objects": reasons.total(), "reasons": dict(reasons.most_common())},
        "platform": {
            "last": notes["platform"].value if "platform" in notes else None,
            "since": _moment(notes["platform"].at_ms) if "platform" in notes else None,
            "refused": {
                name.removeprefix("target:"): {"reason": row.value, "since": _moment(row.at_ms)}
                for name, row in notes.items()
                if name.startswith("target:")
            },
        },
        "spool": {"files": files, "damaged_files": damaged},
        "audit_pending": audit,
        "audit": {
            "refused": refused,
            "last": notes[shipping.NOTE].value if shipping.NOTE in notes else None,
            "since": _moment(notes[shipping.NOTE].at_ms) if shipping.NOTE in notes else None,
        },
        "handovers": {
            "last": notes[HANDOVERS_NOTE].value if HANDOVERS_NOTE in notes else None,
            "since": _moment(notes[HANDOVERS_NOTE].at_ms) if HANDOVERS_NOTE in notes else None,
        },
        "witness": {
            "last": notes[NOTE].value if NOTE in notes else None,
            "since": _moment(notes[NOTE].at_ms) if NOTE in notes else None,
            # The generation that is followed, and those before it.
            "logs": [_followed(row) for row in logs],
        },
    }


def _agreements(store: ReceiverStore) -> dict[str, Any]:
    """What is agreed, and what was acknowledged but may not leave: it stays in the spool, encrypted (R2.2)."""
    known = agreed.read(store.database)
    reason = func.coalesce(agreed_target.c.reason, "no-agreement")
    query = (
        select(
            upload.c.application,
            upload.c.level,
            reason.label("reason"),
            func.count().label("objects"),
            func.sum(spooled.c.length).label("bytes"),
            func.min(spooled.c.received_ms).label("oldest"),
        )
        .join(spooled, spooled.c.id == upload.c.object_id)
        .outerjoin(
            agreed_target,
            (agreed_target.c.application == upload.c.application) & (agreed_target.c.level == upload.c.level),
        )
        .where(upload.c.state == UploadState.PENDING, reason != "")
        .group_by(upload.c.application, upload.c.level, reason)
        .order_by(upload.c.application, upload.c.level)
    )
    with store.database.read() as tx:
        held = tx.execute(query).all() if known.reasons is not None else []
        note = tx.execute(select(state).where(state.c.name == agreed.NOTE)).first()
    return {
        "known": known.reasons is not None,
        "last": note.value if note else None,
        "since": _moment(note.at_ms) if note else None,
        "held": [
            {
                "application": row.application,
                "level": row.level,
                "reason": row.reason,
                "objects": row.objects,
                "bytes": int(row.bytes),
                "oldest": _moment(row.oldest),
            }
            for row in held
        ],
    }


def _followed(row: Row[Any]) -> dict[str, Any]:
    alarm = {"reason": row.alarm, "since": _moment(row.alarm_ms), "note": row.alarm_note}
    return {
        "origin": row.origin,
        "size": row.size,
        "root": base64.b64encode(row.root).decode(),
        "note": row.note,
        "seen": _moment(row.seen_ms or None),
        "cosigned": {"size": row.cosigned_size, "at": _moment(row.cosigned_ms or None)},
        "alarm": alarm if row.alarm else None,
    }


def _disk(directory: Path) -> dict[str, int]:
    while not directory.exists():
        directory = directory.parent
    disk = os.statvfs(directory)
    return {"free_bytes": disk.f_bavail * disk.f_frsize, "disk_bytes": disk.f_blocks * disk.f_frsize}


def _moment(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return clock.timestamp(datetime.fromtimestamp(milliseconds / 1000, UTC))
