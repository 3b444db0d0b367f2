"""Brings batches to the platform, for ever if need be, and settles what it answers."""

from __future__ import annotations

import queue
import random
import secrets as stdlib_secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from wardlight import clock, log
from wardlight.agreements.model import Level
from wardlight.audit.actions import Action
from wardlight.audit.model import Outcome
from wardlight.receiver.batches import Batch, Protected
from wardlight.receiver.entries import Entries
from wardlight.receiver.model import Target, UploadState, Work
from wardlight.receiver.quarantine import Quarantine
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.upload import Platform, Trouble, UnreadableObject, UploadError

_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 60.0
#: Failure reasons of PS3.18 Table I.2-2 that may pass: no resources, processing failure, not authorised.
_NO_RESOURCES: Final = 0xA700
_PROCESSING_FAILURE: Final = 0x0110
_NOT_AUTHORISED: Final = 0x0124
_DUPLICATE: Final = 0x0111
#: A processing failure, or no word at all, for the same instance this often is taken as final.
_TRIES: Final = 10


class Backoff:
    """1 s, doubling to 60 s, with jitter so that receivers do not come back all at once."""

    def __init__(self) -> None:
        self.attempts = 0

    def next(self, at_least: float = 0.0) -> float:
        """How long to wait now, in seconds."""
        wait = min(_FIRST_WAIT_S * 2.0 ** min(self.attempts, 10), _LONGEST_WAIT_S)
        self.attempts += 1
        return max(at_least, wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """It worked."""
        self.attempts = 0


class Holds:
    """Targets that the platform refuses at present, each with its own back-off. Shared by the uploader threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._backoffs: dict[Target, Backoff] = {}
        self._until: dict[Target, float] = {}

    def hold(self, target: Target) -> float:
        """Refused again; returns for how long nothing is sent for it, in seconds."""
        with self._lock:
            wait = self._backoffs.setdefault(target, Backoff()).next()
            self._until[target] = time.monotonic() + wait
        return wait

    def release(self, target: Target) -> bool:
        """It was taken again; False if it was not held."""
        with self._lock:
            self._until.pop(target, None)
            return self._backoffs.pop(target, None) is not None

    def held(self) -> list[Target]:
        """Targets for which nothing is to be sent now."""
        moment = time.monotonic()
        with self._lock:
            return [target for target, until in self._until.items() if until > moment]


class Uploader:
    """One thread with its own connection. released: told of works that are not in hand any more, and whether they
    are to be looked for again after so many seconds (None: they are done)."""

    def __init__(
        self,
        platform: Platform,
        store: ReceiverStore,
        quarantine: Quarantine,
        entries: Entries,
        holds: Holds,
        stop: threading.Event,
        released: Callable[[Sequence[Work], float | None], None],
    ) -> None:
        self._platform = platform
        self._store = store
        self._quarantine = quarantine
        self._entries = entries
        self._holds = holds
        self._stop = stop
        self._released = released
        self._backoff = Backoff()
        self._noted = ""

    def run(self, batches: queue.Queue[Batch]) -> None:
        """Work until told to stop."""
        while not self._stop.is_set():
            try:
                batch = batches.get(timeout=0.2)
            except queue.Empty:
                continue
            self.deliver(batch)
        self._platform.close()

    def deliver(self, batch: Batch) -> None:
        """Send the batch until it is settled, put back, or the process stops."""
        while not self._stop.is_set():
            request = stdlib_secrets.token_hex(16)
            try:
                answer = self._platform.store(
                    batch.target, batch.group, [item.outgoing for item in batch.items], request
                )
            except UnreadableObject as error:
                self._damaged(batch, batch.items[error.index])
                return
            except UploadError as error:
                if not self._again(batch, error):
                    return
                continue
            self._note("ok")
            if self._holds.release(batch.target):
                self._store.forget_note(f"target:{batch.target}")
            self._backoff.reset()
            self._settle(batch, answer, request)
            return

    def _again(self, batch: Batch, error: UploadError) -> bool:
        """What to do after a failure: wait and try this batch again (True), or put it back (False)."""
        if error.trouble is Trouble.FORBIDDEN:
            wait = self._holds.hold(batch.target)
            self._store.note(f"target:{batch.target}", error.code)
            self._put_back(batch.works, wait)
        elif error.trouble is Trouble.REFUSED:
            wait = _wait_for(max(work.attempts for work in batch.works))
            self._put_back(batch.works, wait)
        else:
            self._note(error.trouble.value)
            wait = self._backoff.next(error.wait_s)
            log.warning(
                "receiver.upload_waits", reason=error.trouble.value, code=error.code, wait_s=round(wait, 1)
            )
            self._stop.wait(wait)
            return True
        log.warning(
            "receiver.upload_put_back", reason=error.trouble.value, code=error.code, wait_s=round(wait, 1)
        )
        return False

    def _settle(self, batch: Batch, answer: dict[str, int], request: str) -> None:
        results: list[tuple[Work, UploadState]] = []
        again: list[Work] = []
        for item in batch.items:
            reason = answer.get(item.outgoing.sop_uid)
            if reason == 0:
                results.append((item.work, UploadState.STORED))
            elif reason == _DUPLICATE:
                results.append((item.work, UploadState.CONFLICT))
            elif (_may_pass(reason) and item.work.attempts < _TRIES) or reason in (
                _NO_RESOURCES,
                _NOT_AUTHORISED,
            ):
                again.append(item.work)
            else:
                self._refused(item, "platform-no-answer" if reason is None else f"platform-{reason:04x}")
        if results:
            self._store.finish(results, self._audit(batch, results, request))
            self._released([work for work, _ in results], None)
        if again:
            self._put_back(again, _wait_for(max(work.attempts for work in again)))

    def _audit(self, batch: Batch, results: Sequence[tuple[Work, UploadState]], request: str) -> list[bytes]:
        stored = sum(state is UploadState.STORED for _, state in results)
        size = sum(work.length for work, _ in results)
        counts = {"instances": len(results), "bytes": size}
        kept = len(results) - stored
        entries = []
        if batch.target.level is not Level.IDENTIFIED:
            for action in (Action.RECEIVER_STUDY_PROTECT, Action.RECEIVER_STUDY_VERIFY):
                entries.append(
                    self._entries.study(action, batch.study, batch.target, counts, request=request)
                )
        entries.append(
            self._entries.study(
                Action.RECEIVER_STUDY_UPLOAD,
                batch.study,
                batch.target,
                {**counts, "denied": kept},
                outcome=Outcome.PARTIAL if kept else Outcome.SUCCESS,
                reason="instance-conflict" if kept else "",
                request=request,
            )
        )
        return entries

    def _refused(self, item: Protected, reason: str) -> None:
        self._quarantine.put(item.work, item.outgoing.read, item.outgoing.original_uid, (reason,))
        self._released([item.work], None)

    def _damaged(self, batch: Batch, item: Protected) -> None:
        log.error("receiver.spool_damaged", file_id=item.work.file_id, offset=item.work.offset)
        self._store.damaged(item.work)
        self._released([item.work], None)
        rest = [work for work in batch.works if work is not item.work]
        self._released(rest, 0.0)

    def _put_back(self, works: Sequence[Work], wait_s: float) -> None:
        self._store.postpone(works, clock.unix_ms() + int(wait_s * 1000))
        self._released(works, wait_s)

    def _note(self, value: str) -> None:
        if value != self._noted:
            self._store.note("platform", value)
            self._noted = value


def _may_pass(reason: int | None) -> bool:
    return reason in (None, _NO_RESOURCES, _PROCESSING_FAILURE, _NOT_AUTHORISED)


def _wait_for(attempts: int) -> float:
    backoff = Backoff()
    backoff.attempts = attempts
    return backoff.next()
