"""The job `render`: frames decoded, drawn and encoded in one visit to the decoder process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wardlight.decoding.codecs import decode
from wardlight.decoding.jobs import JobError, job
from wardlight.decoding.model import Frame
from wardlight.decoding.render import CannotRender, Picture, own_window, picture
from wardlight.decoding.render_encode import av1_frames, encode, gif_frame, managed
from wardlight.decoding.render_lut import BadLut
from wardlight.decoding.render_plan import Plan
from wardlight.decoding.render_view import viewed


@job("window")
def window(arguments: dict[str, Any], data: list[memoryview]) -> tuple[dict[str, Any], list[bytes]]:
    """The window that a frame is stretched by for want of another, as "window"; arguments as for `render`."""
    frame = Frame.from_json(arguments["frame"])
    (row,) = arguments["plans"]
    plan = Plan.from_json(row["plan"])
    pixels, _ = decode(frame, data[row["first"]])
    found = own_window(pixels, plan, _parts(row, data))
    return {"window": [found.center, found.width] if found else None}, []


@job("render")
def render(arguments: dict[str, Any], data: list[memoryview]) -> tuple[dict[str, Any], list[bytes]]:
    """Frames to `media`: one to a picture or a frame of GIF, a run of them to samples of video.

    arguments: "frame" as `Frame`, "media", "frame_ms", and "plans", for each frame its `Plan`, where its bytes begin in
    `data`, and how many tables follow them. The result has "width" and "height", for video what `av1_frames` tells.
    """
    media = arguments["media"]
    frame = Frame.from_json(arguments["frame"])
    drawn = [_draw(frame, row, data) for row in arguments["plans"]]
    if media == "video/mp4":
        return av1_frames([shown for shown, _, _ in drawn], drawn[0][1].quality)
    ((shown, plan, profile),) = drawn
    if media == "image/gif":
        encoded = gif_frame(shown, arguments["frame_ms"])
    else:
        encoded = encode(shown, media, plan.quality, profile)
    return {"height": shown.shape[0], "width": shown.shape[1]}, [encoded]


def _draw(frame: Frame, row: dict[str, Any], data: list[memoryview]) -> tuple[Picture, Plan, bytes]:
    """The picture of one frame, its plan, and the colour profile that goes with it."""
    plan = Plan.from_json(row["plan"])
    parts = _parts(row, data)
    pixels, photometric = decode(frame, data[row["first"]])
    try:
        shown = picture(pixels, replace(plan, photometric=photometric), parts)
    except CannotRender:
        raise JobError("unsupported") from None
    except BadLut:
        raise JobError("damaged") from None
    profile = b""
    if plan.icc_use != "no":
        shown, profile = managed(shown, parts[plan.icc] if plan.icc >= 0 else b"", plan.icc_use)
    return viewed(shown, plan), plan, profile


def _parts(row: dict[str, Any], data: list[memoryview]) -> list[bytes]:
    """Tables and profile of one plan, which follow its frame."""
    first = row["first"] + 1
    return [bytes(part) for part in data[first : first + row["parts"]]]
