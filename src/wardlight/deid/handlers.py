"""What is done to the value of one element: handlers for `wardlight.dicom.rewrite`, and the state of one object.

Two duties go with every handler. What identifies is put into `seen`, for the harvest; and text that stays goes into
`texts` (whole numbers into `numbers`), so that the harvest can search everything that survives. When it found
something, the object is rewritten once more with `needles` set, and the handlers take the words out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from wardlight.deid import dates
from wardlight.deid.descriptors import clean_code
from wardlight.dicom.rewrite import Handler


class Scrubber(Protocol):
    """Takes harvested words out of a value; the harvest gives it."""

    def scrub(self, value: bytes, vr: bytes) -> bytes:
        """The value without them."""
        ...

    def is_number(self, value: bytes) -> bool:
        """Whether a whole number is one of the patient's identifiers."""
        ...


class ValueMap(Protocol):
    """The keyed replacements of one (application, level); the engine gives it, with bounded caches."""

    def uid(self, value: bytes, /) -> bytes:
        """New UIDs for those of a value."""
        ...

    def identifier(self, value: bytes, /) -> bytes:
        """A keyed identifier."""
        ...

    def pseudonym(self, issuer: bytes, patient_id: bytes, study_uid: bytes, /) -> bytes:
        """The pseudonym of a patient."""
        ...

    def shift(self, value: bytes, days: int, /) -> bytes | None:
        """DA moved back."""
        ...

    def shift_datetime(self, value: bytes, days: int, keep_time: bool, /) -> bytes | None:
        """DT moved back."""
        ...


class ObjectState:
    """What one object brings and leaves while it is rewritten."""

    __slots__ = ("days", "map", "needles", "numbers", "originals", "seen", "texts", "uids")

    def __init__(self, value_map: ValueMap, days: int) -> None:
        self.map = value_map
        self.days = days
        self.needles: Scrubber | None = None
        self.seen: list[tuple[int, bytes, bytes]] = []
        self.texts: list[bytes] = []
        self.numbers: list[bytes] = []
        self.uids: set[bytes] = set()
        self.originals: set[bytes] = set()


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

_NUMBER_BYTES: Final = b"0123456789+-.eE \\\0"
_UID_BYTES: Final = b"0123456789.\\\0 "
#: Shorter whole numbers are counts and indexes far more often than identifiers; IS and DS are full of them.
LONG_NUMBER: Final = 6


def collect(state: ObjectState, tag: int, vr: bytes, value: bytes) -> None:
    """Remember a removed value for the harvest."""
    if value:
        state.seen.append((tag, vr, value))


def constant(fallback: bytes | None) -> Handler:
    """Remember the value, and put `fallback` in its place (None removes)."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        if value:
            state.seen.append((tag, vr, value))
        return fallback

    return handle


def text(clean: Callable[[bytes], bytes], fallback: bytes | None) -> Handler:
    """What `clean` leaves of a text, then without harvested words; `fallback` where nothing is left."""

    def handle(state: ObjectState, _tag: int, vr: bytes, value: bytes) -> bytes | None:
        if not value:
            return value
        cleaned = clean(value)
        if state.needles is not None:
            cleaned = state.needles.scrub(cleaned, vr)
        if not cleaned.strip(b" \\\0"):
            return fallback
        state.texts.append(cleaned)
        return value if cleaned == value else cleaned

    return handle


def closed(known: Callable[[bytes], bytes], other: Handler) -> Handler:
    """For closed sets of codes: a value of known terms (`known` gives it back) stays whatever the harvest says."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        return value if known(value) == value else other(state, tag, vr, value)

    return handle


def code(fallback: bytes | None) -> Handler:
    """A code, scheme or version in a published form."""

    def clean(value: bytes) -> bytes:
        return clean_code(value) or b""

    return text(clean, fallback)


def link(clean: Callable[[bytes], bytes]) -> Handler:
    """A name that other elements refer to: as it is where clean, else a keyed identifier, the same everywhere."""

    def handle(state: ObjectState, _tag: int, vr: bytes, value: bytes) -> bytes | None:
        stripped = value.strip(b" \0")
        if not stripped:
            return value
        cleaned = clean(value).strip(b" \0")
        if cleaned != stripped or (
            state.needles is not None and state.needles.scrub(stripped, vr) != stripped
        ):
            return state.map.identifier(stripped)
        state.texts.append(stripped)
        return value

    return handle


def number(fallback: bytes | None) -> Handler:
    """IS and DS: digits only, and no identifier of the patient."""

    def handle(state: ObjectState, _tag: int, _vr: bytes, value: bytes) -> bytes | None:
        if value.translate(None, _NUMBER_BYTES):
            return fallback
        if len(value) >= LONG_NUMBER and b"." not in value:
            for one in value.split(b"\\"):
                whole = one.strip(b" \0+-")
                if len(whole) < LONG_NUMBER or not whole.isdigit():
                    continue
                if state.needles is not None and state.needles.is_number(whole):
                    return fallback
                state.numbers.append(whole)
        return value

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


def time(fallback: bytes | None) -> Handler:
    """TM as it is, where it is a time."""

    def handle(_state: ObjectState, _tag: int, _vr: bytes, value: bytes) -> bytes | None:
        return value if dates.is_time(value) else fallback

    return handle


def age(bands: bool, fallback: bytes | None) -> Handler:
    """AS in bands or with the oldest together."""

    def handle(_state: ObjectState, _tag: int, _vr: bytes, value: bytes) -> bytes | None:
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


def class_uid(fallback: bytes | None) -> Handler:
    """UIDs that name a kind: as they are, where they are UIDs."""

    def handle(_state: ObjectState, _tag: int, _vr: bytes, value: bytes) -> bytes | None:
        return fallback if value.translate(None, _UID_BYTES) else value

    return handle


def keyed(fallback: bytes | None) -> Handler:
    """A keyed identifier in place of each one; `fallback` for an empty value."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        if not value.strip(b" \0"):
            return fallback
        state.seen.append((tag, vr, value))
        return state.map.identifier(value)

    return handle


def patient_id(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
    """A patient ID below the top level: the pseudonym of that ID without issuer."""
    if not value.strip(b" \0"):
        return b""
    state.seen.append((tag, vr, value))
    return state.map.pseudonym(b"", value, b"")
