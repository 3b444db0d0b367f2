"""Encapsulated pixel data frame by frame: given to a reader, and encoded anew without what was burned in.

One frame is held at a time. The same input gives the same output each time, which is remembered as digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from wardlight.deid import pixels
from wardlight.deid.burned_in import (
    LARGEST_FRAME,
    Buffer,
    Looked,
    NotRead,
    PixelReader,
    target_of,
)
from wardlight.deid.pixels_fragments import Fragments
from wardlight.deid.pixels_image import Image, PixelError
from wardlight.dicom.frame import FrameShape

_ITEM: Final = b"\xfe\xff\x00\xe0"
_EMPTY: Final = _ITEM + bytes(4)
_DELIMITER: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
#: Largest length of an item (PS3.5 A.4), less than that of undefined length.
_LONGEST: Final = 0xFFFFFFFE


def frames_of(chunks: Iterable[Buffer], starts: tuple[int, ...]) -> Iterator[bytes]:
    """The stream of each frame, its fragments joined. starts: as `pixels.check` found them. Raises PixelError."""
    stream = Fragments(chunks)
    if stream.open():
        stream.take(stream.left)
    firsts = set(starts)
    parts: list[bytes] = []
    size = 0
    while stream.open():
        if stream.item in firsts and parts:
            yield b"".join(parts)
            parts, size = [], 0
        size += stream.left
        if size > LARGEST_FRAME:
            raise PixelError("frame-too-large")
        parts.append(stream.take(stream.left))
    yield b"".join(parts)


def anew(reader: PixelReader, shape: FrameShape, looked: Looked, first: bytes) -> Looked:
    """What `looked` says of its output once frames are encoded anew, as the first frame shows. Raises NotRead."""
    syntax = target_of(shape.syntax)
    _, photometric, planar = reader.blackened(shape, first, looked.boxes, syntax)
    return Looked(looked.frames, looked.boxes, syntax, photometric, planar, anew=True, texts=looked.texts)


class Anew:
    """Cleans encapsulated pixel data by encoding each frame once more.

    The first time each frame is compared with what it was, by the reader; after that its digest has to be the same.
    """

    def __init__(
        self, reader: PixelReader, shape: FrameShape, image: Image, looked: Looked, starts: tuple[int, ...]
    ) -> None:
        self._reader = reader
        self._shape = shape
        self._image = image
        self._looked = looked
        self._starts = starts
        self._digests: tuple[bytes, ...] | None = None
        #: Bytes of the new value; known once all of it was made.
        self.length: int | None = None

    def clean(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The new value: an empty Basic Offset Table and one fragment a frame. Raises NotRead, PixelError."""
        yield _EMPTY
        length = len(_EMPTY) + len(_DELIMITER)
        digests: list[bytes] = []
        for frame in frames_of(chunks, self._starts):
            new = self._frame(frame, len(digests))
            digests.append(hashlib.blake2b(new, digest_size=16).digest())
            if self._digests is not None and digests[-1] != self._digests[len(digests) - 1]:
                raise PixelError("frame-changed")
            yield _ITEM + len(new).to_bytes(4, "little")
            yield new
            length += 8 + len(new)
        if len(digests) != len(self._starts):
            raise PixelError("frame-count")
        self._digests, self.length = tuple(digests), length
        yield _DELIMITER

    def _frame(self, frame: bytes, number: int) -> bytes:
        looked, shape = self._looked, self._shape
        encoded, photometric, planar = self._reader.blackened(shape, frame, looked.boxes, looked.syntax)
        if (photometric, planar) != (looked.photometric, looked.planar) or len(encoded) >= _LONGEST:
            # One header describes all frames.
            raise NotRead("frame-unreadable")
        new = pixels.clean_frame(encoded, self._image, looked.syntax)
        if self._digests is None:
            after = shape.becomes(looked.syntax, photometric, planar)
            if not self._reader.same(shape, frame, after, new, looked.boxes):
                raise PixelError("pixels-differ")
        elif number >= len(self._digests):
            raise PixelError("frame-count")
        return new
