"""The verifier's own look at pixel data on its way out: unused bits, fragments, markers. Knows nothing of the engine.

Written from PS3.5 and the codecs' standards alone, it shares no code with what cleans pixels. Native pixel data is
looked at piece by piece as it leaves; encapsulated pixel data frame by frame, before any of it may leave.
"""

from __future__ import annotations

import os
import re
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from wardlight.deid.verify_frames import Box, Buffer, Frames, Unverified
from wardlight.deid.verify_reader import Unreadable, read

if TYPE_CHECKING:
    from wardlight.deid.verify_same import Same

__all__ = ["PixelVerifier", "Unverified"]

# In C where it was built; numpy takes longer to load than many an object to look at.
_bits_of: Callable[[Buffer, int, bool], tuple[int, int]] | None = None
if not os.environ.get("WARDLIGHT_PURE"):
    try:
        from wardlight.deid._verify_plain import bits_of as _bits_of
    except ImportError:
        pass

_BIG: Final = "1.2.840.10008.1.2.2"
_NATIVE: Final = frozenset(
    ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
)
_FLOATS: Final = {0x0008: 4, 0x0009: 8}
#: Bytes looked at in one go: what is made of them stays in the processor's cache.
_BLOCK: Final = 256 << 10
#: PS3.3 C.7.6.3: samples, frames, rows, columns, bits allocated, stored, high bit, representation.
_WANTED: Final = (0x0002, 0x0008, 0x0010, 0x0011, 0x0100, 0x0101, 0x0102, 0x0103)
#: Their tags in little endian.
_SIGHT: Final = re.compile(rb"\x28\x00(?:[\x02\x08\x10\x11]\x00|[\x00-\x03]\x01)")


class PixelVerifier:
    """Verifies the pixel data of one object, as often as it is sent. Holds a few numbers of its header.

    header: encoded elements up to the pixel data, as they go out; head: tag, VR and length of the pixel data element.
    length: bytes of native pixel data; None: fragments. boxes: what may have changed in each native frame, to one
    colour. Raises Unverified where the header alone says that none fit.
    """

    def __init__(
        self, header: bytes, syntax_uid: str, head: bytes, length: int | None, boxes: Sequence[Box] = ()
    ) -> None:
        if length is not None and syntax_uid not in _NATIVE:
            raise Unverified("pixel-encoding")
        self._syntax_uid = syntax_uid
        self._values = _numbers(header, syntax_uid)
        self._length = length
        element = int.from_bytes(head[2:4], "big" if syntax_uid == _BIG else "little")
        self._floating = _FLOATS.get(element, 0)
        self._boxes = tuple(boxes)
        self._swapped = syntax_uid == _BIG and head[4:6] == b"OW"
        #: Planar Configuration and shared colours: looked for only where there are boxes.
        self._arranged = _arranged(header, syntax_uid) if boxes else (False, False)

    def verified(
        self, chunks: Iterable[Buffer], clean: Callable[[Iterable[Buffer]], Iterator[Buffer]] | None = None
    ) -> Iterator[Buffer]:
        """The same chunks cleaned; raises Unverified. Native ones are looked at before they are passed on, one by one.

        clean: gives as many bytes as it takes, which are compared with those. Without it the chunks come as they are
        to be sent. Fragments are only verified when all were taken, so that this has to be done before any is sent.
        """
        came = Came(chunks)
        checks: _Bits | Frames
        same: _Beside | None = None
        if self._length is None:
            checks = Frames(self._syntax_uid, self._values, compared=clean is not None)
        else:
            checks = _Bits(self._values, self._syntax_uid == _BIG, self._floating, self._length)
            if clean is not None:
                same = _Beside(self._same, bool(self._boxes))
        for chunk in chunks if clean is None else clean(came):
            was = chunk if clean is None else came.take(len(chunk))
            if same is not None:
                same.feed(was, chunk)
            checks.feed(chunk, was)
            yield chunk
        checks.finish()

    def _same(self) -> Same:
        from wardlight.deid.verify_same import Same  # Its numpy takes a while to load.

        planar, shared = self._arranged
        return Same(
            self._values,
            big=self._syntax_uid == _BIG,
            swapped=self._swapped,
            floating=self._floating,
            length=self._length or 0,
            boxes=self._boxes,
            planar=planar,
            shared=shared,
        )


class _Beside:
    """What comes out beside what went in. The usual image: nothing had to change, and the very piece came through."""

    def __init__(self, same: Callable[[], Same], boxes: bool) -> None:
        self._make = same
        self._boxes = boxes
        self._same: Same | None = None
        self._passed = 0

    def feed(self, was: Buffer, now: Buffer) -> None:
        """The next bytes, as they were and as they are. Raises Unverified "pixels-differ"."""
        if self._same is None:
            if was is now and not self._boxes:
                self._passed += len(now)
                return
            self._same = self._make()
            self._same.skip(self._passed)
        self._same.feed(was, now)


class Came:
    """What goes into a cleaning, kept until it is compared with what comes out of it."""

    def __init__(self, chunks: Iterable[Buffer]) -> None:
        self._chunks = chunks
        self._kept: deque[Buffer] = deque()

    def __iter__(self) -> Iterator[Buffer]:
        for chunk in self._chunks:
            if chunk:
                self._kept.append(chunk)
            yield chunk

    def take(self, count: int) -> Buffer:
        """The next bytes. Raises Unverified where fewer came."""
        if self._kept and len(self._kept[0]) == count:
            return self._kept.popleft()
        parts: list[Buffer] = []
        while count:
            if not self._kept:
                raise Unverified("pixels-differ")
            first = self._kept.popleft()
            if len(first) > count:
                self._kept.appendleft(first[count:])
                first = first[:count]
            parts.append(first)
            count -= len(first)
        return b"".join(parts)


def _arranged(header: bytes, syntax_uid: str) -> tuple[bool, bool]:
    """Whether samples come plane by plane, and whether two pixels share their colours."""
    try:
        items = read(header, syntax_uid)
    except (Unreadable, RecursionError):
        raise Unverified("unreadable") from None
    values = {tag: header[start:end] for path, tag, _vr, start, end in items if not path}
    return any(values.get(0x00280006, b"")), b"_422" in values.get(0x00280004, b"")


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

    size: int
    big: bool
    zero: int
    least: int
    most: int

    def fit(self, data: Buffer) -> bool:
        """Whether all samples are so. Both ends are powers of two, or what is one below."""
        if _bits_of is None:
            return self._fit(data)
        every, unlike = _bits_of(data, self.size, self.big)
        return not every & self.zero and (unlike if self.least else every) <= self.most

    def _fit(self, data: Buffer) -> bool:
        import numpy as np

        samples = np.frombuffer(data, f"{'>' if self.big else '<'}{'i' if self.least else 'u'}{self.size}")
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
            # What is right of the image is zero; what is left of it is zero or the sign: then the word is in range.
            least, most = -(2**high) if signed else 0, 2 ** (high + 1 - signed) - 1
            self._words = _Words(self._size, self._big, 2**low - 1, least, most)
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

    def feed(self, chunk: Buffer, _was: Buffer = b"") -> None:
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
