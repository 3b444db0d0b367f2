"""Denials in the trail: the first ten of a kind in a minute singly, the rest as one count, so nobody floods it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from wardlight.audit.model import Event
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database

SINGLY: Final = 10
WINDOW_S: Final = 60.0


@dataclass(slots=True)
class _Window:
    institution: UUID | None
    event: Event
    started: float
    seen: int = 0


class Denials:
    """Writes denials for one process. `sweep` must be called every few seconds, `close` at the end."""

    def __init__(
        self, database: Database, recorder: Recorder, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._windows: dict[tuple[object, ...], _Window] = {}

    def record(self, institution: UUID | None, event: Event) -> None:
        """Record one denial: now, or as part of the count of its minute.

        Raises what the database raises: a denial that cannot be recorded is answered 503 (audit.md section 1).
        """
        who = event.actor.id if event.actor.kind != "anonymous" else event.address
        key = (institution, who, event.action, event.reason)
        now = self._monotonic()
        with self._lock:
            window = self._windows.get(key)
            if window is None or now - window.started > WINDOW_S:
                finished = self._windows.pop(key, None)
                window = self._windows[key] = _Window(institution, event, now)
            else:
                finished = None
            window.seen += 1
            singly = window.seen <= SINGLY
        if finished:
            self._write_rest(finished)
        if singly:
            with self._database.begin(institution) as tx:
                self._recorder.write(tx, institution, event)

    def sweep(self, *, everything: bool = False) -> None:
        """Write the counts of minutes that are over (all with `everything`)."""
        now = self._monotonic()
        with self._lock:
            over = [
                key for key, window in self._windows.items() if everything or now - window.started > WINDOW_S
            ]
            finished = [self._windows.pop(key) for key in over]
        for window in finished:
            self._write_rest(window)

    def close(self) -> None:
        """Write all counts, as at shutdown."""
        self.sweep(everything=True)

    def _write_rest(self, window: _Window) -> None:
        if window.seen > SINGLY:
            event = replace(window.event, counts={"denied": window.seen - SINGLY}, request="")
            with self._database.begin(window.institution) as tx:
                self._recorder.write(tx, window.institution, event)
