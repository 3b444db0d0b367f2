"""Profiles: what a privacy level does, as data (profiles/*.toml), read and checked when loaded."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from wardlight.deid.profile_lists import Allowlist, HarvestLists, allowlist, class_uids, harvest_lists
from wardlight.deid.profile_model import (
    ACTIONS,
    LEVELS,
    NOT_OFFERED,
    OPTIONS,
    Override,
    Profile,
    ProfileError,
)
from wardlight.deid.profile_parse import LABEL, parse

__all__ = [
    "ACTIONS",
    "LARGEST_FILE",
    "LEVELS",
    "NOT_OFFERED",
    "OPTIONS",
    "Allowlist",
    "HarvestLists",
    "Override",
    "Profile",
    "ProfileError",
    "allowlist",
    "class_uids",
    "harvest_lists",
    "load_profile",
    "parse_profile",
]

#: Longest profile file, in bytes.
LARGEST_FILE: Final = 1 << 20
_FOLDER: Final = files("wardlight.deid") / "profiles"


def load_profile(name: str | Path, *, label: str = LABEL) -> Profile:
    """A built-in profile by its name, or one from a TOML file. Raises ProfileError.

    A file may say `inherit = "<built-in name>"` and then needs only what differs. label: what errors call the file.
    """
    if isinstance(name, str) and name in LEVELS:
        return _built_in(name)
    try:
        with Path(name).open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ProfileError(f"{label}: the profile cannot be read: {error.strerror}") from None
    return parse_profile(content, label=label)


def parse_profile(content: bytes, *, label: str = LABEL) -> Profile:
    """A profile from TOML text. Raises ProfileError with the line where a key is unknown, missing or not allowed."""
    if len(content) > LARGEST_FILE:
        raise ProfileError(f"{label}: the profile is larger than 1 MiB")
    return parse(content, _built_in, label=label)


@cache
def _built_in(name: str) -> Profile:
    return parse((_FOLDER / f"{name}.toml").read_bytes(), None, label=f"{name}.toml")
