"""Who is next: places and memory that threads of many clients wait for, so that none can keep the others waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final

from wardlight.errors import WardlightError

#: Frames up to this size are sent before they count.
_SMALL: Final = 16 << 20


class Turns:
    """So many places. Clients that wait get them in turn, one each, however many requests each of them has."""

    def __init__(self, places: int) -> None:
        self._lock = threading.Lock()
        self._places = places
        #: client → its waiting threads; the first client is the next.
        self._waiting: dict[Hashable, deque[threading.Event]] = {}

    def enter(self, client: Hashable, timeout_s: float) -> bool:
        """Take a place, False where there was none in time. Who entered must leave."""
        with self._lock:
            if self._places:
                self._places -= 1
                return True
            turn = threading.Event()
            self._waiting.setdefault(client, deque()).append(turn)
        if turn.wait(timeout_s):
            return True
        with self._lock:
            if turn.is_set():
                return True  # It came in this very moment.
            queue = self._waiting[client]
            queue.remove(turn)
            if not queue:
                del self._waiting[client]
            return False

    def leave(self) -> None:
        """Give the place to the next client, which then is the last one."""
        with self._lock:
            if not self._waiting:
                self._places += 1
                return
            client = next(iter(self._waiting))
            queue = self._waiting.pop(client)
            queue.popleft().set()
            if queue:
                self._waiting[client] = queue


class Room:
    """Memory for large frames that are on their way to clients, who may be slow; no client has more than half of it."""

    def __init__(self, size: int, wait_s: float) -> None:
        self._size = size
        self._wait_s = wait_s
        self._changed = threading.Condition()
        self._held: dict[Hashable, int] = {}

    @contextmanager
    def hold(self, client: Hashable, size: int) -> Iterator[None]:
        """While this is entered so many bytes are held. Raises `unavailable` where there is no room in time."""
        if size <= _SMALL:
            yield
            return
        with self._changed:
            if not self._changed.wait_for(lambda: self._fits(client, size), self._wait_s):
                raise WardlightError("unavailable", "too many large frames are on their way")
            self._held[client] = self._held.get(client, 0) + size
        try:
            yield
        finally:
            with self._changed:
                self._held[client] -= size
                if not self._held[client]:
                    del self._held[client]
                self._changed.notify_all()

    def _fits(self, client: Hashable, size: int) -> bool:
        own = self._held.get(client, 0) + size
        return own <= self._size // 2 and sum(self._held.values()) + size <= self._size
