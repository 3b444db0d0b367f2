"""Benchmarks of what is found: QIDO-RS at the generated index, beside Orthanc at the few thousands that it holds."""

from __future__ import annotations

import importlib
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench import giants, ours, peers
from bench.fast_store_scu import Sender
from bench.process import Server
from bench.reads import JSON
from bench.rows import Row, Sample, Series, Target
from bench.runner import DATA, OURS, Absent, Run
from bench.web_client import Client, latencies, percentile, require
from wardlight.db.schema import SCHEMA_VERSION

_ASSOCIATIONS = 4
_TIMES = 60
_OWN_TIMES = 400

FORMS = ("study by UID", "patient ID", "name prefix", "date range", "first page")
"""The forms of the target: exact, prefix, date range and first page."""


def path(form: str, who: giants.Person) -> str:
    """The search of a form that finds this person's study, with others where the form says so."""
    query = {
        "study by UID": f"StudyInstanceUID={who.study}&",
        "patient ID": f"PatientID={who.patient_id}&",
        "name prefix": f"PatientName={quote(who.name[:4])}*&",
        "date range": f"StudyDate={who.date}-{who.date[:6]}31&",
        "first page": "",
    }[form]
    return f"/studies?{query}limit=100"


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
                found[size] = {form: asked(client, [path(form, who) for who in people]) for form in FORMS}
    return found


def generated(size: int) -> Path:
    """The data folder of an index of so many instances, generated on first use."""
    folder = DATA / f"index-{SCHEMA_VERSION}-{size}"
    if not (folder / ".complete").exists():
        try:
            index_generator = importlib.import_module("bench.index_generator")
        except ImportError:
            raise Absent("the generator of the index is not built") from None
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


def own_times(server: Server) -> dict[str, list[float]]:
    """Sorted milliseconds of each form, by studies from all over the index."""
    with Client(server.http, server.headers) as client:
        people = _people(client)
        return {
            form: asked(client, [path(form, people[n % len(people)]) for n in range(_OWN_TIMES)], 10.0)
            for form in FORMS
        }


def _people(client: Client) -> list[giants.Person]:
    """Who is to be found: from the newest page, and from pages of days that lie all over."""
    found: dict[str, giants.Person] = {}
    days = [row.date for row in _page(client, "")]
    first = int(min(days)[:4])
    chosen = random.Random(3)
    for _ in range(40):
        day = f"{chosen.randint(first - 10, first):04d}{chosen.randint(1, 12):02d}{chosen.randint(1, 28):02d}"
        rows = _page(client, f"StudyDate={day}-{day[:6]}31&")
        found |= {row.study: row for row in chosen.sample(rows, min(5, len(rows)))}
    found |= {row.study: row for row in _page(client, "")[:20]}
    return chosen.sample(list(found.values()), len(found))


def _page(client: Client, query: str) -> list[giants.Person]:
    answer = require(client.get(f"/studies?{query}limit=100", JSON, keep=True), 200, 204)

    def text(row: dict[str, Any], tag: str) -> str:
        value = (row.get(tag, {}).get("Value") or [""])[0]
        return str(value["Alphabetic"] if isinstance(value, dict) else value)

    people = [
        giants.Person(
            text(row, "0020000D"), text(row, "00100020"), text(row, "00100010"), text(row, "00080020")
        )
        for row in answer.json()
    ]
    return [who for who in people if all((who.study, who.patient_id, who.name, who.date))]


SEARCH = (
    "QIDO-RS over HTTP, limit=100, one kept connection: bearer token and scope checked, found by keyed tokens and "
    "sealed postings, rows unsealed, audit entry; studies from all over the index. Orthanc: neither of these, p50"
)


def search(run: Run) -> None:
    """p99 of each form at the largest index, its growth since 100,000 instances, and Orthanc at what it holds."""
    small, large = run.size(100_000, quick=2_000), run.size(1_000_000, 10_000_000, 4_000)
    times: dict[int, dict[str, list[float]]] = {}
    for size in (small, large):
        with served(run, generated(size)) as server:
            times[size] = own_times(server)
    peers_at = run.size(10_000, 50_000, 200)
    peer: dict[str, list[float]] = {}
    with run.isolated("search of Orthanc"):
        peer = orthanc_times(run, [peers_at])[peers_at]
    for form in FORMS:
        found = times[large][form]
        other = Series(f"Orthanc at {peers_at:,}")
        other.samples = [Sample(percentile(peer[form], 0.5))] if form in peer else []
        run.rows.append(
            Row(
                f"search at {large:,}, {form}, p99",
                "ms",
                Series(OURS, [Sample(percentile(found, 0.99))]),
                SEARCH,
                Target(20.0, "fixed", least=False),
                other,
            )
        )
        run.rows.append(
            Row(
                f"search at {large:,}, {form}, p50 against {small:,}",
                "ms",
                Series(OURS, [Sample(percentile(found, 0.5))]),
                SEARCH,
                Target(1.2, least=False),
                Series(f"{OURS} at {small:,}", [Sample(percentile(times[small][form], 0.5))]),
            )
        )
