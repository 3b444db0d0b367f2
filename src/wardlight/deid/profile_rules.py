"""Which override holds for an element of an object: the order of precedence, in one place.

1. a public element by its tag (or repeating group), 2. private elements by creator and element, 3. by creator,
4. all elements of a VR. Within each of these an override for a SOP class and a modality goes before one for a SOP
class, that before one for a modality, that before one for all objects; and a private element with its group before
one without. A site's override goes before the same of the level it inherits.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from wardlight.deid.profile_legal import FIXED
from wardlight.deid.profile_model import Override, Profile
from wardlight.dicom.dictionary import vr_of

#: Private creator, group, last byte of the element; group and byte are -1 where they are left open.
PrivatePlace = tuple[bytes, int, int]
_TAKE_AWAY: Final = ("remove", "empty", "dummy")


def holding(profile: Profile, sop_class: str, modality: str) -> tuple[int, ...]:
    """Places in `profile.rules` of those that hold in an object: what tells apart objects with other rules."""
    return tuple(n for n, rule in enumerate(profile.rules) if rule.holds(sop_class, modality))


class Applied:
    """The overrides that hold in one kind of object, one for each thing that can be overridden.

    tags: by public tag; vrs: by VR; private: by private creator and element.
    """

    def __init__(self, profile: Profile, numbers: tuple[int, ...]) -> None:
        tags = {
            tag: Override(action, profile.reasons.get(tag, ""), (tag,))
            for tag, action in profile.overrides.items()
        }
        vrs: dict[bytes, Override] = {}
        private: dict[PrivatePlace, Override] = {}
        # The narrowest last; of equals the later one, which is the site's.
        for rule in sorted((profile.rules[number] for number in numbers), key=lambda rule: rule.narrowness):
            tags.update(dict.fromkeys(rule.tags, rule))
            if rule.vr:
                vrs[rule.vr] = rule
            if rule.creator:
                private[rule.creator, rule.group, rule.element] = rule
        self.tags: Final[Mapping[int, Override]] = MappingProxyType(tags)
        self.vrs: Final[Mapping[bytes, Override]] = MappingProxyType(vrs)
        self.private: Final[Mapping[PrivatePlace, Override]] = MappingProxyType(private)

    def of(self, tag: int) -> Override | None:
        """The override of a public element, None where there is none."""
        found = self.tags.get(tag)
        if found is None and self.vrs and tag not in FIXED:
            found = self.vrs.get(vr_of(tag))
        return found

    def of_private(self, creator: bytes, group: int, element: int, vr: bytes = b"") -> Override | None:
        """The override of a private element. element: its last byte. vr: b"" where no table knows it.

        An override by VR only takes away: what stays of private elements is named one by one.
        """
        get = self.private.get
        found = get((creator, group, element)) or get((creator, -1, element)) or get((creator, -1, -1))
        if found is None and (by_vr := self.vrs.get(vr)) is not None and by_vr.action in _TAKE_AWAY:
            return by_vr
        return found
