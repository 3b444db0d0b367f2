"""What the verifier looks for in text, numbers and bytes: the identifying words, numbers and days of an input.

Written apart from the harvest of the engine, so that what one overlooks the other may find.
"""

from __future__ import annotations

import os
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple, TypeAlias

from wardlight.deid.verify_reader import readings

#: (VR, value, whether it is an identifier, whose numbers count by themselves).
Identifying: TypeAlias = tuple[bytes, bytes, bool]
#: Year, month, day; a year below 100 is one written with two digits.
Date: TypeAlias = tuple[int, int, int]

_SMALL_TEXT: Final = "van von der den del della dem des de da di du la le lo el al ten ter bin ibn ben bint"
_TITLE_TEXT: Final = """
    and und et dr prof mr mrs ms md phd jr sr ii iii iv esq med dent habil dipl ing msc bsc rn rt frau herr sir
"""
_NO_NAME_TEXT: Final = """
    anonymous anonymized anonymised removed none unknown test tests name patient doctor hospital clinic station
"""
#: Parts of names that are no names where there are others; in Kim^Al the small word is all of the given name.
_SMALL: Final = frozenset(_SMALL_TEXT.split())
_PARTICLES: Final = _SMALL | frozenset(_TITLE_TEXT.split())
_NO_NAMES: Final = frozenset(_NO_NAME_TEXT.split())
_FIRST_TWO: Final = re.compile(r"(?:^|(?<=[=\\]))([^=\\^]*)\^?([^=\\^]*)")
_WORDS: Final = re.compile(r"[^\W_]+")
_DIGITS: Final = re.compile(r"[0-9]+")
_UMLAUTS: Final = {"ä": "ae", "ö": "oe", "ü": "ue"}
#: Scripts in which words follow each other without spaces, as names of their characters begin.
_RUN_ON: Final = frozenset(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR"))
LONG: Final = 5
_FEW: Final = 64
_REMEMBERED: Final = 512
_LARGEST: Final = 16 << 10
_KEY: Final = secrets.token_bytes(32)


def plain(text: str) -> str:
    """A text as everybody would read it: one width, one case, no marks, nothing invisible."""
    if text.isascii():
        return text.replace("\0", "").lower()
    apart = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    left = (c for c in apart if c != "\0" and unicodedata.category(c) not in ("Mn", "Me", "Cf"))
    return unicodedata.normalize("NFC", "".join(left))


class Needles(NamedTuple):
    """Identifying values of an input in plain spelling.

    long: from five characters on, found anywhere; short: whole words only; numbers: without leading zeros; raw: bytes;
    wide: words beyond ASCII in UTF-8 and UTF-16, for bytes without a character set. ascii: whatever of words and
    numbers can be in ASCII text.
    """

    long: tuple[str, ...]
    short: frozenset[str]
    numbers: frozenset[str]
    raw: tuple[bytes, ...]
    wide: tuple[bytes, ...]
    ascii: tuple[bytes, ...]


_KNOWN: Final[dict[bytes, Needles]] = {}


def needles_of(identifying: list[Identifying], charsets: tuple[bytes, ...]) -> Needles:
    """The needles of an input; remembered under a keyed digest, for the objects of a series share them."""
    digest = blake2b(b"\\".join(charsets), key=_KEY, digest_size=16)
    size = 0
    for vr, value, identifier in identifying:
        digest.update(b"%s%d%d;" % (vr, identifier, len(value)))
        digest.update(value)
        size += len(value)
    key = digest.digest()
    found = _KNOWN.get(key)
    if found is None:
        found = _needles(identifying, charsets)
        if size <= _LARGEST:
            if len(_KNOWN) >= _REMEMBERED:
                _KNOWN.clear()
            _KNOWN[key] = found
    return found


def _needles(identifying: list[Identifying], charsets: tuple[bytes, ...]) -> Needles:
    words: set[str] = set()
    numbers: set[str] = set()
    raw: set[bytes] = set()
    for vr, value, identifier in identifying:
        for text in readings(value, charsets):
            if "\ufffd" in text:
                continue
            read = plain(text).strip()
            if vr == b"PN":
                german = "".join(_UMLAUTS.get(c, c) for c in unicodedata.normalize("NFC", text).lower())
                own = {*_WORDS.findall(read), *_WORDS.findall(plain(german))} - _NO_NAMES
                alone = {part.strip(" .-") for one in _FIRST_TWO.findall(read) for part in one}
                words |= own - _PARTICLES | own & alone & _SMALL or own
                words.update(
                    "".join(_WORDS.findall(one)) for one in re.split(r"[=\\]", read) if _runs_on(one)
                )
                continue
            words |= {one.strip() for one in read.split("\\")} - _PARTICLES - _NO_NAMES
            if identifier:
                numbers.update(run.lstrip("0") for run in _DIGITS.findall(read))
        if vr == b"PN" and not value.isascii():
            groups = re.split(rb"[\^=\\ \0]+", value)
            raw |= {group.lower() for group in groups if len(group) >= LONG and not group.isascii()}
    words = {word for word in words if _worth(word)}
    long = {word for word in words if len(word) >= LONG or (len(word) > 1 and _runs_on(word))}
    foreign = {word for word in words if len(word) >= 2 and not word.isascii()}
    raw |= {word.encode() for word in long | {word for word in foreign if len(word.encode()) >= LONG}}
    wide = {
        form.encode(code)
        for word in foreign
        for form in (word, word.upper(), word.title())
        for code in ("utf-8", "utf-16-le", "utf-16-be")
    }
    numbers = {number for number in numbers if len(number) >= 4}
    return Needles(
        tuple(sorted(long)),
        frozenset(words - long),
        frozenset(numbers),
        tuple(sorted(raw)),
        tuple(sorted(wide)),
        tuple(sorted(word.encode() for word in words | numbers if word.isascii())),
    )


def _runs_on(text: str) -> bool:
    """Whether a text is of a script in which words follow each other without spaces."""
    names = (unicodedata.name(c, "").split(" ")[0] for c in text if c >= "\u0e00")
    return not _RUN_ON.isdisjoint(name.split("-")[0] for name in names)


def _worth(word: str) -> bool:
    return len(word) >= 4 if word.isdigit() else len(word) >= 2 or (len(word) == 1 and not word.isascii())


def any_of_in_python(words: tuple[bytes, ...], data: bytes) -> bool:
    """Whether one of a few words is in the data."""
    return any(word in data for word in words)


#: The same in C, where it was built.
any_of: Callable[[tuple[bytes, ...], bytes], bool] = any_of_in_python
if not os.environ.get("WARDLIGHT_PURE"):
    try:
        from wardlight.deid._verify_plain import any_of
    except ImportError:
        pass


def any_within(words: tuple[str, ...], text: str) -> bool:
    """Whether one of the words is in the text; few are shorter than five characters."""
    if len(words) <= _FEW:
        return any(word in text for word in words)
    heads: dict[str, set[str]] = {}
    for word in words:
        heads.setdefault(word[:LONG], set()).add(word)
    for size in {len(head) for head in heads}:
        for start in range(len(text) - size + 1):
            alike = heads.get(text[start : start + size])
            if alike and (len(alike) > _FEW or any(text.startswith(word, start) for word in alike)):
                return True
    return False


def in_text(text: str, needles: Needles, dates: Dates) -> bool:
    """Whether a plain text holds a word, a number or a date."""
    if not needles.short.isdisjoint(_WORDS.findall(text)):
        return True
    if needles.numbers and not needles.numbers.isdisjoint(run.lstrip("0") for run in _DIGITS.findall(text)):
        return True
    return any_within(needles.long, text) or dates.within(text)


class Dates:
    """The days that must not be found: those that moved, and birth dates, these with two-digit years as well."""

    __slots__ = ("_days", "written", "years")

    def __init__(self, moved: Iterable[bytes], births: Iterable[bytes]) -> None:
        self._days: set[Date] = set()
        for values, short in ((moved, False), (births, True)):
            for value in values:
                digits = value.replace(b".", b"").strip(b" \0")[:8]
                if len(digits) == 8 and digits.isdigit():
                    day = int(digits[:4]), int(digits[4:6]), int(digits[6:])
                    self._days.add(day)
                    if short:
                        self._days.add((day[0] % 100, *day[1:]))
        #: as they are written; no date of a text is without one of them
        self.years = {f"{day[0]:02d}" for day in self._days}
        self.written = tuple(year.encode() for year in self.years)

    def holds(self, number: str) -> bool:
        """Whether a number is one of the days in eight digits, of which the first may be zero."""
        return len(number) in (7, 8) and self._run(number.zfill(8))

    def within(self, text: str) -> bool:
        """Whether a plain text holds one of the days, in whichever way people write them."""
        if len(self.years) <= _FEW and not any(year in text for year in self.years):
            return False
        parts = list(_parts(text))
        if any(self._run(part) for _, part in parts if part.isdigit()):
            return True
        for index in range(len(parts) - 2):
            (_, first), (gap, second), (other_gap, third) = parts[index : index + 3]
            if gap <= _GAP and other_gap <= _GAP and self._three(first, second, third):
                return True
        return False

    def _run(self, digits: str) -> bool:
        if len(digits) == 6:
            a, b, c = int(digits[:2]), int(digits[2:4]), int(digits[4:])
            return not self._days.isdisjoint(((a, b, c), (c, b, a), (c, a, b)))
        for start in range(len(digits) - 7):
            a, b, c, d = (int(digits[start + 2 * n : start + 2 * n + 2]) for n in range(4))
            if not self._days.isdisjoint(((100 * a + b, c, d), (100 * c + d, b, a), (100 * c + d, a, b))):
                return True
        return False

    def _three(self, *parts: str) -> bool:
        months = [_month(part) for part in parts]
        for year, one, other in ((0, 1, 2), (2, 1, 0)):
            written = parts[year]
            if not written.isdigit() or len(written) not in (2, 4):
                continue
            if year == 0 and len(written) == 2 and len(parts[2]) != 2:
                continue
            for month, day in ((one, other), (other, one)):
                days = int(parts[day]) if parts[day].isdigit() and len(parts[day]) <= 2 else 0
                if any((int(written), number, days) in self._days for number in months[month]):
                    return True
        return False


@lru_cache(maxsize=256)
def _dates_of(moved: frozenset[bytes], births: tuple[bytes, ...]) -> Dates:
    return Dates(moved, births)


def dates_of(moved: set[bytes], births: list[bytes]) -> Dates:
    """The days of an object; those of the last objects are remembered, where they are few."""
    few = len(moved) + len(births) <= _FEW and all(len(birth) <= _FEW for birth in births)
    return _dates_of(frozenset(moved), tuple(births)) if few else Dates(moved, births)


_PART: Final = re.compile(r"[0-9]+|[^\W\d_]+")
#: Between day and month, and as an ending of the day.
_FILLERS: Final = frozenset(("st", "nd", "rd", "th", "er", "of", "de", "di"))
#: Most characters between two parts of a date, fillers aside.
_GAP: Final = 3
_NAMES: Final = {
    **dict.fromkeys(("jan", "ene", "gen"), (1,)),
    "feb": (2,),
    **dict.fromkeys(("mar", "mrz", "maa"), (3,)),
    **dict.fromkeys(("apr", "avr", "abr"), (4,)),
    **dict.fromkeys(("may", "mai", "mei", "mag"), (5,)),
    **dict.fromkeys(("jun", "giu"), (6,)),
    "jui": (6, 7),
    **dict.fromkeys(("jul", "lug"), (7,)),
    **dict.fromkeys(("aug", "aou", "ago"), (8,)),
    **dict.fromkeys(("sep", "set"), (9,)),
    **dict.fromkeys(("oct", "okt", "ott"), (10,)),
    "nov": (11,),
    **dict.fromkeys(("dec", "dez", "dic"), (12,)),
}


def _month(part: str) -> tuple[int, ...]:
    if part.isdigit():
        return (int(part),) if len(part) <= 2 else ()
    return _NAMES.get(part[:3], ())


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Numbers and words of a text without fillers, each with its distance from the one before."""
    end = gap = 0
    for match in _PART.finditer(text):
        gap += match.start() - end
        end = match.end()
        if match[0] not in _FILLERS:
            yield gap, match[0]
            gap = 0


@cache
def _decimals() -> re.Pattern[bytes]:
    one = rb"[ \0]*+(?:[-+]?(?:\d{1,64}+(?:\.\d{0,64}+)?|\.\d{1,64}+)(?:[eE][-+]?\d{1,4}+)?[ \0]*+)?"
    return re.compile(one + rb"(?:\\" + one + rb")*+")


def are_numbers(joined: bytes) -> bool:
    """Whether values of IS and DS are numbers, all of them (PS3.5 6.2)."""
    return _decimals().fullmatch(joined) is not None


def suspect_numbers(joined: bytes, needles: Needles, dates: Dates) -> bool:
    """Whether a look at each number is needed: digits of an identifier or a year are there, or exponents."""
    if b"e" in joined or b"E" in joined or len(needles.numbers) > _FEW or len(dates.years) > _FEW:
        return True
    text = joined.decode("ascii", "replace")
    # A whole number of eight digits holds a year of two digits as one of the first century.
    return any(n in text for n in needles.numbers) or any(y.zfill(4) in text for y in dates.years)


def in_numbers(value: bytes, needles: Needles, dates: Dates, shortest: int) -> bool:
    """Whether one of the numbers of an element is an identifier or a date.

    shortest: where above zero, only whole numbers of so many digits count.
    """
    for one in value.decode("ascii", "replace").split("\\"):
        try:
            number = Decimal(one.strip(" \0"))
        except InvalidOperation:
            continue
        if not number.is_finite() or number.adjusted() > 64 or number.adjusted() < 3:
            continue
        whole = str(abs(int(number)))
        if len(whole) < shortest or (shortest and number != int(number)):
            continue
        if whole in needles.numbers or dates.holds(whole):
            return True
    return False


_RUN: Final = re.compile(rb"[\x20-\x7e]{4,}")
_SPELT: Final = re.compile(rb"[\x20-\x7e]{4}|(?:[\x20-\x7e]\0){4}|(?:\0[\x20-\x7e]){4}")
#: From this length on numbers do not spell by chance.
_RUN_OF_NUMBERS: Final = 6
#: Noise has shorter runs of letters.
_SURE: Final = 8


def runs_in(joined: bytes) -> bool:
    """Whether text may be in bytes, with or without the zeros of UTF-16 between."""
    return _RUN.search(joined) is not None or _RUN.search(joined.replace(b"\0", b"")) is not None


def is_prose(value: bytes) -> bool:
    """Whether what should be numbers reads as letters and marks from end to end, with more letters than chance has."""
    bare = value.rstrip(b"\0")
    if len(bare) < _RUN_OF_NUMBERS or not bare.isascii() or not bare.decode("ascii").isprintable():
        return False
    return len({letter for letter in bare.lower() if chr(letter).isalpha()}) > 3


def spells(value: bytes) -> bool:
    """Whether text is in bytes that should have none."""
    return _SPELT.search(value) is not None


def in_binary(value: bytes, needles: Needles, dates: Dates) -> bool:
    """Whether bytes spell something of the patient's, with or without the zeros of UTF-16 between."""
    if any_of(needles.wide, value):
        return True
    bare = value.replace(b"\0", b"")
    if is_short_name(value, needles):
        return True
    for match in _RUN.finditer(bare):
        text = match[0].decode("ascii").lower()
        if any_within(needles.long, text):
            return True
        if any(len(run) >= LONG and run.lstrip("0") in needles.numbers for run in _DIGITS.findall(text)):
            return True
        if (len(text) >= _SURE or len(text.strip()) == len(bare.strip())) and in_text(text, needles, dates):
            return True
    return False


def is_short_name(value: bytes, needles: Needles) -> bool:
    """Whether a value is a short word and nothing else."""
    bare = value.replace(b"\0", b"").strip()
    return 3 <= len(bare) <= _SURE and bare.lower().decode("latin-1") in needles.short


def found_uids(data: bytes, uids: set[bytes]) -> bool:
    """Whether one of the UIDs is in the bytes; many of them are compared with the dotted numbers there."""
    if len(uids) <= _FEW:
        return any_of(tuple(uids), data)
    for token in set(re.findall(rb"\d+(?:\.\d+){2,}", data)):
        parts = token.split(b".")
        for start in range(len(parts) if len(parts) > 3 else 1):
            for end in range(start + 2, min(len(parts), start + 32) + 1):
                if b".".join(parts[start:end]) in uids:
                    return True
    return False
