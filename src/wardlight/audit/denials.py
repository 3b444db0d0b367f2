"""Denials and failures in the trail: the first ten of a kind in a minute singly, the rest as one count.

So nobody floods it by asking for what is refused (audit.md section 1).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from wardlight.audit.model import Event, Outcome
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database

SINGLY: Final = 10
WINDOW_S: Final = 60.0
#: Kinds counted at a time. Beyond, those of one action and reason share a count, whoever asks: memory is bounded.
MOST: Final = 4096


@dataclass(slots=True)
class _Window:
    institution: UUID | None
    event: Event
    started: float
    seen: int = 0


class Denials:
    """Writes denials and failures for one process. `sweep` must be called every few seconds, `close` at the end."""

    def __init__(
        self, database: Database, recorder: Recorder, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._windows: dict[tuple[object, ...], _Window] = {}

    def record(self, institution: UUID | None, event: Event) -> None:
        """Record one denial or failure: now, or as part of the count of its minute.

        Raises what the database raises: what cannot be recorded is answered 503 (audit.md section 1).
        """
        who = event.actor.id if event.actor.kind != "anonymous" else event.address
        what = (institution, event.action, event.outcome, event.reason)
        now = self._monotonic()
        with self._lock:
            key = (*what, who) if len(self._windows) < MOST or (*what, who) in self._windows else what
            window = self._windows.get(key)
            over = window is not None and now - window.started > WINDOW_S
        if over:
            self._end(key)
        with self._lock:
            window = self._windows.setdefault(key, _Window(institution, event, now))
            window.seen += 1
            singly = window.seen <= SINGLY
        if singly:
            with self._database.begin(institution) as tx:
                self._recorder.write(tx, institution, event)

    def sweep(self, *, everything: bool = False) -> None:
        """Write the counts of minutes that are over (all with `everything`)."""
        now = self._monotonic()
        with self._lock:
            keys = [
                key for key, window in self._windows.items() if everything or now - window.started > WINDOW_S
            ]
        for key in keys:
            self._end(key)

    def close(self) -> None:
        """Write all counts, as at shutdown."""
        self.sweep(everything=True)

    def _end(self, key: tuple[object, ...]) -> None:
        """Write the count of one window; where that fails, it waits for the next time."""
        with self._lock:
            window = self._windows.pop(key, None)
        if window is None or window.seen <= SINGLY:
            return
        name = "denied" if window.event.outcome is Outcome.DENIED else "requests"
        event = replace(window.event, counts={name: window.seen - SINGLY}, request="")
        try:
            with self._database.begin(window.institution) as tx:
                self._recorder.write(tx, window.institution, event)
        except BaseException:
            with self._lock:
                if (since := self._windows.setdefault(key, window)) is not window:
                    since.seen += window.seen
            raise
