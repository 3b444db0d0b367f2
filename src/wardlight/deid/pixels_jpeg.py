"""JPEG and JPEG-LS streams (ITU-T T.81, T.87): every marker segment is looked at, free text in them is blanked."""

from __future__ import annotations

import re
from typing import Final

from wardlight.deid.pixels_fragments import Fragments
from wardlight.deid.pixels_image import Image, PixelError

_SOI: Final = b"\xff\xd8"
_EOI: Final = 0xD9
_DHT: Final = 0xC4
_DAC: Final = 0xCC
_SOS: Final = 0xDA
_DQT: Final = 0xDB
_DNL: Final = 0xDC
_DRI: Final = 0xDD
_COM: Final = 0xFE
_SOF_LS: Final = 0xF7
_LSE: Final = 0xF8
#: Frame headers: sequential and progressive DCT, by Huffman or arithmetic coding; lossless. Differential ones
#: (hierarchical mode) are in no file that is still made.
_DCT: Final = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
_LOSSLESS: Final = frozenset((0xC3, 0xCB))
#: Where coded data ends: a marker other than RST. FF 00 is a stuffed byte, FF FF a fill byte before the marker.
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
#: JPEG-LS stuffs a bit, so that any second byte from 80 on is a marker.
_MARKER_LS: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]", re.DOTALL)
_JFIF: Final = b"JFIF\0"
_ADOBE: Final = b"Adobe"
_SPIFF: Final = b"SPIFF\0"
_SPIFF_END: Final = (b"\0\0\0\1", b"\0\0\0\1\xff\xd8")


def walk_jpeg(stream: Fragments, image: Image) -> None:
    """Read one JPEG image. Raises PixelError "codestream-…" for what is none, or not this image."""
    _Walk(stream, image, ls=False).run()


def walk_jpeg_ls(stream: Fragments, image: Image) -> None:
    """As `walk_jpeg` for JPEG-LS."""
    _Walk(stream, image, ls=True).run()


class _Walk:
    def __init__(self, stream: Fragments, image: Image, *, ls: bool) -> None:
        self._stream = stream
        self._image = image
        self._ls = ls
        self._framed = False
        self._scans = 0
        self._tables: set[int] = set()

    def run(self) -> None:
        stream = self._stream
        if stream.take(2) != _SOI:
            raise PixelError("codestream-start")
        code = self._marker()
        while code != _EOI:
            if code == _SOS:
                self._scan()
                code = stream.find(_MARKER_LS if self._ls else _MARKER)
            else:
                self._segment(code)
                code = self._marker()
        if not self._scans:
            raise PixelError("codestream-incomplete")

    def _marker(self) -> int:
        take = self._stream.take
        if take(1) != b"\xff":
            raise PixelError("codestream-marker")
        while (code := take(1)[0]) == 0xFF:
            pass
        return code

    def _payload(self) -> bytes:
        length = int.from_bytes(self._stream.take(2), "big")
        if length < 2:
            raise PixelError("codestream-marker")
        return self._stream.take(length - 2) if length > 2 else b""

    def _segment(self, code: int) -> None:
        if code == _COM or 0xE0 <= code <= 0xEF:
            payload = self._payload()
            kept = 0 if code == _COM else _kept(code & 0xF, payload)
            if any(payload[kept:]):
                self._stream.blank(kept)
            return
        if code == _SOF_LS if self._ls else code in _DCT or code in _LOSSLESS:
            self._frame(code, self._payload())
        elif code == _DRI:
            _expect(len(self._payload()) in ((2, 3, 4) if self._ls else (2,)))
        elif code == _DNL:
            _expect(int.from_bytes(self._payload(), "big") == self._image.rows)
        elif self._ls and code == _LSE:
            # Only thresholds: mapping tables make palettes, which DICOM keeps in its own elements.
            payload = self._payload()
            _expect(len(payload) == 11 and payload[0] == 1)
        elif not self._ls and code == _DQT:
            self._quantization(self._payload())
        elif not self._ls and code == _DHT:
            self._huffman(self._payload())
        elif not self._ls and code == _DAC:
            _expect(len(self._payload()) in (2, 4, 6, 8))
        else:
            raise PixelError("codestream-marker")

    def _frame(self, code: int, payload: bytes) -> None:
        image = self._image
        _expect(not self._framed and len(payload) >= 6 and len(payload) == 6 + 3 * payload[5])
        self._framed = True
        rows, columns = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
        if (rows, columns, payload[5]) != (image.rows, image.columns, image.samples):
            raise PixelError("codestream-geometry")
        # More bits than stored is usual in lossless streams: senders encode words of BitsAllocated. DCT knows 8 and 12.
        most = (8 if image.stored <= 8 else 12) if code in _DCT else image.allocated
        if payload[0] > most:
            raise PixelError("codestream-precision")

    def _scan(self) -> None:
        payload = self._payload()
        _expect(self._framed and bool(payload) and len(payload) == 4 + 2 * payload[0])
        self._scans += 1
        self._tables.clear()

    def _quantization(self, payload: bytes) -> None:
        at = 0
        while at < len(payload):
            self._define(payload[at] & 0xF)
            at += 65 + 64 * (payload[at] >> 4)
        _expect(at == len(payload))

    def _huffman(self, payload: bytes) -> None:
        at = 0
        while at < len(payload):
            self._define(0x100 | payload[at])
            at += 17 + sum(payload[at + 1 : at + 17])
        _expect(at == len(payload))

    def _define(self, table: int) -> None:
        """A table that is defined again before any scan could use it is no table."""
        _expect(table not in self._tables)
        self._tables.add(table)


def _kept(number: int, payload: bytes) -> int:
    """How many bytes of an application segment say how to decode, and stay."""
    if number == 0 and payload.startswith(_JFIF) and len(payload) >= 14 and payload[7] <= 2:
        # Identifier, version and density. The thumbnail behind them is another picture.
        return 12
    if number == 14 and payload.startswith(_ADOBE) and len(payload) >= 12 and payload[11] <= 2:
        return 12
    if number == 8:
        if payload.startswith(_SPIFF) and len(payload) == 30:
            return 30
        if payload in _SPIFF_END or (payload.startswith(b"mrfx") and len(payload) == 5 and payload[4] <= 5):
            return len(payload)
    return 0


def _expect(good: bool) -> None:
    if not good:
        raise PixelError("codestream-marker")
