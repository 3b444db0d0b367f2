"""Small objects are kept in memory from their protection to their upload, so that they are read and decrypted once.

How much is kept is bounded; what is beyond that is read from the spool again when it is sent, as large objects are.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

from wardlight.receiver.spool import Spool, SpoolRef

#: Larger objects are never kept whole.
LARGEST: Final = 2 << 20
_ROOM: Final = 64 << 20


class Held:
    """One object in memory; a `Reader`. Its room is free again once nobody holds it."""

    __slots__ = ("_content", "_shelf")

    def __init__(self, shelf: Shelf, content: memoryview) -> None:
        self._shelf = shelf
        self._content = content

    def __call__(self, start: int) -> Iterator[memoryview]:
        """The object's bytes from `start` on, in one piece."""
        yield self._content[start:]

    def __del__(self) -> None:
        self._shelf.free(len(self._content))


class Shelf:
    """The objects of one pipeline process that are in memory."""

    def __init__(self, spool: Spool, room: int = _ROOM) -> None:
        self._spool = spool
        # Reentrant, as room may be given back by the collector in the middle of a call here.
        self._lock = threading.RLock()
        self._left = room

    def take(self, ref: SpoolRef) -> Held | None:
        """Read an object from the spool; None if it is too large, or there is no room. Raises as `Spool.read` does."""
        if ref.length > LARGEST:
            return None
        with self._lock:
            if ref.length > self._left:
                return None
            self._left -= ref.length
        try:
            content = self._spool.read_whole(ref)
        except BaseException:
            self.free(ref.length)
            raise
        return Held(self, content)

    def free(self, size: int) -> None:
        """An object has gone."""
        with self._lock:
            self._left += size
