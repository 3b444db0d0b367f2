"""Numbers with right check digits, made from the authorities' own descriptions and not from the code under test.

Each maker takes a `random.Random`; `wrong` spoils the check of one.
"""

from __future__ import annotations

from random import Random

HETU = "0123456789ABCDEFHJKLMNPRSTUVWXY"
DNI = "TRWAGMYFPDXBNJZSQVHLCKE"


def digits(r: Random, count: int) -> str:
    return "".join(r.choice("0123456789") for _ in range(count))


def day(r: Random) -> tuple[int, int, int]:
    return r.randint(1935, 1999), r.randint(1, 12), r.randint(1, 28)


def ssn(r: Random) -> str:
    return f"{r.randint(101, 665):03d}-{r.randint(10, 99)}-{r.randint(1000, 9999)}"


def nhs(r: Random) -> str:
    while True:
        body = f"{r.choice((4, 6))}{digits(r, 8)}"
        check = 11 - sum(int(d) * (10 - i) for i, d in enumerate(body)) % 11
        if check != 10 and ("600" <= body[:3] <= "708" or body[0] == "4"):
            return f"{body[:3]} {body[3:6]} {body[6:]}{check % 11}"


def steuer_id(r: Random) -> str:
    chosen = r.sample("0123456789", 9)
    body = [*chosen, r.choice(chosen)]
    r.shuffle(body)
    if body[0] == "0":
        place = next(i for i, d in enumerate(body) if d != "0")
        body[0], body[place] = body[place], body[0]
    product = 10
    for digit in body:
        total = (int(digit) + product) % 10 or 10
        product = 2 * total % 11
    check = 11 - product
    return "".join(body) + str(0 if check == 10 else check)


def kvnr(r: Random) -> str:
    letter, body = r.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), digits(r, 8)
    total = 0
    for place, digit in enumerate(f"{ord(letter) - 64:02d}{body}"):
        product = int(digit) * (2 if place % 2 else 1)
        total += product // 10 + product % 10
    return f"{letter}{body}{total % 10}"


def nir(r: Random) -> str:
    year, month, _ = day(r)
    place = f"{r.randint(1, 95):02d}{r.randint(1, 990):03d}{r.randint(1, 999):03d}"
    body = f"{r.choice('12')}{year % 100:02d}{month:02d}{place}"
    key = 97 - int(body) % 97
    return f"{body[0]} {body[1:3]} {body[3:5]} {body[5:7]} {body[7:10]} {body[10:13]} {key:02d}"


def dni(r: Random) -> str:
    number = r.randint(10_000_000, 99_999_999)
    return f"{number}{DNI[number % 23]}"


def _nie(letter: str, number: int) -> str:
    value = int(str("XYZ".index(letter)) + str(number))
    return f"{letter}{number}{DNI[value % 23]}"


def codice_fiscale(r: Random) -> str:
    year, month, date = day(r)
    consonants = "BCDFGLMNPRSTVZ"
    body = "".join(r.choice(consonants) for _ in range(6))
    body += f"{year % 100:02d}{'ABCDEHLMPRST'[month - 1]}{date + r.choice((0, 40)):02d}"
    body += f"{r.choice('ABCDEFGHL')}{r.randint(100, 999)}"
    letters = {chr(65 + i): weight for i, weight in enumerate(_odd_letters())}
    figures = dict(zip("0123456789", _odd_letters(), strict=False))
    total = 0
    for place, c in enumerate(body, 1):
        if place % 2:
            total += figures[c] if c.isdigit() else letters[c]
        else:
            total += int(c) if c.isdigit() else ord(c) - 65
    return body + chr(65 + total % 26)


def _odd_letters() -> list[int]:
    return [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]


def bsn(r: Random) -> str:
    while True:
        body = f"{r.randint(1, 9)}{digits(r, 7)}"
        rest = sum(int(d) * (9 - i) for i, d in enumerate(body)) % 11
        if rest < 10:
            return f"{body}{rest}"


def niss(r: Random) -> str:
    year, month, date = day(r)
    body = f"{year % 100:02d}{month:02d}{date:02d}{r.randint(1, 997):03d}"
    return f"{body[:2]}.{body[2:4]}.{body[4:6]}-{body[6:9]}.{97 - int(body) % 97:02d}"


def luhn_digit(body: str) -> str:
    total = 0
    for place, digit in enumerate(body):
        value = int(digit) * (1 if place % 2 else 2)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def personnummer(r: Random) -> str:
    year, month, date = day(r)
    body = f"{year % 100:02d}{month:02d}{date:02d}{r.randint(100, 999)}"
    return f"{year // 100}{body[:6]}-{body[6:]}{luhn_digit(body)}"


def hetu(r: Random) -> str:
    year, month, date = day(r)
    born, serial = f"{date:02d}{month:02d}{year % 100:02d}", f"{r.randint(2, 899):03d}"
    return f"{born}-{serial}{HETU[int(born + serial) % 31]}"


def pesel(r: Random) -> str:
    year, month, date = day(r)
    body = f"{year % 100:02d}{month:02d}{date:02d}{digits(r, 4)}"
    total = sum(int(d) * w for d, w in zip(body, (1, 3, 7, 9) * 3, strict=False))
    return f"{body}{-total % 10}"


def svnr(r: Random) -> str:
    while True:
        year, month, date = day(r)
        serial, born = f"{r.randint(100, 999)}", f"{date:02d}{month:02d}{year % 100:02d}"
        weights = (3, 7, 9, 5, 8, 4, 2, 1, 6)
        check = sum(int(d) * w for d, w in zip(serial + born, weights, strict=True)) % 11
        if check < 10:
            return f"{serial}{check} {born}"


def ahv(r: Random) -> str:
    body = f"756{digits(r, 9)}"
    check = -sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(body)) % 10
    return f"756.{body[3:7]}.{body[7:11]}.{body[11]}{check}"


def nif(r: Random) -> str:
    body = f"{r.choice('123')}{digits(r, 7)}"
    check = 11 - sum(int(d) * (9 - i) for i, d in enumerate(body)) % 11
    return f"{body}{0 if check > 9 else check}"


def cpr(r: Random) -> str:
    while True:
        year, month, date = day(r)
        body = f"{date:02d}{month:02d}{year % 100:02d}{r.randint(1, 399):03d}"
        rest = -sum(int(d) * w for d, w in zip(body, (4, 3, 2, 7, 6, 5, 4, 3, 2), strict=True)) % 11
        if rest < 10:
            return f"{body[:6]}-{body[6:]}{rest}"


def fodselsnummer(r: Random) -> str:
    while True:
        year, month, date = day(r)
        body = f"{date:02d}{month:02d}{year % 100:02d}{r.randint(100, 499)}"
        first = -sum(int(d) * w for d, w in zip(body, (3, 7, 6, 1, 8, 9, 4, 5, 2), strict=True)) % 11
        body += str(first)
        second = -sum(int(d) * w for d, w in zip(body, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2), strict=False)) % 11
        if first < 10 and second < 10:
            return f"{body}{second}"


_D = [
    [(i + j) % 5 if j < 5 else 5 + (i + j) % 5 for j in range(10)]
    if i < 5
    else [5 + (i - j) % 5 if j < 5 else (i - j) % 5 for j in range(10)]
    for i in range(10)
]
_P = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
for _ in range(6):
    _P.append([_P[1][n] for n in _P[-1]])


def aadhaar(r: Random) -> str:
    body = f"{r.randint(2, 9)}{digits(r, 10)}"
    for check in "0123456789":
        state = 0
        for place, digit in enumerate(reversed(body + check)):
            state = _D[state][_P[place % 8][int(digit)]]
        if state == 0:
            number = body + check
            return f"{number[:4]} {number[4:8]} {number[8:]}"
    raise AssertionError


def resident_id(r: Random) -> str:
    year, month, date = day(r)
    body = f"{r.choice(('110105', '310104', '440301', '510107'))}{year}{month:02d}{date:02d}{r.randint(100, 999)}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]


def cpf(r: Random) -> str:
    body = digits(r, 9)
    for _ in range(2):
        size = len(body) + 1
        rest = sum(int(d) * (size - i) for i, d in enumerate(body)) % 11
        body += str(0 if rest < 2 else 11 - rest)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def my_number(r: Random) -> str:
    body = f"{r.randint(1, 9)}{digits(r, 10)}"
    weights = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
    rest = sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11
    return f"{body}{0 if rest <= 1 else 11 - rest}"


def nino(r: Random) -> str:
    return f"{r.choice(('AB', 'CE', 'HK', 'JN', 'PR'))}{digits(r, 6)}{r.choice('ABCD')}"


def iban(r: Random) -> str:
    body = digits(r, 18)
    check = 98 - int(f"{body}131400") % 97
    return f"DE{check:02d}{body}"


#: Detector → maker, and the word that people put before it, by language.
NATIONAL = {
    "us-ssn": (ssn, "SSN"),
    "uk-nhs": (nhs, "NHS number"),
    "uk-nino": (nino, "National Insurance"),
    "de-steuer-id": (steuer_id, "Steuer-ID"),
    "de-kvnr": (kvnr, "Versichertennummer"),
    "fr-nir": (nir, "NIR"),
    "es-dni": (dni, "DNI"),
    "es-nie": (lambda r: _nie(r.choice("XYZ"), r.randint(1_000_000, 9_999_999)), "NIE"),
    "it-codice-fiscale": (codice_fiscale, "Codice fiscale"),
    "nl-bsn": (bsn, "BSN"),
    "be-niss": (niss, "Rijksregisternummer"),
    "se-personnummer": (personnummer, "Personnummer"),
    "fi-hetu": (hetu, "Henkilötunnus"),
    "pl-pesel": (pesel, "PESEL"),
    "at-svnr": (svnr, "SV-Nr"),
    "ch-ahv": (ahv, "AHV-Nr"),
    "pt-nif": (nif, "NIF"),
    "dk-cpr": (cpr, "CPR-nr"),
    "no-fnr": (fodselsnummer, "Fødselsnummer"),
    "in-aadhaar": (aadhaar, "Aadhaar"),
    "cn-resident-id": (resident_id, "身份证号"),
    "br-cpf": (cpf, "CPF"),
    "jp-my-number": (my_number, "マイナンバー"),
    "iban": (iban, "IBAN"),
}
#: Those that no digit checks.
UNCHECKED = frozenset(("us-ssn", "uk-nino"))


def wrong(r: Random, name: str) -> str:
    """One whose check is not right: another last digit or letter than the maker's."""
    number = NATIONAL[name][0](r)
    if name == "us-ssn":
        return f"{r.choice(('000', '666', '987'))}{number[3:]}"
    if name == "dk-cpr":
        return f"{r.randint(41, 99)}{number[2:]}"
    if name == "uk-nino":
        return f"{r.choice(('GB', 'NK', 'ZZ'))}{number[2:]}"
    last = number[-1]
    choices = "0123456789" if last.isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    if name == "iban":
        return f"{number[:2]}{(int(number[2:4]) + 7) % 90 + 2:02d}{number[4:]}"
    # The next but one: of checks that take a remainder, one that stands for two digits is not met.
    place = choices.index(last)
    return number[:-1] + choices[(place + 3) % len(choices)]
