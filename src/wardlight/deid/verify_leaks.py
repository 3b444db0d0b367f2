"""The verifier's search: no identifying value of an input is left in its output, each value has the form of its VR.

Whole groups of values are looked at together first; only where something may be there, element by element.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from wardlight.deid.verify_documents import DOCUMENT, document_problem
from wardlight.deid.verify_forms import FORMS, is_kind, is_plain
from wardlight.deid.verify_loops import by_kind, of_tags
from wardlight.deid.verify_reader import VRS, Item, Path, readings
from wardlight.deid.verify_rules import (
    BIRTH_DATE,
    CHARSET,
    CLASS,
    IDENTIFIES,
    MARKERS,
    NUMBERED,
    UID,
    Expectations,
    structural,
)
from wardlight.deid.verify_text import (
    LONG,
    Dates,
    Identifying,
    Needles,
    any_of,
    any_within,
    are_numbers,
    dates_of,
    found_uids,
    in_binary,
    in_numbers,
    in_text,
    is_prose,
    is_short_name,
    needles_of,
    plain,
    runs_in,
    suspect_numbers,
)

_TEXT: Final = frozenset(b"AE CS LO LT PN SH ST UC UN UR UT".split())
_NUMBERS: Final = frozenset(b"IS DS".split())
_SIZES: Final = dict(zip(b"US SS UL SL FL AT FD UV SV".split(), (2, 2, 4, 4, 4, 4, 8, 8, 8), strict=True))
_BINARY: Final = frozenset((*_SIZES, *b"OB OD OF OL OV OW UN".split()))
_WRITTEN: Final = _TEXT - _BINARY
#: Sets of codes that reading the image depends on; a patient called CT or HEAD does not make them hers.
_CODED: Final = frozenset(
    (
        *(0x00080005, 0x00080008, 0x00080060, 0x00080064, 0x00080068, 0x00100040, 0x00185100, 0x00200020),
        *(0x00200060, 0x00200062, 0x00280004, 0x00280301, 0x00281041, 0x00281054, 0x00282110, 0x00541001),
        *(0x0040A010, 0x0040A040, 0x0040A050, 0x0040A130, 0x0040A491, 0x0040A493, 0x0040A496, 0x00700023),
        *(0x00541000, 0x30040002, 0x30040004, 0x00620001, 0x00089007, 0x00089206, 0x00209072),
    )
)
_MOST_CHARSETS: Final = 16
_FEW: Final = 64
#: Numbers of up to so many bytes spell nothing.
_SPELLS: Final = 5
#: Bytes of longer values are searched each time.
_LONGEST_REMEMBERED: Final = 64
#: Bytes that a short name has at least, and any word beyond ASCII in UTF-8.
_SHORTEST: Final = 3
#: Where a number has fewer digits, an element on which reading the image depends holds what it says.
_LONG_NUMBER: Final = 6

#: (tag, VR, value, character set) of what another object of the patient said.
Known: TypeAlias = tuple[int, bytes, bytes, bytes]


class Finding(NamedTuple):
    """Why an output must not be released: a code, and the path of tags (without item numbers) where there is one."""

    code: str
    path: tuple[int, ...] = ()

    def __str__(self) -> str:
        place = "".join(f"({tag >> 16:04x},{tag & 0xFFFF:04x})" for tag in self.path)
        return f"{self.code} {place}".rstrip()


def finding(code: str, path: Path, tag: int) -> Finding:
    """With the tags of the path; its item numbers are the odd places."""
    return Finding(code, (*path[::2], tag))


class _Sought(NamedTuple):
    """What must not be found."""

    needles: Needles
    dates: Dates
    uids: set[bytes]
    charsets: tuple[bytes, ...]


def leaks(
    before: bytes,
    old: list[Item],
    after: bytes,
    new: list[Item],
    expected: Expectations,
    known: Sequence[Known] = (),
) -> Iterator[Finding]:
    """Every place of the output where something of the input's people is left, or a value is not of its VR."""
    sought = _sought(before, old, expected, known)
    if len(sought.charsets) > _MOST_CHARSETS:
        yield Finding("character-sets")
        return
    texts: list[bytes] = []
    numbers: list[bytes] = []
    forms: dict[bytes, list[bytes]] = {vr: [] for vr in FORMS}
    lists = {**dict.fromkeys(_WRITTEN, texts), **dict.fromkeys(_NUMBERS, numbers), **forms}
    # Documents are read for what they are: in the numbers of a mesh short names are there by chance.
    documents = [item for item in new if item[1] == DOCUMENT and not item[0]]
    values = new if not documents else [item for item in new if item not in documents]
    binary, misplaced = by_kind(values, after, lists, _WRITTEN, VRS)
    for item in misplaced:
        # Text under the VR that its tag has needs no further look.
        if problem := _misplaced(item, after):
            yield finding(problem, item[0], item[1])
    for item in documents:
        yield from _document(after, new, item, sought, expected)
    yield from _strange_numbers(after, binary, expected.vocabulary)
    odd = [vr for vr, values in forms.items() if values and not FORMS[vr].fullmatch(b"\\".join(values))]
    joined = b"\\".join(numbers)
    orderly = are_numbers(joined)
    wordy = _suspect_raw(after, sought) or _suspect_text(texts, sought)
    numbered = wordy or not orderly or suspect_numbers(joined, sought.needles, sought.dates)
    suspect = {*odd, *(_TEXT if wordy else ()), *(_NUMBERS if numbered else ())} - _BINARY
    binaries = [after[item[3] : item[4]] for item in binary if item[4] - item[3] > 3]
    if suspect or _suspect_binaries(binaries, sought):
        suspect |= _BINARY
        there = [item for item in new if item[2] in suspect and item not in documents]
        yield from _search(after, there, sought, frozenset(odd), orderly)


def _document(
    after: bytes, new: list[Item], item: Item, sought: _Sought, expected: Expectations
) -> Iterator[Finding]:
    """What is wrong with the encapsulated document, in its form or its text, or as raw bytes."""
    needles, dates = sought.needles, sought.dates
    problem = document_problem(
        after,
        new,
        item,
        lambda text: in_text(plain(text), needles, dates),
        lambda line: not expected.vocabulary or is_plain(line, expected.words, expected.terms),
        lambda number: in_numbers(number, needles, dates, _LONG_NUMBER),
    )
    if problem:
        yield finding(problem, item[0], item[1])
    elif any_of(needles.raw, after[item[3] : item[4]].lower()):
        yield finding("identifier", item[0], item[1])


def _misplaced(item: Item, after: bytes) -> str:
    """What is wrong with text under the tag of a number, date or UID: it has that form, or is none of it."""
    meant = VRS.get(item[1], b"LO")
    if meant in _NUMBERS:
        return "" if are_numbers(after[item[3] : item[4]]) else "bad-value"
    if meant in FORMS:
        return "" if FORMS[meant].fullmatch(after[item[3] : item[4]]) else "bad-value"
    return "wrong-vr" if meant in _SIZES and item[2] != b"UN" and item[3] < item[4] else ""


def _strange_numbers(after: bytes, binary: list[Item], wordless: bool) -> Iterator[Finding]:
    """Numbers of a VR that their tag does not have, and prose in place of numbers."""
    for path, tag, vr, start, end in binary:
        if vr not in _SIZES:
            continue
        if VRS.get(tag, vr) != vr and not _same_numbers(vr, VRS[tag], end - start):
            yield finding("wrong-vr", path, tag)
        if wordless and end - start > _SPELLS and is_prose(after[start:end]):
            yield finding("words", path, tag)


def _sought(before: bytes, old: list[Item], expected: Expectations, known: Sequence[Known]) -> _Sought:
    identifying: dict[Identifying, None] = {}
    uids: set[bytes] = set()
    moved: set[bytes] = set()
    births: list[bytes] = []
    charsets: dict[bytes, None] = {}
    get = expected.sought.get
    for _, tag, vr, start, end in of_tags(old, expected.sought, b"PN"):
        check = IDENTIFIES if vr == b"PN" else get(tag, 0)
        if check & IDENTIFIES:
            identifying[vr, before[start:end], tag in NUMBERED] = None
        elif check & (UID | CLASS):
            values = before[start:end].replace(b"\0", b"").replace(b" ", b"").split(b"\\")
            uids.update(values if check & UID else (uid for uid in values if not is_kind(uid)))
        elif tag == CHARSET:
            charsets[before[start:end]] = None
        elif tag == BIRTH_DATE:
            births += before[start:end].split(b"\\")
        else:
            moved.add(before[start : start + 10])
    for tag, vr, value, charset in known:
        if vr == b"PN" or get(tag, 0) & IDENTIFIES:
            identifying[vr, value, tag in NUMBERED] = None
        elif tag == BIRTH_DATE and get(tag):
            births += value.split(b"\\")
        if charset and not value.isascii():
            charsets[charset] = None
    declared = tuple(charsets)
    return _Sought(
        needles_of(list(identifying), declared),
        dates_of(moved, births),
        {uid for uid in uids if len(uid) >= LONG},
        declared,
    )


def _same_numbers(vr: bytes, of_the_tag: bytes, length: int) -> bool:
    """Whether a number of one VR may stand where the dictionary has another: of the same size, or a choice of them."""
    size = _SIZES.get(of_the_tag)
    if size is None:
        return of_the_tag in (b"OW", b"OB", b"UN")
    return size == _SIZES[vr] and (length in (0, size) or {vr, of_the_tag} == {b"US", b"SS"})


def _suspect_text(texts: list[bytes], sought: _Sought) -> bool:
    """Whether something may be in the text of any element."""
    joined = b"\n".join(texts)
    if not joined.isascii() or b"\x1b" in joined or b"\0" in joined.rstrip(b"\0"):
        return True
    lowered = joined.lower()
    needles = sought.needles
    if len(needles.ascii) > _FEW:
        return in_text(lowered.decode("ascii"), needles, sought.dates)
    return any_of(needles.ascii, lowered) or any_of(sought.dates.written, lowered)


def _suspect_raw(after: bytes, sought: _Sought) -> bool:
    """Whether something may be in the raw bytes, whatever element they are of."""
    raw = sought.needles.raw
    lowered = after.lower()
    if len(raw) <= _FEW:
        found = any_of(raw, lowered)
    else:
        found = any_within(tuple(word.decode("latin-1") for word in raw), lowered.decode("latin-1"))
    return found or found_uids(after, sought.uids)


def _suspect_binaries(binaries: list[bytes], sought: _Sought) -> bool:
    """Whether something may be spelt in binary values."""
    if not binaries:
        return False
    if sought.needles.short and any(is_short_name(value, sought.needles) for value in binaries):
        return True
    joined = b"\xff".join(binaries)
    return runs_in(joined) or any_of(sought.needles.wide, joined)


def _search(
    after: bytes,
    suspect: list[Item],
    sought: _Sought,
    odd: frozenset[bytes],
    orderly: bool,
) -> Iterator[Finding]:
    """Element by element, since something may be in those of these VRs."""
    needles, dates = sought.needles, sought.dates
    raw = needles.raw
    many = tuple(word.decode("latin-1") for word in raw) if len(raw) > _FEW else ()
    for path, tag, vr, start, end in suspect:
        if end - start < _SHORTEST and vr in _BINARY:
            continue
        value = after[start:end]
        if path[:1] == (MARKERS[2],) or (not path and tag in MARKERS):
            continue
        if vr in FORMS:
            # Their values are checked one by one; digits inside them mean nothing.
            if vr in odd and not FORMS[vr].fullmatch(value):
                yield finding("bad-value", path, tag)
        elif vr in _NUMBERS:
            if not orderly and not are_numbers(value):
                yield finding("bad-value", path, tag)
            elif in_numbers(value, needles, dates, _LONG_NUMBER if tag in structural() else 0):
                yield finding("identifier", path, tag)
        elif vr in _TEXT and vr != b"UN":
            # The bytes of a name say it too where it is in another character set than the object declares.
            if tag not in _CODED and (
                _in_text(value, sought) or (not value.isascii() and any_of(raw, value.lower()))
            ):
                yield finding("identifier", path, tag)
        elif (_in_binary if end - start <= _LONGEST_REMEMBERED else in_binary)(value, needles, dates) or (
            any_within(many, value.lower().decode("latin-1")) if many else any_of(raw, value.lower())
        ):
            yield finding("identifier", path, tag)


#: The numbers of a series are mostly the same, and so are what they are searched for.
_in_binary = lru_cache(maxsize=4096)(in_binary)


def _in_text(value: bytes, sought: _Sought) -> bool:
    if found_uids(value, sought.uids):
        return True
    return any(
        in_text(plain(text), sought.needles, sought.dates) for text in readings(value, sought.charsets)
    )
