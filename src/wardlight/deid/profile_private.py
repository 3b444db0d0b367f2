"""What happens with private elements: those of Table E.3.10-1 where the profile keeps them, and those it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wardlight.deid import handlers
from wardlight.deid.profile_model import Profile
from wardlight.deid.profile_rules import Applied
from wardlight.deid.profile_words import term_cleaner, text_cleaner
from wardlight.deid.standard import safe_private
from wardlight.deid.state import ObjectState
from wardlight.dicom.rewrite import EMPTY, REMOVE, Handler, Rule
from wardlight.dicom.vr import NUMBER_SIZES

_FREE_TEXT: Final = frozenset((b"LO", b"SH", b"LT", b"ST", b"UT", b"UC"))
_BYTES: Final = frozenset((b"OB", b"OW", b"UN"))
_WIDE: Final = frozenset((b"OD", b"OF", b"OL", b"OV"))
_LookUp = Callable[[bytes, int, int], Rule | None]


def private_rules(profile: Profile, applied: Applied) -> _LookUp | None:
    """Rule by (private creator, group, last byte) of what may stay; None where no private element may."""
    safe = "safe_private" in profile.options
    if not safe and not applied.private:
        return None
    made: dict[tuple[bytes, int, int], Rule] = {}
    for name, group, element, spelled, _vm, _meaning in safe_private.SAFE_PRIVATE:
        creator, vr = name.encode(), spelled.partition("/")[0].encode() or b"UN"
        override = applied.of_private(creator, group, element, vr if safe else b"")
        if override is not None:
            made[creator, group, element] = _overridden(override.action, vr, profile)
        elif safe:
            made[creator, group, element] = _safe_rule(vr, profile)
    if not applied.private:
        return lambda creator, group, element: made.get((creator, group, element))
    own = {action: _any_vr(action, profile) for action in ("empty", "dummy", "keep", "clean")}

    def look_up(creator: bytes, group: int, element: int) -> Rule | None:
        rule = made.get((creator, group, element))
        if rule is None:
            override = applied.of_private(creator, group, element)
            rule = own.get(override.action) if override is not None else None
        return None if rule is REMOVE else rule

    return look_up


def _safe_rule(vr: bytes, profile: Profile) -> Rule:
    """The table vouches for the element; what somebody wrote into it is cleaned like any other text."""
    return _kept(vr, profile, "clean") or (vr if vr == b"SQ" else REMOVE)


def _overridden(action: str, vr: bytes, profile: Profile) -> Rule:
    """An override of an element whose VR the table knows."""
    if action == "remove":
        return REMOVE
    if vr == b"SQ":
        return vr if action in ("keep", "clean") else EMPTY
    return _any_vr(action, profile)


def _kept(vr: bytes, profile: Profile, action: str) -> Handler | None:
    """The handler of a VR that a private element may have to stay; None for names, dates and the like."""
    strict = profile.text == "vocabulary"
    if vr == b"UI":
        return handlers.uid
    if vr in _FREE_TEXT or vr == b"CS":
        clean = term_cleaner(profile) if vr == b"CS" else text_cleaner(profile)
        return handlers.padded(handlers.text(clean if strict and action == "clean" else _unchanged, None))
    if vr in (b"IS", b"DS"):
        return handlers.number(None, structural=False)
    if vr in _BYTES:
        return handlers.silent(handlers.binary(vr, strict, None))
    if vr in NUMBER_SIZES or vr in _WIDE:
        return handlers.binary(vr, strict, None)
    return None


def _any_vr(action: str, profile: Profile) -> Handler:
    """By the VR that the element turns out to have; in implicit syntaxes that is UN, bytes with no text in them."""
    if action == "empty":
        return handlers.constant(b"")
    known: dict[bytes, Handler | None] = {}

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        if action == "dummy":
            return handlers.constant(handlers.DUMMY.get(vr))(state, tag, vr, value)
        if vr not in known:
            known[vr] = _kept(vr, profile, action)
        handler = known[vr]
        if handler is None:
            return handlers.constant(None)(state, tag, vr, value)
        return handler(state, tag, vr, value)

    return handle


def _unchanged(value: bytes) -> bytes:
    return value
