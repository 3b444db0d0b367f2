"""Clean descriptors and codes: what remains of free text is words of a built-in vocabulary (PS3.15 E.3.4, 113105)."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

_FOLDER: Final = files("wardlight.deid") / "profiles"
# A token holds every byte that could belong to a word in any character set, so that half of a multi-byte character is
# never taken for an ASCII letter of its own.
_TOKEN: Final = re.compile(rb"[0-9A-Za-z\x80-\xff]+(?:\.[0-9]+)?")
_PIECE: Final = re.compile(rb"[a-z]+|[0-9]+")
#: Single letters that stand alone in descriptors: sides, directions, vertebrae.
_LETTERS: Final = frozenset(b"lrapshfitcwxyz")
_LONGEST_NUMBER: Final = 3
_CODE: Final = re.compile(
    rb"[0-9]{1,5}|1[0-9]{5}"  # context groups, templates, DCM
    rb"|[A-Z]{1,2}-[0-9A-F]{4,6}"  # SNOMED RT
    rb"|[0-9]{1,6}-[0-9]"  # LOINC
    rb"|(?:RID|RPID)[0-9]{1,6}|C[0-9]{7}|FMA[0-9]{1,6}"
    rb"|\{[a-z]{1,12}\}(?:/[a-z]{1,4})?"
)
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
#: Coding scheme designators of PS3.16 Table 8-1 that occur in images.
_SCHEMES: Final = frozenset(
    b"""
    DCM SRT SCT SNM3 99SDM UCUM LN FMA NEU RADLEX UMLS NCIt ITIS_TSN MSH BI BARI ACR ICD10 ICD10CM I10 I10P I9 I9C
    ICDO3 UNS ISO639_2 ISO639_1 ISO3166_1 DC SDM IBSI RFC3881 NYUMCCG POS PATHLEX PUBCHEM_CID UBERON MDC NICIP RO
    RXNORM CD8 HPC UPC CPT4 C4 DICOM_UID_REGISTRY DCMUID DCMR LB 99PMP
    """.split()
)


_VERSION: Final = re.compile(rb"20[0-9]{6}|[0-9]\.[0-9]{1,3}|V[0-9]\.[0-9]")
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


def _known(token: bytes) -> bool:
    """Whether each run of letters in a token is a word of the vocabulary (or one letter) and its numbers are small."""
    lowered = token.lower()
    whole, _, fraction = lowered.partition(b".")
    if not whole.isascii() or len(fraction) > _LONGEST_NUMBER:
        return False
    words = vocabulary()
    if whole.isalpha():
        return whole in words or (len(whole) == 1 and whole[0] in _LETTERS)
    pieces = _PIECE.findall(whole)
    if len(pieces) > 4 or sum(len(p) for p in pieces if p.isdigit()) > _LONGEST_NUMBER:
        return False
    return all(p.isdigit() or len(p) == 1 or p in words for p in pieces)


def clean_text(value: bytes) -> bytes:
    """The words of a text value that are in the vocabulary, single spaces between; values stay apart by backslash.

    Numbers of more than three digits go, and so do runs of numbers that together could be a date or an identifier.
    A value in an ISO 2022 multi-byte set is dropped whole: its bytes look like ASCII letters.
    """
    if b"\x1b" in value:
        return b""
    return b"\\".join(_clean_one(one) for one in value.split(b"\\"))


def _clean_one(value: bytes) -> bytes:
    kept: list[bytes] = []
    numbers: list[bytes] = []
    for token in (*_TOKEN.findall(value), b""):
        if token and token.replace(b".", b"").isdigit():
            numbers.append(token)
            continue
        if len(numbers) <= 2 and sum(map(len, numbers)) <= 4:
            kept += [number for number in numbers if _known(number)]
        numbers = []
        if token and _known(token):
            kept.append(token)
    return b" ".join(kept)


def clean_term(value: bytes) -> bytes | None:
    """One value of a coded string where it is a known term or made of words of the vocabulary, else None."""
    stripped = value.strip(b"\0 ")
    if not stripped or stripped in terms():
        return stripped
    pieces = stripped.replace(b"_", b" ").split(b" ")
    return stripped if all(not p or _known(p) for p in pieces) and not stripped.isdigit() else None


def clean_terms(value: bytes) -> bytes:
    """A coded string (CS) with only its known values; the first three keep their place as OTHER (ImageType)."""
    made: list[bytes] = []
    for index, one in enumerate(value.split(b"\\")):
        clean = clean_term(one)
        if clean is not None:
            made.append(clean)
        elif index < 3 and b"\\" in value:
            made.append(b"OTHER")
    return b"\\".join(made)


def clean_code(value: bytes) -> bytes | None:
    """A code value, scheme designator or version where it has the form of a published one, else None."""
    stripped = value.strip(b"\0 ")
    if not stripped:
        return b""
    if stripped in _SCHEMES or stripped in _UNITS or _CODE.fullmatch(stripped) or stripped in terms():
        return stripped
    return stripped if _VERSION.fullmatch(stripped) or _is_snomed(stripped) else None


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
