"""Media types of pixel data by transfer syntax (PS3.18 Table 8.7.3-5)."""

from __future__ import annotations

from typing import Final

from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, transfer_syntax

OCTETS: Final = "application/octet-stream"
DICOM: Final = "application/dicom"
DICOM_JSON: Final = "application/dicom+json"
DICOM_XML: Final = "application/dicom+xml"
ZIP: Final = "application/zip"

_ROOT: Final = "1.2.840.10008.1.2."
_JPEG: Final = range(50, 71)
#: Media type, and the older names that clients still ask for.
_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "5": ("image/dicom-rle", "image/x-dicom-rle"),
    **{f"4.{number}": ("image/jpeg",) for number in _JPEG},
    "4.80": ("image/jls", "image/x-jls"),
    "4.81": ("image/jls", "image/x-jls"),
    "4.90": ("image/jp2",),
    "4.91": ("image/jp2",),
    "4.92": ("image/jpx",),
    "4.93": ("image/jpx",),
    "4.110": ("image/jxl",),
    "4.111": ("image/jxl",),
    "4.112": ("image/jxl",),
    "4.201": ("image/jphc",),
    "4.202": ("image/jphc",),
    "4.203": ("image/jphc",),
    **{f"4.{number}": ("video/mpeg", "video/mpeg2") for number in ("100", "100.1", "101", "101.1")},
    **{f"4.{number}": ("video/mp4",) for number in range(102, 109)},
    **{f"4.{number}.1": ("video/mp4",) for number in range(102, 107)},
    "8.1": ("application/x-deflate",),
}


def pixel_types(syntax: str) -> tuple[str, ...]:
    """Media types under which frames of this transfer syntax are given, the standard's first.

    What the table does not name, private syntaxes above all, is a stream of octets.
    """
    return _TYPES.get(syntax.removeprefix(_ROOT), (OCTETS,)) if syntax.startswith(_ROOT) else (OCTETS,)


def pixel_syntax(syntax: str) -> str:
    """The transfer syntax that frames have when they are given as they are stored.

    Native little endian pixels are the same bytes in implicit and explicit VR: both are called explicit, the default.
    """
    known = transfer_syntax(syntax)
    native = known.known and not (known.encapsulated or known.big_endian or known.deflated)
    return EXPLICIT_LITTLE.uid if native else syntax
