"""The keys of the spool: one a day, each in a file of its own, gone with the last spool file that needs it.

This is tier 3 of security.md §5: files of mode 0400 of the service's user, in a folder outside the data folder.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

from wardlight import clock
from wardlight.errors import WardlightError
from wardlight.keys.files import create_private, private_folder, read_private, sync_folder
from wardlight.keys.wrap import KEY_BYTES


class SpoolKeys:
    """The spool keys in `folder`; several processes share it."""

    def __init__(self, folder: Path) -> None:
        private_folder(folder)
        self._folder = folder
        self._known: dict[UUID, bytes] = {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against other threads and processes.

        A spool file is made, and one is removed together with its key, under this lock: otherwise a key could be
        taken for unused while a new file is about to name it.
        """
        descriptor = os.open(self._folder / "spool.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def current(self) -> tuple[UUID, bytes]:
        """Today's key (UTC), made and durable where there is none yet. Called under `locked`."""
        today = _day()
        for day, key_id in self._listed():
            if day == today:
                return key_id, self.get(key_id)
        key_id, key = uuid4(), os.urandom(KEY_BYTES)
        create_private(self._folder / _name(today, key_id), key, mode=0o400)
        self._known[key_id] = key
        return key_id, key

    def get(self, key_id: UUID) -> bytes:
        """A key by its id. Raises `WardlightError("key-destroyed")` when it is gone."""
        key = self._known.get(key_id)
        if key is None:
            name = next((_name(day, known) for day, known in self._listed() if known == key_id), None)
            if name is None:
                raise WardlightError("key-destroyed")
            try:
                key = read_private(self._folder / name, KEY_BYTES)
            except FileNotFoundError:
                raise WardlightError("key-destroyed") from None
            self._known[key_id] = key
        return key

    def forget(self, used: set[UUID]) -> None:
        """Destroy every key that no file uses and that is not today's. Called under `locked`."""
        today, gone = _day(), False
        for day, key_id in self._listed():
            if day != today and key_id not in used:
                (self._folder / _name(day, key_id)).unlink(missing_ok=True)
                self._known.pop(key_id, None)
                gone = True
        if gone:
            sync_folder(self._folder)

    def _listed(self) -> list[tuple[str, UUID]]:
        names = sorted(file.name for file in self._folder.glob("spool-*.key"))
        return [(day, UUID(hex=key_id)) for day, key_id in (name[6:-4].split("-") for name in names)]


def _day() -> str:
    return clock.now().strftime("%Y%m%d")


def _name(day: str, key_id: UUID) -> str:
    return f"spool-{day}-{key_id.hex}.key"
