"""Brings batches to the platform, for ever if need be, and settles what it answers."""

from __future__ import annotations

import queue
import secrets as stdlib_secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from wardlight import clock, log
from wardlight.agreements.model import Level
from wardlight.audit.actions import Action
from wardlight.audit.model import Outcome
from wardlight.errors import CATALOGUE, WardlightError
from wardlight.receiver.batches import Batch, Protected
from wardlight.receiver.entries import Entries
from wardlight.receiver.model import Target, UploadState, Work
from wardlight.receiver.setbacks import DATABASE_PAUSE_S, Backoff, Setbacks, code_of
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.upload import Platform, Trouble, UnreadableObject, UploadError
from wardlight.receiver.vault import WayBack

#: Failure reasons of PS3.18 Table I.2-2 that may pass: no resources, processing failure, not authorised.
_NO_RESOURCES: Final = 0xA700
_PROCESSING_FAILURE: Final = 0x0110
_NOT_AUTHORISED: Final = 0x0124
_DUPLICATE: Final = 0x0111
_DELETED: Final = CATALOGUE["study-deleted"].dicom
#: So often the platform is asked whether a study that was deleted may come again.
HELD_S: Final = 600.0
#: A processing failure, or no word at all, for the same instance this often is taken as final.
_TRIES: Final = 10


class Holds:
    """Targets that the platform refuses at present, each with its own back-off. Shared by the uploader threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._backoffs: dict[Target, Backoff] = {}
        self._until: dict[Target, float] = {}
        self._taken: set[Target] = set()

    def hold(self, target: Target) -> float:
        """Refused again; returns for how long nothing is sent for it, in seconds."""
        with self._lock:
            wait = self._backoffs.setdefault(target, Backoff()).next()
            self._until[target] = time.monotonic() + wait
        return wait

    def release(self, target: Target) -> bool:
        """It was taken; False if there is nothing to take back, as it was taken before and not refused since.

        The first time counts, too: an earlier process may have noted a refusal.
        """
        with self._lock:
            self._until.pop(target, None)
            known = target in self._taken
            self._taken.add(target)
            return self._backoffs.pop(target, None) is not None or not known

    def forget(self) -> None:
        """What the platform refuses may have changed: all may be tried at once."""
        with self._lock:
            self._until.clear()
            self._backoffs.clear()

    def held(self) -> list[Target]:
        """Targets for which nothing is to be sent now."""
        moment = time.monotonic()
        with self._lock:
            return [target for target, until in self._until.items() if until > moment]


class Uploader:
    """One thread with its own connection. keep: makes the ways back durable before their objects are sent. released:
    told of works that are not in hand any more, and whether they are to be looked for again after so many seconds
    (None: they are done)."""

    def __init__(
        self,
        platform: Platform,
        store: ReceiverStore,
        setbacks: Setbacks,
        entries: Entries,
        holds: Holds,
        stop: threading.Event,
        keep: Callable[[Sequence[WayBack]], None],
        released: Callable[[Sequence[Work], float | None], None],
    ) -> None:
        self._platform = platform
        self._store = store
        self._setbacks = setbacks
        self._entries = entries
        self._holds = holds
        self._stop = stop
        self._keep = keep
        self._released = released
        self._backoff = Backoff()
        self._noted = ""
        self._unsettled: dict[tuple[int, Target], Work] = {}

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
        """Send the batch until it is settled, put back, or the process stops. No failure keeps a work in hand."""
        self._unsettled = {work.key: work for work in batch.works}
        try:
            self._deliver(batch)
        except (WardlightError, SQLAlchemyError) as error:
            # The database did not take how it went: the same again, the platform knows what it has.
            log.error("receiver.pipeline_waits", error, code=code_of(error))
            self._release(list(self._unsettled.values()), DATABASE_PAUSE_S)
        except Exception as error:  # noqa: BLE001 - whatever it is, other batches go on
            # From the second time on they go alone, so that one object cannot spoil its batch for ever.
            for work in list(self._unsettled.values()):
                self._release([work], self._setbacks.failed(work, error, alone=True))

    def _deliver(self, batch: Batch) -> None:
        self._keep(batch.ways)
        while not self._stop.is_set():
            request = stdlib_secrets.token_hex(16)
            try:
                outgoing = [item.outgoing for item in batch.items]
                held_back = self._store.held_back(batch.study, batch.target)
                answer = self._platform.store(batch.target, batch.group, outgoing, request, held_back)
            except UnreadableObject as error:
                item = batch.items[error.index]
                self._release([item.work], self._unreadable(item, error.cause))
                self._release([work for work in batch.works if work is not item.work], 0.0)
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
            # Nothing about the objects: after days without an agreement they must not count as tried often.
            self._put_back(batch.works, wait, counted=False)
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
        held: list[Work] = []
        refused: list[tuple[Protected, str]] = []
        for item in batch.items:
            reason = answer.get(item.outgoing.sop_uid)
            if reason == 0:
                results.append((item.work, UploadState.STORED))
            elif reason == _DUPLICATE:
                results.append((item.work, UploadState.CONFLICT))
            elif reason == _DELETED:
                held.append(item.work)
            elif (_may_pass(reason) and item.work.attempts < _TRIES) or reason in (
                _NO_RESOURCES,
                _NOT_AUTHORISED,
            ):
                again.append(item.work)
            else:
                refused.append((item, "platform-no-answer" if reason is None else f"platform-{reason:04x}"))
        if results:
            self._store.finish(results, self._audit(batch, results, request))
            self._release([work for work, _ in results], None)
        if again:
            self._put_back(again, _wait_for(max(work.attempts for work in again)))
        if held:
            self._store.hold(held, clock.unix_ms() + int(HELD_S * 1000))
            self._release(held, HELD_S)
        for item, code in refused:
            outgoing = item.outgoing
            wait = self._setbacks.keep_back(item.work, outgoing.read, outgoing.original_uid, (code,))
            self._release([item.work], wait)

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

    def _unreadable(self, item: Protected, cause: WardlightError) -> float | None:
        if cause.reason:  # It can be read, but must not leave: that was seen only while it was sent.
            outgoing = item.outgoing
            return self._setbacks.keep_back(item.work, outgoing.read, outgoing.original_uid, (cause.reason,))
        return self._setbacks.failed(item.work, cause)

    def _put_back(self, works: Sequence[Work], wait_s: float, *, counted: bool = True) -> None:
        self._store.postpone(works, clock.unix_ms() + int(wait_s * 1000), counted=counted)
        self._release(works, wait_s)

    def _release(self, works: Sequence[Work], again_in_s: float | None) -> None:
        for work in works:
            self._unsettled.pop(work.key, None)
            if again_in_s is None:
                self._setbacks.forget(work)
        self._released(works, again_in_s)

    def _note(self, value: str) -> None:
        if value != self._noted:
            self._store.note("platform", value)
            self._noted = value


def _may_pass(reason: int | None) -> bool:
    return reason in (None, _NO_RESOURCES, _PROCESSING_FAILURE, _NOT_AUTHORISED)


def _wait_for(attempts: int) -> float:
    return Backoff(attempts).next()
