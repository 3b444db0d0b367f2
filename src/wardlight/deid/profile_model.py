"""What a profile is made of; `profile` loads one, `profile_parse` reads TOML, `profile_rules` says which rule wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from wardlight.deid.standard import attributes

LEVELS: Final = ("high", "medium", "low")
#: Options a profile may name: the columns of Table E.1-1 besides the Basic Profile.
OPTIONS: Final = tuple(column for column in attributes.COLUMNS if column != "basic")
#: Options whose columns the engine does not carry out, since UIDs and institution are never kept by a level. A profile
#: that names one is refused rather than believed.
NOT_OFFERED: Final = frozenset({"uids", "institution"})
ACTIONS: Final = ("remove", "empty", "dummy", "keep", "clean", "shift", "replace-uid")
#: What has one of a few values, the strictest first: a profile may be stricter than its level, never looser.
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "times": ("drop", "keep"),
    "ages": ("bands", "over-89"),
    "text": ("vocabulary", "identifiers"),
    "unlisted": ("remove", "numbers", "keep"),
    "pixels": ("strict", "likely"),
}


class ProfileError(ValueError):
    """A profile that cannot be used; the text says which line and key and why, and names no path."""


@dataclass(frozen=True, slots=True)
class Override:
    """One [[override]] that does not simply hold for a public element of every object.

    tags: of a public element (all 128 of a repeating group); vr: every public element of a VR, and safe private
    ones that it takes away; creator: private elements of a private creator, only those of `element` (last byte) and
    `group` where these are not -1. sop_class (UID), modality: only in such objects, "" for all. line: in the file.
    """

    action: str
    reason: str = ""
    tags: tuple[int, ...] = ()
    vr: bytes = b""
    creator: bytes = b""
    group: int = -1
    element: int = -1
    sop_class: str = ""
    modality: str = ""
    line: int = 0

    @property
    def narrowness(self) -> int:
        """How narrow: SOP class and modality, SOP class, modality, neither."""
        return 2 * bool(self.sop_class) + bool(self.modality)

    def holds(self, sop_class: str, modality: str) -> bool:
        """Whether it holds in such an object; UIDs and modality without padding."""
        return self.sop_class in ("", sop_class) and self.modality in ("", modality)


@dataclass(frozen=True, slots=True)
class Profile:
    """One way to de-identify.

    level: high, medium or low; what verifier and platform call the output. options: columns of Table E.1-1 in force
    besides the Basic Profile. patient: tags the option Retain Patient Characteristics keeps, None for its whole column.
    overrides: tag → action of `ACTIONS`, for every object, above table and lists; reasons: what the profile says of
    them. rules: overrides by VR, private creator, SOP class or modality. vocabulary, terms: words (lower case) and
    values of coded strings that may stay besides the built-in ones. quarantine_faces: head CT, MR and PT, which show
    a face, are not released.
    """

    name: str
    level: str
    options: frozenset[str]
    times: str
    ages: str
    text: str
    unlisted: str
    pixels: str
    faces: bool
    patient: frozenset[int] | None
    overrides: Mapping[int, str]
    reasons: Mapping[int, str] = field(default_factory=dict)
    rules: tuple[Override, ...] = ()
    vocabulary: frozenset[bytes] = frozenset()
    terms: frozenset[bytes] = frozenset()
    quarantine_faces: bool = False
