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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from wardlight import clock
from wardlight.errors import WardlightError
from wardlight.keys.files import private_folder, sync_folder
from wardlight.keys.keyslot import Keyslots
from wardlight.keys.keystore_schema import SCHEMA
from wardlight.keys.kms import Kms
from wardlight.keys.labels import Label, bind
from wardlight.keys.wrap import KEY_BYTES, KeyKind, epoch_of, unwrap, wrap

CACHE_SECONDS: Final = 60.0
CACHE_KEYS: Final = 10_000
_IEK_SECONDS: Final = 15 * 60.0
_BUSY_MS: Final = 10_000
#: Keys in one statement.
_KEYS_AT_ONCE: Final = 500
_CHECKPOINT_SECONDS: Final = 10.0
#: By this name the KMS wraps what is the operator's own.
_OPERATOR: Final = "operator"

_EPOCH: Final = "SELECT epoch FROM institution WHERE institution = ?"
_COUNT: Final = "INSERT INTO number VALUES ('sequence', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1"


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
        self.path: Final = path
        self.keyslots: Final = Keyslots(keyslots, kms)
        self._kms = kms
        self._lock = threading.RLock()
        self._keys: OrderedDict[tuple[UUID, UUID], tuple[float, bytes]] = OrderedDict()
        # Ids of keys that an institution has one of; they count only while the key itself is in the cache.
        self._singletons: dict[tuple[UUID, KeyKind], UUID] = {}
        self._epoch_keys: dict[tuple[UUID, int], tuple[float, bytes]] = {}
        # The newest epoch of an institution's audit references, and until when that is believed.
        self._reference_epochs: dict[UUID, tuple[float, int, UUID | None]] = {}
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
        with self.transaction():
            for statement in SCHEMA.strip().split(";\n"):
                self._database.execute(statement)
        if fresh:
            sync_folder(path.parent)

    def ensure_institution(self, institution: UUID) -> None:
        """Give the institution its epoch key, epoch 1, where it has none; durable in every keyslot mirror."""
        with self.transaction():
            row = self._database.execute(
                "SELECT epoch FROM institution WHERE institution = ?", (institution.bytes,)
            ).fetchone()
            # Inside the write transaction, so that two processes cannot make two keys of one epoch.
            if row is not None:
                self.keyslots.mirror(institution, row[0])
            else:
                self.keyslots.create(institution, 1)
                self._database.execute("INSERT INTO institution VALUES (?, 1)", (institution.bytes,))

    def create_key(self, institution: UUID, kind: KeyKind) -> tuple[UUID, bytes]:
        """Make a random key; it is durable on return. Returns its id and its 32 bytes.

        Raises `WardlightError("not-found")` for an institution without epoch key.
        """
        with self.transaction():
            return self._insert(institution, kind, singleton=False)

    def create_keys(self, institution: UUID, kind: KeyKind, count: int) -> list[tuple[UUID, bytes]]:
        """Make many random keys; all are durable on return. Otherwise as `create_key`."""
        with self.transaction():
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
            with self.transaction():
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

    def reference_key(self, institution: UUID) -> tuple[int, bytes]:
        """Epoch and key under which references of the audit trail are made now (audit.md section 1).

        Epoch 1 is the institution's own key of that kind. Other processes follow a new epoch within `CACHE_SECONDS`.
        """
        now = time.monotonic()
        with self._lock:
            known = self._reference_epochs.get(institution)
            if known is None or known[0] <= now:
                row = self._database.execute(
                    "SELECT epoch, key_id FROM audit_reference WHERE institution = ? ORDER BY epoch DESC LIMIT 1",
                    (institution.bytes,),
                ).fetchone()
                epoch, key_id = (row[0], UUID(bytes=row[1])) if row else (1, None)
                known = self._reference_epochs[institution] = (now + CACHE_SECONDS, epoch, key_id)
        if known[2] is None:
            return 1, self.institution_key(institution, KeyKind.AUDIT_REFERENCE)[1]
        return known[1], self.get_key(institution, known[2])

    def reference_keys(self, institution: UUID) -> list[tuple[int, bytes]]:
        """Every epoch with its key, newest first; those whose key was destroyed are left out."""
        with self._lock:
            rows = self._database.execute(
                "SELECT epoch, key_id FROM audit_reference WHERE institution = ? ORDER BY epoch DESC",
                (institution.bytes,),
            ).fetchall()
        keys = self.get_keys(institution, [UUID(bytes=key_id) for _, key_id in rows])
        found = [(epoch, keys[place]) for epoch, raw in rows if (place := UUID(bytes=raw)) in keys]
        return [*found, (1, self.institution_key(institution, KeyKind.AUDIT_REFERENCE)[1])]

    def open_reference_epoch(self, institution: UUID) -> int:
        """Make a key for references from now on; older ones are still found. Returns the new epoch."""
        with self.transaction():
            key_id, _ = self._insert(institution, KeyKind.AUDIT_REFERENCE, singleton=False)
            query = "SELECT coalesce(max(epoch), 1) + 1 FROM audit_reference WHERE institution = ?"
            epoch: int = self._database.execute(query, (institution.bytes,)).fetchone()[0]
            self._database.execute(
                "INSERT INTO audit_reference VALUES (?, ?, ?)", (institution.bytes, epoch, key_id.bytes)
            )
            self._reference_epochs.pop(institution, None)
        return epoch

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
            found = self._read(institution, [key_id])
            if key_id not in found:
                self._keys.pop(place, None)
                raise WardlightError("key-destroyed")
            self._remember(place, found[key_id], now)
            return found[key_id]

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
                for key_id, key in self._read(institution, missing[start : start + _KEYS_AT_ONCE]).items():
                    self._remember((institution, key_id), key, now)
                    found[key_id] = key
        return found

    def destroy_key(self, institution: UUID, key_id: UUID) -> None:
        """`destroy_keys` for a single key."""
        self.destroy_keys(institution, [key_id])

    def destroy_keys(self, institution: UUID, key_ids: Sequence[UUID]) -> None:
        """Delete keys, leave tombstones, and wipe their bytes from the database and its log. Idempotent.

        Raises `WardlightError("unavailable")` when readers keep the log busy: the keys are deleted then, and the call
        must be repeated until their remnants are gone, too.
        """
        with self.transaction():
            for key_id in key_ids:
                self._delete(institution, key_id)
        self.wipe()

    def bury(self, tombstones: Iterable[Tombstone]) -> int:
        """Destroy the keys that these tell of, where this keystore still has them; how many that were.

        For a copy that was put back: to be called before anything is served from it.
        """
        found = 0
        with self.transaction():
            for one in tombstones:
                found += self._delete(one.institution, one.key_id, one.destroyed_ms)
        self.wipe()
        return found

    def new_seed(self, institution: UUID | None, origin: str) -> bytes:
        """Make the seed of a log's signing key, within a `transaction`; returns that by which `seed` opens it.

        An institution's is one of its keys; the operator's (None) is wrapped by the root itself.
        """
        if institution is not None:
            return self._insert(institution, KeyKind.SIGNING, singleton=False)[0].bytes
        return self._kms.wrap(_OPERATOR, bind(Label.LOG_SEED, origin.encode()), os.urandom(KEY_BYTES))

    def seed(self, institution: UUID | None, origin: str, kept: bytes) -> bytes:
        """The 32 bytes of a log's signing key. Raises `key-destroyed`, `wrong-key`."""
        if not kept:
            raise WardlightError("key-destroyed")
        if institution is not None:
            return self.get_key(institution, UUID(bytes=kept))
        return self._kms.unwrap(_OPERATOR, bind(Label.LOG_SEED, origin.encode()), kept)

    def drop_seed(self, institution: UUID | None, kept: bytes) -> None:
        """Delete a seed within a `transaction`; `wipe` afterwards. The operator's goes with the row that held it."""
        if institution is not None:
            self._delete(institution, UUID(bytes=kept))

    def wrap_own(self, label: Label, context: bytes, key: bytes) -> bytes:
        """Seal 32 bytes that are the operator's own under the root itself."""
        return self._kms.wrap(_OPERATOR, bind(label, context), key)

    def unwrap_own(self, label: Label, context: bytes, sealed: bytes) -> bytes:
        """Open what `wrap_own` sealed. Raises `wrong-key`."""
        return self._kms.unwrap(_OPERATOR, bind(label, context), sealed)

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

    def tombstones(self, key_ids: Sequence[UUID] | None = None) -> list[Tombstone]:
        """The keys that were destroyed, or those of these that were, oldest first."""
        with self._lock:
            rows = self._database.execute("SELECT * FROM tombstone ORDER BY destroyed_ms").fetchall()
        wanted = None if key_ids is None else {one.bytes for one in key_ids}
        return [
            Tombstone(UUID(bytes=key_id), UUID(bytes=owner), at)
            for key_id, owner, at in rows
            if wanted is None or key_id in wanted
        ]

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
        self._count()
        return key_id, key

    @property
    def sequence(self) -> int:
        """How often keys were made, destroyed or wrapped anew: a copy with a lower number is an older one."""
        return self.noted("sequence")

    def note(self, name: str, value: int) -> None:
        """Keep a number under a name, as when the last backup was made."""
        with self.transaction():
            self._database.execute("INSERT OR REPLACE INTO number VALUES (?, ?)", (name, value))

    def noted(self, name: str) -> int:
        """The number under this name; 0 where there is none."""
        with self._lock:
            row = self._database.execute("SELECT value FROM number WHERE name = ?", (name,)).fetchone()
        return row[0] if row else 0

    def epoch(self, institution: UUID) -> int:
        """The institution's epoch. Raises `WardlightError("not-found")`."""
        with self._lock:
            row = self._database.execute(_EPOCH, (institution.bytes,)).fetchone()
        if row is None:
            raise WardlightError("not-found", "the institution has no epoch key")
        epoch: int = row[0]
        return epoch

    def institutions(self) -> list[UUID]:
        """Those that have an epoch key."""
        with self._lock:
            rows = self._database.execute("SELECT institution FROM institution ORDER BY 1").fetchall()
        return [UUID(bytes=raw) for (raw,) in rows]

    def rewrap(self, institution: UUID, epoch: int) -> int:
        """Wrap all keys of the institution by its next epoch key, whose slot exists; returns how many.

        epoch: the one that is left. One transaction. Raises `WardlightError("conflict")` where another process was
        first.
        """
        with self.transaction():
            if self.epoch(institution) != epoch:
                raise WardlightError("conflict", "the institution's epoch was rolled by another process")
            query = "SELECT key_id, kind, wrapped FROM key WHERE institution = ?"
            rows = self._database.execute(query, (institution.bytes,)).fetchall()
            fresh = self._epoch_key(institution, epoch + 1)
            changed = []
            for raw, kind, wrapped in rows:
                key_id = UUID(bytes=raw)
                key = unwrap(self._epoch_key(institution, epoch_of(wrapped)), institution, key_id, wrapped)
                changed.append((wrap(fresh, institution, epoch + 1, KeyKind(kind), key_id, key), raw))
            self._database.executemany("UPDATE key SET wrapped = ? WHERE key_id = ?", changed)
            self._database.execute(
                "UPDATE institution SET epoch = ? WHERE institution = ?", (epoch + 1, institution.bytes)
            )
            self._database.execute(
                "INSERT INTO epoch_roll VALUES (?, ?, ?, NULL)",
                (institution.bytes, epoch + 1, clock.unix_ms()),
            )
            self._count()
        self.wipe()
        return len(rows)

    def copy(self, file: Path) -> None:
        """Write the database as it is into a new file, private and durable; no deleted bytes are in it."""
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with self._lock:
                self._database.execute("VACUUM INTO ?", (str(file),))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(file.parent)

    def _epoch_key(self, institution: UUID, epoch: int) -> bytes:
        now = time.monotonic()
        cached = self._epoch_keys.get((institution, epoch))
        if cached is None or cached[0] <= now:
            cached = (now + _IEK_SECONDS, self.keyslots.key(institution, epoch))
            self._epoch_keys[institution, epoch] = cached
        return cached[1]

    def forget_before(self, institution: UUID, epoch: int) -> None:
        """Drop the keys of older epochs from this process's memory."""
        with self._lock:
            for place in [one for one in self._epoch_keys if one[0] == institution and one[1] < epoch]:
                del self._epoch_keys[place]

    def _remember(self, place: tuple[UUID, UUID], key: bytes, now: float) -> None:
        self._keys[place] = (now + CACHE_SECONDS, key)
        self._keys.move_to_end(place)
        while len(self._keys) > CACHE_KEYS:
            self._keys.popitem(last=False)

    def _read(self, institution: UUID, key_ids: Sequence[UUID]) -> dict[UUID, bytes]:
        """Open rows; again where another process rolled the epoch between the row and its keyslot."""
        marks = ",".join("?" * len(key_ids))
        query = f"SELECT key_id, wrapped FROM key WHERE institution = ? AND key_id IN ({marks})"  # noqa: S608
        for last in (False, True):
            rows = self._database.execute(
                query, (institution.bytes, *(one.bytes for one in key_ids))
            ).fetchall()
            try:
                return {
                    (key_id := UUID(bytes=raw)): unwrap(
                        self._epoch_key(institution, epoch_of(wrapped)), institution, key_id, wrapped
                    )
                    for raw, wrapped in rows
                }
            except WardlightError as error:
                if last or error.code != "key-destroyed":
                    raise
        raise AssertionError("unreachable")

    def _delete(self, institution: UUID, key_id: UUID, destroyed_ms: int | None = None) -> bool:
        """Delete a key. The tombstone is written where there was a key, or where somebody tells when it ended."""
        deleted = self._database.execute(
            "DELETE FROM key WHERE key_id = ? AND institution = ?", (key_id.bytes, institution.bytes)
        ).rowcount
        if deleted or destroyed_ms is not None:
            self._database.execute(
                "INSERT OR IGNORE INTO tombstone VALUES (?, ?, ?)",
                (key_id.bytes, institution.bytes, clock.unix_ms() if destroyed_ms is None else destroyed_ms),
            )
            self._count()
        self._keys.pop((institution, key_id), None)
        return bool(deleted)

    def _count(self) -> None:
        """One more change of what keys there are."""
        self._database.execute(_COUNT)

    def wipe(self) -> None:
        """Empty the write-ahead log; a reader in another process makes that fail as busy, so its result is checked.

        Raises `WardlightError("unavailable")` after some seconds.
        """
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
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The database, for statements that read; each sees what is committed."""
        with self._lock:
            yield self._database

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction; it is fsynced when the block is left without an error."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
