"""What the verifier is told of an institution's own profile: plain sets, in place of the level's expectations."""

from __future__ import annotations

from functools import lru_cache

from wardlight.deid.actions import known_tags
from wardlight.deid.profile_legal import FIXED
from wardlight.deid.profile_model import LEVELS, Profile
from wardlight.deid.profile_rules import Applied
from wardlight.deid.verify_site import NO_SITE, Site
from wardlight.dicom.dictionary import vr_of


def site_of(profile: Profile, applied: Applied) -> Site:
    """What a profile says of an object with these overrides; nothing for a level as it is built in."""
    if profile.name in LEVELS:
        return NO_SITE
    return _site(applied, profile.name, profile.vocabulary, profile.terms)


# `Applied` is compared by identity: one for each kind of object, made once by its de-identifier.
@lru_cache(maxsize=64)
def _site(applied: Applied, name: str, words: frozenset[bytes], terms: frozenset[bytes]) -> Site:
    actions = {tag: one.action for tag, one in applied.tags.items()}
    if applied.vrs:
        by_vr = {tag: applied.vrs.get(vr_of(tag)) for tag in known_tags() if tag not in FIXED}
        actions = {tag: one.action for tag, one in by_vr.items() if one is not None} | actions

    def having(*wanted: str) -> frozenset[int]:
        return frozenset(tag for tag, action in actions.items() if action in wanted)

    return Site(
        kept=having("keep"),
        cleaned=having("clean", "shift"),
        hollow=having("empty", "dummy"),
        removed=having("remove"),
        private=frozenset((*place, one.action) for place, one in applied.private.items()),
        words=words,
        terms=terms,
        name=name,
    )
