"""One line of the result: ours, peer, limit, ratio, target, met. And the table of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


@dataclass(slots=True)
class Row:
    """A comparison. Samples are one a round, higher is better unless `lower_is_better`.

    factor: what ours must reach times the base, which is the peer or, with `against_limit`, the limit.
    """

    name: str
    unit: str
    peer_name: str
    factor: float
    includes: str
    against_limit: bool = False
    lower_is_better: bool = False
    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    limit: list[float] = field(default_factory=list)
    fixed_target: float | None = None

    @property
    def ratio(self) -> float | None:
        """Median of ours over median of the base."""
        base = self.limit if self.against_limit else self.peer
        return statistics.median(self.ours) / statistics.median(base) if base and self.ours else None

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        if self.fixed_target is not None:
            return statistics.median(self.ours) <= self.fixed_target
        ratio = self.ratio
        if ratio is None:
            return False
        return ratio <= self.factor if self.lower_is_better else ratio >= self.factor

    @property
    def target(self) -> str:
        """The target in words."""
        if self.fixed_target is not None:
            return f"≤ {self.fixed_target:g} {self.unit}"
        base = "limit" if self.against_limit else self.peer_name
        return f"{'≤' if self.lower_is_better else '≥'} {self.factor:g} × {base}"

    def to_json(self) -> dict[str, object]:
        """In the form that architecture.md fixes, with spread and what is included."""
        return {
            "name": self.name,
            "ours": _median(self.ours),
            "peer": _median(self.peer),
            "peer_name": self.peer_name,
            "limit": _median(self.limit),
            "unit": self.unit,
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "target": self.target,
            "met": self.met,
            "includes": self.includes,
            "rounds": {"ours": self.ours, "peer": self.peer, "limit": self.limit},
        }


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(title="Wardlight against peers and limits (medians of interleaved rounds)")
    for name in ("what", "ours", "peer", "limit", "ratio", "target", "met"):
        table.add_column(name, justify="left" if name in ("what", "target") else "right")
    for row in rows:
        facts = row.to_json()
        peer = "" if facts["peer"] is None else f"{facts['peer']} {row.peer_name}"
        table.add_row(
            row.name,
            f"{facts['ours']} {row.unit}",
            peer,
            "" if facts["limit"] is None else str(facts["limit"]),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            row.target,
            "yes" if row.met else "NO",
        )
    Console(width=150).print(table)
