"""The encrypted object: a header of 104 bytes, then AES-256-GCM chunks as STREAM (security.md §3).

One format for segments, metadata, quarantine and upload parts; spool files share the header. Everything in the header
is bound through the derivation of the object's key, and each chunk through its nonce: its place and whether it is the
last. Nothing is released before its chunk verifies.
"""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardlight.classification.model import DataClass
from wardlight.errors import WardlightError
from wardlight.keys.derive import derive
from wardlight.keys.labels import Label

HEADER_BYTES: Final = 104
TAG_BYTES: Final = 16
CHUNK_LOG2: Final = 16
CHUNK_BYTES: Final = 1 << CHUNK_LOG2
MOST_CHUNKS: Final = 1 << 24  # 1 TiB: the bound under which security.md §3 counts the forgery probability

_MAGIC: Final = b"WLSG"
_VERSION: Final = 1
_SUITE: Final = 1
_HEAD: Final = struct.Struct(">4sBBBB16s16s")
_LEAST_LOG2: Final = 12
_MOST_LOG2: Final = 20
# Chunks encrypted before one write: larger gains nothing, and each writer holds this buffer.
_CHUNKS_A_WRITE: Final = 4


class ObjectKind(IntEnum):
    """What an object holds; bound into its key."""

    SEGMENT = 1
    SPOOL = 2
    METADATA = 3
    RENDITION = 4
    QUARANTINE = 5
    MACHINE_DATA = 6
    UPLOAD_PART = 7


#: The class of what an object of the kind holds, the strictest where it may be of several: a segment of a release that
#: is not identified is pseudonymised, or anonymised if somebody said so.
CLASSES: Final = {
    ObjectKind.SEGMENT: DataClass.IMAGE_IDENTIFIED,
    ObjectKind.SPOOL: DataClass.IMAGE_IDENTIFIED,
    ObjectKind.METADATA: DataClass.HEALTH,
    ObjectKind.RENDITION: DataClass.IMAGE_IDENTIFIED,
    ObjectKind.QUARANTINE: DataClass.IMAGE_IDENTIFIED,
    ObjectKind.MACHINE_DATA: DataClass.LOG,
    ObjectKind.UPLOAD_PART: DataClass.IMAGE_IDENTIFIED,
}

_KINDS: Final = frozenset(int(kind) for kind in ObjectKind)


@dataclass(frozen=True, slots=True)
class Header:
    """The readable fields of a header; they are authentic only after `open_header` derived the key from them."""

    kind: ObjectKind
    chunk_log2: int
    key_id: UUID
    object_id: UUID


def make_header(
    sk: bytes, kind: ObjectKind, key_id: UUID, object_id: UUID, chunk_log2: int = CHUNK_LOG2
) -> tuple[bytes, bytes]:
    """A header with a fresh salt, and the object key that belongs to it.

    Each call gives another key: one call is one writer's life. After an error or a restart, make a new object.
    """
    head = _HEAD.pack(_MAGIC, _VERSION, _SUITE, kind, chunk_log2, key_id.bytes, object_id.bytes)
    salt = os.urandom(32)
    key, commitment = _object_key(sk, head, salt)
    return head + salt + commitment, key


def parse_header(header: bytes) -> Header:
    """The fields of a header. Raises `WardlightError("object-damaged")` when it is none of version 1, suite 1."""
    if len(header) < HEADER_BYTES:
        raise WardlightError("object-damaged", "shorter than its header")
    magic, version, suite, kind, chunk_log2, key_id, object_id = _HEAD.unpack_from(header)
    if magic != _MAGIC or version != _VERSION or suite != _SUITE:
        raise WardlightError("object-damaged", "not an encrypted object of version 1")
    if not _LEAST_LOG2 <= chunk_log2 <= _MOST_LOG2 or kind not in _KINDS:
        raise WardlightError("object-damaged", "header field out of range")
    return Header(ObjectKind(kind), chunk_log2, UUID(bytes=key_id), UUID(bytes=object_id))


def open_header(sk: bytes, header: bytes) -> bytes:
    """The object key of a header that `parse_header` took.

    Raises `WardlightError("wrong-key")` when the commitment does not fit: another key, or an altered header.
    """
    key, commitment = _object_key(sk, header[: _HEAD.size], header[40:72])
    if not hmac.compare_digest(commitment, header[72:HEADER_BYTES]):
        raise WardlightError("wrong-key")
    return key


def plaintext_bytes(size: int, chunk_bytes: int = CHUNK_BYTES) -> int:
    """Bytes of content in an object of `size` stored bytes.

    Raises `WardlightError("object-damaged")` for a size that no whole object has.
    """
    full, rest = divmod(size - HEADER_BYTES, chunk_bytes + TAG_BYTES)
    if (
        size < HEADER_BYTES
        or (rest == 0 and full == 0)
        or 0 < rest < TAG_BYTES
        or (rest == TAG_BYTES and full > 0)
    ):
        raise WardlightError("object-damaged", "truncated")
    return size - HEADER_BYTES - TAG_BYTES * (full + (rest > 0))


class Encryptor:
    """Encrypts one object, once, into `sink`, which must take every byte or raise.

    After any error it is dead: a chunk index is never encrypted a second time. Holds about 330 KiB.
    """

    __slots__ = (
        "_aead",
        "_filled",
        "_held",
        "_index",
        "_open",
        "_out",
        "_pending",
        "_sink",
        "plaintext",
        "size",
    )

    def __init__(
        self, sk: bytes, key_id: UUID, object_id: UUID, kind: ObjectKind, sink: Callable[[memoryview], None]
    ) -> None:
        header, key = make_header(sk, kind, key_id, object_id)
        self._aead = AESGCM(key)
        self._sink = sink
        self._out = memoryview(bytearray(HEADER_BYTES + _CHUNKS_A_WRITE * (CHUNK_BYTES + TAG_BYTES)))
        self._out[:HEADER_BYTES] = header
        self._filled = HEADER_BYTES
        self._pending = memoryview(bytearray(CHUNK_BYTES))
        self._held = 0
        self._index = 0
        self._open = True
        self.plaintext = 0
        """Bytes of content taken so far: the offset at which the next write begins."""
        self.size = 0
        """Stored bytes given to the sink so far."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add content. Whatever the sink raises is passed on and ends the object."""
        view = memoryview(data).cast("B")
        self._begin()
        length, position = len(view), 0
        if self._held:
            position = min(CHUNK_BYTES - self._held, length)
            self._pending[self._held : self._held + position] = view[:position]
            self._held += position
            if position < length:
                self._chunk(self._pending, last=False)
                self._held = 0
        # A full chunk is held back until more comes, since it may be the last.
        while length - position > CHUNK_BYTES:
            self._chunk(view[position : position + CHUNK_BYTES], last=False)
            position += CHUNK_BYTES
        if position < length:
            self._pending[: length - position] = view[position:]
            self._held = length - position
        self.plaintext += length
        self._open = True

    def finish(self) -> int:
        """Write the last chunk. Returns the object's stored size in bytes; the object is complete."""
        self._begin()
        self._chunk(self._pending[: self._held], last=True)
        self._flush()
        return self.size

    def abandon(self) -> None:
        """Take nothing any more."""
        self._open = False

    def _begin(self) -> None:
        if not self._open:
            raise ValueError(
                "an encrypted object that failed, was finished or abandoned takes nothing any more"
            )
        self._open = False  # until the call has succeeded

    def _chunk(self, data: memoryview, *, last: bool) -> None:
        index = self._index
        if index >= MOST_CHUNKS:
            raise WardlightError("too-large", "an encrypted object has at most 2^24 chunks")
        self._index = index + 1
        end = self._filled + len(data) + TAG_BYTES
        self._aead.encrypt_into(_nonce(index, last), data, None, self._out[self._filled : end])
        self._filled = end
        if end + CHUNK_BYTES + TAG_BYTES > len(self._out):
            self._flush()

    def _flush(self) -> None:
        self._sink(self._out[: self._filled])
        self.size += self._filled
        self._filled = 0


class Decryptor:
    """Reads any range of one object through `pread(offset, length)`, which may give fewer bytes at the end only."""

    __slots__ = ("_aead", "_chunk_bytes", "_last", "_pread", "header", "plaintext")

    def __init__(self, pread: Callable[[int, int], bytes], size: int, sk: bytes, object_id: UUID) -> None:
        """`size` is the stored size that the index knows; the caller has compared it with the store's.

        Raises `WardlightError` `"object-damaged"` or `"wrong-key"`; nothing was decrypted then.
        """
        header = pread(0, HEADER_BYTES)
        self.header = parse_header(header)
        if self.header.object_id != object_id or self.header.kind is ObjectKind.SPOOL:
            raise WardlightError("object-damaged", "another object lies in this place")
        self._chunk_bytes = 1 << self.header.chunk_log2
        self.plaintext = plaintext_bytes(size, self._chunk_bytes)
        self._last = max(0, self.plaintext - 1) // self._chunk_bytes
        self._aead = AESGCM(open_header(sk, header))
        self._pread = pread

    def read(self, start: int, end: int) -> bytes:
        """The content's bytes from `start` up to `end`. Reads and verifies exactly the chunks they lie in.

        Raises `WardlightError` `"range-not-satisfiable"` or `"object-damaged"`.
        """
        if not 0 <= start <= end <= self.plaintext:
            raise WardlightError("range-not-satisfiable")
        if start == end:
            return b""
        size = self._chunk_bytes
        first, last = start // size, (end - 1) // size
        chunks = self._chunks(first, last)
        if first == last:
            return chunks[0][start - first * size : end - first * size]
        chunks[0] = chunks[0][start - first * size :]
        chunks[-1] = chunks[-1][: end - last * size]
        return b"".join(chunks)

    def iter(self, start: int, end: int, chunk: int = 4 * CHUNK_BYTES) -> Iterator[bytes]:
        """The same in pieces of at most `chunk` bytes, cut at multiples of it so that no chunk is read twice."""
        while start < end:
            stop = min(end, start - start % chunk + chunk)
            yield self.read(start, stop)
            start = stop

    def verify(self) -> None:
        """Verify every chunk, for fsck. Raises `WardlightError("object-damaged")`."""
        for index in range(self._last + 1):
            self._chunks(index, index)

    def _chunks(self, first: int, last: int) -> list[bytes]:
        stride = self._chunk_bytes + TAG_BYTES
        begin = HEADER_BYTES + first * stride
        end = HEADER_BYTES + (last + 1) * stride
        if last == self._last:
            end = HEADER_BYTES + self.plaintext + (last + 1) * TAG_BYTES
        stored = memoryview(self._pread(begin, end - begin))
        if len(stored) != end - begin:
            raise WardlightError("object-damaged", "truncated")
        decrypt, final = self._aead.decrypt, self._last
        try:
            return [
                decrypt(
                    _nonce(index, index == final),
                    stored[(index - first) * stride : (index - first + 1) * stride],
                    None,
                )
                for index in range(first, last + 1)
            ]
        except InvalidTag:
            raise WardlightError("object-damaged", "a chunk does not verify") from None


def _nonce(index: int, last: bool) -> bytes:
    """`00×7 ‖ u32 index ‖ last`."""
    return (index << 8 | last).to_bytes(12, "big")


def _object_key(sk: bytes, head: bytes, salt: bytes) -> tuple[bytes, bytes]:
    okm = derive(sk, Label.OBJECT, head, salt=salt, length=64)
    return okm[:32], okm[32:]
