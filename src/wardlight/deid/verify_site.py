"""What an institution's own profile changes of what the verifier expects: told to it, never asked of the engine."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple

from wardlight.deid.standard import known_elements
from wardlight.deid.verify_rules import (
    ABSENT,
    CHANGED,
    COMPARED,
    DATE,
    HOLLOW,
    UID,
    WORDS,
    Expectations,
    expectations,
)


class Site(NamedTuple):
    """What a profile asks for in an object beside its level; of every element only what the profile names.

    kept: tags that may stay as they are; cleaned: what their VR leaves of them; hollow: empty or a value that says
    nothing; removed: likewise, or gone. private: (creator, group or -1, last byte or -1, "keep", "clean" or "empty").
    words, terms: that may stand in text and coded strings. name: of the profile.
    """

    kept: frozenset[int] = frozenset()
    cleaned: frozenset[int] = frozenset()
    hollow: frozenset[int] = frozenset()
    removed: frozenset[int] = frozenset()
    private: frozenset[tuple[bytes, int, int, str]] = frozenset()
    words: frozenset[bytes] = frozenset()
    terms: frozenset[bytes] = frozenset()
    name: str = ""


NO_SITE: Final = Site()
_SPELLED: Final = {int(tag, 16): vr for vr, tags in known_elements.TAGS.items() for tag in tags.split()}


@lru_cache(maxsize=64)
def expectations_of(level: str, site: Site) -> Expectations:
    """Those of a level, and what the site says; KeyError for another level."""
    base = expectations(level)
    if site == NO_SITE:
        return base
    checks = dict(base.checks)
    sought = dict(base.sought)
    for tag in site.kept | site.cleaned:
        checks[tag] = 0 if tag in site.kept else _cleaned(tag, base)
        sought.pop(tag, None)
        if checks[tag] & DATE and base.modified_dates:
            sought[tag] = DATE
    for tag in site.hollow | site.removed:
        known = checks.get(tag, 0)
        gone = tag in site.removed and (known & ABSENT or _SPELLED.get(tag) == "SQ")
        checks[tag] = known & ~(CHANGED | WORDS | ABSENT) | (ABSENT if gone else HOLLOW)
    return replace(
        base,
        checks=checks,
        sought=sought,
        compared=frozenset(tag for tag, check in checks.items() if check & COMPARED),
        private={} if base.private is None and site.private else base.private,
        own={place[:3]: place[3] for place in site.private},
        words=site.words,
        terms=site.terms,
        said=re.compile(rb"Wardlight %s, PS3\.15 20[0-9]{2}[a-z]" % re.escape(site.name.encode("ascii"))),
    )


def _cleaned(tag: int, base: Expectations) -> int:
    vr = _SPELLED.get(tag, "LO")
    if vr in ("DA", "DT"):
        return DATE
    if vr == "UI":
        return UID
    return 0 if vr in ("TM", "SQ") or not base.vocabulary else WORDS
