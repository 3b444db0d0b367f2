"""How many store requests are served at once, and how many bytes they may hold in memory together."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

from wardlight.access.model import Principal
from wardlight.errors import WardlightError

#: Store requests at once. Each takes about 2 MiB for bytes on their way, and a web process is to stay below 250 MB.
REQUESTS: Final = 32
#: Of one principal: whoever sends as slowly as is allowed must leave room for others.
PRINCIPAL_REQUESTS: Final = 16
#: Bytes that all requests hold: headers that are not whole yet or wait for their commit.
HELD_BYTES: Final = 128 << 20
#: Of one principal: a header of the largest size that is taken (64 MiB), with ordinary ones beside it.
PRINCIPAL_BYTES: Final = 80 << 20


class Admission:
    """Lets store requests in. One for the process; threads share it."""

    def __init__(
        self,
        *,
        requests: int = REQUESTS,
        principal_requests: int = PRINCIPAL_REQUESTS,
        held_bytes: int = HELD_BYTES,
        principal_bytes: int = PRINCIPAL_BYTES,
    ) -> None:
        self._limits: Final = (requests, principal_requests, held_bytes, principal_bytes)
        self._lock: Final = threading.Lock()
        self._open: Counter[tuple[object, ...]] = Counter()
        self._held: Counter[tuple[object, ...]] = Counter()

    @property
    def held(self) -> int:
        """Bytes held by all requests."""
        return self._held.total()

    def enter(self, principal: Principal) -> Lease:
        """Take one more request. Raises `rate-limited` beyond the principal's share, `unavailable` when all is full."""
        key = (principal.kind, principal.institution, principal.id)
        requests, own, _, _ = self._limits
        with self._lock:
            if self._open[key] >= own:
                raise WardlightError("rate-limited", "too many store requests at once", "requests")
            if self._open.total() >= requests:
                raise WardlightError("unavailable", "too many store requests at once", "requests")
            self._open[key] += 1
        return Lease(self, key)

    def grow(self, key: tuple[object, ...], more: int) -> bool:
        """Account for `more` bytes of a principal; False where they do not fit."""
        _, _, held, own = self._limits
        with self._lock:
            if more > 0 and (self._held[key] + more > own or self._held.total() + more > held):
                return False
            self._held[key] += more
        return True

    def leave(self, key: tuple[object, ...]) -> None:
        """A request has ended."""
        with self._lock:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key], self._held[key]


class Lease:
    """One request's place. For one thread at a time."""

    __slots__ = ("_admission", "_closed", "_held", "_key")

    def __init__(self, admission: Admission, key: tuple[object, ...]) -> None:
        self._admission = admission
        self._key = key
        self._held = 0
        self._closed = False

    def hold(self, size: int) -> bool:
        """The request now holds `size` bytes; False where that is too much, and then nothing is changed."""
        if size != self._held:
            if not self._admission.grow(self._key, size - self._held):
                return False
            self._held = size
        return True

    def close(self) -> None:
        """The request is over. Does nothing a second time."""
        if not self._closed:
            self._closed = True
            self.hold(0)
            self._admission.leave(self._key)
