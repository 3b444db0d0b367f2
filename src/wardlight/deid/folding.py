"""One spelling for all spellings: width, case, marks and invisible characters do not make another name."""

from __future__ import annotations

import unicodedata
from typing import Final

#: Marks, and characters that nobody sees: soft hyphens, joiners, NULs of UTF-16.
_UNSEEN: Final = frozenset(("Mn", "Me", "Cf"))


def fold(text: str) -> str:
    """Lower case without marks, in the compatibility form: ＳＭＩＴＨ → smith, Mu + ̈ + ller → muller, ß → ss."""
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", "".join(map(_plain, text)))


def folded_with_places(text: str) -> tuple[str, list[int]]:
    """The text folded character by character, and for each character of it the place in `text` it came from."""
    made: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        plain = unicodedata.normalize("NFC", _plain(character)) if character != "\0" else ""
        made.append(plain)
        places += [place] * len(plain)
    return "".join(made), places


def _plain(character: str) -> str:
    if character < "\x80":
        return character.lower()
    apart = unicodedata.normalize("NFKD", character).casefold()
    return "".join(c for c in apart if unicodedata.category(c) not in _UNSEEN)
