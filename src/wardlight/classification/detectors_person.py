"""Names after words that say so, dates of birth, and numbers by which hospitals and insurers know somebody."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Final

from wardlight.classification import words
from wardlight.classification.found import Confidence
from wardlight.classification.model import DataClass
from wardlight.classification.patterns import LOOSE, Detector, Judged, labelled
from wardlight.classification.prefilter import Flag
from wardlight.classification.words import tokens

_HIGH, _MEDIUM, _LOW = Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW
_PERSONAL: Final = DataClass.PERSONAL

_WORD: Final = r"[^\W\d_](?:[^\W\d_]|['’.\-·]){0,29}+"
#: Up to five words of letters, as people, DICOM (PN) and HL7 (XPN) write names.
_NAME: Final = rf"{_WORD}(?:(?:, ?|[ ^]{{1,2}}){_WORD}){{0,4}}+(?![\w])"
#: Words that stand where names do and are none.
_NO_NAMES: Final = tokens(
    """
    unknown none null nil true false undefined anonymous anonym anonymized anonymised anonymisiert unbekannt
    inconnu desconocido sconosciuto onbekend test n.a. na n/a name names patient patients patientin
    patienten id ids identifier identity number no nr male female other data list record records information
    info registration monitor monitoring safety care service services management manager summary admission
    discharge portal study studies series image images instance report reports result results history
    position positioning orientation age sex weight size birth date time address phone email status state
    type level module group set table view search query match matching matched index key keys value values
    field fields file files folder path host server client node worker user users session token error
    warning debug critical exception failed failure success ok yes and or not the this that is was has had
    with without for from to in on at by of as are were found missing empty required invalid valid deleted
    created updated changed new old first last default system root admin device scanner modality station
    workstation ct mr us dx cr mg nm pt xa rf sr se ae aet pacs ris his dicom hl7 fhir json xml csv http
    https uid uuid sop mrn pid dob received sent stored loaded opened closed started stopped accepted
    rejected ui api app application module service-account string integer int float bool object array class
    method function ist wird wurde und der die das den dem ein eine mit ohne nicht est une les des und pour
    avec es el los las una por con il lo gli per het een van-de med och för til hat est-ce data-set dataset
    anonymous^anonymous removed redacted masked
    """
)
_PARTICLES: Final = tokens(
    """
    van von der den de del della di da do dos das du la le el al bin bint ibn ter ten zu zur y e af av
    """
)
_EAST: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


_LABELS: Final = frozenset(
    first
    for listed in (
        *(words.BIRTH, words.MRN, words.INSURANCE, words.NATIONAL, words.PHONE, words.ADDRESS, words.DEVICE),
        *(words.ACCESSION, words.DIAGNOSIS),
    )
    for first in (phrase.split()[0] for phrase in words.words(listed))
    if len(first) > 2 or not first.isascii()
)
_SPLIT: Final = re.compile(r"[^ ,^]++")


def _person(value: str) -> tuple[int, int]:
    """How many words of a value read as a name, from its begin, and where the last ends; (0, 0) where it is none."""
    count = end = 0
    for match in _SPLIT.finditer(value):
        word = match[0]
        plain = word.strip(".'’-").lower()
        if not plain or plain in _PARTICLES:
            continue
        if plain in _NO_NAMES or plain in _LABELS:
            break
        if _EAST.search(word):
            # Family and given name may be one word.
            if len(word) > 8 or count > 2:
                break
            count, end = max(2, count + 1), match.end()
            continue
        if not word[0].isupper() or (len(word) == 1 and not count) or word.rstrip(".").count("."):
            break
        count, end = count + 1, match.end()
    return count, end


def _patient(match: re.Match[str]) -> Judged:
    value = match["v"]
    count, end = _person(value)
    if not count or (count == 1 and value[:end].isupper() and end < 4):
        return None
    return (_HIGH if count > 1 else _MEDIUM), "name after a word for patient or physician", end


def _patient_loose(match: re.Match[str]) -> Judged:
    value = match["v"]
    count, end = _person(value)
    if count < 2 or value[:end].isupper():
        return None
    if not _PATIENT_WORD.search(match.string[max(0, match.start() - 12) : match.start()]):
        return None
    first = value.split()[0].strip(",").lower()
    said = _SPLIT.findall(match.string[max(0, match.start() - 24) : match.start()])[-1]
    sure = _MEDIUM if first in GIVEN or said.islower() else _LOW  # headings have capitals, too
    return sure, "capitalised words after a word for patient", end


_PATIENT_WORD: Final = re.compile(
    r"(?:pa[tz]ient\w{0,4}|patiënt|paciente|paziente|pacjent\w{0,3}|potilas|пациент\w?)$", re.I
)


def _any_name(match: re.Match[str]) -> Judged:
    value = match["v"]
    count, end = _person(value)
    caret = "^" in value[:end]
    if count > 1 and (caret or not value[:end].isupper()):
        return _MEDIUM if not caret else _HIGH, "name after a word for name", end
    given = value[:end].strip(",").lower() in GIVEN
    if count == 1 and (given or _PART.search(match.string[max(0, match.start() - 20) : match.start("v")])):
        return _MEDIUM, "name after a word for a part of a name", end
    return None


_PART: Final = re.compile(
    r"given|family|first|last|sur|maiden|vor|nach|famil|apellid|cognom|sobrenom|apelid|voor|achter|efter|etter|etu|"
    r"suku|imi|nazwisk|prénom|prenom|имя|фамил|姓|氏",
    re.IGNORECASE,
)


def _titled(match: re.Match[str]) -> Judged:
    value = match["v"]
    title = _SPLIT.findall(match.string[max(0, match.start() - 12) : match.start()])
    last = title[-1].lstrip("\"'(") if title else ""
    if not last[:1].isupper() or last.isupper():
        return None  # titles begin with a capital; abbreviations of units do not
    count, end = _person(value)
    if not count or (value[:end].isupper() and end < 4):
        return None
    return _MEDIUM, "name after a salutation or title", end


def _pn(match: re.Match[str]) -> Judged:
    parts = [part for part in match[0].split("^") if part]
    if any(part.lower() in _NO_NAMES for part in parts) or len(parts) < 2:
        return None
    return _MEDIUM, "name as DICOM and HL7 write it (PS3.5 section 6.2.1)"


#: Common given names of the languages, for where a word alone has to decide.
GIVEN: Final = tokens(
    """
    james john robert michael william david richard joseph thomas charles mary patricia jennifer linda
    elizabeth barbara susan jessica sarah karen emma olivia sophia anna maria peter paul hans karl klaus
    jürgen wolfgang stefan andreas michaela ursula monika petra sabine heike renate ingrid helga franz josef
    heinrich fritz jean pierre michel andré philippe jacques marie jeanne françoise monique catherine
    nathalie isabelle sylvie claire antoine nicolas josé juan antonio manuel francisco carlos luis javier
    carmen josefa isabel dolores pilar ana lucía elena giuseppe giovanni mario luigi francesco marco giulia
    chiara francesca rosa angela lucia alessandro jan pieter hendrik johannes cornelis sanne daan lotte kees
    willem joão pedro paulo tiago inês beatriz erik lars sven nils karin ingrid astrid björn mikael johan
    ole søren jens mette kirsten anne hanne matti juhani pekka aino helena piotr krzysztof andrzej katarzyna
    małgorzata agnieszka tomasz marek иван сергей александр мария елена ольга ivan sergei olga mohammed ali
    fatima ahmed priya rahul amit wei li hiroshi yuki grace helen frank martin walter daniel laura julia
    lena felix max lukas leon noah mia hannah george edward henry alice ruth margaret dorothy harold
    """
)

_MONTHS: Final = (
    "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez|janv|févr|fév|mars|avr|juin|juil|août|sept|déc|"
    "ene|abr|ago|dic|gen|mag|giu|lug|set|ott|mei|maart|maj|кв|янв|фев|мар|апр|мая|июн|июл|авг|сен|окт|ноя|дек"
)
_DATE: Final = (
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[./-] ?\d{1,2}[./-] ?(?:\d{4}|\d{2})|(?:18|19|20)\d{6}|"
    rf"\d{{1,2}}\.?(?:st|nd|rd|th)?[ -](?:de )?(?i:{_MONTHS})[^\W\d_]{{0,9}}\.?,?[ -](?:de )?\d{{4}}|"
    rf"(?i:{_MONTHS})[^\W\d_]{{0,9}}\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|\d{{4}}年 ?\d{{1,2}}月 ?\d{{1,2}}日)"
)
_YEAR: Final = re.compile(r"(?:18|19|20)\d\d")


def _eastern(_match: re.Match[str]) -> Judged:
    return _MEDIUM, "name after a word for patient or physician"


def _birth(match: re.Match[str]) -> Judged:
    year = _YEAR.search(match["v"])
    if year and not 1880 <= int(year[0]) <= date.today().year:  # noqa: DTZ011 - a year decides
        return None
    numbers = [int(n) for n in re.findall(r"\d+", match["v"])]
    if len(numbers) == 3 and sorted(numbers)[0] == 0:
        return None
    return _HIGH, "date after a word for birth"


_END: Final = r"(?![\w])"
_ID_VALUE: Final = r"[A-Za-z]{0,6}[-/.]?[0-9][A-Za-z0-9]{0,15}+(?:[-/.][A-Za-z0-9]{1,12}+){0,3}+"


def _number(reason: str, least: int, digits: int) -> Callable[[re.Match[str]], Judged]:
    def judge(match: re.Match[str]) -> Judged:
        value = match["v"]
        count = sum(c.isdigit() for c in value)
        if (
            len(value) < least
            or count < digits
            or re.fullmatch(r"\d{4}-\d\d-\d\d|v?\d+(?:\.\d+){1,3}", value)
        ):
            return None
        if re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]{4,}", value):
            return _LOW, reason
        return _HIGH, reason

    return judge


DETECTORS: Final = (
    labelled("name", _PERSONAL, Flag.PATIENT, _NAME, _patient),
    labelled("name", _PERSONAL, Flag.PATIENT, _NAME, _patient_loose, between=" "),
    labelled("name", _PERSONAL, Flag.NAME, _NAME, _any_name),
    labelled("name", _PERSONAL, Flag.TITLE, _NAME, _titled, between=r"\.?(?: (?:Dr|Prof|med)\.)?[ \u00a0]"),
    Detector(
        *("name", _PERSONAL, int(Flag.CARET)),
        re.compile(
            r"(?<![\w^|&])[^\W\d_a-z](?:[^\W\d_]|['’ -]){1,29}+\^[^\W\d_](?:[^\W\d_]|['’. -]){0,29}+"
            r"(?:\^[^\W\d_.]{0,20}+){0,3}+(?![\w^])"
        ),
        _pn,
    ),
    labelled(
        *("name", _PERSONAL, Flag.PATIENT),
        r"[\u3400-\u9fff\u30a0-\u30ff]{2,5}(?=さん|様|氏|先生|[，,、。（(])",
        _eastern,
        between="",
    ),
    Detector(
        *("birth-date", _PERSONAL, int(Flag.BIRTH)),
        re.compile(r"(?P<v>\d{4}年 ?\d{1,2}月 ?\d{1,2}日) ?(?:生|出生)"),
        _birth,
    ),
    labelled("birth-date", _PERSONAL, Flag.BIRTH, rf"{_DATE}(?!\d)", _birth, between=r"[^\w\n]{0,8}"),
    labelled(
        *("mrn", _PERSONAL, Flag.MRN, _ID_VALUE + _END),
        _number("number after a word for a patient's record", 4, 3),
        between=LOOSE,
    ),
    labelled(
        *("insurance-number", _PERSONAL, Flag.INSURANCE, _ID_VALUE + r"(?: [0-9]{2,6}){0,4}" + _END),
        _number("number after a word for insurance", 6, 4),
        between=LOOSE,
    ),
    labelled(
        *("accession", _PERSONAL, Flag.ACCESSION, _ID_VALUE + _END),
        _number("number after a word for an order or accession", 4, 3),
        between=LOOSE,
    ),
)
