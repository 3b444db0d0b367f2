"""A report as parts of a page, from which HTML and PDF are made alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Tone(StrEnum):
    """What a mark or a box says beside its words."""

    PLAIN = "plain"
    WARN = "warn"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Mark:
    """A few words in a box: whose word it is, what is not known."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: what is said, what supports it in smaller type, and marks. mono: compared letter by letter."""

    text: str
    small: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """Head of a column; width is its share of the line."""

    title: str
    width: int
    right: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """Head of a section."""

    text: str
    kind: str = "heading"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text. quiet: in smaller type."""

    text: str
    quiet: bool = False
    kind: str = "paragraph"


@dataclass(frozen=True, slots=True)
class Figures:
    """A few numbers, each with what it counts: the report at a glance."""

    figures: tuple[tuple[str, str], ...]
    kind: str = "figures"


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and its value. mono: a value that is compared letter by letter."""

    name: str
    value: str
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """A list of facts."""

    facts: tuple[Fact, ...]
    kind: str = "facts"


@dataclass(frozen=True, slots=True)
class Box:
    """A remark that must not be missed."""

    title: str
    text: str
    tone: Tone = Tone.PLAIN
    kind: str = "box"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of short texts, numbered where their order counts."""

    items: tuple[str, ...]
    numbered: bool = False
    kind: str = "listing"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head that is repeated on each page. caption: for those who cannot see the page."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    kind: str = "table"


Block = Heading | Paragraph | Figures | Facts | Box | Listing | Table


@dataclass(frozen=True, slots=True)
class Document:
    """One report. eyebrow: what stands over the title; foot: what stands on every page; page: `{page}` of `{pages}`."""

    language: str
    title: str
    eyebrow: str
    lead: str
    blocks: tuple[Block, ...]
    foot: str
    page: str
    created: str

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)
