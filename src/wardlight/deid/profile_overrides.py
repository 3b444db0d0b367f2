"""One [[override]] of a profile: read, checked, and put where the engine looks for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from wardlight.deid.profile_legal import no_element, not_allowed, not_allowed_private
from wardlight.deid.profile_lines import Place
from wardlight.deid.profile_model import ACTIONS, Override, Profile, ProfileError
from wardlight.deid.profile_suggest import suggestion
from wardlight.dicom.dictionary import keyword_of, keywords, tag_of, vr_of
from wardlight.dicom.uid import STORAGE_SOP_CLASSES, is_valid_uid
from wardlight.dicom.vr import ALL_VRS

#: Keys of an [[override]] and what each is for.
OVERRIDE_KEYS: Final[dict[str, str]] = {
    "keyword": "an element of the standard by its keyword",
    "tag": "an element of the standard by its tag, as 00081030 or 60xx0022",
    "vr": "all elements of a VR",
    "private_creator": "private elements of this creator",
    "element": "with private_creator: only this element, as xx0C or 0019xx0C",
    "sop_class": "only in objects of this SOP class, by UID or name",
    "modality": "only in objects of this modality",
    "action": "what happens",
    "reason": "why, for people who ask",
}
SELECTORS: Final = ("keyword", "tag", "vr", "private_creator")
LONGEST: Final = 200
_HEX: Final = re.compile(r"[0-9A-F]{8}")
_REPEATING: Final = re.compile(r"(50|60)XX([0-9A-F]{4})")
_ELEMENT: Final = re.compile(r"([0-9A-F]{4})?(?:XX)?([0-9A-F]{2})")
_CREATOR: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,62}[\x21-\x7e])?")
_MODALITY: Final = re.compile(r"[A-Z0-9_ ]{1,16}")
#: (key of the override, why) → an error with its line.
Wrong = Callable[[str, str], ProfileError]


def override_of(row: dict[str, Any], line: int, wrong: Wrong) -> Override:
    """An override from its table. Raises what `wrong` makes."""
    for key, value in row.items():
        if key not in OVERRIDE_KEYS:
            raise wrong(key, f"{key}: unknown key{suggestion(key, OVERRIDE_KEYS)}")
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not value.isprintable():
            raise wrong(key, f"{key}: a text of 1 to {LONGEST} characters is needed")
    action = row.get("action")
    if action not in ACTIONS:
        raise wrong("action", f"action is one of {', '.join(ACTIONS)}{suggestion(action, ACTIONS)}")
    chosen = [key for key in SELECTORS if key in row]
    if len(chosen) != 1:
        raise wrong(chosen[1] if chosen else "", f"one of {', '.join(SELECTORS)} is needed, and one only")
    found = Override(
        action,
        row.get("reason", ""),
        sop_class=_sop_class(row, wrong),
        modality=_modality(row, wrong),
        line=line,
    )
    if "vr" in row:
        return replace(found, vr=_vr(row["vr"], wrong))
    if "private_creator" in row:
        return _private(found, row, wrong)
    if "element" in row:
        raise wrong("element", "element goes with private_creator")
    return replace(found, tags=_tags(row[chosen[0]], chosen[0], wrong))


def _sop_class(row: dict[str, str], wrong: Wrong) -> str:
    given = row.get("sop_class", "")
    found = sop_class_of(given)
    if given and not found:
        raise wrong(
            "sop_class", f"sop_class: no UID and no name of one{suggestion(given, sop_class_names())}"
        )
    return found


def sop_class_names() -> list[str]:
    """Names of SOP classes as keywords, as CTImageStorage."""
    return [_joined(name) for name in STORAGE_SOP_CLASSES.values()]


def sop_class_of(text: str) -> str:
    """The UID of a SOP class by UID or name, "" for no such. Case, spaces and the word Storage may be left out."""
    if is_valid_uid(text):
        return text
    wanted = _joined(text).lower()
    if not wanted:
        return ""
    for uid, name in STORAGE_SOP_CLASSES.items():
        folded = _joined(name).lower()
        if wanted in (folded, folded.replace("storage", "")):
            return uid
    return ""


def _joined(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", name)


def _modality(row: dict[str, str], wrong: Wrong) -> str:
    given = row.get("modality", "")
    if given and not _MODALITY.fullmatch(given):
        raise wrong("modality", "modality: a code of capitals is needed, as CT")
    return given.strip()


def _vr(text: str, wrong: Wrong) -> bytes:
    vr = text.encode()
    if vr not in ALL_VRS:
        raise wrong("vr", f"vr: one of {', '.join(sorted(one.decode() for one in ALL_VRS))}")
    return vr


def _private(found: Override, row: dict[str, str], wrong: Wrong) -> Override:
    creator = row["private_creator"]
    if not _CREATOR.fullmatch(creator):
        raise wrong("private_creator", "private_creator: up to 64 characters of ASCII are needed")
    why = not_allowed_private(found.action)
    if why:
        raise wrong("action", why)
    group = element = -1
    if "element" in row:
        group, element = private_element_of(row["element"])
        if element < 0:
            raise wrong("element", "element: as xx0C, or with its odd group as 0019xx0C")
    return replace(found, creator=creator.encode(), group=group, element=element)


def private_element_of(text: str) -> tuple[int, int]:
    """(group or -1, last byte) of a private element as 0019xx0C, xx0C or 0C; (-1, -1) where it is none."""
    match = _ELEMENT.fullmatch(_plain(text))
    if match is None:
        return -1, -1
    group = int(match[1], 16) if match[1] else -1
    return (group, int(match[2], 16)) if group & 1 else (-1, -1)


def _plain(text: str) -> str:
    return text.strip().strip("()").replace(",", "").replace(" ", "").upper()


def tags_named(text: str) -> tuple[int, ...]:
    """Tags of a keyword, a tag, or a repeating group as 60xx3000 (all 128 of it); none for what is neither."""
    tag = tag_of(text)
    if tag is not None:
        return (tag,)
    plain = _plain(text)
    if _HEX.fullmatch(plain):
        return (int(plain, 16),)
    match = _REPEATING.fullmatch(plain)
    if match is not None:
        return tuple(int(f"{match[1]}{low:02X}{match[2]}", 16) for low in range(0, 256, 2))
    for first in (0x50000000, 0x60000000):
        found = next((first | e for e in range(0x10000) if keyword_of(first | e) == text), None)
        if found is not None:
            return tuple(found | low << 16 for low in range(0, 256, 2))
    return ()


def _tags(text: str, key: str, wrong: Wrong) -> tuple[int, ...]:
    tags = tags_named(text)
    if not tags:
        near = suggestion(text, keywords()) if key == "keyword" else ""
        raise wrong(key, f"{text}: no keyword of the standard and no tag{near}")
    why = no_element(tags[0])
    if why:
        raise wrong(key, f"{text}: {why}")
    return tags


def combined(profile: Profile, found: list[Override]) -> Profile:
    """The profile with these overrides, over those it has."""
    overrides, reasons = dict(profile.overrides), dict(profile.reasons)
    rules = list(profile.rules)
    for one in found:
        if one.tags and not one.narrowness:
            overrides.update(dict.fromkeys(one.tags, one.action))
            reasons.update(dict.fromkeys(one.tags, one.reason))
        else:
            rules.append(one)
    return replace(profile, overrides=overrides, reasons=reasons, rules=tuple(rules))


def check_legal(profile: Profile, found: list[Override], wrong: Callable[[Place, str], ProfileError]) -> None:
    """Raise for an action that its element must not have, and for two overrides of the same."""
    seen: dict[tuple[object, ...], int] = {}
    for number, one in enumerate(found):
        why = ""
        for tag in one.tags or ((0,) if one.vr else ()):
            vr = one.vr or vr_of(tag)
            why = why or not_allowed(tag, vr, one.action, profile.options)
        if why:
            raise wrong(("override", number, "action"), f"override: {one.action}: {why}")
        where = (one.vr, one.creator, one.group, one.element, one.sop_class, one.modality)
        for tag in one.tags or (0,):
            first = seen.setdefault((tag, *where), number)
            if first != number:
                raise wrong(("override", number), f"override: the same as on line {found[first].line}")
