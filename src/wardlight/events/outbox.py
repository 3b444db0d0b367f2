"""The outbox: events written in the transaction of what they tell (architecture.md decision 9), delivered later."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update

from wardlight import clock
from wardlight.classification.model import MACHINE, DataClass
from wardlight.classification.values import Fields
from wardlight.db.ids import uuid7
from wardlight.db.insert import upsert
from wardlight.db.prepared import Prepared
from wardlight.events.tables import counter, delivery, feed, outbox, webhook


class EventKind(StrEnum):
    """What can be told within the platform. A payload holds ids and counts only, never patient data or UIDs."""

    STUDY_STORED = "study.stored"
    STUDY_COMPLETED = "study.completed"
    STUDY_CHANGED = "study.changed"
    STUDY_DELETED = "study.deleted"
    DELETION_DONE = "deletion.done"
    GRANT_MADE = "grant.made"
    GRANT_ENDED = "grant.ended"
    UPLOAD_DONE = "upload.done"
    AGREEMENT_CHANGED = "agreement.changed"
    AGREEMENT_ENDED = "agreement.ended"
    WEBHOOK_DEAD = "webhook.dead"
    RECEIVER_SILENT = "receiver.silent"


class Kind(StrEnum):
    """What an application is told. TEST goes to the webhook that asks for it, and stands in no feed."""

    STUDY_AVAILABLE = "study.available"
    STUDY_CHANGED = "study.changed"
    ACCESS_REVOKED = "access.revoked"
    STUDY_DELETED = "study.deleted"
    AGREEMENT_CHANGED = "agreement.changed"
    MACHINE_DATA_AVAILABLE = "machine-data.available"
    TEST = "webhook.test"


#: Told only as long as the grant gives access.
WITH_ACCESS: Final = frozenset({Kind.STUDY_AVAILABLE, Kind.STUDY_CHANGED})
#: The stream of events about no study.
NO_STREAM: Final = UUID(int=0)
#: States of a delivery.
PENDING: Final = "pending"

#: Members of an event's data: ids (UUIDs in hexadecimal), counts, codes.
Data = Mapping[str, str | int | Sequence[str]]
#: What events within the platform may tell, with its class; by whom something was done, too, but nothing of patients.
EMITTED: Final = Fields(
    "event",
    {
        DataClass.STATUS: "deletion release releases instances grant upload files refused since",
        DataClass.CONFIGURATION: "application version receiver webhook",
        DataClass.ACCOUNT: "by person",
    },
    may=MACHINE | {DataClass.ACCOUNT},
)
#: What the data of an application's events, and so the bodies of its webhooks, may tell: of nobody at all.
TOLD: Final = Fields(
    "application's event",
    {
        DataClass.STATUS: "deletion instances quarantined reason records since state",
        DataClass.CONFIGURATION: "agreement class version",
    },
    may=MACHINE,
)

_ADD: Final = Prepared(insert(outbox))


def emit(tx: Connection, institution: UUID, kind: EventKind, payload: Mapping[str, str | int]) -> UUID:
    """Add one event to the caller's transaction; returns its id."""
    event = uuid7()
    row = {
        "id": event,
        "institution": institution,
        "kind": kind.value,
        "payload": _text(payload, EMITTED),
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


@dataclass(frozen=True, slots=True)
class Untaken:
    """An event that nobody has acted upon within the platform. payload: as it was emitted."""

    seq: int
    institution: UUID
    kind: EventKind
    payload: Mapping[str, str | int]
    created_ms: int


def untaken(tx: Connection, limit: int) -> list[Untaken]:
    """The oldest events that nobody has acted upon."""
    rows = tx.execute(
        select(outbox.c.seq, outbox.c.institution, outbox.c.kind, outbox.c.payload, outbox.c.created_ms)
        .where(outbox.c.taken_ms.is_(None))
        .order_by(outbox.c.seq)
        .limit(limit)
    )
    return [
        Untaken(row.seq, row.institution, EventKind(row.kind), json.loads(row.payload), row.created_ms)
        for row in rows
    ]


def take(tx: Connection, seq: int) -> bool:
    """Act upon an event in this transaction, if no other has; what follows from it follows once."""
    one = (outbox.c.seq == seq, outbox.c.taken_ms.is_(None))
    return tx.execute(update(outbox).where(*one).values(taken_ms=clock.unix_ms())).rowcount == 1


def prune(tx: Connection, before_ms: int) -> int:
    """Drop events that were acted upon before; returns how many."""
    return tx.execute(delete(outbox).where(outbox.c.taken_ms < before_ms)).rowcount


# ---- what applications are told ----

_ADD_TOLD: Final = Prepared(insert(feed))
_ADD_DELIVERIES: Final = Prepared(insert(delivery))
_WEBHOOKS: Final = Prepared(
    select(webhook.c.id).where(
        webhook.c.institution == bindparam("institution"),
        webhook.c.application == bindparam("application"),
        webhook.c.ended_ms.is_(None),
        # Between the spaces around it, so that no kind is found inside another.
        or_(webhook.c.kinds == "", webhook.c.kinds.contains(bindparam("kind"), autoescape=False)),
    )
)


def tell(
    tx: Connection,
    application: str,
    institution: UUID,
    kind: Kind,
    *,
    grant: UUID | None = None,
    study: UUID | None = None,
    data: Data | None = None,
) -> UUID:
    """Add one event to an application's feed, and to what its webhooks get, within the caller's transaction.

    grant: whose study it is about; the application reads the study's UID from it. study: id of the release, which
    orders deliveries and is not shown; the grant without it. data: ids, counts and codes, never a UID or patient data.
    Returns the event's id.

    Until the caller commits, others that tell the same application wait: who tells several does so in the order of
    their ids, or two could wait for each other.
    """
    stream = study or grant or NO_STREAM
    event, seq = _add(tx, application, institution, kind, grant, stream, data or {})
    hooks = _WEBHOOKS.all(
        tx, {"institution": institution, "application": application, "kind": f" {kind.value} "}
    )
    add_deliveries(tx, institution, [hook for (hook,) in hooks], event, seq, stream)
    return event


def tell_webhook(tx: Connection, application: str, institution: UUID, hook: UUID) -> UUID:
    """Add a test event for one webhook."""
    event, seq = _add(tx, application, institution, Kind.TEST, None, NO_STREAM, {})
    # Nothing waits for a test, and it waits for nothing.
    add_deliveries(tx, institution, [hook], event, seq, event)
    return event


def add_deliveries(
    tx: Connection, institution: UUID, hooks: Collection[UUID], event: UUID, seq: int, stream: UUID
) -> None:
    """Have an event delivered to these webhooks."""
    now = clock.unix_ms()
    rows = [
        {
            "id": uuid7(),
            "institution": institution,
            "webhook": hook,
            "event": event,
            "seq": seq,
            "stream": stream,
            "state": PENDING,
            "created_ms": now,
            "next_ms": now,
        }
        for hook in hooks
    ]
    if rows:
        _ADD_DELIVERIES.run(tx, rows)


def _add(
    tx: Connection,
    application: str,
    institution: UUID,
    kind: Kind,
    grant: UUID | None,
    stream: UUID,
    data: Data,
) -> tuple[UUID, int]:
    one = upsert(tx, counter).values(institution=institution, application=application, seq=1)
    counted = one.on_conflict_do_update(
        index_elements=[counter.c.institution, counter.c.application], set_={"seq": counter.c.seq + 1}
    ).returning(counter.c.seq)
    seq = int(tx.execute(counted).scalar_one())
    event = uuid7()
    row = {
        "institution": institution,
        "application": application,
        "seq": seq,
        "id": event,
        "kind": kind.value,
        "grant_id": grant,
        "stream": stream,
        "data": _text(data, TOLD),
        "created_ms": clock.unix_ms(),
    }
    _ADD_TOLD.run(tx, [row])
    return event, seq


def acknowledged(tx: Connection, institution: UUID, events: Collection[UUID]) -> dict[UUID, int]:
    """Those of these events that their applications have acknowledged, and when, in ms; for receipts of deletions."""
    query = select(feed.c.id, feed.c.acknowledged_ms).where(
        feed.c.institution == institution,
        feed.c.id.in_(bindparam("events", expanding=True)),
        feed.c.acknowledged_ms.is_not(None),
    )
    return {row.id: row.acknowledged_ms for row in tx.execute(query, {"events": list(events)})}


def _text(data: Data, fields: Fields) -> str:
    fields.require(data)
    return json.dumps(dict(data), sort_keys=True, separators=(",", ":"))
