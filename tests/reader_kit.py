"""A reader of pixels without processes: it finds what it was told, and encodes by the codecs of `decoding`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wardlight.decoding.codecs import decode
from wardlight.decoding.codecs_encode import encode
from wardlight.decoding.compare_jobs import same_outside
from wardlight.decoding.jobs import JobError
from wardlight.decoding.model import Frame
from wardlight.deid.burned_in import Box, Buffer, Found, NotRead
from wardlight.dicom.frame import FrameShape


def burned_in(rows: int, columns: int, text: str) -> tuple[Any, Box]:
    """A frame of eight bits with a line of text and a grey square, and where the text is."""
    plate = Image.new("L", (columns, rows), 0)
    pen = ImageDraw.Draw(plate)
    font = ImageFont.load_default(18)
    pen.rectangle((columns - 70, rows - 50, columns - 20, rows - 10), fill=90)
    pen.text((12, 20), text, fill=255, font=font)
    left, top, right, bottom = pen.textbbox((12, 20), text, font=font)
    return np.array(plate), (int(left), int(top), int(right), int(bottom))


class FakeReader:
    """found: for each frame that is looked at, the boxes in it and what is read there; none after the last.

    frames: those that were looked at. fails: reason with which it ends when so many frames were looked at.
    """

    def __init__(self, *found: Found, fails: dict[int, str] | None = None) -> None:
        self.found = found
        self.frames: list[tuple[FrameShape, bytes]] = []
        self.fails = fails or {}

    def boxes(self, frame: FrameShape, data: Buffer) -> Found:
        """What was told of this frame."""
        number = len(self.frames)
        if number in self.fails:
            raise NotRead(self.fails[number])
        self.frames.append((frame, bytes(data)))
        return self.found[number] if number < len(self.found) else ()

    def blackened(
        self, frame: FrameShape, data: Buffer, boxes: Sequence[Box], syntax: str
    ) -> tuple[bytes, str, int]:
        """By the codecs themselves."""
        described = Frame(**asdict(frame))
        try:
            pixels, photometric = decode(described, memoryview(data))
            pixels = pixels.copy()
            for left, top, right, bottom in boxes:
                pixels[top:bottom, left:right] = 0
            planar, photometric, stream = encode(pixels, described, photometric, syntax)
        except JobError:
            raise NotRead("frame-unreadable") from None
        return stream, photometric, planar

    def same(
        self, before: FrameShape, old: Buffer, after: FrameShape, new: Buffer, boxes: Sequence[Box]
    ) -> bool:
        """By the job of the verifier."""
        arguments = {"frame": asdict(before), "after": asdict(after), "boxes": [list(box) for box in boxes]}
        return bool(same_outside(arguments, [memoryview(old), memoryview(new)])[0]["same"])
