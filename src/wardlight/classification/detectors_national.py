"""National numbers of persons: by their digits, how people group them, their check digits, and words near them.

Runs of digits are split into their groups once per line; each sequence of groups is looked up by its layout, such as
3-3-4. Numbers with letters have patterns of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from wardlight.classification import checks
from wardlight.classification.found import Confidence, Hit
from wardlight.classification.model import DataClass
from wardlight.classification.patterns import AFTER, BEFORE, Detector, Judged, around, phrase_regex
from wardlight.classification.prefilter import Flag

_HIGH, _MEDIUM, _LOW = Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW
#: Groups of digits in one run, and digits in one group.
_RUN: Final = re.compile(r"(?<![\w.])(?<!\w-)[0-9]{1,18}+(?:[ .\-/+]{1,2}[0-9]{1,18}+){0,11}+")
_GROUP: Final = re.compile(r"[0-9]+")
#: Groups of one number.
_MOST_GROUPS: Final = 6
#: Any word that says that a number of a person follows.
_PERSON: Final = phrase_regex(
    "national id|id number|identity number|identification|tax id|social security|insurance|identifier|national number|"
    "id card|personal number|patient|patient id|person|citizen"
)

Layouts = dict[tuple[int, ...], tuple[str, Confidence | None]]


@dataclass(frozen=True, slots=True)
class National:
    """A number of digits alone.

    layouts: sizes of its groups → the signs that may stand between them, and how sure it is without its word near it
    (None: not at all). check: on the digits. words: near it. checked: what its check is, for the reason.
    """

    name: str
    country: str
    layouts: Layouts
    check: Callable[[str], bool]
    words: re.Pattern[str]
    checked: str = "check digit"
    doubts: Callable[[str], bool] = field(default=lambda _digits: False)
    """Whether a number with the right check is as likely something else: then its word is needed."""


def _epoch(digits: str) -> bool:
    """Ten digits that are a time of these years in seconds."""
    return "1000000000" <= digits <= "2200000000"


def _nhs_doubt(digits: str) -> bool:
    return not checks.nhs_range(digits) or _epoch(digits)


_NATIONAL: Final = (
    National(
        *("us-ssn", "US Social Security number"),
        {(3, 2, 4): ("- ", _MEDIUM), (9,): ("", None)},
        checks.ssn,
        phrase_regex("ssn|social security|social security number|social security no|ss number|ssa"),
        "ranges of the administration",
    ),
    National(
        *("uk-nhs", "UK NHS number"),
        {(3, 3, 4): ("- ", _MEDIUM), (10,): ("", _LOW)},
        checks.nhs,
        phrase_regex("nhs|nhs number|nhs no|chi number"),
        "modulus 11",
        _nhs_doubt,
    ),
    National(
        *("de-steuer-id", "German tax identification number"),
        {(11,): ("", _MEDIUM), (2, 3, 3, 3): (" ", _MEDIUM)},
        checks.steuer_id,
        phrase_regex(
            "steuer id|steuerid|idnr|steuer identifikationsnummer|steuernummer|tax id|tin|identifikationsnummer"
        ),
        "ISO 7064 MOD 11,10",
    ),
    National(
        *("fr-nir", "French social security number"),
        {
            (15,): ("", _MEDIUM),
            (13, 2): (" ", _MEDIUM),
            (1, 2, 2, 2, 3, 3, 2): (" .-", _HIGH),
            (1, 2, 2, 2, 3, 3): (" ", None),
        },
        lambda digits: len(digits) == 15 and digits[0] in "1237" and checks.nir(digits),
        phrase_regex(
            "nir|insee|sécu|sécurité sociale|numéro de sécu|numéro de sécurité sociale|assuré|n sécurité sociale"
        ),
        "key modulo 97",
    ),
    National(
        *("nl-bsn", "Dutch citizen service number"),
        {(9,): ("", _LOW), (4, 2, 3): (". ", _MEDIUM), (3, 3, 3): (". ", _LOW)},
        checks.bsn,
        phrase_regex("bsn|burgerservicenummer|sofinummer|sofi nummer"),
        "elfproef",
    ),
    National(
        *("be-niss", "Belgian national number"),
        {(11,): ("", _MEDIUM), (2, 2, 2, 3, 2): (". -/", _HIGH), (6, 3, 2): (" -.", _HIGH)},
        checks.niss,
        phrase_regex("niss|insz|rijksregisternummer|numéro national|registre national|nationaal nummer|rrn"),
        "date and modulo 97",
    ),
    National(
        *("se-personnummer", "Swedish personal number"),
        {(10,): ("", _LOW), (12,): ("", _MEDIUM), (6, 4): ("-+", _MEDIUM), (8, 4): ("-+", _HIGH)},
        lambda digits: (
            checks.personnummer(digits[-10:]) and (len(digits) == 10 or digits[:2] in ("18", "19", "20"))
        ),
        phrase_regex("personnummer|samordningsnummer|personnr|pnr"),
        "date and Luhn",
        lambda digits: _epoch(digits) if len(digits) == 10 else digits[:2] == "20" and digits[8:] < "2400",
    ),
    National(
        *("pl-pesel", "Polish PESEL"),
        {(11,): ("", _MEDIUM)},
        checks.pesel,
        phrase_regex("pesel"),
        "date and check digit",
    ),
    National(
        *("at-svnr", "Austrian social insurance number"),
        {(10,): ("", _LOW), (4, 6): (" -/", _MEDIUM), (4, 2, 2, 2): (" .-", _MEDIUM)},
        checks.svnr,
        phrase_regex(
            "svnr|sv nr|sozialversicherungsnummer|sozialversicherungsnr|vsnr|versicherungsnummer|sv nummer"
        ),
        "date and check digit",
        _epoch,
    ),
    National(
        *("ch-ahv", "Swiss AHV number"),
        {(13,): ("", _HIGH), (3, 4, 4, 2): (". -", _HIGH)},
        lambda digits: digits[:3] == "756" and checks.ean13(digits),
        phrase_regex("ahv|avs|ahv nr|nnss"),
        "prefix 756 and EAN-13",
    ),
    National(
        *("pt-nif", "Portuguese taxpayer number"),
        {(9,): ("", None), (3, 3, 3): (" ", None)},
        checks.nif,
        phrase_regex("nif|contribuinte|número de contribuinte|n contribuinte|número fiscal"),
        "modulus 11",
    ),
    National(
        *("dk-cpr", "Danish CPR number"),
        {(6, 4): ("- ", _MEDIUM), (10,): ("", None)},
        checks.cpr,
        phrase_regex("cpr|cpr nr|cpr nummer|personnummer"),
        "date",
        lambda digits: not checks.cpr_checked(digits),
    ),
    National(
        *("no-fnr", "Norwegian national number"),
        {(11,): ("", _MEDIUM), (6, 5): (" ", _HIGH)},
        checks.fodselsnummer,
        phrase_regex("fødselsnummer|fnr|personnummer|fødselsnr"),
        "date and two control digits",
    ),
    National(
        *("in-aadhaar", "Indian Aadhaar number"),
        {(12,): ("", _LOW), (4, 4, 4): (" -", _MEDIUM)},
        checks.verhoeff,
        phrase_regex("aadhaar|aadhar|uidai|आधार"),
        "Verhoeff",
    ),
    National(
        *("br-cpf", "Brazilian CPF"),
        {(11,): ("", _LOW), (3, 3, 3, 2): (".-", _HIGH)},
        checks.cpf,
        phrase_regex("cpf"),
        "two check digits",
    ),
    National(
        *("jp-my-number", "Japanese individual number"),
        {(12,): ("", _LOW), (4, 4, 4): (" -", _LOW)},
        checks.my_number,
        phrase_regex("my number|mynumber|individual number"),
        "modulus 11",
    ),
    National(
        *("cn-resident-id", "Chinese resident identity number"),
        {(18,): ("", _HIGH)},
        checks.resident_id,
        phrase_regex("resident id|identity card|id card|sfz"),
        "region, date and MOD 11-2",
    ),
)
#: Words in scripts that have no spaces stand anywhere.
_IDEOGRAMS: Final = {"jp-my-number": ("マイナンバー", "個人番号"), "cn-resident-id": ("身份证",)}
_BY_LAYOUT: Final[dict[tuple[int, ...], list[tuple[National, str, Confidence | None]]]] = {}
for _one in _NATIONAL:
    for _sizes, (_signs, _sure) in _one.layouts.items():
        _BY_LAYOUT.setdefault(_sizes, []).append((_one, _signs, _sure))
NAMES: Final = tuple(one.name for one in _NATIONAL)


def find(text: str) -> Iterator[Hit]:
    """Numbers of digits alone."""
    for run in _RUN.finditer(text):
        end = run.end()
        groups = [m.span() for m in _GROUP.finditer(text, run.start(), end)]
        if end < len(text) and (text[end].isalnum() or text[end] == "_"):
            groups.pop()  # that is a part of a word
        for first in range(len(groups)):
            for last in range(first, min(len(groups), first + _MOST_GROUPS + 1)):
                sizes = tuple(e - s for s, e in groups[first : last + 1])
                if sizes in _BY_LAYOUT and (hit := _judged(text, groups, first, last, _BY_LAYOUT[sizes])):
                    yield hit


def _judged(
    text: str,
    groups: list[tuple[int, int]],
    first: int,
    last: int,
    known: list[tuple[National, str, Confidence | None]],
) -> Hit | None:
    start, end = groups[first][0], groups[last][1]
    if (first and text[groups[first - 1][1] : start].strip()) or (
        last + 1 < len(groups) and text[end : groups[last + 1][0]].strip() not in ("", ".")
    ):
        return None  # joined to what stands beside it
    if last + 1 < len(groups) and text[end : groups[last + 1][0]] == ".":
        return None
    between = {text[groups[i][1] : groups[i + 1][0]] for i in range(first, last)}
    digits = "".join(text[s:e] for s, e in groups[first : last + 1])
    context = f"{text[max(0, start - BEFORE) : start]} | {text[end : end + AFTER]}"
    best: Hit | None = None
    for one, signs, sure in known:
        if any(len(sign) != 1 or sign not in signs for sign in between) or not one.check(digits):
            continue
        named = one.words.search(context) is not None or any(
            w in context for w in _IDEOGRAMS.get(one.name, ())
        )
        if named:
            sure = _HIGH
        elif one.doubts(digits):
            continue
        elif sure is _LOW and _PERSON.search(context):
            sure = _MEDIUM
        if sure is None:
            continue
        why = f"{one.country}: {one.checked} right" + (", its word near it" if named else "")
        hit = Hit(start, end, one.name, DataClass.PERSONAL, sure, why)
        if best is None or _ORDER[sure] > _ORDER[best.confidence]:
            best = hit
    return best


_ORDER: Final = {_LOW: 0, _MEDIUM: 1, _HIGH: 2}
_EDGE: Final = r"(?<![\w.])(?<!\w-)"
_END: Final = r"(?![\w]|-\w|\.\d)"


def _with(
    name: str,
    country: str,
    pattern: str,
    check: Callable[[str], bool],
    words: str,
    bare: Confidence | None,
    checked: str,
    flags: int = 0,
) -> Detector:
    """A number with letters."""
    context = phrase_regex(words)

    def judge(match: re.Match[str]) -> Judged:
        text = re.sub(r"[ .-]", "", match[0]).upper() if name != "fi-hetu" else match[0].upper()
        if not check(text):
            return None
        named = context.search(around(match)) is not None
        sure = _HIGH if named else bare
        return (
            (sure, f"{country}: {checked} right" + (", its word near it" if named else "")) if sure else None
        )

    return Detector(
        name,
        DataClass.PERSONAL,
        int(Flag.MIXED | Flag.NATIONAL | Flag.INSURANCE | Flag.DIGITS | flags),
        re.compile(_EDGE + pattern + _END),
        judge,
    )


def _nino(text: str) -> bool:
    return text[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def _cf_date(text: str) -> bool:
    day = int(text[9:11]) if text[9:11].isdigit() else 0
    return 1 <= (day - 40 if day > 40 else day) <= 31 and checks.codice_fiscale(text)


DETECTORS: Final = (
    _with(
        *("de-kvnr", "German health insurance number", "[A-Z][0-9]{9}"),
        checks.kvnr,
        "kvnr|egk|versichertennummer|versicherten nr|krankenversichertennummer|krankenkasse|versicherung|insurance",
        _MEDIUM,
        "check digit",
    ),
    _with(
        *("es-dni", "Spanish DNI", r"(?:[0-9]{8}|[0-9]{2}\.[0-9]{3}\.[0-9]{3})[ -]?[A-HJ-NP-TV-Z]"),
        checks.dni,
        "dni|nif|documento|documento nacional|identidad",
        _MEDIUM,
        "letter modulo 23",
    ),
    _with(
        *("es-nie", "Spanish NIE", r"[XYZ]-?[0-9]{7}-?[A-HJ-NP-TV-Z]"),
        checks.dni,
        "nie|extranjero|documento",
        _MEDIUM,
        "letter modulo 23",
    ),
    _with(
        *("it-codice-fiscale", "Italian codice fiscale"),
        r"[A-Za-z]{6}[0-9LMNPQRSTUVlmnpqrstuv]{2}[ABCDEHLMPRSTabcdehlmprst][0-9LMNPQRSTUVlmnpqrstuv]{2}[A-Za-z]"
        r"[0-9LMNPQRSTUVlmnpqrstuv]{3}[A-Za-z]",
        _cf_date,
        "codice fiscale|cod fisc|cf|c f",
        _HIGH,
        "check letter",
    ),
    _with(
        *("fi-hetu", "Finnish personal identity code", r"[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]"),
        checks.hetu,
        "hetu|henkilötunnus",
        _HIGH,
        "date and remainder modulo 31",
    ),
    _with(
        *("uk-nino", "UK National Insurance number"),
        r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]",
        _nino,
        "national insurance|national insurance number|nino|ni number|ni no",
        _MEDIUM,
        "prefix and suffix",
    ),
    _with(
        *("fr-nir", "French social security number"),
        r"[12] ?[0-9]{2} ?[0-9]{2} ?2[AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}",
        checks.nir,
        "nir|insee|sécu|sécurité sociale",
        _HIGH,
        "key modulo 97",
    ),
    _with(
        *("cn-resident-id", "Chinese resident identity number", "[1-8][0-9]{16}[0-9Xx]"),
        checks.resident_id,
        "resident id|id card",
        _HIGH,
        "region, date and MOD 11-2",
    ),
    _with(
        *("iban", "International bank account number"),
        r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?",
        lambda text: 15 <= len(text) <= 34 and checks.iban(text),
        "iban|bank|konto|account",
        _MEDIUM,
        "MOD 97-10",
    ),
)
