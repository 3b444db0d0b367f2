"""Frames with words on them, drawn afresh: where each word has its ink, and frames as objects hold them."""

from __future__ import annotations

import random
import string
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wardlight.decoding.codecs_encode import encode
from wardlight.decoding.model import Frame
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

NATIVE = EXPLICIT_LITTLE.uid
_FOLDER = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
FONTS = sorted(
    path
    for path in _FOLDER.glob("*.ttf")
    if path.stem in ("DejaVuSans", "DejaVuSansMono", "DejaVuSans-Bold", "DejaVuSerif")
)
COLOURS = {
    "white": (1.0, 1.0, 1.0),
    "yellow": (1.0, 1.0, 0.0),
    "grey": (0.55, 0.55, 0.55),
    "green": (0.0, 1.0, 0.0),
    "black": (0.0, 0.0, 0.0),
}
Ink = list[tuple[str, Any]]


def word(draw: random.Random) -> str:
    """A name, a number or a date, as devices write them."""
    kind = draw.randrange(3)
    if kind == 0:
        return "".join(draw.choices(string.ascii_uppercase, k=draw.randint(4, 10)))
    if kind == 1:
        return "".join(draw.choices(string.digits, k=draw.randint(5, 9)))
    return f"{draw.randint(1, 28):02}.{draw.randint(1, 12):02}.{draw.randint(1930, 2025)}"


def _smooth(noise: np.random.Generator, rows: int, columns: int, size: int) -> Any:
    coarse = noise.random((max(2, rows // size), max(2, columns // size)))
    image = Image.fromarray((coarse * 255).astype(np.uint8))
    return np.asarray(image.resize((columns, rows), Image.Resampling.BICUBIC), float) / 255


def background(noise: np.random.Generator, kind: str, rows: int, columns: int) -> Any:
    """dark, white, noise, speckle (a sector of ultrasound) or body, from 0 to 1."""
    if kind in ("dark", "white"):
        return np.full((rows, columns), float(kind == "white"))
    if kind == "noise":
        return np.clip(noise.normal(0.15, 0.05, (rows, columns)), 0, 1)
    y, x = np.mgrid[:rows, :columns]
    if kind == "speckle":
        sector = (np.hypot(x - columns / 2, y) < rows * 0.9) & (abs(x - columns / 2) < 0.8 * y + 5)
        grain = noise.rayleigh(0.35, (rows // 2 + 1, columns // 2 + 1)).repeat(2, 0).repeat(2, 1)
        return np.clip(_smooth(noise, rows, columns, 40) * grain[:rows, :columns] * sector, 0, 1)
    body = _smooth(noise, rows, columns, 90) * 0.5 + _smooth(noise, rows, columns, 25) * 0.25
    inside = ((x - columns / 2) / (columns * 0.45)) ** 2 + ((y - rows / 2) / (rows * 0.45)) ** 2 < 1
    return np.clip(body * np.where(inside, 1, 0.1) + noise.normal(0, 0.02, (rows, columns)), 0, 1)


def planted(
    draw: random.Random,
    rows: int,
    columns: int,
    *,
    kind: str,
    colour: str,
    size: int,
    count: int = 3,
    turned: bool = False,
    border: bool = False,
) -> tuple[Any, Ink]:
    """A colour frame of 0 to 1 with words, and the ink of each as a mask. turned: by 90°. border: touching it."""
    noise = np.random.default_rng(draw.getrandbits(32))
    frame = np.repeat(background(noise, kind, rows, columns)[..., np.newaxis], 3, axis=2)
    taken = np.zeros((rows, columns), bool)
    ink: Ink = []
    for _ in range(40 * count):
        text = word(draw)
        font = ImageFont.truetype(draw.choice(FONTS), size)
        left, top, right, bottom = (int(side) for side in font.getbbox(text))
        plate = Image.new("L", (right - left, bottom - top), 0)
        ImageDraw.Draw(plate).text((-left, -top), text, font=font, fill=255)
        mask = np.asarray(plate, float)[..., np.newaxis] / 255
        if turned:
            mask = np.rot90(mask, draw.choice((1, 3)))
        high, wide = mask.shape[:2]
        if high > rows or wide > columns:
            continue
        y, x = draw.randint(0, rows - high), draw.randint(0, columns - wide)
        if border:
            y = draw.choice((0, 1, rows - high))
        if taken[max(0, y - 12) : y + high + 12, max(0, x - 12) : x + wide + 12].any():
            continue
        place = (slice(y, y + high), slice(x, x + wide))
        taken[place] = True
        frame[place] = frame[place] * (1 - mask) + np.array(COLOURS[colour]) * mask
        where = np.zeros((rows, columns), bool)
        where[place] = mask[..., 0] > 0.3
        ink.append((text, where))
        if len(ink) == count:
            break
    return frame, ink


def uncovered(ink: Ink, boxes: Any) -> list[tuple[str, float]]:
    """The words of which less than 95 % of the ink is in the boxes, and how much is."""
    rows, columns = ink[0][1].shape
    hidden = np.zeros((rows, columns), bool)
    for left, top, right, bottom in boxes:
        hidden[top:bottom, left:right] = True
    shares = [(text, float((mask & hidden).sum() / mask.sum())) for text, mask in ink]
    return [(text, share) for text, share in shares if share < 0.95]


def grey_frame(
    pixels: Any, photometric: str = "MONOCHROME2", *, bits: int = 8, signed: bool = False
) -> tuple[Frame, bytes]:
    """A native frame of one sample from 0 to 1."""
    allocated = 8 if bits == 8 else 16
    shown = 1 - pixels if photometric == "MONOCHROME1" else pixels
    values = np.rint(shown * ((1 << bits) - 1)).astype(np.int64) - ((1 << (bits - 1)) if signed else 0)
    rows, columns = values.shape
    frame = Frame(NATIVE, rows, columns, 1, photometric, allocated, bits, bits - 1, signed)
    return frame, values.astype(f"<{'i' if signed else 'u'}{allocated // 8}").tobytes()


def colour_frame(pixels: Any) -> tuple[Frame, bytes]:
    """A native RGB frame from 0 to 1."""
    rows, columns = pixels.shape[:2]
    values = np.rint(pixels * 255).astype(np.uint8)
    return Frame(NATIVE, rows, columns, 3, "RGB", 8, 8, 7, False), values.tobytes()


def encoded(frame: Frame, data: bytes, syntax: str) -> tuple[Frame, bytes]:
    """The same frame in another syntax, or in this one."""
    if syntax == frame.syntax:
        return frame, data
    kind = f"<{'i' if frame.signed else 'u'}{frame.bits_allocated // 8}"
    shape = (frame.rows, frame.columns) if frame.samples == 1 else (frame.rows, frame.columns, frame.samples)
    planar, photometric, stream = encode(
        np.frombuffer(data, kind).reshape(shape), frame, frame.photometric, syntax
    )
    return frame.becomes(syntax, photometric, planar), stream
