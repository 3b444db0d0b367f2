"""Text burned into pixels: when frames are looked at, what of them goes, and what comes out of it.

Every frame of such an object is looked at by a `PixelReader`, which works in processes of its own. All boxes that it
finds in any frame are blacked out in all of them, and what was read in them decides nothing. Where no text was found
the pixel data passes as it is. Native pixel data stays native; compressed frames are encoded anew without loss.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from wardlight.deid.pixels_image import PHOTOMETRIC, PLANAR, Image, PixelError, number
from wardlight.dicom.elements import Element, text
from wardlight.dicom.frame import FrameShape
from wardlight.dicom.stream import PixelElement
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, TransferSyntax

Buffer = bytes | memoryview
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom exclusive."""
Found = tuple[tuple[Box, str], ...]
"""Boxes of one frame, and what was read in each: compared with the harvest only, and never written."""

#: A frame is held while it is looked at; a larger one does not leave (security.md section 8).
LARGEST_FRAME: Final = 256 << 20
#: More boxes than this become the one that holds them all.
_MOST_BOXES: Final = 1000
#: Most different strings kept of one object, to be compared with its harvest.
_MOST_TEXTS: Final = 2000
_ROOT: Final = "1.2.840.10008.1.2."
#: Syntaxes whose frames are encoded anew in the same; all others become JPEG-LS lossless.
_SAME: Final = frozenset(f"{_ROOT}{end}" for end in ("5", "4.80", "4.90", "4.201", "4.202"))
_JPEG_LS: Final = f"{_ROOT}4.80"


class NotRead(PixelError):
    """Frames could not be looked at, or not be cleaned. `code` says why and is a reason of quarantine."""


class PixelReader(Protocol):
    """Reads pixels in a process of its own; `wardlight.decoding.pixel_reader` is it.

    All raise NotRead: "detector-unavailable" where there is no detector, or its process ended; "frame-unreadable" where
    the frame cannot be decoded or encoded.
    """

    def boxes(self, frame: FrameShape, data: Buffer) -> Found:
        """The boxes of text in one frame."""
        ...

    def blackened(
        self, frame: FrameShape, data: Buffer, boxes: Sequence[Box], syntax: str
    ) -> tuple[bytes, str, int]:
        """The frame with the boxes blacked out, encoded in `syntax` without loss; its photometric and planar values."""
        ...

    def same(
        self, before: FrameShape, old: Buffer, after: FrameShape, new: Buffer, boxes: Sequence[Box]
    ) -> bool:
        """Whether both frames decode to the same pixels outside the boxes, and the new one to one colour in them."""
        ...


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of looking at all frames of an object.

    boxes: to be blacked out in every frame; empty: nothing was found. texts: what was read, for the harvest only.
    frames: how many were looked at. syntax, photometric, planar: of the output. anew: compressed frames are encoded
    once more.
    """

    frames: int
    boxes: tuple[Box, ...]
    syntax: str
    photometric: str
    planar: int
    anew: bool = False
    texts: tuple[str, ...] = field(default=(), repr=False)


def shape_of(
    header: bytes,
    elements: Mapping[int, Element],
    pixel: PixelElement,
    syntax: TransferSyntax,
    image: Image,
) -> FrameShape:
    """The description of each frame of an object."""
    return FrameShape(
        syntax=EXPLICIT_LITTLE.uid if syntax.deflated else syntax.uid,
        rows=image.rows,
        columns=image.columns,
        samples=image.samples,
        photometric=text(header, elements.get(PHOTOMETRIC)).upper(),
        bits_allocated=image.allocated,
        bits_stored=image.stored,
        high_bit=image.high,
        signed=image.signed,
        planar=number(header, elements.get(PLANAR), syntax.big_endian) or 0,
        floating=image.floating,
        words=pixel.vr == b"OW",
    )


def target_of(syntax: str) -> str:
    """The transfer syntax in which frames of this one are encoded anew."""
    return syntax if syntax in _SAME else _JPEG_LS


def look(
    reader: PixelReader, shape: FrameShape, frames: Iterable[Buffer], known: Sequence[Box] = ()
) -> Looked:
    """Look at every frame: the boxes of all of them, and what was read. Raises NotRead.

    known: boxes that go whatever is found. A frame that equals one looked at before is not looked at again.
    """
    seen: set[bytes] = set()
    boxes: set[Box] = set(known)
    texts: set[str] = set()
    count = 0
    for frame in frames:
        count += 1
        digest = hashlib.blake2b(frame, digest_size=16).digest()
        if digest in seen:
            continue
        seen.add(digest)
        for box, read in reader.boxes(shape, frame):
            boxes.add(_within(box, shape))
            if len(texts) < _MOST_TEXTS:
                texts.add(read)
    return Looked(
        count, _union(boxes), shape.syntax, shape.photometric, shape.planar, texts=tuple(sorted(texts))
    )


def _within(box: Box, shape: FrameShape) -> Box:
    """The part of a box that is in the frame. A box outside of it is no answer."""
    left, top, right, bottom = box
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, shape.columns), min(bottom, shape.rows)
    if left >= right or top >= bottom:
        raise NotRead("frame-unreadable")
    return left, top, right, bottom


def _union(boxes: set[Box]) -> tuple[Box, ...]:
    """The boxes without those that others hold, in order."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda one: (one[0] - one[2]) * (one[3] - one[1])):
        if not any(o[0] <= box[0] and o[1] <= box[1] and o[2] >= box[2] and o[3] >= box[3] for o in kept):
            kept.append(box)
    if len(kept) > _MOST_BOXES:
        lefts, tops, rights, bottoms = zip(*kept, strict=True)
        return ((min(lefts), min(tops), max(rights), max(bottoms)),)
    return tuple(sorted(kept, key=lambda one: (one[1], one[0])))
