"""The cleaners of a profile: those of `descriptors` with the words an institution added, and a bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final, TypeAlias

from wardlight.deid.descriptors import Words, clean_terms, clean_text
from wardlight.deid.profile_model import Profile

Cleaner: TypeAlias = Callable[[bytes], bytes]
#: Longest text whose cleaned form is remembered, in bytes, and how many are: 8 MiB of values for each way to clean.
_REMEMBERED_LENGTH: Final = 4096
_REMEMBERED: Final = 2048
#: Profiles whose cleaners are kept; more than that are in use nowhere.
_PROFILES: Final = 16


def text_cleaner(profile: Profile) -> Cleaner:
    """`clean_text` of a profile; a value that only differs in padding is given back unchanged."""
    return _text(profile.vocabulary)


def term_cleaner(profile: Profile) -> Cleaner:
    """`clean_terms` of a profile, likewise."""
    return _terms(profile.vocabulary, profile.terms)


# What a cleaner remembers holds for its words only, so each set of words has a cleaner of its own.
@lru_cache(_PROFILES)
def _text(more: Words) -> Cleaner:
    return remembering(partial(clean_text, more=more))


@lru_cache(_PROFILES)
def _terms(more: Words, own: Words) -> Cleaner:
    return remembering(partial(clean_terms, more=more, own=own))


def remembering(clean: Cleaner) -> Cleaner:
    def cleaned(value: bytes) -> bytes:
        cleaned = clean(value)
        return value if cleaned == value.rstrip(b" \0") else cleaned

    remembered = lru_cache(maxsize=_REMEMBERED)(cleaned)
    return lambda value: remembered(value) if len(value) <= _REMEMBERED_LENGTH else cleaned(value)
