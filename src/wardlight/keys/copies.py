"""Copies of the keystore in a folder of their own: shipped at least each minute, kept seven days (security.md §2)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from wardlight import clock
from wardlight.keys.epochs import shipped
from wardlight.keys.files import private_folder
from wardlight.keys.keystore import Keystore

EVERY_MS: Final = 60_000
KEPT_MS: Final = 7 * 86_400_000
#: The newest are all kept; of older ones the first of each hour.
_NEWEST: Final = 60
_HOUR_MS: Final = 3_600_000


class Copies:
    """The copies in one folder. Several processes may ship to it."""

    def __init__(self, keystore: Keystore, folder: Path) -> None:
        self._keystore = keystore
        self.folder: Final = folder

    def ship(self, *, now: bool = False) -> Path | None:
        """Write a copy if something changed since the last one, which is a minute old, or `now`; returns its file."""
        newest = next(iter(self.listed()), None)
        if newest is not None and not now:
            at, sequence, _ = newest
            if sequence == self._keystore.sequence or at > clock.unix_ms() - EVERY_MS:
                return None
        private_folder(self.folder)
        with shipped(self._keystore, self.folder) as file:
            pass
        self.prune()
        return file

    def listed(self) -> list[tuple[int, int, Path]]:
        """(when, sequence, file) of the copies, newest first."""
        found = []
        for file in self.folder.glob("keystore-*.db"):
            _, at, sequence = file.stem.split("-", 2)
            found.append((int(at), int(sequence), file))
        return sorted(found, reverse=True)

    def prune(self) -> int:
        """Remove what is older than seven days, and most of what is older than an hour; returns how many."""
        before = clock.unix_ms() - KEPT_MS
        hours: set[int] = set()
        removed = 0
        rows = self.listed()
        for at, _, file in reversed(rows[_NEWEST:]):
            if at < before or at // _HOUR_MS in hours:
                file.unlink(missing_ok=True)
                removed += 1
            hours.add(at // _HOUR_MS)
        return removed
