"""Bytes of a request that must wait for its rest: some in memory, more in a file without a name, all encrypted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

from wardlight.errors import WardlightError
from wardlight.objects.disk import disk_error
from wardlight.objects.format import Decryptor, Encryptor, ObjectKind
from wardlight.objects.store import new_object_id

#: Bytes kept in memory before a file is used.
_MEMORY: Final = 1 << 20
#: Bytes of one request: two of the largest objects.
SPOOL_BYTES: Final = 16 << 30
_KEY_ID: Final = UUID(int=0)


class Spool:
    """Written first, then read by range. The key is never stored, and the file has no name: a crash leaves nothing.

    Raises `out-of-resources` or `unavailable` where the disk does, `too-large` beyond `SPOOL_BYTES`.
    """

    def __init__(self, folder: Path | None, limit: int = SPOOL_BYTES) -> None:
        self._file: Final = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by close()
            max_size=_MEMORY, dir=None if folder is None else str(folder)
        )
        self._limit: Final = limit
        self._key: Final = os.urandom(32)
        self._object_id: Final = new_object_id()
        self._encryptor: Final = Encryptor(
            self._key, _KEY_ID, self._object_id, ObjectKind.UPLOAD_PART, self._sink
        )
        self._reader: Decryptor | None = None

    def tell(self) -> int:
        """Where the next write begins."""
        return self._encryptor.plaintext

    def write(self, data: memoryview) -> None:
        """Add bytes."""
        if self._encryptor.plaintext + len(data) > self._limit:
            raise WardlightError("too-large", "the request's bulk data is larger than the limit", "bulk")
        try:
            self._encryptor.write(data)
        except OSError as error:
            raise disk_error(error) from None

    def read(self, start: int, end: int) -> bytes:
        """Bytes from `start` up to `end`. Nothing can be written after the first read."""
        return self._opened().read(start, end)

    def iter(self, start: int, end: int) -> Iterator[bytes]:
        """The same in pieces."""
        return self._opened().iter(start, end)

    def close(self) -> None:
        """Forget it all."""
        self._file.close()

    def _opened(self) -> Decryptor:
        if self._reader is None:
            try:
                size = self._encryptor.finish()
            except OSError as error:
                raise disk_error(error) from None
            self._reader = Decryptor(self._pread, size, self._key, self._object_id)
        return self._reader

    def _sink(self, data: memoryview) -> None:
        self._file.write(data)

    def _pread(self, offset: int, length: int) -> bytes:
        try:
            self._file.seek(offset)
            return self._file.read(length)
        except OSError as error:
            raise disk_error(error) from None
