"""Transfer syntaxes of PS3.6 Table A-1, retired ones too, with what a parser must know of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set is encoded (PS3.5 Annex A).

    implicit: no VR in the element header. big_endian: byte order. deflated: the data set is one raw deflate stream.
    encapsulated: pixel data is a sequence of fragments. known: listed in the standard.
    """

    uid: str
    name: str
    implicit: bool = False
    big_endian: bool = False
    deflated: bool = False
    encapsulated: bool = False
    known: bool = True


IMPLICIT_LITTLE: Final = TransferSyntax("1.2.840.10008.1.2", "Implicit VR Little Endian", implicit=True)
EXPLICIT_LITTLE: Final = TransferSyntax("1.2.840.10008.1.2.1", "Explicit VR Little Endian")
EXPLICIT_BIG: Final = TransferSyntax("1.2.840.10008.1.2.2", "Explicit VR Big Endian", big_endian=True)
DEFLATED: Final = TransferSyntax(
    "1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian", deflated=True
)

_H264: Final = "MPEG-4 AVC/H.264"
# (suffix after 1.2.840.10008.1.2, name): pixel data in fragments, data set in explicit little endian.
_ENCAPSULATED: Final = (
    (".1.98", "Encapsulated Uncompressed Explicit VR Little Endian"),
    (".4.50", "JPEG Baseline (Process 1)"),
    (".4.51", "JPEG Extended (Process 2 and 4)"),
    (".4.52", "JPEG Extended (Process 3 and 5)"),
    (".4.53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)"),
    (".4.54", "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)"),
    (".4.55", "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)"),
    (".4.56", "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)"),
    (".4.57", "JPEG Lossless, Non-Hierarchical (Process 14)"),
    (".4.58", "JPEG Lossless, Non-Hierarchical (Process 15)"),
    (".4.59", "JPEG Extended, Hierarchical (Process 16 and 18)"),
    (".4.60", "JPEG Extended, Hierarchical (Process 17 and 19)"),
    (".4.61", "JPEG Spectral Selection, Hierarchical (Process 20 and 22)"),
    (".4.62", "JPEG Spectral Selection, Hierarchical (Process 21 and 23)"),
    (".4.63", "JPEG Full Progression, Hierarchical (Process 24 and 26)"),
    (".4.64", "JPEG Full Progression, Hierarchical (Process 25 and 27)"),
    (".4.65", "JPEG Lossless, Hierarchical (Process 28)"),
    (".4.66", "JPEG Lossless, Hierarchical (Process 29)"),
    (".4.70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])"),
    (".4.80", "JPEG-LS Lossless Image Compression"),
    (".4.81", "JPEG-LS Lossy (Near-Lossless) Image Compression"),
    (".4.90", "JPEG 2000 Image Compression (Lossless Only)"),
    (".4.91", "JPEG 2000 Image Compression"),
    (".4.92", "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)"),
    (".4.93", "JPEG 2000 Part 2 Multi-component Image Compression"),
    (".4.100", "MPEG2 Main Profile / Main Level"),
    (".4.100.1", "Fragmentable MPEG2 Main Profile / Main Level"),
    (".4.101", "MPEG2 Main Profile / High Level"),
    (".4.101.1", "Fragmentable MPEG2 Main Profile / High Level"),
    (".4.102", f"{_H264} High Profile / Level 4.1"),
    (".4.102.1", f"Fragmentable {_H264} High Profile / Level 4.1"),
    (".4.103", f"{_H264} BD-compatible High Profile / Level 4.1"),
    (".4.103.1", f"Fragmentable {_H264} BD-compatible High Profile / Level 4.1"),
    (".4.104", f"{_H264} High Profile / Level 4.2 For 2D Video"),
    (".4.104.1", f"Fragmentable {_H264} High Profile / Level 4.2 For 2D Video"),
    (".4.105", f"{_H264} High Profile / Level 4.2 For 3D Video"),
    (".4.105.1", f"Fragmentable {_H264} High Profile / Level 4.2 For 3D Video"),
    (".4.106", f"{_H264} Stereo High Profile / Level 4.2"),
    (".4.106.1", f"Fragmentable {_H264} Stereo High Profile / Level 4.2"),
    (".4.107", "HEVC/H.265 Main Profile / Level 5.1"),
    (".4.108", "HEVC/H.265 Main 10 Profile / Level 5.1"),
    (".4.110", "JPEG XL Lossless"),
    (".4.111", "JPEG XL JPEG Recompression"),
    (".4.112", "JPEG XL"),
    (".4.201", "High-Throughput JPEG 2000 Image Compression (Lossless Only)"),
    (".4.202", "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)"),
    (".4.203", "High-Throughput JPEG 2000 Image Compression"),
    (".5", "RLE Lossless"),
    (".8.1", "Deflated Image Frame Compression"),
)
# Explicit little endian data sets without pixel data of their own: it is referenced or goes another way.
_REFERENCED: Final = (
    (".4.94", "JPIP Referenced", False),
    (".4.95", "JPIP Referenced Deflate", True),
    (".4.204", "JPIP HTJ2K Referenced", False),
    (".4.205", "JPIP HTJ2K Referenced Deflate", True),
    (".6.1", "RFC 2557 MIME encapsulation", False),
    (".6.2", "XML Encoding", False),
    (".7.1", "SMPTE ST 2110-20 Uncompressed Progressive Active Video", False),
    (".7.2", "SMPTE ST 2110-20 Uncompressed Interlaced Active Video", False),
    (".7.3", "SMPTE ST 2110-30 PCM Digital Audio", False),
)
_PAPYRUS: Final = TransferSyntax("1.2.840.10008.1.20", "Papyrus 3 Implicit VR Little Endian", implicit=True)


def _table() -> dict[str, TransferSyntax]:
    rows = [IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, _PAPYRUS]
    rows += [
        TransferSyntax(IMPLICIT_LITTLE.uid + end, name, encapsulated=True) for end, name in _ENCAPSULATED
    ]
    rows += [TransferSyntax(IMPLICIT_LITTLE.uid + end, name, deflated=d) for end, name, d in _REFERENCED]
    return {row.uid: row for row in rows}


#: Every transfer syntax of PS3.6 Table A-1 by UID.
TRANSFER_SYNTAXES: Final[Mapping[str, TransferSyntax]] = MappingProxyType(_table())

# GE's private syntax: implicit VR in little endian, only its pixels are big endian. Widespread enough to name.
_PRIVATE: Final = {
    "1.2.840.113619.5.2": TransferSyntax(
        "1.2.840.113619.5.2", "GE Private Implicit VR Big Endian", implicit=True, known=False
    )
}


def transfer_syntax(uid: str) -> TransferSyntax:
    """The transfer syntax of a UID; a private or unknown one is taken as explicit little endian with fragments.

    PS3.5 A.4: every encapsulated syntax encodes its data set in explicit little endian, and so do the private
    ones in the field. Whether pixel data is in fragments shows in its length field anyway.
    """
    found = TRANSFER_SYNTAXES.get(uid) or _PRIVATE.get(uid)
    return found or TransferSyntax(uid, "Private or unknown", encapsulated=True, known=False)
