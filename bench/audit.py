"""The audit trail at a generated log: pages of each filter, proofs, and how long sealing keeps SQLite's writer.

`python -m bench.audit --data DIR` prints the figures of a folder that `bench.audit_generator` has made. In one process,
without HTTP; a page includes its snapshot, names of actors and parsing. Values come from all over the log.
"""

from __future__ import annotations

import argparse
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, select, text

from bench import audit_generator
from bench.audit_generator import PEOPLE
from bench.rows import Row, Sample, Series, Target
from bench.runner import DATA, OURS, Run
from bench.web_client import percentile
from wardlight import bootstrap
from wardlight.audit import tree
from wardlight.audit.actions import Action
from wardlight.audit.log_store import Head
from wardlight.audit.model import Actor, Event
from wardlight.audit.note import Note
from wardlight.audit.tables import checkpoint
from wardlight.db.engine import EVERYWHERE
from wardlight.db.schema import SCHEMA_VERSION
from wardlight.settings import Settings
from wardlight.trail import counts
from wardlight.trail.filters import Filter
from wardlight.trail.service import DAY_MS, Identifiers, Trail

_TIMES = 200
_PAGE = 50
_INCLUDES = (
    "SQLite in one process; page of 50 with contents parsed and names of actors; no HTTP, no entry of its own"
)

QUERY = Target(50.0, "fixed", least=False)
PROOF = Target(5.0, "fixed", least=False)
LOCK = Target(50.0, "fixed", least=False)


class Log:
    """A generated log, opened."""

    def __init__(self, platform: bootstrap.Platform) -> None:
        self.platform = platform
        self.trail = Trail(platform.parts)
        self.institution: UUID = platform.identity.institution("bench").id
        self.head: Head = platform.audit_log.logs(self.institution)[-1]
        with platform.database.read(self.institution) as tx:
            mine = checkpoint.c.log == self.head.log
            self.first_ms, self.last_ms = tx.execute(
                select(func.min(checkpoint.c.first_recorded_ms), func.max(checkpoint.c.last_recorded_ms))
                .where(mine, checkpoint.c.size > 100)
            ).one()  # fmt: skip
            self.sizes = list(tx.execute(select(checkpoint.c.size).where(mine)).scalars())
        self.chosen = random.Random(3)

    def page(self, asked: Filter, before: int | None = None) -> None:
        """One page."""
        self.trail.find(self.institution, self.head, asked, _PAGE, before)

    def position(self) -> int:
        """Some position."""
        return self.chosen.randrange(self.head.size) + 1

    def actor(self) -> str:
        """Somebody: most of the entries are those of a few."""
        return f"person:u-{int(PEOPLE * self.chosen.random() ** 2):04}"

    def span(self) -> tuple[int, int]:
        """Some week."""
        begin = self.chosen.randrange(self.first_ms, self.last_ms - 7 * DAY_MS)
        return begin, begin + 7 * DAY_MS

    def patient(self) -> tuple[str, str]:
        """Some patient of the log."""
        return "", f"PAT-{self.chosen.randrange(min(max(10, self.head.size // 50), 200_000)) // 3}"

    def about(self, count: int) -> Filter:
        """A filter on so many patients, with the making of their references."""
        whom = Identifiers(patients=tuple(self.patient() for _ in range(count)))
        return self.trail.about(self.institution, whom, Filter())

    def counted(self, days: int) -> None:
        """Counters of the last so many days."""
        last = self.last_ms // DAY_MS + 1
        with self.platform.database.read(self.institution) as tx:
            counts.counted(tx, self.head, last - days, last)


#: Form → one query of it.
FORMS: dict[str, Callable[[Log], None]] = {
    "first page": lambda log: log.page(Filter()),
    "a page in the depth": lambda log: log.page(Filter(), log.position()),
    "a week": lambda log: log.page(Filter(from_ms=(span := log.span())[0], to_ms=span[1])),
    "actor": lambda log: log.page(Filter(actor=log.actor())),
    "actor, week and action": lambda log: log.page(
        Filter(
            actor=log.actor(),
            actions=("dicomweb:study:read",),
            from_ms=(span := log.span())[0],
            to_ms=span[1],
        )
    ),
    "action": lambda log: log.page(Filter(actions=("receiver:route:change",)), log.position()),
    "group of actions": lambda log: log.page(
        Filter(actions=("dicomweb:frame:read", "dicomweb:metadata:read", "dicomweb:study:read")),
        log.position(),
    ),
    "denials and failures": lambda log: log.page(Filter(outcomes=(3, 4)), log.position()),
    "patient": lambda log: log.page(log.about(1)),
    "50 patients": lambda log: log.page(log.about(50)),
    "purpose": lambda log: log.page(Filter(purpose="CLINTRCH"), log.position()),
    "grant, a call's bound looked at": lambda log: log.page(
        Filter(grant=f"gr-{log.chosen.randrange(2_000)}"), log.position()
    ),
    "nothing found, the bound looked at": lambda log: log.page(Filter(grant="gr-none"), log.position()),
    "counters of a month": lambda log: log.counted(31),
    "counters of a year": lambda log: log.counted(365),
}


def timed(work: Callable[[], object], times: int = _TIMES) -> tuple[list[float], float]:
    """Sorted milliseconds, and those of the processor for one."""
    work()
    found = []
    busy = time.thread_time()
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) * 1000)
    return sorted(found), (time.thread_time() - busy) * 1000 / times


def proofs(log: Log) -> dict[str, list[float]]:
    """Sorted milliseconds of proofs, which are verified outside the time."""
    audit_log = log.platform.audit_log
    # Up to its last signed head; what came after it has none yet.
    head = replace(log.head, size=max(log.sizes))
    root = Note.parse(audit_log.checkpoint(head, head.size)).root
    found: dict[str, list[float]] = {"inclusion proof": [], "consistency proof": []}
    for _ in range(_TIMES):
        index = log.chosen.randrange(head.size)
        began = time.perf_counter()
        proof = audit_log.inclusion(head, index, head.size)
        found["inclusion proof"].append((time.perf_counter() - began) * 1000)
        ((_, _, leaf),) = audit_log.entries(head, index, index + 1)
        if not tree.verify_inclusion(leaf, index, head.size, proof, root):
            raise RuntimeError("an inclusion proof is wrong")
        old = log.chosen.choice(log.sizes)
        began = time.perf_counter()
        proof = audit_log.consistency(head, old, head.size)
        found["consistency proof"].append((time.perf_counter() - began) * 1000)
        if not tree.verify_consistency(old, head.size, audit_log.root(head, old), root, proof):
            raise RuntimeError("a consistency proof is wrong")
    return {name: sorted(times) for name, times in found.items()}


def sealing(log: Log, entries: int) -> list[float]:
    """Sorted milliseconds for which each transaction of sealing keeps other writers of SQLite waiting.

    Another connection waits for the lock, as a writer of another process does; the log grows by so many entries.
    """
    platform = log.platform
    with platform.database.begin(EVERYWHERE) as tx:
        for number in range(entries):
            actor = Actor("person", f"u-{number % PEOPLE:04}", "clinician")
            platform.recorder.write(tx, log.institution, Event(Action.DICOMWEB_FRAME_READ, actor))
    found: list[float] = []
    while True:
        with platform.database.read(EVERYWHERE) as tx:
            left = tx.execute(text("SELECT count(*) FROM audit_pending")).scalar()
        if not left:
            return sorted(found)
        began = time.perf_counter()
        sealed = platform.sealer._one_batch(
            log.head.log
        )  # One transaction; `seal` makes many and signs between.
        found.append((time.perf_counter() - began) * 1000)
        if not sealed:
            return sorted(found)


@contextmanager
def opened(data: Path) -> Iterator[Log]:
    """The log of a generated folder."""
    platform = bootstrap.platform(Settings(data_dir=data, demo=True), create=False)
    try:
        yield Log(platform)
    finally:
        platform.close()


def generated(entries: int) -> Path:
    """The data folder of a log of so many entries, generated on first use."""
    folder = DATA / f"audit-{SCHEMA_VERSION}-{entries}"
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        audit_generator.generate(folder, entries)
        (folder / ".complete").touch()
    return folder


def audit(run: Run) -> None:
    """Queries, proofs and the sealing lock at 100,000 entries, in a long run at ten million."""
    entries = run.size(100_000, 10_000_000, 5_000)
    with opened(generated(entries)) as log:
        at = f"at {log.head.size:,} entries"
        for name, query in FORMS.items():
            with run.isolated(f"audit: {name}"):
                # A year of counters is a look that nobody waits for often: told without a target.
                target = None if "year" in name else QUERY
                times, cpu = timed(partial(query, log))
                _add(run, f"audit, {name}, {at}", times, target, _INCLUDES, cpu)
        with run.isolated("audit: proofs"):
            for name, times in proofs(log).items():
                _add(run, f"audit, {name}, {at}", times, PROOF, "SQLite in one process; each proof verified")
        with run.isolated("audit: sealing"):
            times = sealing(log, run.size(5_000, 20_000, 500))
            _add(
                run, f"audit, sealing keeps SQLite's writer, {at}", times, LOCK, "transactions of 100 entries"
            )


def _add(
    run: Run, name: str, times: list[float], target: Target | None, includes: str, cpu: float | None = None
) -> None:
    for share, label, claimed in ((0.5, "p50", None), (0.99, "p99", target)):
        series = Series(OURS, [Sample(percentile(times, share), cpu)])
        row = Row(f"{name}, {label}", "ms", series, includes, claimed, Series(), Series())
        (run.rows if claimed else run.also).append(row)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.audit", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    chosen = parser.parse_args()
    with opened(chosen.data) as log:
        print(f"{log.head.size:,} entries; milliseconds p50, p99, largest, of the processor")
        for name, query in FORMS.items():
            times, cpu = timed(partial(query, log))
            _show(name, times, f"{cpu:8.2f}")
        for name, times in (proofs(log) | {"sealing a batch": sealing(log, 5_000)}).items():
            _show(name, times)


def _show(name: str, times: list[float], cpu: str = "") -> None:
    print(f"{name:45} {percentile(times, 0.5):8.2f} {percentile(times, 0.99):8.2f} {times[-1]:8.2f} {cpu}")


if __name__ == "__main__":
    main()
