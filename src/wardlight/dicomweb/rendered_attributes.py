"""Values of an encoded data set that rendering needs, read in place; items of a sequence one at a time.

`dicom.json` gives a whole data set; here a frame of one image wants a few values out of what may be a header of
megabytes with thousands of items.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from wardlight.dicom.charset import DEFAULT, CharacterSets, character_sets, decode
from wardlight.dicom.codec import ITEM, Buffer, Codec, codec_of
from wardlight.dicom.dictionary import choices_of, vr_of
from wardlight.dicom.elements import Element, scan_into, sequence_codec
from wardlight.dicom.errors import DicomError
from wardlight.dicom.json import is_sequence
from wardlight.dicom.limits import LIMITS
from wardlight.dicom.skip import read_item, skip_undefined
from wardlight.dicom.transfer_syntax import TransferSyntax
from wardlight.dicom.vr import WORD_SIZES

_CHARACTER_SET: Final = 0x00080005
_FORMATS: Final = {
    b"US": "H", b"SS": "h", b"UL": "I", b"SL": "i", b"UV": "Q", b"SV": "q", b"FL": "f", b"FD": "d", b"OW": "H",
    b"OF": "f", b"OD": "d",
}  # fmt: skip
#: Numbers of one value that are read; a table of more goes as bytes.
_MOST: Final = 4096


@dataclass(frozen=True, eq=False)
class Attributes:
    """One data set: the top level of a header, or an item.

    pixel: the pixel data element where the buffer has one. Values that are missing, empty or not what their VR
    promises are read as "not there". Raises `DicomError` where the encoding itself is broken.
    """

    data: Buffer = field(repr=False)
    codec: Codec
    elements: dict[int, Element] = field(repr=False)
    charsets: CharacterSets = field(default=DEFAULT, repr=False)
    pixel: Element | None = None

    def __contains__(self, tag: int) -> bool:
        return tag in self.elements

    def raw(self, tag: int, most: int | None = None) -> bytes:
        """The bytes of a value as they are encoded, at most so many, "" where there are none."""
        element = self.elements.get(tag)
        if element is None or element.length <= 0:
            return b""
        end = element.end if most is None else min(element.end, element.value + most)
        return bytes(self.data[element.value : end])

    def words(self, tag: int, most: int) -> bytes:
        """The bytes of a value of numbers, in little endian, at most so many of them."""
        value = self.raw(tag, most)
        size = WORD_SIZES.get(self._vr(tag), 1)
        if not self.codec.big or size == 1:
            return value
        whole = value[: len(value) // size * size]
        return b"".join(whole[n : n + size][::-1] for n in range(0, len(whole), size))

    def text(self, tag: int) -> str:
        """The value as text, in the data set's character set; of several, the first."""
        value = self.raw(tag)
        vr = self._vr(tag)
        shown = decode(value, self.charsets, vr)
        return (shown if vr in (b"LT", b"ST", b"UT") else shown.split("\\")[0]).strip("\0 ")

    def numbers(self, tag: int, *, signed: bool | None = None) -> list[float]:
        """The values of a number VR or of DS and IS; [] unless all of them are finite numbers.

        signed: how to read what may be US or SS and is written as neither, or contradicts Pixel Representation.
        """
        value = self.raw(tag)
        vr = self._vr(tag)
        try:
            if vr in (b"DS", b"IS"):
                found = [float(part) for part in value[: 16 * _MOST].decode("ascii").strip("\0 ").split("\\")]
            else:
                form = _FORMATS[vr]
                if signed is not None and vr in (b"US", b"SS", b"OW"):
                    form = "h" if signed else "H"
                count = min(len(value) // struct.calcsize(form), _MOST)
                found = list(struct.unpack_from(f"{'>' if self.codec.big else '<'}{count}{form}", value))
        except (ValueError, KeyError):
            return []
        return found if all(map(math.isfinite, found)) else []

    def number(self, tag: int, default: float) -> float:
        """The first value as a number."""
        found = self.numbers(tag)
        return found[0] if found else default

    def whole(self, tag: int, default: int) -> int:
        """The first value as a whole number."""
        return int(self.number(tag, default))

    def _vr(self, tag: int) -> bytes:
        element = self.elements.get(tag)
        vr = element.vr if element else b"UN"
        return vr_of(tag) if vr == b"UN" or (self.codec.implicit and not choices_of(tag)) else vr

    def item(self, tag: int, index: int = 0) -> Attributes | None:
        """One item of a sequence, counting from 0; None where there is none."""
        for number, item in enumerate(self.items(tag)):
            if number == index:
                return item.opened
        return None

    def items(self, tag: int) -> Iterator[Item]:
        """The items of a sequence, unread."""
        element = self.elements.get(tag)
        if element is None or not is_sequence(element):
            return
        codec = sequence_codec(self.data, element, self.codec, LIMITS)
        if codec is None:
            return
        place, count = element.value, 0
        try:
            while element.length < 0 or place < element.end:
                found, _, start, length = read_item(self.data, place, codec)
                if found != ITEM:
                    return
                count += 1
                if count > LIMITS.items:
                    raise DicomError("items", place)
                place = start + length
                if length < 0:
                    place = _end_of_item(self.data, start, codec)
                    yield Item(self, start, place - 8, codec)
                else:
                    yield Item(self, start, place, codec)
        except struct.error:
            raise DicomError("bad-item", place) from None


@dataclass(frozen=True)
class Item:
    """An item of a sequence that has not been read yet."""

    parent: Attributes
    start: int
    end: int
    codec: Codec

    @cached_property
    def opened(self) -> Attributes:
        """Its data set; it inherits the character set."""
        data = memoryview(self.parent.data)[self.start : self.end]
        elements: dict[int, Element] = {}
        scan_into(elements, data, self.codec, 0, None, LIMITS)
        return _with_charset(Attributes(data, self.codec, elements, self.parent.charsets))


def _end_of_item(data: Buffer, place: int, codec: Codec) -> int:
    """The offset after the delimiter of an item of undefined length whose data set begins here."""
    for _ in range(LIMITS.elements):
        start = place
        tag, vr, place, length = codec.read(data, place)
        if tag >> 16 == 0xFFFE:
            return place
        place = place + length if length >= 0 else skip_undefined(data, start, place, vr, codec, LIMITS)
    raise DicomError("count", place)


def _with_charset(attributes: Attributes) -> Attributes:
    if _CHARACTER_SET not in attributes:
        return attributes
    sets = character_sets(attributes.raw(_CHARACTER_SET))
    return replace(attributes, charsets=sets)


def top_level(header: Buffer, syntax: TransferSyntax) -> Attributes:
    """The top level of a header."""
    codec = codec_of(syntax, header, 0)
    elements: dict[int, Element] = {}
    pixel, _, _ = scan_into(elements, header, codec, 0, None, LIMITS)
    return _with_charset(Attributes(header, codec, elements, pixel=pixel))
