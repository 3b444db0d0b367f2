"""The keystore: the database of wrapped keys, apart from the index and its backups (security.md §2).

A key is in the keystore, fsynced, before any object or row uses it. Deleting the row ends the key; the bytes leave
the file at once (`secure_delete`) and the write-ahead log with the checkpoint whose result is checked. Several
processes use one keystore: SQLite in WAL mode, and a short cache that reads through.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from wardlight import clock
from wardlight.errors import WardlightError
from wardlight.keys.files import private_folder, sync_folder
from wardlight.keys.keyslot import Keyslots
from wardlight.keys.kms import Kms
from wardlight.keys.wrap import KEY_BYTES, KeyKind, epoch_of, unwrap, wrap

CACHE_SECONDS: Final = 60.0
CACHE_KEYS: Final = 10_000
_IEK_SECONDS: Final = 15 * 60.0
_BUSY_MS: Final = 10_000
#: Keys in one statement.
_KEYS_AT_ONCE: Final = 500
_CHECKPOINT_SECONDS: Final = 10.0

# All columns are of the class "secrets" in wrapped form or "status and processing details": no patient data here.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS institution (
  institution BLOB PRIMARY KEY CHECK (length(institution) = 16),
  epoch INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS key (
  key_id BLOB PRIMARY KEY CHECK (length(key_id) = 16),
  institution BLOB NOT NULL REFERENCES institution,
  kind INTEGER NOT NULL,
  singleton INTEGER NOT NULL,
  wrapped BLOB NOT NULL CHECK (length(wrapped) = 66),
  created_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS key_singleton ON key (institution, kind) WHERE singleton = 1;
CREATE TABLE IF NOT EXISTS tombstone (
  key_id BLOB PRIMARY KEY CHECK (length(key_id) = 16),
  institution BLOB NOT NULL,
  destroyed_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
"""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What may be told of a key without opening it. `created_ms` counts from 1970-01-01 UTC."""

    key_id: UUID
    institution: UUID
    kind: KeyKind
    epoch: int
    created_ms: int


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A key that was destroyed; it stays, so that a restore of an older copy destroys the key again."""

    key_id: UUID
    institution: UUID
    destroyed_ms: int


class Keystore:
    """Makes, opens and destroys keys. Safe to use from many threads, and from many processes on one file."""

    def __init__(self, path: Path, keyslots: Sequence[Path], kms: Kms) -> None:
        """Open the database at `path`, or make it. `keyslots` are the folders that mirror the epoch keys."""
        private_folder(path.parent)
        fresh = not path.exists()
        if fresh:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._keyslots = Keyslots(keyslots, kms)
        self._lock = threading.RLock()
        self._keys: OrderedDict[tuple[UUID, UUID], tuple[float, bytes]] = OrderedDict()
        # Ids of keys that an institution has one of; they count only while the key itself is in the cache.
        self._singletons: dict[tuple[UUID, KeyKind], UUID] = {}
        self._epoch_keys: dict[tuple[UUID, int], tuple[float, bytes]] = {}
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in (
            f"busy_timeout = {_BUSY_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "secure_delete = ON",
            "foreign_keys = ON",
            "trusted_schema = OFF",
        ):
            self._database.execute(f"PRAGMA {pragma}")
        with self._transaction():
            for statement in _SCHEMA.strip().split(";\n"):
                self._database.execute(statement)
        if fresh:
            sync_folder(path.parent)

    def ensure_institution(self, institution: UUID) -> None:
        """Give the institution its epoch key, epoch 1, where it has none; durable in every keyslot mirror."""
        with self._transaction():
            row = self._database.execute(
                "SELECT epoch FROM institution WHERE institution = ?", (institution.bytes,)
            ).fetchone()
            # Inside the write transaction, so that two processes cannot make two keys of one epoch.
            if row is not None:
                self._keyslots.mirror(institution, row[0])
            else:
                self._keyslots.create(institution, 1)
                self._database.execute("INSERT INTO institution VALUES (?, 1)", (institution.bytes,))

    def create_key(self, institution: UUID, kind: KeyKind) -> tuple[UUID, bytes]:
        """Make a random key; it is durable on return. Returns its id and its 32 bytes.

        Raises `WardlightError("not-found")` for an institution without epoch key.
        """
        with self._transaction():
            return self._insert(institution, kind, singleton=False)

    def create_keys(self, institution: UUID, kind: KeyKind, count: int) -> list[tuple[UUID, bytes]]:
        """Make many random keys; all are durable on return. Otherwise as `create_key`."""
        with self._transaction():
            return [self._insert(institution, kind, singleton=False) for _ in range(count)]

    def institution_key(self, institution: UUID, kind: KeyKind) -> tuple[UUID, bytes]:
        """The one key of this kind that the institution has, made at first use."""
        now = time.monotonic()
        with self._lock:
            place = self._singletons.get((institution, kind))
            cached = self._keys.get((institution, place)) if place is not None else None
            if place is not None and cached is not None and cached[0] > now:
                return place, cached[1]
        query = "SELECT key_id FROM key WHERE institution = ? AND kind = ? AND singleton = 1"
        parameters = (institution.bytes, int(kind))
        with self._lock:
            row = self._database.execute(query, parameters).fetchone()
        if row is None:
            with self._transaction():
                row = self._database.execute(query, parameters).fetchone()
                if row is None:
                    return self._insert(institution, kind, singleton=True)
        key_id = UUID(bytes=row[0])
        key = self.get_key(institution, key_id)
        with self._lock:
            if len(self._singletons) >= CACHE_KEYS:
                self._singletons.clear()
            self._singletons[institution, kind] = key_id
        return key_id, key

    def get_key(self, institution: UUID, key_id: UUID) -> bytes:
        """Open a key of this institution.

        Raises `WardlightError("key-destroyed")` when the institution has no such key (any more). Another process may
        still see a destroyed key for `CACHE_SECONDS`; access ends in the index, before the key does.
        """
        place = (institution, key_id)
        now = time.monotonic()
        with self._lock:
            cached = self._keys.get(place)
            if cached is not None and cached[0] > now:
                return cached[1]
            row = self._database.execute(
                "SELECT wrapped FROM key WHERE key_id = ? AND institution = ?",
                (key_id.bytes, institution.bytes),
            ).fetchone()
            if row is None:
                self._keys.pop(place, None)
                raise WardlightError("key-destroyed")
            key = unwrap(self._epoch_key(institution, epoch_of(row[0])), institution, key_id, row[0])
            self._remember(place, key, now)
            return key

    def get_keys(self, institution: UUID, key_ids: Sequence[UUID]) -> dict[UUID, bytes]:
        """Open many keys at once; those that the institution does not have (any more) are left out."""
        found: dict[UUID, bytes] = {}
        missing: list[UUID] = []
        now = time.monotonic()
        with self._lock:
            for key_id in dict.fromkeys(key_ids):
                cached = self._keys.get((institution, key_id))
                if cached is not None and cached[0] > now:
                    found[key_id] = cached[1]
                else:
                    missing.append(key_id)
            for start in range(0, len(missing), _KEYS_AT_ONCE):
                part = missing[start : start + _KEYS_AT_ONCE]
                rows = self._database.execute(
                    f"SELECT key_id, wrapped FROM key WHERE institution = ? AND key_id IN ({'?,' * (len(part) - 1)}?)",  # noqa: S608
                    (institution.bytes, *(key_id.bytes for key_id in part)),
                ).fetchall()
                for raw, wrapped in rows:
                    key_id = UUID(bytes=raw)
                    key = unwrap(
                        self._epoch_key(institution, epoch_of(wrapped)), institution, key_id, wrapped
                    )
                    self._remember((institution, key_id), key, now)
                    found[key_id] = key
        return found

    def destroy_key(self, institution: UUID, key_id: UUID) -> None:
        """Delete the key, leave a tombstone, and wipe its bytes from the database and its log. Idempotent.

        Raises `WardlightError("unavailable")` when readers keep the log busy: the key is deleted then, and the call
        must be repeated until its remnants are gone, too.
        """
        with self._transaction():
            deleted = self._database.execute(
                "DELETE FROM key WHERE key_id = ? AND institution = ?", (key_id.bytes, institution.bytes)
            ).rowcount
            if deleted:
                self._database.execute(
                    "INSERT OR IGNORE INTO tombstone VALUES (?, ?, ?)",
                    (key_id.bytes, institution.bytes, clock.unix_ms()),
                )
            self._keys.pop((institution, key_id), None)
        self._truncate_log()

    def forget(self) -> None:
        """Drop from memory the keys whose time there is over; to be called every few seconds."""
        now = time.monotonic()
        with self._lock:
            # Kept in the order in which they were opened, and so in which their time ends.
            while self._keys and next(iter(self._keys.values()))[0] <= now:
                self._keys.popitem(last=False)
            self._epoch_keys = {place: kept for place, kept in self._epoch_keys.items() if kept[0] > now}

    def ping(self) -> None:
        """Raise unless the database answers and holds its tables; costs the same however many keys there are."""
        with self._lock:
            self._database.execute("SELECT 1 FROM key LIMIT 1").fetchone()

    def list_keys(self) -> Iterator[KeyRow]:
        """All keys, for fsck. Reads all rows at once: some 100 bytes each."""
        with self._lock:
            rows = self._database.execute(
                "SELECT key_id, institution, kind, wrapped, created_ms FROM key"
            ).fetchall()
        for key_id, institution, kind, wrapped, created in rows:
            yield KeyRow(
                UUID(bytes=key_id), UUID(bytes=institution), KeyKind(kind), epoch_of(wrapped), created
            )

    def tombstones(self) -> list[Tombstone]:
        """The keys that were destroyed, oldest first."""
        with self._lock:
            rows = self._database.execute("SELECT * FROM tombstone ORDER BY destroyed_ms").fetchall()
        return [Tombstone(UUID(bytes=key_id), UUID(bytes=owner), at) for key_id, owner, at in rows]

    def close(self) -> None:
        """Close the database and forget all keys."""
        with self._lock:
            self._keys.clear()
            self._singletons.clear()
            self._epoch_keys.clear()
            self._database.close()

    def _insert(self, institution: UUID, kind: KeyKind, *, singleton: bool) -> tuple[UUID, bytes]:
        row = self._database.execute(
            "SELECT epoch FROM institution WHERE institution = ?", (institution.bytes,)
        ).fetchone()
        if row is None:
            raise WardlightError("not-found", "the institution has no epoch key")
        key_id, key, epoch = uuid4(), os.urandom(KEY_BYTES), row[0]
        wrapped = wrap(self._epoch_key(institution, epoch), institution, epoch, kind, key_id, key)
        self._database.execute(
            "INSERT INTO key VALUES (?, ?, ?, ?, ?, ?)",
            (key_id.bytes, institution.bytes, int(kind), int(singleton), wrapped, clock.unix_ms()),
        )
        return key_id, key

    def _epoch_key(self, institution: UUID, epoch: int) -> bytes:
        now = time.monotonic()
        cached = self._epoch_keys.get((institution, epoch))
        if cached is None or cached[0] <= now:
            cached = (now + _IEK_SECONDS, self._keyslots.key(institution, epoch))
            self._epoch_keys[institution, epoch] = cached
        return cached[1]

    def _remember(self, place: tuple[UUID, UUID], key: bytes, now: float) -> None:
        self._keys[place] = (now + CACHE_SECONDS, key)
        self._keys.move_to_end(place)
        while len(self._keys) > CACHE_KEYS:
            self._keys.popitem(last=False)

    def _truncate_log(self) -> None:
        """Empty the write-ahead log; a reader in another process makes that fail as busy, so its result is checked."""
        until = time.monotonic() + _CHECKPOINT_SECONDS
        while True:
            with self._lock:
                busy: int = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if not busy:
                return
            if time.monotonic() >= until:
                raise WardlightError("unavailable", "the keystore's log is in use and was not wiped")
            time.sleep(0.05)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One write transaction; it is fsynced when the block is left without an error."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
