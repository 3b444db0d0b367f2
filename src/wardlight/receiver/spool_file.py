"""A spool file that this process writes: records appended under a lock, one fdatasync for all that wait for it."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardlight import log
from wardlight.errors import WardlightError
from wardlight.keys.files import sync_folder
from wardlight.objects.disk import disk_error, start_writeback, write_all
from wardlight.objects.format import HEADER_BYTES, TAG_BYTES, ObjectKind, make_header
from wardlight.receiver.spool_format import HEAD, MOST_RECORDS, RECORD_BYTES, RecordType, nonce
from wardlight.receiver.spool_keys import SpoolKeys

_BUFFER_BYTES: Final = 17 * RECORD_BYTES  # one write of 1 MiB, with BEGIN or COMMIT

# The disk is set going after so many bytes, so that the fdatasync at an object's end is short.
_WRITEBACK_BYTES: Final = 256 << 10

Part = tuple[RecordType, bytes | memoryview]
"""A record to be written: type and content."""


class BrokenFile(Exception):
    """The file took a torn write or failed to sync; nothing may be appended to it."""


class SpoolFile:
    """A spool file that this process writes."""

    def __init__(self, folder: Path, keys: SpoolKeys) -> None:
        identity = uuid4()
        self.file_id = identity.hex
        self.opened = time.monotonic()
        self.active = 0  # streams that hold the file open; guarded by the spool's lock, as are the next two
        self.streams = 0
        self.retired = False
        self.broken = False
        self.end = HEADER_BYTES
        self._records = 0
        self._lock = threading.Lock()
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._synced = threading.Condition(threading.Lock())
        self._durable = 0
        self._started = 0
        self._syncing = False
        self._sync_error: WardlightError | None = None
        key_id, key = keys.current()
        header, file_key = make_header(key, ObjectKind.SPOOL, key_id, identity)
        self._aead = AESGCM(file_key)
        path = folder / f"{self.file_id}.spool"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # The lock tells other processes that the file is still written to; it ends with this process.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            write_all(self._descriptor, memoryview(header))
            sync_folder(folder)
        except OSError:
            os.close(self._descriptor)
            path.unlink()
            raise

    def append(self, stream: int, parts: Sequence[Part]) -> tuple[int, int, int]:
        """Encrypt and write records. Returns offset and number of the first, and the offset after the last.

        Raises `BrokenFile` when the file takes nothing any more, or the catalogue's error of this very write.
        """
        with self._lock:
            if self.broken:
                raise BrokenFile
            begin, first, filled, whole = self.end, self._records, 0, False
            try:
                for kind, content in parts:
                    if filled + RECORD_BYTES > _BUFFER_BYTES:
                        self._write(filled)
                        filled = 0
                    filled = self._encrypt(stream, kind, content, filled)
                self._write(filled)
                whole = True
                if self.end - self._started >= _WRITEBACK_BYTES:
                    start_writeback(self._descriptor, self._started, self.end - self._started)
                    self._started = self.end
            except OSError as error:
                raise disk_error(error) from None
            finally:
                if not whole:
                    self.broken = True  # Whatever ended this early left a torn file.
            return begin, first, self.end

    def sync(self, end: int) -> None:
        """Return when everything before `end` is durable. Raises the catalogue's error when that failed."""
        with self._synced:
            while self._durable < end:
                if self._sync_error is not None:
                    raise self._sync_error
                if not self._syncing:
                    self._syncing = True
                    break
                self._synced.wait()
            else:
                return
        covered, failed = self.end, None
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            # The kernel may have dropped the pages: a second fdatasync would succeed and mean nothing.
            self.broken = True
            failed = disk_error(error)
        with self._synced:
            self._syncing = False
            self._sync_error = failed
            if failed is None:
                self._durable = covered
            self._synced.notify_all()
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Mark the file complete, if it is whole, and let it go."""
        try:
            self.append(0, [(RecordType.CLOSE, b"")])
        except (BrokenFile, WardlightError):
            log.warning("spool-file-abandoned", file_id=self.file_id, offset=self.end)
        os.close(self._descriptor)

    def _encrypt(self, stream: int, kind: RecordType, content: bytes | memoryview, at: int) -> int:
        number = self._records
        if number >= MOST_RECORDS:
            raise WardlightError("too-large", "a spool file has at most 2^32 records")
        self._records = number + 1
        sealed = at + HEAD.size
        end = sealed + len(content) + TAG_BYTES
        HEAD.pack_into(self._buffer, at, stream, kind << 24 | len(content) + TAG_BYTES)
        self._aead.encrypt_into(nonce(number), content, self._buffer[at:sealed], self._buffer[sealed:end])
        return end

    def _write(self, length: int) -> None:
        write_all(self._descriptor, self._buffer[:length])
        self.end += length
