"""Sealed entries go to the collectors of hospitals, in their order, by syslog over TLS (audit.md section 5).

Syslog has no acknowledgement. The cursor moves when the collector's machine has acknowledged the bytes; after a break
the last 200 entries are sent again, and all that were sent in the last half minute: a machine may have had them, and
its collector not. Collectors drop the second copies by log-index. Nothing is kept on a disk: the log is the buffer.
"""

from __future__ import annotations

import secrets
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from wardlight import clock, egress, log
from wardlight.audit.actions import LETTER, Action
from wardlight.audit.log import AuditLog, Head
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.trail import syslog
from wardlight.trail.collectors import Collector, Collectors
from wardlight.trail.entry import Sealed, kept

#: Entries that are sent again after a break, and for how long back, in seconds, if those are more.
AGAIN: Final = 200
AGAIN_S: Final = 30.0
#: A collector that is further behind than this is told of, in ms.
LAG_MS: Final = 60_000
#: Entries that are sent before the cursor moves.
BATCH: Final = 100

_PAUSE_S: Final = 1.0
#: Pause after a break, in seconds.
_RETRY_S: Final = 5.0
#: How long a worker keeps a collector to itself, in ms. Longer than a batch can take.
_HELD_MS: Final = 60_000
_SYSTEM: Final = Actor("system", "forwarder")


class Forwarder:
    """Sends to all collectors, each in a thread of its own, so that a slow one holds up nothing else."""

    def __init__(self, collectors: Collectors, audit_log: AuditLog) -> None:
        self._collectors = collectors
        self._log = audit_log
        self._stopping = threading.Event()
        self._threads: dict[UUID, threading.Thread] = {}

    def tend(self) -> None:
        """Begin with collectors that are new; to be called every few seconds."""
        for one in self._collectors.all():
            thread = self._threads.get(one.id)
            if self._stopping.is_set() or (thread is not None and thread.is_alive()):
                continue
            run = Delivery(one, self._collectors, self._log).run
            thread = threading.Thread(target=run, args=(self._stopping,), name="forwarding", daemon=True)
            self._threads[one.id] = thread
            thread.start()

    def close(self) -> None:
        """Stop, once what is being sent has left."""
        self._stopping.set()
        for thread in self._threads.values():
            thread.join()


class Delivery:
    """What goes to one collector."""

    def __init__(
        self,
        one: Collector,
        collectors: Collectors,
        audit_log: AuditLog,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._one = one
        self._collectors = collectors
        self._log = audit_log
        self._monotonic = monotonic
        self._holder = secrets.token_hex(16)
        self._link: syslog.Link | None = None
        self._position = 0
        # When which index was sent first, of the last half minute.
        self._recent: deque[tuple[float, int]] = deque()

    def run(self, stopping: threading.Event) -> None:
        """Forward until told to stop, or until the collector is no more."""
        pause = 0.0
        while not stopping.wait(pause):
            try:
                held = self._collectors.hold(self._one, self._holder, _HELD_MS)
                if held is None and all(known.id != self._one.id for known in self._collectors.all()):
                    break
                pause = _PAUSE_S if held is None or not self.round(held) else 0.0
            except OSError as error:
                # A connection that just ends is no matter of certificates, though the library says so.
                cut = isinstance(error, ssl.SSLEOFError)
                self._broken("unreachable" if cut else egress.reason_of(error))
                pause = _RETRY_S
            except Exception as error:  # noqa: BLE001 - the loop must outlive a full disk or a locked database
                log.error("job.failed", error)
                self._close()
                pause = _RETRY_S
        self._close()
        self._collectors.release(self._one, self._holder)

    def round(self, one: Collector) -> bool:
        """Send the next entries; returns whether there are more. Raises OSError where the collector is not there."""
        self._one = one
        logs = self._log.logs(one.institution)
        place = next(index for index, head in enumerate(logs) if head.log == one.log)
        head = logs[place]
        if self._link is None:
            self._connect(one)
        assert self._link is not None
        batch = list(kept(self._log.entries(head, self._position, self._position + BATCH)))
        stop = min(head.size, self._position + BATCH)
        frames = [
            frame for entry in batch if self._wanted(entry) for frame in syslog.frames(entry, one.place.form)
        ]
        if frames:
            self._remember()
            self._link.send(frames)
        else:
            self._link.check()
        moved = self._advance(one, head, logs[place + 1 :], stop)
        self._look(moved, head, batch)
        return moved and (stop < head.size or place + 1 < len(logs))

    def _connect(self, one: Collector) -> None:
        try:
            context = syslog.tls(one.place.ca, one.place.certificate, one.place.key)
        except OSError:
            raise ssl.SSLError("the certificates cannot be read") from None
        self._link = syslog.Link(one.place.host, one.place.port, context)
        back = min((index for _, index in self._recent), default=one.cursor)
        self._position = max(one.first, min(one.cursor - AGAIN, back), 0)
        self._recent.clear()

    def _wanted(self, entry: Sealed) -> bool:
        return self._one.place.deliveries or LETTER[Action(entry.action)] != "N"

    def _remember(self) -> None:
        now = self._monotonic()
        self._recent.append((now, self._position))
        while self._recent[0][0] < now - AGAIN_S:
            self._recent.popleft()

    def _advance(self, one: Collector, head: Head, later: list[Head], stop: int) -> bool:
        """Move on, also to the next generation once this one has ended; whether this worker still sends."""
        log_, position = head.log, stop
        if stop >= head.size and later:
            log_, position = later[0].log, 0
            self._recent.clear()
        if (log_, position) != (one.log, self._position):
            cursor = position if log_ != one.log else max(one.cursor, position)
            if not self._collectors.move(one, self._holder, log_, cursor):
                self._close()
                return False
        self._position = position
        return True

    def _look(self, moved: bool, head: Head, batch: list[Sealed]) -> None:
        """Say that the collector is behind, or that all is well again."""
        if not moved:
            return
        behind = batch[-1].recorded if batch and self._position < head.size else ""
        waited = clock.unix_ms() - _ms(behind) if behind else 0
        since = clock.unix_ms() - self._one.created_ms
        state = "lag" if LAG_MS < waited < since else ""
        if state and self._one.state != state:
            self._collectors.tell(self._one, state, self._failure(state))
        elif not state and self._one.state and not behind:
            self._collectors.tell(self._one, "", None)

    def _broken(self, why: str) -> None:
        """The connection broke, or did not come about. Only the first of a row of failures is an entry."""
        self._close()
        log.warning("audit.forward", reason=why, institution=str(self._one.institution or ""))
        if self._one.state != why:
            self._collectors.tell(self._one, why, self._failure(why))

    def _failure(self, why: str) -> Event:
        return Event(
            Action.AUDIT_FORWARD_FAIL,
            _SYSTEM,
            outcome=Outcome.FAILED,
            target=Target("collector", id=str(self._one.id)),
            reason=why,
        )

    def _close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


def _ms(recorded: str) -> int:
    return round(datetime.fromisoformat(recorded).timestamp() * 1000)
