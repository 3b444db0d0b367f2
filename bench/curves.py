"""The data of the growth curves, what bends first in them, and the plots (SVG, by matplotlib)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

_COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57", "#b8860b", "#6a4c93", "#17a2a2", "#7f4f24", "#444444")


@dataclass(slots=True)
class Curve:
    """Values over sizes or over numbers of clients. unit: of the values."""

    name: str
    unit: str
    at: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, at: int, value: float) -> None:
        """One more point."""
        self.at.append(at)
        self.values.append(float(f"{value:.4g}"))

    @property
    def growth(self) -> float:
        """The last value over the first."""
        return self.values[-1] / self.values[0] if self.values and self.values[0] else 1.0


@dataclass(slots=True)
class Curves:
    """Everything that was measured. queries: p99 by form; peers: Orthanc's p50 by form, at what it holds.

    rates, waits: frames a second and their p99 over the number of clients, for each server.
    """

    machine: str = ""
    ingest: list[Curve] = field(default_factory=list)
    completion: list[Curve] = field(default_factory=list)
    queries: list[Curve] = field(default_factory=list)
    peers: list[Curve] = field(default_factory=list)
    rates: list[Curve] = field(default_factory=list)
    waits: list[Curve] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @staticmethod
    def load(path: Path) -> Curves:
        """What `save` wrote."""
        facts: dict[str, Any] = json.loads(path.read_text())
        found = Curves(machine=facts["machine"], failures=facts["failures"])
        for name in ("ingest", "completion", "queries", "peers", "rates", "waits"):
            getattr(found, name).extend(Curve(**row) for row in facts[name])
        return found

    def sentences(self) -> list[str]:
        """What bends first, for each plot that there is data for."""
        found = []
        if self.queries:
            found.append(_steepest("search time", self.queries))
        if self.ingest or self.completion:
            slower = [
                Curve(row.name, row.unit, row.at, [1 / value for value in row.values]) for row in self.ingest
            ]
            found.append(_steepest("time", slower + self.completion))
        return found + [_saturation(row, wait) for row, wait in zip(self.rates, self.waits, strict=True)]


def _steepest(what: str, curves: list[Curve]) -> str:
    worst = max(curves, key=lambda row: row.growth)
    span = f"from {worst.at[0]:,} to {worst.at[-1]:,} instances"
    if worst.growth < 1.2:
        return (
            f"Nothing bends {span}: the {what} that grows most, {worst.name}, grows {worst.growth:.2f} times."
        )
    name = worst.name[0].upper() + worst.name[1:]
    # The first step after which a curve has grown by a fifth.
    step = next(
        at for at, value in zip(worst.at, worst.values, strict=True) if value >= 1.2 * worst.values[0]
    )
    return f"{name} bends first: its {what} grows {worst.growth:.1f} times {span}, by a fifth at {step:,}."


def _saturation(rate: Curve, wait: Curve) -> str:
    best = max(rate.values)
    full = next(at for at, value in zip(rate.at, rate.values, strict=True) if value >= 0.95 * best)
    return (
        f"{rate.name} gives {best:,.0f} frames/s at most, reached with {full} client{'s' * (full > 1)}; "
        f"with {wait.at[-1]} the slowest of a hundred waits {wait.values[-1]:,.0f} ms."
    )


def draw(curves: Curves, folder: Path) -> list[Path]:
    """Write the plots that there is data for; returns their paths."""
    written = []
    if curves.queries:
        written.append(_queries(curves, folder / "growth-queries.svg"))
    if curves.ingest or curves.completion:
        written.append(
            _pair(
                [
                    (curves.ingest, "stored, instances/s"),
                    (curves.completion, "completion of a study of 20 instances, ms"),
                ],
                "instances in the index",
                [row for row in curves.sentences() if "instances" in row][-1:],
                folder / "growth-ingest.svg",
            )
        )
    if curves.rates:
        written.append(
            _pair(
                [(curves.rates, "frames/s"), (curves.waits, "p99, ms")],
                "clients at once, each with a connection of its own",
                [row for row in curves.sentences() if "frames/s" in row],
                folder / "growth-clients.svg",
            )
        )
    return written


def _queries(curves: Curves, path: Path) -> Path:
    figure = Figure(figsize=(8, 4.8), facecolor="white")
    axes = figure.subplots()
    for number, row in enumerate(curves.queries):
        colour = _COLOURS[number % len(_COLOURS)]
        axes.plot(row.at, row.values, marker="o", color=colour, label=f"{row.name}, p99")
        for peer in curves.peers:
            if peer.name == row.name:
                axes.plot(peer.at, peer.values, linestyle=":", marker="x", color=colour)
    axes.plot([], [], linestyle=":", marker="x", color="#444444", label="the same of Orthanc, p50")
    axes.axhline(20, color="#999999", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="instances in the index", ylabel="time of a search, ms")
    for kind in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        kind(FuncFormatter(lambda value, _: f"{value:g}"))
    return _finish(figure, [axes], curves.sentences()[:1], path)


def _pair(panels: list[tuple[list[Curve], str]], below: str, said: list[str], path: Path) -> Path:
    figure = Figure(figsize=(9.5, 4.4), facecolor="white")
    both = figure.subplots(1, 2)
    for axes, (rows, beside) in zip(both, panels, strict=True):
        for number, row in enumerate(rows):
            axes.plot(row.at, row.values, marker="o", color=_COLOURS[number], label=row.name)
        axes.set(xscale="log", xlabel=below, ylabel=beside)
        axes.set_ylim(bottom=0, top=1.1 * max((max(row.values) for row in rows), default=1.0))
        if any(value >= 65 for row in rows for value in row.at[:1]):
            continue
        ticks = sorted({value for row in rows for value in row.at})
        axes.set_xticks(ticks, [str(value) for value in ticks])
        axes.minorticks_off()
    return _finish(figure, list(both), said, path)


def _finish(figure: Figure, panels: list[Axes], said: list[str], path: Path) -> Path:
    for axes in panels:
        axes.grid(visible=True, color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=8, frameon=False)
    figure.text(0.01, 0.01, "\n".join(said), fontsize=8, wrap=True, va="bottom")
    figure.tight_layout(rect=(0, 0.02 + 0.05 * max(1, len(said)), 1, 1))
    # Neither a date nor random names in the file: the same data give the same plot.
    with rc_context({"svg.hashsalt": "wardlight", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    return path
