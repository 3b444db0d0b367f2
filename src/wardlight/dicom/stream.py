"""A data set that arrives in chunks: holds its header only, passes its pixel data by, and knows where both end."""

from __future__ import annotations

import zlib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from wardlight.dicom.codec import ITEM, Buffer, Codec, codec_of
from wardlight.dicom.elements import Element, scan_into
from wardlight.dicom.errors import DicomError, Truncated
from wardlight.dicom.limits import LIMITS, Limits
from wardlight.dicom.skip import read_item
from wardlight.dicom.transfer_syntax import DEFLATED, TransferSyntax

#: Inflated bytes taken at a time: bounds what one chunk of a deflate bomb can make us hold.
INFLATE_STEP: Final = 64 << 10
#: Deflated bytes given to zlib at a time: it copies what it has not consumed yet at every step.
_DEFLATED_STEP: Final = 16 << 10
#: Inflated bytes below which the ratio is not looked at: runs of zeros deflate 1000 : 1.
_RATIO_FROM: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PixelElement:
    """The top-level pixel data element. head: its encoded tag, VR and length; length: of the value, -1 undefined."""

    tag: int
    vr: bytes
    head: bytes
    length: int


class DataSetStream:
    """Follows one encoded data set, fed chunk by chunk, in memory of the order of its header.

    header: the bytes before the top-level pixel data element, as soon as that element was seen, else at `finish`;
    for a deflated syntax inflated. elements: those of `wanted` at the top level of the header, by tag. pixel,
    value_offset: the pixel data element and the offset of its value in the data set (-1: none). fragments: of
    encapsulated pixel data, (offset of the value in the data set, length), the basic offset table first; empty for a
    deflated syntax. total: bytes fed. tail_offset: of the first byte after the pixel data, once one was fed.
    first_value: what was fed of the pixel value and beyond when the header became whole; whoever needs it takes it
    before the next feed.

    Every offset counts from the start of the (inflated) data set. For other than deflated syntaxes the caller keeps
    the bytes it fed; this holds none but the header.
    """

    def __init__(
        self, syntax: TransferSyntax, *, limits: Limits = LIMITS, wanted: Container[int] | None = frozenset()
    ) -> None:
        self.syntax: Final = syntax
        self.header: bytes | None = None
        self.elements: dict[int, Element] = {}
        self.pixel: PixelElement | None = None
        self.value_offset = -1
        self.fragments: list[tuple[int, int]] = []
        self.total = 0
        self.tail_offset: int | None = None
        self.first_value: Buffer = b""
        self._limits: Final = limits
        self._wanted: Final = wanted
        self._inflater: Final = _Inflater(limits) if syntax.deflated else None
        self._codec: Codec | None = None
        self._buffer = bytearray()
        self._resume = 0
        self._count = 0
        self._need = 0
        self._seen = 0
        self._value_end = -1
        self._item_head = bytearray()
        self._next_item = -1
        self._items = 0

    @property
    def held(self) -> int:
        """Bytes of the (inflated) data set that this holds in memory."""
        return len(self._buffer) if self.header is None else len(self.header)

    def feed(self, chunk: Buffer) -> None:
        """Takes the next bytes. Raises `DicomError` where they cannot be part of a well-formed data set."""
        self.total += len(chunk)
        self.first_value = b""
        if self._inflater is None:
            self._feed(chunk)
            return
        for inflated in self._inflater.inflate(chunk):
            self._feed(inflated)

    def finish(self) -> None:
        """The data set has ended. Raises `Truncated` where that is too early."""
        if self._inflater is not None and not self._inflater.ended:
            raise Truncated(self._seen)
        if self.header is None and self._scan(self._buffer, last=True) and self.pixel is not None:
            self.first_value = bytes(memoryview(self._buffer)[self.value_offset :])
            self._follow(self.first_value, self.value_offset)
        self._buffer = bytearray()
        if self._value_end >= 0:
            if self._seen < self._value_end:
                raise Truncated(self._seen, self._value_end)
        elif self.pixel is not None:
            raise Truncated(self._seen)

    def _feed(self, chunk: Buffer) -> None:
        offset = self._seen
        self._seen += len(chunk)
        if self.header is None:
            data: Buffer = chunk
            if self._buffer:
                self._buffer += chunk
                data = self._buffer
            if self._seen < self._need or not self._scan(data, last=False):
                if self._seen > self._limits.header:
                    raise DicomError("header", self._resume)
                if data is chunk:
                    self._buffer += chunk
                return
            offset = self.value_offset
            chunk = memoryview(data)[offset:]
            if data is self._buffer:
                # A view would keep the whole buffer beside the header.
                chunk = bytes(chunk)
                self._buffer = bytearray()
            self.first_value = chunk
        self._follow(chunk, offset)

    def _scan(self, data: Buffer, *, last: bool) -> bool:
        """Looks for the pixel data from where the last look ended; True where it is found and the header set."""
        if self._codec is None:
            if len(data) < 8 and not last:  # the first element is not there yet, and may decide
                return False
            self._codec = codec_of(self.syntax, data, 0)
        try:
            found, end, self._count = scan_into(
                self.elements, data, self._codec, self._resume, self._wanted, self._limits, self._count
            )
        except Truncated as error:
            if last:
                raise
            self._wait(error, len(data))
            return False
        if found is None:
            if last:
                self.header = bytes(data)
            self._resume = end
            return False
        value = found.value
        view = memoryview(data)
        self.header = bytes(view[:end])
        self.pixel = PixelElement(found.tag, found.vr, bytes(view[end:value]), found.length)
        self.value_offset = value
        if found.length >= 0:
            self._value_end = found.end
        else:
            self._next_item = value
        return True

    def _wait(self, error: Truncated, size: int) -> None:
        """Another look can be better only with the element complete, or, where its length is open, much more of it."""
        if error.need - error.offset > self._limits.header:
            raise DicomError("header", error.offset)
        self._resume = error.offset
        self._count = error.seen
        need = max(error.need, size + 1) if error.need else 2 * size - error.offset + 16
        self._need = min(need, self._limits.header)

    def _follow(self, chunk: Buffer, offset: int) -> None:
        """Pixel data and what comes after; offset: of the chunk in the data set."""
        if self._value_end >= 0:
            if self._seen > self._value_end and self.tail_offset is None:
                self.tail_offset = self._value_end
            return
        assert self._codec is not None
        while self._next_item < self._seen:
            # Item headers may be cut between chunks; values are jumped over.
            have = len(self._item_head)
            begin = max(self._next_item + have, offset) - offset
            self._item_head += chunk[begin : begin + 8 - have]
            if len(self._item_head) < 8:
                return
            try:
                tag, _, _, length = read_item(self._item_head, 0, self._codec)
            except DicomError as error:
                raise DicomError(error.code, self._next_item) from None
            self._item_head.clear()
            value = self._next_item + 8
            if tag != ITEM:
                self._value_end = value
                if self._seen > value:
                    self.tail_offset = value
                return
            self._items += 1
            if self._items > self._limits.items:
                raise DicomError("items", self._next_item)
            if length < 0:
                raise DicomError("bad-item", self._next_item)
            if self._inflater is None:
                self.fragments.append((value, length))
            self._next_item = value + length


class _Inflater:
    """Raw deflate (PS3.5 A.5, RFC 1951) in small steps, with a bound on ratio and size."""

    def __init__(self, limits: Limits) -> None:
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        self._limits = limits
        self._taken = 0
        self._given = 0

    @property
    def ended(self) -> bool:
        """Whether the deflate stream is complete; padding may follow it."""
        return self._zlib.eof

    def inflate(self, chunk: Buffer) -> Iterator[bytes]:
        """The inflated bytes of the next chunk, at most 64 KiB at a time.

        Raises DicomError "inflate" for what is no deflate stream, "inflate-ratio" beyond a limit.
        """
        view = memoryview(chunk)
        for start in range(0, len(view), _DEFLATED_STEP):
            rest: Buffer = view[start : start + _DEFLATED_STEP]
            self._taken += len(rest)
            while not self._zlib.eof:
                try:
                    inflated = self._zlib.decompress(rest, INFLATE_STEP)
                except zlib.error:
                    raise DicomError("inflate", self._taken) from None
                rest = self._zlib.unconsumed_tail
                self._given += len(inflated)
                self._check()
                if inflated:
                    yield inflated
                if len(inflated) < INFLATE_STEP and not rest:
                    break

    def _check(self) -> None:
        limits = self._limits
        too_dense = self._given > _RATIO_FROM and self._given > limits.inflate_ratio * self._taken
        if too_dense or self._given > limits.inflated:
            raise DicomError("inflate-ratio", self._taken)


def inflated(chunks: Iterable[Buffer], *, limits: Limits = LIMITS) -> Iterator[bytes]:
    """A deflated data set, inflated, at most 64 KiB at a time. Raises `DicomError` as `DataSetStream.feed` does."""
    inflater = _Inflater(limits)
    for chunk in chunks:
        yield from inflater.inflate(chunk)


def cut(chunks: Iterable[bytes | memoryview], start: int, end: int) -> Iterator[memoryview]:
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


def deflated(chunks: Iterable[Buffer]) -> Iterator[bytes]:
    """A data set deflated, padded to an even length with one zero byte (PS3.5 A.5)."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    size = 0
    for chunk in chunks:
        packed = compressor.compress(chunk)
        size += len(packed)
        if packed:
            yield packed
    packed = compressor.flush()
    size += len(packed)
    yield packed + b"\0" if size % 2 else packed


def inflate_header(data: Buffer, *, limits: Limits = LIMITS) -> bytes:
    """The header (bytes before the pixel data) of a whole deflated data set, inflated."""
    stream = DataSetStream(DEFLATED, limits=limits)
    stream.feed(data)
    stream.finish()
    assert stream.header is not None
    return stream.header
