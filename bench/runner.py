"""Runs benchmarks: rounds interleave the contenders, and what fails is told and does not end the run."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.corpora import SIZES, corpus
from bench.process import ROOT
from bench.rows import Row, Sample, Series, Target

DATA = ROOT / "bench-data"
OURS = "Wardlight"

Measure = Callable[[], Sample]


class Absent(Exception):
    """What a benchmark would measure is not built, or not in this run; the text says what and why."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One row to make of a comparison: against which contender, and what must be reached."""

    target: Target | None = None
    peer: str = ""
    limit: str = ""
    suffix: str = ""


@dataclass(slots=True)
class Run:
    """What benchmarks are given, and what they fill.

    rounds: counted; warm_up: before them, not counted. quick: the smallest sizes that show that it works, for
    developing; its figures mean nothing. long: the sizes of `make bench-long`.
    """

    folder: Path
    rounds: int = 3
    warm_up: int = 0
    quick: bool = False
    long: bool = False
    rows: list[Row] = field(default_factory=list)
    also: list[Row] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def size(self, short: int, long: int | None = None, quick: int | None = None) -> int:
        """The size for this kind of run. quick: a twentieth of the short one unless given."""
        if self.quick:
            return quick if quick is not None else max(2, short // 20)
        return long if self.long and long is not None else short

    def files(self, name: str, count: int) -> list[Path]:
        """The first `count` files of corpus `name`, which is made on first use: whole, unless this is a quick run."""
        made = count if self.quick else SIZES[name]
        return sorted(corpus(DATA, name, made).glob("*.dcm"))[:count]

    def interleave(self, contenders: Mapping[str, Measure], rounds: int | None = None) -> dict[str, Series]:
        """Rounds of A B C, A B C …; a contender that fails is left out of the rounds that follow.

        rounds: where a figure does not vary, so many without a warm-up.
        """
        series = {name: Series(name) for name in contenders}
        for number in range(-self.warm_up, self.rounds) if rounds is None else range(rounds):
            for name, measure in contenders.items():
                if series[name].failure:
                    continue
                try:
                    sample = measure()
                except Absent:
                    raise
                except Exception as error:  # noqa: BLE001 - any failure of a contender is told in its row
                    series[name].failure = _reason(error)
                    continue
                if number >= 0:
                    series[name].samples.append(sample)
        return series

    def compare(
        self,
        name: str,
        unit: str,
        contenders: Mapping[str, Measure],
        claims: Sequence[Claim],
        includes: str,
        rounds: int | None = None,
    ) -> dict[str, Series]:
        """Measure and add a row for each claim; contenders in none of them go to the rows without a target."""
        series = self.interleave(contenders, rounds)
        self.add(name, unit, series, claims, includes)
        return series

    def add(
        self, name: str, unit: str, series: Mapping[str, Series], claims: Sequence[Claim], includes: str
    ) -> None:
        """Add the rows of series that were measured."""
        nobody = Series()
        named = {OURS}
        for claim in claims:
            named |= {claim.peer, claim.limit}
            row = Row(
                name + claim.suffix,
                unit,
                series[OURS],
                includes,
                claim.target,
                series.get(claim.peer, nobody),
                series.get(claim.limit, nobody),
            )
            (self.also if claim.target is None else self.rows).append(row)
        for other in series:
            if other not in named:
                self.also.append(Row(name, unit, series[OURS], includes, None, series[other]))

    @contextmanager
    def isolated(self, what: str) -> Iterator[None]:
        """What fails within is told and ends nothing else."""
        began = time.monotonic()
        try:
            yield
        except Absent as error:
            self.absent.append(f"{what}: {error}")
        except Exception as error:  # noqa: BLE001 - a benchmark that fails must not end the run
            self.failures.append(f"{what}: {_reason(error)}")
            traceback.print_exc(file=sys.stderr)
        finally:
            self.seconds[what] = time.monotonic() - began


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder for this run's data, on the disk of the repository and not in memory; it goes away.

    SIGTERM ends the run as Ctrl-C does, so that servers are ended and folders removed then, too.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    DATA.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=DATA, prefix="run-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def per_operation(cpu_seconds: float, operations: int) -> float:
    """Milliseconds of processor time for one operation."""
    return cpu_seconds * 1000 / max(1, operations)
