"""A process that takes objects from the spool, protects them and brings them to the platform.

Run by the receiver's supervisor as `python -m wardlight.receiver.pipeline SLOT SLOTS`; any number may run, each on its
own share of the objects. Nothing is kept outside the database: killed at any point, the next start goes on, and what
it repeats the platform knows already.
"""

from __future__ import annotations

import math
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from wardlight import __version__, log, settings
from wardlight.decoding.pixel_reader import TextReader
from wardlight.dicom.elements import BUILD
from wardlight.errors import WardlightError
from wardlight.keys.process import harden
from wardlight.receiver.agreed import Agreed, AgreedTable
from wardlight.receiver.batches import LINGER_S, Batch, Batcher
from wardlight.receiver.couriers import Couriers
from wardlight.receiver.entries import Entries
from wardlight.receiver.model import Target, Work
from wardlight.receiver.places import database_path, open_spool, platform_address, vault_path
from wardlight.receiver.protect import NotReleased, Protector
from wardlight.receiver.quarantine import FOLDER, Quarantine
from wardlight.receiver.secrets import load
from wardlight.receiver.setbacks import DATABASE_PAUSE_S, Setbacks, code_of
from wardlight.receiver.site_profiles import site_profiles
from wardlight.receiver.store import BLOCK, ReceiverStore
from wardlight.receiver.upload import Platform
from wardlight.receiver.uploader import Holds, Uploader
from wardlight.receiver.vault import Vault
from wardlight.supervisor import die_with_parent, wait_for_gate

#: Two, so that one sends while the other waits for the platform's fsync.
_UPLOADERS: Final = 2
#: How often an idle process looks, in seconds: so long a new object waits at most.
_IDLE_S: Final = 0.02
#: Everything pending is looked at anew so often, in seconds: for what another process put back.
_RESCAN_S: Final = 30.0
_TICK_S: Final = 0.05


class Pipeline:
    """The work of one pipeline process."""

    def __init__(self, chosen: settings.Settings, slot: int, slots: int) -> None:
        secrets = load(chosen.receiver_secrets)
        entries = Entries(chosen.node)
        self._slot = slot
        self._slots = slots
        self._store = ReceiverStore(database_path(chosen))
        self._quarantine = Quarantine(self._store, chosen.receiver_dir / FOLDER, secrets, entries)
        self._quarantine.share()
        self._vault = Vault(vault_path(chosen), secrets)
        # Its process starts with the first frame that has to be looked at.
        unsandboxed = chosen.demo or chosen.allow_unsandboxed_decoders
        self._reader = TextReader(1, allow_unsandboxed=unsandboxed)
        self._protector = Protector(
            open_spool(chosen), secrets, self._vault, self._reader, site_profiles(chosen.receiver.profiles)
        )
        self._setbacks = Setbacks(self._store, self._quarantine)
        self._batcher = Batcher(chosen.receiver.batch_bytes, chosen.receiver.batch_instances)
        self._ready: queue.Queue[Batch] = queue.Queue(_UPLOADERS)
        self._holds = Holds()
        self._table = AgreedTable(self._store.database)
        self._agreed = Agreed()
        self._lock = threading.Lock()
        self._in_hand: set[tuple[int, Target]] = set()
        self._after = 0
        # The database's version at which nothing was pending that is not put off.
        self._empty_at: int | None = None
        # When everything pending is to be looked at from the start again: each object put off has a time of its own.
        self._rescans = {_tick(_RESCAN_S)}
        self.stop = threading.Event()
        #: The process ends because of a fault, not because it was told to.
        self.failed = False
        # One of the processes serves the trail, too.
        self._couriers = None if slot else Couriers(chosen, self._store, self.stop)
        self._uploaders = [
            Uploader(
                Platform(platform_address(chosen), chosen.receiver_secrets),
                self._store,
                self._setbacks,
                entries,
                self._holds,
                self.stop,
                self._vault.keep,
                self._released,
            )
            for _ in range(_UPLOADERS)
        ]

    def run(self) -> None:
        """Work until `stop` is set."""
        threads = [
            threading.Thread(target=self._upload, args=(uploader,), name=f"upload-{number}", daemon=True)
            for number, uploader in enumerate(self._uploaders)
        ]
        for thread in threads:
            thread.start()
        if self._couriers is not None:
            self._couriers.start()
        while not self.stop.is_set():
            try:
                if not self._round():
                    self.stop.wait(_IDLE_S)
            except (WardlightError, SQLAlchemyError, OSError) as error:
                # The database is locked or full: nothing of this round is in hand, so try again a little later.
                log.error("receiver.pipeline_waits", error, code=code_of(error))
                self.stop.wait(DATABASE_PAUSE_S)
        for thread in threads:
            thread.join()
        if self._couriers is not None:
            self._couriers.join()
        self._store.close()
        self._vault.close()
        self._reader.close()

    def _upload(self, uploader: Uploader) -> None:
        """One uploader thread. What it cannot settle stays in hand, so the process then ends and is started anew."""
        try:
            uploader.run(self._ready)
        except Exception as error:  # noqa: BLE001 - the thread's edge: logged, and the process ends
            log.error("receiver.uploader_ended", error)
            self.failed = True
            self.stop.set()

    def _round(self) -> bool:
        """Protect the next objects and pass on what is ready. False if there was nothing to do."""
        works = self._next()
        left = deque(works)
        try:
            while left and not self.stop.is_set():
                ready = self._protect(left[0])
                left.popleft()
                self._pass_on(ready)
        finally:
            # Whatever ended the round early, its other objects must be found again.
            if left:
                self._released(left, DATABASE_PAUSE_S)
        self._pass_on(self._batcher.due(LINGER_S))
        return bool(works)

    def _next(self) -> list[Work]:
        """The next pending objects that are not in hand, and put them in hand."""
        version = self._store.version()
        agreed = self._table.get()
        with self._lock:
            if agreed != self._agreed:
                # What was held may leave now.
                self._agreed, self._after = agreed, 0
                self._holds.forget()
            due = {tick for tick in self._rescans if tick <= time.monotonic() / _TICK_S}
            if due:
                self._store.take_up_held()
                self._after = 0
                self._rescans -= due
                self._rescans.add(_tick(_RESCAN_S))
            elif version == self._empty_at:
                return []
            after = self._after
            in_hand = set(self._in_hand)
        # From the start on, what is in hand comes first, so more rows are needed to find others.
        limit = BLOCK + (len(in_hand) if after == 0 else 0)
        rows = self._store.pending(self._slot, self._slots, after, limit, self._holds.held(), agreed.targets)
        fresh = [work for work in rows if work.key not in in_hand]
        works = fresh[:BLOCK]
        # Read before the rows: what is committed in between is seen next time.
        self._empty_at = None if rows else version
        with self._lock:
            if rows and self._after == after:
                # The last object may have more targets than fitted in, so it is looked at again unless all were seen.
                whole = len(rows) < limit and len(works) == len(fresh)
                self._after = rows[-1].object_id + 1 if whole else (works or rows)[-1].object_id
            self._in_hand.update(work.key for work in works)
        return works

    def _protect(self, work: Work) -> list[Batch]:
        """Bring one object as far as a batch. One that fails is settled or put off here, and the others go on."""
        try:
            return self._batcher.add(self._protector.protect(work))
        except NotReleased as refusal:
            read = self._protector.reader(work)
            again = self._setbacks.keep_back(work, read, refusal.original_uid, refusal.reasons)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other objects go on
            again = self._setbacks.failed(work, error)
        self._released([work], again)
        return []

    def _pass_on(self, batches: Sequence[Batch]) -> None:
        """Hand batches to the uploaders; waits while they are behind, so that little is in hand."""
        for batch in batches:
            while not self.stop.is_set():
                try:
                    self._ready.put(batch, timeout=0.2)
                    break
                except queue.Full:
                    continue

    def _released(self, works: Iterable[Work], again_in_s: float | None) -> None:
        with self._lock:
            self._in_hand.difference_update(work.key for work in works)
            if again_in_s is not None:
                self._rescans.add(_tick(again_in_s))


def _tick(in_s: float) -> int:
    """The first tick after so many seconds; in ticks, so that few are kept however many objects are put off."""
    return math.floor((time.monotonic() + in_s) / _TICK_S) + 1


def main(slot: int, slots: int) -> int:
    """Run until SIGTERM; returns the exit code."""
    harden()
    die_with_parent()
    chosen = settings.load()
    log.configure(f"pipeline-{slot}", level=chosen.log_level)
    chosen.refuse_unsafe()
    log.info("receiver.started", version=f"{__version__} ({BUILD})")
    wait_for_gate()
    pipeline = Pipeline(chosen, slot, slots)

    def on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        pipeline.stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    pipeline.run()
    return 1 if pipeline.failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
