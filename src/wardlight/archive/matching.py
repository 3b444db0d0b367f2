"""Attribute matching of searches (PS3.4 section C.2.2.2), applied to unsealed DICOM JSON values."""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from wardlight.archive import names
from wardlight.archive.postings import fuzzy_words
from wardlight.errors import WardlightError

#: Most UIDs in one list (security.md section 4).
MAX_UIDS: Final = 1000
#: A key that matches absent and empty values, where that is asked for (PS3.4 section C.2.2.2.7).
EMPTY: Final = '""'

_DATE: Final = re.compile(r"\d{8}", re.ASCII)
_TIME: Final = re.compile(r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?", re.ASCII)
_OFFSET: Final = r"[+-](?:0\d|1[0-4])[0-5]\d"
_DATE_TIME: Final = re.compile(
    rf"(\d{{4}})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\.\d{{1,6}})?({_OFFSET})?", re.ASCII
)
_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)
_NO_WILDCARD: Final = frozenset(
    ("DA", "TM", "DT", "UI", "IS", "DS", "US", "UL", "SS", "SL", "FL", "FD", "AT")
)
#: VRs whose attributes may be asked for by several values at once (PS3.4 section C.2.2.2.8).
_MULTIPLE: Final = frozenset(("AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"))

Matcher = Callable[[Mapping[str, Any]], bool]
"""Tells whether an attribute, `{"vr": …, "Value": […]}`, matches."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the query parameters of PS3.18 sections 8.3.4.2, 8.3.4.5 and 8.3.4.6 ask for."""

    fuzzy: bool = False
    empty_values: bool = False
    multiple_values: bool = False


LITERAL: Final = Rules()


def is_universal(value: str) -> bool:
    """True for a key that every entity matches: empty, or `*` alone (PS3.4 C.2.2.2.3)."""
    return value in ("", "*")


def matcher(vr: str, value: str, rules: Rules = LITERAL) -> Matcher:
    """The rule for one key of this VR.

    Dates and times match by single value or range, UIDs by list, names without regard to case, the rest by single
    value or wildcard. Raises `bad-request` for a value that cannot be of the VR.
    """
    if rules.empty_values and value == EMPTY:
        return _is_empty
    if rules.multiple_values and "\\" in value and vr in _MULTIPLE:
        every = [matcher(vr, part, rules) for part in value.split("\\") if part]
        return lambda attribute: all(match(attribute) for match in every)
    if vr == "DA":
        return _range(value.replace(".", ""), _DATE, 8)
    if vr == "TM":
        return _range(value.replace(":", ""), _TIME, 13)
    if vr == "DT":
        return _moments(value)
    if vr == "UI":
        wanted = frozenset(uid_list(value))
        return lambda attribute: any(item in wanted for item in attribute.get("Value") or ())
    if vr == "PN":
        return _fuzzy_name(value) if rules.fuzzy else _name(value)
    if vr in _NO_WILDCARD:
        return _number(value)
    pattern = _pattern(_composed(value))
    return lambda attribute: any(
        pattern(_composed("" if item is None else str(item))) for item in attribute.get("Value") or ("",)
    )


def uid_list(value: str) -> list[str]:
    r"""UIDs of a key, separated by `,` or `\` (PS3.18 section 8.3.4.1). Raises `bad-request`, `query-too-broad`."""
    uids = re.split(r"[,\\]", value)
    if not all(_UID.fullmatch(uid) for uid in uids):
        raise WardlightError("bad-request", "a key is not a UID")
    if len(uids) > MAX_UIDS:
        raise WardlightError("query-too-broad", f"more than {MAX_UIDS} UIDs in one list")
    return uids


def _is_empty(attribute: Mapping[str, Any]) -> bool:
    return not any(item not in (None, "") for item in attribute.get("Value") or ())


# ---- dates and times ----


def date_bounds(value: str) -> tuple[int, int]:
    """First and last day, as numbers YYYYMMDD, of a date or date range. Raises `bad-request`."""
    first, last = _bounds(value.replace(".", ""), _DATE)
    return int(first or 1), int(last or 99999999)


def combined(date: str, time: str) -> Callable[[Mapping[str, Any], Mapping[str, Any]], bool] | None:
    """One range of moments out of a range of dates and one of times of the same form (PS3.4 section C.2.2.2.5.4).

    Given the date's and the time's attribute it tells whether they match; None where the keys are no such pair.
    Raises `bad-request`.
    """
    date, time = date.replace(".", ""), time.replace(":", "")
    if "-" not in date or "-" not in time:
        return None
    days, times = _bounds(date, _DATE), _bounds(time, _TIME)
    if [bool(end) for end in days] != [bool(end) for end in times]:
        return None
    low = days[0] + _digits(times[0]).ljust(12, "0")
    high = days[1] + _digits(times[1]).ljust(12, "9") if days[1] else "~"

    def match(date_attribute: Mapping[str, Any], time_attribute: Mapping[str, Any]) -> bool:
        held = [_held(item) for item in date_attribute.get("Value") or ()]
        at = [_held(item) for item in time_attribute.get("Value") or ()]
        return any(low <= day + one.ljust(12, "0") <= high for day in held if day for one in at if one)

    return match


def _bounds(value: str, form: re.Pattern[str]) -> tuple[str, str]:
    """Both ends of a range, an open end empty; a single value is both ends."""
    if form.fullmatch(value):
        return value, value
    for dash in re.finditer("-", value):
        first, last = value[: dash.start()], value[dash.end() :]
        if (first or last) and all(not end or form.fullmatch(end) for end in (first, last)):
            return first, last
    raise WardlightError("bad-request", "a key is neither a date or time nor a range of them")


def _range(value: str, form: re.Pattern[str], width: int) -> Matcher:
    first, last = _bounds(value, form)
    # A value of less precision stands for its whole span: padded with the least and the greatest digit.
    low = _digits(first).ljust(width, "0") if first else ""
    high = _digits(last).ljust(width, "9") if last else "~"

    def match(attribute: Mapping[str, Any]) -> bool:
        for item in attribute.get("Value") or ():
            text = _held(item)
            if text and low <= text.ljust(width, "0") <= high:
                return True
        return False

    return match


def _digits(text: str) -> str:
    """A date or time without separators: its order as text is its order in time."""
    return text.replace(".", "").replace(":", "").strip()


def _held(item: Any) -> str:
    """The digits of a stored date or time; empty where it is none: such as `UNKNOWN` lies in no range."""
    text = _digits(str(item))
    return text if text.isascii() and text.isdigit() else ""


def _moments(value: str) -> Matcher:
    first, last = _bounds(value, _DATE_TIME)
    low = _moment(first, end=False) if first else None
    high = _moment(last, end=True) if last else None
    if (first and low is None) or (last and high is None):
        raise WardlightError("bad-request", "a key is no date and time")

    def match(attribute: Mapping[str, Any]) -> bool:
        for item in attribute.get("Value") or ():
            held = _moment(str(item).strip(), end=False)
            if held and (low is None or not _before(held, low)) and (high is None or not _before(high, held)):
                return True
        return False

    return match


def _moment(text: str, *, end: bool) -> tuple[datetime, timedelta | None] | None:
    """The first or last moment of a DT value, and its offset from UTC; None where it is none."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return None
    *parts, fraction, offset = found.groups()
    lowest = [1, 1, 1, 0, 0, 0]
    values = [int(part) if part else least for part, least in zip(parts, lowest, strict=True)]
    try:
        if end:
            greatest = [9999, 12, 31, 23, 59, 59]
            values = [int(part) if part else most for part, most in zip(parts, greatest, strict=True)]
            if parts[2] is None:
                values[2] = monthrange(values[0], values[1])[1]
        digits = (fraction or "")[1:]
        microseconds = int(digits.ljust(6, "9" if end else "0")) if digits or end else 0
        moment = datetime(*values, microseconds)  # type: ignore[call-arg,arg-type]  # noqa: DTZ001 - offset apart
    except ValueError:
        return None
    if offset is None:
        return moment, None
    sign = -1 if offset[0] == "-" else 1
    return moment, sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))


def _before(one: tuple[datetime, timedelta | None], other: tuple[datetime, timedelta | None]) -> bool:
    """Offsets count where both have one; else both are taken as of one place."""
    if one[1] is None or other[1] is None:
        return one[0] < other[0]
    return one[0] - other[0] < one[1] - other[1]


# ---- numbers, texts, names ----


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


def _composed(text: str) -> str:
    """One form of each character: an accent may be sent as a character of its own."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


#: The component groups of a name in the order in which `=` divides them (PS3.5 section 6.2.1).
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")


def _name(value: str) -> Matcher:
    """Person names: without regard to case, against any component group, or each against its own where `=` divides."""
    patterns = [_folded_pattern(group.rstrip("^ ")) for group in value.split("=")]
    if len(patterns) == 1:
        (only,) = patterns
        return lambda attribute: any(only(group) for name in _names(attribute) for group in name.values())
    given = [
        (group, pattern)
        for group, pattern, text in zip(_GROUPS, patterns, value.split("="), strict=False)
        if not is_universal(text)
    ]
    return lambda attribute: any(
        all(pattern(name.get(group, "")) for group, pattern in given) for name in _names(attribute)
    )


def _folded_pattern(value: str) -> Callable[[str], bool]:
    """A pattern that cases do not count for."""
    whole = _pattern(_composed(value.casefold()))
    if "?" not in value:
        return lambda text: whole(_composed(text.casefold()))
    # Folded, ß is two characters; `?` stands for one of those that were sent.
    single = _pattern(_composed(value.lower()))
    return lambda text: whole(_composed(text.casefold())) or single(_composed(text.lower()))


def _names(attribute: Mapping[str, Any]) -> list[dict[str, str]]:
    """The component groups of a person's names, without empty components at the end."""
    values = attribute.get("Value") or ({"Alphabetic": ""},)
    return [
        {group: str(text).rstrip("^ ") for group, text in name.items()}
        for name in values
        if isinstance(name, dict)
    ]


def _fuzzy_name(value: str) -> Matcher:
    """Fuzzy semantic matching: each word of the key is, or sounds like, a word of the name, in any order.

    Accents, cases and the difference of the kana do not count; a word with wildcards matches as a pattern.
    """
    wanted = [
        (_pattern(word), frozenset(names.phonetic(word)) if word.isalpha() else frozenset())
        for word in fuzzy_words(value)
    ]

    def match(attribute: Mapping[str, Any]) -> bool:
        for name in attribute.get("Value") or ({"Alphabetic": ""},):
            held = [word for group in name.values() for word in names.words(str(group))]
            if all(any(_alike(word, pattern, codes) for word in held) for pattern, codes in wanted):
                return True
        return False

    return match


def _alike(word: str, pattern: Callable[[str], bool], codes: frozenset[str]) -> bool:
    return pattern(word) or not codes.isdisjoint(names.phonetic(word))
