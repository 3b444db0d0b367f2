"""The job `same-outside`: whether a frame that was encoded anew shows what it showed, but for boxes of one colour.

It is part of the verifier of de-identification: it decodes both frames, and knows nothing of how the new one was made.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wardlight.decoding.codecs import decode
from wardlight.decoding.jobs import job
from wardlight.decoding.model import Frame


@job("same-outside")
def same_outside(arguments: dict[str, Any], data: list[memoryview]) -> tuple[dict[str, Any], list[bytes]]:
    """Two frames compared, as "same".

    arguments: "frame" and "after" as `Frame`, and "boxes", each left, top, right, bottom in pixels, the last two
    exclusive. data: both frames. Raises JobError where one cannot be decoded.
    """
    old, was = decode(Frame.from_json(arguments["frame"]), data[0])
    new, now = decode(Frame.from_json(arguments["after"]), data[1])
    if was != now or old.shape != new.shape or old.dtype != new.dtype:
        return {"same": False}, []
    expected = np.array(old)
    colour = None
    for left, top, right, bottom in arguments["boxes"]:
        inside = new[top:bottom, left:right]
        colour = inside[0, 0] if colour is None else colour
        if not inside.size or not (inside == colour).all():
            return {"same": False}, []
        expected[top:bottom, left:right] = inside
    return {"same": bool(np.array_equal(expected, new))}, []
