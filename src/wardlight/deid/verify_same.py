"""The verifier's comparison of native pixel data with what it was: the same, but for boxes of one colour.

Bits that are not the image's own may have changed, values that are not a number to others that are none, and all
within the boxes. It shares no code with what cleans pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from wardlight.deid.verify_frames import Box, Buffer, Unverified

#: Bytes compared in one go, a multiple of every sample's size.
_BLOCK: Final = 240 << 10


class Same:
    """Compares piece by piece.

    values: elements of group 0028 by their number. swapped: VR OW in big endian. floating: bytes of a number that is
    no integer, else 0. length: of the value in bytes. planar: plane by plane; shared: YBR_FULL_422 and its like.
    """

    def __init__(
        self,
        values: Mapping[int, int],
        *,
        big: bool,
        swapped: bool,
        floating: int,
        length: int,
        boxes: Sequence[Box],
        planar: bool,
        shared: bool,
    ) -> None:
        get = values.get
        self._rows, self._columns, self._samples = get(0x0010, 0), get(0x0011, 0), get(0x0002, 1)
        self._allocated = 8 * floating or get(0x0100, 0)
        self._size = max(self._allocated // 8, 1)
        self._floating = floating
        self._big = big
        self._swapped = swapped and self._allocated < 16
        self._planar = planar and self._samples > 1
        self._shared = shared and self._samples == 3
        each = 2 if self._shared else self._samples
        bits = get(0x0008, 1) * self._rows * self._columns * each * self._allocated
        self._bits = min(bits, 8 * length)
        self._at = 0
        self._used = self._own_bits(get(0x0101, 0), get(0x0102, -1))
        self._boxes = bool(boxes)
        self._mask = self._masked(boxes) if boxes else np.zeros(0, np.bool_)
        self._dark: dict[int, int] = {}

    def _own_bits(self, stored: int, high: int) -> NDArray[np.uint8]:
        """A mask of the image's own bits for each byte of a sample."""
        if self._allocated < 8 or self._floating or not 0 < stored <= high + 1:
            return np.full(self._size, 0xFF, np.uint8)
        order: Any = "big" if self._big else "little"
        own = ((1 << stored) - 1) << (high + 1 - stored)
        return np.frombuffer(own.to_bytes(self._size, order), np.uint8)

    def _masked(self, boxes: Sequence[Box]) -> NDArray[np.bool_]:
        """For each pixel of a frame, or each pair that shares its colours, whether it is in a box."""
        mask = np.zeros((self._rows, self._columns), np.bool_)
        for left, top, right, bottom in boxes:
            mask[top:bottom, left:right] = True
        if self._shared:
            mask = mask[:, ::2] | mask[:, 1::2]
        return mask.ravel()

    def skip(self, count: int) -> None:
        """As many bytes are the same, and were not looked at."""
        self._at += count

    def feed(self, was: Buffer, now: Buffer) -> None:
        """The next bytes, as they were and as they are. Raises Unverified "pixels-differ"."""
        if len(was) != len(now):
            raise Unverified("pixels-differ")
        for start in range(0, len(now), _BLOCK):
            old = np.frombuffer(was[start : start + _BLOCK], np.uint8)
            new = np.frombuffer(now[start : start + _BLOCK], np.uint8)
            if self._boxes or not np.array_equal(old, new):
                self._compare(old, new)
            self._at += len(new)

    def _compare(self, old: NDArray[np.uint8], new: NDArray[np.uint8]) -> None:
        places = np.arange(self._at, self._at + len(new))
        changed = old ^ new
        changed &= self._used[places % self._size]
        # What is behind the last sample is looked at elsewhere.
        whole, rest = divmod(self._bits, 8)
        changed[places > whole] = 0
        changed[places == whole] &= (1 << rest) - 1
        if self._floating:
            changed[self._both_no_number(old, new)] = 0
        if not self._boxes:
            if changed.any():
                raise Unverified("pixels-differ")
            return
        if self._swapped:
            places ^= 1
        if self._allocated == 1:
            places = (8 * places[:, np.newaxis] + np.arange(8)).ravel()
            changed = np.unpackbits(changed, bitorder="little")
            new = np.unpackbits(new, bitorder="little")
        inside = places < (self._bits if self._allocated == 1 else whole)
        pixel, lane = self._pixels(places)
        inside &= self._mask[pixel]
        if changed[~inside].any():
            raise Unverified("pixels-differ")
        self._one_colour(new[inside], lane[inside])

    def _pixels(self, places: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The pixel (or pair) of a frame that each byte or bit belongs to, and which of the pixel's it is."""
        size = self._size
        if self._planar:
            plane = len(self._mask) * size
            number = places % (plane * self._samples)
            return number % plane // size, number // plane * size + number % size
        unit = size * (4 if self._shared else self._samples)
        return places % (len(self._mask) * unit) // unit, places % unit

    def _one_colour(self, values: NDArray[np.uint8], lanes: NDArray[np.intp]) -> None:
        """All of each lane that is in a box has one value, in all frames."""
        for lane in np.unique(lanes).tolist():
            found = values[lanes == lane]
            dark = self._dark.setdefault(lane, int(found[0]))
            if int(found.min()) != dark or int(found.max()) != dark:
                raise Unverified("box-not-black")

    def _both_no_number(self, old: NDArray[np.uint8], new: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Bytes of numbers that were none, and are none."""
        form = np.dtype(f"{'>' if self._big else '<'}f{self._size}")
        none = np.zeros(len(new), np.bool_)
        if self._at % self._size == 0:
            end = len(new) - len(new) % self._size
            both = np.isnan(old[:end].view(form)) & np.isnan(new[:end].view(form))
            none[:end] = both.repeat(self._size)
        return none
