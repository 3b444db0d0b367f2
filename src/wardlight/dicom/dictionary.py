"""The data dictionary of PS3.6: VR and keyword of a tag, tag of a keyword."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Final

from wardlight.dicom import _dictionary_data

#: What PS3.6 leaves open, by the generated code, and the VR this package takes when nothing else decides.
#: US rather than SS: both have the same size and pixel representation is 0 in nearly all objects (PS3.5 A.1 lets the
#: reader decide by it; `json.py` does). OW rather than OB: PS3.5 A.1 demands it in implicit little endian.
_CHOICES: Final[dict[str, tuple[bytes, ...]]] = {
    "XS": (b"US", b"SS"),
    "OX": (b"OW", b"OB"),
    "XX": (b"OW", b"US", b"SS"),
    "XO": (b"OW", b"US"),
}


def _read() -> tuple[dict[int, bytes], dict[int, str], dict[int, tuple[bytes, ...]]]:
    vrs: dict[int, bytes] = {}
    keywords: dict[int, str] = {}
    choices: dict[int, tuple[bytes, ...]] = {}
    codes = {code: code.encode() for code in {line[9:11] for line in _dictionary_data.ELEMENTS.splitlines()}}
    for line in _dictionary_data.ELEMENTS.splitlines():
        tag = int(line[:8], 16)
        code = line[9:11]
        if code in _CHOICES:
            choices[tag] = _CHOICES[code]
            vrs[tag] = choices[tag][0]
        else:
            vrs[tag] = codes[code]
        keywords[tag] = line[12:]
    return vrs, keywords, choices


def _read_repeating() -> dict[int, dict[int, tuple[tuple[bytes, ...], str]]]:
    """Rows with x in the tag, by mask of the digits that are given, so that a look-up tries one mask at a time."""
    masks: dict[int, dict[int, tuple[tuple[bytes, ...], str]]] = {}
    for line in _dictionary_data.REPEATING.splitlines():
        pattern, code, keyword = line.split(" ")
        mask = int("".join("0" if c == "x" else "F" for c in pattern), 16)
        masks.setdefault(mask, {})[int(pattern.replace("x", "0"), 16)] = (
            _CHOICES.get(code, (code.encode(),)),
            keyword,
        )
    return masks


_VRS, _KEYWORDS, _AMBIGUOUS = _read()
_REPEATING: Final = _read_repeating()


def _repeating(tag: int) -> tuple[tuple[bytes, ...], str] | None:
    if tag & 0x10000:  # an odd group is private, never a repeating group (PS3.5 section 7.8)
        return None
    for mask, rows in _REPEATING.items():
        row = rows.get(tag & mask)
        if row is not None:
            return row
    return None


def vr_of(tag: int) -> bytes:
    """The VR of a tag, as two bytes; b"UN" where the standard does not know it.

    Group lengths are UL (PS3.5 section 7.2), private creators LO (7.8.1). Where PS3.6 gives a choice: US for
    "US or SS", OW for the rest; `choices_of` has all of them.
    """
    vr = _VRS.get(tag)
    if vr is not None:
        return vr
    if not tag & 0xFFFF:
        return b"UL"
    if tag & 0x10000:
        return b"LO" if 0x10 <= tag & 0xFFFF <= 0xFF else b"UN"
    row = _repeating(tag)
    return row[0][0] if row else b"UN"


def choices_of(tag: int) -> tuple[bytes, ...]:
    """The VRs among which PS3.6 leaves the choice for this tag; empty where there is none to make."""
    found = _AMBIGUOUS.get(tag)
    if found is not None or tag in _VRS:
        return found or ()
    row = _repeating(tag)
    return row[0] if row and len(row[0]) > 1 else ()


def keyword_of(tag: int) -> str:
    """The keyword of PS3.6, "" where there is none."""
    keyword = _KEYWORDS.get(tag)
    if keyword is not None:
        return keyword
    row = _repeating(tag)
    return row[1] if row else ""


@cache
def _tags() -> dict[str, int]:
    return {keyword: tag for tag, keyword in _KEYWORDS.items() if keyword}


def tag_of(keyword: str) -> int | None:
    """The tag of a keyword, None where PS3.6 has no such keyword or it stands for a repeating group."""
    return _tags().get(keyword)


def is_known(tag: int) -> bool:
    """Whether PS3.6 lists the tag; private tags and group lengths of other groups are not listed."""
    return tag in _VRS or _repeating(tag) is not None


def keywords() -> Collection[str]:
    """All keywords of PS3.6 but those of repeating groups."""
    return _tags().keys()
