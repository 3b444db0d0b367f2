"""The run of `wardlight deidentify`: inputs to workers, outcomes to progress bar, messages and report."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from wardlight import log
from wardlight.cli.deidentify_file import Outcome, Worker
from wardlight.cli.deidentify_input import Input, inputs
from wardlight.deid.engine import Deidentifier
from wardlight.deid.keys import DeidKeys, secret_from_key_file
from wardlight.deid.profile import LEVELS, Profile, load_profile
from wardlight.deid.standard import attributes

#: Stands for the application in the derivation of the keys: what this command makes cannot be linked to any release.
APPLICATION: Final = "wardlight deidentify"
#: Inputs that one task of a worker process takes.
_BATCH: Final = 16
#: Fewer inputs than this are done here; starting processes would take longer.
_FEW: Final = 24
#: Tasks handed out ahead, for each worker: keeps memory flat for any number of inputs.
_AHEAD: Final = 4
_LARGEST_KEY_FILE: Final = 1 << 20


class UsageError(ValueError):
    """The settings cannot be used. The text is ours: it holds nothing of an input."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for."""

    source: Path
    target: Path
    level: str = "high"
    profile: Path | None = None
    key_file: Path | None = None
    workers: int | None = None
    report: Path | None = None


def run(settings: Settings) -> int:
    """De-identify all inputs; returns how many were quarantined. Raises UsageError."""
    try:
        if settings.profile is None and settings.level not in LEVELS:
            raise ValueError(f"--level is one of {', '.join(LEVELS)}")
        profile = load_profile(settings.profile or settings.level)
        secret = _secret(settings.key_file)
        _check_places(settings)
        items = list(inputs(settings.source))
    except ValueError as error:
        raise UsageError(str(error)) from None
    settings.target.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with _Report(settings.report, profile) as report:
        outcomes = _outcomes(items, settings, profile, secret, report=settings.report is not None)
        counts = _follow(outcomes, len(items), console, report)
    summary = ", ".join(
        f"{counts[kind]} {kind}" for kind in ("released", "quarantined", "duplicate", "skipped")
    )
    console.print(f"{summary}; level {profile.level}")
    if settings.key_file is None:
        console.print("The key was random and is gone: another run gives other pseudonyms, UIDs and dates.")
    return counts["quarantined"]


def _secret(key_file: Path | None) -> bytes:
    if key_file is None:
        return os.urandom(32)
    try:
        with key_file.open("rb") as file:
            return secret_from_key_file(file.read(_LARGEST_KEY_FILE))
    except OSError as error:
        raise ValueError(f"the key file cannot be read: {error.strerror}") from None


def _check_places(settings: Settings) -> None:
    """Input is never overwritten, and output never taken for input."""
    source, target = settings.source.resolve(), settings.target.resolve()
    if target.exists() and not target.is_dir():
        raise ValueError("OUT is a file; a folder is needed")
    if source.is_dir() and target.is_relative_to(source):
        raise ValueError("OUT lies in IN; choose another folder")
    if source.is_file() and target == source.parent:
        raise ValueError("OUT is the folder that IN lies in; choose another folder")
    if settings.report is not None:
        report = settings.report.resolve()
        if report == source or (source.is_dir() and report.is_relative_to(source)):
            raise ValueError("the report would lie in IN; choose another place")


def _outcomes(
    items: list[Input], settings: Settings, profile: Profile, secret: bytes, *, report: bool
) -> Iterator[Outcome]:
    """In the order of the inputs."""
    workers = min(settings.workers or os.cpu_count() or 1, -(-len(items) // _BATCH))
    arguments = (profile, secret, settings.target, report)
    if workers <= 1 or len(items) < _FEW:
        yield from map(_worker(*arguments).process, items)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=arguments) as pool:
        batches = (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))
        waiting: deque[Future[list[Outcome]]] = deque(
            pool.submit(_process, batch) for batch in islice(batches, _AHEAD * workers)
        )
        while waiting:
            yield from waiting.popleft().result()
            waiting.extend(pool.submit(_process, batch) for batch in islice(batches, 1))


def _worker(profile: Profile, secret: bytes, target: Path, report: bool) -> Worker:
    return Worker(Deidentifier(profile, DeidKeys.derive(secret, APPLICATION, profile.name)), target, report)


_here: list[Worker] = []


def _start(profile: Profile, secret: bytes, target: Path, report: bool) -> None:
    """Runs once in each worker process."""
    log.configure("deidentify", level="error")
    _here[:] = [_worker(profile, secret, target, report)]


def _process(batch: list[Input]) -> list[Outcome]:
    return [_here[0].process(item) for item in batch]


def _follow(outcomes: Iterable[Outcome], total: int, console: Console, report: _Report) -> Counter[str]:
    """Show progress and say what was not released; by number, tag and code only."""
    counts: Counter[str] = Counter()
    columns = (TextColumn("de-identify"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("", total=total)
        for outcome in outcomes:
            counts[outcome.kind] += 1
            progress.advance(task)
            report.add(outcome)
            if outcome.kind == "quarantined":
                console.print(
                    f"input {outcome.number}: not released: {', '.join(outcome.reasons)}", markup=False
                )
            elif outcome.flags:
                counts["flagged"] += 1
    return counts


class _Report:
    """The JSON report, written line by line beside its place and named at the end."""

    def __init__(self, path: Path | None, profile: Profile) -> None:
        self._path = path
        self._profile = profile
        self._file: IO[str] | None = None
        self._counts: Counter[str] = Counter()
        self._changes: Counter[tuple[tuple[int, ...], str, str]] = Counter()

    def __enter__(self) -> _Report:
        if self._path is not None:
            self._temporary = self._path.with_name(f".{self._path.name}.part")
            try:
                self._file = self._temporary.open("w", encoding="utf-8")
            except OSError as error:
                raise UsageError(f"the report cannot be written: {error.strerror}") from None
            head = {
                "profile": self._profile.name,
                "level": self._profile.level,
                "options": sorted(self._profile.options),
                "standard": f"PS3.15 {attributes.EDITION}",
            }
            self._file.write(json.dumps(head)[:-1] + ', "inputs": [')
        return self

    def add(self, outcome: Outcome) -> None:
        """One line for an input."""
        if self._file is None:
            return
        row: dict[str, Any] = {
            "input": outcome.number,
            "outcome": outcome.kind,
            "reasons": list(outcome.reasons),
        }
        if outcome.study:
            row |= {"study": outcome.study, "series": outcome.series, "instance": outcome.instance}
        if outcome.flags:
            row["flags"] = list(outcome.flags)
        self._file.write((",\n" if self._counts.total() else "\n") + json.dumps(row))
        self._counts[outcome.kind] += 1
        self._changes.update(outcome.changes)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._file is None or self._path is None:
            return
        elements = [
            {
                "element": "".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in path),
                "action": action,
                "why": why,
                "times": times,
            }
            for (path, action, why), times in sorted(self._changes.items())
        ]
        self._file.write(
            '\n], "elements": ' + json.dumps(elements) + ', "totals": ' + json.dumps(self._counts) + "}\n"
        )
        self._file.close()
        if kind is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)
