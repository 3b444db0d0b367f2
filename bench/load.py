"""Many HTTP clients at once, each with a connection of its own, spread over a few processes."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue

from bench.web_client import Client, percentile, require

_PROCESSES = 2
"""One for each core of the machine that the targets are set for: more would take turns with the server."""


@dataclass(frozen=True, slots=True)
class Load:
    """requests answered within `seconds`; percentiles in milliseconds; client_cpu_ms: what one cost its client."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    client_cpu_ms: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def clients(
    root: str, headers: Mapping[str, str], paths: Sequence[str], accept: str, count: int, seconds: float
) -> Load:
    """GET `paths` in random order by `count` clients for so many seconds. Raises if any answer was not 200."""
    context = multiprocessing.get_context("fork")
    results: Queue[tuple[list[float], float] | str] = context.Queue()
    processes = [
        context.Process(
            target=_work,
            args=(
                root,
                dict(headers),
                paths,
                accept,
                len(range(index, count, _PROCESSES)),
                seconds,
                index,
                results,
            ),
        )
        for index in range(min(_PROCESSES, count))
    ]
    for process in processes:
        process.start()
    try:
        rows = [results.get(timeout=seconds + 120) for _ in processes]
    finally:
        for process in processes:
            process.join(5)
            process.kill()
    times: list[float] = []
    cpu = 0.0
    for row in rows:
        if isinstance(row, str):
            raise RuntimeError(row)
        times += row[0]
        cpu += row[1]
    times.sort()
    if not times:
        raise RuntimeError("no request was answered in time")
    return Load(len(times), seconds, percentile(times, 0.5), percentile(times, 0.99), cpu * 1000 / len(times))


def _work(
    root: str,
    headers: dict[str, str],
    paths: Sequence[str],
    accept: str,
    count: int,
    seconds: float,
    number: int,
    results: Queue[tuple[list[float], float] | str],
) -> None:
    times: list[float] = []
    errors: list[str] = []
    deadline = time.perf_counter() + seconds

    def ask(seed: int) -> None:
        chosen = random.Random(seed)
        try:
            with Client(root, headers) as client:
                while (began := time.perf_counter()) < deadline:
                    require(client.get(chosen.choice(paths), accept))
                    times.append((time.perf_counter() - began) * 1000)
        except Exception as error:  # noqa: BLE001 - told to the measuring process, which raises
            errors.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=ask, args=(number * 1000 + index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(errors[0] if errors else (times, time.process_time()))
