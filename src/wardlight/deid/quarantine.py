"""Objects that are not released as they are: what may carry text in its pixels, and what nobody can clean.

`reasons` says what stays; `looks` whose pixels leave once a detector of burned-in text has looked at them. Without one
they stay, too. Each reason is a stable code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wardlight.deid import pixels_image
from wardlight.deid.documents import CLASSES, DOCUMENT
from wardlight.deid.pixels_image import BITS, BITS_STORED, HIGH_BIT, PHOTOMETRIC, SAMPLES, number
from wardlight.deid.profile import Profile
from wardlight.dicom.elements import Element, text
from wardlight.dicom.stream import PixelElement

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."

#: SOP classes (PS3.4 Table B.5-1) whose images carry burned-in text as a rule: ultrasound, secondary capture, visible
#: light, intra-oral, ophthalmic photography. A key that ends in a point stands for all below it.
TEXT_IN_PIXELS: Final[tuple[str, ...]] = tuple(
    _STORAGE + end
    for end in (
        "3",
        "3.1",
        "6",
        "6.1",
        "6.2",
        "6.3",
        "7",
        "7.",
        "1.3",
        "1.3.1",
        "77.1.",
        "77.2",
        "12.77",
        "14.",
    )
)
#: Structured documents, key objects among them (PS3.3 A.35).
STRUCTURED: Final = (_STORAGE + "88.",)
#: Encapsulated PDF, CDA, STL, OBJ, MTL.
ENCAPSULATED: Final = (_STORAGE + "104.",)
#: The media directory is rewritten from what is released, never copied.
DIRECTORY: Final = "1.2.840.10008.1.3.10"

_TEXT_MODALITIES: Final = frozenset(("US", "XC", "ES", "IO", "OP", "GM", "SM", "DMS", "HC"))
#: Conversion types of a scanned or captured original (PS3.3 C.8.6.1): film, paper, video, screen.
_SCANNED: Final = frozenset(("DF", "SD", "DI", "DV", "SI", "DRW", "WSD"))
_SCREENS: Final = frozenset(
    (
        "DOSE",
        "DOSE_INFO",
        "DOSE INFO",
        "DOSE REPORT",
        "SCREEN SAVE",
        "SCREENSAVE",
        "SCREEN_CAPTURE",
        "SCREEN CAPTURE",
    )
)
_SCREEN_WORDS: Final = (
    "dose report",
    "dose info",
    "patient protocol",
    "exam protocol",
    "screen save",
    "screenshot",
)

IMAGE_TYPE: Final = 0x00080008
SOP_CLASS: Final = 0x00080016
MODALITY: Final = 0x00080060
CONVERSION: Final = 0x00080064
MANUFACTURER: Final = 0x00080070
SERIES_DESCRIPTION: Final = 0x0008103E
MODEL: Final = 0x00081090
BODY_PART: Final = 0x00180015
BURNED_IN: Final = 0x00280301
CONTENT: Final = 0x0040A730
#: Overlay Bit Position of the 128 repeating groups 6000 to 60FE.
OVERLAY_BITS: Final = tuple((0x6000 + 2 * number) << 16 | 0x0102 for number in range(128))
_OVERLAYS: Final = frozenset(OVERLAY_BITS)
#: From Overlay Bit Position to Overlay Data of the same group.
_TO_DATA: Final = 0x3000 - 0x0102
#: What `reasons`, `body_length` and the checks of pixels look at.
LOOKED_AT: Final = pixels_image.LOOKED_AT | {
    *(IMAGE_TYPE, SOP_CLASS, MODALITY, CONVERSION, SERIES_DESCRIPTION, BODY_PART, MANUFACTURER, MODEL),
    *(BURNED_IN, DOCUMENT, CONTENT, *OVERLAY_BITS, *(tag + _TO_DATA for tag in OVERLAY_BITS)),
}


def _one_of(uid: str, classes: tuple[str, ...]) -> bool:
    return any(uid.startswith(c) if c.endswith(".") else uid == c for c in classes)


def reasons(
    data: bytes,
    elements: Mapping[int, Element],
    sop_class: str,
    pixel: PixelElement | None,
    big: bool,
    profile: Profile,
) -> list[str]:
    """Why an object must not be released; empty where it may. elements: those of `LOOKED_AT` at the top level."""
    found: list[str] = []
    if sop_class == DIRECTORY:
        found.append("media-directory")
    structured = _one_of(sop_class, STRUCTURED) or CONTENT in elements
    if structured and "structured" not in profile.options:
        found.append("structured-content")
    if (_one_of(sop_class, ENCAPSULATED) or DOCUMENT in elements) and not (
        sop_class in CLASSES and DOCUMENT in elements
    ):
        found.append("encapsulated-document")
    if pixel is not None and _overlaid(data, elements, pixel, big):
        found.append("overlay-in-pixels")
    return found


def looks(
    data: bytes,
    elements: Mapping[int, Element],
    pixel: PixelElement | None,
    big: bool,
    profile: Profile,
) -> list[str]:
    """Why the pixels of an object have to be looked at for text before it leaves; empty where they have not."""
    if pixel is None:
        return []
    found: list[str] = []
    get = elements.get
    image_type = [value.strip() for value in text(data, get(IMAGE_TYPE)).upper().split("\\")]
    if text(data, get(BURNED_IN)).upper() == "YES":
        found.append("burned-in-annotation")
    sop_class = text(data, get(SOP_CLASS))
    if _one_of(sop_class, TEXT_IN_PIXELS) or text(data, get(MODALITY)).upper() in _TEXT_MODALITIES:
        found.append("text-in-pixels-class")
    if text(data, get(CONVERSION)).upper() in _SCANNED:
        found.append("scanned-or-captured")
    series = text(data, get(SERIES_DESCRIPTION)).casefold()
    if not _SCREENS.isdisjoint(image_type) or any(words in series for words in _SCREEN_WORDS):
        found.append("dose-or-screen")
    if profile.pixels == "strict":
        if image_type[:2] == ["DERIVED", "SECONDARY"]:
            found.append("derived-secondary")
        if _colour(data, elements, big):
            found.append("eight-bit-colour")
    return found


def _overlaid(data: bytes, elements: Mapping[int, Element], pixel: PixelElement, big: bool) -> bool:
    """Whether overlays are in bits of the pixels that are not known to become zero.

    Of native pixel data every bit that is not the image's own does (`pixels_native`), and groups 60xx go; an overlay
    within the bits that are stored, or within a compressed stream, cannot be told from the image. A group that has its
    own Overlay Data has nothing in the pixels, whatever its position says (PS3.3 C.9.2).
    """
    bits = [
        number(data, elements[tag], big)
        for tag in _OVERLAYS.intersection(elements)
        if not _holds(elements.get(tag + _TO_DATA))
    ]
    if not any(bits):
        return False
    stored, high = (number(data, elements.get(tag), big) for tag in (BITS_STORED, HIGH_BIT))
    if pixel.length < 0 or stored is None or high is None:
        return True
    return any(bit and high + 1 - stored <= bit <= high for bit in bits)


def _holds(element: Element | None) -> bool:
    return element is not None and element.length != 0


def _colour(data: bytes, elements: Mapping[int, Element], big: bool) -> bool:
    bits = number(data, elements.get(BITS), big)
    if bits is None or bits > 8:
        return False
    colours = text(data, elements.get(PHOTOMETRIC)).upper() == "PALETTE COLOR"
    return colours or (number(data, elements.get(SAMPLES), big) or 1) > 1


def body_length(
    data: bytes, elements: Mapping[int, Element], pixel: PixelElement, big: bool, encapsulated: bool
) -> int | None:
    """Bytes of the pixel value that belong to the image; None for fragments, which end at their delimiter.

    PS3.5 8.1.1: frames x rows x columns x samples x bits, padded to even. What goes beyond is not the image.
    Raises ValueError where the geometry is not there, or fragments are asked for and there are none.
    """
    if pixel.length < 0:
        return None
    if encapsulated:
        raise ValueError("no fragments")
    length = pixels_image.native_length(data, elements, pixel, big)
    return min(pixel.length, length + (length & 1))
