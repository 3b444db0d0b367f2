"""Which overrides a profile may have, and for what reason not: an override must not undo what makes an object safe."""

from __future__ import annotations

from functools import cache
from typing import Final

from wardlight.deid.profile_lists import harvest_lists
from wardlight.deid.standard import attributes
from wardlight.dicom.dictionary import is_known

#: What Wardlight writes itself, whatever a profile says.
WRITTEN: Final = frozenset(
    (
        *(0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00100010, 0x00100020),
        *(0x00120062, 0x00120063, 0x00120064, 0x00280301, 0x00280302, 0x00280303),
    )
)
#: Without these an object cannot be read: character set, geometry and form of the pixels.
NEEDED: Final = frozenset(
    (
        *(0x00080005, 0x00080060, 0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011),
        *(0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00281101, 0x00281102, 0x00281103),
    )
)
#: Parts of codes and content items, which are decided together and mean nothing alone.
PARTS: Final = frozenset((0x00080100, 0x00080102, 0x00080119, 0x00080120, 0x0040A040, 0x0040A043, 0x0040A730))
#: Elements that no override by VR touches.
FIXED: Final = WRITTEN | NEEDED | PARTS
#: Bytes in which anything could stand, and which only their own cleaners look into.
_OPAQUE: Final = frozenset((0x00420011, 0x04000115, 0x04000120, 0x04000310, 0x04000404, 0x04000520))
_FOREIGN_GROUPS: Final = frozenset((0x0000, 0x0002, 0x0004, 0x0006, 0xFFFE))
_TEXT: Final = frozenset(b"AE CS LO LT SH ST UC UR UT".split())
_DATES: Final = frozenset((b"DA", b"DT"))

#: VR → why it must not be kept.
_NOT_KEPT: Final = {
    b"PN": "a name identifies",
    b"UI": "a UID that stays leads back to the original",
}


@cache
def _rows() -> dict[int, tuple[str, ...]]:
    return {int(row[0], 16): row[4] for row in attributes.ROWS if row[0] != "private" and "x" not in row[0]}


def no_element(tag: int) -> str:
    """Why a tag cannot be overridden at all, "" where it can."""
    group = tag >> 16
    if group & 1:
        return "a private element is named by private_creator and element"
    if group in _FOREIGN_GROUPS or not tag & 0xFFFF:
        return "is no part of a data set that leaves"
    if group == 0x7FE0:
        return "pixel data is no matter of an override"
    if not is_known(tag) and tag not in _rows():
        return "no element of the standard; such elements are always removed"
    if tag in WRITTEN:
        return "is written by Wardlight itself"
    if tag in NEEDED:
        return "without it the object cannot be read"
    if tag in PARTS:
        return "is decided together with the code or content item that it is part of"
    return ""


def not_allowed(tag: int, vr: bytes, action: str, options: frozenset[str]) -> str:
    """Why an action is refused for an element, "" where it is allowed.

    tag: 0 for an override of a VR. options: of the profile.
    """
    if action == "keep":
        return _not_kept(tag, vr, options)
    if action == "clean":
        return _not_cleaned(tag, vr)
    if action == "shift":
        if vr not in _DATES:
            return f"shift is for dates (DA, DT), not for {vr.decode()}"
        if "modified_dates" not in options:
            return "the profile moves no dates; one that moves beside others that stay tells by how many days"
    if action == "replace-uid" and vr != b"UI":
        return f"replace-uid is for UIDs (UI), not for {vr.decode()}"
    if action == "dummy" and vr == b"SQ":
        return "a sequence has no dummy value; remove or empty it"
    if vr == b"UI" and not tag:
        return "UIDs hold an object together; name the element"
    return ""


def _not_kept(tag: int, vr: bytes, options: frozenset[str]) -> str:
    if vr in _NOT_KEPT:
        return _NOT_KEPT[vr]
    if vr in _DATES and "full_dates" not in options:
        return "one true date tells by how many days all others of the patient were moved"
    return _bears(tag, vr)


def _not_cleaned(tag: int, vr: bytes) -> str:
    if vr in _NOT_KEPT:
        return _NOT_KEPT[vr]
    if vr not in _TEXT | _DATES | {b"TM", b"SQ"}:
        return f"only text, dates and sequences can be cleaned; keep or remove {vr.decode()}"
    return _bears(tag, vr)


def _bears(tag: int, vr: bytes) -> str:
    """Why an element can neither stay nor be cleaned."""
    if tag >> 16 & 0xFF00 in (0x5000, 0x6000) and tag & 0xFFFF == 0x3000:
        return "an overlay or curve can hold writing that nothing reads"
    if tag in _OPAQUE:
        return "anything could stand in these bytes"
    if tag in harvest_lists().identifiers and "K" not in _rows().get(tag, ()):
        return "it identifies the patient, and no option of Table E.1-1 keeps it"
    if not tag and vr in (b"OB", b"OW", b"UN"):
        return "anything could stand in these bytes; name the element"
    return ""


def not_allowed_private(action: str) -> str:
    """Why an action is refused for private elements, "" where it is allowed."""
    return f"{action} is for elements of the standard" if action in ("shift", "replace-uid") else ""
