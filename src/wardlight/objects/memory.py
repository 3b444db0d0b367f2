"""An object store in memory, for tests: the same contract as the durable one, and loud where it is used wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from uuid import UUID

from wardlight.errors import WardlightError
from wardlight.objects.format import ObjectKind
from wardlight.objects.store import ObjectReader, ObjectWriter, new_object_id


class MemoryObjectStore:
    """An `ObjectStore` that keeps nothing. `objects` may be altered by tests that play the thief of a bucket."""

    readers_keep: Final = True

    def __init__(self) -> None:
        self.objects: dict[UUID, bytes] = {}
        self._tombstones: dict[str, bytes] = {}

    def create(self, sk: bytes, key_id: UUID, kind: ObjectKind) -> ObjectWriter:
        """See `ObjectStore.create`."""
        object_id = new_object_id()
        return ObjectWriter(object_id, _MemoryDestination(self.objects, object_id), sk, key_id, kind)

    def open(self, object_id: UUID, sk: bytes, size: int) -> ObjectReader:
        """See `ObjectStore.open`."""
        stored = self.objects.get(object_id)
        if stored is None:
            raise WardlightError("object-damaged", "the object is missing", reason="missing")
        if len(stored) != size:
            raise WardlightError("object-damaged", "the object does not have its size", reason="size")
        return ObjectReader(_MemorySource(stored), object_id, sk, size)

    def delete(self, object_id: UUID) -> None:
        """See `ObjectStore.delete`."""
        self.objects.pop(object_id, None)

    def list(self) -> Iterator[tuple[UUID, int]]:
        """See `ObjectStore.list`."""
        for object_id, stored in [*self.objects.items()]:
            yield object_id, len(stored)

    def sweep(self, older_than_s: float = 24 * 3600.0) -> int:  # noqa: ARG002 - unfinished objects end with their writer
        """See `ObjectStore.sweep`."""
        return 0

    def check(self) -> None:
        """See `ObjectStore.check`."""

    def put_tombstones(self, name: str, content: bytes) -> None:
        """See `ObjectStore.put_tombstones`."""
        self._tombstones[name] = content

    def tombstones(self) -> Iterator[tuple[str, bytes]]:
        """See `ObjectStore.tombstones`."""
        yield from [*self._tombstones.items()]

    def drop_tombstones(self, name: str) -> None:
        """See `ObjectStore.drop_tombstones`."""
        self._tombstones.pop(name, None)


class _MemoryDestination:
    def __init__(self, objects: dict[UUID, bytes], object_id: UUID) -> None:
        self._objects = objects
        self._object_id = object_id
        self._bytes: bytearray | None = bytearray()

    def write(self, data: memoryview) -> None:
        if self._bytes is None:
            raise AssertionError("an object was written to after it was published or discarded")
        self._bytes += data

    def publish(self) -> None:
        if self._bytes is None:
            raise AssertionError("an object was published after it was published or discarded")
        self._objects[self._object_id] = bytes(self._bytes)
        self._bytes = None

    def discard(self) -> None:
        self._bytes = None


class _MemorySource:
    def __init__(self, stored: bytes) -> None:
        self._stored = stored
        self._open = True

    def pread(self, offset: int, length: int) -> bytes:
        if not self._open:
            raise ValueError("read of a closed object")
        return self._stored[offset : offset + length]

    def close(self) -> None:
        self._open = False
