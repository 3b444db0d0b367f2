"""What a compressed frame says of itself: its transfer syntax and the attributes that describe its pixels.

JPEG (ITU-T T.81), JPEG-LS (T.87), JPEG 2000 (T.800) and HTJ2K (T.814); only their headers are read, nothing is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Bytes of a frame that `inspect` needs at most: markers before the frame header, an ICC profile among them.
HEAD_BYTES: Final = 256 << 10

_ROOT: Final = "1.2.840.10008.1.2.4."
_JPEG_START: Final = b"\xff\xd8"
_J2K_START: Final = b"\xff\x4f\xff\x51"
_JP2_START: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_SOF_LS: Final = 0xF7
_SOFS: Final = {0xC0: "50", 0xC1: "51", 0xC3: "57", _SOF_LS: "80"}
_APP14: Final = 0xEE
_SOS: Final = 0xDA
_CAP: Final = 0x50
_COD: Final = 0x52
_SOT: Final = 0x90


@dataclass(frozen=True, slots=True)
class Codestream:
    """A compressed frame. syntax: UID of the narrowest transfer syntax it can have. start: where the stream begins.

    photometric: of what the stream decodes to by PS3.5 8.2, "" where it does not say.
    """

    syntax: str
    start: int
    rows: int
    columns: int
    samples: int
    bits: int
    signed: bool
    photometric: str


class _Reader:
    """Walks the marker segments of a head; raises IndexError at its end, as slices that are too short do not."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    def segment(self) -> tuple[int, bytes]:
        """The next marker's code and its payload."""
        data, p = self._data, self._position
        if data[p] != 0xFF:
            raise ValueError
        while data[p + 1] == 0xFF:
            p += 1
        length = data[p + 2] << 8 | data[p + 3]
        if length < 2 or p + 2 + length > len(data):
            raise IndexError
        self._position = p + 2 + length
        return data[p + 1], data[p + 4 : self._position]


def inspect(head: bytes) -> Codestream | None:
    """What the first bytes of a frame show, `HEAD_BYTES` of it or all; None where that is none of these formats."""
    try:
        if head.startswith(_JPEG_START):
            return _jpeg(head)
        if head.startswith(_J2K_START):
            return _j2k(head, 0)
        if head.startswith(_JP2_START):
            return _j2k(head, _codestream_box(head))
    except (IndexError, ValueError):
        return None
    return None


def _codestream_box(head: bytes) -> int:
    """Where the contiguous codestream of a JP2 file begins (T.800 I.5.4)."""
    position = 0
    while True:
        size = int.from_bytes(head[position : position + 4], "big")
        kind = head[position + 4 : position + 8]
        if kind == b"jp2c":
            start = position + (16 if size == 1 else 8)
            if not head.startswith(_J2K_START, start):
                raise ValueError
            return start
        if size < 8:
            raise ValueError
        position += size


def _jpeg(head: bytes) -> Codestream:
    reader = _Reader(head, 2)
    frame: tuple[int, bytes] | None = None
    transform = -1
    while True:
        code, payload = reader.segment()
        if code in _SOFS:
            frame = code, payload
        elif code == _APP14 and payload.startswith(b"Adobe") and len(payload) > 11:
            transform = payload[11]
        elif code == _SOS:
            break
        elif 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            raise ValueError  # other processes are retired
    if frame is None:
        raise ValueError
    code, fields = frame
    suffix = _SOFS[code]
    count = payload[0]
    if code == 0xC3 and payload[1 + 2 * count] == 1:
        suffix = "70"
    elif code == _SOF_LS and payload[1 + 2 * count]:
        suffix = "81"
    samples = fields[5]
    photometric = "MONOCHROME2" if samples == 1 else "RGB"
    if samples == 3 and code in (0xC0, 0xC1) and transform != 0 and fields[6::3][:3] != b"RGB":
        photometric = "YBR_FULL" if fields[7] == 0x11 else "YBR_FULL_422"
    rows, columns = fields[1] << 8 | fields[2], fields[3] << 8 | fields[4]
    return Codestream(_ROOT + suffix, 0, rows, columns, samples, fields[0], False, photometric)


def _j2k(head: bytes, start: int) -> Codestream:
    reader = _Reader(head, start + 2)
    _, size = reader.segment()
    high_throughput = False
    coding = b""
    while not coding:
        code, payload = reader.segment()
        high_throughput |= code == _CAP
        if code == _COD:
            coding = payload
        elif code == _SOT:
            raise ValueError
    width, height, left, top = (int.from_bytes(size[at : at + 4], "big") for at in (2, 6, 10, 14))
    samples = size[34] << 8 | size[35]
    reversible = coding[9] == 1
    suffixes = ("201", "203") if high_throughput else ("90", "91")
    suffix = suffixes[not reversible]
    photometric = "MONOCHROME2" if samples == 1 else "RGB"
    if samples == 3 and coding[4] == 1:
        photometric = "YBR_RCT" if reversible else "YBR_ICT"
    precision = size[36]
    return Codestream(
        _ROOT + suffix,
        start,
        height - top,
        width - left,
        samples,
        (precision & 0x7F) + 1,
        bool(precision & 0x80),
        photometric,
    )
