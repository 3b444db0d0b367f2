"""Pictures of a report: what text was found in is beyond recognition, and the file holds nothing but the picture."""

from __future__ import annotations

import secrets
import struct

import numpy as np
import pytest
from PIL import Image, ImageDraw

from wardlight.decoding.model import Frame
from wardlight.decoding.pool import DecoderPool
from wardlight.decoding.render_plan import Plan, View
from wardlight.decoding.render_review import hidden

BOX = (40, 20, 200, 50)


def written(text: str) -> np.ndarray:
    image = Image.new("L", (256, 128), 30)
    ImageDraw.Draw(image).text((44, 24), text, fill=220)
    return np.array(image)


def test_two_texts_of_one_mean_are_the_same_picture() -> None:
    one, other = written(f"QUXLEY {secrets.token_hex(4)}"), written("")
    left, top, right, bottom = BOX
    inside = one[top:bottom, left:right]
    other[top:bottom, left:right] = np.random.default_rng(7).permutation(inside.ravel()).reshape(inside.shape)
    assert (one != other).any()
    shown, same = hidden(one, [BOX]), hidden(other, [BOX])
    assert (shown == same).all()
    outside = np.ones(one.shape, bool)
    outside[top:bottom, left:right] = False
    assert (shown[outside] == one[outside][:, None]).all()


EDGES = [(-5, -5, 9, 9), (250, 120, 400, 400), (300, 300, 310, 310), (10, 10, 10, 20), (5, 5, 6, 6)]


@pytest.mark.parametrize("box", EDGES)
def test_boxes_at_and_beyond_the_edge(box: tuple[int, int, int, int]) -> None:
    assert hidden(written("x"), [box]).shape == (128, 256, 3)


def test_the_file_is_the_picture_and_nothing_else() -> None:
    pool = DecoderPool(1, modules=("wardlight.decoding.render_review",), allow_unsandboxed=True)
    frame = Frame("1.2.840.10008.1.2.1", 128, 256, 1, "MONOCHROME2", 8, 8, 7, False)
    plan = Plan("MONOCHROME2", 8, 7, False, view=View(64, 64))
    arguments = {"frame": frame.to_json(), "plan": plan.to_json(), "boxes": [list(BOX)]}
    try:
        _, (made,) = pool.run("review", arguments, [written("QUXLEY").tobytes()])
    finally:
        pool.close()
    kinds, position = [], 8
    while position < len(made):
        length, kind = struct.unpack(">I4s", made[position : position + 8])
        kinds.append(kind)
        position += length + 12
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]
