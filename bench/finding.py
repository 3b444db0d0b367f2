"""Benchmarks of what is found: QIDO-RS at the generated index, beside Orthanc at the few thousands that it holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench import giants, peers
from bench.fast_store_scu import Sender
from bench.process import Server
from bench.reads import JSON
from bench.runner import Run
from bench.web_client import Client, latencies

_ASSOCIATIONS = 4
_TIMES = 60

FORMS = ("study by UID", "patient ID", "name prefix", "date range", "first page")
"""The forms of the target: exact, prefix, date range and first page."""


def path(form: str, who: giants.Person) -> str:
    """The search of a form that finds this person's study, with others where the form says so."""
    day = who.date
    query = {
        "study by UID": f"StudyInstanceUID={who.study}",
        "patient ID": f"PatientID={who.patient_id}",
        "name prefix": f"PatientName={who.name[:4]}*",
        "date range": f"StudyDate={day}-{day[:6]}31",
        "first page": "",
    }[form]
    return f"/studies?{query}{'&' if query else ''}limit=100"


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
