"""Profiles: what a privacy level does, as data (profiles/*.toml), read and checked when loaded."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from wardlight.deid.standard import attributes
from wardlight.dicom.dictionary import tag_of
from wardlight.dicom.uid import UID_NAMES

LEVELS: Final = ("high", "medium", "low")
#: Options a profile may name: the columns of Table E.1-1 besides the Basic Profile.
OPTIONS: Final = tuple(column for column in attributes.COLUMNS if column != "basic")
#: Options whose columns the engine does not carry out, since UIDs and institution are never kept by a level, and since
#: structured content is quarantined. A profile that names one is refused rather than believed.
NOT_OFFERED: Final = frozenset({"uids", "institution", "structured"})
ACTIONS: Final = ("remove", "empty", "dummy", "keep", "clean")
#: Longest profile file, in bytes.
LARGEST_FILE: Final = 1 << 20
_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "level": LEVELS,
    "times": ("drop", "keep"),
    "ages": ("bands", "over-89"),
    "text": ("vocabulary", "identifiers"),
    "unlisted": ("remove", "numbers", "keep"),
    "pixels": ("strict", "likely"),
}
_FOLDER: Final = files("wardlight.deid") / "profiles"


class ProfileError(ValueError):
    """A profile that cannot be used; the text says which key and why, and names no path."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One way to de-identify.

    level: high, medium or low; what verifier and platform call the output. options: columns of Table E.1-1 in force
    besides the Basic Profile. patient: tags the option Retain Patient Characteristics keeps, None for its whole column.
    overrides: tag → action of `ACTIONS`, above everything else.
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


def load_profile(name: str | Path) -> Profile:
    """A built-in profile by its name, or one from a TOML file. Raises ProfileError.

    A file may say `inherit = "<built-in name>"` and then needs only what differs.
    """
    if isinstance(name, str) and name in LEVELS:
        return _built_in(name)
    path = Path(name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ProfileError(f"the profile cannot be read: {error.strerror}") from None
    return parse_profile(content)


@cache
def _built_in(name: str) -> Profile:
    return parse_profile((_FOLDER / f"{name}.toml").read_bytes())


def parse_profile(content: bytes) -> Profile:
    """A profile from TOML text. Raises ProfileError where a key is unknown, missing or has no allowed value."""
    if len(content) > LARGEST_FILE:
        raise ProfileError("the profile is larger than 1 MiB")
    try:
        data = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"not TOML: {error}") from None
    parent = data.pop("inherit", None)
    if parent is not None and parent not in LEVELS:
        raise ProfileError(f"inherit: one of {', '.join(LEVELS)}")
    base = _built_in(parent) if parent is not None else None
    fields = _fields(data, required=base is None)
    if base is None:
        return Profile(**fields)
    if "overrides" in fields:
        fields["overrides"] = {**base.overrides, **fields["overrides"]}
    return replace(base, **fields)


def _fields(data: dict[str, Any], *, required: bool) -> dict[str, Any]:
    """The fields of a Profile from parsed TOML; with `required` those that are absent are an error or a default."""
    fields: dict[str, Any] = {}
    known = {*_CHOICES, "name", "options", "faces", "patient", "override"}
    for key, value in data.items():
        if key not in known:
            raise ProfileError(f"{key}: unknown key")
        if key in _CHOICES:
            if value not in _CHOICES[key]:
                raise ProfileError(f"{key}: one of {', '.join(_CHOICES[key])}")
            fields[key] = value
        elif key == "options":
            fields["options"] = _options(value)
        elif key == "patient":
            fields["patient"] = frozenset(tags_of(value))
        elif key == "override":
            fields["overrides"] = _overrides(value)
        elif not isinstance(value, bool if key == "faces" else str) or value == "":
            raise ProfileError(f"{key}: {'true or false' if key == 'faces' else 'a text'} is needed")
        else:
            fields[key] = value
    if required:
        fields = {"patient": None, "overrides": {}, **fields}
        missing = {*_CHOICES, "name", "options", "faces"} - fields.keys()
        if missing:
            raise ProfileError(f"missing: {', '.join(sorted(missing))}")
    return fields


def _options(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise ProfileError("options: a list is needed")
    for option in value:
        if option not in OPTIONS:
            raise ProfileError(f"options: any of {', '.join(OPTIONS)}")
        if option in NOT_OFFERED:
            raise ProfileError(f"options: {option} is not offered")
    if {"full_dates", "modified_dates"} <= set(value):
        raise ProfileError("options: full_dates and modified_dates exclude each other")
    return frozenset(value)


def _overrides(value: object) -> dict[int, str]:
    if not isinstance(value, list):
        raise ProfileError("override: write [[override]] tables")
    found: dict[int, str] = {}
    for row in value:
        if not isinstance(row, dict) or not row.keys() <= {"keyword", "action", "reason"}:
            raise ProfileError("override: keyword, action and reason")
        if row.get("action") not in ACTIONS:
            raise ProfileError(f"override: action is one of {', '.join(ACTIONS)}")
        (tag,) = tags_of([row.get("keyword")])
        found[tag] = row["action"]
    return found


def tags_of(keywords: object) -> list[int]:
    """Tags of keywords of PS3.6, or of eight hexadecimal digits. Raises ProfileError for an unknown one."""
    if not isinstance(keywords, list):
        raise ProfileError("a list of keywords is needed")
    tags: list[int] = []
    for keyword in keywords:
        tag = tag_of(keyword) if isinstance(keyword, str) else None
        if tag is None:
            try:
                tag = int(keyword, 16) if isinstance(keyword, str) and len(keyword) == 8 else None
            except ValueError:
                tag = None
        if tag is None:
            raise ProfileError(f"{keyword}: no keyword of the standard and no tag")
        tags.append(tag)
    return tags


@dataclass(frozen=True, slots=True)
class Allowlist:
    """profiles/allowlist.toml: how elements in no row of the table are kept, by tag or by group and VR."""

    structure: frozenset[tuple[int, bytes]]
    structure_tags: frozenset[int]
    removed: frozenset[int]
    as_is: frozenset[int]
    vocabulary: frozenset[int]
    code: frozenset[int]
    link: frozenset[int]
    binary: frozenset[int]
    class_uids: frozenset[int]
    keyed: frozenset[int]
    dummy_code: frozenset[int]


@dataclass(frozen=True, slots=True)
class HarvestLists:
    """profiles/harvest.toml: whose values are searched for, where not, and which words are too common to be."""

    identifiers: frozenset[int]
    places: frozenset[int]
    dates: frozenset[int]
    exempt: frozenset[int]
    structural: frozenset[int]
    common: frozenset[str]
    particles: frozenset[str]


@cache
def allowlist() -> Allowlist:
    """The built-in allowlist."""
    data = tomllib.loads((_FOLDER / "allowlist.toml").read_text("utf-8"))
    rows = data["structure"]
    return Allowlist(
        structure=frozenset(
            (int(group, 16), vr.encode())
            for row in rows
            for group in row.get("groups", ())
            for vr in row["vrs"]
        ),
        structure_tags=frozenset(tag for row in rows for tag in tags_of(row.get("keywords", []))),
        removed=frozenset(tag for row in data["remove"] for tag in tags_of(row["keywords"])),
        **{
            name: frozenset(tags_of(data[name]["keywords"]))
            for name in ("as_is", "vocabulary", "code", "link", "binary", "class_uids", "keyed", "dummy_code")
        },
    )


@cache
def class_uids() -> frozenset[bytes]:
    """UIDs that name a kind: those of PS3.6 and of profiles/class_uids.txt."""
    lines = (_FOLDER / "class_uids.txt").read_text("ascii").splitlines()
    return frozenset(uid.encode() for uid in (*UID_NAMES, *(line for line in lines if line[:1] != "#")))


@cache
def harvest_lists() -> HarvestLists:
    """The built-in harvest lists."""
    data = tomllib.loads((_FOLDER / "harvest.toml").read_text("utf-8"))
    return HarvestLists(
        common=frozenset(data["places"]["common"].split()),
        particles=frozenset(data["places"]["particles"].split()),
        **{
            name: frozenset(tags_of(data[name]["keywords"]))
            for name in ("identifiers", "places", "dates", "exempt", "structural")
        },
    )
