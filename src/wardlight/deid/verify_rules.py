"""What the verifier expects of a level: from Table E.1-1 and the words of the levels, not from the engine's rules."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Final

from wardlight.deid.standard import attributes, element_types, known_elements, safe_private

#: The columns of Table E.1-1 that each level allows besides the Basic Profile.
ALLOWED: Final[dict[str, frozenset[str]]] = {
    "high": frozenset(("modified_dates", "descriptors", "patient", "structured")),
    "medium": frozenset(
        ("modified_dates", "descriptors", "patient", "safe_private", "graphics", "structured")
    ),
    "low": frozenset(
        ("full_dates", "descriptors", "patient", "device", "safe_private", "graphics", "structured")
    ),
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
#: Elements, besides every PN, whose whole values identify the patient or the place, where the level does not keep them.
IDENTIFYING: Final = frozenset(
    (
        *(0x00080050, 0x00080080, 0x00080081, 0x00081010, 0x00081040, 0x00100020, 0x00100021, 0x00101000),
        *(0x00101040, 0x00102154, 0x00200010, 0x00380010, 0x00401001, 0x00402016, 0x00402017, 0x00181000),
    )
)
#: Those of them that are numbers or hold one by which a person is known; the others are places.
NUMBERED: Final = IDENTIFYING - {0x00080080, 0x00080081, 0x00081010, 0x00081040, 0x00100021, 0x00101040}
#: Groups of messages, files and real-time video, which are no part of a stored data set.
_FOREIGN: Final = frozenset((0x0000, 0x0002, 0x0004, 0x0006))
#: Codes, and the scheme they are of.
CODE_VALUES: Final = frozenset((0x00080100, 0x00080119))
CODING_SCHEME: Final = 0x00080102
#: The numbers of context groups and templates of PS3.16.
RESOURCES: Final = frozenset((0x0008010F, 0x0040DB00))
_ZONE: Final = 0x00080201
#: The name of a layer, under the VR of a code.
_GRAPHIC_LAYER: Final = 0x00700002
CHARSET: Final = 0x00080005
BIRTH_DATE: Final = 0x00100030
#: Elements every output must have at its top level.
MARKERS: Final = (0x00120062, 0x00120063, 0x00120064, 0x00280303)
_WORDED: Final = frozenset(("CS", "LO", "LT", "SH", "ST", "UC", "UT"))
_TEXT_VRS: Final = frozenset(("AE", "LO", "LT", "OB", "SH", "ST", "UC", "UN", "UR", "UT"))


_ICC_PROFILE: Final = 0x00282000
# What is looked at in an element of a tag; plain numbers, since an enum's operators cost more than the checks.
ABSENT: Final = 1
CHANGED: Final = 2
UID: Final = 4
DATE: Final = 8
IDENTIFIES: Final = 16
WORDS: Final = 32
CLASS: Final = 64
CODE: Final = 128
HOLLOW: Final = 256
COLOUR: Final = 512
#: What an output says of its method, and its input said already where that was such an output, too.
SAID: Final = re.compile(rb"Wardlight (?:high|medium|low), PS3\.15 20[0-9]{2}[a-z]")
#: Checks that need the input's value.
COMPARED: Final = CHANGED | UID | DATE | CLASS


@dataclass(frozen=True, slots=True)
class Expectations:
    """What may stand in an output of a level.

    checks: what is looked at, for every tag the standard knows; a tag without an entry must not be there. ABSENT: must
    not be there either; CHANGED: empty, or another value than the input's; UID: a new one; DATE: moved, where
    `modified_dates`; IDENTIFIES: its values in the input are searched for; WORDS: nothing but words of the vocabulary
    and small numbers; CLASS: the UID of a kind; CODE: of a published scheme; HOLLOW: empty, or a value that says
    nothing; COLOUR: a profile of numbers alone. private: VR by (creator, group, last byte)
    of allowed elements, None for none. sought: of the checks those whose values in the input must not be found, and
    birth date and character sets. compared: tags whose value in the input is needed. vocabulary: whether text of
    private elements is held to it as well.

    Of an institution's own profile (`verify_site`): own: what may be with private elements by creator, group and last
    byte, these -1 where left open; words, terms: that may stand besides the built-in ones; said: its method.
    """

    checks: Mapping[int, int]
    private: Mapping[tuple[bytes, int, int], str] | None
    modified_dates: bool
    vocabulary: bool
    sought: Mapping[int, int]
    compared: frozenset[int]
    own: Mapping[tuple[bytes, int, int], str] = field(default_factory=dict)
    words: frozenset[bytes] = frozenset()
    terms: frozenset[bytes] = frozenset()
    said: re.Pattern[bytes] = SAID


def _row_check(actions: Mapping[str, str], options: set[str]) -> int:
    """What a row of the table asks for under the options in force."""
    if any(actions[option] == "K" for option in options):
        return -1
    if options:
        return 0
    if actions["basic"] == "X":
        return ABSENT
    return 0 if actions["basic"] in ("U", "X/Z/U*") else CHANGED


@cache
def expectations(level: str) -> Expectations:
    """Those of high, medium or low; KeyError for another level."""
    allowed = ALLOWED[level]
    vr_of = {int(tag, 16): vr for vr, tags in known_elements.TAGS.items() for tag in tags.split()}
    checks = dict.fromkeys(vr_of, 0)
    kept: set[int] = set(CLASS_UIDS)
    for spelled, _name, _retired, _standard, cells in attributes.ROWS:
        if spelled == "private" or "x" in spelled:
            continue
        tag = int(spelled, 16)
        actions = dict(zip(attributes.COLUMNS, cells, strict=True))
        options = {option for option in allowed if actions[option]}
        if level == "high" and tag not in _HIGH_PATIENT:
            options.discard("patient")
        if vr_of.get(tag) == "OB" and actions["basic"] == "X":
            # Bytes cannot be cleaned, only kept or gone.
            options = {option for option in options if actions[option] == "K"}
        check = _row_check(actions, options)
        checks[tag] = max(check, 0)
        kept |= {tag} if check < 0 else set()
    listed = {int(row[0], 16) for row in attributes.ROWS if row[0] != "private" and "x" not in row[0]}
    unlisted, wordless = _unlisted() - listed, kept | _free()
    for tag, vr in vr_of.items():
        if vr == "PN" and not checks[tag]:
            checks[tag] = CHANGED
        elif vr == "UI" and tag not in kept:
            checks[tag] |= UID
        elif vr in ("DA", "DT"):
            checks[tag] |= DATE
        if vr == "PN" or (tag in IDENTIFYING and checks[tag] & (ABSENT | CHANGED)):
            checks[tag] |= IDENTIFIES
        if tag in CLASS_UIDS:
            checks[tag] |= CLASS
        if level == "low":
            continue
        if tag in unlisted:
            checks[tag] |= CHANGED
        elif tag in CODE_VALUES or tag == CODING_SCHEME:
            checks[tag] |= CODE
        elif tag == _ICC_PROFILE:
            checks[tag] |= COLOUR
        elif vr in _WORDED and tag not in wordless and not checks[tag] & (ABSENT | CHANGED):
            checks[tag] |= WORDS
    checks = {tag: check for tag, check in checks.items() if tag >> 16 not in _FOREIGN}
    wanted = IDENTIFIES | UID | CLASS | (DATE if "modified_dates" in allowed else 0)
    sought = {tag: check & wanted for tag, check in checks.items() if check & wanted}
    sought |= {CHARSET: DATE, BIRTH_DATE: DATE}
    private = {(c.encode(), g, e): vr for c, g, e, vr, *_ in safe_private.SAFE_PRIVATE}
    return Expectations(
        checks=checks,
        private=private if "safe_private" in allowed else None,
        modified_dates="modified_dates" in allowed,
        vocabulary=level != "low",
        sought=sought,
        compared=frozenset(tag for tag, check in checks.items() if check & COMPARED),
    )


@cache
def _lists() -> tuple[dict[str, set[str]], dict[str, int]]:
    """The allowlist's keywords by the name of their list, and tags by keyword."""
    text = (files("wardlight.deid") / "profiles" / "allowlist.toml").read_text("utf-8")
    lists = {
        name: set(part["keywords"]) for name, part in tomllib.loads(text).items() if isinstance(part, dict)
    }
    rows = (line.split(" ", 1) for line in known_elements.NAMED.splitlines())
    return lists, {keyword: int(tag, 16) for tag, keyword in rows}


@cache
def structural() -> frozenset[int]:
    """Numbers on which reading the image depends."""
    data = tomllib.loads((files("wardlight.deid") / "profiles" / "harvest.toml").read_text("utf-8"))
    return frozenset(int(tag, 16) for tag in data["structural"]["keywords"])


@cache
def _free() -> frozenset[int]:
    """Elements whose text is no descriptor: names of makers, codes, keyed identifiers, the output's own."""
    lists, tags = _lists()
    keywords = lists["as_is"] | lists["code"] | lists["link"] | lists["keyed"]
    named = {tags[keyword] for keyword in keywords if keyword in tags}
    return frozenset(named | {_ZONE, _GRAPHIC_LAYER, *MARKERS, 0x00280302, 0x00100010, 0x00100020})


@cache
def _unlisted() -> frozenset[int]:
    """Elements that could carry text and are not on the allowlist."""
    lists, _ = _lists()
    listed = set().union(
        *(lists[name] for name in ("as_is", "vocabulary", "code", "link", "binary", "colour"))
    )
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
