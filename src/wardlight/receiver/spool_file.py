"""A spool file that this process writes: a log with two buffers and group commit.

Associations encrypt their records into one buffer, each at a place it was given, while somebody puts the other on the
disk: the spool's own thread early, or the commit that waits. It goes past the page cache where the file system allows
it (O_DIRECT), which costs half the processor time. A commit waits for the fdatasync that covers it; one fdatasync
serves all that wait.

Direct writes are whole blocks. The last block of a write is filled up with zeros and written again, with the same
bytes at its beginning, by the next: an old and a new version of it agree on everything that was acknowledged.

A busy file is written into ground that was laid with zeros before: an fdatasync has then nothing of the file system's
own to write, which nearly halves its time. To readers the ground is the end of the file.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
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

UNBORN: Final = ".new"
"""Suffix of a file that is not locked yet. One that a crash left behind holds nothing."""

_BUFFER_BYTES: Final = 1 << 20
_BLOCK_BYTES: Final = 4096
_ROOM: Final = _BUFFER_BYTES - _BLOCK_BYTES
# So much is written before a commit asks for it. One association alone gains by an early start, as it computes its
# digest meanwhile; several overlap each other, and fewer, larger writes are better.
_EARLY_ALONE_BYTES: Final = 256 << 10
_EARLY_BYTES: Final = 768 << 10
_O_DIRECT: Final = getattr(os, "O_DIRECT", 0)
# Ground is laid in such steps once a file has some content, when less than half a step is left of it.
_GROUND_BYTES: Final = 4 << 20
_GROUND_FROM: Final = 1 << 20
_ZEROS: Final = memoryview(mmap.mmap(-1, 1 << 20))
_NOWHERE: Final = 1 << 62

Part = tuple[RecordType, bytes | memoryview]
"""A record to be written: type and content."""


class _Buffer:
    """Memory for records. pending: calls of `append` that have their place in it and are not done with encrypting."""

    __slots__ = ("pending", "view")

    def __init__(self) -> None:
        self.view = memoryview(mmap.mmap(-1, _BUFFER_BYTES))
        self.pending = 0


def _size(part: Part) -> int:
    """Stored bytes of a record."""
    return HEAD.size + len(part[1]) + TAG_BYTES


class BrokenFile(Exception):
    """The file failed before; nothing may be appended to it. `error` is what its streams tell their senders."""

    def __init__(self, error: WardlightError) -> None:
        super().__init__(error.code)
        self.error = error


class SpoolFile:
    """One file, from its creation to its CLOSE record. Never opened again for writing."""

    def __init__(self, folder: Path, keys: SpoolKeys, ready: Callable[[SpoolFile], None]) -> None:
        """Make the file, durable in its folder. Raises `OSError`.

        `ready` is told when there is enough for a call of `write_early` in another thread to be worth it.
        """
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
        self._buffer, self._other = _Buffer(), _Buffer()
        self._buffer.view[:HEADER_BYTES] = header
        self._filled = HEADER_BYTES
        self._base = 0  # offset in the file of the buffer's first byte, a multiple of the block
        self._records = 0
        self._durable = 0
        self._ground = 0  # offset up to which the file has blocks that were written
        self._laying = _NOWHERE  # where ground is being laid; no data is written from there on meanwhile
        self._ready = ready
        self._told = False
        self._writing = False  # somebody writes the other buffer
        self._expires = time.monotonic() + FILE_SECONDS
        self._lock = threading.Condition(threading.Lock())  # notified when a buffer was swapped or written
        # Whether ground is laid: only where writes go past the page cache.
        self._descriptor, self._lays = _create(
            folder / f"{self.file_id}.spool", self._buffer.view[:_BLOCK_BYTES]
        )

    @property
    def due(self) -> bool:
        """Whether no new stream may begin here."""
        return self.error is not None or self.end >= FILE_BYTES or time.monotonic() >= self._expires

    def append(self, stream: int, parts: Sequence[Part]) -> tuple[int, int, int]:
        """Encrypt records into the buffer. Returns offset and number of the first, and the offset after the last.

        Writes, or waits for the one who does, when the buffer is full. Raises `BrokenFile`.
        """
        first: tuple[int, int] | None = None
        at = end = 0
        while at < len(parts):
            with self._lock:
                self._make_room(parts[at])
                if first is None:
                    first = self._base + self._filled, self._records
                buffer, number, start, taken = self._buffer, self._records, self._filled, at
                while at < len(parts) and self._filled + _size(parts[at]) <= _ROOM:
                    self._filled += _size(parts[at])
                    at += 1
                # Numbers are taken before they are used: no failure may let one be used again.
                self._records += at - taken
                end = self.end = self._base + self._filled
                buffer.pending += 1
                self._tell()
            # Without the lock, so that the associations encrypt beside each other.
            failed: WardlightError | None = WardlightError("internal")
            try:
                for part in parts[taken:at]:
                    self._encrypt(buffer.view[start : start + _size(part)], number, stream, part)
                    number, start = number + 1, start + _size(part)
                failed = None
            finally:
                with self._lock:
                    buffer.pending -= 1
                    if failed is not None:
                        self._fail(failed)
                    elif not buffer.pending and buffer is not self._buffer:
                        self._lock.notify_all()
        assert first is not None, "nothing to append"
        return (*first, end)

    def _make_room(self, part: Part) -> None:
        """Return when the buffer has room for a record."""
        while self.error is None and self._filled + _size(part) > _ROOM:
            if self._writing:
                self._lock.wait()
            else:
                self._write(sync=False)
        if self.error is None and self._records >= MOST_RECORDS - _ROOM // HEAD.size:
            self._fail(WardlightError("unavailable", "a spool file has at most 2^32 records"))
        if self.error is not None:
            raise BrokenFile(self.error)

    def _tell(self) -> None:
        """Let the spool's own thread know if there is something for it to do."""
        if not self._told and (
            self._filled >= (_EARLY_BYTES if self.active > 1 else _EARLY_ALONE_BYTES) or self._lacks_ground()
        ):
            self._told = True
            self._ready(self)

    def sync(self, end: int) -> None:
        """Return when everything before `end` is durable. Raises `BrokenFile` when that failed."""
        with self._lock:
            while self._durable < end:
                if self.error is not None:
                    raise BrokenFile(self.error)
                if self._writing:
                    self._lock.wait()
                else:
                    self._write(sync=True)

    def write_early(self) -> None:
        """Put on the disk what is there, while the associations receive and digest more."""
        with self._lock:
            self._told = False
            if self._filled >= _EARLY_ALONE_BYTES and self.error is None and not self._writing:
                self._write(sync=False)

    def lay_ground(self) -> None:
        """Write zeros after the data, if little is left of those before. For one thread, which `close` waits for."""
        with self._lock:
            if not self._lacks_ground():
                return
            at = self._laying = max(self._ground, self.end + -self.end % _BLOCK_BYTES)
        end, failed = at + _GROUND_BYTES, None
        try:
            for place in range(at, end, len(_ZEROS)):
                _write_at(self._descriptor, _ZEROS, place)
            os.fdatasync(self._descriptor)
        except OSError as error:
            failed = error
        with self._lock:
            self._laying = _NOWHERE
            self._ground = end
            if failed is not None:
                self._lays = False  # no more ground
                if failed.errno not in (errno.ENOSPC, errno.EDQUOT):
                    # It may be somebody's data that could not be written: the kernel says so only once.
                    self._fail(disk_error(failed))
            self._lock.notify_all()

    def _lacks_ground(self) -> bool:
        return (
            self._lays
            and self.error is None
            and self._laying == _NOWHERE
            and self.end >= _GROUND_FROM
            and self._ground < self.end + _GROUND_BYTES // 2
        )

    def close(self) -> None:
        """Complete the file, which no stream holds, with its CLOSE record, and let it go."""
        with self._lock:
            self._lays = False
            # The spool's own thread may be at work here: what an aborted stream left is written early, too.
            while self._writing or self._laying != _NOWHERE:
                self._lock.wait()
            if self.error is None:
                # There is always room: the block that `append` leaves free takes more than this record.
                last: Part = RecordType.CLOSE, b""
                start, self._filled = self._filled, self._filled + _size(last)
                self._encrypt(self._buffer.view[start : self._filled], self._records, 0, last)
                self._records += 1
                self.end = self._base + self._filled
                self._write(sync=False)
            if self.error is not None:
                log.warning(
                    "spool-file-abandoned", file_id=self.file_id, offset=self._durable, code=self.error.code
                )
            else:
                with suppress(OSError):  # Zeros after CLOSE do no harm, and no sender is to hear of them.
                    os.ftruncate(self._descriptor, self.end)
            with suppress(OSError):
                os.close(self._descriptor)  # ends the lock that tells other processes of the writer

    def _encrypt(self, place: memoryview, number: int, stream: int, part: Part) -> None:
        """Put one record at its place."""
        kind, content = part
        HEAD.pack_into(place, 0, stream, kind << 24 | len(content) + TAG_BYTES)
        self._aead.encrypt_into(nonce(number), content, place[: HEAD.size], place[HEAD.size :])

    def _fail(self, error: WardlightError) -> None:
        self.error = self.error or error
        self._lock.notify_all()

    def _write(self, *, sync: bool) -> None:
        """Swap the buffers and put the full one on the disk; the lock is let go of meanwhile. Failing sets `error`."""
        self._writing = True
        while self._base + self._filled > self._laying:
            self._lock.wait()
        full, length, offset = self._buffer, self._filled, self._base
        data, whole = full.view, length // _BLOCK_BYTES * _BLOCK_BYTES
        self._buffer, self._other = self._other, full
        self._base, self._filled = offset + whole, length - whole
        self._lock.notify_all()
        while full.pending:
            self._lock.wait()
        self._buffer.view[: length - whole] = data[whole:length]
        if self.error is not None:  # Not all of it was encrypted, or it cannot be written any more.
            self._writing = False
            self._lock.notify_all()
            return
        self._lock.release()
        failed: WardlightError | None = WardlightError("internal")
        try:
            blocks = length + -length % _BLOCK_BYTES
            data[length:blocks] = bytes(blocks - length)
            _write_at(self._descriptor, data[:blocks], offset)
            if sync:
                os.fdatasync(self._descriptor)
            failed = None
        except OSError as error:
            # The kernel may have dropped what it could not write: a second fdatasync would succeed and mean nothing.
            failed = disk_error(error)
        finally:
            self._lock.acquire()
            self._writing = False
            self._ground = max(self._ground, offset + length)
            if failed is not None:
                self._fail(failed)
            elif sync:
                self._durable = offset + length
            self._lock.notify_all()


def _create(path: Path, block: memoryview) -> tuple[int, bool]:
    """Make the file with its first block, locked and durable in its folder. Returns the descriptor, and whether it is
    written past the page cache."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    unborn = path.with_suffix(UNBORN)
    for direct in (_O_DIRECT, 0):
        descriptor = -1
        try:
            descriptor = os.open(unborn, flags | direct, 0o600)
            # The lock tells others that the file is still written to; it ends with this process. They MUST NOT see
            # the file without it: they would take it for finished.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _write_at(descriptor, block, 0)
            unborn.rename(path)
            sync_folder(path.parent)
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
            unborn.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            # EINVAL: the file system has no direct writes, or wants larger blocks.
            if not direct or error.errno != errno.EINVAL:
                raise
        else:
            return descriptor, bool(direct)
    raise AssertionError("the loop returns or raises")


def _write_at(descriptor: int, data: memoryview, offset: int) -> None:
    while len(data):
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
