"""Frames of one instance as pictures: header and pixels are read here, decoded and encoded in the decoder process."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from wardlight.archive.model import InstanceLocation
from wardlight.decoding.render_plan import Function, Window
from wardlight.dicom.errors import DicomError
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, transfer_syntax
from wardlight.dicomweb import rendered_video
from wardlight.dicomweb.call import Call
from wardlight.dicomweb.rendered_attributes import Attributes, top_level
from wardlight.dicomweb.rendered_media import GIF, MP4
from wardlight.dicomweb.rendered_parameters import Parameters
from wardlight.dicomweb.rendered_plan import ImageHeader, plan_for
from wardlight.dicomweb.source import require_room
from wardlight.errors import WardlightError

_PIXEL_DATA: Final = 0x7FE00010
#: Frames of one moving picture (security.md section 8).
MOST_FRAMES: Final = 2000
#: A run of video that is coded at once: so many frames, or less where they are large. One begins with a frame that
#: needs no other, so this is also how far one must go back to jump to a place.
_RUN_FRAMES: Final = 12
_RUN_BYTES: Final = 16 << 20
#: An image of one frame up to this size is read with its header.
_AT_ONCE: Final = 4 << 20
#: A deflated data set is inflated whole, up to this size: no frame of it can be found otherwise.
_INFLATED: Final = 64 << 20


@dataclass(frozen=True)
class Instance:
    """One instance that is rendered within a call."""

    call: Call
    location: InstanceLocation
    wanted: Parameters = field(default_factory=Parameters)

    @cached_property
    def _inflated(self) -> bytes:
        """The data set of a deflated syntax. Raises `not-acceptable` where it is too large."""
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        found = bytearray()
        try:
            for piece in self.call.archive.read(
                self.call.scope, self.location, self.location.dataset_offset, frames=0
            ):
                found += inflater.decompress(piece, _INFLATED + 1 - len(found))
                if len(found) > _INFLATED:
                    raise WardlightError(
                        "not-acceptable", "the deflated data set is too large to be rendered"
                    )
        except zlib.error:
            raise WardlightError("object-damaged", "a stored data set cannot be inflated") from None
        return bytes(found)

    def count_whole(self) -> None:
        """Enter the instance in the trail as one that was read, before what its header holds is given."""
        for _ in self.call.archive.read(self.call.scope, self.location, 0, 0, frames=0, instances=1):
            pass

    @cached_property
    def _at_once(self) -> bytes:
        """The data set up to the end of its only frame, in one read; "" where there are more, or it is large."""
        location = self.location
        pieces = pixel_pieces(location)
        if location.frames != 1 or not pieces or pieces[-1][1] - location.dataset_offset > _AT_ONCE:
            return b""
        start, end = location.dataset_offset, pieces[-1][1]
        return b"".join(self.call.archive.read(self.call.scope, location, start, end, frames=1))

    @cached_property
    def attributes(self) -> Attributes:
        """The header."""
        location = self.location
        syntax = transfer_syntax(location.transfer_syntax)
        start = location.dataset_offset
        try:
            if syntax.deflated:
                return top_level(self._inflated, EXPLICIT_LITTLE)
            data = self._at_once[: location.header_length]
            if not data:
                end = start + location.header_length
                data = b"".join(self.call.archive.read(self.call.scope, location, start, end, frames=0))
            return top_level(data, syntax)
        except DicomError:
            raise WardlightError("object-damaged", "a stored data set cannot be parsed") from None

    @cached_property
    def image(self) -> ImageHeader:
        """The header as an image's."""
        location = self.location
        pixel = location.pixel
        floating = pixel is not None and pixel.tag != _PIXEL_DATA
        words = False
        if pixel is not None and transfer_syntax(location.transfer_syntax).big_endian:
            # Words are swapped in big endian, bytes are not; which of them it is stands before the value.
            start = pixel.offset - 8
            read = self.call.archive.read(self.call.scope, location, start, start + 2, frames=0)
            words = b"".join(read) == b"OW"
        return ImageHeader(self.attributes, location.transfer_syntax, floating, words)

    @cached_property
    def _read_frame(self) -> tuple[int, Callable[[int, bool], bytes]]:
        """How many frames there are, and what reads one of them, counting from 1."""
        if transfer_syntax(self.location.transfer_syntax).deflated:
            return self._deflated_frames()
        if self._at_once:
            begin = self.location.dataset_offset
            only = [self._at_once[start - begin : end - begin] for start, end in pixel_pieces(self.location)]
            return 1, lambda _number, _counted: b"".join(only)
        table = self.call.archive.frames(self.call.scope, self.location)

        def read(number: int, counted: bool) -> bytes:
            require_room(table.frames[number - 1])
            pieces = [
                b"".join(
                    self.call.archive.read(
                        self.call.scope, self.location, start, end, frames=int(counted and not place)
                    )
                )
                for place, (start, end) in enumerate(table.frames[number - 1])
            ]
            return _from_bit(b"".join(pieces), (number - 1) * table.frame_bits % 8, table.frame_bits)

        return len(table.frames), read

    def _deflated_frames(self) -> tuple[int, Callable[[int, bool], bytes]]:
        pixel = self.attributes.pixel
        if pixel is None or pixel.length < 0:
            return 0, lambda _number, _counted: b""
        data = self._inflated
        bits = self.image.frame.rows * self.image.frame.columns
        bits *= self.image.frame.samples * self.image.frame.bits_allocated

        def read(number: int, counted: bool) -> bytes:
            for _ in self.call.archive.read(self.call.scope, self.location, 0, 0, frames=int(counted)):
                pass  # Nothing is read, since it is here already, but it is counted.
            first = (number - 1) * bits
            start, end = pixel.value + first // 8, pixel.value + (first + bits + 7) // 8
            return _from_bit(data[start:end], first % 8, bits)

        return self.image.frames, read

    @property
    def frames(self) -> int:
        """How many frames can be rendered. Raises `not-acceptable` where they cannot be told apart."""
        return self._read_frame[0]

    def still(self, number: int, media: str) -> bytes:
        """One frame, counting from 1, as one picture. Raises `not-found`, `cannot-decode`."""
        return self._run("render", media, [number])[1][0]

    def moving(self, numbers: Sequence[int], media: str) -> Iterator[bytes]:
        """Frames as one moving picture, a few at a time. Raises `too-large`, `not-found`, `cannot-decode`."""
        if len(numbers) > MOST_FRAMES:
            raise WardlightError(
                "too-large", f"a moving picture has at most {MOST_FRAMES} frames; name some of them"
            )
        alike = self._alike(numbers)
        return alike._gif(numbers) if media == GIF else alike._mp4(numbers)

    def _alike(self, numbers: Sequence[int]) -> Instance:
        """With the window of the frame in the middle for all, where none is given: brightness must not flicker."""
        if self.wanted.window is not None or len(numbers) < 2:
            return self
        found = self._run("window", "", [numbers[len(numbers) // 2]], counted=False)[0]["window"]
        if not found:
            return self
        window = Window(found[0], found[1], Function.LINEAR_EXACT)
        return replace(self, wanted=replace(self.wanted, window=window))

    def _gif(self, numbers: Sequence[int]) -> Iterator[bytes]:
        for place, number in enumerate(numbers):
            result, (frame,) = self._run("render", GIF, [number])
            if not place:
                yield rendered_video.gif_head(result["width"], result["height"])
            yield frame
        yield rendered_video.GIF_END

    def _mp4(self, numbers: Sequence[int]) -> Iterator[bytes]:
        of = self.image.frame
        size = of.rows * of.columns * max(3, of.samples * of.bits_allocated // 8)
        run = max(1, min(_RUN_FRAMES, _RUN_BYTES // size))
        each = max(1, round(self.image.frame_ms))
        for count, start in enumerate(range(0, len(numbers), run)):
            result, samples = self._run("render", MP4, numbers[start : start + run])
            if not count:
                config = bytes.fromhex(result["config"])
                yield rendered_video.mp4_head(result["width"], result["height"], config, each * len(numbers))
            yield rendered_video.mp4_fragment(count + 1, each * start, each, samples, result["keys"])

    def _run(
        self, job: str, media: str, numbers: Sequence[int], *, counted: bool = True
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Have some frames decoded, drawn and encoded. counted: whether the trail counts them."""
        count, read = self._read_frame
        plans: list[dict[str, Any]] = []
        data: list[bytes] = []
        try:
            for number in numbers:
                if not 1 <= number <= count:
                    raise WardlightError("not-found", "the instance has no such frame")
                plan, parts = plan_for(self.image, number, self.wanted)
                plans.append({"plan": plan.to_json(), "first": len(data), "parts": len(parts)})
                data += [read(number, counted), *parts]
                require_room((0, len(piece)) for piece in data)
        except DicomError:
            raise WardlightError("object-damaged", "a stored data set cannot be parsed") from None
        arguments = {
            "frame": self.image.frame.to_json(),
            "media": media,
            "plans": plans,
            "frame_ms": self.image.frame_ms,
        }
        return self.call.decode(job, arguments, data)


def pixel_pieces(location: InstanceLocation) -> list[tuple[int, int]]:
    """Where the value of the pixel data lies in the file: as a whole, or in fragments."""
    pixel = location.pixel
    if pixel is None:
        return []
    if pixel.length >= 0:
        return [(pixel.offset, pixel.offset + pixel.length)] if pixel.length else []
    return [(start, start + length) for start, length in pixel.fragments[1:]]


def _from_bit(data: bytes, first: int, bits: int) -> bytes:
    """Pixels of 1 bit, moved so that they start at a byte (PS3.5 8.1.1: the first pixel is the lowest bit)."""
    if bits % 8 == 0:
        return data
    moved = int.from_bytes(data, "little") >> first & ((1 << bits) - 1)
    return moved.to_bytes((bits + 7) // 8, "little")
