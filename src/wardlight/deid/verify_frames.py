"""The verifier's look at encapsulated pixel data: items, markers, and that nothing but comments became zeros.

Written from PS3.5 Annex A and G and the codecs' standards alone; it shares no code with what cleans pixels.
"""

from __future__ import annotations

import re
import struct
from itertools import pairwise
from typing import Final

Buffer = bytes | memoryview
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom exclusive."""

Ranges = list[tuple[int, int]]
"""Places of a frame that say nothing: (first, end)."""

_RLE: Final = "1.2.840.10008.1.2.5"
_JPEG: Final = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.(5[0-8]|70|80|81)")
_J2K: Final = re.compile(r"1\.2\.840\.10008\.1\.2\.4\.(90|91|201|202|203)")
#: A frame is held while it is looked at; a larger one does not leave.
_LARGEST_FRAME: Final = 256 << 20
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


class Frames:
    """Items and frames of encapsulated pixel data.

    values: elements of group 0028 by their number. compared: each piece comes with what it was before it was cleaned.
    """

    def __init__(self, syntax_uid: str, values: dict[int, int], *, compared: bool) -> None:
        self._values = values
        self._rle = syntax_uid == _RLE
        self._j2k = _J2K.fullmatch(syntax_uid) is not None
        self._ls = syntax_uid.endswith((".80", ".81"))
        if not (self._rle or self._j2k or _JPEG.fullmatch(syntax_uid)):
            raise Unverified("pixel-encoding")
        self._compared = compared
        self._data = bytearray()
        self._was = bytearray()
        self._old = bytearray()
        self._table: bytes | None = None
        self._frame = bytearray()
        self._position = 0
        self._start = -1
        self._starts: list[int] = []
        self._ended = False

    def feed(self, chunk: Buffer, was: Buffer) -> None:
        """Look at the next bytes. was: what they were, as many."""
        self._data += chunk
        if self._compared:
            self._was += was
            if len(self._was) != len(self._data):
                raise Unverified("pixels-differ")
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
            if self._was[at : at + 8] != self._data[at : at + 8 if self._compared else at]:
                raise Unverified("pixels-differ")
            if not self._ended:
                body = slice(at + 8, at + 8 + length)
                self._item(bytes(self._data[body]), self._was[body])
            at += 8 + length
        del self._data[:at]
        del self._was[:at]
        if len(self._frame) > _LARGEST_FRAME:
            raise Unverified("fragments")

    def _item(self, value: bytes, was: bytearray) -> None:
        if self._table is None:
            self._table = value
            if self._compared and was != value:
                raise Unverified("pixels-differ")
            return
        if self._start < 0:
            self._start = self._position
        self._position += 8 + len(value)
        self._frame += value
        self._old += was
        whole = bytes(self._frame)
        code = whole.rstrip(b"\0")
        if self._rle:
            silent = self._segments(whole)
        elif code[-2:] != b"\xff\xd9":
            return
        else:
            silent = _codestream(code) if self._j2k else _image(code, _CODED_LS if self._ls else _CODED)
            silent.append((len(code), len(whole)))
        if self._compared:
            _only_silenced(self._old, whole, silent)
        self._frame.clear()
        self._old.clear()
        self._starts.append(self._start)
        self._start = -1

    def _segments(self, frame: bytes) -> Ranges:
        """PS3.5 Annex G: every byte of the frame belongs to a run of one of its segments, or is zero."""
        silent: Ranges = []
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
            silent.append((at, end))
        return silent

    def finish(self) -> None:
        """All was there: as many frames as the header says, and a table of offsets that is empty or right."""
        if not self._ended or self._data or self._frame:
            raise Unverified("fragments")
        if len(self._starts) != self._values[0x0008]:
            raise Unverified("frame-count")
        if self._table and self._table != b"".join(start.to_bytes(4, "little") for start in self._starts):
            raise Unverified("offset-table")


def _only_silenced(was: bytearray, now: bytes, silent: Ranges) -> None:
    """Bytes that changed are zeros now, and in places that say nothing."""
    if was == now:
        return
    import numpy as np

    changed = np.flatnonzero(np.frombuffer(was, np.uint8) != np.frombuffer(now, np.uint8))
    starts = np.array([first for first, _ in silent])
    ends = np.array([end for _, end in silent])
    place = np.searchsorted(starts, changed, "right") - 1
    if (place < 0).any() or (changed >= ends[place]).any() or np.frombuffer(now, np.uint8)[changed].any():
        raise Unverified("pixels-differ")


def _image(data: bytes, coded: re.Pattern[bytes]) -> Ranges:
    """A JPEG or JPEG-LS image from SOI to EOI, with nothing said in its comments and application segments: those."""
    silent: Ranges = []
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
            return silent
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end < at + 4 or end > len(data) or code in (0xD8, 0x01):
            break
        if (code >= 0xE0 and code <= 0xEF) or code == 0xFE:
            if not _SPEAKING.fullmatch(data[at + 1 : at + 2] + data[at + 4 : end]):
                raise Unverified("comment")
            silent.append((at + 4, end))
        elif code == 0xDA:
            match = coded.search(data, end)
            if match is None:
                break
            end = match.start()
        at = end
    raise Unverified("codestream")


def _codestream(data: bytes) -> Ranges:
    """A JPEG 2000 codestream from SOC to EOC, with nothing said in its comments: those."""
    silent: Ranges = []
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
        if code == 0x64:
            if data[at + 4 : at + 6] > b"\0\1" or any(data[at + 6 : end]):
                raise Unverified("comment")
            silent.append((at + 4, end))
        if end <= at + 4:
            break
        at = end
    if data[at:] != b"\xff\xd9":
        raise Unverified("codestream")
    return silent
