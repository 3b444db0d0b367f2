"""Benchmarks of what goes out: WADO-RS of studies, instances, metadata, frames, rendered images; many clients."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.load import clients
from bench.loaded import Loaded, both
from bench.rows import Row, Sample, Series, Target
from bench.runner import OURS, Absent, Claim, Run, per_operation
from bench.web_client import latencies, percentile, require

INSTANCES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
OCTETS = 'multipart/related; type="application/octet-stream"'
JSON = "application/dicom+json"

READ = (
    "bearer token and scope checked, audit entry, decryption of each chunk with its authentication; HTTP without TLS. "
    "Orthanc: no authentication, no encryption, no audit. One kept connection, the same client for both"
)


def reads(run: Run) -> None:
    """Every way to get an image, from servers that hold corpus (a), asked in turn."""
    files = run.files("a", run.size(500, 500, 30))
    with both(run.folder, files) as sides:
        for side in sides.values():
            side.server.forget_peaks()
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        _compare(run, sides, f"WADO-RS study, {megabytes:.0f} MB", "MB/s", _study, Target(1.5))
        _compare(
            run,
            sides,
            f"series metadata, {len(files)} instances",
            "ms",
            partial(_one, path=lambda side: f"{side.series}/metadata", accept=JSON, times=run.size(5, 9, 2)),
            Target(1 / 20, least=False),
        )
        each = partial(many, count=run.size(150, 400, 10))
        _compare(
            run,
            sides,
            "raw frame, p50",
            "ms",
            partial(each, suffix="/frames/1", accept=OCTETS),
            Target(1.0, least=False),
        )
        _compare(run, sides, "WADO-RS instance, p50", "ms", partial(each, suffix="", accept=INSTANCES), None)
        few = partial(many, count=run.size(40, 150, 4))
        for what, suffix, accept in (
            ("rendered instance JPEG, p50", "/rendered", "image/jpeg"),
            ("rendered frame PNG, p50", "/frames/1/rendered", "image/png"),
        ):
            with run.isolated(what):
                _offered(sides[OURS], sides[OURS].held[0].path + suffix, accept)
                _compare(
                    run,
                    sides,
                    what,
                    "ms",
                    partial(few, suffix=suffix, accept=accept),
                    Target(0.5, least=False),
                )


def _offered(side: Loaded, path: str, accept: str) -> None:
    answer = side.client.get(path, accept)
    if answer.status in (404, 405, 406, 501):
        raise Absent(f"Wardlight answers {answer.status}: not built")


def _compare(
    run: Run,
    sides: dict[str, Loaded],
    what: str,
    unit: str,
    measure: Callable[[Loaded], Sample],
    target: Target | None,
) -> None:
    contenders = {name: partial(measure, side) for name, side in sides.items()}
    run.compare(what, unit, contenders, [Claim(target, "Orthanc")], READ)
    used = ", ".join(f"{side.client_cpu_ms:.2f} ms with {name}" for name, side in sides.items())
    run.notes.append(f"processor time of the client itself for one request of {what}: {used}")


def _study(side: Loaded) -> Sample:
    cpu, own = side.server.cpu_seconds(), time.thread_time()
    began = time.perf_counter()
    answer = require(side.client.get(side.study, INSTANCES))
    seconds = time.perf_counter() - began
    side.client_cpu_ms = (time.thread_time() - own) * 1000
    used = per_operation(side.server.cpu_seconds() - cpu, len(side.held))
    return Sample(answer.length / 1e6 / seconds, used, side.server.peak_mb())


def _one(side: Loaded, *, path: Callable[[Loaded], str], accept: str, times: int) -> Sample:
    return _asked(side, [path(side)] * times, accept)


def many(side: Loaded, *, suffix: str, accept: str, count: int) -> Sample:
    """Median time of so many instances, or of what `suffix` names of each, asked for one after the other."""
    # The same instances for all, in an order that no read-ahead helps.
    chosen = random.Random(count).sample(side.held, min(count, len(side.held)))
    return _asked(side, [row.path + suffix for row in chosen], accept)


def _asked(side: Loaded, paths: list[str], accept: str) -> Sample:
    cpu = side.server.cpu_seconds()
    times, own = latencies(side.client, paths, accept)
    side.client_cpu_ms = own
    used = per_operation(side.server.cpu_seconds() - cpu, len(paths))
    return Sample(percentile(times, 0.5), used, side.server.peak_mb())


CROWD = (1, 2, 4, 8, 16, 32, 64)


def crowd(run: Run) -> None:
    """Frames a second and p99 for 1 to 64 clients at once, and the memory of each web process meanwhile."""
    files = run.files("a", run.size(100, 300, 20))
    counts = (1, 4, 16) if not run.long else CROWD
    with both(run.folder, files) as sides:
        sides[OURS].server.forget_peaks()
        for count in counts:
            seconds = run.size(2, 5, 1)
            contenders = {name: partial(_crowd, side, count, float(seconds)) for name, side in sides.items()}
            run.compare(
                f"raw frames, {count} client{'s' * (count > 1)}",
                "frames/s",
                contenders,
                [Claim(None, "Orthanc")],
                READ,
                rounds=run.rounds if run.long else 1,
            )
        _web_memory(run, sides[OURS], files)


def _crowd(side: Loaded, count: int, seconds: float) -> Sample:
    paths = [row.path + "/frames/1" for row in side.held]
    cpu = side.server.cpu_seconds()
    result = clients(side.server.http, side.server.headers, paths, OCTETS, count, seconds)
    used = per_operation(side.server.cpu_seconds() - cpu, result.requests)
    return Sample(result.rate, used, side.server.peak_mb())


def _web_memory(run: Run, side: Loaded, files: list[Path]) -> None:
    """Whole studies to 16 clients at once, then rendered images to 8: the largest web process of all this."""
    address, seconds = (side.server.http, side.server.headers), float(run.size(3, 10, 1))
    clients(*address, [side.study], INSTANCES, 16, seconds)
    rendered = [row.path + "/rendered" for row in side.held]
    clients(*address, rendered, "image/jpeg", 8, seconds)
    web = {name: peak for name, peak in side.server.peaks().items() if " web" in name and "decod" not in name}
    if not web:
        raise RuntimeError("no web process was found")
    series = Series(OURS, [Sample(max(web.values()), None, max(web.values()))])
    run.rows.append(
        Row(
            "memory of a web process under load",
            "MB",
            series,
            f"peak resident size while frames go to {CROWD[-1] if run.long else 16} clients, a study of "
            f"{sum(path.stat().st_size for path in files) / 1e6:.0f} MB to 16, rendered images to 8; decoders apart",
            Target(250.0, "fixed", least=False),
        )
    )
