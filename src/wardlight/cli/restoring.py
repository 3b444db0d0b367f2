"""`wardlight restore`: files of a backup in their places, and the index last, when nothing deleted is left in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from wardlight import bootstrap
from wardlight.archive import backup_store
from wardlight.archive.backup import INDEX, OBJECTS, Manifest, copy_file, opened
from wardlight.archive.deletion_work import Places
from wardlight.archive.restore import Accepted, Restore, Restored
from wardlight.audit.model import Actor
from wardlight.db.engine import EVERYWHERE, open_database
from wardlight.db.schema import ensure
from wardlight.errors import WardlightError
from wardlight.keys.files import private_folder, sync_folder
from wardlight.objects.local import TOMBSTONES
from wardlight.settings import Settings

_WORKING: Final = ".restoring.db"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is put back. keystore: a copy of it, where the keystore is lost, too."""

    folder: Path
    keystore: Path | None
    accepted: Accepted


def restore(settings: Settings, wanted: Wanted, by: Actor) -> Restored:
    """Put a backup back into an installation without index. Nothing is served from it before all of it is done.

    Raises `already-exists` where there is an index, or a keystore besides the one given; `not-found`; and as
    `Restore.run` does: then all is as it was.
    """
    manifest = Manifest.read(wanted.folder)
    _require_room(settings, wanted)
    working = settings.index_path.with_name(_WORKING)
    private_folder(working.parent)
    placed = wanted.keystore is not None
    try:
        if wanted.keystore is not None:
            _place(wanted.keystore, settings.keystore_path)
        _remove(working)
        _place(wanted.folder / INDEX, working)
        if not settings.objects_url:
            _objects(wanted.folder, settings.objects_dir)
        done = _run(settings, wanted, manifest, working, by)
    except BaseException:
        _remove(working)
        if placed:
            _remove(settings.keystore_path)
        raise
    _publish(settings, working)
    return done


def _run(settings: Settings, wanted: Wanted, manifest: Manifest, working: Path, by: Actor) -> Restored:
    own = settings.model_copy(update={"database_url": f"sqlite:///{working}"})
    platform = bootstrap.platform(own, migrate=True)
    try:
        logs = [platform.audit_log.logs(one)[-1] for one in _owners(platform)]
        places = Places(platform.database, platform.keystore, platform.objects, platform.recorder)
        steps = Restore(
            places, platform.tombstones, platform.grants, platform.signer, platform.generations, logs
        )
        beside = [wanted.folder, *([wanted.keystore.parent] if wanted.keystore else [])]
        return steps.run(manifest, beside, by, wanted.accepted, keystore=wanted.keystore is not None)
    finally:
        platform.close()


def _owners(platform: bootstrap.Platform) -> list[UUID | None]:
    return [None, *(one.id for one in platform.identity.institutions())]


def _require_room(settings: Settings, wanted: Wanted) -> None:
    if settings.database_url:
        database = open_database(settings.index_url)
        try:
            ensure(database, migrate=True)
            with database.read(EVERYWHERE) as tx:
                empty = backup_store.is_empty(tx)
        finally:
            database.close()
    else:
        empty = not settings.index_path.exists()
    if not empty:
        raise WardlightError("already-exists", "there is an index here; move it away first")
    if wanted.keystore is not None and settings.keystore_path.exists():
        raise WardlightError(
            "already-exists", "there is a keystore here; move it away, or leave --keystore out"
        )
    if wanted.keystore is None and not settings.keystore_path.exists():
        raise WardlightError("not-found", "there is no keystore here; name a copy of it with --keystore")


def _place(source: Path, target: Path) -> None:
    private_folder(target.parent)
    if not copy_file(source, target):
        raise WardlightError("not-found", "a file of the backup is not there")


def _objects(folder: Path, target: Path) -> None:
    """Objects that are missing, and files of tombstones beside them."""
    for file in (folder / OBJECTS).glob("[0-9a-f][0-9a-f]/*"):
        if not file.name.startswith("."):
            copy_file(file, target / file.parent.name / file.name)
    for file in (folder / OBJECTS / TOMBSTONES).glob("[!.]*"):
        copy_file(file, target / TOMBSTONES / file.name)


def _publish(settings: Settings, working: Path) -> None:
    """The working copy becomes the index: with one rename, or in one transaction."""
    if not settings.database_url:
        working.replace(settings.index_path)
        sync_folder(working.parent)
        return
    database = open_database(settings.index_url)
    try:
        with (
            opened(working) as source,
            source.read(EVERYWHERE) as read,
            database.begin(EVERYWHERE, long=True) as tx,
        ):
            backup_store.copy_back(read, tx)
    finally:
        database.close()
    _remove(working)


def _remove(file: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
