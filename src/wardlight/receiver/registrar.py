"""Enters committed objects in the receiver's database, in batches, and clears up spool files that are done with.

C-STORE Success rests on the spool alone, so nothing waits for this thread: what a crash takes from its queue is
found again in the spool files (`receiver.recovery`).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from wardlight import clock, log
from wardlight.errors import WardlightError
from wardlight.receiver.entries import Entries
from wardlight.receiver.model import Received
from wardlight.receiver.store import ReceiverStore

#: How long objects may gather before they are entered together, in seconds.
_GATHER_S: Final = 0.03
_BATCH: Final = 500
#: How often finished files and unreported studies are looked for, in seconds.
_TIDY_S: Final = 2.0
#: More waiting than this means that the database does not keep up: new objects are refused for a while.
_QUEUE_LIMIT: Final = 20_000
#: A study is reported once nothing came for so long, or so long after its first object, in ms.
_QUIET_MS: Final = 10_000
_LONGEST_MS: Final = 60_000


class SpoolFiles(Protocol):
    """What the registrar needs of the spool; see `receiver.spool.Spool`."""

    def files(self) -> list[str]:
        """Ids of all files on disk."""

    def finished(self, file_id: str) -> bool:
        """Whether nobody can add to the file any more."""

    def made(self, file_id: str) -> bool:
        """Whether this process wrote the file, and so submitted every object in it before it was finished."""

    def remove(self, file_id: str) -> None:
        """Delete the file, and its key with the last file under it."""

    def forget(self, file_id: str) -> None:
        """Another process has removed the file."""


class Registrar:
    """One thread of a process that receives. recover: enters what a finished file of an earlier process holds, and
    settles it. on_failure: called if the thread ends in a way nobody thought of; the process must then end and be
    started anew, since nothing would be entered any more.

    helps: in a helper of the node. Each settles the files of its own process; the node's alone reports studies, removes
    files, and settles those that were there before it."""

    def __init__(
        self,
        store: ReceiverStore,
        spool: SpoolFiles,
        entries: Entries,
        recover: Callable[[str], object],
        on_failure: Callable[[], None] = lambda: None,
        *,
        helps: bool = False,
    ) -> None:
        self._recover = recover
        self._on_failure = on_failure
        self._store = store
        self._spool = spool
        self._entries = entries
        self._queue: queue.SimpleQueue[Received | bytes | None] = queue.SimpleQueue()
        # Finished files that are not settled yet: the number of items to be entered first.
        self._draining: dict[str, int] = {}
        self._entered = 0
        self._helps = helps
        self._settled = store.settled_files()
        # Files of before. What comes later and is not of this process is a helper's, who settles it.
        self._before = frozenset() if helps else frozenset(spool.files())
        self._tidied = 0.0
        self._thread = threading.Thread(target=self._run, name="registrar", daemon=True)
        #: The last write failed: the caller refuses new associations until one succeeds.
        self.failing = False

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Enter what is there, then end."""
        self._queue.put(None)
        self._thread.join()

    @property
    def overloaded(self) -> bool:
        """The database does not keep up with what is received."""
        return self.failing or self._queue.qsize() > _QUEUE_LIMIT

    def submit(self, item: Received | bytes) -> None:
        """Take a committed object, or an audit entry. Returns at once."""
        self._queue.put(item)

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - the thread's edge: logged, intake stops, the process ends
            log.error("receiver.registrar_ended", error)
            self.failing = True
            self._on_failure()

    def _work(self) -> None:
        going = True
        while going:
            items, going = self._gather()
            if items:
                self._persist(items)
            if time.monotonic() - self._tidied >= _TIDY_S:
                self._guard(self._tidy)
                self._tidied = time.monotonic()

    def _gather(self) -> tuple[list[Received | bytes], bool]:
        """Wait for an item, give others a moment to join it. False: `stop` was called."""
        items: list[Received | bytes] = []
        try:
            first = self._queue.get(timeout=_TIDY_S / 2)
        except queue.Empty:
            return items, True
        if first is None:
            return items, False
        items.append(first)
        time.sleep(_GATHER_S)
        while len(items) < _BATCH:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                return items, False
            items.append(item)
        return items, True

    def _persist(self, items: list[Received | bytes]) -> None:
        """Write the batch, trying for ever: an acknowledged object must be entered."""
        objects = [item for item in items if isinstance(item, Received)]
        contents = [item for item in items if isinstance(item, bytes)]
        wait = 0.1
        while not self._guard(lambda: self._store.register(objects, contents)):
            self.failing = True
            time.sleep(wait)
            wait = min(wait * 2, 5.0)
        self.failing = False
        self._entered += len(items)

    def _guard(self, step: Callable[[], object]) -> bool:
        """Run a step that the database or the disk may refuse for now (locked, full)."""
        try:
            step()
        except (WardlightError, OSError) as error:
            code = error.code if isinstance(error, WardlightError) else "unavailable"
            log.error("receiver.registrar_failed", error, code=code)
            return False
        return True

    def _tidy(self) -> None:
        """Report studies, settle files that were closed, remove files that are done with."""
        if not self._helps:
            self._report()
        present = self._spool.files()
        for file_id in present:
            if file_id not in self._settled and (self._spool.made(file_id) or file_id in self._before):
                self._guard(partial(self._settle, file_id))
        if not self._helps:
            for file_id in self._store.finished_files():
                self._guard(partial(self._remove, file_id))
            return
        for file_id in self._settled.difference(present):
            self._spool.forget(file_id)
            self._settled.discard(file_id)

    def _remove(self, file_id: str) -> None:
        self._spool.remove(file_id)
        self._store.forget_file(file_id)
        self._settled.discard(file_id)

    def _settle(self, file_id: str) -> None:
        """Settle the file if it is finished and every committed object of it is in the database.

        What this process wrote was submitted before the file was finished, so it is entered once as many items are as
        were submitted by then. Any other file was still in use when the process began: it has to be read.
        """
        if not self._spool.finished(file_id):
            self._draining.pop(file_id, None)
            return
        if not self._spool.made(file_id):
            self._recover(file_id)
        else:
            if self._draining.setdefault(file_id, self._entered + self._queue.qsize()) > self._entered:
                return
            self._store.settle(file_id)
        self._draining.pop(file_id, None)
        self._settled.add(file_id)

    def _report(self) -> None:
        """Write `receiver:study:receive` entries for studies that are quiet or long under way."""
        moment = clock.unix_ms()
        for study in self._store.unreported(moment - _QUIET_MS, moment - _LONGEST_MS):
            content = self._entries.received(
                study.study, study.route, study.calling_ae, study.address, study.instances, study.bytes
            )
            self._store.report(study, content)
