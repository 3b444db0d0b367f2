"""What becomes of an element's value, in plain words: `actions` told to people, in the same order as its rules."""

from __future__ import annotations

from typing import Final, NamedTuple

from wardlight.deid import handlers
from wardlight.deid.actions import MARKERS, PATIENT_ID, PATIENT_NAME, settle
from wardlight.deid.profile_lists import allowlist
from wardlight.deid.profile_model import Profile
from wardlight.dicom.vr import NUMBER_SIZES

_DATES: Final = frozenset((b"DA", b"DT", b"TM"))
_BYTES: Final = frozenset((b"OB", b"OW", b"UN", b"OD", b"OF", b"OL", b"OV"))
_ZONE: Final = 0x00080201


class Outcome(NamedTuple):
    """code: stable, for programs; words: for people."""

    code: str
    words: str


REMOVED: Final = Outcome("removed", "removed")
EMPTIED: Final = Outcome("emptied", "emptied: the element stays without a value")
_UNLESS: Final = ", unless it holds something by which the object's people are known"


def outcome(tag: int, vr: bytes, kind: str, element_type: int, profile: Profile, *, top: bool) -> Outcome:
    """What happens where `actions.plan` wants `kind` and the element has this type (1, 2, 3).

    top: at the top level of an object, else inside a sequence.
    """
    if top and tag in (PATIENT_NAME, PATIENT_ID):
        return Outcome(
            "pseudonym", "replaced by the patient's pseudonym, the same for one application and level"
        )
    if tag in MARKERS:
        return Outcome("written", "removed, and written anew by Wardlight at the top level")
    kind = settle(kind, element_type)
    if kind == "X":
        return REMOVED
    if vr == b"SQ":
        return _sequence(kind)
    if kind in ("Z", "D", "keyed"):
        return _replaced(tag, vr, kind)
    return _stays(tag, vr, kind, element_type, profile)


def _sequence(kind: str) -> Outcome:
    if kind in ("Z", "empty", "dummy"):
        return EMPTIED
    if kind == "code-item":
        return Outcome("dummy", "replaced by one item with a code that says nothing")
    return Outcome("contents", "the sequence stays, and each element in it is decided by itself")


def _replaced(tag: int, vr: bytes, kind: str) -> Outcome:
    if tag in allowlist().keyed or kind == "keyed":
        return Outcome(
            "keyed",
            "replaced by a keyed identifier: the same original gives the same one, at one application",
        )
    if tag == PATIENT_ID:
        return Outcome("pseudonym", "replaced by a pseudonym")
    return EMPTIED if kind == "Z" else _dummy(vr)


def _dummy(vr: bytes) -> Outcome:
    value = handlers.DUMMY[vr]
    shown = value.decode() if value.strip(b"\0") else "0"
    return Outcome("dummy", f"replaced by a value that says nothing ({shown})")


def _stays(tag: int, vr: bytes, kind: str, element_type: int, profile: Profile) -> Outcome:
    """Where something of the value may stay, and what else happens."""
    if kind == "empty":
        return EMPTIED
    if kind == "dummy":
        return _dummy(vr)
    if kind == "U":
        return Outcome("new-uid", "replaced by a new UID, the same wherever the old one stands")
    if kind == "class":
        return Outcome(
            "kind", "stays where it names a kind of thing that is known, else replaced by a new UID"
        )
    other = {1: _dummy(vr), 2: EMPTIED, 3: REMOVED}[element_type]
    if kind == "date" or (kind == "C" and vr in _DATES):
        return _dated(vr, profile, other)
    if kind == "code":
        return Outcome(
            "code", f"stays where it is of a published coding scheme and in its form, else {other.words}"
        )
    if kind == "link":
        return Outcome("link", "stays where it is made of known words, else replaced by a keyed identifier")
    return _kept(tag, vr, kind, profile, other)


def _dated(vr: bytes, profile: Profile, other: Outcome) -> Outcome:
    if vr == b"DA":
        return Outcome("shifted", f"moved by the patient's offset; what is no date is {other.words}")
    if vr == b"DT":
        kept = "time kept" if profile.times == "keep" else "time dropped"
        return Outcome("shifted", f"moved by the patient's offset, {kept}; what is no date is {other.words}")
    if profile.times == "keep":
        return Outcome("kept", f"stays where it is a time of day, else {other.words}")
    return other


def _kept(tag: int, vr: bytes, kind: str, profile: Profile, other: Outcome) -> Outcome:
    """By what the VR can carry."""
    strict = profile.text == "vocabulary"
    if vr == b"AS":
        return (
            Outcome("age", "told in bands of five years, 90 and over as 090Y")
            if profile.ages == "bands"
            else Outcome("age", "stays up to 89 years; above as 090Y")
        )
    if vr in (b"IS", b"DS"):
        return Outcome("kept", f"stays where it is a number{_UNLESS}; else {other.words}")
    if vr in NUMBER_SIZES or vr in _BYTES:
        return Outcome("kept", f"stays{_UNLESS}; else {other.words}")
    if vr in _DATES or tag == _ZONE:
        return Outcome("kept", f"stays as written where it has the form of its VR, else {other.words}")
    if vr == b"UI":
        return Outcome("kept", f"stays{_UNLESS}")
    if strict and vr == b"CS":
        return Outcome("cleaned", f"values that are known terms stay; without any it is {other.words}")
    if strict and kind == "C":
        return Outcome(
            "cleaned", f"words of the vocabulary and small numbers stay; without any it is {other.words}"
        )
    return Outcome(
        "searched", f"stays as written, without what identifies the object's people; else {other.words}"
    )
