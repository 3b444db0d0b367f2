"""What of a spooled data set goes out behind a new header: read from the spool when it is sent, never held whole."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from wardlight.dicom.limits import LIMITS
from wardlight.errors import WardlightError

Reader = Callable[[int], Iterator[bytes]]
"""Begins to read the data set of one object from the spool, at an offset."""

_INFLATE_STEP: Final = 64 << 10
_DEFLATED_STEP: Final = 16 << 10


@dataclass(frozen=True, slots=True)
class Part:
    """One Part 10 file to be sent: bytes made here, then bytes [start, end) of the spooled data set.

    head: preamble, file meta and, if it was changed, the data set up to the pixel value. deflated: the spooled data
    set is deflated and the range counts in its inflated bytes; then all after `meta_length` is deflated again.
    length: of the whole file, in bytes.
    """

    head: bytes
    meta_length: int
    start: int
    end: int
    deflated: bool
    length: int

    def chunks(self, read: Reader) -> Iterator[bytes | memoryview]:
        """The file, piece by piece. Raises WardlightError("object-damaged") if it does not have its length."""
        left = self.length
        for chunk in _pieces(self.head, self.meta_length, self.start, self.end, self.deflated, read):
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
        if left:
            raise WardlightError("object-damaged", "an object of the spool has another length than before")


def plain_part(head: bytes, meta_length: int, start: int, end: int) -> Part:
    """A file whose data set is not deflated, or goes out as it came."""
    return Part(head, meta_length, start, end, False, len(head) + end - start)


def deflated_part(head: bytes, meta_length: int, start: int, end: int, read: Reader) -> Part:
    """A file whose changed data set is deflated again.

    It is deflated twice, once to know its length: nothing is held, and few objects have this transfer syntax.
    """
    length = sum(len(chunk) for chunk in _pieces(head, meta_length, start, end, True, read))
    return Part(head, meta_length, start, end, True, length)


def _pieces(
    head: bytes, meta_length: int, start: int, end: int, deflated: bool, read: Reader
) -> Iterator[bytes | memoryview]:
    if not deflated:
        yield head
        if end > start:
            yield from cut(read(start), 0, end - start)
        return
    yield head[:meta_length]
    compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    size = 0
    for chunk in _changed(head[meta_length:], cut(inflate(read(0)), start, end)):
        packed = compressor.compress(chunk)
        size += len(packed)
        if packed:
            yield packed
    packed = compressor.flush()
    size += len(packed)
    # The deflated stream is padded to an even length with one zero byte (PS3.5 A.5).
    yield packed + b"\0" if size % 2 else packed


def _changed(head: bytes, body: Iterator[memoryview]) -> Iterator[bytes | memoryview]:
    yield head
    yield from body


def cut(chunks: Iterator[bytes], start: int, end: int) -> Iterator[memoryview]:
    """Bytes [start, end) of a stream, as slices of its chunks; reads no further than needed."""
    position = 0
    for chunk in chunks:
        following = position + len(chunk)
        if following > start:
            first = max(start - position, 0)
            yield memoryview(chunk)[first : end - position]
        position = following
        if position >= end:
            return


def inflate(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Raw deflate in small steps, within the limits of the parser (it passed them when the object came)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    given = 0
    for chunk in chunks:
        for start in range(0, len(chunk), _DEFLATED_STEP):
            rest = chunk[start : start + _DEFLATED_STEP]
            while rest and not inflater.eof:
                try:
                    inflated = inflater.decompress(rest, _INFLATE_STEP)
                except zlib.error:
                    raise WardlightError("object-damaged", "a deflated object cannot be inflated") from None
                rest = inflater.unconsumed_tail
                given += len(inflated)
                if given > LIMITS.inflated:
                    raise WardlightError("object-damaged", "a deflated object is too large")
                if inflated:
                    yield inflated
    if not inflater.eof:
        raise WardlightError("object-damaged", "a deflated object is not complete")
