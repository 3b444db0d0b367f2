"""What a compressed frame announces, compared with its data set before anything is decoded."""

from __future__ import annotations

from typing import Final

from wardlight.decoding.jobs import JobError
from wardlight.decoding.model import HTJ2K, JPEG_2000, JPEG_LOSSLESS, JPEG_LOSSY, JPEG_LS, JPEG_XL, Frame
from wardlight.dicom.codestream import HEAD_BYTES, Codestream, inspect

_ROOT: Final = "1.2.840.10008.1.2.4."
#: Families whose decoders take each other's streams; a stream of another family is not given to them.
_FAMILIES: Final = (JPEG_LOSSY, JPEG_LOSSLESS, JPEG_LS, JPEG_2000, HTJ2K)
_XL_BOX: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_XL_START: Final = b"\xff\x0a"
#: Dimension fields of a JPEG XL codestream: bits of each choice (ISO/IEC 18181-1 D.2).
_XL_SIZES: Final = (9, 13, 18, 30)
_XL_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def announced(frame: Frame, data: memoryview) -> Codestream:
    """The stream's own description. Raises `JobError` where it is none, of another family, or of another size."""
    head = bytes(data[:HEAD_BYTES])
    stream = _jpeg_xl(head, frame) if frame.syntax in JPEG_XL else inspect(head)
    if stream is None:
        raise JobError("damaged")
    family = next((family for family in _FAMILIES if frame.syntax in family), JPEG_XL)
    if stream.syntax not in family:
        raise JobError("unsupported")
    size = (stream.rows, stream.columns, stream.samples)
    if size != (frame.rows, frame.columns, frame.samples) or stream.bits > frame.bits_allocated:
        raise JobError("mismatch")
    return stream


class _Bits:
    """Bits of a JPEG XL codestream, the lowest of a byte first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken

    def dimension(self) -> int:
        return self.take(_XL_SIZES[self.take(2)]) + 1


def _jpeg_xl(head: bytes, frame: Frame) -> Codestream | None:
    """Size of a JPEG XL image. Its samples and bits stand behind an entropy coder: the decoder's output is checked."""
    start = 0 if head.startswith(_XL_START) else _xl_codestream(head)
    if start is None:
        return None
    bits = _Bits(head[start + 2 : start + 18])
    small = bits.take(1)
    rows = (bits.take(5) + 1) * 8 if small else bits.dimension()
    ratio = bits.take(3)
    if ratio:
        wide, high = _XL_RATIOS[ratio - 1]
        columns = rows * wide // high
    else:
        columns = (bits.take(5) + 1) * 8 if small else bits.dimension()
    return Codestream(
        frame.syntax, 0, rows, columns, frame.samples, frame.bits_stored, frame.signed, frame.photometric
    )


def _xl_codestream(head: bytes) -> int | None:
    """Where the codestream of the container format begins (ISO/IEC 18181-2)."""
    position = 0
    if not head.startswith(_XL_BOX):
        return None
    while position + 8 <= len(head):
        size = int.from_bytes(head[position : position + 4], "big")
        kind = head[position + 4 : position + 8]
        start = position + 8 + (4 if kind == b"jxlp" else 0)
        if kind in (b"jxlc", b"jxlp") and head.startswith(_XL_START, start):
            return start
        if size < 8:
            return None
        position += size
    return None
