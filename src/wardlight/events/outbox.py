"""The outbox: events written in the transaction of what they tell (architecture.md decision 9), delivered later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, insert, select

from wardlight import clock
from wardlight.db.ids import uuid7
from wardlight.db.prepared import Prepared
from wardlight.events.tables import outbox


class EventKind(StrEnum):
    """What can be told. A payload holds ids and counts only, never patient data or UIDs."""

    STUDY_STORED = "study.stored"
    STUDY_COMPLETED = "study.completed"
    STUDY_CHANGED = "study.changed"


_ADD: Final = Prepared(insert(outbox))


def emit(tx: Connection, institution: UUID, kind: EventKind, payload: Mapping[str, str | int]) -> UUID:
    """Add one event to the caller's transaction; returns its id."""
    event = uuid7()
    text = json.dumps(dict(payload), sort_keys=True, separators=(",", ":"))
    row = {
        "id": event,
        "institution": institution,
        "kind": kind.value,
        "payload": text,
        "created_ms": clock.unix_ms(),
    }
    _ADD.run(tx, [row])
    return event


def pending(
    tx: Connection, after: int = 0, limit: int = 100
) -> list[tuple[int, EventKind, dict[str, str | int]]]:
    """Events above the sequence number `after`, oldest first: (sequence number, kind, payload)."""
    rows = tx.execute(
        select(outbox.c.seq, outbox.c.kind, outbox.c.payload)
        .where(outbox.c.seq > after)
        .order_by(outbox.c.seq)
        .limit(limit)
    )
    return [(row.seq, EventKind(row.kind), json.loads(row.payload)) for row in rows]
