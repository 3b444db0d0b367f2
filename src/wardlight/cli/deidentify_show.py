"""What `wardlight deidentify` shows while it runs: how far, how fast, how long, and what was not released."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, TypeVar

import typer

from wardlight.deid.report_model import Outcome

if TYPE_CHECKING:
    from wardlight.cli.deidentify_bar import Bar

Item = TypeVar("Item")
#: Inputs told one by one; of more, only the sum by reason and the report tell.
_TOLD: Final = 200


class Shown:
    """Everything to the error stream; quiet: nothing. Progress only where that is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet: Final = quiet
        self._bar: Bar | None = None
        if not quiet and sys.stderr.isatty():
            from wardlight.cli.deidentify_bar import Bar

            self._bar = Bar()
        self._told = 0

    def __enter__(self) -> Shown:
        if self._bar is not None:
            self._bar.show()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.hide()

    def looking(self, found: Iterable[Item]) -> Iterator[Item]:
        """Passes the first pass by."""
        if self._bar is not None:
            self._bar.start()
        for one in found:
            self._advance()
            yield one

    def _advance(self) -> None:
        if self._bar is not None:
            self._bar.advance()

    def cleaning(self, total: int) -> None:
        """The second pass begins, over so many inputs."""
        if self._bar is not None:
            self._bar.restart(total)

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
            self._say(f"input {number}: not released: {', '.join(reasons)}")
        elif self._told == _TOLD + 1:
            self._say("more are not released: --report names each")

    def _say(self, line: str) -> None:
        if self._bar is not None:
            self._bar.say(line)
        elif not self._quiet:
            typer.echo(line, err=True)
