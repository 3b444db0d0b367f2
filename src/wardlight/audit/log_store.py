"""All SQL of sealing and of the log: heads, pending rows, entries, tiles, checkpoints, day counters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, update

from wardlight.audit import tree
from wardlight.audit.actions import Action
from wardlight.audit.tables import OUTCOMES, checkpoint, day, entry, log, pending, subject, tile
from wardlight.audit.tree import TileReader
from wardlight.db.insert import upsert
from wardlight.db.prepared import Prepared

#: Why nothing is sealed into a log any more: the signer refused its head, or a newer generation took its place.
REFUSED: Final = 1
CLOSED: Final = 2

#: (day, hour, action, kind of actor, outcome), as `audit_day` counts.
Hour = tuple[int, int, str, str, int]


@dataclass(frozen=True, slots=True)
class Head:
    """One log. institution None: the operator's. halted: 0, REFUSED or CLOSED."""

    log: int
    institution: UUID | None
    origin: str
    generation: int
    size: int
    root: bytes
    halted: int
    pruned: int


@dataclass(frozen=True, slots=True)
class Work:
    """What a round of sealing wants to know of a log, without locking it.

    signed: size of the newest checkpoint. last_ms: time of the last entry under it. oldest: the pending entry that
    has waited longest.
    """

    head: Head
    signed: int
    last_ms: int
    oldest: bytes | None


@dataclass(frozen=True, slots=True)
class Columns:
    """What stands beside an entry's content so that it is found."""

    row: dict[str, Any]
    refs: frozenset[str]
    hour: Hour


_HEAD: Final = (
    log.c.log,
    log.c.institution,
    log.c.origin,
    log.c.generation,
    log.c.size,
    log.c.root,
    log.c.halted,
    log.c.pruned,
)
_BY_NUMBER: Final = select(*_HEAD).where(log.c.log == bindparam("log"))
# Not FOR UPDATE: writers hold the row's key while their pending entries refer to it, and would keep the sealer out.
_LOCKED: Final = _BY_NUMBER.with_for_update(key_share=True, skip_locked=True)
_LAST: Final = checkpoint.c.log == log.c.log
_SIGNED: Final = select(func.max(checkpoint.c.size)).where(_LAST).scalar_subquery()
_LAST_MS: Final = (
    select(checkpoint.c.last_recorded_ms)
    .where(_LAST)
    .order_by(checkpoint.c.size.desc())
    .limit(1)
    .scalar_subquery()
)
_OVERVIEW: Final = select(*_HEAD, _SIGNED, _LAST_MS).order_by(log.c.log)
_OLDEST: Final = select(pending.c.log, pending.c.content).where(
    pending.c.seq.in_(select(func.min(pending.c.seq)).group_by(pending.c.log))
)
_PENDING: Final = Prepared(
    select(pending.c.seq, pending.c.content)
    .where(pending.c.log == bindparam("log"))
    .order_by(pending.c.seq)
    .limit(bindparam("most"))
)
_TILE: Final = Prepared(
    select(tile.c.data).where(
        tile.c.log == bindparam("log"), tile.c.level == bindparam("level"), tile.c.n == bindparam("n")
    )
)
_KNOWN_IDS: Final = Prepared(
    select(entry.c.id).where(
        entry.c.log == bindparam("log"), entry.c.id.in_(bindparam("ids", expanding=True))
    )
)
_RANGE: Final = (
    entry.c.log == bindparam("log"),
    entry.c.idx >= bindparam("start"),
    entry.c.idx < bindparam("stop"),
)
_CONTENTS: Final = Prepared(select(entry.c.idx, entry.c.content).where(*_RANGE).order_by(entry.c.idx))
_ADD_ENTRIES: Final = Prepared(insert(entry))
_ADD_SUBJECTS: Final = Prepared(insert(subject))
_ADD_PENDING: Final = Prepared(insert(pending))


# ---- heads ----


def overview(tx: Connection) -> list[Work]:
    """Every log of the installation."""
    oldest = {number: content for number, content in tx.execute(_OLDEST)}
    return [
        Work(Head(*row[:-2]), row[-2] or 0, row[-1] or 0, oldest.get(row.log))
        for row in tx.execute(_OVERVIEW)
    ]


def logs(tx: Connection, institution: UUID | None) -> list[Head]:
    """The generations of an institution's log, or the operator's; the newest last."""
    mine = log.c.institution.is_(None) if institution is None else log.c.institution == institution
    return [Head(*row) for row in tx.execute(select(*_HEAD).where(mine).order_by(log.c.generation))]


def head(tx: Connection, number: int) -> Head | None:
    """One log as it is."""
    return _head(tx, _BY_NUMBER, number)


def lock(tx: Connection, number: int) -> Head | None:
    """The same, held until the transaction ends; None where another one holds it."""
    return _head(tx, _LOCKED, number)


def _head(tx: Connection, query: Select[Any], number: int) -> Head | None:
    row = tx.execute(query, {"log": number}).first()
    return None if row is None else Head(*row)


def advance(tx: Connection, old: Head, size: int, root: bytes) -> None:
    """Put the new head in the place of the one that was locked."""
    changed = tx.execute(
        update(log).where(log.c.log == old.log, log.c.size == old.size).values(size=size, root=root)
    )
    _exactly(changed.rowcount, 1)


def halt(tx: Connection, number: int, why: int) -> bool:
    """Stop sealing; False where it had stopped for this reason or a stronger one."""
    changed = tx.execute(update(log).where(log.c.log == number, log.c.halted < why).values(halted=why))
    return changed.rowcount == 1


def open_next(tx: Connection, old: Head, origin: str, root: bytes) -> int:
    """A new generation beside the old one; returns its number."""
    row = {
        "institution": old.institution,
        "origin": origin,
        "generation": old.generation + 1,
        "size": 0,
        "root": root,
    }
    number: int = tx.execute(insert(log).values(row).returning(log.c.log)).scalar_one()
    return number


# ---- pending rows ----


def pending_rows(tx: Connection, number: int, most: int) -> list[tuple[int, bytes]]:
    """(seq, content) of what waits longest."""
    return [(seq, content) for seq, content in _PENDING.all(tx, {"log": number, "most": most})]


def add_pending(tx: Connection, number: int, contents: Iterable[bytes]) -> None:
    """Let these entries wait for the sealer."""
    _ADD_PENDING.run(tx, [{"log": number, "content": content} for content in contents])


def remove_pending(tx: Connection, number: int, numbers: Sequence[int]) -> None:
    """Delete exactly these rows. Raises RuntimeError where one was not there: the transaction must then fail."""
    if numbers:
        gone = tx.execute(delete(pending).where(pending.c.log == number, pending.c.seq.in_(numbers)))
        _exactly(gone.rowcount, len(numbers))


def known_ids(tx: Connection, number: int, ids: Sequence[UUID]) -> set[UUID]:
    """Which of these entries are sealed already."""
    return {row[0] for row in _KNOWN_IDS.all(tx, {"log": number, "ids": ids})} if ids else set()


# ---- entries ----


def columns(number: int, idx: int, content: bytes, values: dict[str, Any]) -> Columns:
    """The searchable columns of an entry; `values` are its content read."""
    actor, target = values["actor"], values.get("object", {})
    refs = {one for subjects in values.get("subjects", ()) for one in subjects.values()}
    if "ref" in target:
        refs.add(target["ref"])
    recorded = recorded_ms(values)
    action, outcome = values["action"][:64], OUTCOMES[values["outcome"]]
    named = target.get("ref") or (f"{target['kind']}:{target.get('id', '')}" if target else None)
    row = {
        "log": number,
        "idx": idx,
        "id": UUID(values["id"]),
        "recorded_ms": recorded,
        "action": action,
        "actor": f"{actor['kind']}:{actor['id']}"[:255],
        "object": named and named[:255],
        "outcome": outcome,
        "purpose": _cut(values.get("purpose"), 16),
        "grant_id": _cut(values.get("grant"), 64),
        "content": content,
    }
    hour = (recorded // 86_400_000, recorded // 3_600_000 % 24, action, actor["kind"][:16], outcome)
    return Columns(row, frozenset(one for one in refs if len(one) <= 64), hour)


def recorded_ms(values: dict[str, Any]) -> int:
    """When an entry was recorded, in ms since 1970-01-01 UTC."""
    return round(datetime.fromisoformat(values["recorded"]).timestamp() * 1000)


def add_entries(tx: Connection, number: int, entries: Sequence[Columns]) -> None:
    """Insert entries and their subjects, and count them."""
    _ADD_ENTRIES.run(tx, [one.row for one in entries])
    subjects = [{"log": number, "ref": ref, "idx": one.row["idx"]} for one in entries for ref in one.refs]
    if subjects:
        _ADD_SUBJECTS.run(tx, subjects)
    count(tx, number, Counter(one.hour for one in entries))


def count(tx: Connection, number: int, hours: Counter[Hour]) -> None:
    """Add to the counters of days."""
    rows = [
        {
            "log": number,
            "day": one[0],
            "hour": one[1],
            "action": one[2],
            "actor_kind": one[3],
            "outcome": one[4],
            "n": n,
        }
        for one, n in sorted(hours.items())
    ]
    if rows:
        new = upsert(tx, day)
        sums = new.on_conflict_do_update(
            index_elements=list(day.primary_key), set_={"n": day.c.n + new.excluded.n}
        )
        tx.execute(sums, rows)


def contents(tx: Connection, number: int, start: int, stop: int) -> list[tuple[int, bytes | None]]:
    """(index, content) from `start` to before `stop`; None where it was pruned."""
    return [
        (idx, content) for idx, content in _CONTENTS.all(tx, {"log": number, "start": start, "stop": stop})
    ]


def recorded(tx: Connection, number: int, start: int, stop: int) -> list[int | None]:
    """When entries were recorded, in the order of the log."""
    query = select(entry.c.recorded_ms).where(*_RANGE).order_by(entry.c.idx)
    return list(tx.execute(query, {"log": number, "start": start, "stop": stop}).scalars())


def of_action(tx: Connection, number: int, action: str) -> list[tuple[int, bytes]]:
    """(index, content) of all entries of a rare action, oldest first."""
    query = (
        select(entry.c.idx, entry.c.content)
        .where(entry.c.log == number, entry.c.action == action, entry.c.content.is_not(None))
        .order_by(entry.c.idx)
    )
    return [(idx, content) for idx, content in tx.execute(query)]


#: Entries that tell of a log's key.
OF_KEYS: Final = (Action.AUDIT_LOG_START, Action.AUDIT_LOG_CONTINUE, Action.AUDIT_LOG_ROTATE_KEY)


def key_since_ms(tx: Connection, number: int) -> int:
    """When the newest key of a log was announced; 0 where it has none."""
    times = select(func.max(entry.c.recorded_ms)).where(entry.c.log == number, entry.c.action.in_(OF_KEYS))
    return tx.execute(times).scalar() or 0


# ---- tiles and checkpoints ----


def tiles(tx: Connection, number: int) -> TileReader:
    """Reads a log's tiles within a transaction, each once; a tile that is not there is empty."""
    known: dict[tuple[int, int], bytes] = {}

    def read(level: int, n: int) -> bytes:
        if (level, n) not in known:
            row = _TILE.first(tx, {"log": number, "level": level, "n": n})
            known[level, n] = bytes(row[0]) if row else b""
        return known[level, n]

    return read


def over(touched: dict[tuple[int, int], bytes], read: TileReader) -> TileReader:
    """Reads tiles that are about to be kept before those that are."""
    return lambda level, n: touched.get((level, n)) or read(level, n)


def extends(tx: Connection, log_: Head, size: int, root: bytes) -> bool:
    """Whether the log holds a tree of this size and root. Raises ValueError where its tiles are cut."""
    if size >= log_.size:
        return (size, root) == (log_.size, log_.root)
    return tree.root(tiles(tx, log_.log), size) == root


def put_tiles(tx: Connection, number: int, touched: dict[tuple[int, int], bytes]) -> None:
    """Keep tiles that are new or have grown."""
    new = upsert(tx, tile)
    kept = new.on_conflict_do_update(index_elements=list(tile.primary_key), set_={"data": new.excluded.data})
    rows = [{"log": number, "level": level, "n": n, "data": data} for (level, n), data in touched.items()]
    tx.execute(kept, rows)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed head. first_ms, last_ms: times of the entries since the one before, since 1970-01-01 UTC."""

    size: int
    root: bytes
    note: str
    first_ms: int
    last_ms: int


_CHECKPOINT: Final = select(
    checkpoint.c.size,
    checkpoint.c.root,
    checkpoint.c.note,
    checkpoint.c.first_recorded_ms,
    checkpoint.c.last_recorded_ms,
)


def newest_checkpoint(tx: Connection, number: int, below: int | None = None) -> Checkpoint | None:
    """The newest checkpoint, or the newest of a smaller size than `below`."""
    query = _CHECKPOINT.where(checkpoint.c.log == number)
    if below is not None:
        query = query.where(checkpoint.c.size < below)
    row = tx.execute(query.order_by(checkpoint.c.size.desc()).limit(1)).first()
    return None if row is None else Checkpoint(*row)


def checkpoints(tx: Connection, number: int, start: int, stop: int) -> list[Checkpoint]:
    """Checkpoints of sizes from `start` to before `stop`, in their order."""
    sizes = (checkpoint.c.size >= start, checkpoint.c.size < stop)
    query = _CHECKPOINT.where(checkpoint.c.log == number, *sizes).order_by(checkpoint.c.size)
    return [Checkpoint(*row) for row in tx.execute(query)]


def checkpoint_in(tx: Connection, number: int, start: int, stop: int, *, newest: bool) -> Checkpoint | None:
    """The newest, or else the oldest, checkpoint of a size from `start` to before `stop`."""
    size = checkpoint.c.size.desc() if newest else checkpoint.c.size
    query = _CHECKPOINT.where(
        checkpoint.c.log == number, checkpoint.c.size >= start, checkpoint.c.size < stop
    )
    row = tx.execute(query.order_by(size).limit(1)).first()
    return None if row is None else Checkpoint(*row)


def add_checkpoint(tx: Connection, number: int, size: int, root: bytes, note: str) -> None:
    """Keep a note that was signed; one of this size that is there stays, with its cosignatures."""
    before = newest_checkpoint(tx, number, below=size)
    span = {"log": number, "start": before.size if before else 0, "stop": size}
    first, last = tx.execute(
        select(func.min(entry.c.recorded_ms), func.max(entry.c.recorded_ms)).where(*_RANGE), span
    ).one()
    row = {
        "log": number,
        "size": size,
        "root": root,
        "note": note,
        "first_recorded_ms": first or 0,
        "last_recorded_ms": last or 0,
    }
    tx.execute(upsert(tx, checkpoint).on_conflict_do_nothing(), row)


def _exactly(found: int, expected: int) -> None:
    if found != expected:
        raise RuntimeError("the audit log changed under the sealer's lock")


def _cut(value: str | None, most: int) -> str | None:
    return value and value[:most]


def parsed(content: bytes) -> dict[str, Any]:
    """An entry's content read."""
    values: dict[str, Any] = json.loads(content)
    return values
