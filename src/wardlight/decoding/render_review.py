"""The job `review`: a small picture of one frame for a report, what text was found in it beyond recognition.

A box becomes a pattern around its own mean: nothing of its content but that one number is left, before the picture is
made smaller, so that no scaling can bring it back. In the decoder process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from wardlight.decoding.codecs import decode
from wardlight.decoding.jobs import JobError, job
from wardlight.decoding.model import Frame
from wardlight.decoding.render import CannotRender, Picture, picture
from wardlight.decoding.render_encode import encode
from wardlight.decoding.render_lut import BadLut
from wardlight.decoding.render_plan import Plan
from wardlight.decoding.render_view import viewed

#: How far a pattern goes from its mean, and the amber of the line around it.
_STEP: Final = 24
_LINE: Final = (227, 154, 9)


@job("review")
def review(arguments: dict[str, Any], data: list[memoryview]) -> tuple[dict[str, Any], list[bytes]]:
    """One frame as PNG. arguments: "frame", "plan", "boxes" (left, top, right, bottom); data: frame, then tables."""
    frame, plan = Frame.from_json(arguments["frame"]), Plan.from_json(arguments["plan"])
    pixels, photometric = decode(frame, data[0])
    try:
        shown = picture(pixels, replace(plan, photometric=photometric), [bytes(part) for part in data[1:]])
    except CannotRender:
        raise JobError("unsupported") from None
    except BadLut:
        raise JobError("damaged") from None
    return {}, [encode(viewed(hidden(shown, arguments["boxes"]), plan), "image/png", plan.quality)]


def hidden(shown: Picture, boxes: Sequence[Sequence[int]]) -> Picture:
    """The picture with a pattern in each box, and a line around it; in colour where there is a box."""
    if not boxes:
        return shown
    coloured = np.repeat(shown[:, :, None], 3, axis=2) if shown.ndim == 2 else shown.copy()
    height, width = coloured.shape[:2]
    line = max(1, round(max(height, width) / 160))
    for box in boxes:
        left, top, right, bottom = (max(0, edge) for edge in box)
        inside = coloured[top:bottom, left:right]
        if not inside.size:
            continue
        mean = inside.reshape(-1, 3).mean(axis=0)
        rows, columns = np.indices(inside.shape[:2]) // max(2, 2 * line)
        step = np.where((rows + columns) % 2, _STEP, -_STEP)[:, :, None]
        inside[:] = np.clip(mean + step, 0, 255).astype(np.uint8)
        for edge in (np.s_[:line], np.s_[-line:], np.s_[:, :line], np.s_[:, -line:]):
            inside[edge] = _LINE
    return np.asarray(coloured, np.uint8)
