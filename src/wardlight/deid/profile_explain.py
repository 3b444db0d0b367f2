"""Why an element is treated as it is: table, lists and overrides, and what the verifier looks at afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from wardlight.deid import actions
from wardlight.deid.profile_legal import FIXED
from wardlight.deid.profile_model import Override, Profile
from wardlight.deid.profile_outcome import EMPTIED, REMOVED, Outcome, outcome
from wardlight.deid.profile_overrides import private_element_of, sop_class_names, sop_class_of, tags_named
from wardlight.deid.profile_private import private_rules
from wardlight.deid.profile_rules import Applied, holding
from wardlight.deid.profile_site import site_of
from wardlight.deid.profile_suggest import suggestion
from wardlight.deid.standard import attributes, concepts, safe_private
from wardlight.deid.structured import DROP, KEEP, Concepts
from wardlight.deid.verify_rules import ABSENT, CHANGED, CLASS, CODE, DATE, HOLLOW, IDENTIFIES, UID, WORDS
from wardlight.deid.verify_site import expectations_of
from wardlight.dicom.dictionary import is_known, keyword_of, keywords, vr_of
from wardlight.dicom.rewrite import REMOVE
from wardlight.dicom.uid import uid_name

_CONCEPT: Final = re.compile(r"([^:]{1,32}):([^:]{1,32})")
_PRIVATE: Final = re.compile(r"\(?[0-9A-Fa-f]{3}[13579BDFbdf][, ]?(?:xx|[0-9A-Fa-f]{2})[0-9A-Fa-f]{2}\)?")
_TYPES: Final = {
    1: "type 1, must have a value",
    2: "type 2, must be there and may be empty",
    3: "type 3 or not part of it",
}
#: Flag of the verifier → what it means, in the order they are told.
_CHECKS: Final = (
    (ABSENT, "must not be there"),
    (HOLLOW, "must be empty or say nothing"),
    (CHANGED, "must be empty or another value than the original's"),
    (UID, "must be a new UID, one for each original"),
    (CLASS, "must name a known kind, or be a new UID"),
    (DATE, "must be moved by the same days as all other dates of the object"),
    (WORDS, "must be words of the vocabulary and small numbers"),
    (CODE, "must be a code of a published scheme"),
    (IDENTIFIES, "its original value must not be found anywhere in the output"),
)


class Unknown(ValueError):
    """What is asked for is no element, concept or SOP class; the text says so."""


def explain(
    profile: Profile, what: str, *, sop_class: str = "", modality: str = "", creator: str = ""
) -> dict[str, Any]:
    """Everything about one element or concept under a profile, as plain data for `told` or for JSON.

    what: keyword, tag as 00081030, (0008,1030) or 60xx3000, private tag as 0019xx0C (with its creator), or a concept
    as 121008:DCM. sop_class: UID or name, "" for any. Raises Unknown.
    """
    uid = sop_class_of(sop_class)
    if sop_class and not uid:
        raise Unknown(f"{sop_class}: no SOP class{suggestion(sop_class, sop_class_names())}")
    head = {
        "profile": {"name": profile.name, "level": profile.level, "options": sorted(profile.options)},
        "standard": f"PS3.15 {attributes.EDITION}",
        "object": {"sop_class": uid, "name": uid_name(uid) if uid else "", "modality": modality},
    }
    applied = Applied(profile, holding(profile, uid, modality))
    concept = _CONCEPT.fullmatch(what)
    if concept is not None:
        return head | _concept(profile, concept[1], concept[2])
    if creator or _PRIVATE.fullmatch(what):
        return head | _private(profile, applied, what, creator)
    tags = tags_named(what)
    if not tags:
        raise Unknown(f"{what}: no keyword of the standard and no tag{suggestion(what, keywords())}")
    return head | _public(profile, applied, tags, uid)


def _public(profile: Profile, applied: Applied, tags: tuple[int, ...], uid: str) -> dict[str, Any]:
    tag, vr = tags[0], vr_of(tags[0])
    row = _row(tag)
    known = tag in actions.known_tags() or tag in applied.tags
    plan = actions.plan(tag, profile, applied) if known else actions.Plan("X", _never(tag))
    return {
        "element": {
            "tag": _spelled(tags),
            "keyword": keyword_of(tag),
            "name": row[1] if row else "",
            "vr": vr.decode(),
        },
        "table": None if row is None else dict(zip(attributes.COLUMNS, row[4], strict=True)),
        "decided_by": plan.why,
        "override": _override(applied.of(tag) if tag not in FIXED else None),
        "happens": list(_places(profile, plan, tag, vr, uid)),
        "verifier": _verified(profile, applied, tag),
    }


def _never(tag: int) -> str:
    if tag >> 16 in (0x0000, 0x0002, 0x0004, 0x0006):
        return "is no part of a data set that leaves; file meta information is written anew"
    if not is_known(tag):
        return "not in the standard"
    return "a repeating group, which no level keeps"


def _spelled(tags: tuple[int, ...]) -> str:
    digits = f"({tags[0] >> 16:04X},{tags[0] & 0xFFFF:04X})"
    return digits if len(tags) == 1 else f"({digits[1:3]}xx{digits[5:]}"


def _row(tag: int) -> tuple[str, str, bool, bool, tuple[str, ...]] | None:
    """The row of Table E.1-1, those of repeating groups too."""
    written = f"{tag:08X}"
    for row in attributes.ROWS:
        pattern = row[0]
        if pattern == written or (
            "x" in pattern and not tag & 0x10000 and re.fullmatch(pattern.replace("x", "[0-9A-F]"), written)
        ):
            return row
    return None


def _override(found: Override | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "action": found.action,
        "reason": found.reason,
        "vr": found.vr.decode(),
        "private_creator": found.creator.decode(),
        "sop_class": found.sop_class,
        "modality": found.modality,
    }


def _places(profile: Profile, plan: actions.Plan, tag: int, vr: bytes, uid: str) -> Iterator[dict[str, Any]]:
    """What happens at the top level, by the element's type in the SOP class (in all of them), and in sequences."""
    kinds = actions.types()
    counts = {kinds.top(kinds.iod(uid)).get(tag, 3): 1} if uid else dict(sorted(kinds.counts(tag).items()))
    by_type = {one: outcome(tag, vr, plan.kind, one, profile, top=True) for one in counts}
    if len(set(by_type.values())) == 1 and not uid:
        yield {
            "where": "top level",
            "outcome": by_type[min(by_type)].code,
            "words": by_type[min(by_type)].words,
        }
    else:
        for element_type, count in counts.items():
            where = "top level" if uid else f"top level of {count} of {sum(counts.values())} kinds of objects"
            yield _place(where, element_type, by_type[element_type])
    nested = kinds.nested.get(tag, 3)
    yield _place("inside sequences", nested, outcome(tag, vr, plan.kind, nested, profile, top=False))


def _place(where: str, element_type: int, what: Outcome) -> dict[str, Any]:
    return {
        "where": where,
        "type": element_type,
        "means": _TYPES[element_type],
        "outcome": what.code,
        "words": what.words,
    }


def _verified(profile: Profile, applied: Applied, tag: int) -> list[str]:
    expected = expectations_of(profile.level, site_of(profile, applied))
    check = expected.checks.get(tag, ABSENT)
    said = [words for flag, words in _CHECKS if check & flag]
    if check & ABSENT:
        return said
    return [*said, "must have the form of its VR, and nothing of the original's people in it"]


def _private(profile: Profile, applied: Applied, asked: str, creator: str) -> dict[str, Any]:
    if not creator:
        raise Unknown("a private element needs its creator: --private-creator")
    group, element = private_element_of(asked)
    if element < 0:
        raise Unknown(f"{asked}: no private element; write it as 0019xx0C or xx0C")
    found = [
        row
        for row in safe_private.SAFE_PRIVATE
        if row[0] == creator and row[2] == element and group in (-1, row[1])
    ]
    row = found[0] if found else None
    vr = row[3].partition("/")[0] if row else ""
    if row is not None:
        group = row[1]
    safe = "safe_private" in profile.options
    override = applied.of_private(creator.encode(), group, element, vr.encode() if safe else b"")
    look_up = private_rules(profile, applied)
    rule = look_up(creator.encode(), group, element) if look_up is not None else None
    if override is not None:
        why = f"override: {override.reason}" if override.reason else "override"
    elif row is not None:
        why = "Table E.3.10-1, option safe_private" + ("" if safe else ", which this profile does not have")
    else:
        why = "private, and not in Table E.3.10-1 of safe ones"
    stays = rule is not None and rule is not REMOVE
    what = _private_outcome(override, stays)
    return {
        "element": {
            "tag": f"({f'{group:04X}' if group >= 0 else 'xxxx'},xx{element:02X})",
            "keyword": "",
            "name": row[5] if row else "",
            "vr": vr,
            "private_creator": creator,
        },
        "table": {"basic": "X", "safe_private": "C"} if row else {"basic": "X"},
        "decided_by": why,
        "override": _override(override),
        "happens": [{"where": "anywhere", "outcome": what.code, "words": what.words}],
        "verifier": ["must have no word, name or identifier in it" if stays else "must not be there"],
    }


def _private_outcome(override: Override | None, stays: bool) -> Outcome:
    if not stays:
        return REMOVED
    action = override.action if override is not None else "clean"
    if action == "empty":
        return EMPTIED
    if action == "dummy":
        return Outcome("dummy", "replaced by a value that says nothing")
    if action == "keep":
        return Outcome(
            "searched",
            "text and numbers stay without what identifies; bytes only without text; names and dates go",
        )
    return Outcome(
        "cleaned", "numbers stay, text is cleaned, bytes only without text in them; names and dates go"
    )


def _concept(profile: Profile, first: str, second: str) -> dict[str, Any]:
    """A concept of structured content, written as code:scheme or scheme:code."""
    rows = [row for row in concepts.CONCEPTS if {row[0], row[1]} == {first, second}]
    if not rows:
        raise Unknown(
            f"{first}:{second}: no row of Table E.3.4-1; such items are decided by the elements in them"
        )
    scheme, code, meaning, _, _ = rows[0]
    held = Concepts(profile)
    happens = []
    for row in rows:
        what = held.action(scheme, code, row[3])
        words = {
            KEEP: "stays, cleaned by the rule of its value",
            DROP: "the item goes; where other items name it by its place, its value says nothing",
        }.get(what, "its value is replaced by one that says nothing")
        happens.append(
            {
                "where": f"content items of value type {row[3]}",
                "outcome": {KEEP: "cleaned", DROP: "removed"}.get(what, "dummy"),
                "words": words,
            }
        )
    return {
        "concept": {"scheme": scheme, "code": code, "meaning": meaning},
        "table": {row[3]: dict(zip(concepts.COLUMNS, row[4], strict=True)) for row in rows},
        "decided_by": "Table E.3.4-1",
        "override": None,
        "happens": happens,
        "verifier": ["reads each content item again, and looks for what the table removes"],
    }
