"""Finds records in encrypted segments, newest first: what fits by time and severity is read, block by block."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from wardlight.archive import machine_store as store
from wardlight.archive.machine_store import Seen, Segment
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.keys.keystore import Keystore
from wardlight.machinedata.blocks import Block, blocks_of, lines_of, parsed
from wardlight.machinedata.model import Record
from wardlight.objects.format import ObjectKind
from wardlight.objects.store import ObjectStore

#: Bytes of records that one request looks through; and segments whose rows it reads.
SCANNED_BYTES: Final = 256 << 20
_SEGMENTS: Final = 5000
_FOREVER: Final = 1 << 62


class Place(NamedTuple):
    """Where a record is in the order of results: newest first, then by segment, block and line."""

    before_ms: int
    segment: str = ""
    offset: int = 0
    line: int = 0


class Found(NamedTuple):
    """A record that fits."""

    place: Place
    data_class: str
    record: Record


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for. text: anywhere in a record, in any case. after: the last place of the page before."""

    from_ms: int = 0
    to_ms: int = _FOREVER
    severity: int = 0
    source: str = ""
    text: str = field(default="", repr=False)
    exact: str = ""
    after: Place | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Records, and where to go on; None at the end."""

    found: list[Found]
    next: Place | None


class Search:
    """One for the process; threads share it."""

    def __init__(self, database: Database, keystore: Keystore, objects: ObjectStore) -> None:
        self._database = database
        self._keystore = keystore
        self._objects = objects

    def page(self, seen: Seen, asked: Asked, most: int = SCANNED_BYTES) -> Page:
        """The newest records that fit. A page may be short, or empty, and still have a next one.

        Raises `query-too-broad` where so much lies at one time that a page is beyond what may be looked through.
        """
        to_ms = asked.to_ms if asked.after is None else min(asked.to_ms, asked.after.before_ms + 1)
        with self._database.read(seen.institution) as tx:
            rows = store.within(tx, seen, asked.from_ms, to_ms, asked.severity, _SEGMENTS)
        bound = rows[-1].last_ms if len(rows) == _SEGMENTS else -1
        work = [
            (block, row)
            for row in rows
            for block in blocks_of(row.directory)
            if block.last_ms >= asked.from_ms and block.first_ms < to_ms and block.severity >= asked.severity
        ]
        work.sort(key=lambda one: -one[0].last_ms)
        found: list[Found] = []
        scanned = 0
        for block, row in work:
            if len(found) > asked.limit and found[-1].record.time_ms > block.last_ms:
                break
            if scanned and scanned + block.length > most:
                bound = max(bound, block.last_ms)
                break
            scanned += block.length
            found += self._matching(block, row, asked, to_ms)
            found.sort(key=_order)
            del found[asked.limit + 1 :]
        return _page(found, asked, bound)

    def _matching(self, block: Block, row: Segment, asked: Asked, to_ms: int) -> Iterator[Found]:
        lines = lines_of(self._read(row, block), block)
        needle = json.dumps(asked.text.lower(), ensure_ascii=False)[1:-1] if asked.text else ""
        source = json.dumps(asked.source, ensure_ascii=False).encode() if asked.source else b""
        exact = json.dumps(asked.exact, ensure_ascii=False).encode() if asked.exact else b""
        if needle and needle not in b"\n".join(lines).decode("utf-8", "replace").lower():
            return
        for number, text in enumerate(lines):
            if source not in text or exact not in text:
                continue
            if needle and needle not in text.decode("utf-8", "replace").lower():
                continue
            record = parsed(text)
            place = Place(record.time_ms, row.id.hex, block.offset, number)
            if (
                asked.from_ms <= record.time_ms < to_ms
                and record.severity >= asked.severity
                and (not asked.source or record.source == asked.source)
                and (not asked.exact or record.text == asked.exact)
                and (asked.after is None or _key(place) > _key(asked.after))
            ):
                yield Found(place, row.data_class, record)

    def _read(self, row: Segment, block: Block) -> bytes:
        """The bytes of a block. Nothing stays open between blocks: a segment that ends meanwhile ends here, too."""
        key = self._keystore.get_key(row.institution, row.key_id)
        with self._objects.open(row.id, key, row.size) as reader:
            if reader.kind is not ObjectKind.MACHINE_DATA:
                raise WardlightError("object-damaged")
            return reader.read(block.offset, block.offset + block.stored)


def _key(place: Place) -> tuple[int, str, int, int]:
    return (-place.before_ms, place.segment, place.offset, place.line)


def _order(found: Found) -> tuple[int, str, int, int]:
    return _key(found.place)


def _page(found: list[Found], asked: Asked, bound: int) -> Page:
    """bound: the newest time of what was not looked at; -1 where all was."""
    sure = [one for one in found if one.record.time_ms > bound]
    if len(sure) > asked.limit:
        return Page(sure[: asked.limit], sure[asked.limit - 1].place)
    if bound < 0:
        return Page(sure, None)
    if not sure and asked.after is not None and asked.after.before_ms <= bound:
        raise WardlightError("query-too-broad", "narrow the time")
    return Page(sure, Place(bound))
