"""Backups: index and objects first, a copy of the keystore last and elsewhere (security.md §2).

A backup folder holds `index.db` (a SQLite database of this version's schema, whatever the index runs on), `objects/`
where objects are local files, `tombstones.ndjson` and, written last, `backup.json`. The same folder may be used again:
objects that are there are not copied again, and those that no row names any more go.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from wardlight import __version__, clock
from wardlight.archive import backup_store, store
from wardlight.archive.deletion_work import Places
from wardlight.archive.tombstones import NAME, Tombstones
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event
from wardlight.db.engine import EVERYWHERE, Database, open_database
from wardlight.db.schema import SCHEMA_VERSION, create_all
from wardlight.errors import WardlightError
from wardlight.keys.copies import Copies
from wardlight.keys.files import private_folder, replace_private, sync_folder

FORMAT: Final = "wardlight-backup/1"
INDEX: Final = "index.db"
MANIFEST: Final = "backup.json"
OBJECTS: Final = "objects"
#: Name of the number in the keystore that says when the last backup was made.
MADE: Final = "backup"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself. created_ms: its moment. keystore_sequence: a keystore must be so far at least."""

    format: str
    version: str
    schema: int
    created_ms: int
    keystore_sequence: int
    objects: int | None

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Of a folder. Raises `not-found`, `bad-request`."""
        try:
            found: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
            manifest = cls(**found)
        except FileNotFoundError:
            raise WardlightError("not-found", "there is no whole backup in this folder") from None
        except (ValueError, TypeError):
            raise WardlightError("bad-request", "backup.json is none of a backup") from None
        if manifest.format != FORMAT or manifest.schema > SCHEMA_VERSION:
            raise WardlightError("bad-request", "the backup is of a newer version")
        return manifest


class Backup:
    """Makes backups of a platform that runs."""

    def __init__(self, places: Places, tombstones: Tombstones, objects: Path | None) -> None:
        """objects: the folder of local objects; None where they are in a bucket, which has its own copies."""
        self._database = places.database
        self._keystore = places.keystore
        self._recorder = places.recorder
        self._tombstones = tombstones
        self._objects = objects

    def make(self, folder: Path, copies: Copies | None, by: Actor) -> Manifest:
        """Write a backup, and into `copies` a copy of the keystore. Raises `out-of-resources`, `unavailable`."""
        private_folder(folder)
        (folder / MANIFEST).unlink(missing_ok=True)
        created, sequence, named = self._index(folder)
        count = self._copy_objects(folder, named) if self._objects is not None else None
        told = self._tombstones.publish_all()
        replace_private(folder / NAME, told)
        if copies is not None:
            copies.ship(now=True)
            replace_private(copies.folder / NAME, told)
        manifest = Manifest(FORMAT, __version__, SCHEMA_VERSION, created, sequence, count)
        event = Event(
            Action.PLATFORM_BACKUP_CREATE,
            by,
            counts={"objects": count} if count else {},
            detail={"objects": count is not None, "keystore": copies is not None},
        )
        with self._database.begin() as tx:
            self._recorder.write(tx, None, event)
        # Last, and only what is in the trail: without its manifest nobody can restore from the folder.
        replace_private(folder / MANIFEST, json.dumps(asdict(manifest), indent=2).encode() + b"\n")
        self._keystore.note(MADE, created)
        return manifest

    def _index(self, folder: Path) -> tuple[int, int, set[UUID]]:
        """One state of the index in a file of its own; returns its moment, the keystore's sequence, objects named."""
        partial = folder / f".{INDEX}.partial"
        _remove(partial)
        with opened(partial) as target:
            create_all(target)
            with self._database.read(EVERYWHERE) as source, target.begin(EVERYWHERE, long=True) as tx:
                created = clock.unix_ms()
                named = set(store.referenced_objects(source))
                sequence = self._keystore.sequence
                backup_store.copy_out(source, tx)
        _sync(partial)
        partial.replace(folder / INDEX)
        sync_folder(folder)
        return created, sequence, named

    def _copy_objects(self, folder: Path, named: set[UUID]) -> int:
        """Those that the index names; an object that went meanwhile is of a deleted study, or metadata made anew."""
        assert self._objects is not None
        place = folder / OBJECTS
        count = 0
        for object_id in sorted(named, key=lambda one: one.bytes):
            name = f"{object_id.hex[:2]}/{object_id.hex}"
            count += copy_file(self._objects / name, place / name)
        for file in place.glob("[0-9a-f][0-9a-f]/*"):
            if len(file.name) != 32 or UUID(hex=file.name) not in named:
                file.unlink()
        return count


def copy_file(source: Path, target: Path) -> bool:
    """Copy an immutable file, durably; False where the source is not there. One that is there is left as it is."""
    try:
        size = source.stat().st_size
    except FileNotFoundError:
        return target.exists()
    if target.exists() and target.stat().st_size == size:
        return True
    private_folder(target.parent)
    partial = target.with_name(f".{target.name}.partial")
    try:
        with source.open("rb") as read, open(partial, "wb", opener=_private) as written:
            shutil.copyfileobj(read, written, 1 << 20)
            written.flush()
            os.fsync(written.fileno())
    except FileNotFoundError:
        partial.unlink(missing_ok=True)
        return False
    partial.replace(target)
    sync_folder(target.parent)
    return True


@contextmanager
def opened(file: Path) -> Iterator[Database]:
    """A SQLite database that is one file when it is closed."""
    database = open_database(f"sqlite:///{file}")
    try:
        yield database
    finally:
        database.close()


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
