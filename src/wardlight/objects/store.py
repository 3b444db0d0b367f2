"""The object store port: encrypted objects under random names, immutable once committed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID, uuid4

from wardlight.errors import WardlightError
from wardlight.objects.disk import disk_error
from wardlight.objects.format import CHUNK_BYTES, Decryptor, Encryptor, ObjectKind


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A durable object. `size` is in stored bytes and belongs in the index; `plaintext` in bytes of content."""

    object_id: UUID
    size: int
    plaintext: int


class Source(Protocol):
    """Where a reader gets stored bytes from."""

    def pread(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer at the end only."""
        ...

    def close(self) -> None:
        """Release it; may be called twice."""
        ...


class Destination(Protocol):
    """Where a writer puts stored bytes before they are an object."""

    def write(self, data: memoryview) -> None:
        """Take every byte, or raise `OSError`."""
        ...

    def publish(self) -> None:
        """Make the bytes durable and let them be found, both on return."""
        ...

    def discard(self) -> None:
        """Forget the bytes; may be called twice, and after `publish`, when it does nothing."""
        ...


class ObjectWriter(AbstractContextManager["ObjectWriter"]):
    """Writes one object. Left without `commit`, it leaves nothing behind.

    Errors of the disk are `WardlightError` `"out-of-resources"` or `"unavailable"`; the writer is then useless and
    the caller writes a new object.
    """

    __slots__ = ("_destination", "_encryptor", "object_id")

    def __init__(
        self, object_id: UUID, destination: Destination, sk: bytes, key_id: UUID, kind: ObjectKind
    ) -> None:
        self.object_id = object_id
        self._destination = destination
        self._encryptor = Encryptor(sk, key_id, object_id, kind, destination.write)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add content."""
        try:
            self._encryptor.write(data)
        except (OSError, WardlightError) as error:
            self._destination.discard()
            raise (disk_error(error) if isinstance(error, OSError) else error) from None

    def tell(self) -> int:
        """Offset in the content at which the next write begins."""
        return self._encryptor.plaintext

    def commit(self) -> StoredObject:
        """Complete the object; it is durable and can be opened on return."""
        try:
            size = self._encryptor.finish()
            self._destination.publish()
        except (OSError, WardlightError) as error:
            self._destination.discard()
            raise (disk_error(error) if isinstance(error, OSError) else error) from None
        return StoredObject(self.object_id, size, self._encryptor.plaintext)

    def abort(self) -> None:
        """Drop the object. Does nothing after `commit`."""
        self._encryptor.abandon()
        self._destination.discard()

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.abort()


class ObjectReader(AbstractContextManager["ObjectReader"]):
    """Reads one object. Errors are those of `Decryptor`, and `"unavailable"` when the disk fails."""

    __slots__ = ("_decryptor", "_source")

    def __init__(self, source: Source, object_id: UUID, sk: bytes, size: int) -> None:
        self._source = source
        try:
            self._decryptor = Decryptor(self._pread, size, sk, object_id)
        except BaseException:
            source.close()
            raise

    @property
    def plaintext(self) -> int:
        """Bytes of content."""
        return self._decryptor.plaintext

    @property
    def key_id(self) -> UUID:
        """The id of the key that the object was made under."""
        return self._decryptor.header.key_id

    @property
    def kind(self) -> ObjectKind:
        """What the object holds."""
        return self._decryptor.header.kind

    def read(self, start: int, end: int) -> bytes:
        """The content's bytes from `start` up to `end`, verified."""
        return self._decryptor.read(start, end)

    def iter(self, start: int, end: int, chunk: int = 4 * CHUNK_BYTES) -> Iterator[bytes]:
        """The same in pieces of at most `chunk` bytes; memory stays at about three times that."""
        return self._decryptor.iter(start, end, chunk)

    def verify(self) -> None:
        """Read and verify the whole object, for fsck."""
        self._decryptor.verify()

    def close(self) -> None:
        """Release the object."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def _pread(self, offset: int, length: int) -> bytes:
        try:
            return self._source.pread(offset, length)
        except OSError as error:
            raise disk_error(error) from None


class ObjectStore(Protocol):
    """A store of encrypted objects, for use from many threads.

    An object MUST be durable and readable when `commit` returns, MUST NOT be visible to `open` or `list` before, and
    never changes after. Names are random and come from the store, never from a peer.
    """

    @property
    def readers_keep(self) -> bool:
        """Whether who has an object open can read it to its end although it is deleted meanwhile."""
        ...

    def create(self, sk: bytes, key_id: UUID, kind: ObjectKind) -> ObjectWriter:
        """Begin an object under the key `sk`, whose id is written in the header."""
        ...

    def open(self, object_id: UUID, sk: bytes, size: int) -> ObjectReader:
        """Open an object whose stored size the index gives as `size`.

        Raises `WardlightError` `"object-damaged"` (reason `missing` when there is none, `size` when it is longer or
        shorter than the index says) or `"wrong-key"`.
        """
        ...

    def delete(self, object_id: UUID) -> None:
        """Remove an object for good; durable on return. Does nothing when there is none."""
        ...

    def list(self) -> Iterator[tuple[UUID, int]]:
        """Every committed object with its stored size, in no order."""
        ...

    def sweep(self, older_than_s: float = 24 * 3600.0) -> int:
        """Remove unfinished objects that nobody has written to for so many seconds. Returns how many."""
        ...

    def check(self) -> None:
        """Raise `WardlightError("unavailable")` unless objects can be stored and read now, as far as that shows."""
        ...

    def put_tombstones(self, name: str, content: bytes) -> None:
        """Keep a file of tombstones beside the objects, in clear; in the place of one of this name. Durable on return.

        name: a-z, 0-9, `-` and `.`. Tombstones say which keys were destroyed, for whoever restores a backup.
        """
        ...

    def tombstones(self) -> Iterator[tuple[str, bytes]]:
        """(name, content) of every file of tombstones, in no order."""
        ...

    def drop_tombstones(self, name: str) -> None:
        """Remove a file of tombstones. Does nothing when there is none."""
        ...


def new_object_id() -> UUID:
    """A random name."""
    return uuid4()
