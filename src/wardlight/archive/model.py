"""What the archive takes in and hands out: releases, instances, queries, places of bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from wardlight.agreements.model import IMAGES, Level
from wardlight.archive.matching import LITERAL, Rules
from wardlight.audit.sessions import Reading
from wardlight.dicom.elements import Element
from wardlight.dicom.transfer_syntax import TransferSyntax

__all__ = [
    "BULK_BASE",
    "IMAGES",
    "FrameTable",
    "IncomingInstance",
    "InstanceLocation",
    "Level",
    "MatchKey",
    "Metadata",
    "Outcome",
    "Page",
    "PixelIndex",
    "Query",
    "QueryLevel",
    "ReleaseState",
    "ReleaseTarget",
    "StoreOutcome",
    "ValuePlace",
]

#: Stands for `{base}/studies` in the BulkDataURI of precomputed metadata; replaced when it is handed out, so that one
#: stored text serves every public address. A full URI is
#: `{base}/studies/{study}/series/{series}/instances/{sop}/bulkdata/{tag path}`, the tag path being eight hexadecimal
#: digits a tag and the item number from 0 between them, joined by slashes: `7FE00010`, `00880200/0/7FE00010`.
BULK_BASE = "wardlight-bulk:"


class ReleaseState(StrEnum):
    """Life of a release. Readable in the first two; `complete` has precomputed metadata. `deleting`: access is over."""

    RECEIVING = "receiving"
    COMPLETE = "complete"
    DELETING = "deleting"


class Outcome(StrEnum):
    """What became of one instance of a store request.

    stored: durable and findable. duplicate: the same bytes were stored before; success, nothing was added.
    conflict: this SOP Instance UID is stored with other content; the first is kept.
    """

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class QueryLevel(StrEnum):
    """Level of a search (PS3.18 section 10.6.1, PS3.4 C.6.1.1)."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class ReleaseTarget:
    """Where instances of one study for one (institution, application, level) go. Holds the release's key."""

    institution: UUID
    release: UUID
    application: str
    level: Level
    key_id: UUID
    key: bytes = field(repr=False)
    study_uid: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PixelIndex:
    """Place of the top-level pixel data in a Part 10 file. Offsets count from the start of the file.

    tag: 7FE00008, 7FE00009 or 7FE00010. offset, length: the value; length -1 when it is encapsulated.
    fragments: (offset, length) of each fragment's value, the first being the Basic Offset Table (PS3.5 A.4).
    """

    tag: int
    offset: int
    length: int
    fragments: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class IncomingInstance:
    """One SOP instance that was written to a segment and waits for `Archive.commit`.

    header: encoded data set before the pixel data element (inflated where the syntax is deflated), encoded as
    header_syntax says. offset, length: of the Part 10 file in the segment's plaintext. dataset_offset: of the data
    set from the start of that file. sha256: of the data set as stored. elements: of the header, where an earlier scan
    kept those that the index wants.
    """

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str
    transfer_syntax: str
    header: bytes
    header_syntax: TransferSyntax
    offset: int
    length: int
    dataset_offset: int
    pixel: PixelIndex | None
    sha256: bytes
    elements: Mapping[int, Element] | None = None


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """Answer for one instance, in the order of the request."""

    sop_class: str
    sop_uid: str = field(repr=False)
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class MatchKey:
    """One attribute of a search: `path` is (tag,), or (sequence tag, tag) for a member of a sequence.

    value: as given, percent-decoded, in UTF-8: `*` and `?` wildcards, ranges with `-`, UID lists with `,` or `\\`.
    An empty value matches everything (universal matching, PS3.4 C.2.2.2.3) and asks for the attribute to be returned.
    """

    path: tuple[int, ...]
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Query:
    """A search. study_uid and series_uid come from the resource path, keys from the query string.

    include: further tags to return (includefield); include_all: `includefield=all`. limit 0 means none was given.
    application: people may ask for the releases of another application than Images. rules: which kinds of matching are
    asked for. cursor: where a page before ended, as `Page.next` gave it; offset counts from there.
    """

    keys: tuple[MatchKey, ...] = ()
    study_uid: str | None = field(default=None, repr=False)
    series_uid: str | None = field(default=None, repr=False)
    include: frozenset[int] = frozenset()
    include_all: bool = False
    limit: int = 0
    offset: int = 0
    application: str = IMAGES
    rules: Rules = LITERAL
    cursor: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a search in the DICOM JSON model, without RetrieveURL.

    more: there are rows after these. next: the cursor of the page that begins with them, "" where there are none.
    """

    rows: list[dict[str, Any]] = field(repr=False)
    more: bool
    next: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class InstanceLocation:
    """Where one instance lies. Offsets `offset` and `length` are those of its Part 10 file in the object's plaintext.

    dataset_offset: of the data set from the start of the file. header_length: bytes of the data set before the pixel
    data element, 0 for a deflated data set. frames: Number of Frames, 1 where it is absent. frame_bits: bits of one
    frame of native pixel data, 0 where that is not known.
    """

    institution: UUID
    release: UUID
    row: UUID
    application: str
    level: Level
    key_id: UUID
    object_id: UUID
    object_size: int
    offset: int
    length: int
    dataset_offset: int
    header_length: int
    pixel: PixelIndex | None
    transfer_syntax: str
    sop_class: str
    frames: int
    frame_bits: int
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_uid: str = field(repr=False)
    reading: Reading | None = field(repr=False, compare=False)
    """The read session that counts what is read of it; None only for background work."""


@dataclass(frozen=True, slots=True)
class FrameTable:
    """Byte ranges of an instance's frames, counted from the start of its Part 10 file.

    frames[n] holds the (start, end) pieces of frame n+1: one for native pixel data, one a fragment for encapsulated.
    frame_bits: bits of a native frame. Where it is no multiple of 8 (1-bit pixels), frames do not start at bytes:
    frame n+1 starts at bit n × frame_bits mod 8 of its piece, counted from the least significant bit (PS3.5 8.1.1).
    """

    frames: Sequence[tuple[tuple[int, int], ...]]
    frame_bits: int = 0

    @property
    def bit_packed(self) -> bool:
        """True when frames do not start at byte borders."""
        return self.frame_bits % 8 != 0


@dataclass(frozen=True, slots=True)
class ValuePlace:
    """Where one value of an instance lies.

    path: tags and item numbers from 0, the value's own tag last. spans: (start, end) pieces in the data set, inflated
    where it is deflated; one a fragment, the Basic Offset Table left out, where the value is encapsulated. word: bytes
    of the words that are stored in big endian, 1 where none are.
    """

    path: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    word: int = 1
    encapsulated: bool = False

    @property
    def length(self) -> int:
        """Bytes of the value."""
        return sum(end - start for start, end in self.spans)


class Metadata(Iterator[bytes]):
    """DICOM JSON of instances in pieces, to be read once. version: changes when the text does, before it is read."""

    __slots__ = ("_pieces", "version")

    def __init__(self, pieces: Iterator[bytes], version: tuple[object, ...]) -> None:
        self._pieces = pieces
        self.version = version

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Release what reading it holds."""
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()
