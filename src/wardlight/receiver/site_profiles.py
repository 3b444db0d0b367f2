"""Profiles of an institution's own in place of the built-in levels: read and checked before the receiver starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from wardlight.deid.profile import LARGEST_FILE, LEVELS, Profile, ProfileError, load_profile, parse_profile
from wardlight.errors import WardlightError

#: Files of the folder that are profiles; others, such as notes, are none of ours.
_ENDING: Final = ".toml"


@dataclass(frozen=True, slots=True)
class SiteProfiles:
    """What each level does here. own: by level, where the institution has a file for it; told: what the trail says."""

    own: Mapping[str, Profile] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)

    def of(self, level: str) -> Profile:
        """The profile of a level."""
        return self.own.get(level) or load_profile(level)


BUILT_IN: Final = SiteProfiles()


def site_profiles(folder: Path | None) -> SiteProfiles:
    """The profiles of `receiver.profiles`; none where it is not set.

    Raises `settings-unsafe` where the folder or one of its profiles cannot be used, with file, line and reason.
    """
    own: dict[str, Profile] = {}
    told: dict[str, str] = {}
    if folder is None:
        return BUILT_IN
    try:
        for file in sorted(folder.iterdir()):
            if file.suffix != _ENDING:
                continue
            level = file.stem
            if level not in LEVELS:
                raise _unusable(
                    f"only {', '.join(one + _ENDING for one in LEVELS)} may be in receiver.profiles"
                )
            with file.open("rb") as opened:
                content = opened.read(LARGEST_FILE + 1)
            own[level] = _profile(content, level)
            told[f"receiver.profiles.{level}"] = f"{own[level].name} {sha256(content).hexdigest()[:16]}"
    except OSError as error:
        raise _unusable(f"receiver.profiles cannot be read: {error.strerror}") from None
    return SiteProfiles(own, told)


def _profile(content: bytes, level: str) -> Profile:
    label = level + _ENDING
    try:
        profile = parse_profile(content, label=label)
    except ProfileError as error:
        raise _unusable(str(error)) from None
    if profile.level != level:
        raise _unusable(
            f"{label}: level: {profile.level}, and routes that say {level} would get it; inherit {level}"
        )
    if profile.options != load_profile(level).options:
        # The platform looks for the codes of all the level's options in what it takes.
        raise _unusable(
            f"{label}: options: the platform takes a level's objects with all options of the level"
        )
    return profile


def _unusable(why: str) -> WardlightError:
    return WardlightError("settings-unsafe", why)
