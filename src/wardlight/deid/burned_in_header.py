"""What an output's header says of pixels that were looked at, in place of what the input's said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from wardlight.deid.burned_in import Looked
from wardlight.deid.pixels_image import OFFSET_LENGTHS, OFFSETS, PHOTOMETRIC, PLANAR, TOTAL_LENGTH
from wardlight.deid.search import Needles
from wardlight.dicom.elements import Element
from wardlight.dicom.rewrite import REMOVE, Rules

BURNED_IN: Final = 0x00280301
LOSSY: Final = 0x00282110
#: JPEG baseline and extended: what they lost stays lost when they are encoded anew (PS3.3 C.7.6.1.1.5).
_LOSSY: Final = frozenset(("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"))
_TABLES: Final = (OFFSETS, OFFSET_LENGTHS, TOTAL_LENGTH)
_TEXT: Final = b"ISO_IR 192"
_LONGEST: Final = 4096

Written = tuple[tuple[int, bytes, bytes], ...]
"""Tag, VR and value of elements, in the order of tags."""


def written(looked: Looked | None, elements: Mapping[int, Element], syntax_uid: str) -> Written:
    """What is written: BurnedInAnnotation, and what describes frames that were encoded anew, always little endian.

    elements: of the input, at the top level. syntax_uid: the input's.
    """
    if looked is None:
        return ()
    found: list[tuple[int, bytes, bytes]] = []
    if looked.anew:
        found.append((PHOTOMETRIC, b"CS", looked.photometric.encode("ascii")))
        if PLANAR in elements:
            found.append((PLANAR, b"US", looked.planar.to_bytes(2, "little")))
    found.append((BURNED_IN, b"CS", b"NO"))
    if looked.anew and syntax_uid in _LOSSY:
        found.append((LOSSY, b"CS", b"01"))
    return tuple(found)


def without(rules: Rules, looked: Looked | None, instead: Written) -> Rules:
    """The rules, by which the elements that are written instead go, and offset tables of other frames."""
    if looked is None:
        return rules
    gone = [tag for tag, _, _ in instead] + [*(_TABLES if looked.anew else ())]
    return replace(rules, top={**rules.top, **dict.fromkeys(gone, REMOVE)})


def matched(looked: Looked | None, needles: Needles) -> int:
    """How many of the strings that were read hold something of the harvest. Only said, and decides nothing."""
    if looked is None:
        return 0
    values = [text[:_LONGEST].encode("utf-8", "ignore") for text in looked.texts]
    return sum(needles.scrub(value, b"LT", _TEXT) is not value for value in values)
