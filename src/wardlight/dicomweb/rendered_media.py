"""Rendered media types: which an instance can be given as, and which of them a client takes (PS3.18 8.7.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from wardlight.archive.model import InstanceLocation
from wardlight.dicom.transfer_syntax import transfer_syntax
from wardlight.dicomweb.media import pixel_types
from wardlight.dicomweb.negotiation import MediaRange
from wardlight.errors import WardlightError

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
JP2: Final = "image/jp2"
GIF: Final = "image/gif"
MP4: Final = "video/mp4"
HTML: Final = "text/html"
PLAIN: Final = "text/plain"
PDF: Final = "application/pdf"

#: Of one frame each.
STILLS: Final = (JPEG, PNG, JP2)
#: Of a run of frames.
MOVING: Final = (GIF, MP4)

_REPORTS: Final = "1.2.840.10008.5.1.4.1.1.88."
_PDF_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.104.1"


class Category(Enum):
    """What an instance is for rendering (PS3.18 8.7.2), with the media types it can be given as, the default first."""

    SINGLE_FRAME = (JPEG, PNG, GIF, JP2)
    MULTI_FRAME = (JPEG, GIF, MP4, PNG, JP2)
    VIDEO = (MP4,)
    TEXT = (HTML, PLAIN)
    PDF = (PDF,)
    OTHER = ()


def category(location: InstanceLocation) -> Category:
    """The category of an instance, by what the index knows of it."""
    if location.sop_class.startswith(_REPORTS):
        return Category.TEXT
    if location.sop_class == _PDF_STORAGE:
        return Category.PDF
    if location.pixel is None and not transfer_syntax(location.transfer_syntax).deflated:
        return Category.OTHER
    if pixel_types(location.transfer_syntax)[0].startswith("video/"):
        return Category.VIDEO
    return Category.MULTI_FRAME if location.frames > 1 else Category.SINGLE_FRAME


@dataclass(frozen=True, slots=True)
class Choice:
    """What to give: the media type, and whether in parts."""

    media: str
    multipart: bool


def choose(accepted: Sequence[MediaRange], single: Sequence[str], parts: Sequence[str] = ()) -> Choice:
    """The first range of the client that something on offer fits, best offer first; `not-acceptable` if none does.

    single, parts: media types that the answer can be given in as one body, and in parts.
    """
    for media_range in accepted:
        offered = parts if media_range.multipart else single
        if media_range.multipart and media_range.media == "*/*" and set(offered) <= set(single):
            continue  # What can be one body is one, unless parts are asked for by name; `*/*` brings both.
        for media in offered:
            if media_range.covers(media):
                return Choice(media, media_range.multipart)
    every = ", ".join(dict.fromkeys((*single, *parts))) or "nothing"
    raise WardlightError("not-acceptable", f"this is rendered as: {every}")
