"""How one stored frame is to be read: the attributes that describe its pixels, sent to the decoder process as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from wardlight.dicom.frame import FrameShape
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, transfer_syntax

#: Largest decoded frame, in bytes (security.md section 8).
LARGEST_FRAME: Final = 256 << 20

_ROOT: Final = "1.2.840.10008.1.2."
RLE: Final = _ROOT + "5"
JPEG_LS: Final = frozenset({_ROOT + "4.80", _ROOT + "4.81"})
JPEG_LOSSY: Final = frozenset({_ROOT + "4.50", _ROOT + "4.51"})
JPEG_LOSSLESS: Final = frozenset({_ROOT + "4.57", _ROOT + "4.70"})
JPEG_2000: Final = frozenset({_ROOT + "4.90", _ROOT + "4.91", _ROOT + "4.92", _ROOT + "4.93"})
HTJ2K: Final = frozenset({_ROOT + "4.201", _ROOT + "4.202", _ROOT + "4.203"})
JPEG_XL: Final = frozenset({_ROOT + "4.110", _ROOT + "4.111", _ROOT + "4.112"})
#: Syntaxes of streams that have lost something; a stream in a lossy syntax may have lost nothing (`codestream.inspect`
#: tells). Those of JPEG XL do not show it from outside: recompressed JPEG has.
LOSSY: Final = JPEG_LOSSY | {_ROOT + f"4.{number}" for number in (81, 91, 203, 111)}
#: Frames in these are stored as their pixels are, in fragments (PS3.5 A.4.11).
ENCAPSULATED_NATIVE: Final = _ROOT + "1.98"

#: What frames can be encoded in, all without loss.
JPEG_LS_LOSSLESS: Final = _ROOT + "4.80"
JPEG_2000_LOSSLESS: Final = _ROOT + "4.90"
HTJ2K_LOSSLESS: Final = _ROOT + "4.201"
HTJ2K_RPCL: Final = _ROOT + "4.202"

COMPRESSED: Final = frozenset({RLE}) | JPEG_LS | JPEG_LOSSY | JPEG_LOSSLESS | JPEG_2000 | HTJ2K | JPEG_XL
#: Syntaxes that can be encoded → the values of Bits Allocated they take (PS3.5 section 8.2).
ENCODED: Final[Mapping[str, tuple[int, ...]]] = {
    EXPLICIT_LITTLE.uid: (8, 16, 32),
    RLE: (8, 16, 32),
    JPEG_LS_LOSSLESS: (8, 16),
    JPEG_2000_LOSSLESS: (8, 16),
    HTJ2K_LOSSLESS: (8, 16),
    HTJ2K_RPCL: (8, 16),
}


@dataclass(frozen=True, slots=True)
class Frame(FrameShape):
    """One frame, with what a decoder has to know of it."""

    @property
    def native(self) -> bool:
        """Whether the bytes are pixels, not a compressed stream."""
        return self.syntax == ENCAPSULATED_NATIVE or not transfer_syntax(self.syntax).encapsulated

    @property
    def size(self) -> int:
        """Bytes of the frame as native pixels; those of 1 bit are packed."""
        bits = self.rows * self.columns * self.samples * self.bits_allocated
        if self.native and self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
            bits = self.rows * self.columns * 2 * self.bits_allocated  # two colour samples for two pixels
        return (bits + 7) // 8

    @property
    def decoded_size(self) -> int:
        """Bytes of the frame when it is decoded, each sample in bytes of its own."""
        return self.rows * self.columns * self.samples * ((self.bits_allocated + 7) // 8)

    @property
    def word(self) -> int:
        """Bytes that a change of byte order of native pixels turns round together."""
        return max(self.bits_allocated // 8, 2 if self.words else 1)

    @property
    def sound(self) -> bool:
        """Whether the description is one that pixels can have, within the limit of size."""
        return (
            0 < self.rows <= 0xFFFF
            and 0 < self.columns <= 0xFFFF
            and self.samples in (1, 3, 4)
            and self.bits_allocated in ((32, 64) if self.floating else (1, 8, 16, 32))
            and 0 < self.bits_stored <= self.bits_allocated
            and self.bits_stored <= self.high_bit + 1 <= self.bits_allocated
            and self.rows * self.columns * self.samples * max(8, self.bits_allocated) <= 8 * LARGEST_FRAME
        )

    @property
    def decodable(self) -> bool:
        """Whether there is a decoder for it."""
        return self.sound and (self.native or (self.syntax in COMPRESSED and not self.floating))

    def encodable(self, syntax: str) -> bool:
        """Whether its pixels can be encoded in this transfer syntax."""
        return (
            self.decodable
            and not self.floating
            and self.samples in (1, 3)
            and self.photometric not in ("YBR_PARTIAL_422", "YBR_PARTIAL_420")
            and self.bits_allocated in ENCODED.get(syntax, ())
        )

    def to_json(self) -> dict[str, Any]:
        """For `from_json` on the other side."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Frame:
        """What `to_json` wrote."""
        return cls(**value)
