"""What the verifier expects of a level: from Table E.1-1 and the words of the levels, not from the engine's rules."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from wardlight.deid.standard import attributes, element_types, known_elements, safe_private

#: The columns of Table E.1-1 that each level allows besides the Basic Profile.
_ALLOWED: Final[dict[str, frozenset[str]]] = {
    "high": frozenset(("modified_dates", "descriptors", "patient")),
    "medium": frozenset(("modified_dates", "descriptors", "patient", "safe_private", "graphics")),
    "low": frozenset(("full_dates", "descriptors", "patient", "device", "safe_private", "graphics")),
}
#: Of the patient's characteristics `high` keeps sex and age.
_HIGH_PATIENT: Final = frozenset((0x00100040, 0x00101010))
#: UIDs that name kinds, by tag.
CLASS_UIDS: Final = frozenset(
    (
        *(0x00080016, 0x0008001A, 0x0008001B, 0x00080062, 0x0008010C, 0x00080117, 0x00080118, 0x00081150),
        *(0x00083002, 0x00020002, 0x00041510, 0x00041512, 0x0008115A, 0x04000010, 0x04000510, 0x0008010D),
    )
)
#: Elements every output must have at its top level.
MARKERS: Final = (0x00120062, 0x00120063, 0x00120064, 0x00280303)
_TEXT_VRS: Final = frozenset(("AE", "LO", "LT", "OB", "SH", "ST", "UC", "UN", "UR", "UT"))


@dataclass(frozen=True, slots=True)
class Expectations:
    """What may stand in an output of a level.

    absent: tags that must not be there. changed: tags whose value must be empty or another than the input's.
    known: all tags the standard knows. private: (creator, group, last byte) allowed, None for no private element.
    modified_dates: dates must have moved. kept_uids: tags whose UIDs may stay.
    """

    absent: frozenset[int]
    changed: frozenset[int]
    known: frozenset[int]
    private: frozenset[tuple[bytes, int, int]] | None
    modified_dates: bool
    kept_uids: frozenset[int]


@cache
def expectations(level: str) -> Expectations:
    """Those of high, medium or low; KeyError for another level."""
    allowed = _ALLOWED[level]
    absent: set[int] = set()
    changed: set[int] = set()
    kept_uids = set(CLASS_UIDS)
    for spelled, _name, _retired, _standard, cells in attributes.ROWS:
        if spelled == "private" or "x" in spelled:
            continue
        tag = int(spelled, 16)
        actions = dict(zip(attributes.COLUMNS, cells, strict=True))
        options = {option for option in allowed if actions[option]}
        if level == "high" and tag not in _HIGH_PATIENT:
            options.discard("patient")
        if any(actions[option] == "K" for option in options):
            kept_uids.add(tag)
        elif options:
            continue
        elif actions["basic"] == "X":
            absent.add(tag)
        elif actions["basic"] not in ("U", "X/Z/U*"):
            changed.add(tag)
    listed = {int(row[0], 16) for row in attributes.ROWS if row[0] != "private" and "x" not in row[0]}
    tags = {int(tag, 16) for row in known_elements.TAGS.values() for tag in row.split()}
    changed |= {int(tag, 16) for tag in known_elements.TAGS["PN"].split()} - absent
    if level != "low":
        changed |= _unlisted() - listed
    private = frozenset((c.encode(), g, e) for c, g, e, *_ in safe_private.SAFE_PRIVATE)
    return Expectations(
        absent=frozenset(absent),
        changed=frozenset(changed),
        known=frozenset(tags | listed),
        private=private if "safe_private" in allowed else None,
        modified_dates="modified_dates" in allowed,
        kept_uids=frozenset(kept_uids),
    )


@cache
def _unlisted() -> frozenset[int]:
    """Elements that could carry text and are not on the allowlist."""
    text = (files("wardlight.deid") / "profiles" / "allowlist.toml").read_text("utf-8")
    data = tomllib.loads(text)
    listed = {
        keyword
        for name in ("as_is", "vocabulary", "code", "link", "binary")
        for keyword in data[name]["keywords"]
    }
    textual = {
        int(tag, 16)
        for vr in _TEXT_VRS & known_elements.TAGS.keys()
        for tag in known_elements.TAGS[vr].split()
    }
    rows = (line.split(" ", 1) for line in known_elements.NAMED.splitlines())
    return frozenset(int(tag, 16) for tag, keyword in rows if keyword not in listed) & textual


@cache
def required(sop_class: str) -> tuple[frozenset[int], frozenset[int]]:
    """Top-level tags of type 1 and of type 2 of a SOP class; empty for one that the table does not know."""
    iods = dict(line.split(" ") for line in element_types.SOP_CLASSES.splitlines())
    wanted = iods.get(sop_class)
    modules = element_types.MODULES.splitlines()
    ones: set[int] = set()
    twos: set[int] = set()
    for line in element_types.IODS.splitlines():
        iod, numbers = line.split("|")
        if iod == wanted:
            for number in numbers.split():
                _, first, second = modules[int(number)].split("|")
                ones |= {int(tag, 16) for tag in first.split()}
                twos |= {int(tag, 16) for tag in second.split()}
    return frozenset(ones), frozenset(twos - ones)
