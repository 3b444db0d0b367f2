"""What the header says of the pixels: geometry, and which bits of a sample are the image's own (PS3.3 C.7.6.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from wardlight.dicom.elements import Element
from wardlight.dicom.stream import PixelElement

SAMPLES: Final = 0x00280002
PHOTOMETRIC: Final = 0x00280004
PLANAR: Final = 0x00280006
FRAMES: Final = 0x00280008
ROWS: Final = 0x00280010
COLUMNS: Final = 0x00280011
BITS: Final = 0x00280100
BITS_STORED: Final = 0x00280101
HIGH_BIT: Final = 0x00280102
REPRESENTATION: Final = 0x00280103
#: Extended Offset Table, its lengths, and Encapsulated Pixel Data Value Total Length (PS3.3 C.7.6.3.1.8).
OFFSETS: Final = 0x7FE00001
OFFSET_LENGTHS: Final = 0x7FE00002
TOTAL_LENGTH: Final = 0x7FE00003
PIXEL_DATA: Final = 0x7FE00010
LOOKED_AT: Final = frozenset(
    (
        *(SAMPLES, PHOTOMETRIC, PLANAR, FRAMES, ROWS, COLUMNS, BITS, BITS_STORED, HIGH_BIT, REPRESENTATION),
        *(OFFSETS, OFFSET_LENGTHS, TOTAL_LENGTH),
    )
)
#: What an `Image` is made of; the first five are its geometry.
_DESCRIBING: Final = (
    ROWS,
    COLUMNS,
    FRAMES,
    SAMPLES,
    PHOTOMETRIC,
    BITS,
    BITS_STORED,
    HIGH_BIT,
    REPRESENTATION,
)
#: Bits of a value of Float and Double Float Pixel Data, which say so by their tag alone.
_FLOATS: Final = {0x7FE00008: 32, 0x7FE00009: 64}


class PixelError(ValueError):
    """The pixel data must not leave as it is. `code` says why; it holds no value."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code: Final = code


@dataclass(frozen=True, slots=True)
class Image:
    """Geometry and sample layout. allocated, stored: bits; high: the highest bit used, counted from 0.

    values: samples of the whole native value; with YBR_FULL_422 fewer than frames x rows x columns x samples.
    floating: IEEE 754 values, all bits of which are the image's.
    """

    rows: int
    columns: int
    samples: int
    frames: int
    values: int
    allocated: int
    stored: int
    high: int
    signed: bool
    floating: bool

    @property
    def length(self) -> int:
        """Bytes of the native value without the byte that pads it to an even length (PS3.5 8.1.1)."""
        return (self.values * self.allocated + 7) // 8


def number(data: bytes, element: Element | None, big: bool) -> int | None:
    """A US value, None where there is none."""
    if element is None or element.length < 2:
        return None
    return int.from_bytes(data[element.value : element.value + 2], "big" if big else "little")


def native_length(data: bytes, elements: Mapping[int, Element], pixel: PixelElement, big: bool) -> int:
    """Bytes that geometry gives native pixel data, padding left out. Raises PixelError "pixel-geometry-unknown"."""
    raw = _raw(data, elements)
    return (_values(raw[:5], big)[4] * _allocated(raw, pixel.tag, big) + 7) // 8


def image_of(data: bytes, elements: Mapping[int, Element], pixel: PixelElement, big: bool) -> Image:
    """The image of a header. elements: those of `LOOKED_AT` at its top level.

    Raises PixelError: "pixel-geometry-unknown" where the geometry is not there, "pixel-bits" where the layout of a
    sample is not, or makes no sense.
    """
    return _image(_raw(data, elements), pixel.tag, big)


def _raw(data: bytes, elements: Mapping[int, Element]) -> tuple[bytes, ...]:
    """The values that describe an image; the objects of a series have the same."""
    found = map(elements.get, _DESCRIBING)
    return tuple([b"" if one is None or one.length <= 0 else data[one.value : one.end] for one in found])


@lru_cache(maxsize=256)
def _image(raw: tuple[bytes, ...], pixel: int, big: bool) -> Image:
    geometry = _values(raw[:5], big)
    allocated = _allocated(raw, pixel, big)
    if pixel in _FLOATS:
        return Image(*geometry, allocated, allocated, allocated - 1, True, True)
    stored, high, signed = (_number(one, big) for one in raw[6:])
    if stored is None or high is None or signed not in (0, 1):
        raise PixelError("pixel-bits")
    if not (allocated == 1 or (allocated % 8 == 0 and allocated <= 64)):
        raise PixelError("pixel-bits")
    if not 0 < stored <= high + 1 <= allocated:
        raise PixelError("pixel-bits")
    return Image(*geometry, allocated, stored, high, bool(signed), False)


def _number(raw: bytes, big: bool) -> int | None:
    return int.from_bytes(raw[:2], "big" if big else "little") if len(raw) >= 2 else None


def _text(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip("\0 ")


@lru_cache(maxsize=256)
def _values(raw: tuple[bytes, ...], big: bool) -> tuple[int, int, int, int, int]:
    rows, columns = _number(raw[0], big), _number(raw[1], big)
    frames = _text(raw[2]) or "1"
    if not rows or not columns or not frames.isascii() or not frames.isdigit() or len(frames) > 9:
        raise PixelError("pixel-geometry-unknown")
    samples = _number(raw[3], big) or 1
    pixels = int(frames) * rows * columns
    # YBR_FULL_422 and YBR_PARTIAL_422 share the two colours between two pixels (PS3.3 C.7.6.3.1.2).
    shared = _text(raw[4]).upper().endswith("_422") and samples == 3
    return rows, columns, samples, int(frames), pixels * (2 if shared else samples)


def _allocated(raw: tuple[bytes, ...], pixel: int, big: bool) -> int:
    bits = _FLOATS.get(pixel) or _number(raw[5], big)
    if not bits:
        raise PixelError("pixel-geometry-unknown")
    return bits
