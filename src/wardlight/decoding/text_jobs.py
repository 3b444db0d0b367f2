"""Jobs on burned-in text: `find-text` and `black-out`. One frame a job."""

from __future__ import annotations

from typing import Any

import numpy as np

from wardlight.decoding import text_fill
from wardlight.decoding.codecs import decode
from wardlight.decoding.codecs_encode import encode
from wardlight.decoding.jobs import JobError, job
from wardlight.decoding.model import Frame
from wardlight.decoding.text_find import find
from wardlight.decoding.text_read import Reader
from wardlight.decoding.text_view import views
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

_READER = Reader()


def _warm() -> None:
    """What libraries load when they are first used is loaded here, before the process is locked in."""
    pixels = np.zeros((64, 96), np.uint16)
    pixels[24:40, 16:80:4] = 1000
    frame = Frame(EXPLICIT_LITTLE.uid, 64, 96, 1, "MONOCHROME2", 16, 16, 15, False)
    for picture in views(pixels, frame.photometric, frame):
        find(picture, _READER)
        _READER.read(picture, (0, 0, 32, 64))


_warm()


@job("find-text")
def find_text(arguments: dict[str, Any], data: list[memoryview]) -> tuple[dict[str, Any], list[bytes]]:
    """Where text is in one frame: "boxes", each [left, top, right, bottom], and "texts", what was read in them."""
    frame = Frame.from_json(arguments["frame"])
    pixels, photometric = decode(frame, data[0])
    found = [row for picture in views(pixels, photometric, frame) for row in find(picture, _READER)]
    return {"boxes": [list(box) for box, _ in found], "texts": [text for _, text in found]}, []


@job("black-out")
def black_out(arguments: dict[str, Any], data: list[memoryview]) -> tuple[dict[str, Any], list[bytes]]:
    """One frame with "boxes" filled, encoded without loss in "target"; the result names what describes it now."""
    frame = Frame.from_json(arguments["frame"])
    pixels, photometric = decode(frame, data[0])
    pixels = text_fill.filled(pixels, photometric, frame, _boxes(arguments, frame))
    if arguments["target"] == EXPLICIT_LITTLE.uid:
        planar, encoded = 0, pixels.tobytes()
    else:
        planar, photometric, encoded = encode(pixels, frame, photometric, arguments["target"])
    return {"photometric": photometric, "planar": planar}, [encoded]


def _boxes(arguments: dict[str, Any], frame: Frame) -> list[tuple[int, int, int, int]]:
    """The boxes of a job, which must lie in the frame."""
    boxes = [(left, top, right, bottom) for left, top, right, bottom in arguments["boxes"]]
    if not all(0 <= a < c <= frame.columns and 0 <= b < d <= frame.rows for a, b, c, d in boxes):
        raise JobError("mismatch")
    return boxes
