"""What is done to the value of one element: handlers for `wardlight.dicom.rewrite`.

Two duties go with every handler. What identifies is put into `seen`, for the harvest; and what stays goes into `texts`,
`numbers`, `structural` or `binaries`, so that the harvest can search everything that survives. When it found something,
the object is rewritten once more with `needles` set, and the handlers take the words out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from wardlight.deid import colour_profiles, dates, days_moved
from wardlight.deid.descriptors import clean_code, clean_scheme, code_fits
from wardlight.deid.state import ObjectState
from wardlight.dicom.dictionary import choices_of
from wardlight.dicom.rewrite import Handler
from wardlight.dicom.vr import BINARY_VRS, NUMBER_SIZES, WORD_SIZES

#: A legal value of each VR that says nothing (action D of Table E.1-1a).
DUMMY: Final[dict[bytes, bytes]] = {
    **dict.fromkeys((b"LO", b"SH", b"CS", b"AE", b"LT", b"ST", b"UT", b"UC"), b"REMOVED"),
    **dict.fromkeys((b"SL", b"UL", b"FL", b"AT", b"OF", b"OL"), bytes(4)),
    **dict.fromkeys((b"FD", b"SV", b"UV", b"OD", b"OV"), bytes(8)),
    **dict.fromkeys((b"OB", b"OW", b"UN", b"US", b"SS"), bytes(2)),
    b"PN": b"Removed^",
    b"DA": b"19000101",
    b"DT": b"19000101",
    b"TM": b"000000",
    b"AS": b"000Y",
    b"DS": b"0",
    b"IS": b"0",
    b"UR": b"urn:removed",
    b"UI": b"2.25.0",
}

PATIENT_AGE: Final = 0x00101010
_UID_BYTES: Final = b"0123456789.\\\0 "
#: Bytes of a binary value from which on it could spell a name.
_SPELLS: Final = 4
#: From this length on numbers do not spell by chance.
_WORDY: Final = 6
_ALL_TEXT: Final = re.compile(rb"[\x20-\x7e]{6,}+\0*")
#: Text in a binary value, as ASCII or as UTF-16 of either byte order.
_TEXT_IN_BINARY: Final = re.compile(rb"[\x20-\x7e]{4}|(?:[\x20-\x7e]\0){4}|(?:\0[\x20-\x7e]){4}")


def collect(state: ObjectState, tag: int, vr: bytes, value: bytes) -> None:
    """Remember a removed value for the harvest."""
    if value:
        state.seen.append((tag, vr, value, state.charset))


def constant(fallback: bytes | None) -> Handler:
    """Remember the value, and put `fallback` in its place (None removes)."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        if value:
            state.seen.append((tag, vr, value, state.charset))
        return fallback

    return handle


def text(clean: Callable[[bytes], bytes], fallback: bytes | None) -> Handler:
    """What `clean` leaves of a text, then without harvested words; `fallback` where nothing is left."""

    def handle(state: ObjectState, _tag: int, vr: bytes, value: bytes) -> bytes | None:
        if not value:
            return value
        cleaned = clean(value)
        if state.needles is not None:
            cleaned = state.needles.scrub(cleaned, vr, state.charset)
        if not cleaned.strip(b" \\\0"):
            return fallback
        state.texts.append(cleaned)
        return value if cleaned == value else cleaned

    return handle


def dated_text(clean: Callable[[bytes], bytes], fallback: bytes | None) -> Handler:
    """As `text`, and whole dates that stand among what stays move by the patient's offset."""
    plain = text(clean, fallback)

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        # Where all of it stays there is no date in it: the vocabulary has none.
        if len(value) < days_moved.SHORTEST or clean(value) is value:
            return plain(state, tag, vr, value)
        barred = state.needles.is_birth if state.needles is not None else _nobodys
        dated = days_moved.clean_dated(value, state.days, clean, barred)
        if dated is None:
            return plain(state, tag, vr, value)
        made, days = dated
        state.moved |= days
        return text(lambda _value: made, fallback)(state, tag, vr, value)

    return handle


def _nobodys(_day: object) -> bool:
    """No day is anybody's birth date as long as nothing was harvested."""
    return False


def padded(inner: Handler) -> Handler:
    """Text of a private element: with a space to even length, since an implicit syntax does not say that it is text."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        new = inner(state, tag, vr, value)
        return new if new is value or new is None or len(new) % 2 == 0 else new + b" "

    return handle


def unsearched(clean: Callable[[bytes], bytes], fallback: bytes | None) -> Handler:
    """What `clean` leaves of a value whose form leaves no room for anybody's words."""

    def handle(_state: ObjectState, _tag: int, _vr: bytes, value: bytes) -> bytes | None:
        cleaned = clean(value)
        return cleaned if cleaned or not value else fallback

    return handle


def charset(inner: Handler) -> Handler:
    """Specific Character Set: it holds for what follows."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        state.declare(value)
        return inner(state, tag, vr, value)

    return handle


def closed(known: Callable[[bytes], bytes], other: Handler) -> Handler:
    """For closed sets of codes: a value of known terms (`known` gives it back) stays whatever the harvest says."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        return value if known(value) == value else other(state, tag, vr, value)

    return handle


def code(fallback: bytes | None) -> Handler:
    """A version or the identifier of a context group or template, in a published form."""

    def clean(value: bytes) -> bytes:
        return clean_code(value) or b""

    return text(clean, fallback)


def code_value(fallback: bytes | None) -> Handler:
    """A code: stays where its item names a published scheme and the code has that scheme's form."""
    plain = text(lambda value: value, fallback)

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        stripped = value.strip(b" \0")
        if not stripped:
            return value
        if stripped in state.lost_codes or not code_fits(stripped, state.expect_scheme(stripped)):
            return fallback
        return plain(state, tag, vr, value)

    return handle


def scheme(fallback: bytes | None) -> Handler:
    """The designator of a published coding scheme."""
    plain = text(clean_scheme, fallback)

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        state.confirm(value.strip(b" \0"))
        return plain(state, tag, vr, value)

    return handle


def link(clean: Callable[[bytes], bytes]) -> Handler:
    """A name that other elements refer to: as it is where clean, else a keyed identifier, the same everywhere."""

    def handle(state: ObjectState, _tag: int, vr: bytes, value: bytes) -> bytes | None:
        stripped = value.strip(b" \0")
        if not stripped:
            return value
        cleaned = clean(value).strip(b" \0")
        if cleaned != stripped or (
            state.needles is not None and state.needles.scrub(stripped, vr, state.charset) != stripped
        ):
            return state.map.identifier(stripped)
        state.texts.append(stripped)
        return value

    return handle


def number(fallback: bytes | None, *, structural: bool) -> Handler:
    """IS and DS: numbers, and no identifier of the patient.

    structural: of an element that reading the image depends on, in which a short number is none of the patient's.
    """

    def handle(state: ObjectState, _tag: int, _vr: bytes, value: bytes) -> bytes | None:
        if state.needles is not None and state.needles.in_numbers(value, structural=structural):
            return fallback
        (state.structural if structural else state.numbers).append(value)
        return value

    return handle


def binary(expected: bytes, strict: bool, fallback: bytes | None) -> Handler:
    """Numbers and bytes: where VR and length are those of the element, and nothing of the patient is spelt in them.

    expected: the VR of the element. strict: numbers that are text from end to end go, whatever it says.
    """
    size = WORD_SIZES.get(expected, 1)
    numbers = expected in NUMBER_SIZES

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        length = len(value)
        if (vr != expected or length % size) and not _fits(tag, vr, length, expected):
            return fallback
        if length >= _SPELLS:
            if state.needles is not None and state.needles.in_binary(value):
                return fallback
            if strict and numbers and length >= _WORDY and _is_text(value):
                return fallback
            state.binaries.append(value)
        return value

    return handle


def colour(fallback: bytes | None) -> Handler:
    """An ICC profile written anew; `fallback` for what is none, or not one whose form is known."""

    def handle(state: ObjectState, _tag: int, _vr: bytes, value: bytes) -> bytes | None:
        made = colour_profiles.cleaned(value) or fallback
        if made is not None:
            if state.needles is not None and state.needles.in_binary(made):
                return fallback
            state.binaries.append(made)
        return made

    return handle


def _is_text(value: bytes) -> bool:
    """Whether numbers are letters from end to end. 38.4 is 333333C@ as FD: two letters make no word."""
    return _ALL_TEXT.fullmatch(value) is not None and len({b for b in value.lower() if 97 <= b <= 122}) > 3


def _fits(tag: int, vr: bytes, length: int, expected: bytes) -> bool:
    """Whether a value of another VR may stand for one of the expected: between forms of the same numbers."""
    if vr in choices_of(tag):
        return True
    size = NUMBER_SIZES.get(expected)
    if size is None:
        return vr in BINARY_VRS and length % WORD_SIZES.get(expected, 1) == 0
    if vr == b"UN":
        # A number that was written as UN; a long one could be anything.
        return length in (0, size, 2 * size)
    return NUMBER_SIZES.get(vr) == size and length in (0, size)


def silent(inner: Handler) -> Handler:
    """Bytes that stay only where no text is among them."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        return None if _TEXT_IN_BINARY.search(value) is not None else inner(state, tag, vr, value)

    return handle


def date(fallback: bytes | None) -> Handler:
    """DA moved by the patient's offset."""

    def handle(state: ObjectState, _tag: int, _vr: bytes, value: bytes) -> bytes | None:
        if not value:
            return value
        state.originals.add(value)
        moved = state.map.shift(value, state.days)
        return fallback if moved is None else moved

    return handle


def datetime(keep_time: bool, fallback: bytes | None) -> Handler:
    """DT moved by the patient's offset, with or without its time."""

    def handle(state: ObjectState, _tag: int, _vr: bytes, value: bytes) -> bytes | None:
        if not value:
            return value
        state.originals.add(value)
        moved = state.map.shift_datetime(value, state.days, keep_time)
        return fallback if moved is None else moved

    return handle


def as_written(valid: Callable[[bytes], bool], fallback: bytes | None) -> Handler:
    """DA, DT and TM that stay, where they are what their VR says."""

    def handle(_state: ObjectState, _tag: int, _vr: bytes, value: bytes) -> bytes | None:
        return value if valid(value) else fallback

    return handle


def time(fallback: bytes | None) -> Handler:
    """TM as it is, where it is a time."""
    return as_written(dates.is_time, fallback)


def age(bands: bool, fallback: bytes | None) -> Handler:
    """AS in bands or with the oldest together. The patient's is by the object's dates where it contradicts them."""

    def handle(state: ObjectState, tag: int, _vr: bytes, value: bytes) -> bytes | None:
        if tag == PATIENT_AGE and state.age and state.at_top and not dates.same_age(value, state.age):
            return dates.coarse_age(state.age, bands)
        if not value:
            return value
        coarse = dates.coarse_age(value, bands)
        return fallback if coarse is None else coarse

    return handle


def uid(state: ObjectState, _tag: int, _vr: bytes, value: bytes) -> bytes | None:
    """New UIDs."""
    if not value:
        return value
    state.uids.add(value)
    return state.map.uid(value)


def kept_uid(fallback: bytes | None) -> Handler:
    """UIDs that the profile keeps: as they are, where they are UIDs and the harvest finds nothing in them."""

    def handle(state: ObjectState, _tag: int, vr: bytes, value: bytes) -> bytes | None:
        if value.translate(None, _UID_BYTES):
            return fallback
        if state.needles is not None and state.needles.scrub(value, vr, b"") != value:
            return fallback
        state.texts.append(value)
        return value

    return handle


def class_uid(known: frozenset[bytes]) -> Handler:
    """UIDs that name a kind: as they are, where they are known ones, else new."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        stripped = value.strip(b"\0 ")
        if stripped in known or all(one.strip(b"\0 ") in known for one in stripped.split(b"\\")):
            return value
        return uid(state, tag, vr, value)

    return handle


def keyed(fallback: bytes | None) -> Handler:
    """A keyed identifier in place of each one; `fallback` for an empty value."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        if not value.strip(b" \0"):
            return fallback
        state.seen.append((tag, vr, value, state.charset))
        return state.map.identifier(value)

    return handle


def patient_id(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
    """A patient ID below the top level: the pseudonym of whose it is."""
    if not value.strip(b" \0"):
        return b""
    state.seen.append((tag, vr, value, state.charset))
    return state.pseudonym(value)
