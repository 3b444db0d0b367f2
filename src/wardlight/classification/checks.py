"""Check digits of national numbers. Each function takes the bare characters and says whether they can be one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Final

_NIF_FIRST: Final = frozenset("1235689")
_DNI_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU_MARKS: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_HETU_CENTURY: Final = {"+": 1800, **dict.fromkeys("-YXWVU", 1900), **dict.fromkeys("ABCDEF", 2000)}
_SSN_KNOWN: Final = frozenset(("078051120", "219099999", "123456789", "111111111"))
#: D5 multiplication and the permutation of Verhoeff's method.
_DIHEDRAL: Final = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_PERMUTED: Final = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
#: Weights of characters at odd places: digits, then letters.
_CF_ODD: Final = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        bytes.fromhex("01000507090d0f11131501000507090d0f111315020412140b0306080c0e100a16191817"),
        strict=True,
    )
)
_CF_EVEN: Final = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (*range(10), *range(26)), strict=True))


def weighted(digits: str, weights: Sequence[int]) -> int:
    """Sum of digits times weights; as many as there are weights."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    return (
        sum(
            (int(d) * 2 - 9 if int(d) > 4 else int(d) * 2) if i % 2 else int(d)
            for i, d in enumerate(reversed(digits))
        )
        % 10
        == 0
    )


def is_date(year: int, month: int, day: int) -> bool:
    """Whether there is such a day."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def short_date(year: str, month: str, day: str) -> bool:
    """Whether there is such a day in one of the two last centuries, the year being of two digits."""
    return any(is_date(century + int(year), int(month), int(day)) for century in (1900, 2000))


def ssn(digits: str) -> bool:
    """US Social Security number: the ranges that were never given out; there is no check digit."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return (
        area not in ("000", "666")
        and area < "900"
        and group != "00"
        and serial != "0000"
        and digits not in _SSN_KNOWN
    )


def nhs(digits: str) -> bool:
    """UK NHS number: modulus 11."""
    check = 11 - weighted(digits, range(10, 1, -1)) % 11
    return check != 10 and check % 11 == int(digits[9]) and len(set(digits)) > 1


def nhs_range(digits: str) -> bool:
    """The ranges in use: Scotland's dates of birth, Northern Ireland, England and Wales."""
    return digits[:2] <= "31" or "320" <= digits[:3] <= "499" or "600" <= digits[:3] <= "708"


def steuer_id(digits: str) -> bool:
    """German tax identification number: one digit comes twice or thrice in the first ten; ISO 7064 MOD 11,10."""
    counts = sorted(Counter(digits[:10]).values(), reverse=True)
    if digits[0] == "0" or counts[0] not in (2, 3) or counts[1] != 1:
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def kvnr(text: str) -> bool:
    """German health insurance number (eGK): the letter as two digits, weights 1 and 2, sums of digits modulo 10."""
    digits = f"{ord(text[0]) - 64:02d}{text[1:9]}"
    total = sum(sum(map(int, str(int(d) * (1 + i % 2)))) for i, d in enumerate(digits))
    return total % 10 == int(text[9])


def nir(text: str) -> bool:
    """French NIR: sex, month, department and the key modulo 97 (Corsica: 2A is 19, 2B is 18)."""
    body = text[:13].replace("2A", "19", 1) if text[5:7] == "2A" else text[:13]
    body = body.replace("2B", "18", 1) if text[5:7] == "2B" else body
    month = int(text[3:5])
    if not body.isdigit() or not (1 <= month <= 12 or 20 <= month <= 42 or 50 <= month <= 99):
        return False
    return 97 - int(body) % 97 == int(text[13:])


def dni(text: str) -> bool:
    """Spanish DNI, and NIE with X, Y or Z for its first digit: letter modulo 23."""
    digits = text[:-1]
    if digits[0] in "XYZ":
        digits = str("XYZ".index(digits[0])) + digits[1:]
    return _DNI_LETTERS[int(digits) % 23] == text[-1] and int(digits) > 0


def codice_fiscale(text: str) -> bool:
    """Italian codice fiscale: its month letter, its day and its last letter."""
    total = sum((_CF_EVEN if i % 2 else _CF_ODD)[c] for i, c in enumerate(text[:15]))
    return chr(65 + total % 26) == text[15]


def bsn(digits: str) -> bool:
    """Dutch BSN: the elfproef."""
    digits = digits.zfill(9)
    return weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and len(set(digits)) > 1


def niss(digits: str) -> bool:
    """Belgian national number: date and 97 minus the rest modulo 97, with a 2 before it from 2000 on."""
    month, day = int(digits[2:4]), int(digits[4:6])
    if not (month <= 12 or 20 <= month <= 32 or 40 <= month <= 52) or day > 31:
        return False
    key = int(digits[9:])
    return any(97 - int(before + digits[:9]) % 97 == key for before in ("", "2"))


def personnummer(digits: str) -> bool:
    """Swedish personnummer of ten digits, or samordningsnummer with 60 added to the day: date and Luhn."""
    day = int(digits[4:6])
    day -= 60 if day > 60 else 0
    return short_date(digits[:2], digits[2:4], f"{day}") and luhn(digits)


def hetu(text: str) -> bool:
    """Finnish henkilötunnus: date with century mark, and the remainder modulo 31."""
    century = _HETU_CENTURY.get(text[6])
    if century is None or not is_date(century + int(text[4:6]), int(text[2:4]), int(text[:2])):
        return False
    return _HETU_MARKS[int(text[:6] + text[7:10]) % 31] == text[10] and text[7:10] >= "002"


def pesel(digits: str) -> bool:
    """Polish PESEL: date with the century in its month (1900 and 2000), and the check digit."""
    month = int(digits[2:4])
    year = int(digits[:2]) + (2000 if month > 20 else 1900)
    if not is_date(year, month % 20, int(digits[4:6])) or month > 32:
        return False
    return (10 - weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10) % 10 == int(digits[10])


def svnr(digits: str) -> bool:
    """Austrian social insurance number: the fourth digit checks the others; the date may have months beyond 12."""
    day, month = int(digits[4:6]), int(digits[6:8])
    if digits[0] == "0" or not 1 <= day <= 31 or not 1 <= month <= 15:
        return False
    total = weighted(digits[:3] + digits[4:], (3, 7, 9, 5, 8, 4, 2, 1, 6))
    return total % 11 == int(digits[3])


def ean13(digits: str) -> bool:
    """Swiss AHV number: the check digit of EAN-13."""
    return (10 - weighted(digits, (1, 3) * 6) % 10) % 10 == int(digits[12])


def nif(digits: str) -> bool:
    """Portuguese NIF: modulus 11."""
    rest = weighted(digits, range(9, 1, -1)) % 11
    return digits[0] in _NIF_FIRST and (0 if rest < 2 else 11 - rest) == int(digits[8])


def cpr(digits: str) -> bool:
    """Danish CPR number: its date. Numbers of the last years no longer keep modulus 11."""
    return short_date(digits[4:6], digits[2:4], digits[:2])


def cpr_checked(digits: str) -> bool:
    """Whether it keeps modulus 11, too."""
    return weighted(digits, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def fodselsnummer(digits: str) -> bool:
    """Norwegian national number, or D-number with 40 added to the day: date and both control digits."""
    day = int(digits[:2])
    day -= 40 if day > 40 else 0
    if not short_date(digits[4:6], digits[2:4], f"{day}"):
        return False
    first = weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    return first == 0 and weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def verhoeff(digits: str) -> bool:
    """Indian Aadhaar: Verhoeff."""
    check = 0
    for i, digit in enumerate(reversed(digits)):
        check = int(_DIHEDRAL[check][int(_PERMUTED[i % 8][int(digit)])])
    return check == 0 and digits[0] not in "01"


def resident_id(text: str) -> bool:
    """Chinese resident identity number (GB 11643): region, date, ISO 7064 MOD 11-2."""
    if not "11" <= text[:2] <= "82" or not is_date(int(text[6:10]), int(text[10:12]), int(text[12:14])):
        return False
    if not 1900 <= int(text[6:10]) <= 2100:
        return False
    total = sum(int(d) * (2 ** (17 - i) % 11) for i, d in enumerate(text[:17]))
    return "10X98765432"[total % 11] == text[17]


def cpf(digits: str) -> bool:
    """Brazilian CPF: two check digits modulo 11."""
    if len(set(digits)) == 1:
        return False
    for size in (9, 10):
        rest = weighted(digits, range(size + 1, 1, -1)) * 10 % 11 % 10
        if rest != int(digits[size]):
            return False
    return True


def my_number(digits: str) -> bool:
    """Japanese My Number: modulus 11."""
    total = sum(int(d) * (n + 1 if n <= 6 else n - 5) for n, d in enumerate(reversed(digits[:11]), 1))
    rest = total % 11
    return (0 if rest <= 1 else 11 - rest) == int(digits[11]) and len(set(digits)) > 1


def iban(text: str) -> bool:
    """International bank account number: ISO 7064 MOD 97-10."""
    moved = text[4:] + text[:4]
    return int("".join(str(int(c, 36)) for c in moved)) % 97 == 1
