"""Names and identifiers as search tokens: normalisation, words, prefixes, phonetic codes (security.md section 4).

Tokens only choose candidates: what is folded here may let too many through, never too few of what a key's literal
characters match.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from metaphone import doublemetaphone

#: Lengths of the prefixes that are kept of a word, by script, and of identifiers.
LATIN_PREFIXES: Final = (2, 3, 4, 6, 8)
EAST_ASIAN_PREFIXES: Final = (1, 2, 3)
ID_PREFIXES: Final = (3, 4, 6, 8)
ACCESSION_PREFIXES: Final = (4, 6, 8)
#: A name of more words than that is no name; the rest of it is found by reading only.
_MOST_WORDS: Final = 64
#: Characters of a value that tokens look at: four times what PS3.5 section 6.2 lets a value have.
_MOST_CHARACTERS: Final = 256
#: Letters that are not a base letter and a mark.
_FOLDED: Final = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "þ": "th", "ð": "d"}
)
_HIRAGANA: Final = {code: code + 0x60 for code in (*range(0x3041, 0x3097), 0x309D, 0x309E)}
#: Marks that turn one kana into another, so that they are letters and no accents.
_VOICING: Final = frozenset("\u3099\u309a")
_EAST_ASIAN: Final = re.compile(
    "[\u1100-\u11ff\u3005\u3040-\u30ff\u3130-\u318f\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
#: Half-width kana and Hangul letters.
_JOINING: Final = re.compile("[\u1100-\u11ff\u3131-\u318e\uff66-\uff9d\uffa0-\uffdc]")
_LATIN: Final = re.compile("[a-z]+")
_SPLIT: Final = re.compile(r"[^\w]|_")


def settled(beginning: str) -> str:
    """The beginning of a value without a last character that folding may join with what follows, as ﾀ and ﾞ to ダ."""
    return beginning[:-1] if _JOINING.match(beginning[-1:]) else beginning


def folded_id(text: str) -> str:
    """An identifier for comparing: trimmed, compatibility forms and cases folded."""
    return unicodedata.normalize("NFKC", text).strip()[:_MOST_CHARACTERS].casefold()


def folded_name(text: str) -> str:
    """A name without cases, accents and the difference of the kana; its separators stay."""
    text = unicodedata.normalize("NFKC", text)[: 4 * _MOST_CHARACTERS].casefold()
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKD", text)
    bare = "".join(
        character for character in text if character in _VOICING or not unicodedata.combining(character)
    )
    return unicodedata.normalize("NFC", bare.translate(_FOLDED).translate(_HIRAGANA))


def words(text: str) -> list[str]:
    """The words of a name, folded."""
    return [word for word in _SPLIT.split(folded_name(text)) if word][:_MOST_WORDS]


def prefixes(word: str) -> Iterator[str]:
    """The prefixes of a folded word that are kept."""
    for length in lengths(word):
        if length <= len(word):
            yield word[:length]


def lengths(word: str) -> tuple[int, ...]:
    """Which lengths of prefix are kept of a word: fewer letters say as much in the scripts of East Asia."""
    return EAST_ASIAN_PREFIXES if _EAST_ASIAN.match(word) else LATIN_PREFIXES


def longest(text: str, kept: tuple[int, ...]) -> str:
    """The longest kept prefix that this beginning of a value implies; empty where it is too short for any."""
    return text[: max((length for length in kept if length <= len(text)), default=0)]


@lru_cache(maxsize=4096)
def phonetic(word: str) -> tuple[str, ...]:
    """Double Metaphone codes of a folded word in Latin letters, none for others."""
    if not _LATIN.fullmatch(word):
        return ()
    return tuple(dict.fromkeys(code for code in doublemetaphone(word[:64]) if code))
