"""Precision and recall of each detector on the labelled documents, and speed: tables of docs/reference/classifier.md.

Run it after changing a detector: `.venv/bin/python tests/classifier_scores.py`. A test compares scores and page.
"""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]

from classifier_corpus import SEED, Document, documents  # noqa: E402
from wardlight.classification.found import Confidence, Finding  # noqa: E402
from wardlight.classification.scan import Scanner  # noqa: E402


@dataclass
class Score:
    """Lines on which a detector was right, found too much, and missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0


def found(document: Document, least: Confidence) -> list[Finding]:
    return list(Scanner(least=least).stream(io.BytesIO(document.text.encode()), document.name))


def scores(least: Confidence = Confidence.MEDIUM, seed: int = SEED) -> tuple[dict[str, Score], list[str]]:
    """By detector, and what went wrong in words."""
    result: dict[str, Score] = {}
    told: list[str] = []
    for document in documents(seed):
        places = {(one.line, one.detector) for one in found(document, least)}
        lines = document.text.split("\n")
        for kind, some in (("missed", document.labels - places), ("wrong", places - document.labels)):
            for line, detector in sorted(some):
                # A condition by its code is one by its name, too.
                if detector == "icd-code" and (line, "health") in document.labels:
                    continue
                score = result.setdefault(detector, Score())
                setattr(score, kind, getattr(score, kind) + 1)
                told.append(f"{kind} {detector} {document.name}:{line}: {lines[line - 1][:150]}")
        for _, detector in document.labels & places:
            result.setdefault(detector, Score()).right += 1
    return dict(sorted(result.items())), told


def total(result: dict[str, Score]) -> Score:
    return Score(
        sum(one.right for one in result.values()),
        sum(one.wrong for one in result.values()),
        sum(one.missed for one in result.values()),
    )


def rows(result: dict[str, Score]) -> Iterator[str]:
    for name, one in [*result.items(), ("**all**", total(result))]:
        yield f"| {name} | {one.right + one.missed} | {one.precision:.3f} | {one.recall:.3f} |"


if __name__ == "__main__":
    least = Confidence(sys.argv[1]) if len(sys.argv) > 1 else Confidence.MEDIUM
    result, told = scores(least)
    print("\n".join(told))
    print("\n".join(rows(result)))
    kinds = Counter(one.kind for one in documents())
    print(kinds, sum(kinds.values()))
