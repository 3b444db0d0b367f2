"""Which tokens a study has and which a search key asks for (security.md section 4, fields 1 to 15).

A key becomes alternatives of tokens: a study that matches the key has all tokens of one alternative. What has them
is a candidate; the rule of PS3.4 is then applied to its unsealed values.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import date
from enum import IntEnum
from typing import Any, Final

from wardlight.archive import names
from wardlight.archive.attributes import (
    PATIENT_ID,
    REQUEST_ATTRIBUTES,
    key_of,
)

Token = tuple[int, bytes]
"""Field and folded value."""
Alternatives = list[list[Token]]
"""A study that matches has all tokens of one of these; empty: tokens cannot tell."""


class Field(IntEnum):
    """What a token is of. The numbers are part of every posting's label and never change their meaning."""

    PN_FULL = 1
    PN_WORD = 2
    PN_PREFIX = 3
    PN_PHONETIC = 4
    PATIENT_ID = 5
    PATIENT_ID_PREFIX = 6
    OTHER_ID = 7
    ACCESSION = 8
    ACCESSION_PREFIX = 9
    STUDY_ID = 10
    BIRTH_DATE = 11
    REFERRING_WORD = 12
    REFERRING_PREFIX = 13
    REQUESTED_PROCEDURE = 14
    SCHEDULED_STEP = 15


PATIENT_NAME: Final = 0x00100010
REFERRING_NAME: Final = 0x00080090
OTHER_IDS: Final = 0x00101000
_OTHER_IDS_SEQUENCE: Final = 0x00101002
BIRTH_DATE: Final = 0x00100030
SCHEDULED_STEP_ID: Final = 0x00400009
REQUESTED_PROCEDURE_ID: Final = 0x00401001

#: Attribute → field of its exact token, field of its prefixes, lengths of these.
_IDS: Final[dict[int, tuple[Field, Field | None, tuple[int, ...]]]] = {
    PATIENT_ID: (Field.PATIENT_ID, Field.PATIENT_ID_PREFIX, names.ID_PREFIXES),
    OTHER_IDS: (Field.OTHER_ID, None, ()),
    0x00080050: (Field.ACCESSION, Field.ACCESSION_PREFIX, names.ACCESSION_PREFIXES),
    0x00200010: (Field.STUDY_ID, None, ()),
}
_MEMBERS: Final = {
    REQUESTED_PROCEDURE_ID: Field.REQUESTED_PROCEDURE,
    SCHEDULED_STEP_ID: Field.SCHEDULED_STEP,
}
_WILD: Final = re.compile(r"[*?]+")
_EPOCH: Final = date(1900, 1, 1).toordinal()
#: Values of one attribute that get tokens: more is no medical image's header.
_MOST_VALUES: Final = 32


def days_of(study_date: int) -> int:
    """Days since 1900-01-01 of a date YYYYMMDD as a number; 0 without one."""
    if not study_date:
        return 0
    year, month, day = study_date // 10000, study_date // 100 % 100, study_date % 100
    return date(year, month, day).toordinal() - _EPOCH


def day_bounds(first: int, last: int) -> tuple[int, int]:
    """A range of dates YYYYMMDD, which need not be days of the calendar, as days since 1900-01-01."""
    return _nearest(first, up=True), _nearest(last, up=False)


def _nearest(value: int, *, up: bool) -> int:
    """The day that begins, or ends, a range whose end is this number."""
    year, month, day = value // 10000, value // 100 % 100, value % 100
    if year < 1900:
        return 1 if up else 0
    if month == 0 or (month <= 12 and day == 0):
        found = date(year, max(month, 1), 1).toordinal() - (0 if up else 1)
    elif month > 12:
        found = date(year, 12, 31).toordinal() + (1 if up else 0)
    else:
        most = monthrange(year, month)[1]
        found = date(year, month, min(day, most)).toordinal() + (1 if up and day > most else 0)
    return found - _EPOCH


# ---- tokens of a study ----


def study_tokens(attributes: Mapping[str, Any]) -> set[Token]:
    """The tokens of a study's sealed attributes: fields 1 to 13."""
    found: set[Token] = set()
    for group in _groups(attributes, PATIENT_NAME):
        found.update(_name_tokens(group))
    for group in _groups(attributes, REFERRING_NAME):
        for word in names.words(group):
            found.add((Field.REFERRING_WORD, word.encode()))
            found.update((Field.REFERRING_PREFIX, prefix.encode()) for prefix in names.prefixes(word))
    for tag, (exact, prefix_field, lengths) in _IDS.items():
        for text in _texts(attributes, tag):
            found.update(_id_tokens(text, exact, prefix_field, lengths))
    for item in _values(attributes, _OTHER_IDS_SEQUENCE):
        for text in _texts(item, PATIENT_ID) if isinstance(item, dict) else ():
            found.update(_id_tokens(text, Field.OTHER_ID, None, ()))
    for text in _texts(attributes, BIRTH_DATE):
        found.update(_id_tokens(text.replace(".", ""), Field.BIRTH_DATE, None, ()))
    return found


def series_tokens(attributes: Mapping[str, Any]) -> set[Token]:
    """The tokens that a series' sealed attributes give its study: fields 14 and 15."""
    found: set[Token] = set()
    for item in _values(attributes, REQUEST_ATTRIBUTES):
        if isinstance(item, dict):
            for tag, field in _MEMBERS.items():
                for text in _texts(item, tag):
                    found.update(_id_tokens(text, field, None, ()))
    return found


def _name_tokens(group: str) -> Iterator[Token]:
    all_words = names.words(group)
    if all_words:
        yield Field.PN_FULL, " ".join(all_words).encode()
    for word in all_words:
        yield Field.PN_WORD, word.encode()
        for prefix in names.prefixes(word):
            yield Field.PN_PREFIX, prefix.encode()
        for code in names.phonetic(word):
            yield Field.PN_PHONETIC, code.encode()


def _id_tokens(text: str, exact: Field, prefix: Field | None, lengths: tuple[int, ...]) -> Iterator[Token]:
    folded = names.folded_id(text)
    if folded:
        yield exact, _encoded(folded)
        if prefix is not None:
            for length in lengths:
                if length <= len(folded):
                    yield prefix, _encoded(folded[:length])


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _values(attributes: Mapping[str, Any], tag: int) -> list[Any]:
    values: list[Any] = attributes.get(key_of(tag), {}).get("Value") or []
    return values[:_MOST_VALUES]


def _texts(attributes: Mapping[str, Any], tag: int) -> Iterator[str]:
    for value in _values(attributes, tag):
        if value is not None:
            yield str(value)


def _groups(attributes: Mapping[str, Any], tag: int) -> Iterator[str]:
    for value in _values(attributes, tag):
        if isinstance(value, dict):
            yield from (str(group) for group in value.values())


# ---- tokens of a key ----


def key_tokens(path: tuple[int, ...], value: str, *, fuzzy: bool) -> Alternatives:
    """What a study must have to match a key; empty where only its values can tell. value: not universal."""
    tag = path[-1]
    if len(path) == 2:
        member = _MEMBERS.get(tag) if path[0] == REQUEST_ATTRIBUTES else None
        return _id_key(value, member, None, ()) if member else []
    if tag == PATIENT_NAME:
        return _fuzzy_key(value) if fuzzy else _name_key(value, Field.PN_FULL, Field.PN_WORD, Field.PN_PREFIX)
    if tag == REFERRING_NAME:
        return [] if fuzzy else _name_key(value, None, Field.REFERRING_WORD, Field.REFERRING_PREFIX)
    if tag == BIRTH_DATE:
        return [] if "-" in value else _id_key(value.replace(".", ""), Field.BIRTH_DATE, None, ())
    if tag in _IDS:
        return _id_key(value, *_IDS[tag])
    return []


def _id_key(value: str, exact: Field, prefix: Field | None, lengths: tuple[int, ...]) -> Alternatives:
    wild = _WILD.search(value)
    if wild is None:
        folded = names.folded_id(value)
        return [[(exact, _encoded(folded))]] if folded else []
    if prefix is None:
        return []
    # Leading spaces are no part of a value, but a key that begins with one asks for them.
    start = names.longest(names.folded_id(names.settled(value[: wild.start()])), lengths)
    return [[(prefix, _encoded(start))]] if start else []


def _name_key(value: str, full: Field | None, word_field: Field, prefix_field: Field) -> Alternatives:
    tokens: list[Token] = []
    for group in value.split("=")[:3]:
        if full is not None and _WILD.search(group) is None:
            if folded := names.words(group):
                tokens.append((full, " ".join(folded).encode()))
        else:
            tokens += _runs(group, word_field, prefix_field)
    return [tokens] if tokens else []


def _runs(pattern: str, word_field: Field, prefix_field: Field) -> Iterator[Token]:
    """Tokens of the literal runs of a pattern that begin at the start of a word.

    A run before a wildcard ends in a prefix; before it words are whole. After a wildcard the first word may be the
    rest of a longer one.
    """
    position, at_start = 0, True
    while position <= len(pattern):
        wild = _WILD.search(pattern, position)
        run = pattern[position : wild.start() if wild else len(pattern)]
        run = names.folded_name(names.settled(run) if wild else run)
        parts = re.split(r"[\W_]", run)
        for number, part in enumerate(parts):
            if not part or (number == 0 and not at_start):
                continue
            if wild is not None and number == len(parts) - 1:
                if prefix := names.longest(part, names.lengths(part)):
                    yield prefix_field, prefix.encode()
            else:
                yield word_field, part.encode()
        if wild is None:
            return
        position, at_start = wild.end(), False


def _fuzzy_key(value: str) -> Alternatives:
    """Each word, in any order: the word itself or one that sounds like it; a pattern by its beginning."""
    found: Alternatives = [[]]
    for pattern in fuzzy_words(value):
        choices: list[Token] = []
        if _WILD.search(pattern):
            prefix = names.longest(_WILD.split(pattern)[0], names.lengths(pattern))
            choices = [(Field.PN_PREFIX, prefix.encode())] if prefix else []
        else:
            choices = [(Field.PN_WORD, pattern.encode())]
            choices += [(Field.PN_PHONETIC, code.encode()) for code in names.phonetic(pattern)]
        # Alternatives multiply: words beyond the first two only narrow what is read anyway.
        if choices and len(found) * len(choices) <= 16:
            found = [[*tokens, choice] for tokens in found for choice in choices]
    return [tokens for tokens in found if tokens]


def fuzzy_words(value: str) -> list[str]:
    """The folded words of a person name's key, each with its wildcards."""
    return [word for word in re.split(r"[^\w*?]|_", names.folded_name(value)) if word.strip("*")]
