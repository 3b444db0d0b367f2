"""What stands in a box, by PP-OCRv6's reader. In the decoder process; nothing of it is written anywhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from wardlight.decoding.text_models import CHARACTERS, read
from wardlight.decoding.text_view import Picture, coloured

#: Height of a line that the network takes, and least and greatest width it is given.
_HEIGHT: Final = 48
_NARROWEST: Final = 96
_WIDEST: Final = 1600
#: So much higher than wide, a box is read from the side first.
_UPRIGHT: Final = 1.2
#: Something was read for certain: so many characters, so sure on average.
_CERTAIN: Final = 0.8
_CHARACTERS: Final = 2
#: Readings kept: frames of one run mostly show the same words.
_KEPT: Final = 256


@dataclass(frozen=True, slots=True)
class Reading:
    """Characters, and how sure the network is of them on average, 0 to 1."""

    text: str
    confidence: float

    @property
    def certain(self) -> bool:
        """Whether these are characters beyond doubt. One alone never is: any round thing looks like an O."""
        return self.confidence >= _CERTAIN and sum(not one.isspace() for one in self.text) >= _CHARACTERS


class Reader:
    """Reads boxes, and remembers the last ones by their pixels."""

    def __init__(self) -> None:
        self._known: dict[bytes, Reading] = {}

    def read(self, picture: Picture, box: tuple[int, int, int, int]) -> Reading:
        """The best reading of a box: upright, and for high boxes from both sides."""
        left, top, right, bottom = box
        cut = np.ascontiguousarray(picture[top:bottom, left:right])
        name = hashlib.blake2b(repr(cut.shape).encode() + cut.tobytes(), digest_size=16).digest()
        known = self._known.get(name)
        if known is None:
            known = _best(Image.fromarray(cut))
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[name] = known
        return known


def _best(cut: Image.Image) -> Reading:
    best = Reading("", 0.0)
    turns = (0,) if cut.height <= _UPRIGHT * cut.width else (90, 270, 0)
    for turn in turns:
        reading = _line(cut.rotate(turn, expand=True) if turn else cut)
        if reading.confidence > best.confidence:
            best = reading
        if best.certain:
            break
    return best


def _line(line: Image.Image) -> Reading:
    """Connectionist temporal classification: repeats of a step are one character, the empty class parts them."""
    width = max(8, min(_WIDEST, round(line.width * _HEIGHT / line.height)))
    pixels = coloured(np.asarray(line.resize((width, _HEIGHT), Image.Resampling.BICUBIC)))
    pixels = np.pad(pixels, ((0, 0), (0, max(0, _NARROWEST - width)), (0, 0)), constant_values=128)
    steps = read(pixels[np.newaxis])[0]
    classes = steps.argmax(axis=1)
    new = (classes > 0) & np.concatenate(([True], classes[1:] != classes[:-1]))
    if not new.any():
        return Reading("", 0.0)
    text = "".join(CHARACTERS[one] for one in classes[new])
    return Reading(text, float(steps.max(axis=1)[new].mean()))
