"""Searches what stays of an object for what was harvested of it, and takes it out.

Words of five characters and more match anywhere, shorter ones only as whole words, numbers as whole numbers, days in
the ways people write them, UIDs whole or as the beginning or end of a longer one. The cost grows with the text, not
with text times words: few words are searched for one by one, many through sets.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final, Protocol

from wardlight.deid import days
from wardlight.deid.days import Day
from wardlight.deid.folding import fold, folded_with_places
from wardlight.deid.harvest import LONG_WORD, Words
from wardlight.dicom.charset import character_sets, decode, encode
from wardlight.dicom.vr import CHARSET_VRS

_KEY: Final = secrets.token_bytes(32)
#: Verdicts remembered, each a digest and a number.
_REMEMBERED: Final = 1 << 15
#: More words than this are not searched for one by one.
_FEW: Final = 64
#: Character sets that are tried on each text; an object that declares more is refused.
MOST_CHARSETS: Final = 16
_WORD: Final = re.compile(r"[^\W_]+")
_NUMBER: Final = re.compile(r"[0-9]{4,}")
_DOTTED: Final = re.compile(r"[0-9]+(?:\.[0-9]+){2,}")
_LONGEST_UID: Final = 64
#: What IS and DS may hold (PS3.5 6.2). One shape only, so that nothing but numbers can be written in it.
_DECIMAL: Final = (
    rb"[ \0]*+(?:[+-]?(?:[0-9]{1,64}+(?:\.[0-9]{0,64}+)?|\.[0-9]{1,64}+)(?:[eE][+-]?[0-9]{1,4}+)?[ \0]*+)?"
)
_DECIMALS: Final = re.compile(_DECIMAL + rb"(?:\\" + _DECIMAL + rb")*+")
_WHOLE: Final = re.compile(rb"(?:^|\\)[ +-]*0*([1-9][0-9]{3,})(?:\.(0*)([0-9]*))?(?=[ \0]*(?:\\|$))")
_POWER: Final = re.compile(rb"([0-9]*)\.?([0-9]*)[eE]([+-]?[0-9]{1,4})")
#: Fewer digits in an element that reading the image depends on are what they seem.
LONG_NUMBER: Final = 6
_RUN: Final = re.compile(rb"[\x20-\x7e]{4,}|(?:[\x20-\x7e]\0){4,}|(?:\0[\x20-\x7e]){4,}")
#: A run of text as long as this, or one that is the whole value, is searched for short words; noise has shorter ones.
_SURE_RUN: Final = 8

_HIT: Final = 1
_DAYS: Final = 2
_UIDS: Final = 4


class Left(Protocol):
    """What stays of an object."""

    texts: list[bytes]
    numbers: list[bytes]
    structural: list[bytes]
    binaries: list[bytes]
    moved: set[Day]


class Needles:
    """What to search one object for. `find` is cheap where nothing is there; `scrub` takes out what is."""

    __slots__ = ("_charsets", "_key", "_moved", "_originals", "_pattern", "_uids", "_words", "_written")

    def __init__(
        self, words: Words, uids: Iterable[bytes], originals: Iterable[bytes], charsets: Iterable[bytes]
    ) -> None:
        """uids, originals: values of UI elements that were replaced, of DA and DT that were moved."""
        self._words = words
        self._written = tuple(sorted(charsets))
        self._charsets = tuple({character_sets(one): None for one in self._written})
        self._key = words.digest + b"\\".join(self._written)
        self._uids = {one.strip(b"\0 ").decode("latin-1") for value in uids for one in value.split(b"\\")}
        self._uids.discard("")
        self._originals = originals
        self._moved: frozenset[Day] | None = None
        self._pattern: re.Pattern[str] | None = None

    def find(self, left: Left) -> bool:
        """Whether any needle is in what stays, or a number is none."""
        if not left.moved.isdisjoint(self._words.births):
            return True
        numbers, structural, texts, binaries = left.numbers, left.structural, left.texts, left.binaries
        if self._in_numbers(b"\\".join(numbers), 0) or self._in_numbers(b"\\".join(structural), LONG_NUMBER):
            return True
        if binaries and self._remembered(b"\xff" + b"\n\xff\xfe\n".join(binaries), binaries) & _HIT:
            return True
        joined = b"\n".join(texts)
        verdict = self._remembered(joined, None, texts)
        if verdict & _HIT:
            return True
        if not verdict:
            return False
        return any(self._moving_in(text, verdict) for text in self._readings(texts))

    def _remembered(
        self, joined: bytes, binaries: list[bytes] | None, texts: list[bytes] | None = None
    ) -> int:
        """What words and birth dates found in this text before, and whether days or UIDs are in it at all."""
        key = blake2b(joined, key=_KEY, digest_size=16, salt=b"").digest() + self._key[:16]
        if self._written != (b"",):
            key += b"\\".join(self._written)
        verdict = _VERDICTS.get(key)
        if verdict is None:
            if binaries is not None:
                verdict = _HIT if any(map(self.in_binary, binaries)) else 0
            else:
                verdict = 0
                for text in self._readings(texts or []):
                    verdict |= self._verdict(text)
            if len(_VERDICTS) >= _REMEMBERED:
                _VERDICTS.clear()
            _VERDICTS[key] = verdict
        return verdict

    def _readings(self, texts: list[bytes]) -> Iterator[str]:
        """The texts folded, in every character set the object declares."""
        plain = b"\n".join(text for text in texts if text.isascii() and b"\x1b" not in text)
        yield fold(plain.decode("ascii"))
        for text in texts:
            if not text.isascii() or b"\x1b" in text:
                for charset in self._charsets:
                    yield fold(decode(text, charset, b"LT"))
                    # A VR without character sets is one to the standard only.
                    yield fold(decode(text, charset, b"LO"))

    def _verdict(self, text: str) -> int:
        if self._words_in(text) or days.spans(text, self._words.births):
            return _HIT
        return (_DAYS if _NUMBER.search(text) else 0) | (_UIDS if _DOTTED.search(text) else 0)

    def _words_in(self, text: str) -> bool:
        """Whether a word or number is in a folded text."""
        words = self._words
        if words.numbers and not words.numbers.isdisjoint(run.lstrip("0") for run in _NUMBER.findall(text)):
            return True
        if words.short and not words.short.isdisjoint(_WORD.findall(text)):
            return True
        return _any_in(words.long, text)

    def _moving_in(self, text: str, verdict: int) -> bool:
        """Whether a UID or a day of this very object is in a folded text."""
        if verdict & _UIDS and any(True for _ in _uid_spans(text, self._uids)):
            return True
        return bool(verdict & _DAYS and days.spans(text, self._days()))

    def _days(self) -> frozenset[Day]:
        if self._moved is None:
            found = (days.day_of(one) for value in self._originals for one in value.split(b"\\"))
            self._moved = self._words.births.union(day for day in found if day is not None)
        return self._moved

    def is_birth(self, day: Day) -> bool:
        """Whether it is a birth date of the patient."""
        return day in self._words.births

    def in_numbers(self, value: bytes, *, structural: bool) -> bool:
        """Whether an IS or DS value is none, or holds one of the patient's identifiers."""
        return self._in_numbers(value, LONG_NUMBER if structural else 0)

    def _in_numbers(self, joined: bytes, shortest: int) -> bool:
        if _DECIMALS.fullmatch(joined) is None:
            return True
        numbers = self._words.numbers
        for whole, _, fraction in _WHOLE.findall(joined):
            # Where short numbers are what they seem, so is one with a fraction.
            if len(whole) < shortest or (shortest and fraction):
                continue
            if whole.decode("ascii") in numbers or (len(whole) == 8 and days.day_of(whole) in self._days()):
                return True
        if b"e" in joined or b"E" in joined:
            return any(len(number) >= shortest and number in numbers for number in _powers(joined))
        return False

    def in_binary(self, value: bytes) -> bool:
        """Whether bytes spell a word, number or birth date, as ASCII or UTF-16."""
        words = self._words
        if words.raw and any(form in value for form in words.raw):
            return True
        bare = len(value.strip(b"\0 "))
        for match in _RUN.finditer(value):
            run = match[0].replace(b"\0", b"") if b"\0" in match[0] else match[0]
            text = run.decode("ascii").lower()
            if len(run) >= _SURE_RUN or len(match[0].strip(b"\0 ")) >= bare:
                if self._verdict(text) & _HIT or self._moving_in(text, _UIDS | _DAYS):
                    return True
            elif _any_in(words.long, text) or any(
                len(digits) >= LONG_WORD and digits.lstrip("0") in words.numbers
                for digits in _NUMBER.findall(text)
            ):
                return True
        # A short name and nothing else, padded.
        whole = value.replace(b"\0", b"").strip(b" ").lower()
        return 3 <= len(whole) <= _SURE_RUN and whole.isascii() and whole.decode("ascii") in words.short

    def scrub(self, value: bytes, vr: bytes, charset: bytes) -> bytes:
        """The value without any needle; the same object where there was none. charset: where it stands."""
        if not value:
            return value
        if vr not in CHARSET_VRS:
            # UN, or a coded string that holds more than ASCII: somebody wrote text into it, in the object's sets.
            vr = b"LO"
        if not any(map(self._anything_in, self._readings([value]))):
            return value
        charsets = character_sets(charset)
        decoded = decode(value, charsets, vr)
        folded, places = folded_with_places(decoded)
        cuts = self._cuts(folded)
        parts: list[str] = []
        end = 0
        for start, stop in sorted(cuts):
            if stop <= start:
                continue
            first, last = places[start], places[stop - 1] + 1
            if last > end:
                parts.append(decoded[end : max(first, end)])
                end = last
        parts.append(decoded[end:])
        kept = encode(" ".join(" ".join(parts).split()), charsets, vr)
        # What was apart may have come together, or stands there in another set; then nothing of the value stays.
        return b"" if not cuts or any(map(self._anything_in, self._readings([kept]))) else kept

    def _anything_in(self, text: str) -> bool:
        return bool(self._words_in(text)) or self._moving_in(text, _UIDS | _DAYS)

    def _cuts(self, text: str) -> list[tuple[int, int]]:
        """Where the needles are in a folded text; the whole of it where there are too many to say."""
        if len(self._words.long) > _FEW:
            return [(0, len(text))]
        if self._pattern is None:
            parts = [re.escape(word) for word in sorted(self._words.long, key=len, reverse=True)]
            self._pattern = re.compile("|".join(parts) if parts else r"(?!)")
        cuts = [match.span() for match in self._pattern.finditer(text)]
        cuts += [m.span() for m in _WORD.finditer(text) if m[0] in self._words.short]
        cuts += [m.span() for m in _NUMBER.finditer(text) if m[0].lstrip("0") in self._words.numbers]
        cuts += _uid_spans(text, self._uids)
        return cuts + days.spans(text, self._days())


_VERDICTS: Final[dict[bytes, int]] = {}


def _any_in(words: tuple[str, ...], text: str) -> bool:
    """Whether any of the words is in the text; few are shorter than five characters."""
    if len(words) <= _FEW:
        return any(word in text for word in words)
    by_head: dict[str, list[str]] = {}
    for word in words:
        by_head.setdefault(word[:LONG_WORD], []).append(word)
    for length in {len(head) for head in by_head}:
        for place in range(len(text) - length + 1):
            found = by_head.get(text[place : place + length])
            # Where very many words begin alike, their beginning is enough: nobody's patients are called like that.
            if found is not None and (
                len(found) > _FEW or any(text.startswith(word, place) for word in found)
            ):
                return True
    return False


def _uid_spans(text: str, uids: set[str]) -> Iterator[tuple[int, int]]:
    """Where one of the UIDs stands, alone or inside a longer dotted number; at most 64 characters are tried at once."""
    for match in _DOTTED.finditer(text):
        token, offset = match[0], match.start()
        if token in uids:
            yield match.span()
            continue
        dots = [i for i, character in enumerate(token) if character == "."]
        ends = [*dots, len(token)]
        for number, start in enumerate((0, *(dot + 1 for dot in dots))):
            for end in ends[number + 2 :]:
                if end - start > _LONGEST_UID:
                    break
                if token[start:end] in uids:
                    yield offset + start, offset + end


def _powers(joined: bytes) -> Iterator[str]:
    """The whole numbers that values with an exponent stand for, without leading zeros."""
    for whole, fraction, power in _POWER.findall(joined):
        shift = int(power) - len(fraction)
        digits = whole + fraction
        if shift < 0:
            digits = digits[:shift]
        yield (digits.decode("ascii") + "0" * min(max(shift, 0), 64)).lstrip("0")
