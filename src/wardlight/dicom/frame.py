"""What describes the pixels of one frame (PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class FrameShape:
    """One frame as a data set describes it.

    syntax: UID its bytes are encoded in; native ones are in the byte order of that syntax. planar: Planar
    Configuration. floating: Float or Double Float Pixel Data. words: native pixels have VR OW, whose bytes are swapped
    in pairs in big endian also where a sample has 8 bits.
    """

    syntax: str
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: int = 0
    floating: bool = False
    words: bool = False

    def becomes(self, syntax: str, photometric: str, planar: int) -> Self:
        """The description of the frame encoded anew, which changes these attributes and no other."""
        return replace(self, syntax=syntax, photometric=photometric, planar=planar, words=False)
