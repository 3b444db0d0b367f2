"""Forms the verifier holds values to: what may stand in dates, times, UIDs, codes, and text cleaned by vocabulary."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from wardlight.deid.standard import element_types

_FOLDER: Final = files("wardlight.deid") / "profiles"
_REMEMBERED: Final = 4096
_LARGEST: Final = 1024
_NONE: Final[frozenset[bytes]] = frozenset()
_HOUR: Final = rb"(?:[01]\d|2[0-3])"
_TM: Final = _HOUR + rb"(?::?[0-5]\d(?::?[0-6]\d(?:\.\d{1,6})?)?)?"
_DA: Final = (
    rb"\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|\d{4}\.(?:0[1-9]|1[0-2])\.(?:0[1-9]|[12]\d|3[01])"
)
_DT: Final = (
    rb"\d{4}(?:(?:0[1-9]|1[0-2])(?:(?:0[1-9]|[12]\d|3[01])(?:"
    + _HOUR
    + rb"(?:[0-5]\d(?:[0-6]\d(?:\.\d{1,6})?)?)?)?)?)?(?:[+-]\d{4})?"
)


def _values(one: bytes) -> re.Pattern[bytes]:
    """A pattern of values, each empty or of the form, with padding."""
    value = rb"[ \0]*+(?:(?:" + one + rb")[ \0]*+)?"
    return re.compile(value + rb"(?:\\" + value + rb")*")


#: What values of a VR look like, several of them joined by backslashes too (PS3.5 6.2).
FORMS: Final[dict[bytes, re.Pattern[bytes]]] = {
    b"DA": _values(_DA),
    b"TM": _values(_TM),
    b"DT": _values(_DT),
    b"AS": _values(rb"0(?:[0-8]\d|90)Y|\d{3}[DWM]"),
    b"UI": _values(rb"[0-9.]+"),
}


@cache
def _vocabulary() -> frozenset[bytes]:
    lines = (_FOLDER / "vocabulary.txt").read_bytes().splitlines()
    return frozenset(word for line in lines if line[:1] != b"#" for word in line.split())


@cache
def _terms() -> frozenset[bytes]:
    lines = (_FOLDER / "terms.txt").read_bytes().splitlines()
    joined = b" ".join(line for line in lines if line[:1] != b"#")
    return frozenset(term.strip() for term in joined.split(b"|")) | {b"", b"REMOVED", b"OTHER"}


_PIECES: Final = re.compile(rb"[A-Za-z]+|[0-9]+|[\x80-\xff\x1b]+")
_ALONE: Final = re.compile(rb"(?<![0-9A-Za-z.])[0-9]+(?:\.[0-9]+)?(?![0-9A-Za-z.])(?: +([A-Za-z]+))?")
_UNITS: Final = frozenset(b"mm cm ml mg mgy kv kvp kev mev mbq ma mas hz khz mhz tesla percent hu".split())


def is_plain(value: bytes, words: frozenset[bytes] = _NONE, terms: frozenset[bytes] = _NONE) -> bool:
    """Whether a value is a known term, or words of the vocabulary with at most one number and those with units.

    words, terms: an institution's own, besides the built-in ones.
    """
    return (_plain if len(value) <= _LARGEST else _plain.__wrapped__)(value, words, terms)


@lru_cache(maxsize=_REMEMBERED)
def _plain(value: bytes, words: frozenset[bytes], terms: frozenset[bytes]) -> bool:
    return all(_plain_one(one.strip(b" \0"), words, terms) for one in value.split(b"\\"))


def _plain_one(value: bytes, words: frozenset[bytes], terms: frozenset[bytes]) -> bool:
    if value in _terms() or value in terms:
        return True
    vocabulary = _vocabulary()
    digits = 0
    for piece in _PIECES.findall(value):
        if piece.isdigit():
            digits += len(piece)
            if len(piece) > 3 or digits > 6:
                return False
        elif not piece.isalpha() or (
            len(piece) > 1 and piece.lower() not in vocabulary and piece.lower() not in words
        ):
            return False
    return sum(unit.lower() not in _UNITS for unit in _ALONE.findall(value.replace(b"_", b" "))) <= 1


_LETTERS: Final = rb"[A-Za-z]{1,64}"
#: Coding schemes of PS3.16 Table 8-1, and what their codes look like.
_SCHEMES: Final[dict[bytes, re.Pattern[bytes]]] = {
    name: re.compile(rb"REMOVED|" + _LETTERS + rb"|" + form)
    for names, form in (
        (b"DCM", rb"1[0-3]\d{4}"),
        (b"SRT SNM3 99SDM SDM", rb"[A-Z][A-Z\d]?-[\dA-F]{4,5}"),
        (b"SCT", rb"\d{3,15}[01]0\d"),
        (b"LN", rb"\d{1,6}-\d"),
        (b"RADLEX", rb"RP?ID\d{1,6}"),
        (b"FMA MDC NEU ITIS_TSN", rb"(?:FMA)?\d{1,6}|MDC_[A-Z_]+"),
        (b"NCIt UMLS MSH", rb"[CD]\d{4,7}"),
        (b"ICD10 ICD10CM I10 I10P ICDO3", rb"[A-Z]\d[\dA-Z](?:\.?[\dA-Z]{1,4})?|\d{4}/\d"),
        (b"I9 I9C BARI BI ACR", rb"\d{1,3}(?:\.\d{1,4})?|[0-6][A-C]"),
        (b"SCPECG", rb"5(?:\.\d{1,2}){2,3}-\d{1,3}"),
        (b"UBERON", rb"\d{7}"),
        (b"IBSI", rb"[\dA-Z]{4}"),
        (b"UCUM", rb"[^0-9]*(?:\d{1,2}[^0-9]+)*\d{0,2}"),
        (b"ISO3166_1 ISO639_1 ISO639_2 RFC5646 UNS NYUMCCG POS PATHLEX DC DCMR DCMUID NICIP", rb"[a-z]{2}-[A-Z]{2}"),
    )
    for name in names.split()
}  # fmt: skip


def is_scheme(value: bytes) -> bool:
    """Whether a coding scheme designator is a published one, or says nothing."""
    plain = value.strip(b" \0")
    return plain in (b"", b"REMOVED", b"99WL") or plain in _SCHEMES


def is_code(value: bytes, scheme: bytes) -> bool:
    """Whether a code is none, or could be one of its scheme."""
    code = value.strip(b" \0")
    if code in (b"", b"REMOVED", b"0"):
        return True
    form = _SCHEMES.get(scheme.strip(b" \0"))
    return form is not None and form.fullmatch(code) is not None


def is_resource(value: bytes) -> bool:
    """Whether a value is the number of a context group or template of PS3.16."""
    return re.fullmatch(rb"[0-9]{1,5}", value.strip(b" \0")) is not None


_STANDARD: Final = re.compile(rb"1\.2\.840\.10008(?:\.[0-9]{1,3}){1,8}")


@cache
def _kinds() -> frozenset[bytes]:
    """UIDs that name kinds: SOP classes of the standard, and those of profiles/class_uids.txt."""
    listed = (_FOLDER / "class_uids.txt").read_bytes().splitlines()
    classes = {line.split(" ")[0].encode() for line in element_types.SOP_CLASSES.splitlines()}
    return frozenset(classes | {line for line in listed if line[:1] != b"#"})


def is_kind(uid: bytes) -> bool:
    """Whether a UID names a kind of thing: a known one, or one of the standard's with no room for a number."""
    if uid in _kinds():
        return True
    return _STANDARD.fullmatch(uid) is not None and len(uid) <= 34
