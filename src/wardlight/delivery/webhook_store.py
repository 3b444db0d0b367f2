"""All SQL about webhooks and their deliveries."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, insert, or_, select, update

from wardlight.delivery.model import Delivery, State, Webhook
from wardlight.events.outbox import Kind
from wardlight.events.tables import delivery, feed, webhook
from wardlight.identity.store import ACTIVE
from wardlight.identity.tables import application, institution

_WEBHOOK: Final = select(
    webhook.c.id,
    webhook.c.institution,
    webhook.c.application,
    webhook.c.url,
    webhook.c.kinds,
    webhook.c.secret,
    webhook.c.old_secret,
    webhook.c.old_until_ms,
    webhook.c.created_ms,
    webhook.c.failures,
    webhook.c.next_ms,
)
_DELIVERY: Final = select(
    delivery.c.id,
    delivery.c.webhook,
    delivery.c.event,
    feed.c.kind,
    delivery.c.state,
    delivery.c.attempts,
    delivery.c.created_ms,
    delivery.c.next_ms,
    delivery.c.tried_ms,
    delivery.c.ended_ms,
    delivery.c.status,
    delivery.c.reason,
).select_from(delivery.outerjoin(feed, feed.c.id == delivery.c.event))


_earlier: Final = delivery.alias("earlier")


def _webhook(row: Row[*tuple[Any, ...]]) -> Webhook:
    values = list(row)
    values[4] = tuple(Kind(kind) for kind in row.kinds.split())
    return Webhook(*values)


def _delivery(row: Row[*tuple[Any, ...]]) -> Delivery:
    values = list(row)
    values[3] = row.kind or ""
    values[4] = State(row.state)
    return Delivery(*values)


def _spaced(kinds: tuple[Kind, ...]) -> str:
    return f" {' '.join(kinds)} " if kinds else ""


# ---- webhooks ----


def add(tx: Connection, row: Webhook) -> None:
    """Insert a webhook."""
    values = {
        "id": row.id,
        "institution": row.institution,
        "application": row.application,
        "url": row.url,
        "kinds": _spaced(row.kinds),
        "secret": row.secret,
        "created_ms": row.created_ms,
    }
    tx.execute(insert(webhook), values)


def of(tx: Connection, institution_id: UUID, application_id: str) -> list[Webhook]:
    """The webhooks of an application at an institution, oldest first."""
    mine = (webhook.c.institution == institution_id, webhook.c.application == application_id)
    rows = tx.execute(_WEBHOOK.where(*mine, webhook.c.ended_ms.is_(None)).order_by(webhook.c.created_ms))
    return [_webhook(row) for row in rows]


def everywhere(tx: Connection, application_id: str | None) -> list[Webhook]:
    """Those of all institutions, or of one application at them."""
    query = _WEBHOOK.where(webhook.c.ended_ms.is_(None))
    if application_id is not None:
        query = query.where(webhook.c.application == application_id)
    return [_webhook(row) for row in tx.execute(query.order_by(webhook.c.application, webhook.c.created_ms))]


def by_id(tx: Connection, id_: UUID) -> Webhook | None:
    """The webhook of this id, if it has not ended."""
    row = tx.execute(_WEBHOOK.where(webhook.c.id == id_, webhook.c.ended_ms.is_(None))).first()
    return _webhook(row) if row else None


def change(tx: Connection, id_: UUID, url: str, kinds: tuple[Kind, ...]) -> None:
    """Deliver elsewhere or other events; what failed there before says nothing of the new place."""
    values = {"url": url, "kinds": _spaced(kinds), "failures": 0, "next_ms": 0}
    tx.execute(update(webhook).where(webhook.c.id == id_).values(values))


def rotate(tx: Connection, id_: UUID, secret: bytes, old_until_ms: int) -> None:
    """Sign with a new secret, and until then with the one before."""
    values = {"old_secret": webhook.c.secret, "secret": secret, "old_until_ms": old_until_ms}
    tx.execute(update(webhook).where(webhook.c.id == id_).values(values))


def end(tx: Connection, id_: UUID, now_ms: int) -> int:
    """Deliver nothing more; returns how many deliveries were dropped by it."""
    nothing = {"ended_ms": now_ms, "secret": b"", "old_secret": None}
    tx.execute(update(webhook).where(webhook.c.id == id_).values(nothing))
    waiting = update(delivery).where(delivery.c.webhook == id_, delivery.c.state == State.PENDING)
    return tx.execute(waiting.values(state=State.DROPPED.value, ended_ms=now_ms)).rowcount


# ---- the log of deliveries ----


def deliveries(
    tx: Connection, id_: UUID, state: State | None, before: UUID | None, limit: int
) -> list[Delivery]:
    """Deliveries of a webhook, newest first."""
    query = _DELIVERY.where(delivery.c.webhook == id_)
    if state is not None:
        query = query.where(delivery.c.state == state.value)
    if before is not None:
        query = query.where(delivery.c.id < before)
    # Ids are of version 7: their order is that of time.
    return [_delivery(row) for row in tx.execute(query.order_by(delivery.c.id.desc()).limit(limit))]


def delivery_by_id(tx: Connection, webhook_id: UUID, id_: UUID) -> Delivery | None:
    """One delivery of a webhook."""
    row = tx.execute(_DELIVERY.where(delivery.c.webhook == webhook_id, delivery.c.id == id_)).first()
    return _delivery(row) if row else None


def dead(tx: Connection, webhook_id: UUID) -> list[Delivery]:
    """What was given up at a webhook, oldest first."""
    query = _DELIVERY.where(delivery.c.webhook == webhook_id, delivery.c.state == State.DEAD.value)
    return [_delivery(row) for row in tx.execute(query.order_by(delivery.c.id).limit(1000))]


def again(tx: Connection, webhook_id: UUID, id_: UUID, now_ms: int) -> None:
    """Deliver once more, from now on."""
    values = {
        "state": State.PENDING.value,
        "attempts": 0,
        "created_ms": now_ms,
        "next_ms": now_ms,
        "ended_ms": None,
    }
    tx.execute(update(delivery).where(delivery.c.id == id_).values(values))
    tx.execute(update(webhook).where(webhook.c.id == webhook_id).values(next_ms=0))


def waiting(tx: Connection, webhook_id: UUID) -> dict[State, int]:
    """Of the deliveries of a webhook, how many are in which state: those that wait and those that were given up."""
    counted = {}
    for state in (State.PENDING, State.DEAD):
        mine = (delivery.c.webhook == webhook_id, delivery.c.state == state.value)
        counted[state] = len(tx.execute(select(delivery.c.id).where(*mine).limit(10_000)).all())
    return counted


def prune(tx: Connection, before_ms: int) -> int:
    """Drop what has ended before."""
    return tx.execute(delete(delivery).where(delivery.c.ended_ms < before_ms)).rowcount


# ---- delivering ----


def due(tx: Connection, now_ms: int, limit: int) -> list[tuple[UUID, UUID]]:
    """Webhooks with something due that no worker has: (institution, id), those first that had no turn for longest.

    Those of suspended applications and institutions wait.
    """
    query = (
        select(webhook.c.institution, webhook.c.id)
        .join(application, application.c.id == webhook.c.application)
        .join(institution, institution.c.id == webhook.c.institution)
        .where(
            webhook.c.ended_ms.is_(None),
            webhook.c.next_ms <= now_ms,
            webhook.c.held_ms <= now_ms,
            application.c.state == ACTIVE,
            institution.c.state == ACTIVE,
            exists().where(delivery.c.webhook == webhook.c.id, *_deliverable(now_ms)),
        )
        .order_by(webhook.c.held_ms, webhook.c.id)
        .limit(limit)
    )
    return [(row.institution, row.id) for row in tx.execute(query)]


def _deliverable(now_ms: int) -> tuple[ColumnElement[bool], ...]:
    """Deliveries whose time has come and before which none of their stream waits."""
    return (
        delivery.c.state == State.PENDING.value,
        delivery.c.next_ms <= now_ms,
        ~exists().where(
            _earlier.c.webhook == delivery.c.webhook,
            _earlier.c.state == State.PENDING.value,
            _earlier.c.stream == delivery.c.stream,
            _earlier.c.seq < delivery.c.seq,
        ),
    )


def hold(tx: Connection, id_: UUID, holder: str, now_ms: int, until_ms: int) -> Webhook | None:
    """Keep a webhook to one worker; None where another has it, it has ended, or is to be left in peace."""
    statement = update(webhook).where(
        webhook.c.id == id_,
        webhook.c.ended_ms.is_(None),
        webhook.c.next_ms <= now_ms,
        or_(webhook.c.held_ms <= now_ms, webhook.c.holder == holder),
        exists().where(application.c.id == webhook.c.application, application.c.state == ACTIVE),
    )
    if tx.execute(statement.values(holder=holder, held_ms=until_ms)).rowcount != 1:
        return None
    return by_id(tx, id_)


def release(tx: Connection, id_: UUID, holder: str, now_ms: int) -> None:
    """Leave a webhook to other workers; it stands behind those that wait longer."""
    mine = (webhook.c.id == id_, webhook.c.holder == holder)
    tx.execute(update(webhook).where(*mine).values(holder="", held_ms=now_ms))


def next_due(tx: Connection, id_: UUID, now_ms: int) -> Delivery | None:
    """The delivery to try now: that which is due longest, so that one that fails again and again stands behind."""
    query = _DELIVERY.where(delivery.c.webhook == id_, *_deliverable(now_ms))
    row = tx.execute(query.order_by(delivery.c.next_ms, delivery.c.seq).limit(1)).first()
    return _delivery(row) if row else None


def trying(tx: Connection, id_: UUID, attempts: int, now_ms: int) -> None:
    """Note a try before it is made."""
    tx.execute(update(delivery).where(delivery.c.id == id_).values(attempts=attempts, tried_ms=now_ms))


def ended(tx: Connection, id_: UUID, state: State, now_ms: int, status: int | None, reason: str) -> None:
    """Note how a delivery ended."""
    values = {"state": state.value, "ended_ms": now_ms, "status": status, "reason": reason}
    tx.execute(update(delivery).where(delivery.c.id == id_).values(values))


def put_off(tx: Connection, id_: UUID, next_ms: int, status: int | None, reason: str) -> None:
    """Note that a try failed, and when the next may be made."""
    values = {"next_ms": next_ms, "status": status, "reason": reason}
    tx.execute(update(delivery).where(delivery.c.id == id_).values(values))


def failing(tx: Connection, id_: UUID, failures: int, next_ms: int) -> None:
    """Leave a webhook in peace for a while."""
    tx.execute(update(webhook).where(webhook.c.id == id_).values(failures=failures, next_ms=next_ms))


def recovered(tx: Connection, id_: UUID) -> None:
    """A webhook takes events again."""
    tx.execute(update(webhook).where(webhook.c.id == id_).values(failures=0, next_ms=0))


def hasten(tx: Connection, id_: UUID, now_ms: int) -> None:
    """What was put off at a webhook is due."""
    late = (
        delivery.c.webhook == id_,
        delivery.c.state == State.PENDING.value,
        delivery.c.next_ms > now_ms,
    )
    tx.execute(update(delivery).where(*late).values(next_ms=now_ms))
