"""Frames of one instance: their stored bytes, or what the decoders make of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final, Protocol

from wardlight.archive.model import InstanceLocation
from wardlight.decoding.jobs import REASONS
from wardlight.decoding.model import Frame
from wardlight.dicom.explicit import swapped
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, transfer_syntax
from wardlight.dicomweb.call import Call
from wardlight.dicomweb.source import Source, describe, frame_pieces, open_source, require_room
from wardlight.errors import WardlightError

#: Fragments of a frame up to this size are read in one go.
AT_ONCE: Final = 4 << 20


class FrameSource(Protocol):
    """Frames, counting from 1."""

    @property
    def count(self) -> int:
        """How many there are."""

    def read(self, number: int) -> Iterator[bytes]:
        """The bytes of one frame."""

    def length(self, number: int) -> int | None:
        """How many bytes `read` gives, None where that is not known ahead."""


class StoredFrames:
    """The stored bytes, cut out and never decoded. Raises `not-acceptable` where frames cannot be told apart."""

    def __init__(self, call: Call, location: InstanceLocation) -> None:
        self._call = call
        self._location = location
        self._table = call.archive.frames(call.scope, location)

    @property
    def count(self) -> int:
        return len(self._table.frames)

    def pieces(self, number: int) -> Sequence[tuple[int, int]]:
        """Where the bytes of one frame lie in the file."""
        return self._table.frames[number - 1]

    def length(self, number: int) -> int:
        if self._table.bit_packed:
            return (self._table.frame_bits + 7) // 8
        return sum(end - start for start, end in self._table.frames[number - 1])

    def read(self, number: int) -> Iterator[bytes]:
        pieces = self._table.frames[number - 1]
        if self._table.bit_packed:
            yield self._unpacked(number)
        elif len(pieces) <= 1 or pieces[-1][1] - pieces[0][0] > AT_ONCE:
            for position, (start, end) in enumerate(pieces):
                yield from self._read(start, end, frames=int(position == 0))
        else:
            # Fragments of a small frame are read in one go, and the item heads between cut out.
            first = pieces[0][0]
            span = b"".join(self._read(first, pieces[-1][1], frames=1))
            for start, end in pieces:
                yield span[start - first : end - first]

    def _unpacked(self, number: int) -> bytes:
        """A frame of 1-bit pixels, moved to start at a byte (PS3.5 8.1.1: the first pixel is the lowest bit)."""
        ((start, end),) = self._table.frames[number - 1]
        bits = int.from_bytes(b"".join(self._read(start, end, frames=1)), "little")
        bits >>= (number - 1) * self._table.frame_bits % 8
        return (bits & ((1 << self._table.frame_bits) - 1)).to_bytes(self.length(number), "little")

    def _read(self, start: int, end: int, *, frames: int) -> Iterator[bytes]:
        return self._call.archive.read(self._call.scope, self._location, start, end, frames=frames)


class CodedFrames:
    """Frames in another encoding. What they decode to is what the instance's metadata describes.

    Raises `not-acceptable` where these pixels cannot be given so.
    """

    def __init__(self, call: Call, location: InstanceLocation, syntax: str) -> None:
        self._call = call
        self._location = location
        self._syntax = syntax
        deflated = transfer_syntax(location.transfer_syntax).deflated
        self._stored = None if deflated else StoredFrames(call, location)
        if self._stored is not None and not self._stored.count:
            return  # There is nothing to describe, and nothing to give.
        if not (self._frame.encodable(syntax) or self._as_they_are):
            raise WardlightError("not-acceptable", "these pixels cannot be given in this transfer syntax")

    @cached_property
    def _source(self) -> Source:
        """A deflated instance, as far as it was read."""
        return open_source(self._call, self._location, frames=1)

    @cached_property
    def _frame(self) -> Frame:
        if self._stored is None:
            return self._source.frame()
        call, location = self._call, self._location
        assert location.pixel is not None
        start, middle = location.dataset_offset, location.dataset_offset + location.header_length
        data = b"".join(call.archive.read(call.scope, location, start, location.pixel.offset, frames=0))
        words = data[location.header_length + 4 : location.header_length + 6] == b"OW"
        return describe(
            data[: middle - start], transfer_syntax(location.transfer_syntax), location.pixel, words=words
        )

    @property
    def _as_they_are(self) -> bool:
        """Whether native pixels stay native, so that no decoder is needed."""
        return self._frame.native and self._syntax == EXPLICIT_LITTLE.uid

    @property
    def count(self) -> int:
        if self._stored is not None:
            return self._stored.count
        return self._location.frames if self._source.pixel is not None else 0

    def length(self, number: int) -> int | None:
        if self._syntax != EXPLICIT_LITTLE.uid:
            return None
        if self._as_they_are:
            return self._stored.length(number) if self._stored is not None else self._frame.size
        return self._frame.decoded_size

    def read(self, number: int) -> Iterator[bytes]:
        frame = self._frame
        if self._stored is not None:
            require_room(self._stored.pieces(number))
        data = b"".join(self._stored.read(number)) if self._stored is not None else self._inflated(number)
        if self._as_they_are:
            big = transfer_syntax(self._location.transfer_syntax).big_endian
            yield swapped(data, frame.word) if big else data
            return
        arguments = {"frame": frame.to_json(), "target": self._syntax, "described": True}
        _, encoded = self._call.decode("transcode", arguments, [data])
        if len(encoded) != 1 or self.length(number) not in (None, len(encoded[0])):
            raise WardlightError("cannot-decode", REASONS["damaged"])
        with self._call.sending(encoded[0]):
            yield encoded[0]

    def _inflated(self, number: int) -> bytes:
        """Out of a deflated data set, which is read on from the last frame, or again from its beginning."""
        if self._frame.bits_allocated == 1:
            raise WardlightError("not-acceptable", "packed pixels within a deflated data set cannot be given")
        ((start, end),) = frame_pieces(self._call, self._source, self._frame)[number - 1]
        if start < self._source.cursor.position:
            del self._source
        self._source.cursor.skip(start)
        return self._source.cursor.take(end)
