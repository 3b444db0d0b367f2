"""Benchmarks of what comes in: C-STORE that is durable, from a stock sender, end to end, and STOW-RS."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench import fast_store_scu, ours, peers, raw_limit
from bench.process import Server
from bench.rows import Sample, Target
from bench.runner import OURS, Claim, Run, per_operation
from bench.web_client import Client, require

SPOOL_ONLY = (
    "C-STORE, AES-256-GCM spool and SHA-256, fdatasync before Success; upload held; no TLS on either side. "
    "Orthanc: fsync of files, SQLite index; storescp and pynetdicom: neither fsync nor index; raw: fdatasync"
)
END_TO_END = (
    "first C-STORE to found by QIDO-RS: encrypted spool with fdatasync, de-identified at high with harvest, verified, "
    "STOW-RS upload, encrypted segment with fsync, index, audit. Orthanc: C-STORE with fsync and SQLite index only"
)
STOW = (
    "STOW-RS of a person with a bearer token: instances checked, encrypted segment with fsync, index and audit in one "
    "commit, findable when answered. Orthanc: files with fsync and SQLite index; no authentication, encryption, audit"
)
RAW = "raw TCP + fsync"
STOW_MEDIA = 'multipart/related; type="application/dicom"; boundary=BENCH'


Start = Callable[[Path], AbstractContextManager[Server]]
"""Starts a server with its data in a new folder below the one given."""


@contextmanager
def timed(
    start: AbstractContextManager[Server], operations: int
) -> Iterator[tuple[Server, Callable[[], Sample]]]:
    """A server started for this; calling what comes beside it ends the time and gives operations a second."""
    with start as server:
        cpu = server.cpu_seconds()
        began = time.perf_counter()

        def done() -> Sample:
            seconds = time.perf_counter() - began
            used = per_operation(server.cpu_seconds() - cpu, operations)
            return Sample(operations / seconds, used, server.peak_mb())

        yield server, done


def send_to(start: Start, folder: Path, files: list[Path], associations: int = 1) -> Sample:
    """Instances/s of the fast sender, from its first request to the last response, to a server started for it."""
    with timed(start(folder), len(files)) as (server, done):
        result = fast_store_scu.send(server.port, files, associations=associations, called_ae=ours.CALLED_AE)
        no_failures(result)
        return replace(done(), value=result.rate)


def no_failures(result: fast_store_scu.Result) -> None:
    """Raise if a store was refused: the rate would mean nothing."""
    if result.failures:
        raise RuntimeError(f"{result.failures} C-STORE requests were refused")


def send_raw(folder: Path, files: list[Path], connections: int) -> Sample:
    """The machine's limit for the same bytes."""
    objects = [path.read_bytes() for path in files]
    with timed(peers.raw(folder), len(objects)) as (server, done):
        seconds = raw_limit.send(server.port, objects, connections)
        return replace(done(), value=len(objects) / seconds)


def durable(run: Run) -> None:
    """Instances/s that are durable when Success is answered; 1 and 4 associations; corpora (a) and (b)."""
    for corpus, count in (("a", run.size(200, 500)), ("b", run.size(600, 2000))):
        files = run.files(corpus, count)
        for associations in (1, 4):
            contenders = {
                OURS: partial(send_to, ours.receiver_node, run.folder, files, associations),
                RAW: partial(send_raw, run.folder, files, associations),
                "Orthanc": partial(send_to, peers.orthanc, run.folder, files, associations),
            }
            if run.long or run.quick:
                contenders |= {
                    "storescp": partial(send_to, peers.storescp, run.folder, files, associations),
                    "pynetdicom": partial(send_to, peers.pynetdicom, run.folder, files[:100], associations),
                }
            run.compare(
                f"durable C-STORE ({corpus}), {associations} association{'s' * (associations > 1)}",
                "inst/s",
                contenders,
                [
                    Claim(Target(0.9, "limit"), "Orthanc", RAW, ", of the limit"),
                    Claim(Target(4.0), "Orthanc", RAW, ", of Orthanc"),
                ],
                SPOOL_ONLY,
            )


def large_objects(run: Run) -> None:
    """MB/s and peak memory for objects of 105 MB and of 31 MB (corpora c and d), for which no target is set."""
    for corpus, count in (("c", run.size(3, 5, 1)), ("d", run.size(8, 20, 1))):
        files = run.files(corpus, count)
        run.compare(
            f"durable C-STORE ({corpus}), 1 association",
            "MB/s",
            {
                OURS: partial(_megabytes, ours.receiver_node, run.folder, files),
                RAW: partial(_raw_megabytes, run.folder, files),
                "Orthanc": partial(_megabytes, peers.orthanc, run.folder, files),
                "storescp": partial(_megabytes, peers.storescp, run.folder, files),
                "pynetdicom": partial(_megabytes, peers.pynetdicom, run.folder, files),
            },
            [Claim(None, "Orthanc", RAW)],
            SPOOL_ONLY,
        )


def _megabytes(start: Start, folder: Path, files: list[Path]) -> Sample:
    return _in_megabytes(send_to(start, folder, files), files)


def _raw_megabytes(folder: Path, files: list[Path]) -> Sample:
    return _in_megabytes(send_raw(folder, files, 1), files)


def _in_megabytes(sample: Sample, files: list[Path]) -> Sample:
    return replace(sample, value=sample.value * sum(path.stat().st_size for path in files) / 1e6 / len(files))


def stock_sender(run: Run) -> None:
    """What a sender built on DCMTK feels: Nagle's algorithm on, 16 KiB PDUs, one object after another."""
    files = run.files("a", run.size(40, 200, 8))
    run.compare(
        "default storescu (a)",
        "inst/s",
        {
            OURS: partial(_storescu, ours.receiver_node, run.folder, files),
            "storescp": partial(_storescu, partial(peers.storescp, stock=True), run.folder, files),
            "Orthanc": partial(_storescu, partial(peers.orthanc, pdu_bytes=16384), run.folder, files),
        },
        [
            Claim(Target(10.0), "storescp", suffix=", to stock storescp"),
            Claim(Target(10.0), "Orthanc", suffix=", to Orthanc"),
        ],
        SPOOL_ONLY + "; storescp and Orthanc as they are shipped, the sender too",
    )


def _storescu(start: Start, folder: Path, files: list[Path]) -> Sample:
    with timed(start(folder), len(files)) as (server, done):
        command = [peers.program("storescu"), "-aec", ours.CALLED_AE, "127.0.0.1", str(server.port)]
        subprocess.run(
            [*command, *map(str, files)],
            check=True,
            env=peers.environment_without_nodelay(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=300,
        )
        return done()


def end_to_end(run: Run) -> None:
    """From the first C-STORE to all instances found, against Orthanc's plain ingest."""
    cases = [("a", run.size(300, 500), 4), ("b", run.size(1000, 2000), 4)]
    if run.long or run.quick:
        cases.insert(0, ("a", run.size(300, 500), 1))
    for corpus, count, associations in cases:
        files = run.files(corpus, count)
        run.compare(
            f"end to end ({corpus}), {associations} association{'s' * (associations > 1)}",
            "inst/s",
            {
                OURS: partial(
                    until_found, ours.wardlight, run.folder, files, associations, ours.count_instances
                ),
                "Orthanc": partial(
                    until_found, peers.orthanc, run.folder, files, associations, peers.orthanc_instances
                ),
            },
            [Claim(Target(2.0), "Orthanc")],
            END_TO_END,
        )


def until_found(
    start: Start,
    folder: Path,
    files: list[Path],
    associations: int,
    found: Callable[[Server], int],
) -> Sample:
    """Instances a second from the first C-STORE until the last one is found."""
    with timed(start(folder), len(files)) as (server, done):
        began = time.perf_counter()
        no_failures(
            fast_store_scu.send(server.port, files, associations=associations, called_ae=ours.CALLED_AE)
        )
        while (count := found(server)) < len(files):
            if time.perf_counter() - began > 300:
                raise TimeoutError(f"{count} of {len(files)} instances were found")
            time.sleep(0.03)
        return done()


def multipart(files: list[bytes]) -> list[bytes]:
    """The body of a store request, in parts to send one behind the other (PS3.18 section 8.6.1.2)."""
    parts = []
    for content in files:
        parts += [b"--BENCH\r\nContent-Type: application/dicom\r\n\r\n", content, b"\r\n"]
    return [*parts, b"--BENCH--\r\n"]


def stow(client: Client, files: list[bytes]) -> None:
    """One store request; raises unless every instance was stored."""
    require(
        client.post("/studies", multipart(files), STOW_MEDIA, "application/dicom+json"),
        200,
    )


def store_requests(run: Run) -> None:
    """STOW-RS, 1 and 50 instances a request, one connection."""
    count = run.size(200, 500, 20)
    contents = [path.read_bytes() for path in run.files("a", count)]
    for together in (1, 50):
        requests = [contents[start : start + together] for start in range(0, count, together)]
        run.compare(
            f"STOW-RS (a), {together} instance{'s' * (together > 1)} a request",
            "inst/s",
            {
                OURS: partial(_stow_all, ours.wardlight, run.folder, requests),
                "Orthanc": partial(_stow_all, peers.orthanc, run.folder, requests),
            },
            [Claim(Target(4.0), "Orthanc")],
            STOW,
        )


def _stow_all(start: Start, folder: Path, requests: list[list[bytes]]) -> Sample:
    with timed(start(folder), sum(map(len, requests))) as (server, done):
        with Client(server.http, server.headers) as client:
            for request in requests:
                stow(client, request)
        return done()
