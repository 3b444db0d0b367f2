"""The durable local object store: one file an object, in 256 folders by the first byte of its random name.

Life of an object: a file in `incoming/`, fdatasync, rename into its folder, fsync of that folder. A crash before the
rename leaves a file in `incoming/` that nothing refers to; `sweep` removes it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

from wardlight.errors import WardlightError
from wardlight.keys.files import private_folder, sync_folder
from wardlight.objects.disk import disk_error, start_writeback, write_all
from wardlight.objects.format import ObjectKind
from wardlight.objects.store import ObjectReader, ObjectWriter, new_object_id

# The disk is set going after so many bytes: small enough that the last fdatasync waits for little.
_WRITEBACK_BYTES: Final = 4 << 20
#: Folder of the files of tombstones, beside the folders of objects.
TOMBSTONES: Final = "tombstones"
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


class LocalObjectStore:
    """An `ObjectStore` in a folder. Several processes may use one folder."""

    readers_keep: Final = True

    def __init__(self, folder: Path) -> None:
        """Make the folders where they do not exist yet."""
        self._folder = folder
        self._incoming = folder / "incoming"
        private_folder(self._incoming)
        shards = [folder / f"{first:02x}" for first in range(256)]
        if not shards[-1].exists():
            for shard in shards:
                shard.mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder)

    def create(self, sk: bytes, key_id: UUID, kind: ObjectKind) -> ObjectWriter:
        """See `ObjectStore.create`."""
        object_id = new_object_id()
        try:
            destination = _LocalDestination(self._incoming / object_id.hex, self._path(object_id))
        except OSError as error:
            raise disk_error(error) from None
        return ObjectWriter(object_id, destination, sk, key_id, kind)

    def open(self, object_id: UUID, sk: bytes, size: int) -> ObjectReader:
        """See `ObjectStore.open`."""
        try:
            source = _LocalSource(self._path(object_id))
        except FileNotFoundError:
            raise WardlightError("object-damaged", "the object is missing", reason="missing") from None
        except OSError as error:
            raise disk_error(error) from None
        if source.size != size:
            source.close()
            raise WardlightError("object-damaged", "the object does not have its size", reason="size")
        return ObjectReader(source, object_id, sk, size)

    def delete(self, object_id: UUID) -> None:
        """See `ObjectStore.delete`."""
        path = self._path(object_id)
        try:
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
        except OSError as error:
            raise disk_error(error) from None

    def list(self) -> Iterator[tuple[UUID, int]]:
        """See `ObjectStore.list`."""
        for shard in range(256):
            with os.scandir(self._folder / f"{shard:02x}") as entries:
                for entry in entries:
                    yield UUID(hex=entry.name), entry.stat(follow_symlinks=False).st_size

    def sweep(self, older_than_s: float = 24 * 3600.0) -> int:
        """Remove unfinished objects that nobody has written to for so many seconds. Returns how many."""
        removed = 0
        with os.scandir(self._incoming) as entries:
            for entry in entries:
                try:
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > older_than_s:
                        os.unlink(entry.path)  # noqa: PTH108 - scandir gives the path as text
                        removed += 1
                except FileNotFoundError:
                    continue  # committed or aborted meanwhile
        return removed

    def check(self) -> None:
        """See `ObjectStore.check`."""
        if not os.access(self._incoming, os.W_OK | os.X_OK):
            raise WardlightError("unavailable", "the folder of objects cannot be written to")

    def put_tombstones(self, name: str, content: bytes) -> None:
        """See `ObjectStore.put_tombstones`."""
        file = self._folder / TOMBSTONES / name
        partial = file.with_name(f".{name}.{new_object_id().hex}")
        try:
            private_folder(file.parent)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                write_all(descriptor, memoryview(content))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            partial.replace(file)
            sync_folder(file.parent)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise disk_error(error) from None

    def tombstones(self) -> Iterator[tuple[str, bytes]]:
        """See `ObjectStore.tombstones`."""
        for file in sorted((self._folder / TOMBSTONES).glob("[!.]*")):
            yield file.name, file.read_bytes()

    def drop_tombstones(self, name: str) -> None:
        """See `ObjectStore.drop_tombstones`."""
        (self._folder / TOMBSTONES / name).unlink(missing_ok=True)

    def _path(self, object_id: UUID) -> Path:
        name = object_id.hex
        return self._folder / name[:2] / name


class _LocalDestination:
    """A file in `incoming/` until it is published."""

    __slots__ = ("_descriptor", "_final", "_started", "_temporary", "_written")

    def __init__(self, temporary: Path, final: Path) -> None:
        self._temporary = temporary
        self._final = final
        self._written = 0
        self._started = 0
        self._descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, data: memoryview) -> None:
        write_all(self._descriptor, data)
        self._written += len(data)
        if self._written - self._started >= _WRITEBACK_BYTES:
            start_writeback(self._descriptor, self._started, self._written - self._started)
            self._started = self._written

    def publish(self) -> None:
        os.fdatasync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        self._temporary.rename(self._final)
        sync_folder(self._final.parent)

    def discard(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._temporary.unlink(missing_ok=True)


class _LocalSource:
    """An open file; closed when it is forgotten, too."""

    __slots__ = ("_file", "size")

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb", buffering=0, opener=lambda name, _: os.open(name, _OPEN_FLAGS))  # noqa: SIM115
        self.size = os.fstat(self._file.fileno()).st_size

    def pread(self, offset: int, length: int) -> bytes:
        return os.pread(self._file.fileno(), length, offset)

    def close(self) -> None:
        self._file.close()
