"""Worker processes of `wardlight deidentify`: batches of inputs to them, what they found back, in order.

A worker that dies (for want of memory, say) takes nothing with it: the inputs it may have had are done again one by
one, and the one that ends a process once more is told as such.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import connection
from typing import Any, Final, Generic, TypeVar

from wardlight import log
from wardlight.cli.deidentify_input import Input

Found = TypeVar("Found")
Job = TypeVar("Job")

#: Inputs that one task of a worker process takes.
BATCH: Final = 16
#: Fewer inputs than this are done here; starting processes would take longer.
FEW: Final = 24
#: Tasks handed out ahead, for each worker: keeps memory flat for any number of inputs.
_AHEAD: Final = 4
#: New objects after which the collector looks for circles: hardly any are made, and an input makes thousands.
_COLLECTED_AFTER: Final = 50_000
#: Inputs one after the other that ended a process: then it is not the inputs.
_MOST_DEATHS: Final = 16

_here: list[object] = []


def _start(job: object) -> None:
    """Runs once in each worker process: whoever started it says when it ends, by ending, too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log.configure("deidentify", level="error")
    gc.set_threshold(_COLLECTED_AFTER)
    _here[:] = [job]


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _process(call: Callable[[Any, Input], Found], batch: Sequence[Input]) -> list[Found]:
    return [call(_here[0], item) for item in batch]


class WorkersFailed(Exception):
    """Processes end whatever they are given."""


class Workers(Generic[Job]):
    """Works through inputs in processes of its own, which live from pass to pass; for few inputs, here.

    job: what each process has from the start; can be pickled.
    """

    def __init__(self, workers: int, job: Job) -> None:
        self._workers = workers
        self._job = job
        self._pool: ProcessPoolExecutor | None = None
        self._deaths = 0
        self._threshold = gc.get_threshold()

    def __enter__(self) -> Workers[Job]:
        self._threshold = gc.get_threshold()
        gc.set_threshold(_COLLECTED_AFTER)
        return self

    def __exit__(self, *_: object) -> None:
        gc.set_threshold(*self._threshold)
        self._drop()

    def run(
        self,
        call: Callable[[Job, Input], Found],
        items: Iterable[Input],
        ended: Callable[[Input], Found],
    ) -> Iterator[tuple[Input, Found]]:
        """What `call` finds of each input, in their order. ended: what to say of an input that ended a process."""
        feed = iter(items)
        first = list(islice(feed, FEW if self._workers > 1 else 0))
        everything = chain(first, feed)
        if len(first) == FEW:
            yield from self._in_processes(call, everything, ended)
        else:
            for item in everything:
                yield item, call(self._job, item)

    def _in_processes(
        self,
        call: Callable[[Job, Input], Found],
        items: Iterator[Input],
        ended: Callable[[Input], Found],
    ) -> Iterator[tuple[Input, Found]]:
        waiting: deque[tuple[list[Input], Future[list[Found]], ProcessPoolExecutor | None]] = deque()
        more = True
        while more or waiting:
            while more and len(waiting) < _AHEAD * self._workers:
                batch = list(islice(items, BATCH))
                more = bool(batch)
                if batch:
                    waiting.append((batch, self._submit(call, batch), self._pool))
            if not waiting:
                return
            batch, future, pool = waiting.popleft()
            try:
                found = future.result()
            except BrokenProcessPool:
                if pool is self._pool:
                    self._drop()
                yield from self._one_by_one(call, batch, ended)
            else:
                yield from zip(batch, found, strict=True)

    def _submit(self, call: Callable[[Job, Input], Found], batch: list[Input]) -> Future[list[Found]]:
        if self._pool is None:
            self._pool = self._start(self._workers)
        try:
            return self._pool.submit(_process, call, batch)
        except BrokenProcessPool as error:
            broken: Future[list[Found]] = Future()
            broken.set_exception(error)
            return broken

    def _start(self, workers: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(workers, context, initializer=_start, initargs=(self._job,))

    def _drop(self) -> None:
        """Away with the processes, once they have done what they are at; the next batch starts others."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _one_by_one(
        self,
        call: Callable[[Job, Input], Found],
        batch: list[Input],
        ended: Callable[[Input], Found],
    ) -> Iterator[tuple[Input, Found]]:
        pool = self._start(1)
        try:
            for item in batch:
                try:
                    (found,) = pool.submit(_process, call, [item]).result()
                except BrokenProcessPool:
                    pool.shutdown(wait=True)
                    pool = self._start(1)
                    self._deaths += 1
                    if self._deaths > _MOST_DEATHS:
                        raise WorkersFailed from None
                    found = ended(item)
                else:
                    self._deaths = 0
                yield item, found
        finally:
            pool.shutdown(wait=True)
