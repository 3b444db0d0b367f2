"""What a part of a store request is, by its header (PS3.18 8.6.1.2, 8.7.3, 10.5.1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wardlight.dicom.related import RelatedError, parse_content_type
from wardlight.dicom.transfer_syntax import TRANSFER_SYNTAXES
from wardlight.dicomweb.media import DICOM, DICOM_JSON, DICOM_XML, OCTETS, pixel_types
from wardlight.errors import WardlightError
from wardlight.ingest.metadata import BulkPart

_METADATA: Final = {DICOM_JSON: False, "application/json": False, DICOM_XML: True}
#: Encodings of MIME that leave the bytes as they are (RFC 2045 6.2).
_AS_IT_IS: Final = frozenset(("7bit", "8bit", "binary", ""))


def _by_media() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for syntax in TRANSFER_SYNTAXES:
        for media in pixel_types(syntax):
            found[media] = (*found.get(media, ()), syntax)
    found.pop(OCTETS)
    return found


#: Transfer syntaxes that a media type of pixel data stands for (PS3.18 Table 8.7.3-5), the default first.
_SYNTAXES: Final = _by_media()


@dataclass(frozen=True, slots=True)
class Metadata:
    """A part with data sets."""

    xml: bool


def kind_of(headers: Mapping[str, str], default: str) -> Metadata | BulkPart | None:
    """What a part is; None: a DICOM file. headers: of the part. default: the type of a part that does not say it.

    Raises `unsupported-media-type` for what is none of these, and for bytes that are encoded once more.
    """
    encodings = (headers.get("content-encoding", ""), headers.get("content-transfer-encoding", ""))
    if encodings[0] not in ("", "identity") or encodings[1].lower() not in _AS_IT_IS:
        raise WardlightError("unsupported-media-type", "a part must not be encoded")
    try:
        media, parameters = parse_content_type(headers.get("content-type", default))
    except RelatedError:
        raise WardlightError("unsupported-media-type") from None
    if media == DICOM:
        return None
    if media in _METADATA:
        return Metadata(_METADATA[media])
    location = headers.get("content-location", "")
    if not location:
        raise WardlightError("unsupported-media-type")
    return BulkPart(location, _syntaxes(media, parameters.get("transfer-syntax", "").strip()))


def _syntaxes(media: str, asked: str) -> tuple[str, ...] | None:
    """The transfer syntaxes a bulk data part may have; () for plain values, None where it cannot be pixel data."""
    known = _SYNTAXES.get(media)
    if known is not None:
        return known if not asked else (asked,) if asked in known else None
    if media.startswith(("image/", "video/")):
        return None
    syntax = TRANSFER_SYNTAXES.get(asked)
    return (asked,) if syntax is not None and syntax.encapsulated else ()
