"""Clean descriptors and codes: what remains of free text is words of a built-in vocabulary (PS3.15 E.3.4, 113105)."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final, TypeAlias

Words: TypeAlias = frozenset[bytes]
NO_WORDS: Final[Words] = frozenset()
_FOLDER: Final = files("wardlight.deid") / "profiles"
# A token holds every byte that could belong to a word in any character set, so that half of a multi-byte character is
# never taken for an ASCII letter of its own.
_TOKEN: Final = re.compile(rb"[0-9A-Za-z\x80-\xff]+(?:\.[0-9]+)?")
_PIECE: Final = re.compile(rb"[a-z]+|[0-9]+")
#: Single letters that stand alone in descriptors: sides, directions, vertebrae.
_LETTERS: Final = frozenset(b"lrapshfitcwxyz")
_LONGEST_NUMBER: Final = 3
#: Digits that one value may hold altogether: enough for a kernel, a thickness and a weighting.
_MOST_DIGITS: Final = 6
#: Units that make a number say something of the image. Units of time are none of them: 14 h 35 min is a time of day.
_MEASURES: Final = frozenset(b"mm cm ml mg mgy kv kvp kev mev mbq ma mas hz khz mhz tesla percent hu".split())
#: What joins two numbers to a date, a time or an identifier.
_JOINS: Final = frozenset(b":/-.,_")
#: UCUM units that DICOM context groups use, besides those that are words of the vocabulary.
_UNITS: Final = frozenset(
    rb"""
    1 % [hnsf'U] mm mm2 mm3 cm cm2 cm3 ml ms s us um um2/s mm2/s kV kVp mA mAs uA uAs Gy mGy cGy Sv mSv Bq MBq kBq
    Bq/ml g/ml g/cm3 mg/ml mmol/ml mmol/l mm[Hg] cm/s m/s rad deg Hz kHz MHz T W J N Pa kPa cm2/ml ug/ml /min /s 1/s
    1/min ml/min ml/s l/min dGy.cm2 mGy.cm Gy.m2 uGy.m2 {counts}/s {propcounts}/s {SUVbw}g/ml {SUVlbm}g/ml
    {SUVbsa}cm2/ml a d h min wk mo kg g mg ug lb [in_i] 10*-6.mm2/s 10*3.mm3/s dB/cm dB V mV uV {H.B.}/min {beats}/min
    {ratio} {count}
    """.split()
)
#: Coding scheme designators (PS3.16 Table 8-1) that may stay, and the form of their codes. Letters alone may be a code
#: of any of them where they are a known term or word.
_SCHEMES: Final[dict[bytes, re.Pattern[bytes]]] = {
    scheme: re.compile(form)
    for schemes, form in (
        (b"DCM", rb"1[0-3][0-9]{4}"),
        (b"SRT SNM3 99SDM SDM", rb"[A-Z][A-Z0-9]?-[0-9A-F]{4,5}"),
        (b"SCT", rb"[0-9]{6,18}"),
        (b"LN", rb"[0-9]{1,6}-[0-9]"),
        (b"RADLEX", rb"(?:RID|RPID)[0-9]{1,6}"),
        (b"FMA", rb"(?:FMA)?[0-9]{1,6}"),
        (b"NCIt", rb"C[0-9]{4,6}"),
        (b"UMLS", rb"C[0-9]{7}"),
        (b"MDC", rb"[0-9]{1,6}|MDC_[A-Z_]{1,60}"),
        (b"NEU", rb"[0-9]{1,4}"),
        (b"ICD10 ICD10CM I10 I10P", rb"[A-Z][0-9][0-9A-Z](?:\.[0-9A-Z]{1,4})?"),
        (b"I9 I9C", rb"[0-9]{3}(?:\.[0-9]{1,2})?"),
        (b"ICDO3", rb"[0-9]{4}/[0-9]|C[0-9]{2}\.?[0-9]"),
        (b"BARI BI ACR", rb"[0-9]{1,2}(?:\.[0-9]{1,4})?|[0-6][A-C]?"),
        (b"SCPECG", rb"5(?:\.[0-9]{1,2}){2,3}-[0-9]{1,3}"),
        (b"UBERON", rb"[0-9]{7}"),
        (b"ITIS_TSN", rb"[0-9]{5,6}"),
        (b"MSH", rb"D[0-9]{6}"),
        (b"IBSI", rb"[0-9A-Z]{4}"),
        (b"ISO3166_1", rb"[A-Z]{2,3}"),
        (b"ISO639_1 ISO639_2 RFC5646", rb"[a-z]{2,3}(?:-[A-Z]{2})?"),
        (b"UCUM UNS NYUMCCG POS PATHLEX DC DCMR DCMUID NICIP", rb"(?!)"),
    )
    for scheme in schemes.split()
}


_VERSION: Final = re.compile(
    rb"20[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])|[0-9]\.[0-9]{1,3}|V[0-9]\.[0-9]"
)
#: Context groups and templates of PS3.16, and the resources that define them (PS3.16 section 8).
_RESOURCE: Final = re.compile(rb"[0-9]{1,5}|DCMR|SNOMED|NCIT|UCUM|99SDM")
_PERMUTATION: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


@cache
def vocabulary() -> frozenset[bytes]:
    """The words, lower case."""
    text = (_FOLDER / "vocabulary.txt").read_text("ascii")
    return frozenset(
        word for line in text.splitlines() if not line.startswith("#") for word in line.encode().split()
    )


@cache
def terms() -> frozenset[bytes]:
    """The values of coded strings that may stay."""
    text = (_FOLDER / "terms.txt").read_text("ascii")
    joined = " ".join(line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(term.strip().encode() for term in joined.split("|"))


def _known(token: bytes, more: Words) -> bool:
    """Whether each run of letters in a token is a word of the vocabulary (or one letter) and its one number small."""
    lowered = token.lower()
    whole, _, fraction = lowered.partition(b".")
    # 12.05 could be a day of the year as well; 1.25 and 12.5 are thicknesses.
    if not whole.isascii() or (fraction and (len(fraction) > 2 or (len(token) > 4 and whole.isdigit()))):
        return False
    words = vocabulary()
    if whole.isalpha():
        return whole in words or whole in more or (len(whole) == 1 and whole[0] in _LETTERS)
    pieces = _PIECE.findall(whole)
    runs = [p for p in pieces if p.isdigit()]
    if len(runs) > 1 or len(pieces) > 3 or len(runs[0]) > _LONGEST_NUMBER:
        return False
    return all(p.isdigit() or len(p) == 1 or p in words or p in more for p in pieces)


def clean_text(value: bytes, more: Words = NO_WORDS) -> bytes:
    """The words of a text value that are in the vocabulary, single spaces between; values stay apart by backslash.

    more: words of an institution's own, lower case.

    Of numbers one stays, and those with a unit, of three digits at most and six in all; none beside a word that goes,
    and none joined to another: several numbers together could be a date, a time or an identifier.
    A value in an ISO 2022 multi-byte set is dropped whole: its bytes look like ASCII letters.
    """
    if b"\x1b" in value:
        return b""
    if b"\\" not in value:
        return _clean_one(value, more)
    return b"\\".join(_clean_one(one, more) for one in value.split(b"\\"))


def _clean_one(value: bytes, more: Words) -> bytes:
    tokens = [(match[0], match.start(), match.end()) for match in _TOKEN.finditer(value)]
    kept: list[bytes] = []
    numbers: list[int] = []
    digits = 0
    known = [_known(token, more) for token, _, _ in tokens]
    for index, (token, _, _) in enumerate(tokens):
        if not known[index]:
            continue
        if token.isalpha():
            kept.append(token)
            continue
        count = len(token) - len(token.translate(None, b"0123456789"))
        if digits + count > _MOST_DIGITS:
            continue
        if token.replace(b".", b"").isdigit():
            following = tokens[index + 1][0].lower() if index + 1 < len(tokens) else b""
            if _beside_removed(known, index) or _joined(value, tokens, index):
                continue
            if following not in _MEASURES:
                numbers.append(len(kept))
        digits += count
        kept.append(token)
    if len(numbers) > 1:
        kept = [token for index, token in enumerate(kept) if index not in numbers]
    return b" ".join(kept)


def _beside_removed(known: list[bool], index: int) -> bool:
    """Whether a token before or after goes: a number there may belong to what is not said."""
    return (index > 0 and not known[index - 1]) or (index + 1 < len(known) and not known[index + 1])


def _joined(value: bytes, tokens: list[tuple[bytes, int, int]], index: int) -> bool:
    """Whether a number is joined to one before or after it by a mark, as in 14:35 or 12/05."""
    _, start, end = tokens[index]
    before = index > 0 and tokens[index - 1][0][-1:].isdigit() and value[tokens[index - 1][2] : start]
    after = (
        index + 1 < len(tokens) and tokens[index + 1][0][:1].isdigit() and value[end : tokens[index + 1][1]]
    )
    return any(gap and not _JOINS.isdisjoint(gap) for gap in (before, after))


def clean_term(value: bytes, more: Words = NO_WORDS, own: Words = NO_WORDS) -> bytes | None:
    """One value of a coded string where it is a known term or made of words of the vocabulary, else None.

    more, own: words and terms of an institution's own.
    """
    stripped = value.strip(b"\0 ")
    if not stripped or stripped in terms() or stripped in own:
        return stripped
    words = b" ".join(stripped.replace(b"_", b" ").split())
    return stripped if not words.replace(b" ", b"").isdigit() and _clean_one(words, more) == words else None


def clean_terms(value: bytes, more: Words = NO_WORDS, own: Words = NO_WORDS) -> bytes:
    """A coded string (CS) with only its known values; the first four keep their place as OTHER (ImageType, FrameType).

    more, own: words and terms of an institution's own.
    """
    made: list[bytes] = []
    for index, one in enumerate(value.split(b"\\")):
        clean = clean_term(one, more, own)
        if clean is not None:
            made.append(clean)
        elif index < 4 and b"\\" in value:
            made.append(b"OTHER")
    return b"\\".join(made)


def clean_code(value: bytes) -> bytes | None:
    """The version of a scheme, a mapping resource, or the number of a context group or template, else None."""
    stripped = value.strip(b"\0 ")
    if not stripped or stripped in terms() or _RESOURCE.fullmatch(stripped) or _VERSION.fullmatch(stripped):
        return stripped
    return stripped if stripped in _SCHEMES else None


def clean_scheme(value: bytes) -> bytes:
    """The designator of a published coding scheme, b"" for another."""
    stripped = value.strip(b"\0 ")
    return stripped if stripped in _SCHEMES else b""


def code_fits(code: bytes, scheme: bytes) -> bool:
    """Whether a code has the form of a published scheme's codes, check digits included.

    A code under any other scheme is somebody's own and could be an order or a patient.
    """
    form = _SCHEMES.get(scheme)
    if form is None:
        return False
    if scheme == b"SCT":
        return _is_snomed(code)
    if form.fullmatch(code):
        return scheme != b"LN" or _luhn(code.replace(b"-", b""))
    if scheme == b"UCUM":
        return code in _UNITS
    return code.isalpha() and (code in terms() or code.lower() in vocabulary())


def _luhn(digits: bytes) -> bool:
    """Whether the last digit is the check digit of the others (LOINC's Mod 10)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = (digit - 48) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _is_snomed(value: bytes) -> bool:
    """Whether digits are a SNOMED CT concept identifier: partition 00 or 10, check digit by Verhoeff.

    Any other number of six digits and more could be an order or a patient.
    """
    if not value.isdigit() or not 6 <= len(value) <= 18 or value[-3:-1] not in (b"00", b"10"):
        return False
    check = 0
    for place, digit in enumerate(reversed(value)):
        permuted = digit - 48
        for _ in range(place % 8):
            permuted = _PERMUTATION[permuted]
        check = _dihedral(check, permuted)
    return check == 0


def _dihedral(a: int, b: int) -> int:
    """The product in the dihedral group of order ten, on which Verhoeff's check digit rests."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b - 5) % 5
    return 5 + (a - 5 - b) % 5 if b < 5 else (a - b) % 5
