"""Boxes blacked out of frames: what is outside stays to the bit, what is inside is black; and when nobody can look."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from imagecodecs import jpeg8_encode

from text_kit import NATIVE, encoded
from wardlight.decoding import pixel_reader
from wardlight.decoding.codecs import decode
from wardlight.decoding.model import (
    HTJ2K_LOSSLESS,
    HTJ2K_RPCL,
    JPEG_2000_LOSSLESS,
    JPEG_LS_LOSSLESS,
    RLE,
    Frame,
)
from wardlight.decoding.pixel_reader import TextReader
from wardlight.deid.burned_in import NotRead

BOXES = [(3, 5, 20, 11), (15, 8, 31, 14)]
TARGETS = (NATIVE, RLE, JPEG_LS_LOSSLESS, JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS, HTJ2K_RPCL)
#: Photometric interpretation, samples, bits allocated and stored, signed; what fills.
KINDS = [
    ("MONOCHROME2", 1, 8, 8, False, 0),
    ("MONOCHROME1", 1, 16, 12, False, 4095),
    ("MONOCHROME2", 1, 16, 16, True, "least"),
    ("MONOCHROME1", 1, 16, 12, True, "greatest"),
    ("PALETTE COLOR", 1, 8, 8, False, 0),
    ("RGB", 3, 8, 8, False, [0, 0, 0]),
    ("YBR_FULL", 3, 8, 8, False, [0, 128, 128]),
]


@pytest.fixture(scope="module")
def reader():
    with TextReader(1) as made:
        yield made


def some_frame(kind: tuple) -> tuple[Frame, bytes]:
    photometric, samples, allocated, stored, signed, _ = kind
    low, high = (-(1 << (stored - 1)), 1 << (stored - 1)) if signed else (0, 1 << stored)
    values = np.random.default_rng().integers(low, high, (24, 40, 3)[: 2 + (samples > 1)])
    frame = Frame(NATIVE, 24, 40, samples, photometric, allocated, stored, stored - 1, signed)
    return frame, values.astype(f"<{'i' if signed else 'u'}{allocated // 8}").tobytes()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0]}-{kind[3]}-{kind[4]}")
def test_boxes_are_black_and_all_else_is_what_it_was_in_every_syntax(reader, kind):
    frame, data = some_frame(kind)
    before, _ = decode(frame, memoryview(data))
    inside = np.zeros(before.shape[:2], bool)
    for left, top, right, bottom in BOXES:
        inside[top:bottom, left:right] = True
    filler = (
        {"least": before.min(), "greatest": before.max()}[kind[5]] if isinstance(kind[5], str) else kind[5]
    )
    for target in TARGETS:
        source, stream = encoded(frame, data, target)
        made, photometric, planar = reader.blackened(source, stream, BOXES, target)
        described = source.becomes(target, photometric, planar)
        after, _ = decode(described, memoryview(made))
        assert (after[~inside] == before[~inside]).all(), target
        assert (after[inside] == np.array(filler)).all(), target
        assert reader.same(source, stream, described, made, BOXES), target
        assert not reader.same(source, stream, described, made, BOXES[:1]), target


def test_lossy_jpeg_becomes_full_rgb_without_further_loss(reader):
    values = np.random.default_rng().integers(0, 256, (24, 40, 3)).astype(np.uint8)
    stream = bytes(jpeg8_encode(values, level=80, subsampling="420"))
    frame = Frame("1.2.840.10008.1.2.4.50", 24, 40, 3, "YBR_FULL_422", 8, 8, 7, False)
    before, _ = decode(frame, memoryview(stream))
    made, photometric, planar = reader.blackened(frame, stream, BOXES, JPEG_LS_LOSSLESS)
    assert (photometric, planar) == ("RGB", 0)
    after, _ = decode(frame.becomes(JPEG_LS_LOSSLESS, photometric, planar), memoryview(made))
    left, top, right, bottom = BOXES[0]
    assert (after[top:bottom, left:right] == 0).all()
    assert (after[:5] == before[:5]).all()
    assert (after[14:] == before[14:]).all()


def test_a_damaged_frame_and_a_box_outside_are_the_frames_fault(reader):
    frame, data = some_frame(KINDS[0])
    for attempt in (
        lambda: reader.boxes(frame, data[:-1]),
        lambda: reader.boxes(replace(frame, syntax=RLE), secrets.token_bytes(500)),
        lambda: reader.blackened(frame, data, [(0, 0, 41, 2)], RLE),
    ):
        with pytest.raises(NotRead) as failure:
            attempt()
        assert failure.value.code == "frame-unreadable"


def test_without_a_detector_nothing_counts_as_looked_at(monkeypatch):
    monkeypatch.setattr(pixel_reader, "MODULES", ("no.such.module",))
    with TextReader(1) as broken, pytest.raises(NotRead) as failure:
        broken.boxes(*some_frame(KINDS[0]))
    assert failure.value.code == "detector-unavailable"


def test_the_model_runs_confined_and_in_one_thread(reader):
    reader.boxes(*some_frame(KINDS[0]))
    (decoder,) = reader._started()._idle
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{decoder._process.pid}/status").read_text().splitlines()
    )
    assert int(status["Threads"]) == 1
    assert int(status["Seccomp"]) == 2


def test_a_detector_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(pixel_reader, "_WALL_S", 0.01)
    frame = replace(some_frame(KINDS[0])[0], rows=700, columns=700)
    with TextReader(1) as slow, pytest.raises(NotRead) as failure:
        slow.boxes(frame, secrets.token_bytes(700 * 700))
    assert failure.value.code == "detector-unavailable"


def test_nothing_is_read_after_closing():
    reader = TextReader(1)
    reader.close()
    with pytest.raises(NotRead) as failure:
        reader.boxes(*some_frame(KINDS[0]))
    assert failure.value.code == "detector-unavailable"
