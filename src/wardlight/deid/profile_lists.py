"""The built-in lists of profiles/*.toml and *.txt: what stays without a row of the table, what is harvested."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from wardlight.dicom.dictionary import tag_of
from wardlight.dicom.uid import UID_NAMES

_FOLDER: Final = files("wardlight.deid") / "profiles"


def tags_of(keywords: list[str]) -> list[int]:
    """Tags of keywords of PS3.6, or of eight hexadecimal digits. Raises ValueError for an unknown one."""
    return [tag if (tag := tag_of(keyword)) is not None else int(keyword, 16) for keyword in keywords]


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
    colour: frozenset[int]
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
    titles: frozenset[str]


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
            for name in (
                "as_is",
                "vocabulary",
                "code",
                "link",
                "binary",
                "colour",
                "class_uids",
                "keyed",
                "dummy_code",
            )
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
        titles=frozenset(data["places"]["titles"].split()),
        **{
            name: frozenset(tags_of(data[name]["keywords"]))
            for name in ("identifiers", "places", "dates", "exempt", "structural")
        },
    )
