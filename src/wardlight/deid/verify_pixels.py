"""The verifier's own look at pixel data on its way out: unused bits, fragments, markers. Knows nothing of the engine.

Written from PS3.5 and the codecs' standards alone, it shares no code with what cleans pixels. Native pixel data is
looked at piece by piece as it leaves; encapsulated pixel data frame by frame, before any of it may leave.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from wardlight.deid.verify_reader import Unreadable, read

Buffer = bytes | memoryview

_BIG: Final = "1.2.840.10008.1.2.2"
_RLE: Final = "1.2.840.10008.1.2.5"
_JPEG: Final = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.(5[0-8]|70|80|81)")
_J2K: Final = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.(90|91|201|202|203)")
_NATIVE: Final = frozenset(
    ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
)
_FLOATS: Final = {0x0008: 4, 0x0009: 8}
#: A frame is held while it is looked at; a larger one does not leave.
_LARGEST_FRAME: Final = 256 << 20
#: Bytes looked at in one go: what is made of them stays in the processor's cache.
_BLOCK: Final = 256 << 10
#: PS3.3 C.7.6.3: samples, frames, rows, columns, bits allocated, stored, high bit, representation.
_WANTED: Final = (0x0002, 0x0008, 0x0010, 0x0011, 0x0100, 0x0101, 0x0102, 0x0103)
#: Their tags in little endian.
_SIGHT: Final = re.compile(rb"\x28\x00(?:[\x02\x08\x10\x11]\x00|[\x00-\x03]\x01)")
#: Marker of JPEG or JPEG-LS after coded data: neither stuffing, nor RST, nor fill.
_CODED: Final = re.compile(rb"\xff(?:[\x01-\x7f\x80-\xcf\xd8-\xfe])", re.DOTALL)
_CODED_LS: Final = re.compile(rb"\xff(?:[\x80-\xcf\xd8-\xfe])", re.DOTALL)
#: Application segments that may say something: JFIF without thumbnail, Adobe, SPIFF and its end, HP's colours.
_SPEAKING: Final = re.compile(
    rb"\xe0JFIF\x00..[\x00-\x02]....\x00*|\xee(?:Adobe......[\x00-\x02])\x00*"
    rb"|\xe8(?:SPIFF\x00.{24}|\x00\x00\x00\x01(?:\xff\xd8)?|mrfx[\x00-\x05])|[\xe0-\xef\xfe]\x00*",
    re.DOTALL,
)


class Unverified(ValueError):
    """The pixel data is not what may leave. `code` says why; it holds no value."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code: Final = code


class PixelVerifier:
    """Verifies the pixel data of one object, as often as it is sent. Holds a few numbers of its header.

    header: encoded elements up to the pixel data, as they go out; head: tag, VR and length of the pixel data element.
    length: bytes of native pixel data; None: fragments. Raises Unverified where the header alone says that none fit.
    """

    def __init__(self, header: bytes, syntax_uid: str, head: bytes, length: int | None) -> None:
        if length is not None and syntax_uid not in _NATIVE:
            raise Unverified("pixel-encoding")
        self._syntax_uid = syntax_uid
        self._values = _numbers(header, syntax_uid)
        self._length = length
        element = int.from_bytes(head[2:4], "big" if syntax_uid == _BIG else "little")
        self._floating = _FLOATS.get(element, 0)

    def verified(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The same chunks; raises Unverified. Native ones are looked at before they are passed on, one by one.

        Fragments are only verified when all were taken, so that this has to be done before any is sent.
        """
        checks: _Bits | _Frames
        if self._length is None:
            checks = _Frames(self._syntax_uid, self._values)
        else:
            checks = _Bits(self._values, self._syntax_uid == _BIG, self._floating, self._length)
        for chunk in chunks:
            checks.feed(chunk)
            yield chunk
        checks.finish()


def _numbers(header: bytes, syntax_uid: str) -> dict[int, int]:
    """The elements of group 0028 that describe samples, at the top level of a header."""
    big = syntax_uid == _BIG
    order = ">" if big else "<"
    found: dict[int, int] = {}
    if not big:
        found = _at_sight(header)
    if len(found) == len(_WANTED):
        return found
    try:
        items = read(header, syntax_uid)
    except (Unreadable, RecursionError):
        raise Unverified("unreadable") from None
    found = {0x0002: 1, 0x0008: 1}
    for path, wide, _vr, start, end in items:
        if path or wide >> 16 != 0x0028 or wide & 0xFFFF not in _WANTED or end - start < 1:
            continue
        value = header[start:end]
        if wide & 0xFFFF == 0x0008:
            frames = value.strip(b" \0")
            found[0x0008] = int(frames) if frames.isdigit() and len(frames) < 10 else -1
        elif len(value) >= 2:
            (found[wide & 0xFFFF],) = struct.unpack_from(f"{order}H", value)
    return found


def _at_sight(header: bytes) -> dict[int, int]:
    """Those of `_numbers` in little endian whose tag stands only once in the header, as one of an element does."""
    places: dict[int, int] = {}
    for match in _SIGHT.finditer(header):
        number = header[match.start() + 2] | header[match.start() + 3] << 8
        # Found twice, one of them is in a sequence or in a value: then all is read.
        places[number] = -1 if number in places else match.end()
    found: dict[int, int] = {}
    for number, at in places.items():
        head = header[at : at + 4]
        if at < 0 or len(header) < at + 6:
            continue
        if number != 0x0008:
            if head in (b"US\2\0", b"\2\0\0\0"):
                found[number] = header[at + 4] | header[at + 5] << 8
        elif head[:2] == b"IS":
            value = header[at + 4 : at + 4 + (head[2] | head[3] << 8)].strip(b" \0")
            if value.isdigit() and len(value) < 10:
                found[number] = int(value)
    if 0x0008 not in places:
        found[0x0008] = 1
    return found


class _Words(NamedTuple):
    """Samples of a machine's word size. zero: bits that none may have; least, most: between which each one is."""

    form: np.dtype[Any]
    zero: int
    least: int
    most: int

    def fit(self, data: Buffer) -> bool:
        """Whether all samples are so."""
        samples = np.frombuffer(data, self.form)
        if not samples.size:
            return True
        if self.zero and int(np.bitwise_or.reduce(samples)) & self.zero:
            return False
        return bool(samples.max() <= self.most and (not self.least or samples.min() >= self.least))


class _Bits:
    """Unused bits and padding of native samples, one after the other however they are cut into chunks."""

    def __init__(self, values: dict[int, int], big: bool, floating: int, length: int) -> None:
        get = values.get
        allocated = 8 * floating or get(0x0100, 0)
        self._big = big
        self._floating = floating
        self._size = max(allocated // 8, 1)
        self._tail = b""
        self._length = length
        pixels = get(0x0008, 1) * get(0x0010, 0) * get(0x0011, 0) * get(0x0002, 1)
        # Where two pixels share their colours the value is shorter, and has no padding that could be looked at.
        self._bits = min(pixels * allocated, 8 * length)
        self._left = length
        self._words: _Words | None = None
        self._wrong: list[tuple[int, bytes]] = []
        self._signs: list[tuple[int, int, bytes]] = []
        stored, high = get(0x0101, 0), get(0x0102, -1)
        if not floating and allocated > 1 and stored != allocated:
            if not 0 < stored <= high + 1 <= allocated:
                raise Unverified("pixel-bits")
            self._plan(stored, high, get(0x0103, 0) == 1)

    def _plan(self, stored: int, high: int, signed: bool) -> None:
        low = high + 1 - stored
        if self._size in (1, 2, 4, 8):
            form = np.dtype(f"{'>' if self._big else '<'}{'i' if signed else 'u'}{self._size}")
            # What is right of the image is zero; what is left of it is zero or the sign: then the word is in range.
            self._words = _Words(form, 2**low - 1, -(2**high) if signed else 0, 2 ** (high + 1 - signed) - 1)
            return
        for place in range(self._size):
            byte = self._size - 1 - place if self._big else place
            first = 8 * byte
            if signed and first > high:
                sign = self._size - 1 - high // 8 if self._big else high // 8
                self._signs.append((place, sign, bytes(255 * (v >> high % 8 & 1) for v in range(256))))
            else:
                wrong = _wrong(first, low, high, signed)
                if wrong:
                    self._wrong.append((place, wrong))

    def feed(self, chunk: Buffer) -> None:
        """Look at the next bytes."""
        self._left -= len(chunk)
        if self._left < 0:
            raise Unverified("pixel-length")
        if self._words or self._wrong or self._signs or self._floating:
            for at in range(0, len(chunk), _BLOCK):
                data: Buffer = memoryview(chunk)[at : at + _BLOCK]
                if self._tail or not self._words:
                    data = self._tail + bytes(data)
                whole = len(data) - len(data) % self._size
                self._tail = bytes(data[whole:])
                self._look(data if whole == len(data) else data[:whole])
        if not self._left:
            self._end(chunk)

    def _look(self, data: Buffer) -> None:
        if self._words is not None:
            if not self._words.fit(data):
                raise Unverified("unused-bits")
            return
        assert isinstance(data, bytes)
        for place, wrong in self._wrong:
            if len(data[place :: self._size].translate(None, wrong)) * self._size != len(data):
                raise Unverified("unused-bits")
        for place, sign, table in self._signs:
            if data[sign :: self._size].translate(table) != data[place :: self._size]:
                raise Unverified("unused-bits")
        if self._floating:
            order, code = ">" if self._big else "<", "f" if self._floating == 4 else "d"
            values = struct.unpack(f"{order}{len(data) // self._size}{code}", data)
            if any(value != value for value in values):
                self._quiet(data)

    def _quiet(self, data: bytes) -> None:
        """What is not a number is the one quiet value that says no more than that."""
        order, code = ">" if self._big else "<", "I" if self._floating == 4 else "Q"
        fraction = 23 if self._floating == 4 else 52
        ones = (1 << 8 * self._floating - 1 - fraction) - 1
        quiet = ones << fraction | 1 << fraction - 1
        for value in struct.unpack(f"{order}{len(data) // self._size}{code}", data):
            exponent = value >> fraction & ones
            if exponent == ones and value & (1 << fraction) - 1 and value != quiet:
                raise Unverified("unused-bits")

    def _end(self, last: Buffer) -> None:
        """The bits behind the last sample."""
        spare = 8 * self._length - self._bits
        if not 0 < spare < 16:
            return
        end = last[-1]
        if spare >= 8:
            # A byte of padding; what is before it may have come in the chunk before.
            if end:
                raise Unverified("padding")
            if spare == 8 or len(last) < 2:
                return
            end = last[-2]
        if end >> 8 - spare % 8:
            raise Unverified("padding")

    def finish(self) -> None:
        """All was there."""
        if self._left:
            raise Unverified("pixel-length")


@lru_cache(maxsize=1024)
def _wrong(first: int, low: int, high: int, signed: bool) -> bytes:
    """Values that a byte of a sample must not have."""
    return bytes(value for value in range(256) if not _fits(value, first, low, high, signed))


def _fits(value: int, first: int, low: int, high: int, signed: bool) -> bool:
    """Whether a byte whose lowest bit has number `first` has nothing in bits below `low` and above `high`."""
    negative = signed and first <= high < first + 8 and bool(value >> high - first & 1)
    return all(
        low <= first + bit <= high or (value >> bit & 1) == (negative and first + bit > high)
        for bit in range(8)
    )


class _Frames:
    """Items and frames of encapsulated pixel data."""

    def __init__(self, syntax_uid: str, values: dict[int, int]) -> None:
        self._values = values
        self._rle = syntax_uid == _RLE
        self._j2k = _J2K.fullmatch(syntax_uid) is not None
        self._ls = syntax_uid.endswith((".80", ".81"))
        if not (self._rle or self._j2k or _JPEG.fullmatch(syntax_uid)):
            raise Unverified("pixel-encoding")
        self._data = bytearray()
        self._table: bytes | None = None
        self._frame = bytearray()
        self._position = 0
        self._start = -1
        self._starts: list[int] = []
        self._ended = False

    def feed(self, chunk: Buffer) -> None:
        """Look at the next bytes."""
        self._data += chunk
        at = 0
        while len(self._data) - at >= 8:
            tag, length = struct.unpack_from("<II", self._data, at)
            if self._ended or tag not in (0xE000FFFE, 0xE0DDFFFE) or length > _LARGEST_FRAME:
                raise Unverified("fragments")
            if tag == 0xE0DDFFFE:
                if length:
                    raise Unverified("fragments")
                self._ended = True
            if len(self._data) - at < 8 + length:
                break
            if not self._ended:
                self._item(bytes(self._data[at + 8 : at + 8 + length]))
            at += 8 + length
        del self._data[:at]
        if len(self._frame) > _LARGEST_FRAME:
            raise Unverified("fragments")

    def _item(self, value: bytes) -> None:
        if self._table is None:
            self._table = value
            return
        if self._start < 0:
            self._start = self._position
        self._position += 8 + len(value)
        self._frame += value
        whole = bytes(self._frame)
        if self._rle:
            self._segments(whole)
        elif whole.rstrip(b"\0")[-2:] != b"\xff\xd9":
            return
        elif self._j2k:
            _codestream(whole.rstrip(b"\0"))
        else:
            _image(whole.rstrip(b"\0"), _CODED_LS if self._ls else _CODED)
        self._frame.clear()
        self._starts.append(self._start)
        self._start = -1

    def _segments(self, frame: bytes) -> None:
        """PS3.5 Annex G: every byte of the frame belongs to a run of one of its segments, or is zero."""
        get = self._values.get
        count = get(0x0002, 1) * (get(0x0100, 0) // 8)
        if len(frame) < 64 or not 0 < count < 16:
            raise Unverified("rle")
        said, *offsets = struct.unpack_from("<16I", frame)
        borders = [*offsets[:count], len(frame)]
        if said != count or borders[0] != 64 or any(offsets[count:]) or borders != sorted(borders):
            raise Unverified("rle")
        pixels = get(0x0010, 0) * get(0x0011, 0)
        for first, end in pairwise(borders):
            at, left = first, pixels
            while left > 0 and at < end:
                run = frame[at]
                left -= run + 1 if run < 128 else 257 - run if run > 128 else 0
                at += run + 2 if run < 128 else 2 if run > 128 else 1
            if left or at > end or any(frame[at:end]):
                raise Unverified("rle")

    def finish(self) -> None:
        """All was there: as many frames as the header says, and a table of offsets that is empty or right."""
        if not self._ended or self._data or self._frame:
            raise Unverified("fragments")
        if len(self._starts) != self._values[0x0008]:
            raise Unverified("frame-count")
        if self._table and self._table != b"".join(start.to_bytes(4, "little") for start in self._starts):
            raise Unverified("offset-table")


def _image(data: bytes, coded: re.Pattern[bytes]) -> None:
    """A JPEG or JPEG-LS image from SOI to EOI, with nothing said in its comments and application segments."""
    if data[:2] != b"\xff\xd8":
        raise Unverified("codestream")
    at = 2
    while data[at : at + 1] == b"\xff":
        while data[at + 1 : at + 2] == b"\xff":
            at += 1
        code = data[at + 1]
        if code == 0xD9:
            if at + 2 != len(data):
                break
            return
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end < at + 4 or end > len(data) or code in (0xD8, 0x01):
            break
        if (code >= 0xE0 and code <= 0xEF) or code == 0xFE:
            if not _SPEAKING.fullmatch(data[at + 1 : at + 2] + data[at + 4 : end]):
                raise Unverified("comment")
        elif code == 0xDA:
            match = coded.search(data, end)
            if match is None:
                break
            end = match.start()
        at = end
    raise Unverified("codestream")


def _codestream(data: bytes) -> None:
    """A JPEG 2000 codestream from SOC to EOC, with nothing said in its comments."""
    if data[:4] != b"\xff\x4f\xff\x51":
        raise Unverified("codestream")
    at, tile, until = 2, -1, 0
    while at + 4 <= len(data) and data[at] == 0xFF:
        code = data[at + 1]
        if code == 0x93:
            at = until or len(data) - 2
            if at < tile:
                break
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if code == 0x90:
            (length,) = struct.unpack_from(">I", data, at + 6) if at + 12 <= len(data) else (0,)
            tile, until = at + 12, at + length if length else 0
        if code == 0x64 and (data[at + 4 : at + 6] > b"\0\1" or any(data[at + 6 : end])):
            raise Unverified("comment")
        if end <= at + 4:
            break
        at = end
    if data[at:] != b"\xff\xd9":
        raise Unverified("codestream")
