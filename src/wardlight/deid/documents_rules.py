"""Rules of the elements of an encapsulated document: the document itself, what it is, and its length."""

from __future__ import annotations

from typing import Final

from wardlight.deid.documents import CHARSET, DOCUMENT, Cleaner, DocumentError, How
from wardlight.deid.profile_model import Profile
from wardlight.deid.profile_words import text_cleaner
from wardlight.deid.state import ObjectState
from wardlight.dicom.rewrite import Handler, Rule

_MIME: Final = 0x00420012
_LENGTH: Final = 0x00420015


def ruled(tag: int, rule: Rule, profile: Profile) -> Rule:
    """The rule of an element of the top level, aware of the document that the object holds."""
    if tag == DOCUMENT:
        return _document(text_cleaner(profile) if profile.text == "vocabulary" else None)
    if tag == _MIME and callable(rule):
        return _mime(rule)
    return _length(rule) if tag == _LENGTH and callable(rule) else rule


def _document(clean: Cleaner | None) -> Handler:
    """The document, written anew."""

    def handle(state: ObjectState, _tag: int, vr: bytes, value: bytes) -> bytes | None:
        if state.document is None or vr not in (b"OB", b"UN"):
            raise DocumentError("encapsulated-document")
        needles = state.needles

        def is_number(number: bytes) -> bool:
            # Also kept for the search that decides whether there is a second pass.
            state.structural.append(number)
            return needles is not None and needles.in_numbers(number, structural=True)

        how = How(
            clean,
            None if needles is None else lambda line: needles.scrub(line, b"LO", CHARSET),
            is_number,
            state.map.identifier,
        )
        made, texts = state.document.cleaned(how)
        state.charsets.add(CHARSET)
        state.texts += texts
        return value if made == value else made

    return handle


def _mime(inner: Handler) -> Handler:
    """What the document is."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        return inner(state, tag, vr, value) if state.document is None else state.document.mime

    return handle


def _length(inner: Handler) -> Handler:
    """How long the document is without its padding, as it leaves."""

    def handle(state: ObjectState, tag: int, vr: bytes, value: bytes) -> bytes | None:
        if state.document is None:
            return inner(state, tag, vr, value)
        return state.document.size.to_bytes(4, "big" if state.document.big else "little")

    return handle
