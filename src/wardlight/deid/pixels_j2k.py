"""JPEG 2000 and HTJ2K codestreams (ITU-T T.800, T.814): headers are walked, comments blanked, tile-parts measured."""

from __future__ import annotations

import re
import struct
from typing import Final

from wardlight.deid.pixels_fragments import Fragments
from wardlight.deid.pixels_image import Image, PixelError

_SOC: Final = b"\xff\x4f"
_SIZ: Final = 0x51
_COM: Final = 0x64
_TLM: Final = 0x55
_PLT: Final = 0x58
_CRG: Final = 0x63
_PPM: Final = 0x60
_PPT: Final = 0x61
_SOT: Final = 0x90
_SOD: Final = 0x93
_EOC: Final = 0xD9
#: COD COC RGN QCD QCC POC, in both kinds of header.
_CODING: Final = frozenset((0x52, 0x53, 0x5E, 0x5C, 0x5D, 0x5F))
#: CAP, CPF (T.814).
_HIGH_THROUGHPUT: Final = frozenset((0x50, 0x59))
#: Coded data never holds FF 90 and above, so that the last tile-part ends at the first of these.
_END: Final = re.compile(rb"\xff\xd9")


def walk_j2k(stream: Fragments, image: Image) -> None:
    """Read one codestream. Raises PixelError "codestream-…" for what is none, or not this image; "jp2-boxes"."""
    _Walk(stream, image).run()


class _Walk:
    def __init__(self, stream: Fragments, image: Image) -> None:
        self._stream = stream
        self._image = image
        self._announced: list[int] = []
        self._lengths: list[int] = []
        self._packed = False

    def run(self) -> None:
        start = self._stream.take(2)
        if start == b"\0\0":
            raise PixelError("jp2-boxes")
        if start != _SOC:
            raise PixelError("codestream-start")
        if self._marker() != _SIZ:
            raise PixelError("codestream-marker")
        self._size(self._payload())
        while (code := self._marker()) != _SOT:
            self._main(code)
        while code == _SOT:
            if self._tile_part():
                # Its length is open: it has gone to the end.
                break
            code = self._marker()
        else:
            if code != _EOC:
                raise PixelError("codestream-marker")
        if self._announced and self._announced != self._lengths:
            raise PixelError("codestream-pointers")

    def _marker(self) -> int:
        marker = self._stream.take(2)
        if marker[0] != 0xFF:
            raise PixelError("codestream-marker")
        return marker[1]

    def _payload(self) -> bytes:
        length = int.from_bytes(self._stream.take(2), "big")
        if length < 3:
            raise PixelError("codestream-marker")
        return self._stream.take(length - 2)

    def _size(self, payload: bytes) -> None:
        if len(payload) < 36:
            raise PixelError("codestream-marker")
        right, bottom, left, top = struct.unpack_from(">4I", payload, 2)
        (components,) = struct.unpack_from(">H", payload, 34)
        if len(payload) != 36 + 3 * components:
            raise PixelError("codestream-marker")
        image = self._image
        if (right - left, bottom - top, components) != (image.columns, image.rows, image.samples):
            raise PixelError("codestream-geometry")
        # More bits than stored is usual: senders encode words of BitsAllocated.
        if any((depth & 0x7F) + 1 > image.allocated for depth in payload[36::3]):
            raise PixelError("codestream-precision")

    def _main(self, code: int) -> None:
        payload = self._payload()
        if code == _COM:
            self._comment(payload)
        elif code == _TLM:
            self._tile_lengths(payload)
        elif code == _PPM:
            self._packed = True
        elif code == _CRG:
            if len(payload) != 4 * self._image.samples:
                raise PixelError("codestream-marker")
        elif code not in _CODING and code not in _HIGH_THROUGHPUT:
            raise PixelError("codestream-marker")

    def _comment(self, payload: bytes) -> None:
        kept = 2 if payload[:2] in (b"\0\0", b"\0\1") else 0
        if any(payload[kept:]):
            self._stream.blank(kept)

    def _tile_lengths(self, payload: bytes) -> None:
        """What a pointer segment says must be so: it is not needed for decoding, and could say anything."""
        tile, wide = payload[1] >> 4 & 3 if len(payload) > 1 else 3, 4 if payload[1:2] > b"\x3f" else 2
        if tile == 3 or (len(payload) - 2) % (tile + wide):
            raise PixelError("codestream-pointers")
        for at in range(2, len(payload), tile + wide):
            self._announced.append(int.from_bytes(payload[at + tile : at + tile + wide], "big"))

    def _tile_part(self) -> bool:
        """One tile-part after its SOT marker; whether it went to the end of the codestream."""
        stream = self._stream
        begin = stream.consumed - 2
        head = self._payload()
        if len(head) != 8:
            raise PixelError("codestream-marker")
        (length,) = struct.unpack_from(">I", head, 2)
        pointers: list[bytes] = []
        packed = self._packed
        while (code := self._marker()) != _SOD:
            payload = self._payload()
            if code == _COM:
                self._comment(payload)
            elif code == _PLT:
                pointers.append(payload[1:])
            elif code == _PPT:
                packed = True
            elif code not in _CODING:
                raise PixelError("codestream-marker")
        data = stream.consumed
        if not length:
            stream.find(_END)
            size = stream.consumed - data - 2
        else:
            size = begin + length - data
            if size < 0:
                raise PixelError("codestream-marker")
            stream.skip(size)
        self._lengths.append(length or data + size - begin)
        if pointers and (packed or sum(map(_packets, pointers)) != size):
            raise PixelError("codestream-pointers")
        return not length


def _packets(payload: bytes) -> int:
    """The sum of the packet lengths of a PLT segment: seven bits a byte, the first bit says that more follow."""
    total = value = 0
    for byte in payload:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            total += value
            value = 0
        elif value > 1 << 40:
            break
    return total
