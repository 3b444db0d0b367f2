"""Builds an installation with an audit log of very many entries: contents, columns, tiles, heads are the product's own.

Only the writing is in bulk, without syncs, with the indexes made afterwards. `python -m bench.audit_generator
--data DIR --entries N` (10 million: some 9 GB).
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex

from wardlight import bootstrap, clock
from wardlight.audit import log_store, note, tree
from wardlight.audit.canonical import canonical
from wardlight.audit.log_store import Head
from wardlight.audit.tables import entry
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.settings import Settings

#: Entries under one signed head.
PER_HEAD = 1_000
_DAYS = 730
_SLUG = "bench"
PEOPLE = 300
#: (action, weight, purpose, kind of actor, whether it is about a study)
_ACTIONS: tuple[tuple[str, int, str, str, bool], ...] = (
    ("dicomweb:study:query", 25, "TREAT", "person", True),
    ("dicomweb:study:read", 20, "TREAT", "person", True),
    ("dicomweb:frame:read", 20, "TREAT", "person", True),
    ("dicomweb:study:store", 15, "", "receiver", True),
    ("dicomweb:metadata:read", 8, "CLINTRCH", "person", True),
    ("archive:study:complete", 5, "", "system", True),
    ("access:decision:deny", 3, "", "person", False),
    ("identity:token:issue", 2, "", "operator", False),
    ("audit:entry:read", 1, "HSYSADMIN", "person", False),
    ("receiver:route:change", 1, "", "operator", False),
)
_COLUMNS = [column.name for column in entry.columns]


def generate(data: Path, entries: int, *, seed: int = 1) -> None:
    """Make, in a new folder, an installation of one institution with a log of so many entries."""
    platform = bootstrap.platform(Settings(data_dir=data, demo=True))
    try:
        institution = platform.identity.create_institution(_SLUG, "Bench", "eu", by=LOCAL_ADMINISTRATOR)
        platform.sealer.seal()
        head = platform.audit_log.logs(institution.id)[-1]
        maker = _Maker(platform, head, entries, seed)
        with platform.database.read(institution.id) as tx:
            read = log_store.tiles(tx, head.log)
            tiles = {(0, 0): read(0, 0)}
        path = platform.settings.index_path
        platform.database.close()
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            _fill(database, maker, head, tiles, entries)
    finally:
        platform.close()
    platform = bootstrap.platform(Settings(data_dir=data, demo=True))
    try:
        platform.sealer.seal()  # Signs the head that was stored.
    finally:
        platform.close()


class _Maker:
    """Makes entries in their order, spread over two years up to now."""

    def __init__(self, platform: bootstrap.Platform, head: Head, entries: int, seed: int) -> None:
        self._head = head
        self._entries = entries
        self._chosen = random.Random(seed)
        references = platform.recorder.references(platform.identity.institution(_SLUG).id)
        studies = max(10, entries // 50)
        self._subjects = [
            (references.patient(f"PAT-{number // 3}"), references.study(f"1.2.3.{number}"))
            for number in range(min(studies, 200_000))
        ]
        self._end = clock.unix_ms() - 3_600_000
        self._begin = self._end - _DAYS * 86_400_000

    def batches(self, count: int) -> Iterator[list[log_store.Columns]]:
        """The entries, `PER_HEAD` at a time."""
        for start in range(self._head.size, count, PER_HEAD):
            yield [self._one(idx) for idx in range(start, min(start + PER_HEAD, count))]

    def _one(self, idx: int) -> log_store.Columns:
        chosen = self._chosen
        action, _, purpose, kind, studied = chosen.choices(_ACTIONS, _WEIGHTS)[0]
        ms = self._begin + (self._end - self._begin) * idx // self._entries
        # Few do most of the work.
        who = f"u-{int(PEOPLE * chosen.random() ** 2):04}" if kind == "person" else f"{kind}-1"
        outcome = (
            "denied" if action == "access:decision:deny" else chosen.choices(_OUTCOMES, (96, 2, 1, 1))[0]
        )
        values: dict[str, Any] = {
            "v": 1,
            "id": str(
                UUID(
                    int=ms << 80
                    | 0x7 << 76
                    | chosen.getrandbits(12) << 64
                    | 0x2 << 62
                    | chosen.getrandbits(62)
                )
            ),
            "salt": urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode(),
            "log": self._head.origin,
            "recorded": _timestamp(ms),
            "node": "web-1",
            "source": "platform",
            "action": action,
            "actor": {"kind": kind, "id": who, "role": "clinician"},
            "outcome": outcome,
            "network": {"address": f"192.0.2.{chosen.randrange(250)}"},
            "request": f"{chosen.getrandbits(128):032x}",
            "token": urlsafe_b64encode(chosen.randbytes(16)).rstrip(b"=").decode(),
        }
        if purpose:
            values["purpose"] = purpose
        if studied:
            patient, study = chosen.choice(self._subjects)
            values["object"] = {"kind": "study", "ref": study}
            values["subjects"] = [{"patient": patient, "study": study}]
            values["classes"] = ["image:pseudonymised"]
            values["grant"] = f"gr-{chosen.randrange(2_000)}"
            values["counts"] = {"requests": chosen.randrange(1, 500), "bytes": chosen.randrange(1 << 28)}
        return log_store.columns(self._head.log, idx, canonical(values), values)


_WEIGHTS = [weight for _, weight, _, _, _ in _ACTIONS]
_OUTCOMES = ("success", "partial", "failed", "unknown")


def _timestamp(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03}Z"


def _fill(
    database: sqlite3.Connection, maker: _Maker, head: Head, tiles: dict[tuple[int, int], bytes], count: int
) -> None:
    """Write everything; a machine that fails here begins anew."""
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000", "foreign_keys=OFF"):
        database.execute(f"PRAGMA {pragma}")
    for index in entry.indexes:
        database.execute(f"DROP INDEX {index.name}")
    database.execute("CREATE TEMP TABLE found (ref TEXT, idx INTEGER)")
    seed = os.urandom(32)
    hours: Counter[log_store.Hour] = Counter()
    size, root = head.size, head.root
    insert = f"INSERT INTO audit_entry ({','.join(_COLUMNS)}) VALUES ({','.join('?' * len(_COLUMNS))})"
    for batch in maker.batches(count):
        database.execute("BEGIN")
        database.executemany(insert, [_row(one) for one in batch])
        database.executemany(
            "INSERT INTO found VALUES (?, ?)", [(ref, one.row["idx"]) for one in batch for ref in one.refs]
        )
        hours.update(one.hour for one in batch)
        leaves = [tree.leaf_hash(one.row["content"]) for one in batch]
        touched = tree.append(lambda level, n: tiles.get((level, n), b""), size, leaves)
        tiles.update(touched)
        size += len(batch)
        root = tree.root(lambda level, n: tiles.get((level, n), b""), size)
        # Signed by nobody whom anybody knows: only the newest head is signed by the log's key, afterwards.
        body = note.body(head.origin, size, root)
        text = f"{body}\n{note.sign(head.origin, seed, body)}"
        times = [one.row["recorded_ms"] for one in batch]
        if size < count:
            database.execute(
                "INSERT INTO audit_checkpoint VALUES (?, ?, ?, ?, ?, ?)",
                (head.log, size, root, text, min(times), max(times)),
            )
        _keep(database, head.log, tiles, touched)
        database.execute("COMMIT")
    _finish(database, head, size, root, hours, tiles)


def _row(one: log_store.Columns) -> tuple[Any, ...]:
    return tuple(value.bytes if isinstance(value := one.row[name], UUID) else value for name in _COLUMNS)


def _keep(
    database: sqlite3.Connection,
    log: int,
    tiles: dict[tuple[int, int], bytes],
    touched: dict[tuple[int, int], bytes],
) -> None:
    """Write tiles that are full, and forget those of level 0 but the last: nothing needs them any more."""
    for (level, n), data in touched.items():
        if len(data) == tree.TILE_BYTES:
            database.execute("INSERT OR REPLACE INTO audit_tile VALUES (?, ?, ?, ?)", (log, level, n, data))
            if level == 0:
                tiles.pop((level, n - 1), None)


def _finish(
    database: sqlite3.Connection,
    head: Head,
    size: int,
    root: bytes,
    hours: Counter[log_store.Hour],
    tiles: dict[tuple[int, int], bytes],
) -> None:
    database.execute("BEGIN")
    for (level, n), data in tiles.items():
        database.execute("INSERT OR REPLACE INTO audit_tile VALUES (?, ?, ?, ?)", (head.log, level, n, data))
    database.executemany(
        "INSERT OR REPLACE INTO audit_day VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(head.log, *hour, n) for hour, n in hours.items()],
    )
    database.execute("UPDATE audit_log SET size = ?, root = ? WHERE log = ?", (size, root, head.log))
    database.execute(
        "INSERT OR IGNORE INTO audit_subject SELECT ?, ref, idx FROM found ORDER BY ref, idx", (head.log,)
    )
    database.execute("DROP TABLE found")
    database.execute("COMMIT")
    for index in sorted(entry.indexes, key=lambda one: str(one.name)):
        database.execute(str(CreateIndex(index).compile(dialect=sqlite.dialect())))
    database.execute("PRAGMA journal_mode=WAL")
    descriptor = os.open(database.execute("PRAGMA database_list").fetchone()[2], os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.audit_generator", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--entries", type=int, default=100_000)
    chosen = parser.parse_args(arguments)
    began = time.monotonic()
    generate(chosen.data, chosen.entries)
    print(f"{chosen.entries:,} entries in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
