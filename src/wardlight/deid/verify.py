"""Verify an output: read it again, knowing nothing of what the engine did, and look for what must not be there.

Checks (deid.md "Verifier"): no identifying value of the input anywhere in the output; no element that the level
forbids; all UIDs new and mapped one to one; all dates moved by one offset; the markers there; the structure no worse
than the input's; the pixel data of the length that its geometry gives. Any finding keeps the object in quarantine.
A finding names a code and a path of tags, never a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Final, TypeAlias

from wardlight.deid.verify_colour import is_colour_profile
from wardlight.deid.verify_dates import MovedDays
from wardlight.deid.verify_documents import DOCUMENT
from wardlight.deid.verify_forms import is_code, is_kind, is_plain, is_resource, is_scheme
from wardlight.deid.verify_leaks import Finding, Known, finding, leaks
from wardlight.deid.verify_loops import at_top, looked_at, values_of
from wardlight.deid.verify_reader import Item, Path, Unreadable, read
from wardlight.deid.verify_rules import (
    ABSENT,
    CHANGED,
    CLASS,
    CODE,
    CODING_SCHEME,
    COLOUR,
    COMPARED,
    DATE,
    HOLLOW,
    MARKERS,
    RESOURCES,
    UID,
    WORDS,
    Expectations,
    required,
)
from wardlight.deid.verify_site import NO_SITE, Site, expectations_of
from wardlight.deid.verify_structured import (
    Lesions,
    identifying,
    may_hold_content,
    structured,
    without_removed,
)
from wardlight.deid.verify_text import spells

__all__ = ["Finding", "verify"]

_SOP_CLASS: Final = 0x00080016
#: What the output puts in place of a value; finding it there says nothing.
_DUMMIES: Final = frozenset(
    (
        b"",
        b"REMOVED",
        b"Removed^",
        b"19000101",
        b"000000",
        b"000Y",
        b"0",
        b"urn:removed",
        b"2.25.0",
        *(bytes(2), bytes(4), bytes(8)),
    )
)
_OURS: Final = re.compile(rb"2\.25\.[1-9][0-9]{0,38}\0?")
#: Frames of reference, palettes and UTC that are the same everywhere (PS3.6 Tables A-1 and A-2).
_OF_THE_STANDARD: Final = re.compile(
    rb"1\.2\.840\.10008\.(?:1\.4\.[1-9]\.[0-9]{1,2}|1\.5\.[0-9]{1,2}|15\.1\.1)"
)
#: Checks that look at the output's value.
_READ: Final = COMPARED | WORDS | CODE | COLOUR
_TEXT: Final = frozenset(b"CS LO LT SH ST UC UT".split())
_BYTES: Final = frozenset(b"OB OW UN".split())

_METHODS: Final = (MARKERS[2],)
#: Bytes of longer values are looked at each time.
_LONGEST_REMEMBERED: Final = 128
#: (path, tag) → value of an input's element.
Values: TypeAlias = dict[tuple[Path, int], bytes]


def verify(
    before: bytes,
    syntax_uid: str,
    after: bytes,
    *,
    level: str,
    site: Site = NO_SITE,
    pixel_length: int | None = None,
    known: Sequence[Known] = (),
) -> list[Finding]:
    """What is wrong with an output; empty: it may leave.

    before, after: encoded elements up to the pixel data (inflated where the syntax is deflated), in the same transfer
    syntax. level: high, medium or low; another is a finding. site: what an institution's own profile
    says of this object, and what therefore is not held against the level. pixel_length: bytes of native pixel data
    that will follow. known: what else is known of the patient, which must not be found either.
    """
    try:
        expected = expectations_of(level, site)
    except KeyError:
        return [Finding("unknown-level")]
    try:
        old, new = read(before, syntax_uid), read(after, syntax_uid)
    except (Unreadable, RecursionError):
        return [Finding("unreadable")]
    content = may_hold_content(before) or may_hold_content(after)
    numbered = without_removed(before, old, level) if content else old
    findings = [*_elements(before, numbered, after, new, expected)]
    if content:
        findings += structured(before, numbered, after, new, level)
        known = [*known, *identifying(before, old, level)]
    top, inside = at_top(new)
    findings += _structure(before, old, after, top, inside, expected.checks)
    findings += leaks(before, old, after, new, expected, known)
    if pixel_length is not None:
        findings += _pixels(after, top, pixel_length, syntax_uid == "1.2.840.10008.1.2.2")
    return findings


def _elements(
    before: bytes,
    old: list[Item],
    after: bytes,
    new: list[Item],
    expected: Expectations,
) -> Iterator[Finding]:
    """Elements that the level does not allow, and values that had to change: those it replaces, UIDs, dates."""
    checks = expected.checks
    originals = values_of(old, before, expected.compared)
    creators: dict[tuple[Path, int], bytes] = {}
    mapped: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
    offsets: set[int] = set()
    days = MovedDays(before, old)
    lesions: Lesions | None = None
    codes: list[tuple[Path, int, bytes]] = []
    schemes: dict[Path, bytes] = {}
    get = checks.get
    found, paths = looked_at(new, checks, _READ, ABSENT | HOLLOW)
    for path in paths:
        yield from _forbidden_sequence(path, checks)
    for path, tag, vr, start, end in found:
        check = get(tag, -1)
        if check < 0:
            yield from _unknown(path, tag, vr, after[start:end], creators, expected)
            continue
        if check & ABSENT:
            yield finding("forbidden-element", path, tag)
        elif check & HOLLOW:
            if after[start:end].strip(b" \0") not in _DUMMIES and path[:1] != _METHODS:
                yield finding("not-emptied", path, tag)
            continue
        if not check & _READ or start == end or path[:1] == _METHODS:
            continue
        value = after[start:end]
        if check & WORDS:
            if not is_plain(value, expected.words, expected.terms) and not (
                tag in RESOURCES and is_resource(value)
            ):
                rest = days.without(tag, value) if expected.modified_dates else None
                if rest is None or not is_plain(rest, expected.words, expected.terms):
                    lesions = lesions or Lesions(before, old)
                    if not lesions.names(path, tag, value):
                        yield finding("words", path, tag)
            continue
        if check & COLOUR and not is_colour_profile(value):
            yield finding("colour-profile", path, tag)
        if check & CODE:
            if tag != CODING_SCHEME:
                codes.append((path, tag, value))
            elif path in schemes or not is_scheme(value):
                yield finding("code", path, tag)
            else:
                schemes[path] = value
            continue
        original = originals.get((path, tag), b"")
        if check & CLASS:
            if not _kinds_or_new(value, original, mapped):
                yield finding("uid-not-replaced", path, tag)
        elif check & UID:
            if not _uids_are_new(value, original, mapped):
                yield finding("uid-not-replaced", path, tag)
        elif check & DATE:
            short = len(value) + len(original) <= _LONGEST_REMEMBERED
            moved, problem = (_date_problem if short else _date_problem.__wrapped__)(value, original)
            offsets |= moved
            if problem:
                yield finding(problem, path, tag)
        if check & CHANGED:
            plain = value.strip(b" \0")
            same = plain == original.strip(b" \0") and plain not in _DUMMIES
            # A document may have been clean; whether it is was looked at with the leaks.
            if (
                same
                and (path or tag != DOCUMENT)
                and not (tag == MARKERS[1] and expected.said.fullmatch(plain))
            ):
                yield finding("unchanged-element", path, tag)
    for path, tag, value in codes:
        if not is_code(value, schemes.get(path, b"")):
            yield finding("code", path, tag)
    if expected.modified_dates:
        if len(offsets) > 1 or any(not 1 <= offset <= 3650 for offset in offsets) or not days.fit(offsets):
            yield Finding("dates-not-moved-as-one")
    elif offsets - {0}:
        yield Finding("dates-moved")


def _forbidden_sequence(path: Path, checks: Mapping[int, int]) -> Iterator[Finding]:
    for place in range(0, len(path), 2):
        if checks.get(path[place], 0) & (ABSENT | HOLLOW):
            yield Finding("forbidden-element", path[: place + 1 : 2])


def _unknown(
    path: Path,
    tag: int,
    vr: bytes,
    value: bytes,
    creators: dict[tuple[Path, int], bytes],
    expected: Expectations,
) -> Iterator[Finding]:
    """An element that is not of the standard: a private one that may stay and says nothing of its own, or a finding."""
    if not tag & 0x10000:
        yield finding("unknown-element", path, tag)
    elif 0x10 <= tag & 0xFFFF <= 0xFF and expected.private is not None:
        creators[path, tag >> 16 << 8 | tag & 0xFF] = value.rstrip(b" \0")
    else:
        creator = creators.get((path, tag >> 8), b"")
        place = (creator, tag >> 16, tag & 0xFF)
        if expected.own:
            places = (place, (creator, -1, tag & 0xFF), (creator, -1, -1))
            how = next((expected.own[one] for one in places if one in expected.own), "")
            if how:
                yield from _own(path, tag, vr, value, how, expected)
                return
        if expected.private is None or place not in expected.private:
            yield finding("private-element", path, tag)
            return
        # In implicit syntaxes the VR is not there, and the table's counts.
        meant = expected.private[place].partition("/")[0].encode() or b"UN"
        if meant in _BYTES:
            wordy = spells(value)
        else:
            wordy = (
                expected.vocabulary
                and (meant in _TEXT or vr in _TEXT)
                and not is_plain(value, expected.words, expected.terms)
            )
        if wordy:
            yield finding("words", path, tag)


def _own(
    path: Path, tag: int, vr: bytes, value: bytes, how: str, expected: Expectations
) -> Iterator[Finding]:
    """A private element that the institution's profile names."""
    if how == "remove":
        yield finding("private-element", path, tag)
    elif how in ("empty", "dummy"):
        if value.strip(b" \0") not in _DUMMIES:
            yield finding("not-emptied", path, tag)
    elif vr == b"UI":
        if not all(_OURS.fullmatch(one.rstrip(b"\0 ")) for one in value.split(b"\\") if one.strip(b"\0 ")):
            yield finding("uid-not-replaced", path, tag)
    elif vr in (b"PN", b"DA", b"DT", b"TM", b"AS"):
        yield finding("private-element", path, tag)
    elif vr in _BYTES:
        if spells(value):
            yield finding("words", path, tag)
    elif (
        how == "clean"
        and expected.vocabulary
        and vr in _TEXT
        and not is_plain(value, expected.words, expected.terms)
    ):
        yield finding("words", path, tag)


def _kinds_or_new(
    value: bytes, original: bytes, mapped: tuple[dict[bytes, bytes], dict[bytes, bytes]]
) -> bool:
    """UIDs of kinds are known ones, the same as before; what is not known is new."""
    if value == original and all(is_kind(one.rstrip(b"\0 ")) for one in value.split(b"\\")):
        return True
    pairs = zip(value.split(b"\\"), original.split(b"\\"), strict=False)
    strange = [(one, was) for one, was in pairs if one != was or not is_kind(one.rstrip(b"\0 "))]
    return value.count(b"\\") == original.count(b"\\") and all(
        _uids_are_new(one, was, mapped) for one, was in strange
    )


def _uids_are_new(
    value: bytes, original: bytes, mapped: tuple[dict[bytes, bytes], dict[bytes, bytes]]
) -> bool:
    """Each UID is new, legal, and stands for one original, and that for it. mapped: both ways, of the whole object."""
    there, back = mapped
    if b"\\" not in value:
        pairs = [(value, original)]
    else:
        made, sources = value.split(b"\\"), original.split(b"\\")
        if len(made) != len(sources):
            return False
        pairs = list(zip(made, sources, strict=True))
    for one, source in pairs:
        uid, was = one.rstrip(b"\0 "), source.strip(b"\0 ")
        if not uid or uid == b"2.25.0" or (uid == was and _OF_THE_STANDARD.fullmatch(uid)):
            continue
        if uid == was or not _OURS.fullmatch(uid):
            return False
        if there.setdefault(was, uid) != uid or back.setdefault(uid, was) != was:
            return False
    return True


@lru_cache(maxsize=8192)
def _date_problem(value: bytes, original: bytes) -> tuple[frozenset[int], str]:
    """The offset of each whole date, and what is wrong; a shorter one only has to be no later than its original."""
    offsets: set[int] = set()
    if value.strip(b" \0") in _DUMMIES:
        return frozenset(), ""
    for moved, source in zip(value.split(b"\\"), original.split(b"\\"), strict=False):
        digits, was = _digits(moved), _digits(source)
        if len(digits) == 8 and len(was) == 8:
            try:
                offsets.add(_day(was) - _day(digits))
            except ValueError:
                return frozenset(offsets), "bad-date"
        elif digits > was:
            return frozenset(offsets), "date-not-moved"
    return frozenset(offsets), ""


def _digits(value: bytes) -> bytes:
    """The date of a DA or DT, of whatever precision, without time and zone."""
    plain = value.strip(b" \0")
    if b"-" in plain or b"+" in plain:
        plain = plain.replace(b"-", b"+").partition(b"+")[0]
    return plain.replace(b".", b"")[:8] if b"." in plain[:8] else plain[:8]


@lru_cache(maxsize=8192)
def _day(digits: bytes) -> int:
    return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).toordinal()


def _structure(
    before: bytes,
    old: list[Item],
    after: bytes,
    has: dict[int, Item],
    inside: set[int],
    checks: Mapping[int, int],
) -> Iterator[Finding]:
    """Markers are there, and no type 1 or 2 element that the input had was lost.

    has: the output's elements at the top level; inside: its sequences there that have items.
    """
    had, _ = at_top(old)
    for tag in MARKERS:
        if tag not in has and tag not in inside:
            yield Finding("marker-missing", (tag,))
    removed = has.get(MARKERS[0])
    if removed is not None and after[removed[3] : removed[4]].strip(b" \0") != b"YES":
        yield Finding("marker-missing", (MARKERS[0],))
    item = had.get(_SOP_CLASS)
    sop_class = before[item[3] : item[4]].strip(b" \0").decode("ascii", "replace") if item else ""
    ones, twos = required(sop_class)
    # Sequences without items leave no line in the reader, so only elements with a value are compared here.
    for tag in ones & had.keys():
        if had[tag][3] < had[tag][4] and not checks.get(tag, 0) & ABSENT:
            left = has.get(tag)
            if left is None:
                yield Finding("required-element-lost", (tag,))
            elif left[3] == left[4]:
                yield Finding("required-value-lost", (tag,))
    for tag in (twos & had.keys()) - has.keys():
        # The Basic Profile removes some elements of type 2C whatever the SOP class says.
        if not checks.get(tag, 0) & ABSENT:
            yield Finding("required-element-lost", (tag,))


def _pixels(after: bytes, has: dict[int, Item], length: int, big: bool) -> Iterator[Finding]:
    """Native pixel data is exactly as long as its geometry says, or shorter where the input was."""

    def value_of(tag: int) -> bytes:
        item = has.get(tag)
        return b"" if item is None else after[item[3] : item[4]]

    def us(tag: int, default: int) -> int:
        value = value_of(tag)
        return int.from_bytes(value[:2], "big" if big else "little") if len(value) >= 2 else default

    frames = value_of(0x00280008).strip(b" \0") or b"1"
    if not frames.isdigit():
        yield Finding("pixel-length")
        return
    bits = int(frames) * us(0x00280010, 0) * us(0x00280011, 0) * us(0x00280002, 1) * us(0x00280100, 0)
    if length > (bits + 7) // 8 + 1:
        yield Finding("pixel-length")
