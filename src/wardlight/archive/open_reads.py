"""Open answers, and the end of those whose access has ended (security.md section 6).

Each node asks the database every 400 ms, one transaction for all, which grants, releases, agreements, tokens and
sessions still stand; what does not is ended by a reset of its connection. A database that does not answer for 800 ms
ends all of them: nothing is shown that nobody can vouch for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from wardlight import clock, log
from wardlight.access import store as access
from wardlight.access.model import Scope, Use
from wardlight.archive import granted_store
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Outcome
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.identity import liveness_store
from wardlight.identity.service import actor_of, behalf_of

#: From the beginning of one question to that of the next, in seconds, and how long an answer may take.
EVERY_S: Final = 0.4
PATIENCE_S: Final = 0.8
#: Grants, releases or tokens in one statement.
_AT_ONCE: Final = 1000


def is_fresh(scope: Scope) -> bool:
    """Whether the decision is so young that nothing needs to be asked again."""
    return time.monotonic() - scope.decided < EVERY_S / 2


@dataclass(eq=False, slots=True)
class OpenRead:
    """One answer on its way. end: resets its connection. left: bytes that the client does not have yet."""

    scope: Scope
    end: Callable[[], None]
    left: Callable[[], int]
    #: All of it was given to the connection, where some of it may wait for the client.
    sent: bool = False
    ended: threading.Event = field(default_factory=threading.Event)


class OpenReads:
    """The open answers of one process. Threads share it."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder
        self._lock = threading.Lock()
        self._open: set[OpenRead] = set()
        self._asking = ThreadPoolExecutor(2, "open-reads")
        # Apart: what is told may wait for the database's writers, and no question may wait for it.
        self._telling = ThreadPoolExecutor(1, "open-reads-told")
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def stands(self, opened: OpenRead) -> bool:
        """Whether access still holds for an answer that took long to make, before its first byte; else it is ended."""
        try:
            lost = self._lost([opened])
        except Exception as error:  # noqa: BLE001 - nobody vouches for it
            log.error("reads.unanswered", error)
            lost = [(opened, "unavailable")]
        for one, reason in lost:
            self._end(one, reason)
        return not lost

    def enter(self, scope: Scope, end: Callable[[], None], left: Callable[[], int]) -> OpenRead:
        """An answer begins; whoever sends it calls `done` when it has been given to the connection."""
        opened = OpenRead(scope, end, left)
        with self._lock:
            self._open.add(opened)
        return opened

    def done(self, opened: OpenRead) -> None:
        """All of it was given to the connection; it is watched until the client has it."""
        opened.sent = True

    def forget(self, opened: OpenRead) -> None:
        """It will bring nothing more: its connection is gone."""
        with self._lock:
            self._open.discard(opened)

    def start(self) -> None:
        """Watch, in a thread of its own, until `close`."""
        self._thread = threading.Thread(target=self._watch, name="open-reads", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
        self._asking.shutdown(wait=False, cancel_futures=True)
        self._telling.shutdown(wait=True)

    def check(self) -> int:
        """Ask once, and end what has lost its access; returns how many."""
        with self._lock:
            self._open -= {one for one in self._open if one.sent and one.left() <= 0}
            opened = list(self._open)
        if not opened:
            return 0
        try:
            lost = self._asking.submit(self._lost, opened).result(PATIENCE_S)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody vouches for these any more
            log.error("reads.unanswered", error)
            lost = [(one, "unavailable") for one in opened]
        for one, reason in lost:
            self._end(one, reason)
        return len(lost)

    def _watch(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            self.check()
            self._stopping.wait(max(0.0, EVERY_S - (time.monotonic() - began)))

    def _lost(self, opened: list[OpenRead]) -> list[tuple[OpenRead, str]]:
        uses = {use for one in opened for use in one.scope.uses}
        tokens = {one.scope.principal.token for one in opened} - {None}
        now = clock.unix_ms()
        with self._database.read(EVERYWHERE) as tx:
            grants: set[UUID] = set()
            for part in _parts({use.grant for use in uses if use.grant}):
                grants |= access.live_ids(tx, part, now)
            releases: set[UUID] = set()
            for part in _parts({use.release for use in uses}):
                releases |= granted_store.staying(tx, part)
            over: set[UUID] = set()
            for part in _parts({token for token in tokens if token}):
                over |= liveness_store.ended(tx, part)
            agreements = {one.scope.agreement[0] for one in opened if one.scope.agreement}
            unagreed = access.unagreed(tx, agreements, now) if agreements else {}
        lost = []
        for one in opened:
            if one.scope.principal.token in over:
                lost.append((one, "revoked"))
            elif one.scope.agreement in unagreed:
                lost.append((one, unagreed[one.scope.agreement]))
            elif reason := next(filter(None, (_why(use, grants, releases) for use in one.scope.uses)), ""):
                lost.append((one, reason))
        return lost

    def _end(self, one: OpenRead, reason: str) -> None:
        one.ended.set()
        one.end()
        self.forget(one)
        scope = one.scope
        grant = next((use.grant.hex for use in scope.uses if use.grant), "")
        event = Event(
            Action.ACCESS_STREAM_CUT,
            actor_of(scope.principal),
            behalf=behalf_of(scope.principal),
            outcome=Outcome.DENIED,
            reason=reason,
            purpose=scope.purpose,
            grant=grant,
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            detail={"action": scope.action.value},
        )
        self._telling.submit(self._record, scope.institution, event)

    def _record(self, institution: UUID, event: Event) -> None:
        try:
            with self._database.begin(institution) as tx:
                self._recorder.write(tx, institution, event)
        except Exception as error:  # noqa: BLE001 - the answer is ended; that it cannot be told now is in the log
            log.error("reads.cut", error)


def _why(use: Use, grants: set[UUID], releases: set[UUID]) -> str:
    if use.release not in releases:
        return "study-deleted"
    return "revoked" if use.grant and use.grant not in grants else ""


def _parts(values: Iterable[UUID]) -> Iterable[list[UUID]]:
    everything = list(values)
    for start in range(0, len(everything), _AT_ONCE):
        yield everything[start : start + _AT_ONCE]
