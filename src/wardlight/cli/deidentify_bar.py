"""The bar of `wardlight deidentify`, loaded where somebody sees it: it takes longer to load than many a run."""

from __future__ import annotations

from typing import Final

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


class _Rate(ProgressColumn):
    """Files in a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


class Bar:
    """How far it is, on the error stream."""

    def __init__(self) -> None:
        self._console: Final = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate()),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=self._console)
        self._task = self._progress.add_task("look at headers", total=None, start=False)

    def show(self) -> None:
        """From here on it is there."""
        self._progress.start()

    def hide(self) -> None:
        """No longer."""
        self._progress.stop()

    def start(self) -> None:
        """The first pass begins; how many inputs there are is not known yet."""
        self._progress.start_task(self._task)

    def restart(self, total: int) -> None:
        """The second pass begins, over so many inputs."""
        self._progress.reset(self._task, total=total, description="de-identify")

    def advance(self) -> None:
        """One more."""
        self._progress.advance(self._task)

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._console.print(line, markup=False)
