"""Who is next: places that threads of many clients wait for, so that none of them can keep the others waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable


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
