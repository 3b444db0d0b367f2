"""How records lie in an object: blocks of lines of JSON, each compressed (zlib), and a directory of them in the index.

A search reads the blocks whose time and severity fit, newest first, each into memory alone: nothing is ever written
down in clear (docs/decisions/0018).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from wardlight.errors import WardlightError
from wardlight.machinedata.model import Record

#: Bytes of a block before it is compressed: one is what a search has in memory.
BLOCK_BYTES: Final = 1 << 20
#: zlib's level: the fastest, since what comes in waits for it.
_LEVEL: Final = 1
#: Offset and stored length, length before, records, first and last time, highest severity.
_ENTRY: Final = struct.Struct(">QIIIqqB")
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


@dataclass(frozen=True, slots=True)
class Block:
    """Where a block is in the object's content, and what it has."""

    offset: int
    stored: int
    length: int
    records: int
    first_ms: int
    last_ms: int
    severity: int


def line(record: Record) -> bytes:
    """A record as it is kept. Half characters are replaced: no encoding has them."""
    value = [record.time_ms, record.severity, record.source, record.text, record.attributes]
    if record.value is not None:
        value.append(record.value)
    return _ENCODE(value).encode("utf-8", "replace")


def parsed(text: bytes) -> Record:
    """A record as it was kept."""
    return Record(*json.loads(text))


def packed(lines: Iterable[bytes]) -> bytes:
    """The bytes of a block."""
    return zlib.compress(b"\n".join(lines), _LEVEL)


def lines_of(data: bytes, block: Block) -> list[bytes]:
    """The lines of a block. Raises `object-damaged`."""
    try:
        found = zlib.decompress(data, bufsize=block.length)
    except zlib.error:
        raise WardlightError("object-damaged", "a block of machine data does not open") from None
    if len(found) != block.length:
        raise WardlightError("object-damaged", "a block of machine data is of another length")
    return found.split(b"\n")


def directory(blocks: Iterable[Block]) -> bytes:
    """The blocks of an object as the index has them."""
    return b"".join(
        _ENTRY.pack(one.offset, one.stored, one.length, one.records, one.first_ms, one.last_ms, one.severity)
        for one in blocks
    )


def blocks_of(data: bytes) -> Iterator[Block]:
    """The blocks of a directory. Raises `object-damaged`."""
    if len(data) % _ENTRY.size:
        raise WardlightError("object-damaged", "a directory of machine data has another length")
    for entry in _ENTRY.iter_unpack(data):
        yield Block(*entry)
