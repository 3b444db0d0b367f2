"""Growth curves: `python -m bench.growth [--sizes 10000,100000,…] [--only NAME] [--out docs/images]`.

What an index of 10,000 to 10,000,000 instances does to ingest, completion and each form of search, and what 1 to 64
clients do to frames. Writes growth.json and the plots; says what bends first. The measured index is a generated one,
kept in bench-data; each run adds a few hundred instances to it.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench import finding, giants, ours, queries
from bench.__main__ import machine
from bench.curves import Curve, Curves, draw
from bench.document import put
from bench.ingest import stow
from bench.load import clients
from bench.loaded import both
from bench.process import ROOT
from bench.reads import CROWD, OCTETS
from bench.runner import Run, workplace
from bench.web_client import Client, percentile

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
PLOTTED = (*finding.COMPARED, "name prefix of 2", "fuzzy name", "first page, instances")
_STUDIES = 15
"""Stored into each index: 300 instances of 8 × 8 pixels, whose cost is the index's and not the disk's."""


@dataclass(slots=True)
class Plan:
    """What to measure, and where it is collected."""

    run: Run
    sizes: list[int]
    curves: Curves = field(default_factory=Curves)


def index(plan: Plan) -> None:
    """Ingest, completion and search at each size."""
    ingest, completion = (
        Curve("STOW-RS, 20 instances a request", "inst/s"),
        Curve("completion of a study of 20 instances", "ms"),
    )
    searches = {form: Curve(form, "ms") for form in PLOTTED}
    plan.curves.ingest.append(ingest)
    plan.curves.completion.append(completion)
    plan.curves.queries.extend(searches.values())
    for size in plan.sizes:
        print(f"{size:,} instances …", file=sys.stderr, flush=True)
        with plan.run.isolated(f"index of {size:,}"):
            held = finding.generated(size)
            for row in queries.measure(held):
                if row["form"] in searches:
                    searches[row["form"]].add(size, row["p99_ms"])
            with (
                finding.served(plan.run, held) as server,
                Client(server.http, server.headers) as client,
            ):
                ingest.add(size, _store(plan.run, client))
                ours.wait_until_complete(server, 300)
                completion.add(size, ours.completion_ms(server, _STUDIES))


def _store(run: Run, client: Client) -> float:
    # Studies that no run before has stored: numbers that fit into seven digits.
    first = secrets.randbelow(8_000_000)
    rows = [content for _, content in giants.population(run.folder, range(first, first + _STUDIES))]
    requests = [rows[at : at + giants.PER_STUDY] for at in range(0, len(rows), giants.PER_STUDY)]
    stow(client, requests.pop())
    began = time.perf_counter()
    for request in requests:
        stow(client, request)
    return sum(map(len, requests)) / (time.perf_counter() - began)


def orthanc(plan: Plan) -> None:
    """Orthanc's searches at what it holds in reasonable time."""
    curves = {form: Curve(form, "ms") for form in finding.COMPARED}
    for size, forms in finding.orthanc_times(plan.run, [1000, 10_000, 50_000]).items():
        for form, times in forms.items():
            curves[form].add(size, percentile(times, 0.5))
    plan.curves.peers.extend(curves.values())


def crowd(plan: Plan) -> None:
    """Frames a second and p99 for 1 to 64 clients, the two servers in turn."""
    run = plan.run
    with both(run.folder, run.files("a", 200)) as sides:
        rates = {name: Curve(name, "frames/s") for name in sides}
        waits = {name: Curve(name, "ms") for name in sides}
        for count in CROWD:
            for name, side in sides.items():
                paths = [row.path + "/frames/1" for row in side.held]
                load = clients(
                    side.server.http, side.server.headers, paths, OCTETS, count, float(run.size(5, quick=1))
                )
                rates[name].add(count, load.rate)
                waits[name].add(count, load.p99_ms)
        plan.curves.rates.extend(rates.values())
        plan.curves.waits.extend(waits.values())


PARTS: dict[str, Callable[[Plan], None]] = {"index": index, "orthanc": orthanc, "clients": crowd}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="instances, joined by commas")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="these parts only")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", help="folder of data and plots")
    parser.add_argument("--markdown", type=Path, help="also put plots and sentences into this document")
    parser.add_argument("--quick", action="store_true", help="short loads: shows that it works")
    arguments = parser.parse_args()
    sizes = sorted(int(size) for size in arguments.sizes.split(","))
    data = arguments.out / "growth.json"
    with workplace() as folder:
        plan = Plan(Run(folder, rounds=1, quick=arguments.quick), sizes)
        for name in arguments.only or PARTS:
            print(f"{name} …", file=sys.stderr, flush=True)
            with plan.run.isolated(name):
                PARTS[name](plan)
    if arguments.only and data.exists():
        _keep_others(plan.curves, Curves.load(data))
    plan.curves.machine = machine(plan.run)
    plan.curves.failures = plan.run.failures + plan.run.absent
    plan.curves.save(data)
    plots = draw(plan.curves, arguments.out)
    said = plan.curves.sentences() + plan.curves.failures
    print("\n".join([*map(str, plots), *said]))
    if arguments.markdown:
        lines = [f"![{path.stem}](../images/{path.name})\n" for path in plots] + [
            f"- {text}" for text in said
        ]
        put(
            arguments.markdown,
            "growth",
            "\n".join([*lines, "", f"{plan.curves.machine}. Data: [growth.json](../images/growth.json)."]),
        )


def _keep_others(new: Curves, old: Curves) -> None:
    """What this run did not measure stays as it was."""
    for name in ("ingest", "completion", "queries", "peers", "rates", "waits"):
        if not getattr(new, name):
            setattr(new, name, getattr(old, name))


if __name__ == "__main__":
    main()
