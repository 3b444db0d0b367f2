"""Text burned into frames: every word is covered, and pictures without any stay as they are."""

from __future__ import annotations

import random
import secrets
import warnings

import numpy as np
import pydicom
import pytest

import text_kit
from real_files import paths
from text_kit import NATIVE, colour_frame, encoded, grey_frame, planted, uncovered
from wardlight.decoding.model import HTJ2K_LOSSLESS, JPEG_2000_LOSSLESS, JPEG_LS_LOSSLESS, RLE, Frame
from wardlight.decoding.pixel_reader import TextReader
from wardlight.decoding.text_components import components

CODECS = (RLE, JPEG_LS_LOSSLESS, JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS)


@pytest.fixture(scope="module")
def reader():
    with TextReader(1) as made:
        yield made


@pytest.fixture
def seed():
    return secrets.randbits(64)


def missed(reader: TextReader, frame: Frame, data: bytes, ink: text_kit.Ink) -> list[tuple[str, float]]:
    return uncovered(ink, [box for box, _ in reader.boxes(frame, data)])


@pytest.mark.parametrize(
    ("kind", "colour", "size", "how"),
    [
        ("dark", "grey", 12, {}),
        ("dark", "green", 14, {"border": True}),
        ("speckle", "yellow", 20, {}),
        ("white", "black", 12, {"turned": True}),
        ("body", "white", 36, {}),
    ],
)
def test_every_word_of_a_frame_is_covered(reader, seed, kind, colour, size, how):
    drawn, ink = planted(random.Random(seed), 360, 480, kind=kind, colour=colour, size=size, **how)
    assert not missed(reader, *colour_frame(drawn), ink), seed


@pytest.mark.parametrize(
    ("photometric", "bits", "signed"),
    [("MONOCHROME1", 12, False), ("MONOCHROME2", 16, True)],
)
def test_words_in_the_highest_value_over_anatomy_in_a_part_of_the_range(
    reader, seed, photometric, bits, signed
):
    drawn, ink = planted(random.Random(seed), 300, 360, kind="body", colour="white", size=16)
    grey = np.where(drawn[..., 0] == 1, 1, drawn[..., 0] * 0.3)
    for _, mask in ink:
        grey[mask] = 1
    assert not missed(reader, *grey_frame(grey, photometric, bits=bits, signed=signed), ink), seed


def test_words_in_two_neighbouring_entries_of_a_palette(reader, seed):
    drawn, ink = planted(random.Random(seed), 300, 360, kind="dark", colour="white", size=16)
    frame, _ = grey_frame(drawn[..., 0])
    indices = (drawn[..., 0] > 0.5).astype(np.uint8) + 7
    indices[-1] = 255
    palette = Frame(NATIVE, frame.rows, frame.columns, 1, "PALETTE COLOR", 8, 8, 7, False)
    assert not missed(reader, palette, indices.tobytes(), ink), seed


def test_words_are_read_for_comparison(reader, seed):
    drawn, ink = planted(random.Random(seed), 300, 360, kind="dark", colour="white", size=28, count=1)
    found = reader.boxes(*encoded(*colour_frame(drawn), RLE))
    assert {text for _, text in found} & {text for text, _ in ink}, (seed, found)


def test_a_frame_without_text_has_no_boxes(reader, seed):
    noise = np.random.default_rng(seed)
    for kind in ("noise", "body"):
        frame, data = grey_frame(text_kit.background(noise, kind, 320, 320), bits=12)
        assert not reader.boxes(frame, data), (seed, kind)
    assert not reader.boxes(*grey_frame(np.zeros((64, 64))))


def test_connected_areas_are_those_of_a_flood(seed):
    noise = np.random.default_rng(seed)
    for _ in range(30):
        mask = noise.random(noise.integers(1, 25, 2)) < noise.random()
        weights = noise.random(mask.shape).astype(np.float32)
        boxes, means = components(mask, weights)
        got = sorted((*box, round(mean, 4)) for box, mean in zip(boxes.tolist(), means.tolist(), strict=True))
        assert got == sorted(_flooded(mask, weights)), seed


def _flooded(mask, weights):
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    while left:
        area = [left.pop()]
        for y, x in area:
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            area += near
        ys, xs = zip(*area, strict=True)
        mean = float(np.mean([float(weights[place]) for place in area]))
        yield min(xs), min(ys), max(xs) + 1, max(ys) + 1, round(mean, 4)


@pytest.mark.long
def test_of_many_words_on_every_ground_nearly_all_are_covered(reader, seed):
    """Sizes from 10 pixels on, all colours, upright and turned, touching borders, in all syntaxes."""
    draw = random.Random(seed)
    words, missing = 0, []
    for number in range(150):
        kind = draw.choice(("dark", "white", "noise", "speckle", "body"))
        colour = "black" if kind == "white" else draw.choice(("white", "yellow", "green"))
        how = {"turned": draw.random() < 0.2, "border": draw.random() < 0.3}
        size = draw.choice((10, 11, 12, 14, 16, 20, 28, 40))
        shape = draw.choice(((480, 640), (512, 512), (600, 800)))
        drawn, ink = planted(draw, *shape, kind=kind, colour=colour, size=size, **how)
        coded = encoded(*colour_frame(drawn), (NATIVE, *CODECS)[number % 5])
        words += len(ink)
        missing += [(kind, colour, size, how, *row) for row in missed(reader, *coded, ink)]
    assert words > 400
    assert len(missing) <= 0.01 * words, (seed, words, missing)


@pytest.mark.long
def test_small_words_on_large_frames_are_covered(reader, seed):
    draw = random.Random(seed)
    drawn, ink = planted(draw, 3000, 3000, kind="noise", colour="white", size=16, count=8)
    assert not missed(reader, *grey_frame(drawn[..., 0], bits=12), ink), seed


@pytest.mark.long
def test_of_two_hundred_clean_frames_two_at_most_have_a_box(reader, seed):
    """CT, MR, CR and DX of the packages with test files, each picture once, and drawn ones with noise."""
    noise = np.random.default_rng(seed)
    marked, count = [], 0
    for name, frame, data in _clean_files():
        count += 1
        marked += [name] if reader.boxes(frame, data) else []
    while count < 200:
        side = int(noise.choice((256, 512)))
        drawn = text_kit.background(noise, "body" if count % 3 else "noise", side, side)
        frame, data = grey_frame(drawn, bits=12)
        marked += [f"drawn {count}"] if reader.boxes(frame, data) else []
        count += 1
    assert len(marked) <= 2, (seed, marked)


def _clean_files():
    """Up to three frames of each; of pictures that are there in many syntaxes one."""
    seen = set()
    for path in paths():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data_set = pydicom.dcmread(path, force=True)
            if (
                data_set.get("Modality") not in ("CT", "MR", "CR", "DX")
                or data_set.get("SamplesPerPixel") != 1
            ):
                continue
            try:
                pixels = data_set.pixel_array
            except Exception:
                continue
        for number, one in enumerate(pixels[np.newaxis] if pixels.ndim == 2 else pixels[:3]):
            bits = 8 * one.itemsize
            name = (one.shape, np.sort(one, axis=None)[:: max(1, one.size // 50)].tobytes())
            if name in seen or one.dtype.kind not in "iu" or bits > 16:
                continue
            seen.add(name)
            signed = one.dtype.kind == "i"
            frame = Frame(NATIVE, *one.shape, 1, "MONOCHROME2", bits, bits, bits - 1, signed)
            yield f"{path.name} {number}", frame, one.astype(one.dtype.newbyteorder("<")).tobytes()
