"""Verify an output: read it again, knowing nothing of what the engine did, and look for what must not be there.

Checks (deid.md "Verifier"): no identifying value of the input anywhere in the output; no element that the level
forbids; all UIDs new and mapped one to one; all dates moved by one offset; the markers there; the structure no worse
than the input's; the pixel data of the length that its geometry gives. Any finding keeps the object in quarantine.
A finding names a code and a path of tags, never a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from wardlight.deid.verify_reader import Item, Path, Unreadable, read, readings
from wardlight.deid.verify_rules import MARKERS, Expectations, expectations, required

_CHARSET: Final = 0x00080005
_SOP_CLASS: Final = 0x00080016
#: Elements, besides every PN, whose values identify the patient or the place, whole.
_IDENTIFYING: Final = frozenset(
    (
        *(0x00080050, 0x00080080, 0x00080081, 0x00081010, 0x00081040, 0x00100020, 0x00100021, 0x00101000),
        *(0x00101040, 0x00102154, 0x00200010, 0x00380010, 0x00401001, 0x00402016, 0x00402017, 0x00181000),
    )
)
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
_OF_THE_STANDARD: Final = b"1.2.840.10008."
_WORDS: Final = re.compile(r"[^\W_]+")
_LONG: Final = 5

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
    charset = b""
    for item in old:
        if item.tag == _CHARSET and not item.path:
            charset = before[item.start : item.end]
    findings = [*_forbidden(after, new, expected, exempt)]
    originals = {(item.path, item.tag): before[item.start : item.end] for item in old}
    findings += _values(after, new, originals, expected, exempt)
    findings += _structure(before, old, after, new)
    findings += _identifiers(before, old, after, new, charset, expected)
    if pixel_length is not None:
        findings += _pixels(after, new, pixel_length, syntax_uid == "1.2.840.10008.1.2.2")
    return findings


def _finding(code: str, item: Item) -> Finding:
    """With the tags of the path; its item numbers are the odd places."""
    return Finding(code, (*item.path[::2], item.tag))


def _forbidden(
    after: bytes, new: list[Item], expected: Expectations, exempt: frozenset[int]
) -> Iterator[Finding]:
    """Elements that the level does not allow."""
    known, absent, allowed = expected.known, expected.absent, expected.private
    creators: dict[tuple[Path, int], bytes] = {}
    for item in new:
        tag = item.tag
        if tag in known:
            if tag in absent and tag not in exempt:
                yield _finding("forbidden-element", item)
        elif not tag & 0x10000:
            yield _finding("unknown-element", item)
        elif 0x10 <= tag & 0xFFFF <= 0xFF and allowed is not None:
            creators[item.path, tag >> 16 << 8 | tag & 0xFF] = after[item.start : item.end].rstrip(b" \0")
        else:
            creator = creators.get((item.path, tag >> 8), b"")
            if allowed is None or (creator, tag >> 16, tag & 0xFF) not in allowed:
                yield _finding("private-element", item)
        for level in range(0, len(item.path), 2):
            sequence = item.path[level]
            if sequence in absent and sequence not in exempt:
                yield Finding("forbidden-element", item.path[: level + 1 : 2])
                break


def _values(
    after: bytes, new: list[Item], originals: Values, expected: Expectations, exempt: frozenset[int]
) -> Iterator[Finding]:
    """Values that had to change: what the level replaces, UIDs, dates."""
    mapped: dict[bytes, bytes] = {}
    offsets: set[int] = set()
    for item in new:
        tag, vr = item.tag, item.vr
        if vr == b"UI":
            if tag in expected.kept_uids or tag in exempt:
                continue
            original = originals.get((item.path, tag))
            yield from _uids(item, after[item.start : item.end], original, mapped)
        elif vr == b"DA" or vr == b"DT":
            value = after[item.start : item.end].strip(b" \0")
            if value and tag not in exempt and value not in _DUMMIES:
                yield from _dates(item, value, originals.get((item.path, tag), b""), offsets)
        if tag in expected.changed and tag not in exempt:
            value = after[item.start : item.end].strip(b" \0")
            if value not in _DUMMIES and value == originals.get((item.path, tag), b"").strip(b" \0"):
                yield _finding("unchanged-element", item)
    if expected.modified_dates:
        if len(offsets) > 1 or any(not 1 <= offset <= 3650 for offset in offsets):
            yield Finding("dates-not-moved-as-one")
    elif offsets - {0}:
        yield Finding("dates-moved")


def _uids(item: Item, value: bytes, original: bytes | None, mapped: dict[bytes, bytes]) -> Iterator[Finding]:
    """Each UID is new, legal, and stands for one original."""
    made = value.split(b"\\")
    sources = (original or b"").split(b"\\")
    for index, one in enumerate(made):
        uid = one.rstrip(b"\0 ")
        if not uid or uid == b"2.25.0":
            continue
        source = sources[index].strip(b"\0 ") if index < len(sources) and len(made) == len(sources) else b""
        if uid.startswith(_OF_THE_STANDARD) and uid == source:
            continue
        if not _OURS.fullmatch(uid) or uid == source or mapped.setdefault(source, uid) != uid:
            yield _finding("uid-not-replaced", item)
            return


def _dates(item: Item, value: bytes, original: bytes, offsets: set[int]) -> Iterator[Finding]:
    """Collects the offset of each whole date; a shorter one only has to be no later than its original."""
    for moved, source in zip(value.split(b"\\"), original.split(b"\\"), strict=False):
        digits, was = moved.strip()[:8], source.strip().replace(b".", b"")[:8]
        try:
            if len(digits) == 8 and len(was) == 8:
                offsets.add((_day(was) - _day(digits)).days)
            elif digits > was:
                yield _finding("date-not-moved", item)
        except ValueError:
            yield _finding("bad-date", item)


def _day(digits: bytes) -> date:
    return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))


def _structure(before: bytes, old: list[Item], after: bytes, new: list[Item]) -> Iterator[Finding]:
    """Markers are there, and no type 1 or 2 element that the input had was lost."""
    had = {item.tag if not item.path else item.path[0]: item for item in old}
    has = {item.tag if not item.path else item.path[0]: item for item in new}
    for tag in MARKERS:
        if tag not in has:
            yield Finding("marker-missing", (tag,))
    removed = has.get(MARKERS[0])
    if removed is not None and after[removed.start : removed.end].strip(b" \0") != b"YES":
        yield Finding("marker-missing", (MARKERS[0],))
    item = had.get(_SOP_CLASS)
    sop_class = before[item.start : item.end].strip(b" \0").decode("ascii", "replace") if item else ""
    ones, twos = required(sop_class)
    # Sequences without items leave no line in the reader, so only elements with a value are compared here.
    for tag in (ones | twos) & had.keys() - has.keys():
        if tag in ones and not had[tag].path and had[tag].end > had[tag].start:
            yield Finding("required-element-lost", (tag,))
    for tag in ones & had.keys() & has.keys():
        before_item, after_item = had[tag], has[tag]
        if not after_item.path and after_item.start == after_item.end and before_item.end > before_item.start:
            yield Finding("required-value-lost", (tag,))


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
    before: bytes, old: list[Item], after: bytes, new: list[Item], charset: bytes, expected: Expectations
) -> Iterator[Finding]:
    """No identifying value of the input is left."""
    identifying: dict[tuple[int, bytes, bytes], None] = {}
    uids: set[bytes] = set()
    days: set[bytes] = set()
    for item in old:
        tag, vr = item.tag, item.vr
        if vr == b"PN" or (tag in _IDENTIFYING and (tag in expected.absent or tag in expected.changed)):
            identifying[tag, vr, before[item.start : item.end]] = None
        elif vr == b"UI":
            if tag not in expected.kept_uids:
                uids.update(one.strip(b"\0 ") for one in before[item.start : item.end].split(b"\\"))
        elif tag == _BIRTH_DATE or (vr == b"DA" and expected.modified_dates):
            days.add(before[item.start : item.start + 8])
    needles = _needles(tuple(identifying), charset)
    texts = [after[i.start : i.end] for i in new if i.vr in _TEXT and i.end > i.start]
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
    for item in new:
        value, vr = after[item.start : item.end], item.vr
        if vr == b"UI" or vr == b"DA" or vr == b"DT" or vr == b"TM":
            # Their values were checked one by one; digits inside them mean nothing.
            continue
        if item.path[:1] == (MARKERS[2],) or (not item.path and item.tag in MARKERS):
            continue
        if vr in _NUMBERS:
            if not exact.isdisjoint(one.strip(b" \0+-") for one in value.split(b"\\")):
                yield _finding("identifier", item)
        elif vr in _TEXT:
            if item.tag in _CODED:
                continue
            dated = any(len(day) == 8 and day.isdigit() and day in value for day in days)
            linked = any(uid in value for uid in uids if len(uid) >= _LONG)
            if dated or linked or any(pattern.search(text.casefold()) for text in readings(value, charset)):
                yield _finding("identifier", item)
        elif any(word in value.lower() for word in needles.raw):
            yield _finding("identifier", item)


def _pixels(after: bytes, new: list[Item], length: int, big: bool) -> Iterator[Finding]:
    """Native pixel data is exactly as long as its geometry says, or shorter where the input was."""
    values = {item.tag: after[item.start : item.end] for item in new if not item.path}

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
