"""Put the patient back into an application's result (R3.8): the rewriting of its header.

What leads back comes from whoever made the release: patient and study as the source knows them, the originals of all
UIDs that are ours, the days by which dates moved. All else stays byte for byte. What is not certain is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final, Protocol

from wardlight.deid import days_moved
from wardlight.deid.harvest import Seen
from wardlight.deid.patient_study import (
    ALWAYS,
    CHARSET,
    PATIENT_ID,
    PATIENT_NAME,
    WHERE_THERE,
)
from wardlight.dicom.charset import character_sets, decode, encode
from wardlight.dicom.elements import Element
from wardlight.dicom.rewrite import REMOVE, Rule, Rules, rewrite
from wardlight.dicom.transfer_syntax import TransferSyntax
from wardlight.dicom.vr import CHARSET_VRS

SOP_INSTANCE: Final = 0x00080018
STUDY_UID: Final = 0x0020000D
_STUDY_DATE: Final = 0x00080020
_REMOVED: Final = 0x00120062
#: What says how the object was de-identified.
_METHODS: Final = frozenset((0x00120063, 0x00120064, 0x00280303))
#: What the restoring looks at, at the top level.
WANTED: Final = frozenset((CHARSET, 0x00080016, SOP_INSTANCE, STUDY_UID, PATIENT_ID, _REMOVED))

_OUR_UID: Final = re.compile(rb"(?<![0-9.])2\.25\.[1-9][0-9]{0,38}(?![0-9.])")
_PSEUDONYM: Final = re.compile(rb"(?<![A-Z2-7])[A-Z2-7]{16}(?![A-Z2-7])")
_TEXT: Final = frozenset((b"PN", b"LO", b"SH", b"ST", b"LT", b"UT", b"UC", b"UR", b"CS", b"AE"))
#: Longest value of a VR, in characters, where names and identifiers may be put (PS3.5 6.2).
_LONGEST: Final = {b"SH": 16, b"CS": 16, b"AE": 16, b"LO": 64}
#: Tags from here on end items and sequences.
_DELIMITERS: Final = 0xFFFE0000
_UNICODE: Final = b"ISO_IR 192"
#: Dates that never were the patient's: versions of context groups.
_VERSIONS: Final = frozenset((0x00080106, 0x00080107))


class NotRestored(Exception):
    """The result stays as it is. code: why, never a value."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code: Final = code


@dataclass(slots=True, kw_only=True)
class Origin:
    """Where a result belongs. person: whose it is, as `Ways` say it. days: by which dates of its release moved back.

    seen_on: the day on which the study came, of which no original can be later.
    """

    person: bytes = field(repr=False)
    days: int = field(repr=False)
    seen_on: date = field(repr=False)
    study_uid: bytes = field(repr=False)
    #: Tag → (VR, text) of patient and study.
    texts: dict[int, tuple[bytes, str]] = field(repr=False)


class Ways(Protocol):
    """What leads back from what a release shows."""

    def original(self, new_uid: bytes) -> tuple[bytes, frozenset[bytes]] | None:
        """The original of a UID and the persons in whose studies it occurs; None for a UID that is none of ours."""

    def whose(self, pseudonym: bytes) -> bytes | None:
        """The person that a pseudonym stands for; None where it is none of ours."""


def uids_in(header: bytes, syntax: TransferSyntax) -> set[bytes]:
    """Every UID that an element of the header has, at any depth. Raises DicomError."""
    found: set[bytes] = set()

    def collected(state: Any, tag: int, vr: bytes, value: bytes) -> bytes:  # noqa: ARG001 - as handlers are called
        if vr == b"UI":
            found.update(one.strip(b"\0 ") for one in value.split(b"\\"))
        return value

    def other_vr(state: Any, tag: int, vr: bytes, value: bytes, expected: bytes) -> bytes:  # noqa: ARG001
        return collected(state, tag, vr, value)

    rule = _Any(b"SQ")
    rule.handle = collected
    table = _Table(rule, frozenset())
    rewrite(header, syntax, Rules(table, table, other_vr, _collect, whole=True), None)
    return found - {b""}


def texts_of(elements: Iterable[Seen]) -> dict[int, tuple[bytes, str]]:
    """Elements of patient and study as `Origin` has them."""
    return {tag: (vr, decoded(value, vr, charset)) for tag, vr, value, charset in elements}


def decoded(value: bytes, vr: bytes, charset: bytes) -> str:
    """A value as text, without its padding."""
    return decode(value, character_sets(charset), vr).rstrip("\0 ")


class _Any(bytes):
    """A rule for whatever stands there: descends into sequences, and hands all else to its handler."""

    handle: Callable[[Any, int, bytes, bytes], bytes | None]

    def __call__(self, state: Any, tag: int, vr: bytes, value: bytes) -> bytes | None:
        return self.handle(state, tag, vr, value)


class _Table(Mapping[int, Rule]):
    """Every tag has the one rule, but for those that go."""

    def __init__(self, rule: Rule, removed: frozenset[int]) -> None:
        self._rule = rule
        self._removed = removed

    def __getitem__(self, tag: int) -> Rule:
        if tag >= _DELIMITERS:
            raise KeyError(tag)
        # Group lengths are retired, and would be wrong.
        return REMOVE if tag in self._removed or not tag & 0xFFFF else self._rule

    def __iter__(self) -> Iterator[int]:
        return iter(self._removed)

    def __len__(self) -> int:
        return len(self._removed)


class Restorer:
    """Restores one header. Not to be used twice."""

    def __init__(self, ways: Ways, origin: Origin, own_days: int = 0) -> None:
        """own_days: by which the result's own dates move forward, as whoever makes a release of it moves them back."""
        self._ways = ways
        self._origin = origin
        self._own_days = own_days
        self._charset = b""
        self._outer: list[bytes] = []
        self._unicode = False
        self._uids: dict[bytes, bytes] = {}
        self._words: dict[bytes, bool] = {}

    def restore(self, header: bytes, syntax: TransferSyntax, elements: Mapping[int, Element]) -> bytes:
        """The header with patient, study and references restored. Raises NotRestored, DicomError.

        header: encoded elements up to the pixel data. elements: those of `WANTED`.
        """
        self._charset = declared = _value(header, elements, CHARSET)
        # A name that cannot be written in the result's character set takes the whole result to Unicode.
        self._unicode = not all(
            _fits(text, vr, declared) for vr, text in self._origin.texts.values() if vr in CHARSET_VRS
        )
        target = _UNICODE if self._unicode else declared
        insert = []
        for tag, (vr, empty) in ALWAYS.items():
            text = self._origin.texts.get(tag, (vr, ""))[1]
            if text or empty:
                insert.append((tag, vr, encode(text, character_sets(target), vr)))
        if _REMOVED in elements:
            insert.append((_REMOVED, b"CS", b"NO"))
        if self._unicode:
            insert.append((CHARSET, b"CS", _UNICODE))
        removed = frozenset((*ALWAYS, *_METHODS, _REMOVED, *((CHARSET,) if self._unicode else ())))
        rule = _Any(b"SQ")
        rule.handle = Restorer._element
        top = _Any(b"SQ")
        top.handle = Restorer._top
        rules = Rules(
            _Table(top, removed),
            _Table(rule, frozenset()),
            Restorer._other_vr,
            _collect,
            enter=Restorer._enter,
            leave=Restorer._leave,
            whole=True,
        )
        return rewrite(header, syntax, rules, self, insert=sorted(insert))

    def uid(self, uid: bytes) -> bytes:
        """The original of a UID that is ours, else the same. Raises NotRestored where it is of another patient."""
        found = self._uids.get(uid)
        if found is None:
            known = self._ways.original(uid)
            if known is not None and self._origin.person not in known[1]:
                raise NotRestored("two-patients")
            found = self._uids[uid] = uid if known is None else known[0]
        return found

    # One element -----------------------------------------------------------------------------------------------

    def _top(self, tag: int, vr: bytes, value: bytes) -> bytes | None:
        if tag == SOP_INSTANCE:
            own = value.strip(b"\0 ")
            if self.uid(own) != own:
                # What carries the UID of a released image would take the place of the original.
                raise NotRestored("not-a-result")
            return value
        if tag in WHERE_THERE and tag in self._origin.texts:
            of, text = self._origin.texts[tag]
            return encode(text, character_sets(self._target()), of)
        return self._element(tag, vr, value)

    def _element(self, tag: int, vr: bytes, value: bytes) -> bytes | None:
        if not value:
            return value
        if vr == b"UI":
            return self._mapped(value)
        if vr in (b"DA", b"DT"):
            return value if tag in _VERSIONS else self._moved(value)
        if vr in _TEXT:
            return self._text(tag, vr, value)
        if vr == b"UN" and (_OUR_UID.search(value) or _PSEUDONYM.search(value)):
            self._unknown(value)
        return value

    def _other_vr(self, tag: int, vr: bytes, value: bytes, expected: bytes) -> bytes | None:  # noqa: ARG002
        return self._element(tag, vr, value)

    def _mapped(self, value: bytes) -> bytes:
        new = _OUR_UID.sub(lambda match: self.uid(match[0]), value)
        return value if new == value else new.rstrip(b"\0 ")

    def _moved(self, value: bytes) -> bytes:
        if not self._origin.days and not self._own_days:
            return value
        return b"\\".join(self._one_moved(one) for one in value.split(b"\\"))

    def _one_moved(self, value: bytes) -> bytes:
        """A date moved forward again, unless the result was made with it: no original is of a later day than its study
        came, so what was moved lies before that day, and what an application dates itself does not."""
        match = re.match(rb"[0-9]{4}(?:[0-9]{2}){0,2}(?![0-9.])|[0-9]{8}(?!\.)", value)
        if match is None:
            return value
        digits = match[0]
        try:
            # Of a month or year the middle, as its day is not there to be moved.
            day = date(int(digits[:4]), int(digits[4:6] or b"7"), int(digits[6:8] or b"15"))
            own = day >= self._origin.seen_on
            if own and self._own_days and not self._origin.days:
                return self._as_study(digits)
            days = self._own_days if own else self._origin.days
            if not days:
                return value
            moved = (day + timedelta(days)).strftime("%4Y%m%d").encode("ascii")
        except (ValueError, OverflowError):
            return value
        return moved[: len(digits)] + value[len(digits) :]

    def _as_study(self, digits: bytes) -> bytes:
        """The study's date in place of one that may be the patient's or the result's own: nothing was moved in its
        release, and a study comes on the day it was made. Whoever moves it moves it as all of the patient's; taken for
        either of the two, it would show by how much. Raises NotRestored where the study has none."""
        known = self._origin.texts.get(_STUDY_DATE, (b"DA", ""))[1].encode("ascii", "replace")[:8]
        if len(known) < 8 or not known.isdigit():
            raise NotRestored("date-unclear")
        return known[: len(digits)]

    def _text(self, tag: int, vr: bytes, value: bytes) -> bytes:
        if tag == CHARSET:
            self._charset = value
            return _UNICODE if self._unicode else value
        if self._own_days and days_moved.holds_day(value):
            # Moved with the others or not, a day in text would tell by how much they were, here or in its own release.
            raise NotRestored("date-in-text")
        new = _OUR_UID.sub(lambda match: self.uid(match[0]), value)
        words = {match[0] for match in _PSEUDONYM.finditer(new) if self._ours(match[0])}
        transcoded = self._unicode and vr in CHARSET_VRS and (not new.isascii() or b"\x1b" in new)
        if not words and not transcoded:
            return value if new == value else new
        text = decode(new, character_sets(self._charset), vr)
        for word in words:
            text = text.replace(word.decode("ascii"), self._named(vr))
        if len(text.strip()) > _LONGEST.get(vr, len(text)) or not _fits(text, vr, self._target()):
            raise NotRestored("value-does-not-fit")
        return encode(text, character_sets(self._target()), vr).rstrip(b" \0")

    def _named(self, vr: bytes) -> str:
        """Whom a pseudonym stands for: the name where a name stands, else the ID."""
        texts = self._origin.texts
        name = texts.get(PATIENT_NAME, (b"PN", ""))[1]
        if vr == b"PN":
            return name
        return texts.get(PATIENT_ID, (b"LO", ""))[1] or name

    def _ours(self, word: bytes) -> bool:
        """Whether a word is a pseudonym of the patient. Raises NotRestored where it is one of somebody else."""
        found = self._words.get(word)
        if found is None:
            person = self._ways.whose(word)
            if person is not None and person != self._origin.person:
                raise NotRestored("two-patients")
            found = self._words[word] = person is not None
        return found

    def _unknown(self, value: bytes) -> None:
        """Bytes of no known form, in which nothing can be replaced."""
        known = any(self.uid(match[0]) != match[0] for match in _OUR_UID.finditer(value))
        if known or any(self._ours(match[0]) for match in _PSEUDONYM.finditer(value)):
            raise NotRestored("unreadable-element")

    def _target(self) -> bytes:
        return _UNICODE if self._unicode else self._charset

    def _enter(self, *_: object) -> None:
        self._outer.append(self._charset)

    def _leave(self) -> bool:
        self._charset = self._outer.pop()
        return False


def _collect(_state: object, _tag: int, _vr: bytes, _value: bytes) -> None:
    """Nothing is collected."""


def _fits(text: str, vr: bytes, charset: bytes) -> bool:
    charsets = character_sets(charset)
    return decode(encode(text, charsets, vr), charsets, vr) == text


def _value(header: bytes, elements: Mapping[int, Element], tag: int) -> bytes:
    element = elements.get(tag)
    return b"" if element is None or element.length <= 0 else header[element.value : element.end]
