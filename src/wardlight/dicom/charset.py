"""Character sets of PS3.3 section C.12.1.1.2 and code extension by ISO/IEC 2022 as PS3.5 section 6.1.2.5 uses it.

Decoding never fails: bytes that mean nothing become U+FFFD. Beyond the standard it takes terms in their common
misspellings ("ISO-IR 100"), escape sequences of sets that (0008,0005) does not list, and, where no character set is
declared, bytes above 127 as Latin-1, which is what such files most often hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from wardlight.dicom.vr import CHARSET_VRS


@dataclass(frozen=True, slots=True)
class _Set:
    """One coded character set in a 7-bit (G0) or 8-bit (G1) code element.

    escape: the sequence that designates it. codec: Python's for its bytes, with high bits set where `shift`; prefix:
    put before each character for that codec. width: bytes of a character.
    """

    escape: bytes
    codec: str
    width: int = 1
    shift: bool = False
    prefix: bytes = b""


_ASCII: Final = _Set(b"\x1b(B", "ascii")
_ROMAJI: Final = _Set(b"\x1b(J", "ascii")
_KATAKANA: Final = _Set(b"\x1b)I", "shift_jis")
_KANJI: Final = _Set(b"\x1b$B", "euc_jp", width=2, shift=True)
_KANJI_SUPPLEMENT: Final = _Set(b"\x1b$(D", "euc_jp", width=2, shift=True, prefix=b"\x8f")
_HANGUL: Final = _Set(b"\x1b$)C", "euc_kr", width=2)
_HANZI: Final = _Set(b"\x1b$)A", "gb2312", width=2)
_LATIN1: Final = _Set(b"\x1b-A", "latin-1")

#: Number of the ISO registration in the defined term → (G0, G1) (PS3.3 Tables C.12-2 to C.12-4).
_SETS: Final[dict[str, tuple[_Set, _Set | None]]] = {
    "6": (_ASCII, None),
    "100": (_ASCII, _LATIN1),
    "101": (_ASCII, _Set(b"\x1b-B", "iso8859-2")),
    "109": (_ASCII, _Set(b"\x1b-C", "iso8859-3")),
    "110": (_ASCII, _Set(b"\x1b-D", "iso8859-4")),
    "144": (_ASCII, _Set(b"\x1b-L", "iso8859-5")),
    "127": (_ASCII, _Set(b"\x1b-G", "iso8859-6")),
    "126": (_ASCII, _Set(b"\x1b-F", "iso8859-7")),
    "138": (_ASCII, _Set(b"\x1b-H", "iso8859-8")),
    "148": (_ASCII, _Set(b"\x1b-M", "iso8859-9")),
    "203": (_ASCII, _Set(b"\x1b-b", "iso8859-15")),
    "166": (_ASCII, _Set(b"\x1b-T", "tis-620")),
    "13": (_ROMAJI, _KATAKANA),
    "87": (_KANJI, None),
    "159": (_KANJI_SUPPLEMENT, None),
    "149": (_ASCII, _HANGUL),
    "58": (_ASCII, _HANZI),
}
#: Character sets without code extension (PS3.3 Table C.12-5), by the term without blanks.
_STAND_ALONE: Final = {"ISOIR192": "utf-8", "GB18030": "gb18030", "GBK": "gbk", "ISO2022GBK": "gbk"}
_ESCAPES: Final = {s.escape: (s, True) for g0, _ in _SETS.values() for s in (g0,)} | {
    s.escape: (s, False) for _, s in _SETS.values() if s is not None
}
_TERM: Final = re.compile(r"ISO(?:2022)?(?:IR)?([0-9]+)")
_TOKEN: Final = re.compile(
    rb"\x1b(?:\$[()]?.|[()-].)?|[\x00-\x1a\x1c-\x1f]|[\x20-\x7f]+|[\x80-\xff]+", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class CharacterSets:
    """What Specific Character Set (0008,0005) declares.

    codec: Python's codec of a value without escape sequences, None where the set of value 1 needs the state machine.
    extensible: escape sequences may occur. sets: the declared (G0, G1), value 1 first.
    """

    codec: str | None
    extensible: bool
    sets: tuple[tuple[_Set, _Set | None], ...]


@lru_cache(maxsize=256)
def character_sets(value: bytes) -> CharacterSets:
    """The character sets of an encoded value of (0008,0005); b"" for an absent one. Never raises."""
    keys = [
        re.sub(r"[ _-]", "", term.decode("ascii", "replace").strip("\0 ").upper())
        for term in value.split(b"\\")
    ]
    if keys[0] in _STAND_ALONE:
        return CharacterSets(_STAND_ALONE[keys[0]], False, ())
    sets = []
    for key in keys:
        match = _TERM.fullmatch(key)
        sets.append(_SETS.get(match[1], _SETS["6"]) if match else _SETS["6"])
    g0, g1 = sets[0]
    if g1 is None or g1 is _LATIN1:
        codec: str | None = "latin-1"
    else:
        codec = g1.codec if g1.width == 1 and g1 is not _KATAKANA else None
    if g0.width > 1:
        # Against the standard, yet sent: a 7-bit set of two bytes as value 1. It can only be used by its escape.
        sets.insert(0, _SETS["6"])
    return CharacterSets(codec, True, tuple(sets))


DEFAULT: Final = character_sets(b"")


def _delimiters(vr: bytes) -> bytes:
    """The graphic characters that end the effect of escape sequences (PS3.5 section 6.1.2.5.3)."""
    if vr == b"PN":
        return b"^=\\"
    return b"\\" if vr in (b"LO", b"SH", b"UC") else b""


def decode(value: bytes, charsets: CharacterSets, vr: bytes) -> str:
    """The text of a value, padding included. A VR that (0008,0005) does not govern is taken as Latin-1."""
    if vr not in CHARSET_VRS:
        return value.decode("latin-1")
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    if not charsets.extensible or (charsets.codec is not None and b"\x1b" not in value):
        assert charsets.codec is not None
        return value.decode(charsets.codec, "replace")
    return "".join(_decode_extended(value, charsets, _delimiters(vr)))


def _decode_extended(value: bytes, charsets: CharacterSets, delimiters: bytes) -> Iterator[str]:
    first_g0, first_g1 = charsets.sets[0]
    g0, g1 = first_g0, first_g1
    for match in _TOKEN.finditer(value):
        token = match[0]
        lead = token[0]
        if lead == 0x1B:
            found = _ESCAPES.get(token)
            if found is None:
                yield "\ufffd"
            elif found[1]:
                g0 = found[0]
            else:
                g1 = found[0]
        elif lead < 0x20:
            g0, g1 = first_g0, first_g1
            yield chr(lead)
        elif lead >= 0x80:
            yield _decode_run(token, g1 or _LATIN1)
        elif g0.width > 1:
            yield _decode_run(token, g0)
        else:
            yield token.decode("ascii")
            if any(byte in delimiters for byte in token):
                # The characters before the delimiter read the same in either 7-bit set.
                g0, g1 = first_g0, first_g1


def _decode_run(run: bytes, code: _Set) -> str:
    if code.shift:
        run = bytes(byte | 0x80 for byte in run)
    if code.prefix:
        run = b"".join(code.prefix + run[i : i + code.width] for i in range(0, len(run), code.width))
    return run.decode(code.codec, "replace")


def encode(text: str, charsets: CharacterSets, vr: bytes) -> bytes:
    """The bytes of a text, with escape sequences where needed; a character none of the sets has becomes "?"."""
    if text.isascii() or vr not in CHARSET_VRS:
        return text.encode("ascii", "replace")
    if not charsets.extensible:
        assert charsets.codec is not None
        return text.encode(charsets.codec, "replace")
    return b"".join(_encode_extended(text, charsets, _delimiters(vr)))


def _encode_extended(text: str, charsets: CharacterSets, delimiters: bytes) -> Iterator[bytes]:
    first_g0, first_g1 = charsets.sets[0]
    g0, g1 = first_g0, first_g1
    for character in text:
        if character.isascii():
            resets = character < " " or ord(character) in delimiters
            if g0.width > 1 or (resets and g0 is not first_g0):
                g0 = first_g0
                yield g0.escape
            if resets and g1 is not first_g1:
                g1 = first_g1
                if g1 is not None:
                    yield g1.escape
            yield character.encode("ascii")
            continue
        encoded = None
        for code, seven in _candidates(charsets, g0, g1):
            encoded = _encode_character(character, code)
            if encoded is None:
                continue
            if seven and code is not g0:
                g0 = code
                yield code.escape
            elif not seven and code is not g1:
                g1 = code
                yield code.escape
            break
        yield b"?" if encoded is None else encoded
    if g0 is not first_g0:
        yield first_g0.escape


def _candidates(charsets: CharacterSets, g0: _Set, g1: _Set | None) -> Iterator[tuple[_Set, bool]]:
    """What can encode a character beyond ASCII: the sets in effect first, then the declared ones in their order."""
    if g0.width > 1:
        yield g0, True
    if g1 is not None:
        yield g1, False
    for declared_g0, declared_g1 in charsets.sets:
        if declared_g0.width > 1:
            yield declared_g0, True
        if declared_g1 is not None:
            yield declared_g1, False


def _encode_character(character: str, code: _Set) -> bytes | None:
    try:
        encoded = character.encode(code.codec)
    except UnicodeEncodeError:
        return None
    if code.prefix:
        if not encoded.startswith(code.prefix):
            return None
        encoded = encoded[len(code.prefix) :]
    # Python's EUC codecs have more than one set: a byte below A0 would be of another.
    if len(encoded) != code.width or min(encoded) < 0xA0:
        return None
    return bytes(byte & 0x7F for byte in encoded) if code.shift else encoded
