"""The roll: a new epoch key for an institution, after which no older copy of the keystore can be read (security.md §2).

Boneh and Lipton's revocable backup (USENIX Security 1996): what is deleted from the keystore stays in its copies, but
only wrapped under epoch keys of which no keyslot is left.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from wardlight import clock
from wardlight.errors import WardlightError
from wardlight.keys.keyslot import Keyslots
from wardlight.keys.keystore import Keystore
from wardlight.keys.wrap import epoch_of, unwrap

#: A copy is written in seconds.
_LEFT_S: Final = 600.0
_DAMAGED: Final = "a copy of the keystore cannot be read"
_UNROLLED: Final = """
SELECT tombstone.institution, min(destroyed_ms) FROM tombstone
WHERE destroyed_ms >= coalesce(
  (SELECT max(rewrapped_ms) FROM epoch_roll
   WHERE epoch_roll.institution = tombstone.institution AND retired_ms IS NOT NULL), 0)
GROUP BY tombstone.institution
"""


@dataclass(frozen=True, slots=True)
class Roll:
    """A completed roll. keys: wrapped anew, 0 where a roll that was interrupted was brought to its end.

    rewrapped_ms: what was destroyed before then is in no copy that can be read. retired_ms: since when.
    """

    institution: UUID
    epoch: int
    keys: int
    rewrapped_ms: int
    retired_ms: int


class Epochs:
    """Rolls epochs. Any number of processes may: each step is safe to repeat; a crash is mended by the next roll."""

    def __init__(self, keystore: Keystore, copies: Path | None) -> None:
        """copies: the folder of keystore copies; None: there is none, and the roll makes one that it removes."""
        self._keystore = keystore
        self._copies = copies

    def unrolled(self) -> dict[UUID, int]:
        """Institutions of which a key was destroyed since their last roll, and when the first of these was."""
        with self._keystore.reading() as database:
            return {UUID(bytes=raw): at for raw, at in database.execute(_UNROLLED)}

    def unfinished(self) -> list[UUID]:
        """Institutions whose roll was interrupted after their keys were wrapped anew."""
        query = "SELECT DISTINCT institution FROM epoch_roll WHERE retired_ms IS NULL"
        with self._keystore.reading() as database:
            return [UUID(bytes=raw) for (raw,) in database.execute(query)]

    def rolls(self, institution: UUID) -> list[tuple[int, int]]:
        """(when keys were wrapped anew, when the epoch before was ended) of completed rolls, oldest first."""
        query = (
            "SELECT rewrapped_ms, retired_ms FROM epoch_roll"
            " WHERE institution = ? AND retired_ms IS NOT NULL ORDER BY epoch"
        )
        with self._keystore.reading() as database:
            return list(database.execute(query, (institution.bytes,)))

    def roll(self, institution: UUID) -> Roll:
        """Give the institution a new epoch key and end the old ones; one that was interrupted is completed instead.

        The old keyslot ends only after a copy of the keystore was opened with the new one. Raises `conflict` where
        another process rolls, `key-destroyed`, `wrong-key`, `object-damaged`, `unavailable`: the old epoch stays then.
        """
        epoch = self._keystore.epoch(institution)
        if institution in self.unfinished():
            return self._end(institution, epoch, 0)
        self._keystore.keyslots.create(institution, epoch + 1)
        keys = self._keystore.rewrap(institution, epoch)
        return self._end(institution, epoch + 1, keys)

    def _end(self, institution: UUID, epoch: int, keys: int) -> Roll:
        keyslots = self._keystore.keyslots
        keyslots.mirror(institution, epoch)
        # A log that still holds wraps under the old key would be copied with the file.
        self._keystore.wipe()
        with shipped(self._keystore, self._copies) as copy:
            open_copy(copy, keyslots, institution, epoch)
        keyslots.destroy_before(institution, epoch)
        self._keystore.forget_before(institution, epoch)
        now = clock.unix_ms()
        with self._keystore.transaction() as database:
            database.execute(
                "UPDATE epoch_roll SET retired_ms = ? WHERE institution = ? AND retired_ms IS NULL",
                (now, institution.bytes),
            )
            query = "SELECT rewrapped_ms, retired_ms FROM epoch_roll WHERE institution = ? AND epoch = ?"
            rewrapped, retired = database.execute(query, (institution.bytes, epoch)).fetchone()
        return Roll(institution, epoch, keys, rewrapped, retired)


@contextmanager
def shipped(keystore: Keystore, folder: Path | None) -> Iterator[Path]:
    """A fresh copy of the keystore: kept in `folder`, or, without one, beside the keystore until the block ends."""
    name = f"keystore-{clock.unix_ms():013d}-{keystore.sequence:010d}"
    place = folder if folder is not None else keystore.path.parent
    _remove_old(place)
    partial = place / f".{name}.partial"
    partial.unlink(missing_ok=True)
    keystore.copy(partial)
    try:
        if folder is None:
            yield partial
        else:
            yield partial.replace(folder / f"{name}.db")
    finally:
        partial.unlink(missing_ok=True)


def _remove_old(folder: Path) -> None:
    """Remove what a process that died while it wrote a copy has left."""
    for file in folder.glob(".keystore-*.partial"):
        with suppress(FileNotFoundError):
            if file.stat().st_mtime < time.time() - _LEFT_S:
                file.unlink()


def open_copy(copy: Path, keyslots: Keyslots, institution: UUID, epoch: int) -> int:
    """Open every key of an institution in a copy with the keyslot of an epoch; how many there are.

    Raises `object-damaged` for a file that is no keystore or is damaged, `wrong-key` for keys that do not open.
    """
    key = keyslots.key(institution, epoch)
    query = "SELECT key_id, wrapped FROM key WHERE institution = ?"
    try:
        with reading(copy) as database:
            rows = database.execute(query, (institution.bytes,)).fetchall()
    except sqlite3.Error:
        raise WardlightError("object-damaged", _DAMAGED) from None
    for raw, wrapped in rows:
        if epoch_of(wrapped) != epoch:
            raise WardlightError("wrong-key", "a copy of the keystore is of another epoch")
        unwrap(key, institution, UUID(bytes=raw), wrapped)
    return len(rows)


@contextmanager
def reading(copy: Path) -> Iterator[sqlite3.Connection]:
    """A copy of a keystore, for reading; nothing is written beside it."""
    database = sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        yield database
    finally:
        database.close()
