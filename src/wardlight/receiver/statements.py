"""Statements that run for each batch of objects, built once: building one costs more than running it.

All of them take an open transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from wardlight import clock
from wardlight.receiver.model import Received
from wardlight.receiver.tables import audit_pending, meter, spool_file, spooled, upload

_METER_KEPT_MINUTES: Final = 24 * 60


def _counting() -> Any:
    statement = upsert(meter)
    return statement.on_conflict_do_update(
        index_elements=["minute", "kind"],
        set_={
            "count": meter.c.count + statement.excluded.count,
            "bytes": meter.c.bytes + statement.excluded.bytes,
            "last_ms": statement.excluded.last_ms,
        },
    ).returning(meter.c.count)


def _forgetting_counts() -> Any:
    # Only the newest row of a kind is kept beyond the day, for "last object".
    old = meter.alias()
    newest = select(func.max(old.c.minute)).where(old.c.kind == bindparam("of_kind")).scalar_subquery()
    return delete(meter).where(
        meter.c.kind == bindparam("of_kind"), meter.c.minute < bindparam("before"), meter.c.minute < newest
    )


def _raising_watermark() -> Any:
    statement = upsert(spool_file)
    return statement.on_conflict_do_update(
        index_elements=["file_id"],
        set_={"durable_end": func.max(spool_file.c.durable_end, statement.excluded.durable_end)},
    )


_COUNT: Final = _counting()
_FORGET_COUNTS: Final = _forgetting_counts()
_RAISE_WATERMARK: Final = _raising_watermark()
LAST: Final = select(func.max(spooled.c.id))
ADD: Final = upsert(spooled).on_conflict_do_nothing()
ADDED: Final = select(spooled.c.file_id, spooled.c.stream, spooled.c.id).where(
    spooled.c.id > bindparam("last")
)
ADD_UPLOADS: Final = insert(upload)


def append_audit(tx: Connection, contents: Sequence[bytes]) -> None:
    """Add entries to the receiver's trail, in the caller's transaction."""
    if contents:
        tx.execute(insert(audit_pending), [{"content": content} for content in contents])


def count(tx: Connection, kind: str, number: int, size: int) -> None:
    """Add to the counter of this minute."""
    if not number:
        return
    moment = clock.unix_ms()
    minute = moment // 60_000
    row = {"minute": minute, "kind": kind, "count": number, "bytes": size, "last_ms": moment}
    if tx.execute(_COUNT, row).scalar() == number:  # the first of this minute
        tx.execute(_FORGET_COUNTS, {"of_kind": kind, "before": minute - _METER_KEPT_MINUTES})


def raise_watermark(tx: Connection, file_id: str, end: int) -> None:
    """The file is known to be durable up to `end`; it never goes back."""
    tx.execute(_RAISE_WATERMARK, {"file_id": file_id, "durable_end": end})


def spooled_row(one: Received) -> dict[str, Any]:
    """The row of an object."""
    return {
        "file_id": one.file_id,
        "stream": one.stream,
        "offset": one.offset,
        "record": one.record,
        "end": one.end,
        "length": one.length,
        "digest": one.digest,
        "study": one.study,
        "route": one.route,
        "calling_ae": one.calling_ae,
        "address": one.address,
        "sop_class": one.sop_class,
        "transfer_syntax": one.transfer_syntax,
        "body_end": one.body_end,
        "received_ms": one.received_at,
    }
