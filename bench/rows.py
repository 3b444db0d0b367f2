"""One line of the result: ours, peer, limit, ratio, target, met. And the tables of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round found. cpu_ms: the server's processor time for one operation. peak_mb: its largest process."""

    value: float
    cpu_ms: float | None = None
    peak_mb: float | None = None


@dataclass(slots=True)
class Series:
    """The rounds of one contender. failure: why there are no more of them."""

    name: str = ""
    samples: list[Sample] = field(default_factory=list)
    failure: str = ""

    @property
    def values(self) -> list[float]:
        """One value a round."""
        return [sample.value for sample in self.samples]

    @property
    def median(self) -> float | None:
        """Median over the rounds; None if a round failed."""
        return statistics.median(self.values) if self.samples and not self.failure else None

    @property
    def cpu_ms(self) -> float | None:
        """Median processor time for one operation, in milliseconds."""
        values = [sample.cpu_ms for sample in self.samples if sample.cpu_ms is not None]
        return statistics.median(values) if values else None

    @property
    def peak_mb(self) -> float | None:
        """Largest resident size that a process had, in MB."""
        return max((sample.peak_mb for sample in self.samples if sample.peak_mb is not None), default=None)

    def facts(self) -> dict[str, object]:
        """For the JSON file."""
        return {
            "name": self.name,
            "median": _rounded(self.median),
            "spread": [_rounded(min(self.values)), _rounded(max(self.values))] if self.samples else None,
            "cpu_ms": _rounded(self.cpu_ms),
            "peak_mb": _rounded(self.peak_mb),
            "rounds": [_rounded(value) for value in self.values],
            **({"failed": self.failure} if self.failure else {}),
        }


@dataclass(frozen=True, slots=True)
class Target:
    """What ours must reach: `factor` times the base, or `factor` units if the base is "fixed"."""

    factor: float
    base: Literal["peer", "limit", "fixed"] = "peer"
    least: bool = True

    def met(self, ours: float, base: float | None) -> bool:
        """Whether `ours` reaches it. base: the peer's or the limit's median."""
        bound = self.factor if self.base == "fixed" else self.factor * base if base is not None else None
        if bound is None:
            return False
        return ours >= bound if self.least else ours <= bound


@dataclass(slots=True)
class Row:
    """A comparison. includes: what ours does within the time that is measured. target: None where none is set."""

    name: str
    unit: str
    ours: Series
    includes: str
    target: Target | None = None
    peer: Series = field(default_factory=Series)
    limit: Series = field(default_factory=Series)

    @property
    def base(self) -> Series:
        """What ours is compared with."""
        return self.limit if self.target and self.target.base == "limit" else self.peer

    @property
    def ratio(self) -> float | None:
        """Median of ours over median of the base, or over the fixed target."""
        ours = self.ours.median
        if self.target and self.target.base == "fixed":
            return None if ours is None else ours / self.target.factor
        base = self.base.median
        return ours / base if ours is not None and base else None

    @property
    def failure(self) -> str:
        """Why there is no result."""
        return self.ours.failure or (self.base.failure if not self._fixed else "")

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; a row that failed does not reach it; None without a target."""
        if self.target is None:
            return None
        ours = self.ours.median
        return ours is not None and not self.failure and self.target.met(ours, self.base.median)

    @property
    def _fixed(self) -> bool:
        return self.target is not None and self.target.base == "fixed"

    @property
    def wanted(self) -> str:
        """The target in words."""
        if self.target is None:
            return ""
        sign = "≥" if self.target.least else "≤"
        if self._fixed:
            return f"{sign} {self.target.factor:g} {self.unit}"
        return f"{sign} {self.target.factor:g} × {self.base.name}"

    def to_json(self) -> dict[str, object]:
        """In the form that the CLI contract fixes, with what is included and the rounds."""
        return {
            "name": self.name,
            "ours": _rounded(self.ours.median),
            "peer": _rounded(self.peer.median),
            "peer_name": self.peer.name,
            "limit": _rounded(self.limit.median),
            "unit": self.unit,
            "ratio": _rounded(self.ratio),
            "target": self.wanted,
            "met": self.met,
            "includes": self.includes,
            "rounds": {
                key: series.facts()
                for key, series in (("ours", self.ours), ("peer", self.peer), ("limit", self.limit))
                if series.name
            },
            **({"failed": self.failure} if self.failure else {}),
        }

    def cells(self) -> tuple[str, ...]:
        """What a table shows: what, ours, ±, CPU ms, MB, peer, its CPU ms, MB, limit, ratio, target, met."""
        verdict = {True: "yes", False: "NO", None: ""}[self.met]
        return (
            self.name,
            f"{_short(self.ours.median)} {self.unit}",
            _spread(self.ours),
            _short(self.ours.cpu_ms),
            _short(self.ours.peak_mb),
            f"{_short(self.peer.median)} {self.peer.name}" if self.peer.name else "",
            _short(self.peer.cpu_ms),
            _short(self.peer.peak_mb),
            _short(self.limit.median),
            "" if self.ratio is None else f"{self.ratio:.3g}",
            self.wanted,
            f"failed: {self.failure}" if self.failure else verdict,
        )


_HEADS = ("what", "ours", "±", "CPU ms", "MB", "peer", "CPU ms", "MB", "limit", "ratio", "target", "met")
NOTES = (
    "Medians of interleaved rounds; ± is half the range over the median. CPU ms is the server's processor time for one "
    "operation, MB its largest process. `met` is computed from the medians."
)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _spread(series: Series) -> str:
    middle = series.median
    if not middle or len(series.values) < 2:
        return ""
    return f"{(max(series.values) - min(series.values)) / 2 / middle:.0%}"


def show(rows: Sequence[Row], title: str) -> None:
    """Print a table."""
    table = Table(title=title, caption=NOTES, caption_justify="left")
    for number, head in enumerate(_HEADS):
        table.add_column(
            head, justify="left" if number in (0, 10, 11) else "right", overflow="fold", no_wrap=False
        )
    for row in rows:
        cells = list(row.cells())
        if row.met is not None:
            cells[-1] = f"[{'green' if row.met else 'red'}]{cells[-1]}[/]"
        table.add_row(*cells)
    Console(width=180).print(table)


def markdown(rows: Iterable[Row]) -> str:
    """The same table for a document, and what each row includes."""
    rows = list(rows)
    lines = [f"| {' | '.join(_HEADS)} |", "|---|" + "---:|" * 9 + "---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row.cells()) + " |" for row in rows]
    included: dict[str, list[str]] = {}
    for row in rows:
        included.setdefault(row.includes, []).append(row.name)
    lines += ["", NOTES, "", "What the time includes:", ""]
    lines += [f"- {'; '.join(names)}: {text}." for text, names in included.items()]
    return "\n".join(lines) + "\n"
