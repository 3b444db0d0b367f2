"""What of a spooled data set goes out behind a new header: read from the spool when it is sent, never held whole."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from wardlight.deid.pixels import PixelError
from wardlight.deid.protect import Buffer, Pass
from wardlight.deid.verify_pixels import Unverified
from wardlight.dicom.limits import LIMITS
from wardlight.dicom.stream import cut, deflated
from wardlight.errors import WardlightError

Reader = Callable[[int], Iterator[Buffer]]
"""Begins to read the data set of one object from the spool, at an offset."""

_INFLATE_STEP: Final = 64 << 10
_DEFLATED_STEP: Final = 16 << 10


@dataclass(frozen=True, slots=True)
class Part:
    """One Part 10 file to be sent: bytes made here, then bytes [start, end) of the spooled data set.

    head: preamble, file meta and, if it was changed, the data set up to the pixel value. deflated: the spooled data
    set is deflated and the range counts in its inflated bytes; then all after `meta_length` is deflated again.
    length: of the whole file, in bytes. through: cleans and verifies the pixel value, which is what the range holds.
    """

    head: bytes
    meta_length: int
    start: int
    end: int
    deflated: bool
    length: int
    through: Pass | None = None

    def chunks(self, read: Reader) -> Iterator[Buffer]:
        """The file, piece by piece. Raises WardlightError("object-damaged") if it is not what it was.

        That is another length, or pixels that the verifier does not pass.
        """
        left = self.length
        try:
            for chunk in self._pieces(read):
                left -= len(chunk)
                if left < 0:
                    break
                yield chunk
        except (PixelError, Unverified) as error:
            raise WardlightError("object-damaged", "pixel data was not verified", reason=error.code) from None
        if left:
            raise WardlightError("object-damaged", "an object of the spool has another length than before")

    def _pieces(self, read: Reader) -> Iterator[Buffer]:
        if not self.deflated:
            return _plain(self.head, self.start, self.end, read, self.through)
        return _deflated(self.head, self.meta_length, self.start, self.end, read, self.through)


def plain_part(
    head: bytes,
    meta_length: int,
    start: int,
    end: int,
    through: Pass | None = None,
    made: int | None = None,
) -> Part:
    """A file whose data set is not deflated, or goes out as it came. made: bytes that `through` makes of the range."""
    length = end - start if made is None else made
    return Part(head, meta_length, start, end, False, len(head) + length, through)


def deflated_part(
    head: bytes, meta_length: int, start: int, end: int, read: Reader, through: Pass | None = None
) -> Part:
    """A file whose changed data set is deflated again.

    It is deflated twice, once to know its length: nothing is held, and few objects have this transfer syntax. Raises
    what `through` raises.
    """
    length = sum(len(chunk) for chunk in _deflated(head, meta_length, start, end, read, through))
    return Part(head, meta_length, start, end, True, length, through)


def _plain(head: bytes, start: int, end: int, read: Reader, through: Pass | None) -> Iterator[Buffer]:
    yield head
    if end > start:
        value = cut(read(start), 0, end - start)
        yield from value if through is None else through(value)


def _deflated(
    head: bytes, meta_length: int, start: int, end: int, read: Reader, through: Pass | None
) -> Iterator[Buffer]:
    yield head[:meta_length]
    yield from deflated(_changed(head[meta_length:], start, end, read, through))


def _changed(head: bytes, start: int, end: int, read: Reader, through: Pass | None) -> Iterator[Buffer]:
    yield head
    if end > start or through is None:
        # Without pixel data the rest is read all the same: a damaged object is found before it is announced.
        value = cut(inflate(read(0)), start, end)
        yield from value if through is None else through(value)


def inflate(chunks: Iterator[Buffer]) -> Iterator[bytes]:
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
