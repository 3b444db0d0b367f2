"""Places in the order of search results: what a cursor holds (StudyDate and arrival, newest first; then numbers)."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from wardlight.archive.model import Query, QueryLevel
from wardlight.errors import WardlightError
from wardlight.keys.cursors import CursorKey

_STUDY: Final = struct.Struct(">IQ")
_ROW: Final = struct.Struct(">q16s")


@dataclass(frozen=True, slots=True)
class Place:
    """A row of a result: (StudyDate, number) of its study; (number, id) of its series and instance, if any."""

    study: tuple[int, int]
    series: tuple[int, UUID] | None = None
    instance: tuple[int, UUID] | None = None

    def pack(self) -> bytes:
        """As bytes."""
        packed = _STUDY.pack(*self.study)
        for row in (self.series, self.instance):
            if row is not None:
                packed += _ROW.pack(row[0], row[1].bytes)
        return packed


def unpack(packed: bytes) -> Place:
    """The place that `Place.pack` made bytes of."""
    study = _STUDY.unpack_from(packed)
    rows = [(number, UUID(bytes=id_)) for number, id_ in _ROW.iter_unpack(packed[_STUDY.size :])]
    return Place((study[0], study[1]), *rows)


def seal(key: CursorKey, level: QueryLevel, query: Query, place: Place) -> str:
    """The cursor that goes on behind a row."""
    return key.seal(place.pack(), _search(level, query))


def opened(key: CursorKey, level: QueryLevel, query: Query) -> Place | None:
    """Where the query's cursor goes on; None without one. Raises `bad-request` for one that is not of this search."""
    if not query.cursor:
        return None
    packed = key.open(query.cursor, _search(level, query))
    try:
        return unpack(packed)
    except (struct.error, TypeError):
        raise WardlightError("bad-request", "the cursor is none of this search") from None


def _search(level: QueryLevel, query: Query) -> bytes:
    """What makes a search the same: all that decides on which rows are in it."""
    keys = sorted((key.path, key.value) for key in query.keys)
    parts = (level.value, query.application, query.study_uid, query.series_uid, keys, query.rules)
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).digest()
