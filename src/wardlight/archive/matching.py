"""Attribute matching of searches (PS3.4 section C.2.2.2), applied to unsealed DICOM JSON values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from wardlight.errors import WardlightError

#: Most UIDs in one list (security.md section 4).
MAX_UIDS: Final = 1000

_DATE: Final = re.compile(r"\d{8}", re.ASCII)
_TIME: Final = re.compile(r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?", re.ASCII)
_DATE_TIME: Final = re.compile(r"\d{4}(?:\d{2}){0,5}(?:\.\d{1,6})?(?:[+-]\d{4})?", re.ASCII)
_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)
_NO_WILDCARD: Final = frozenset(
    ("DA", "TM", "DT", "UI", "IS", "DS", "US", "UL", "SS", "SL", "FL", "FD", "AT")
)

Matcher = Callable[[Mapping[str, Any]], bool]
"""Tells whether an attribute, `{"vr": …, "Value": […]}`, matches."""


def is_universal(value: str) -> bool:
    """True for a key that every entity matches: empty, or `*` alone (PS3.4 C.2.2.2.3)."""
    return value in ("", "*")


def matcher(vr: str, value: str) -> Matcher:
    """The rule for one key of this VR.

    Dates and times match by single value or range, UIDs by list, names without regard to case, the rest by single
    value or wildcard. Raises `bad-request` for a value that cannot be of the VR.
    """
    if vr == "DA":
        return _range(value.replace(".", ""), _DATE, 8)
    if vr == "TM":
        return _range(value.replace(":", ""), _TIME, 13)
    if vr == "DT":
        return _range(value, _DATE_TIME, 21)
    if vr == "UI":
        wanted = frozenset(uid_list(value))
        return lambda attribute: any(item in wanted for item in attribute.get("Value") or ())
    if vr == "PN":
        pattern = _pattern(value.rstrip("^").casefold())
        return lambda attribute: any(pattern(name) for name in _names(attribute))
    if vr in _NO_WILDCARD:
        return _number(value)
    pattern = _pattern(value)
    return lambda attribute: any(pattern(str(item)) for item in attribute.get("Value") or ("",))


def uid_list(value: str) -> list[str]:
    r"""UIDs of a key, separated by `,` or `\` (PS3.18 section 8.3.4.1). Raises `bad-request`, `query-too-broad`."""
    uids = re.split(r"[,\\]", value)
    if not all(_UID.fullmatch(uid) for uid in uids):
        raise WardlightError("bad-request", "a key is not a UID")
    if len(uids) > MAX_UIDS:
        raise WardlightError("query-too-broad", f"more than {MAX_UIDS} UIDs in one list")
    return uids


def date_bounds(value: str) -> tuple[int, int]:
    """First and last day, as numbers YYYYMMDD, of a date or date range. Raises `bad-request`."""
    first, last = _bounds(value.replace(".", ""), _DATE)
    return int(first or 1), int(last or 99999999)


def _bounds(value: str, form: re.Pattern[str]) -> tuple[str, str]:
    """Both ends of a range, an open end empty; a single value is both ends."""
    if form.fullmatch(value):
        return value, value
    first, dash, last = value.partition("-")
    good = dash and (first or last) and all(not end or form.fullmatch(end) for end in (first, last))
    if not good:
        raise WardlightError("bad-request", "a key is neither a date or time nor a range of them")
    return first, last


def _range(value: str, form: re.Pattern[str], width: int) -> Matcher:
    first, last = _bounds(value, form)
    # A value of less precision stands for its whole span: padded with the least and the greatest digit.
    low = _digits(first).ljust(width, "0") if first else ""
    high = _digits(last).ljust(width, "9") if last else "~"

    def match(attribute: Mapping[str, Any]) -> bool:
        for item in attribute.get("Value") or ():
            text = _digits(str(item))
            if text and low <= text.ljust(width, "0") <= high:
                return True
        return False

    return match


def _digits(text: str) -> str:
    """A date or time without separators and time zone: its order as text is its order in time."""
    return re.split(r"[+-]", text, maxsplit=1)[0].replace(".", "").replace(":", "").strip()


def _number(value: str) -> Matcher:
    try:
        wanted = float(value)
    except ValueError:
        raise WardlightError("bad-request", "a key is not a number") from None

    def match(attribute: Mapping[str, Any]) -> bool:
        for item in attribute.get("Value") or ():
            try:
                if float(item) == wanted:
                    return True
            except (TypeError, ValueError):
                continue
        return False

    return match


def _pattern(value: str) -> Callable[[str], bool]:
    """Wildcard matching: `*` any run of characters, `?` any one (PS3.4 C.2.2.2.4). Takes time linear in the text."""
    if "*" not in value and "?" not in value:
        wanted = value.rstrip(" ")
        return lambda text: text.rstrip(" ") == wanted
    pieces = re.sub(r"\*+", "*", value).split("*")
    literals = [
        re.compile("".join("." if char == "?" else re.escape(char) for char in piece), re.DOTALL)
        for piece in pieces
    ]

    def match(text: str) -> bool:
        # Leftmost matching of each piece in turn is complete for `*`; a regular expression would backtrack.
        head, *middle = literals
        found = head.match(text)
        if found is None:
            return False
        if not middle:
            return found.end() == len(text)
        position = found.end()
        for literal in middle[:-1]:
            found = literal.search(text, position)
            if found is None:
                return False
            position = found.end()
        tail = len(text) - len(pieces[-1])
        return tail >= position and middle[-1].fullmatch(text, tail) is not None

    return match


def _names(attribute: Mapping[str, Any]) -> list[str]:
    """The component groups of a person's names, folded and without empty components at the end."""
    values = attribute.get("Value") or ({"Alphabetic": ""},)
    return [
        str(group).rstrip("^ ").casefold()
        for name in values
        if isinstance(name, dict)
        for group in name.values()
    ]
