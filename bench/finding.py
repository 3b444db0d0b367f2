"""Benchmarks of what is found: QIDO-RS at the generated index, beside Orthanc at the few thousands that it holds."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import giants, index_generator, ours, peers, queries
from bench.fast_store_scu import Sender
from bench.process import Server
from bench.reads import JSON
from bench.rows import Row, Sample, Series, Target
from bench.runner import DATA, OURS, Run
from bench.web_client import Client, latencies, percentile
from wardlight.db.schema import SCHEMA_VERSION

_ASSOCIATIONS = 4
_TIMES = 60

COMPARED = ("study by UID", "patient ID, exact", "name prefix of 4", "date range", "first page, studies")
"""Forms that Orthanc is asked, too."""

TARGETED = (
    *COMPARED,
    "patient ID, prefix",
    "name, exact",
    "family name",
    "name prefix of 2",
    "first page, instances",
)
"""Forms of the target: exact, prefix, date range and first page. The others are told without one."""


@contextmanager
def grown_orthanc(run: Run, sizes: list[int]) -> Iterator[Iterator[tuple[int, Server]]]:
    """Orthanc, filled up to each of the sizes in turn."""
    with peers.orthanc(run.folder) as server:

        def grow() -> Iterator[tuple[int, Server]]:
            held = 0
            for size in sizes:
                _fill(run, server.port, held // giants.PER_STUDY, size // giants.PER_STUDY)
                held = size
                yield size, server

        yield grow()


def _fill(run: Run, port: int, start: int, stop: int) -> None:
    source = giants.population(run.folder, range(start, stop))
    lock, errors = threading.Lock(), []

    def work() -> None:
        try:
            with Sender(port, [("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")]) as sender:
                while True:
                    with lock:
                        row = next(source, None)
                    if row is None:
                        return
                    if sender.store(giants.as_sent(*row)).status:
                        raise RuntimeError("a C-STORE was refused")
        except Exception as error:  # noqa: BLE001 - told to the measuring thread, which raises
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(_ASSOCIATIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def asked(client: Client, paths: list[str], seconds: float = 2.0) -> list[float]:
    """Sorted milliseconds of searches, as many of them as fit into the time; the first is not counted."""
    latencies(client, paths[:1], JSON)
    ends = time.perf_counter() + seconds
    times: list[float] = []
    for each in paths:
        times += latencies(client, [each], JSON)[0]
        if time.perf_counter() > ends:
            break
    return sorted(times)


def orthanc_times(run: Run, sizes: list[int]) -> dict[int, dict[str, list[float]]]:
    """Sorted milliseconds of each form by how many instances Orthanc holds."""
    found: dict[int, dict[str, list[float]]] = {}
    with grown_orthanc(run, sizes) as grown:
        for size, server in grown:
            time.sleep(1)
            people = [giants.person(number * 37 % (size // giants.PER_STUDY)) for number in range(_TIMES)]
            with Client(server.http) as client:
                found[size] = {
                    form: asked(client, [queries.FORMS[form](who) for who in people]) for form in COMPARED
                }
    return found


def generated(size: int) -> Path:
    """The data folder of an index of so many instances, generated on first use."""
    folder = DATA / f"index-{SCHEMA_VERSION}-{size}"
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        index_generator.generate(folder, size)
        (folder / ".complete").touch()
    return folder


@contextmanager
def served(run: Run, data: Path) -> Iterator[Server]:
    """`wardlight serve` on a generated folder, with a token of its administrator."""
    token = ours.person_token(data)
    with ours.serving(run.folder, data, {"WARDLIGHT_COMPLETION_QUIET_S": "2"}) as server:
        ours.wait_until_ready(server)
        server.headers = {"Authorization": f"Bearer {token}"}
        yield server


SEARCH = (
    "QIDO-RS over HTTP, limit=100, one kept connection: bearer token and scope checked, found by keyed tokens and "
    "sealed postings, rows unsealed, audit entry; studies from all over the index. Orthanc: neither of these, p50"
)


def search(run: Run) -> None:
    """p99 of each form at the largest index, its growth since 100,000 instances, and Orthanc at what it holds."""
    small, large = run.size(100_000, quick=2_000), run.size(1_000_000, 10_000_000, 4_000)
    folders = {size: generated(size) for size in (small, large)}
    found: dict[int, list[dict[str, dict[str, Any]]]] = {small: [], large: []}
    for _ in range(run.rounds if run.long else 1):
        for size, folder in folders.items():
            found[size].append({str(row["form"]): row for row in queries.measure(folder)})
    peers_at = run.size(10_000, 50_000, 200)
    peer: dict[str, list[float]] = {}
    with run.isolated("search of Orthanc"):
        peer = orthanc_times(run, [peers_at])[peers_at]
    for form in found[large][0]:
        what = f"search at {large:,}, {form}"
        before = _series(f"{OURS} at {small:,}", found[small], form, "p50_ms")
        now = _series(OURS, found[large], form, "p50_ms")
        slowest = _series(OURS, found[large], form, "p99_ms")
        other = Series()
        if form in COMPARED:
            other = Series(f"Orthanc at {peers_at:,}", failure="" if peer else "not measured")
            other.samples = [Sample(percentile(peer[form], 0.5))] if peer else []
        targeted = form in TARGETED
        limit = Target(20.0, "fixed", least=False) if targeted else None
        rows = run.rows if targeted else run.also
        rows.append(Row(f"{what}, p99", "ms", slowest, SEARCH, limit, other))
        growth = Target(1.2, least=False) if targeted else None
        rows.append(Row(f"{what}, p50 against {small:,}", "ms", now, SEARCH, growth, before))


def _series(name: str, rounds: list[dict[str, dict[str, Any]]], form: str, span: str) -> Series:
    return Series(name, [Sample(row[form][span], row[form]["cpu_ms"]) for row in rounds if form in row])
