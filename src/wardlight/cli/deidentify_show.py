"""What `wardlight deidentify` shows while it runs: how far, how fast, how long, and what was not released."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from wardlight.deid.report_model import Outcome

Item = TypeVar("Item")
#: Inputs told one by one; of more, only the sum by reason and the report tell.
_TOLD: Final = 200


class _Rate(ProgressColumn):
    """Files in a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


class Shown:
    """Everything to the error stream; quiet: nothing. Progress only where that is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self.console: Final = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
        columns = (
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate()),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=self.console, disable=quiet or not sys.stderr.isatty())
        self._task = self._progress.add_task("look at headers", total=None, start=False)
        self._told = 0

    def __enter__(self) -> Shown:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def looking(self, found: Iterable[Item]) -> Iterator[Item]:
        """Passes the first pass by."""
        self._progress.start_task(self._task)
        for one in found:
            self._advance()
            yield one

    def _advance(self) -> None:
        # Reckoning with what nobody sees would take longer than reading a header.
        if not self._progress.disable:
            self._progress.advance(self._task)

    def cleaning(self, total: int) -> None:
        """The second pass begins, over so many inputs."""
        self._progress.reset(self._task, total=total, description="de-identify")

    def already(self) -> None:
        """An input that a run before has dealt with."""
        self._advance()

    def outcome(self, outcome: Outcome) -> None:
        """What became of an input."""
        self._advance()
        if outcome.kind == "quarantined":
            self.refused(outcome.number, outcome.reasons)

    def refused(self, number: int, reasons: tuple[str, ...]) -> None:
        """An input that is not released; by number, tag and code only."""
        self._told += 1
        if self._told <= _TOLD:
            self.console.print(f"input {number}: not released: {', '.join(reasons)}", markup=False)
        elif self._told == _TOLD + 1:
            self.console.print("more are not released: --report names each")
