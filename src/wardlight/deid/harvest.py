"""The harvest: identifying values of an object, searched for in every text that stays, and taken out of it.

What is harvested: names and their parts, identifiers, places, birth dates; and, by the caller, dates and UIDs. Single
letters and numbers under four digits never are. Words of five characters and more match anywhere, shorter ones only as
whole words; case does not matter. UIDs and dates match whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from wardlight.deid.descriptors import vocabulary
from wardlight.deid.profile import harvest_lists
from wardlight.dicom.charset import CharacterSets, character_sets, decode, encode
from wardlight.dicom.codec import codec_of
from wardlight.dicom.dictionary import vr_of
from wardlight.dicom.elements import Element, walk_sequence
from wardlight.dicom.errors import DicomError
from wardlight.dicom.transfer_syntax import TransferSyntax
from wardlight.dicom.vr import CHARSET_VRS

#: From this length a word is searched for inside other words too.
LONG_WORD: Final = 5
#: Fewer digits are counts, ages, slice numbers.
SHORTEST_NUMBER: Final = 4
_WORD: Final = re.compile(r"[^\W_]+")
_SEPARATORS: Final = re.compile(r"[\s^=,;:/\\_|()\[\]{}<>\"']+")
_GERMAN: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa"})
_DATE: Final = re.compile(rb"[0-9]{8}")


class Words(NamedTuple):
    """Harvested words, folded; kept for all objects that bring the same identifying values."""

    long: tuple[str, ...]
    short: tuple[str, ...]
    plain_long: tuple[bytes, ...]
    plain_short: tuple[bytes, ...]
    numbers: frozenset[bytes]
    dates: tuple[bytes, ...]


class Needles:
    """What to search one object for. `find` is cheap where nothing is there; `scrub` takes out what is."""

    __slots__ = ("_charsets", "_dates", "_pattern", "_uids", "_words")

    def __init__(
        self, words: Words, uids: Iterable[bytes], dates: Iterable[bytes], charsets: CharacterSets
    ) -> None:
        self._words = words
        self._charsets = charsets
        self._uids = {one.strip(b"\0 ") for value in uids for one in value.split(b"\\")} - {b""}
        self._dates = (*words.dates, *dates)
        self._pattern: re.Pattern[str] | None = None

    def find(self, texts: list[bytes], numbers: list[bytes]) -> bool:
        """Whether any needle is in one of the texts, or is one of the whole numbers."""
        words = self._words
        if numbers and not words.numbers.isdisjoint(numbers):
            return True
        joined = b"\n".join(texts)
        if not joined.isascii() or b"\x1b" in joined:
            return any(self._in_text(text) for text in texts)
        lowered = joined.lower()
        for word in words.plain_long:
            if word in lowered:
                return True
        for uid in self._uids:
            if uid in joined:
                return True
        for value in self._dates:
            for form in date_forms(value):
                if form in joined:
                    return True
        return any(word in lowered and _whole_word(word, lowered) for word in words.plain_short)

    def _in_text(self, text: bytes) -> bool:
        return self._compiled().search(decode(text, self._charsets, b"LT").casefold()) is not None

    def _compiled(self) -> re.Pattern[str]:
        if self._pattern is None:
            words = self._words
            long = {
                *words.long,
                *(form.decode("ascii") for value in self._dates for form in date_forms(value)),
            }
            parts = [re.escape(word) for word in sorted(long, key=len, reverse=True)]
            parts += [rf"(?<![^\W_]){re.escape(word)}(?![^\W_])" for word in words.short]
            parts += [
                rf"(?<![0-9.]){re.escape(uid.decode('latin-1'))}(?![0-9.])" for uid in sorted(self._uids)
            ]
            self._pattern = re.compile("|".join(parts) if parts else r"(?!)")
        return self._pattern

    def is_number(self, value: bytes) -> bool:
        """Whether a whole number is a harvested one."""
        return value in self._words.numbers

    def scrub(self, value: bytes, vr: bytes) -> bytes:
        """The value without any needle; the same object where there was none."""
        if not value:
            return value
        pattern = self._compiled()
        if vr not in CHARSET_VRS:
            # UN, or a coded string that holds more than ASCII: somebody wrote text into it, in the object's sets.
            vr = b"LO"
        decoded = decode(value, self._charsets, vr)
        folded = decoded.casefold()
        if pattern.search(folded) is None:
            return value
        if len(folded) != len(decoded):
            # Folding changed the length (ß, ligatures), so places in one are not places in the other.
            decoded = folded
        parts: list[str] = []
        end = 0
        for match in pattern.finditer(folded):
            parts.append(decoded[end : match.start()])
            end = match.end()
        parts.append(decoded[end:])
        kept = " ".join(" ".join(parts).split())
        # What was apart may have come together; then nothing of the value stays.
        return b"" if pattern.search(kept.casefold()) else encode(kept, self._charsets, vr)


def _whole_word(word: bytes, text: bytes) -> bool:
    """Whether an ASCII word occurs with no letter or digit beside it."""
    place = text.find(word)
    while place >= 0:
        end = place + len(word)
        before = text[place - 1 : place] if place else b" "
        if not before.isalnum() and not text[end : end + 1].isalnum():
            return True
        place = text.find(word, place + 1)
    return False


#: (tag, VR, value) of what the rewriter saw and removed.
Seen: TypeAlias = tuple[tuple[int, bytes, bytes], ...]


@lru_cache(maxsize=2048)
def harvest(seen: Seen, charset: bytes, syntax: TransferSyntax) -> Words:
    """The words of what identifies. charset: the value of (0008,0005). Removed sequences are looked into."""
    charsets = character_sets(charset)
    words: set[str] = set()
    dates: set[bytes] = set()
    lists = harvest_lists()
    for tag, vr, value in _opened(seen, syntax):
        text = decode(value, charsets, vr if vr != b"UN" else b"LO")
        if vr == b"PN":
            words |= name_words(text)
        elif tag in lists.places:
            words |= place_words(text)
        elif tag in lists.identifiers:
            words |= identifier_words(text)
        elif tag in lists.dates:
            dates.add(value)
    words |= {plain for word in words if not word.isascii() for plain in _plain_spellings(word)}
    long = tuple(sorted(word for word in words if len(word) >= LONG_WORD))
    short = tuple(sorted(word for word in words if len(word) < LONG_WORD))
    return Words(
        long,
        short,
        tuple(word.encode() for word in long if word.isascii()),
        tuple(word.encode() for word in short if word.isascii()),
        frozenset(word.encode() for word in long if word.isascii() and word.isdigit()),
        tuple(sorted(dates)),
    )


def _opened(seen: Seen, syntax: TransferSyntax) -> Iterator[tuple[int, bytes, bytes]]:
    """What was seen, removed sequences replaced by the identifying elements in them."""
    lists = harvest_lists()
    wanted = lists.identifiers | lists.places | lists.dates
    for tag, vr, value in seen:
        if vr != b"SQ":
            yield tag, (vr if vr != b"UN" else vr_of(tag)), value
            continue
        codec = codec_of(syntax, b"", 0)
        try:
            for _path, inner, _codec in walk_sequence(
                value, Element(tag, vr, 0, 0, len(value), len(value)), codec
            ):
                inner_vr = inner.vr if inner.vr != b"UN" else vr_of(inner.tag)
                if inner.length > 0 and (inner_vr == b"PN" or inner.tag in wanted):
                    yield inner.tag, inner_vr, value[inner.value : inner.end]
        except DicomError:
            # The sequence is gone from the output; what of it could be read is harvested.
            continue


def _plain_spellings(word: str) -> set[str]:
    """How a word with marks is written without them: Müller → muller, mueller."""
    german = word.translate(_GERMAN)
    return {
        "".join(c for c in unicodedata.normalize("NFKD", form) if not unicodedata.combining(c))
        for form in (word, german)
    }


def _worth(word: str) -> bool:
    """Whether a word is long enough to be somebody's: one letter and three digits never are."""
    if word.isdigit():
        return len(word) >= SHORTEST_NUMBER
    return len(word) >= 2 or (len(word) == 1 and not word.isascii())


def name_words(text: str) -> set[str]:
    """The words of a person's name, in all its representations, without titles and particles."""
    lists = harvest_lists()
    words = set()
    for part in _SEPARATORS.split(text.casefold()):
        words.add(part.strip(".-*?!"))
        words.update(_WORD.findall(part))
    return {
        word for word in words if _worth(word) and word not in lists.particles and word not in lists.common
    }


def identifier_words(text: str) -> set[str]:
    """Whole identifiers, and the parts of four characters and more that hold a digit."""
    words = set()
    for value in text.casefold().split("\\"):
        whole = value.strip()
        words.add(whole)
        words.add("".join(_WORD.findall(whole)))
        words.update(part for part in _WORD.findall(whole) if len(part) >= 4 and not part.isalpha())
    return {word for word in words if _worth(word) and word not in harvest_lists().common}


def place_words(text: str) -> set[str]:
    """The whole name of a place, and its words that are neither common ones nor of the vocabulary."""
    lists = harvest_lists()
    known = vocabulary()
    whole = " ".join(text.casefold().split())
    words = {
        word
        for word in _WORD.findall(whole)
        if len(word) >= 4 and word not in lists.common and word.encode() not in known
    }
    if len(whole) >= LONG_WORD and whole not in lists.common and whole.encode() not in known:
        words.add(whole)
    return {word for word in words if _worth(word)}


@lru_cache(maxsize=4096)
def date_forms(value: bytes) -> frozenset[bytes]:
    """The ways people write the dates of a DA or DT value, with all of day, month and year."""
    forms: set[bytes] = set()
    for one in value.split(b"\\"):
        match = _DATE.match(one.strip())
        if match is not None:
            year, month, day = match[0][:4], match[0][4:6], match[0][6:]
            forms.add(match[0])
            for mark in (b"-", b".", b"/"):
                forms |= {
                    mark.join(order) for order in ((year, month, day), (day, month, year), (month, day, year))
                }
    return frozenset(forms)
