"""The harvest: the words, numbers and days by which an object identifies somebody.

What is harvested: names and their parts, identifiers and the numbers in them, places, birth dates. Single letters and
numbers under four digits never are. `search` looks for them in what stays.
"""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from typing import Final, NamedTuple, TypeAlias

from wardlight.deid.days import Day, day_of, short_year
from wardlight.deid.descriptors import vocabulary
from wardlight.deid.folding import fold
from wardlight.deid.profile import harvest_lists
from wardlight.dicom.charset import character_sets, decode
from wardlight.dicom.codec import codec_of
from wardlight.dicom.dictionary import vr_of
from wardlight.dicom.elements import Element, walk_sequence
from wardlight.dicom.errors import DicomError
from wardlight.dicom.transfer_syntax import TransferSyntax

#: From this length a word is searched for inside other words too.
LONG_WORD: Final = 5
#: Fewer digits are counts, ages, slice numbers.
SHORTEST_NUMBER: Final = 4
_CHARSET: Final = 0x00080005
_WORD: Final = re.compile(r"[^\W_]+")
_DIGITS: Final = re.compile(r"[0-9]+")
_SEPARATORS: Final = re.compile(r"[\s^=,;:/\\_|()\[\]{}<>\"']+")
_GERMAN: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa"})
#: Scripts that are written without spaces between words: South-East Asian ones, kana, ideographs, hangul.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]"
)
#: What stands in names of people where nobody is named.
_NOBODY_TEXT: Final = """
    none unknown anonymous anonymized anonymised removed test tests name patient doctor hospital clinic station
"""
_NOBODY: Final = frozenset(_NOBODY_TEXT.split())
#: Keys the memory of harvests, so that it tells nobody which values it has seen.
_KEY: Final = secrets.token_bytes(32)
#: Values of more bytes altogether are harvested each time, and so many harvests are remembered: 4 MiB of values.
_LARGEST: Final = 16 << 10
_REMEMBERED: Final = 256

#: (tag, VR, value, character set) of what was seen and removed.
Seen: TypeAlias = tuple[int, bytes, bytes, bytes]


class Words(NamedTuple):
    """Harvested words, folded; kept for all objects that bring the same identifying values.

    long: found anywhere; short: as whole words. numbers: digits without leading zeros, found as whole numbers. births:
    birth dates, with four- and two-digit years. raw: words beyond ASCII as bytes of UTF-8 and UTF-16. digest: tells
    this harvest from others.
    """

    long: tuple[str, ...]
    short: frozenset[str]
    numbers: frozenset[str]
    births: frozenset[Day]
    raw: tuple[bytes, ...]
    digest: bytes


class Harvester:
    """Harvests, and remembers a bounded number of harvests under keyed digests of what they were made of."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Words] = OrderedDict()

    def harvest(self, seen: list[Seen], syntax: TransferSyntax) -> Words:
        """The words of what identifies. Removed sequences are looked into."""
        seen = _telling(seen)
        digest = blake2b(syntax.uid.encode(), key=_KEY, digest_size=16)
        size = 0
        for tag, vr, value, charset in seen:
            digest.update(b"%d,%s,%d,%s;" % (tag, vr, len(value), charset))
            digest.update(value)
            size += len(value)
        key = digest.digest()
        words = self._known.get(key)
        if words is None:
            words = harvest(seen, syntax, key)
            if size <= _LARGEST:
                self._known[key] = words
                while len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        return words


def harvest(seen: list[Seen], syntax: TransferSyntax, digest: bytes = b"") -> Words:
    """`Harvester.harvest` without its memory."""
    lists = harvest_lists()
    words: set[str] = set()
    numbers: set[str] = set()
    births: set[Day] = set()
    for tag, vr, value, charset in _opened(seen, syntax):
        text = decode(value, character_sets(charset), b"PN" if vr == b"PN" else b"LO")
        if vr == b"PN":
            for spelling in {text, text.lower().translate(_GERMAN)}:
                words |= name_words(spelling)
        elif tag in lists.places:
            words |= place_words(text)
        elif tag in lists.identifiers:
            words |= identifier_words(text)
            numbers |= identifier_numbers(text)
        elif tag in lists.dates:
            for one in value.split(b"\\"):
                day = day_of(one)
                if day is not None:
                    births |= {day, short_year(day)}
                    numbers |= _as_numbers(day)
    return Words(
        tuple(sorted(word for word in words if _found_anywhere(word))),
        frozenset(word for word in words if not _found_anywhere(word)),
        frozenset(numbers),
        frozenset(births),
        tuple(sorted(form for word in words for form in _raw_forms(word))),
        digest,
    )


def _telling(seen: list[Seen]) -> list[Seen]:
    """What of it a harvest can be made of: times and the like, which differ from object to object, are not."""
    wanted = _wanted()
    # In UN may be a name, whose VR the tag tells.
    return [one for one in seen if one[0] in wanted or one[1] in (b"PN", b"SQ", b"UN")]


@cache
def _wanted() -> frozenset[int]:
    lists = harvest_lists()
    return frozenset(lists.identifiers | lists.places | lists.dates)


def _opened(seen: list[Seen], syntax: TransferSyntax) -> Iterator[Seen]:
    """What was seen, removed sequences replaced by the identifying elements in them."""
    wanted = _wanted()
    for tag, vr, value, charset in seen:
        if vr != b"SQ":
            yield tag, (vr if vr != b"UN" else vr_of(tag)), value, charset
            continue
        codec = codec_of(syntax, b"", 0)
        charsets = [charset]
        inside: list[tuple[int, bytes, bytes]] = []
        try:
            for _path, inner, _codec in walk_sequence(
                value, Element(tag, vr, 0, 0, len(value), len(value)), codec
            ):
                inner_vr = inner.vr if inner.vr != b"UN" else vr_of(inner.tag)
                if inner.length > 0 and inner.tag == _CHARSET and len(charsets) < 8:
                    charsets.append(value[inner.value : inner.end])
                if inner.length > 0 and (inner_vr == b"PN" or inner.tag in wanted):
                    inside.append((inner.tag, inner_vr, value[inner.value : inner.end]))
        except DicomError:
            # The sequence is gone from the output; what of it could be read is harvested.
            pass
        for one in inside:
            # A name is read in each set the sequence declares: a reading too many finds nothing.
            for declared in charsets if not one[2].isascii() or b"\x1b" in one[2] else charsets[:1]:
                yield *one, declared


def _found_anywhere(word: str) -> bool:
    """Whether a word is searched for inside others too: a long one, and one that signs would break into letters.

    Signs are in names that are written in another character set than the object says. Where no spaces are written,
    every word stands inside others.
    """
    if len(word) >= LONG_WORD:
        return True
    return not word.isascii() and (not _WORD.fullmatch(word) or (len(word) > 1 and _unspaced(word)))


def _unspaced(word: str) -> bool:
    return _UNSPACED.search(word) is not None


def _raw_forms(word: str) -> set[bytes]:
    """A word beyond ASCII as bytes where no character set is declared, in the usual cases."""
    if word.isascii() or len(word) < 2:
        return set()
    cases = {word, word.upper(), word.title()}
    return {case.encode(code) for case in cases for code in ("utf-8", "utf-16-le", "utf-16-be")}


def _worth(word: str) -> bool:
    """Whether a word is long enough to be somebody's: one letter and three digits never are."""
    if word.isdigit():
        return len(word) >= SHORTEST_NUMBER
    return len(word) >= 2 or (len(word) == 1 and not word.isascii())


@cache
def _ordinary() -> tuple[frozenset[str], frozenset[str]]:
    """Words common in names of places and people, and particles of names and titles, folded."""
    lists = harvest_lists()
    return frozenset(map(fold, lists.common)), frozenset(map(fold, lists.particles | lists.titles))


def name_words(text: str) -> set[str]:
    """The words of a person's name, in all its representations, without titles and particles.

    Of a name that is made of particles alone, as Le Van is, these; so of a family or a given name, as in Kim^Al.
    """
    particles = _ordinary()[1]
    words = set()
    alone: set[str] = set()
    folded = fold(text)
    for part in _SEPARATORS.split(folded):
        words.add(part.strip(".-*?!"))
        words.update(_WORD.findall(part))
    for one in folded.replace("=", "\\").split("\\"):
        # Family and given name, of one sign each perhaps, written together.
        whole = "".join(_WORD.findall(one))
        if _unspaced(whole):
            words.add(whole)
        alone.update(part.strip(" .-") for part in one.split("^")[:2])
    words = {word for word in words if _worth(word) and word not in _NOBODY}
    return words - particles | words & alone & harvest_lists().particles or words


def identifier_words(text: str) -> set[str]:
    """Whole identifiers, and the parts of four characters and more that hold a digit."""
    words = set()
    for value in fold(text).split("\\"):
        whole = value.strip()
        words.add(whole)
        words.add("".join(_WORD.findall(whole)))
        words.update(part for part in _WORD.findall(whole) if len(part) >= 4 and not part.isalpha())
    return {word for word in words if _worth(word) and word not in _ordinary()[0]}


def identifier_numbers(text: str) -> set[str]:
    """The numbers of four digits and more in an identifier, without leading zeros: 4711234 of MRN04711234."""
    runs = {run.lstrip("0") for run in _DIGITS.findall(fold(text))}
    runs |= {"".join(_DIGITS.findall(value)).lstrip("0") for value in fold(text).split("\\")}
    return {run for run in runs if len(run) >= SHORTEST_NUMBER}


def _as_numbers(day: Day) -> set[str]:
    """A day as one number of eight digits, in the three orders, without leading zeros."""
    year, month, number = (f"{day[0]:04d}", f"{day[1]:02d}", f"{day[2]:02d}")
    return {
        form.lstrip("0") for form in (year + month + number, number + month + year, month + number + year)
    }


def place_words(text: str) -> set[str]:
    """The whole name of a place, and its words that are neither common ones nor of the vocabulary."""
    common = _ordinary()[0]
    known = vocabulary()
    whole = " ".join(fold(text).split())
    words = {
        word
        for word in _WORD.findall(whole)
        if len(word) >= 4 and word not in common and word.encode() not in known
    }
    if len(whole) >= LONG_WORD and whole not in common and whole.encode() not in known:
        words.add(whole)
    return {word for word in words if _worth(word)}
