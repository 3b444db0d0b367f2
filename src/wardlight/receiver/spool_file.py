"""A spool file that this process writes: a log with two buffers, one writer thread, and group commit.

Associations encrypt their records into one buffer while the writer thread puts the other on the disk: past the page
cache where the file system allows it (O_DIRECT), which costs half the processor time. A commit waits for the
fdatasync that covers it; one fdatasync serves all that wait. While the disk works, the association's thread computes
its digest.

Direct writes are whole blocks. The last block of a write is filled up with zeros and written again, with the same
bytes at its beginning, by the next: an old and a new version of it agree on everything that was acknowledged.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardlight import log
from wardlight.errors import WardlightError
from wardlight.keys.files import sync_folder
from wardlight.objects.disk import disk_error
from wardlight.objects.format import HEADER_BYTES, TAG_BYTES, ObjectKind, make_header
from wardlight.receiver.spool_format import HEAD, MOST_RECORDS, RecordType, nonce
from wardlight.receiver.spool_keys import SpoolKeys

FILE_BYTES: Final = 256 << 20
FILE_SECONDS: Final = 60.0

_BUFFER_BYTES: Final = 1 << 20
_BLOCK_BYTES: Final = 4096
# The writer begins without being asked when so much is there, so that little is left when the object ends.
_EAGER_BYTES: Final = 256 << 10
_O_DIRECT: Final = getattr(os, "O_DIRECT", 0)

Part = tuple[RecordType, bytes | memoryview]
"""A record to be written: type and content."""


class BrokenFile(Exception):
    """The file failed before; nothing may be appended to it. `error` is what its streams tell their senders."""

    def __init__(self, error: WardlightError) -> None:
        super().__init__(error.code)
        self.error = error


class SpoolFile:
    """One file, from its creation to its CLOSE record. Never opened again for writing."""

    def __init__(self, folder: Path, keys: SpoolKeys, expired: Callable[[SpoolFile], None]) -> None:
        """Make the file, durable in its folder. `expired` is called once, without a lock, when it is old enough."""
        identity = uuid4()
        self.file_id = identity.hex
        self.active = 0  # streams that hold the file open; guarded by the spool's lock, as are the next two
        self.streams = 0
        self.retired = False
        self.end = HEADER_BYTES
        """Offset after the last record, written or not."""
        self.error: WardlightError | None = None
        """Set for good when a write or sync failed."""
        key_id, key = keys.current()
        header, file_key = make_header(key, ObjectKind.SPOOL, key_id, identity)
        self._aead = AESGCM(file_key)
        self._buffer, self._other = (memoryview(mmap.mmap(-1, _BUFFER_BYTES)) for _ in range(2))
        self._buffer[:HEADER_BYTES] = header
        self._filled = HEADER_BYTES
        self._base = 0  # offset in the file of the buffer's first byte, a multiple of the block
        self._records = 0
        self._wanted = self._durable = 0
        self._closing = self._closed = False
        self._expired: Callable[[SpoolFile], None] | None = expired
        self._expires = time.monotonic() + FILE_SECONDS
        lock = threading.Lock()
        self._lock = lock
        self._work = threading.Condition(lock)  # for the writer thread
        self._progress = threading.Condition(lock)  # for the associations
        self._descriptor = _create(folder / f"{self.file_id}.spool", self._buffer[:_BLOCK_BYTES])
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)
        self._thread.start()

    def append(self, stream: int, parts: Sequence[Part]) -> tuple[int, int, int]:
        """Encrypt records into the buffer. Returns offset and number of the first, and the offset after the last.

        Waits for the disk when the buffer is full. Raises `BrokenFile`.
        """
        with self._lock:
            first: tuple[int, int] | None = None
            for kind, content in parts:
                size = HEAD.size + len(content) + TAG_BYTES
                while self.error is None and self._filled + size > _BUFFER_BYTES - _BLOCK_BYTES:
                    self._work.notify()
                    self._progress.wait()
                if self.error is not None:
                    raise BrokenFile(self.error)
                if first is None:
                    first = self._base + self._filled, self._records
                self._encrypt(stream, kind, content, self._filled + size)
            if self._filled >= _EAGER_BYTES:
                self._work.notify()
            assert first is not None, "nothing to append"
            return (*first, self.end)

    def sync(self, end: int) -> None:
        """Return when everything before `end` is durable. Raises `BrokenFile` when that failed."""
        with self._lock:
            self._wanted = max(self._wanted, end)
            self._work.notify()
            while self._durable < end:
                if self.error is not None:
                    raise BrokenFile(self.error)
                self._progress.wait()

    def close(self) -> None:
        """Let the writer thread complete and close the file, which no stream holds. Returns before it has."""
        with self._lock:
            self._closing = True
            self._work.notify()

    @property
    def ended(self) -> bool:
        """Whether the file is closed."""
        return not self._thread.is_alive()

    def join(self) -> None:
        """Wait until the file is on the disk and closed. Called after `close`."""
        self._thread.join()

    def _encrypt(self, stream: int, kind: RecordType, content: bytes | memoryview, end: int) -> None:
        """Put one record at the buffer's end. The number is taken first: no failure may let it be used again."""
        number, at = self._records, self._filled
        self._records = number + 1
        sealed = at + HEAD.size
        try:
            if number >= MOST_RECORDS:
                raise WardlightError("unavailable", "a spool file has at most 2^32 records")
            HEAD.pack_into(self._buffer, at, stream, kind << 24 | len(content) + TAG_BYTES)
            self._aead.encrypt_into(nonce(number), content, self._buffer[at:sealed], self._buffer[sealed:end])
        except BaseException as error:
            self._fail(error if isinstance(error, WardlightError) else WardlightError("internal"))
            raise
        self._filled = end
        self.end = self._base + end

    def _fail(self, error: WardlightError) -> None:
        self.error = self.error or error
        self._progress.notify_all()

    def _run(self) -> None:
        """The writer thread."""
        try:
            while not self._closed:
                turn = self._next()
                if turn is None:
                    self._tell_expired()
                else:
                    self._put(turn)
        except OSError as error:
            with self._lock:
                self._fail(disk_error(error))
                log.error("spool-file-abandoned", error, file_id=self.file_id, offset=self._durable)
                while not self._closing:
                    self._work.wait()
        finally:
            with self._lock:
                if not self._closed:
                    self._fail(WardlightError("internal"))  # Whoever waits must not wait for ever.
            os.close(self._descriptor)  # ends the lock that tells other processes of the writer

    def _next(self) -> _Turn | None:
        """Wait for something to write and swap the buffers; None when the file has become old enough instead."""
        with self._lock:
            while not (self._closing or self._filled >= _EAGER_BYTES or self._wanted > self._durable):
                left = None if self._expired is None else self._expires - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._work.wait(left)
            if self._closing:
                # There is always room: the block that `append` leaves free takes more than this record.
                self._encrypt(0, RecordType.CLOSE, b"", self._filled + HEAD.size + TAG_BYTES)
                self._closed = True
            turn = _Turn(self._buffer, self._filled, self._base, self._wanted > self._durable)
            whole = self._filled // _BLOCK_BYTES * _BLOCK_BYTES
            rest = self._filled - whole
            self._other[:rest] = self._buffer[whole : self._filled]
            self._buffer, self._other = self._other, self._buffer
            self._base += whole
            self._filled = rest
            self._progress.notify_all()
            return turn

    def _put(self, turn: _Turn) -> None:
        """Write one buffer, and sync when a commit waits."""
        length = turn.length + -turn.length % _BLOCK_BYTES
        turn.data[turn.length : length] = bytes(length - turn.length)
        _write_at(self._descriptor, turn.data[:length], turn.offset)
        if self._closed:
            os.ftruncate(self._descriptor, turn.offset + turn.length)
        if turn.sync:
            os.fdatasync(self._descriptor)
            with self._lock:
                self._durable = turn.offset + turn.length
                self._progress.notify_all()

    def _tell_expired(self) -> None:
        expired, self._expired = self._expired, None
        if expired is not None:
            expired(self)


class _Turn(NamedTuple):
    """What the writer thread does next: `length` bytes of `data` at `offset` of the file, and whether to sync."""

    data: memoryview
    length: int
    offset: int
    sync: bool


def _create(path: Path, block: memoryview) -> int:
    """Make the file with its first block, locked and durable in its folder. Returns the descriptor."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    for direct in (_O_DIRECT, 0):
        descriptor = -1
        try:
            descriptor = os.open(path, flags | direct, 0o600)
            # The lock tells other processes that the file is still written to; it ends with this process.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _write_at(descriptor, block, 0)
            sync_folder(path.parent)
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
            path.unlink(missing_ok=True)
            # EINVAL: the file system has no direct writes, or wants larger blocks.
            if not direct or error.errno != errno.EINVAL:
                raise
        else:
            return descriptor
    raise AssertionError("the loop returns or raises")


def _write_at(descriptor: int, data: memoryview, offset: int) -> None:
    while len(data):
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
