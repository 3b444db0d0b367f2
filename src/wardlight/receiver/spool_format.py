"""The records of a spool file: encoding, and reading in another process or after a crash (security.md §3, kind 2).

After the header of an encrypted object come records: `stream u32 | type u8 | length u24 (with tag)` and the content
under AES-256-GCM with the record's number in the file as nonce and the eight bytes as associated data. Dropping,
moving or altering any record makes all that follow it, or it itself, fail.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardlight.errors import WardlightError
from wardlight.objects.format import HEADER_BYTES, TAG_BYTES

DATA_BYTES: Final = 1 << 16
"""Most content bytes of one record."""

MOST_RECORDS: Final = 1 << 32
HEAD: Final = struct.Struct(">II")  # stream; type and length in one word
COMMIT: Final = struct.Struct(">Q32s")
RECORD_BYTES: Final = HEAD.size + DATA_BYTES + TAG_BYTES
"""Most stored bytes of one record."""

_WINDOW_BYTES: Final = 1 << 20


#: Buffers of readers that have ended. A fresh one for each object costs more than reading into it.
_buffers: Final[list[memoryview]] = []


class RecordType(IntEnum):
    """What a record says of its stream; CLOSE says it of the file, in stream 0."""

    BEGIN = 1
    DATA = 2
    COMMIT = 3
    ABORT = 4
    CLOSE = 5


@dataclass(frozen=True, slots=True)
class SpoolRef:
    """Where an object lies. Numbers only, so the receiver's database may hold it in clear.

    offset, record: place in the file and number of its BEGIN. end: place after its COMMIT; the highest of a file is
    its durable watermark. length, sha256: of the data set.
    """

    file_id: str
    stream: int
    offset: int
    record: int
    end: int
    length: int
    sha256: bytes


class Verdict(StrEnum):
    """How a spool file ends."""

    CLOSED = "closed"
    """With the CLOSE record: nothing can be missing."""
    TORN = "torn"
    """After the watermark: what follows was never acknowledged. Also a file that is still being written."""
    DAMAGED = "damaged"
    """Before the watermark: acknowledged data is lost or altered. The file must be kept and an alarm raised."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found in a file: committed objects with their BEGIN, the end of the last good record, the verdict."""

    objects: tuple[tuple[SpoolRef, dict[str, str]], ...]
    end: int
    verdict: Verdict


_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


def nonce(number: int) -> bytes:
    """`00×8 ‖ u32 number`."""
    return number.to_bytes(12, "big")


def encode_meta(meta: dict[str, str]) -> bytes:
    """The content of BEGIN. Raises `WardlightError("too-large")` when it does not fit into a record."""
    text = _encode(meta).encode()
    if len(text) > DATA_BYTES:
        raise WardlightError("too-large", "the description of an object does not fit into a spool record")
    return text


class RecordReader:
    """Walks the records of one open file with `pread`, from a given place on. `close` it."""

    __slots__ = ("_aead", "_base", "_buffer", "_descriptor", "_limit", "_window", "number", "offset")

    def __init__(self, descriptor: int, aead: AESGCM, offset: int, number: int, limit: int) -> None:
        """Stands before the record `number` at `offset`; never reads at or after `limit`."""
        try:
            self._buffer = _buffers.pop()
        except IndexError:
            self._buffer = memoryview(bytearray(_WINDOW_BYTES))
        self._descriptor = descriptor
        self._aead = aead
        self._limit = limit
        self._window = memoryview(b"")
        self._base = offset
        self.offset = offset
        self.number = number

    def close(self) -> None:
        """Give the buffer back. Nothing may be read after that."""
        self._window = memoryview(b"")
        _buffers.append(self._buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def head(self) -> tuple[int, int, int] | None:
        """Stream, type and stored length of the record here; None when fewer bytes are left than a head has."""
        head = self._take(HEAD.size)
        if head is None:
            return None
        stream, word = HEAD.unpack(head)
        return stream, word >> 24, word & 0xFFFFFF

    def content(self, length: int) -> bytes | None:
        """Decrypt the record here and step over it; None when it is short or does not verify."""
        record = self._take(HEAD.size + length)
        if record is None or length < TAG_BYTES:
            return None
        try:
            content = self._aead.decrypt(nonce(self.number), record[HEAD.size :], record[: HEAD.size])
        except InvalidTag:
            return None
        self.skip(length)
        return content

    def content_into(self, length: int, target: memoryview) -> bool:
        """As `content`, into a place of the record's exact size."""
        record = self._take(HEAD.size + length)
        if record is None or length < TAG_BYTES:
            return False
        try:
            self._aead.decrypt_into(nonce(self.number), record[HEAD.size :], record[: HEAD.size], target)
        except InvalidTag:
            return False
        self.skip(length)
        return True

    def skip(self, length: int) -> None:
        """Step over the record here, unread."""
        self.offset += HEAD.size + length
        self.number += 1

    def _take(self, length: int) -> memoryview | None:
        start = self.offset - self._base
        if start + length > len(self._window):
            if self.offset + length > self._limit:
                return None
            if length > _WINDOW_BYTES:
                return None  # no record is so long
            wanted = min(_WINDOW_BYTES, self._limit - self.offset)
            found = os.preadv(self._descriptor, [self._buffer[:wanted]], self.offset)
            self._window = self._buffer[:found]
            self._base, start = self.offset, 0
            if length > len(self._window):
                return None
        return self._window[start : start + length]


def read_object(descriptor: int, aead: AESGCM, ref: SpoolRef, start: int = 0) -> Iterator[bytes]:
    """The content of one object from byte `start` on, in pieces of at most 64 KiB, each verified before it is given.

    Records of other streams in between are verified, too: stepped over by their heads alone, an altered stream number
    would leave a hole in the object that shows only at its end. Raises `WardlightError("object-damaged")`.
    """
    with RecordReader(descriptor, aead, ref.offset, ref.record, ref.end) as records:
        yield from _object(records, ref, start)


def _object(records: RecordReader, ref: SpoolRef, start: int) -> Iterator[bytes]:
    position, begun = 0, False
    while (head := records.head()) is not None:
        stream, kind, length = head
        content = records.content(length)
        if content is None:
            break
        if not begun:
            if (stream, kind) != (ref.stream, RecordType.BEGIN):
                break
            begun = True
        elif stream != ref.stream:
            continue
        elif kind == RecordType.DATA:
            piece = content[start - position :] if start > position else content
            position += len(content)
            if piece:
                yield piece
        elif (
            kind == RecordType.COMMIT
            and content == COMMIT.pack(ref.length, ref.sha256)
            and (position, records.offset) == (ref.length, ref.end)
        ):
            return
        else:
            break
    raise WardlightError("object-damaged", "a spooled object does not verify")


def read_whole(descriptor: int, aead: AESGCM, ref: SpoolRef) -> memoryview:
    """The content of one object at once, verified to its end before any of it is given.

    So the records of other streams may be stepped over unread: an altered head among them would lead to a record that
    does not verify, or to another length. Raises `WardlightError("object-damaged")`.
    """
    content = memoryview(bytearray(ref.length))
    with RecordReader(descriptor, aead, ref.offset, ref.record, ref.end) as records:
        if not _whole(records, ref, content):
            raise WardlightError("object-damaged", "a spooled object does not verify")
    return content


def _whole(records: RecordReader, ref: SpoolRef, content: memoryview) -> bool:
    position = 0
    head = records.head()
    if head is None or head[:2] != (ref.stream, RecordType.BEGIN) or records.content(head[2]) is None:
        return False
    while (head := records.head()) is not None:
        stream, kind, length = head
        if stream != ref.stream:
            records.skip(length)
        elif kind == RecordType.DATA:
            end = position + length - TAG_BYTES
            if end > ref.length or not records.content_into(length, content[position:end]):
                return False
            position = end
        else:
            return (
                kind == RecordType.COMMIT
                and records.content(length) == COMMIT.pack(ref.length, ref.sha256)
                and (position, records.offset) == (ref.length, ref.end)
            )
    return False


def read_meta(descriptor: int, aead: AESGCM, ref: SpoolRef) -> dict[str, str]:
    """What `begin` was given for this object. Raises `WardlightError("object-damaged")`."""
    with RecordReader(descriptor, aead, ref.offset, ref.record, ref.end) as records:
        head = records.head()
        if head is not None and head[:2] == (ref.stream, RecordType.BEGIN):
            content = records.content(head[2])
            if content is not None:
                meta: dict[str, str] = json.loads(content)
                return meta
    raise WardlightError("object-damaged", "a spooled object does not verify")


class _Stream:
    """A stream that was begun and not ended yet."""

    __slots__ = ("digest", "length", "meta", "offset", "record")

    def __init__(self, meta: dict[str, str], offset: int, record: int) -> None:
        self.meta = meta
        self.offset = offset
        self.record = record
        self.length = 0
        self.digest = hashlib.sha256()


def scan_records(descriptor: int, aead: AESGCM, file_id: str, watermark: int) -> Scan:
    """Verify every record up to the first that is short or fails; an object exists only if its COMMIT verifies."""
    with RecordReader(descriptor, aead, HEADER_BYTES, 0, os.fstat(descriptor).st_size) as records:
        return _scan(records, file_id, watermark)


def _scan(records: RecordReader, file_id: str, watermark: int) -> Scan:
    streams: dict[int, _Stream] = {}
    objects: list[tuple[SpoolRef, dict[str, str]]] = []
    while (head := records.head()) is not None:
        number, kind, length = head
        offset, record = records.offset, records.number
        content = records.content(length)
        if content is None:
            break
        if kind == RecordType.CLOSE:
            return Scan(tuple(objects), records.offset, Verdict.CLOSED)
        if kind == RecordType.BEGIN:
            streams[number] = _Stream(json.loads(content), offset, record)
        elif number not in streams:
            break
        elif kind == RecordType.DATA:
            streams[number].digest.update(content)
            streams[number].length += len(content)
        else:
            stream = streams.pop(number)
            sha256 = stream.digest.digest()
            if kind == RecordType.COMMIT and content == COMMIT.pack(stream.length, sha256):
                place = SpoolRef(
                    file_id, number, stream.offset, stream.record, records.offset, stream.length, sha256
                )
                objects.append((place, stream.meta))
    verdict = Verdict.DAMAGED if records.offset < watermark else Verdict.TORN
    return Scan(tuple(objects), records.offset, verdict)
