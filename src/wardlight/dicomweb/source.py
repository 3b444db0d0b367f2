"""One stored instance read from its beginning to its end, as transcoding goes through it: header, frames, the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from wardlight.archive.model import InstanceLocation, PixelIndex
from wardlight.decoding.jobs import REASONS
from wardlight.decoding.model import Frame
from wardlight.decoding.pool import LARGEST
from wardlight.dicom.codec import codec_of
from wardlight.dicom.errors import DicomError
from wardlight.dicom.stream import DataSetStream, inflated
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, TransferSyntax, transfer_syntax
from wardlight.dicomweb.call import Call
from wardlight.dicomweb.rendered_attributes import top_level
from wardlight.dicomweb.rendered_plan import ImageHeader
from wardlight.errors import WardlightError

PIXEL_DATA: Final = 0x7FE00010
_DAMAGED: Final = "a stored data set cannot be parsed"


class Cursor:
    """Reads forwards through pieces of bytes that are cut anywhere; offsets count from their beginning."""

    def __init__(self, pieces: Iterator[bytes], position: int = 0) -> None:
        self._pieces = pieces
        self._held = memoryview(b"")
        self.position = position

    def until(self, end: int) -> Iterator[memoryview]:
        """The bytes up to offset `end`. Raises `object-damaged` where there are fewer."""
        while self.position < end:
            if not self._held:
                self._held = memoryview(self._next())
            piece = self._held[: end - self.position]
            self._held = self._held[len(piece) :]
            self.position += len(piece)
            yield piece

    def take(self, end: int) -> bytes:
        """As `until`, joined."""
        return b"".join(self.until(end))

    def skip(self, start: int) -> None:
        """Go forwards to offset `start`."""
        if start < self.position:
            raise WardlightError("not-acceptable", "the frames of this instance are not in order")
        for _ in self.until(start):
            pass

    def rest(self) -> Iterator[bytes]:
        """All that is left."""
        if self._held:
            yield bytes(self._held)
        yield from self._pieces

    def _next(self) -> bytes:
        for piece in self._pieces:
            if piece:
                return piece
        raise WardlightError("object-damaged", _DAMAGED)


@dataclass(frozen=True, slots=True)
class Source:
    """An instance that is being read.

    meta: preamble and file meta information. header: data set before the pixel data, encoded in `syntax`. pixel: where
    the cursor meets the pixel data, None where there is none. vr: of the pixel data. deflated: stored so; what is here
    is inflated.
    """

    location: InstanceLocation
    meta: bytes = field(repr=False)
    header: bytes = field(repr=False)
    syntax: TransferSyntax
    pixel: PixelIndex | None
    vr: bytes
    cursor: Cursor
    deflated: bool = False

    @property
    def explicit_little(self) -> bool:
        """Whether the data set is encoded so, whatever the pixels are."""
        codec = codec_of(self.syntax, self.header, 0)
        return not codec.implicit and not codec.big

    def frame(self) -> Frame:
        """How each frame is encoded. Raises `cannot-decode` where the description contradicts itself."""
        return describe(self.header, self.syntax, self.pixel, words=self.vr == b"OW")

    @property
    def pixel_end(self) -> int:
        """Offset of the first byte after the pixel data element."""
        assert self.pixel is not None
        if self.pixel.length >= 0:
            return self.pixel.offset + self.pixel.length
        offset, length = self.pixel.fragments[-1] if self.pixel.fragments else (self.pixel.offset, 0)
        return offset + length + 8  # The sequence delimiter.


def require_room(pieces: Iterable[tuple[int, int]]) -> None:
    """Refuse an encoded frame that no decoder takes before it is read into memory. Raises `cannot-decode`."""
    if sum(end - start for start, end in pieces) > LARGEST:
        raise WardlightError("cannot-decode", REASONS["too-large"])


def describe(header: bytes, syntax: TransferSyntax, pixel: PixelIndex | None, *, words: bool) -> Frame:
    """The pixels as the header describes them. Raises `cannot-decode` where that contradicts itself."""
    floating = pixel is not None and pixel.tag != PIXEL_DATA
    try:
        return ImageHeader(top_level(header, syntax), syntax.uid, floating, words).frame
    except DicomError:
        raise WardlightError("object-damaged", _DAMAGED) from None


def open_source(call: Call, location: InstanceLocation, *, frames: int = 0, instances: int = 0) -> Source:
    """Begin to read an instance. frames, instances: what it counts as in the audit trail."""
    cursor = Cursor(call.archive.read(call.scope, location, frames=frames, instances=instances))
    meta = cursor.take(location.dataset_offset)
    syntax = transfer_syntax(location.transfer_syntax)
    if syntax.deflated:
        return _open_deflated(location, meta, cursor)
    header = cursor.take(location.dataset_offset + location.header_length)
    vr = b""
    if location.pixel is not None:
        head = cursor.take(location.pixel.offset)
        vr = head[4:6] if not codec_of(syntax, header, 0).implicit else b"OW"
    return Source(location, meta, header, syntax, location.pixel, vr, cursor)


def _open_deflated(location: InstanceLocation, meta: bytes, cursor: Cursor) -> Source:
    """The data set inflated up to the beginning of its pixel data; offsets count from its own beginning."""
    stream = DataSetStream(EXPLICIT_LITTLE)
    pieces = _inflated(cursor.rest())
    held: list[bytes] = []
    try:
        for piece in pieces:
            held.append(piece)
            stream.feed(piece)
            if stream.header is not None:
                break
        else:
            stream.finish()
    except DicomError:
        raise WardlightError("object-damaged", _DAMAGED) from None
    inside = Cursor(chain(held, pieces))
    header = inside.take(len(stream.header or b""))
    pixel = None
    if stream.pixel is not None:
        inside.skip(stream.value_offset)
        pixel = PixelIndex(stream.pixel.tag, stream.value_offset, stream.pixel.length)
    vr = stream.pixel.vr if stream.pixel else b""
    return Source(location, meta, header, EXPLICIT_LITTLE, pixel, vr, inside, deflated=True)


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from inflated(pieces)
    except DicomError:
        raise WardlightError("object-damaged", _DAMAGED) from None


def frame_pieces(call: Call, source: Source, frame: Frame) -> Sequence[tuple[tuple[int, int], ...]]:
    """Where each frame lies for the cursor. Raises `not-acceptable` where frames cannot be told apart."""
    pixel, count = source.pixel, source.location.frames
    assert pixel is not None
    if pixel.length >= 0:
        if pixel.length < count * frame.size:
            raise WardlightError("not-acceptable", "pixel data and its description do not agree")
        starts = range(pixel.offset, pixel.offset + count * frame.size, frame.size)
        return [((start, start + frame.size),) for start in starts]
    table = call.archive.frames(call.scope, source.location).frames
    if len(table) != count:
        raise WardlightError("not-acceptable", "the frames of this instance cannot be told apart")
    return table
