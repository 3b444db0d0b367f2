"""Measure against peers: `python -m bench [--long] [--rounds N] [--only NAME] [--json FILE] [--markdown FILE]`.

Servers are started anew for each round and interleaved (A B C, A B C …), so that drift of the machine meets all
alike. Compare ratios from one run only. What fails is a row that says why; the rest goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from rich.console import Console

from bench import audit, audit_cost, deidentification, finding, ingest, reads, resources, revocation
from bench.document import put
from bench.rows import markdown, show
from bench.runner import Run, workplace

BENCHMARKS: dict[str, Callable[[Run], None]] = {
    "durable": ingest.durable,
    "storescu": ingest.stock_sender,
    "end-to-end": ingest.end_to_end,
    "stow": ingest.store_requests,
    "deidentify": deidentification.deidentify,
    "reads": reads.reads,
    "clients": reads.crowd,
    "search": finding.search,
    "audit": audit.audit,
    "audit-cost": audit_cost.audit_cost,
    "decision": revocation.decision,
    "revocation": revocation.revocation,
    "memory": resources.receiver_memory,
    "start-up": resources.start_up,
}
LONG_ONLY: dict[str, Callable[[Run], None]] = {
    "large": ingest.large_objects,
}


def main() -> None:
    """Command line."""
    everything = BENCHMARKS | LONG_ONLY
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--markdown", type=Path, help="also put the tables into this document")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds (default 3)")
    parser.add_argument("--long", action="store_true", help="a warm-up round, large sizes, all benchmarks")
    parser.add_argument("--quick", action="store_true", help="one round, tiny sizes: shows that it works")
    parser.add_argument("--only", action="append", choices=list(everything), help="these benchmarks only")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds = 1
    chosen = arguments.only or list(everything if arguments.long else BENCHMARKS)
    with workplace() as folder:
        run = Run(folder, arguments.rounds, int(arguments.long), quick=arguments.quick, long=arguments.long)
        for name in chosen:
            print(f"{name} …", file=sys.stderr, flush=True)
            with run.isolated(name):
                everything[name](run)
            print(f"{name}: {run.seconds[name]:.0f} s", file=sys.stderr, flush=True)
            write(run, arguments.json, arguments.markdown)  # A long run that is ended keeps what it has.
    report(run)
    write(run, arguments.json, arguments.markdown)


def write(run: Run, rows: Path | None, tables: Path | None) -> None:
    """Write what there is so far to the files that were asked for."""
    if rows:
        facts = [row.to_json() for row in run.rows]
        rows.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    if tables:
        put(tables, "targets", document(run))


def report(run: Run) -> None:
    """Print what was found."""
    show(run.rows, "Wardlight against its targets")
    if run.also:
        show(run.also, "Measured beside them, without a target")
    console = Console(width=180)
    for text in run.notes:
        console.print(text, highlight=False)
    for text in run.failures:
        console.print(f"[red]failed[/] {text}", highlight=False)
    for text in run.absent:
        console.print(f"absent {text}", highlight=False)
    console.print(machine(run), highlight=False)


def machine(run: Run) -> str:
    """What it was measured on."""
    memory = psutil.virtual_memory().total >> 30
    kind = "quick (figures mean nothing)" if run.quick else "long" if run.long else "short"
    seconds = sum(run.seconds.values())
    return (
        f"{kind} run, {run.rounds} counted rounds, {seconds:.0f} s; {os.cpu_count()} cores, {memory} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}; {time.strftime('%Y-%m-%d')}"
    )


def document(run: Run) -> str:
    """The tables in Markdown."""
    parts = [markdown(run.rows)]
    if run.also:
        parts += ["\nBeside them, without a target:\n", markdown(run.also)]
    parts += [f"\n{text[0].upper()}{text[1:]}." for text in run.notes]
    parts += [f"\nFailed: {text}." for text in run.failures]
    parts += [f"\nAbsent: {text}." for text in run.absent]
    return "\n".join([*parts, "", machine(run) + ".", ""])


if __name__ == "__main__":
    main()
