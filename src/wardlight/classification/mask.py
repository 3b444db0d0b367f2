"""Takes out of text what identifies or tells of health: for machine data on its way in.

    masker = Masker()
    masked = masker.mask(text)            # lines of a log, as one str
    masked.text, masked.findings

    value, found = masker.mask_json(record)  # parsed

What is found is replaced by `[detector]`. Lines without a candidate, nearly all of an ordinary log, cost one pass in C.
A masker may be used by several threads; its counters are then approximate.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from wardlight.classification.fields import labelled_hits, spaced
from wardlight.classification.found import RANK, Confidence, Finding, Hit
from wardlight.classification.model import DataClass
from wardlight.classification.prefilter import candidates
from wardlight.classification.text import find

#: Values of OTLP by their type, which is no name of theirs.
_TYPED: Final = frozenset(
    ("stringValue", "intValue", "doubleValue", "boolValue", "bytesValue", "arrayValue", "values")
)
#: Levels of a JSON value that are looked into; what is deeper is replaced as a whole.
DEEPEST: Final = 64


class Masked(NamedTuple):
    """Text without what was found in it, and what that was: `line` counts from 1 within the text."""

    text: str
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class Speed:
    """What a masker did so far. lines: that had a candidate. seconds: of the processor, in `mask` and `mask_json`."""

    characters: int = 0
    lines: int = 0
    findings: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def megabytes_per_second(self) -> float:
        """Characters taken in a second of the processor, in millions."""
        return self.characters / self.seconds / 1e6 if self.seconds else 0.0


class Masker:
    """Masks what is at least as sure as `least`, but for the detectors of `keep`.

    least: low by default, since a word too much that is masked in a log harms nobody. name: of the source, for the
    findings.
    """

    def __init__(
        self,
        *,
        least: Confidence = Confidence.LOW,
        keep: Collection[str] = (),
        classes: Collection[DataClass] = (DataClass.PERSONAL, DataClass.HEALTH, DataClass.SECRET),
    ) -> None:
        self._least: Final = RANK[least]
        self._keep: Final = frozenset(keep)
        self._classes: Final = frozenset(classes)
        self.speed: Final = Speed()

    def mask(self, text: str, name: str = "") -> Masked:
        """The text with each thing found replaced; the same object where there is nothing. Never raises for content."""
        began = time.thread_time()
        data = text.encode("utf-8", "surrogatepass")
        pieces: list[bytes] = []
        findings: list[Finding] = []
        done = line = counted = 0
        lines = candidates(data)
        for start, end, flags in lines:
            read = data[start:end].decode("utf-8", "replace")
            hits = [hit for hit in find(read, flags) if self._masks(hit)]
            if not hits:
                continue
            line += data.count(b"\n", counted, start)
            counted = start
            findings += (_finding(hit, name, line + 1) for hit in hits)
            pieces += (data[done:start], _replaced(read, hits).encode())
            done = end
        if pieces:
            text = b"".join((*pieces, data[done:])).decode("utf-8", "replace")
        self._count(len(data), len(lines), findings, began)
        return Masked(text, tuple(findings))

    def mask_json(self, value: Any, name: str = "") -> tuple[Any, tuple[Finding, ...]]:
        """A parsed JSON value, masked, with keys as context; a number that identifies becomes a string."""
        began = time.thread_time()
        findings: list[Finding] = []
        size = [0]
        found = self._value(value, "", "", name, findings, size, 0)
        self._count(size[0], 0, findings, began)
        return found, tuple(findings)

    def _value(
        self, value: Any, key: str, path: str, name: str, findings: list[Finding], size: list[int], depth: int
    ) -> Any:
        if depth > DEEPEST:
            return "[too-deep]"
        if isinstance(value, dict):
            named = value.get("key")
            if not (isinstance(named, str) and "value" in value):
                named = None
            if key and value.keys() <= _TYPED:
                return {
                    k: self._value(v, key, path, name, findings, size, depth + 1) for k, v in value.items()
                }
            return {
                # Of an attribute of OTLP the name says what the value is; all that stands beside is looked at, too.
                self._key(k, name, path, findings): self._value(
                    v,
                    named if named and k == "value" else k,
                    f"{path}.{k}" if path else str(k),
                    name,
                    findings,
                    size,
                    depth + 1,
                )
                for k, v in value.items()
            }
        if isinstance(value, list):
            return [self._value(v, key, f"{path}[]", name, findings, size, depth + 1) for v in value]
        if isinstance(value, bool) or value is None or not isinstance(value, str | int | float):
            return value
        text = str(value)
        size[0] += len(text) + len(key)
        hits = [hit for hit in labelled_hits(spaced(key), text) if self._masks(hit)]
        if not hits:
            return value
        findings += (_finding(hit, name, 0, path) for hit in hits)
        return _replaced(text, hits)

    def _key(self, key: str, name: str, path: str, findings: list[Finding]) -> str:
        """A key may be a value: {"jane.doe@example.org": 3}."""
        hits = [hit for hit in find(str(key)) if self._masks(hit)]
        findings += (_finding(hit, name, 0, path) for hit in hits)
        return _replaced(str(key), hits) if hits else key

    def _masks(self, hit: Hit) -> bool:
        return (
            RANK[hit.confidence] >= self._least
            and hit.data_class in self._classes
            and hit.detector not in self._keep
        )

    def _count(self, characters: int, lines: int, findings: list[Finding], began: float) -> None:
        speed = self.speed
        speed.characters += characters
        speed.lines += lines
        speed.findings.update(one.detector for one in findings)
        speed.seconds += time.thread_time() - began


def _replaced(text: str, hits: list[Hit]) -> str:
    pieces: list[str] = []
    done = 0
    for hit in hits:
        pieces += (text[done : hit.start], f"[{hit.detector}]")
        done = hit.end
    return "".join((*pieces, text[done:]))


def _finding(hit: Hit, name: str, line: int, place: str = "") -> Finding:
    return Finding(name, hit.data_class, hit.detector, hit.confidence, hit.reason, line=line, field=place)
