"""Verify an output: read it again, knowing nothing of what the engine did, and look for what must not be there.

Checks (deid.md "Verifier"): no identifying value of the input anywhere in the output; no element that the level
forbids; all UIDs new and mapped one to one; all dates moved by one offset; the markers there; the structure no worse
than the input's; the pixel data of the length that its geometry gives. Any finding keeps the object in quarantine.
A finding names a code and a path of tags, never a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from wardlight.deid.verify_reader import Item, Path, Unreadable, read, readings
from wardlight.deid.verify_rules import (
    ABSENT,
    CHANGED,
    DATE,
    IDENTIFIES,
    MARKERS,
    UID,
    Expectations,
    expectations,
    required,
)

_CHARSET: Final = 0x00080005
_SOP_CLASS: Final = 0x00080016
_BIRTH_DATE: Final = 0x00100030
_TEXT: Final = frozenset(b"AE CS LO LT PN SH ST UC UN UR UT AS".split())
_NUMBERS: Final = frozenset(b"IS DS".split())
#: Sets of codes that reading the image depends on; a patient called CT or HEAD does not make them hers.
_CODED: Final = frozenset(
    (
        *(0x00080005, 0x00080008, 0x00080060, 0x00080064, 0x00080068, 0x00100040, 0x00185100, 0x00200020),
        *(0x00200060, 0x00200062, 0x00280004, 0x00280301, 0x00281041, 0x00281054, 0x00282110, 0x00541001),
        *(0x00541000, 0x30040002, 0x30040004, 0x00620001, 0x00089007, 0x00089206, 0x00209072),
    )
)
_PARTICLE_TEXT: Final = """
    van von der den del della dem des de da di du la le lo el al ten ter bin ibn ben bint and und et dr prof mr mrs ms
    md phd jr sr ii iii iv esq med dent habil dipl ing msc bsc rn rt frau herr sir anonymous anonymized anonymised
    removed none unknown test tests name patient doctor hospital clinic station
"""
#: Parts of names that are no names, and what stands where no name is known.
_PARTICLES: Final = frozenset(_PARTICLE_TEXT.split())
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
        bytes(2),
        bytes(4),
        bytes(8),
    )
)
_OURS: Final = re.compile(rb"2\.25\.[1-9][0-9]{0,38}\0?")
_OF_THE_STANDARD: Final = re.compile(rb"1\.2\.840\.10008(?:\.[0-9]{1,4}){1,5}")
_WORDS: Final = re.compile(r"[^\W_]+")
_LONG: Final = 5
#: Checks that need the input's value.
_COMPARED: Final = CHANGED | UID | DATE

#: (path, tag) → value of an input's element.
Values: TypeAlias = dict[tuple[Path, int], bytes]


class Finding(NamedTuple):
    """Why an output must not be released: a code, and the path of tags (without item numbers) where there is one."""

    code: str
    path: tuple[int, ...] = ()

    def __str__(self) -> str:
        place = "".join(f"({tag >> 16:04x},{tag & 0xFFFF:04x})" for tag in self.path)
        return f"{self.code} {place}".rstrip()


def verify(
    before: bytes,
    syntax_uid: str,
    after: bytes,
    *,
    level: str,
    exempt: frozenset[int] = frozenset(),
    pixel_length: int | None = None,
) -> list[Finding]:
    """What is wrong with an output; empty: it may leave.

    before, after: encoded elements up to the pixel data (inflated where the syntax is deflated), in the same transfer
    syntax. level: high, medium or low; another is a finding. exempt: tags that an institution's own profile keeps, and
    which therefore are not held against the level. pixel_length: bytes of native pixel data that will follow.
    """
    try:
        expected = expectations(level)
    except KeyError:
        return [Finding("unknown-level")]
    try:
        old, new = read(before, syntax_uid), read(after, syntax_uid)
    except (Unreadable, RecursionError):
        return [Finding("unreadable")]
    findings = [*_elements(before, old, after, new, expected, exempt)]
    findings += _structure(before, old, after, new, expected.checks)
    findings += _identifiers(before, old, after, new, expected, exempt)
    if pixel_length is not None:
        findings += _pixels(after, new, pixel_length, syntax_uid == "1.2.840.10008.1.2.2")
    return findings


def _finding(code: str, path: Path, tag: int) -> Finding:
    """With the tags of the path; its item numbers are the odd places."""
    return Finding(code, (*path[::2], tag))


def _elements(
    before: bytes,
    old: list[Item],
    after: bytes,
    new: list[Item],
    expected: Expectations,
    exempt: frozenset[int],
) -> Iterator[Finding]:
    """Elements that the level does not allow, and values that had to change: those it replaces, UIDs, dates."""
    checks = expected.checks
    originals = {(i[0], i[1]): before[i[3] : i[4]] for i in old if checks.get(i[1], 0) & _COMPARED}
    creators: dict[tuple[Path, int], bytes] = {}
    mapped: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
    offsets: set[int] = set()
    last: Path = ()
    for path, tag, _vr, start, end in new:
        check = checks.get(tag, -1)
        if path is not last:
            # All elements of an item share one path object.
            last = path
            yield from _forbidden_sequence(path, checks, exempt)
        if check == 0 or tag in exempt:
            continue
        if check < 0:
            yield from _unknown(path, tag, after[start:end], creators, expected)
            continue
        if check & ABSENT:
            yield _finding("forbidden-element", path, tag)
        if not check & _COMPARED or start == end:
            continue
        value, original = after[start:end], originals.get((path, tag), b"")
        if check & UID:
            if not _uids_are_new(value, original, mapped):
                yield _finding("uid-not-replaced", path, tag)
        elif check & DATE and (problem := _date_problem(value, original, offsets)):
            yield _finding(problem, path, tag)
        if check & CHANGED:
            plain = value.strip(b" \0")
            if plain == original.strip(b" \0") and plain not in _DUMMIES:
                yield _finding("unchanged-element", path, tag)
    if expected.modified_dates:
        if len(offsets) > 1 or any(not 1 <= offset <= 3650 for offset in offsets):
            yield Finding("dates-not-moved-as-one")
    elif offsets - {0}:
        yield Finding("dates-moved")


def _forbidden_sequence(path: Path, checks: Mapping[int, int], exempt: frozenset[int]) -> Iterator[Finding]:
    for place in range(0, len(path), 2):
        if checks.get(path[place], 0) & ABSENT and path[place] not in exempt:
            yield Finding("forbidden-element", path[: place + 1 : 2])


def _unknown(
    path: Path, tag: int, value: bytes, creators: dict[tuple[Path, int], bytes], expected: Expectations
) -> Iterator[Finding]:
    """An element that is not of the standard: a private one that may stay, or a finding."""
    if not tag & 0x10000:
        yield _finding("unknown-element", path, tag)
    elif 0x10 <= tag & 0xFFFF <= 0xFF and expected.private is not None:
        creators[path, tag >> 16 << 8 | tag & 0xFF] = value.rstrip(b" \0")
    else:
        creator = creators.get((path, tag >> 8), b"")
        if expected.private is None or (creator, tag >> 16, tag & 0xFF) not in expected.private:
            yield _finding("private-element", path, tag)


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


def _date_problem(value: bytes, original: bytes, offsets: set[int]) -> str:
    """Collects the offset of each whole date; a shorter one only has to be no later than its original."""
    if value.strip(b" \0") in _DUMMIES:
        return ""
    for moved, source in zip(value.split(b"\\"), original.split(b"\\"), strict=False):
        digits, was = moved.strip(b" \0")[:8], source.strip(b" \0").replace(b".", b"")[:8]
        if len(digits) == 8 and len(was) == 8:
            try:
                offsets.add(_day(was) - _day(digits))
            except ValueError:
                return "bad-date"
        elif digits > was:
            return "date-not-moved"
    return ""


@lru_cache(maxsize=8192)
def _day(digits: bytes) -> int:
    return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).toordinal()


def _structure(
    before: bytes, old: list[Item], after: bytes, new: list[Item], checks: Mapping[int, int]
) -> Iterator[Finding]:
    """Markers are there, and no type 1 or 2 element that the input had was lost."""
    had = {item[1]: item for item in old if not item[0]}
    has = {item[1]: item for item in new if not item[0]}
    here = has.keys() | {item[0][0] for item in new if item[0]}
    for tag in MARKERS:
        if tag not in here:
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


class _Needles(NamedTuple):
    """Identifying values of an input, folded. long: from five characters on, short: whole words only."""

    long: tuple[str, ...]
    short: tuple[str, ...]
    raw: tuple[bytes, ...]


@lru_cache(maxsize=1024)
def _needles(identifying: tuple[tuple[int, bytes, bytes], ...], charset: bytes) -> _Needles:
    words: set[str] = set()
    raw: set[bytes] = set()
    for _tag, vr, value in identifying:
        for text in readings(value, charset):
            folded = text.casefold().strip("\0 ")
            if vr == b"PN":
                parts = set(_WORDS.findall(folded)) - _PARTICLES
            else:
                parts = {one.strip() for one in folded.split("\\")} - _PARTICLES
            words |= {part for part in parts if _worth(part) and "\ufffd" not in part}
        if vr == b"PN" and not value.isascii():
            groups = re.split(rb"[\^=\\ \0]+", value)
            raw |= {group.lower() for group in groups if len(group) >= _LONG and not group.isascii()}
    long = {word for word in words if len(word) >= _LONG}
    raw |= {word.encode() for word in long}
    return _Needles(tuple(sorted(long)), tuple(sorted(words - long)), tuple(sorted(raw)))


def _worth(word: str) -> bool:
    return len(word) >= 4 if word.isdigit() else len(word) >= 2 or (len(word) == 1 and not word.isascii())


def _identifiers(
    before: bytes,
    old: list[Item],
    after: bytes,
    new: list[Item],
    expected: Expectations,
    exempt: frozenset[int],
) -> Iterator[Finding]:
    """No identifying value of the input is left."""
    checks = expected.checks
    identifying: dict[tuple[int, bytes, bytes], None] = {}
    uids: set[bytes] = set()
    days: set[bytes] = set()
    charset = b""
    for path, tag, vr, start, end in old:
        check = checks.get(tag, 0) if tag not in exempt else 0
        if vr == b"PN" or check & IDENTIFIES:
            identifying[tag, vr, before[start:end]] = None
        elif check & UID:
            uids.update(before[start:end].replace(b"\0", b"").replace(b" ", b"").split(b"\\"))
        elif tag == _BIRTH_DATE or (check & DATE and expected.modified_dates):
            days.add(before[start : start + 8])
        elif tag == _CHARSET and not path:
            charset = before[start:end]
    needles = _needles(tuple(identifying), charset)
    texts = [after[i[3] : i[4]] for i in new if i[2] in _TEXT]
    joined = b"\n".join(texts)
    lowered = after.lower()
    suspect = any(word in lowered for word in needles.raw)
    suspect = suspect or any(uid in after for uid in uids if len(uid) >= _LONG)
    suspect = suspect or any(len(day) == 8 and day.isdigit() and day in joined for day in days)
    if not suspect:
        small = joined.lower()
        suspect = not joined.isascii() or any(word.encode() in small for word in needles.short)
    if suspect:
        yield from _search(after, new, charset, needles, uids, days)


def _search(
    after: bytes, new: list[Item], charset: bytes, needles: _Needles, uids: set[bytes], days: set[bytes]
) -> Iterator[Finding]:
    """Element by element, since something may be there."""
    parts = [re.escape(word) for word in needles.long]
    parts += [rf"(?<![^\W_]){re.escape(word)}(?![^\W_])" for word in needles.short]
    pattern = re.compile("|".join(parts)) if parts else re.compile(r"(?!)")
    exact = {word.encode() for word in needles.long if word.isdigit() and len(word) > _LONG}
    for path, tag, vr, start, end in new:
        value = after[start:end]
        if vr == b"UI" or vr == b"DA" or vr == b"DT" or vr == b"TM":
            # Their values were checked one by one; digits inside them mean nothing.
            continue
        if path[:1] == (MARKERS[2],) or (not path and tag in MARKERS):
            continue
        if vr in _NUMBERS:
            if not exact.isdisjoint(one.strip(b" \0+-") for one in value.split(b"\\")):
                yield _finding("identifier", path, tag)
        elif vr in _TEXT:
            if tag in _CODED:
                continue
            dated = any(len(day) == 8 and day.isdigit() and day in value for day in days)
            linked = any(uid in value for uid in uids if len(uid) >= _LONG)
            if dated or linked or any(pattern.search(text.casefold()) for text in readings(value, charset)):
                yield _finding("identifier", path, tag)
        elif any(word in value.lower() for word in needles.raw):
            yield _finding("identifier", path, tag)


def _pixels(after: bytes, new: list[Item], length: int, big: bool) -> Iterator[Finding]:
    """Native pixel data is exactly as long as its geometry says, or shorter where the input was."""
    values = {item[1]: after[item[3] : item[4]] for item in new if not item[0]}

    def us(tag: int, default: int) -> int:
        value = values.get(tag, b"")
        return int.from_bytes(value[:2], "big" if big else "little") if len(value) >= 2 else default

    frames = values.get(0x00280008, b"").strip(b" \0") or b"1"
    if not frames.isdigit():
        yield Finding("pixel-length")
        return
    bits = int(frames) * us(0x00280010, 0) * us(0x00280011, 0) * us(0x00280002, 1) * us(0x00280100, 0)
    if length > (bits + 7) // 8 + 1:
        yield Finding("pixel-length")
