"""The verifier's search: no identifying value of an input is left in its output, each value has the form of its VR.

Whole groups of values are looked at together first; only where something may be there, element by element.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from wardlight.deid.verify_forms import FORMS, is_kind
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
    any_within,
    are_numbers,
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
#: Sets of codes that reading the image depends on; a patient called CT or HEAD does not make them hers.
_CODED: Final = frozenset(
    (
        *(0x00080005, 0x00080008, 0x00080060, 0x00080064, 0x00080068, 0x00100040, 0x00185100, 0x00200020),
        *(0x00200060, 0x00200062, 0x00280004, 0x00280301, 0x00281041, 0x00281054, 0x00282110, 0x00541001),
        *(0x00541000, 0x30040002, 0x30040004, 0x00620001, 0x00089007, 0x00089206, 0x00209072),
    )
)
_MOST_CHARSETS: Final = 16
_FEW: Final = 64
#: Numbers of up to so many bytes spell nothing.
_SPELLS: Final = 5
#: Where a number has fewer digits, an element on which reading the image depends holds what it says.
_LONG_NUMBER: Final = 6


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
    exempt: frozenset[int],
) -> Iterator[Finding]:
    """Every place of the output where something of the input's people is left, or a value is not of its VR."""
    sought = _sought(before, old, expected, exempt)
    if len(sought.charsets) > _MOST_CHARSETS:
        yield Finding("character-sets")
        return
    texts: list[bytes] = []
    numbers: list[bytes] = []
    binaries: list[bytes] = []
    forms: dict[bytes, list[bytes]] = {vr: [] for vr in FORMS}
    lists = {
        **dict.fromkeys(_TEXT, texts),
        **dict.fromkeys(_NUMBERS, numbers),
        **dict.fromkeys(_BINARY, binaries),
        **forms,
    }
    wordless = expected.vocabulary
    for path, tag, vr, start, end in new:
        lists[vr].append(after[start:end])
        if vr in _SIZES:
            if VRS.get(tag, vr) != vr and not _same_numbers(vr, VRS[tag], end - start):
                yield finding("wrong-vr", path, tag)
            if wordless and end - start > _SPELLS and is_prose(after[start:end]):
                yield finding("words", path, tag)
    odd = [vr for vr, values in forms.items() if values and not FORMS[vr].fullmatch(b"\\".join(values))]
    joined = b"\\".join(numbers)
    orderly = are_numbers(joined)
    wordy = _suspect_raw(after, sought) or _suspect_text(texts, sought)
    numbered = wordy or not orderly or suspect_numbers(joined, sought.needles, sought.dates)
    if numbered or odd or _suspect_binaries([value for value in binaries if len(value) > 3], sought):
        yield from _search(after, new, sought, frozenset(odd), orderly, wordy, numbered)


def _sought(before: bytes, old: list[Item], expected: Expectations, exempt: frozenset[int]) -> _Sought:
    identifying: dict[Identifying, None] = {}
    uids: set[bytes] = set()
    moved: set[bytes] = set()
    births: list[bytes] = []
    charsets: dict[bytes, None] = {}
    get = expected.sought.get
    for _, tag, vr, start, end in old:
        check = get(tag, 0)
        if vr == b"PN":
            check = IDENTIFIES
        elif not check or tag in exempt:
            continue
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
    declared = tuple(charsets)
    return _Sought(
        needles_of(list(identifying), declared),
        Dates(moved, births),
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
    text = joined.decode("ascii").lower()
    needles = sought.needles
    if len(needles.short) > _FEW or len(needles.numbers) > _FEW:
        return in_text(text, needles, sought.dates)
    return (
        any(word in text for word in needles.short)
        or any(number in text for number in needles.numbers)
        or any(year in text for year in sought.dates.years)
        or any_within(needles.long, text)
    )


def _suspect_raw(after: bytes, sought: _Sought) -> bool:
    """Whether something may be in the raw bytes, whatever element they are of."""
    raw = sought.needles.raw
    lowered = after.lower()
    if len(raw) <= _FEW:
        found = any(word in lowered for word in raw)
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
    return runs_in(joined) or any(form in joined for form in sought.needles.wide)


def _search(
    after: bytes,
    new: list[Item],
    sought: _Sought,
    odd: frozenset[bytes],
    orderly: bool,
    wordy: bool,
    numbered: bool,
) -> Iterator[Finding]:
    """Element by element, since something may be there. wordy, numbered: in text, in numbers; binary values often look
    like text where nothing is in these."""
    needles, dates = sought.needles, sought.dates
    raw = tuple(word.decode("latin-1") for word in needles.raw)
    for path, tag, vr, start, end in new:
        value = after[start:end]
        if path[:1] == (MARKERS[2],) or (not path and tag in MARKERS):
            continue
        if vr in FORMS:
            # Their values are checked one by one; digits inside them mean nothing.
            if vr in odd and not FORMS[vr].fullmatch(value):
                yield finding("bad-value", path, tag)
        elif vr in _NUMBERS:
            if not numbered:
                continue
            if not orderly and not are_numbers(value):
                yield finding("bad-value", path, tag)
            elif in_numbers(value, needles, dates, _LONG_NUMBER if tag in structural() else 0):
                yield finding("identifier", path, tag)
        elif vr in _TEXT and vr != b"UN":
            if wordy and tag not in _CODED and _in_text(value, sought):
                yield finding("identifier", path, tag)
        elif in_binary(value, needles, dates) or any_within(raw, value.lower().decode("latin-1")):
            yield finding("identifier", path, tag)


def _in_text(value: bytes, sought: _Sought) -> bool:
    if found_uids(value, sought.uids):
        return True
    return any(
        in_text(plain(text), sought.needles, sought.dates) for text in readings(value, sought.charsets)
    )
