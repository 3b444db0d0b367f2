"""The processes of the platform: the web server, and the worker with its threads."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Final

from wardlight import jobs, log
from wardlight.audit.node import NodeTrail
from wardlight.audit.sealer import ROUND as SEAL_ROUND
from wardlight.bootstrap import Platform, decoder_pool, platform
from wardlight.keys.process import harden
from wardlight.settings import UNTOLD, Settings
from wardlight.supervisor import is_supervised, wait_for_gate

#: How often a process that serves ends read sessions and writes counts of denials, in seconds.
_HOUSEKEEPING_S: Final = 5.0
#: Pause between two rounds of the worker, in seconds, and how many rounds lie between two sweeps (an hour).
_ROUND_S: Final = 1.0
#: Pause between two rounds of what is sent to witnesses and anchors, in seconds.
_SEND_S: Final = 5.0
_SWEEP_ROUNDS: Final = 3600


def run_web(settings: Settings) -> None:
    """`wardlight web`: API and DICOMweb until SIGTERM or SIGINT."""
    from wardlight.ingest.service import Ingest
    from wardlight.web import server
    from wardlight.web.services import Services

    harden()
    decoders = decoder_pool(settings)
    wait_for_gate()
    built = platform(settings)
    built.open_reads.start()
    services = Services(
        settings=settings,
        identity=built.identity,
        access=built.access,
        archive=built.archive,
        ingest=Ingest(built.archive, built.access, built.agreements, spool_folder=settings.data_dir),
        decoders=decoders,
        parts=built.parts,
        platform=built.api,
        open_reads=built.open_reads,
        checks={
            "database": built.check_database,
            "keystore": built.check_keystore,
            "objects": built.objects.check,
            "clock": built.recorder.require_clock,
        },
    )
    stopping = threading.Event()

    def housekeep() -> None:
        while not stopping.wait(_HOUSEKEEPING_S):
            _guarded(partial(jobs.run, built, jobs.HOUSEKEEPING))

    threading.Thread(target=housekeep, name="housekeeping", daemon=True).start()
    # What is loaded now stays for good: the collector need not walk it again and again, in the middle of requests.
    gc.collect()
    gc.freeze()
    try:
        with _serving(built, "web"):
            server.run(services)
    finally:
        stopping.set()
        built.open_reads.close()
        decoders.close()
        built.close()


def run_worker(settings: Settings) -> None:
    """`wardlight worker`: rounds of background work until SIGTERM or SIGINT."""
    harden()
    wait_for_gate()
    built = platform(settings, migrate=is_supervised())
    stopping = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        stopping.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    sealing = threading.Thread(target=_seal, args=(built, stopping), name="sealing")
    sealing.start()
    # A daemon: it may wait for a witness that does not answer, and what it was at is tried again.
    threading.Thread(target=_send, args=(built, stopping), name="sending", daemon=True).start()
    threading.Thread(target=_deliver, args=(built, stopping), name="delivering", daemon=True).start()
    round_number = 0
    with _serving(built, "worker"):
        while not stopping.wait(_ROUND_S):
            _guarded(partial(jobs.run, built, jobs.ROUND))
            if round_number % _SWEEP_ROUNDS == 0:
                _guarded(partial(jobs.run, built, jobs.HOURLY))
            round_number += 1
    sealing.join()
    built.close()


def _seal(built: Platform, stopping: threading.Event) -> None:
    """Seal until told to stop, without a pause while a log has more than one round takes."""
    pause = 0.0
    while not stopping.wait(pause):
        sealed = _guarded(lambda: jobs.SEALING.run(built))
        pause = 0.0 if sealed and sealed >= SEAL_ROUND else _ROUND_S


def _deliver(built: Platform, stopping: threading.Event) -> None:
    """Bring events to webhooks until told to stop."""
    while not stopping.wait(_ROUND_S):
        _guarded(partial(jobs.DELIVERING.run, built))


def _send(built: Platform, stopping: threading.Event) -> None:
    """Bring heads to witnesses and anchors until told to stop."""
    while not stopping.wait(_SEND_S):
        for job in jobs.SENDING:
            _guarded(partial(job.run, built))


@contextmanager
def _serving(built: Platform, process: str) -> Iterator[None]:
    """This process serves, as the operator's log tells at both ends; without that it does not begin."""
    told = NodeTrail(built.database, built.recorder, process)
    told.start(built.settings.shown(), UNTOLD)
    try:
        yield
    finally:
        _guarded(told.stop)


def _guarded(job: Callable[[], int | None]) -> int | None:
    """Run one background job; its failure is logged and it is tried again in the next round."""
    try:
        return job()
    except Exception as error:  # noqa: BLE001 - the loop must outlive a full disk or a locked database
        log.error("job.failed", error)
        return None
