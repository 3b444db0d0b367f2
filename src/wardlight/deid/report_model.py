"""What a report of de-identification is made of: numbers, new UIDs, tags and codes; never a name or a value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

Change: TypeAlias = tuple[tuple[int, ...], str, str]
"""Path of tags, action, and which rule says so."""
Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom exclusive."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an input.

    kind: released, duplicate (the same output was there), instance-conflict (another content was), quarantined, skipped
    (no DICOM, or a medium's directory), stopped (OUT cannot be written; the run ends). reasons: codes with tags. study,
    series, instance, sop_class: UIDs of the output. changes: where a report is wanted. digest: of the output, where it
    was needed; first: of what was there before, hexadecimal. size: of the output in bytes. boxes: what was blacked out,
    of all frames together; frames: how many were looked at for text; matched: boxes whose text was of the harvest.
    """

    number: int
    kind: str
    reasons: tuple[str, ...] = ()
    study: str = ""
    series: str = ""
    instance: str = ""
    sop_class: str = ""
    flags: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    digest: bytes | None = None
    first: str = ""
    size: int = 0
    boxes: tuple[Box, ...] = ()
    frames: int = 0
    matched: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """Small pictures of one object, as PNG. before: with its boxes hidden; after: of the output, b"" where none is."""

    instance: str
    before: bytes
    after: bytes = b""


@dataclass(frozen=True, slots=True)
class Rules:
    """By which rules a run went. dry: nothing was written."""

    profile: str
    level: str
    options: tuple[str, ...]
    standard: str
    dry: bool = False


@dataclass(frozen=True, slots=True)
class Study:
    """All that is said of one study, in the order of series and instance. uid: the new one, "" where none is known."""

    uid: str
    outcomes: tuple[Outcome, ...]
    changes: Counter[Change] = field(default_factory=Counter)
    pictures: tuple[Picture, ...] = ()
