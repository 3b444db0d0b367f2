"""The report of a study as JSON: what was done to each element and why, what was found in pixels, the verdict.

Schema "wardlight-deid-report/1" (docs/reference/deid-report.md). No original value is in it: inputs are numbers, UIDs
are the new ones, elements are tags.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from wardlight.deid.report_model import Change, Outcome, Rules, Study
from wardlight.deid.report_words import words_of
from wardlight.dicom.dictionary import keyword_of
from wardlight.dicom.uid import UID_NAMES

SCHEMA: Final = "wardlight-deid-report/1"
#: What did not leave.
HELD: Final = ("quarantined", "instance-conflict")


def rules_json(rules: Rules) -> dict[str, Any]:
    """By which rules a run went."""
    return {
        "schema": SCHEMA,
        "profile": rules.profile,
        "level": rules.level,
        "options": list(rules.options),
        "standard": rules.standard,
        "dry_run": rules.dry,
    }


def study_json(study: Study, rules: Rules) -> dict[str, Any]:
    """All that is said of one study."""
    return {
        **rules_json(rules),
        "study": study.uid,
        "verdict": verdict(study.outcomes),
        "totals": dict(totals(study.outcomes)),
        "pixels": pixels_json(study.outcomes),
        "elements": elements_json(study.changes),
        "reasons": reasons_json(study.outcomes),
        "objects": [outcome_json(one) for one in study.outcomes],
    }


def verdict(outcomes: Iterable[Outcome]) -> str:
    """ "clean": all that came was released and verified; "partly": some was; "held": nothing was; "empty"."""
    kinds = totals(outcomes)
    if kinds["quarantined"]:
        return "partly" if kinds["released"] else "held"
    return "clean" if kinds["released"] else "empty"


def totals(outcomes: Iterable[Outcome]) -> Counter[str]:
    """How many objects became what; conflicts count as quarantined."""
    return Counter("quarantined" if one.kind == "instance-conflict" else one.kind for one in outcomes)


def pixels_json(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """What was found in pixels: objects and frames that were looked at, boxes, and how many showed what identifies."""
    looked = [one for one in outcomes if one.frames]
    return {
        "objects": len(looked),
        "frames": sum(one.frames for one in looked),
        "boxes": sum(len(one.boxes) for one in looked),
        "matched": sum(one.matched for one in looked),
    }


def element(path: tuple[int, ...]) -> str:
    """A path of tags as people write it."""
    return "".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in path)


def elements_json(changes: Counter[Change]) -> list[dict[str, Any]]:
    """What was done to elements, how often and by which rule; in the order of tags."""
    return [
        {
            "element": element(path),
            "keyword": keyword_of(path[-1]),
            "action": action,
            "why": why,
            "times": times,
        }
        for (path, action, why), times in sorted(changes.items())
    ]


def reasons_json(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Why objects were not released, in plain words, the most frequent first."""
    found = Counter(
        code
        for one in outcomes
        if one.kind in HELD
        for code in dict.fromkeys(reason.split(" ")[0] for reason in one.reasons or (one.kind,))
    )
    return [
        {"code": code, "objects": count, "means": words_of(code)[0], "next": words_of(code)[1]}
        for code, count in sorted(found.items(), key=lambda row: (-row[1], row[0]))
    ]


def outcome_json(one: Outcome) -> dict[str, Any]:
    """What became of one input; what is not there is left out."""
    row: dict[str, Any] = {
        "input": one.number,
        "outcome": "quarantined" if one.kind == "instance-conflict" else one.kind,
        "reasons": list(one.reasons) or ([one.kind] if one.kind == "instance-conflict" else []),
    }
    names = ("study", "series", "instance", "sop_class")
    row |= {name: value for name in names if (value := getattr(one, name))}
    if one.sop_class:
        row["sop_class_name"] = class_name(one.sop_class)
    if one.flags:
        row["flags"] = list(one.flags)
    if one.frames:
        row["pixels"] = {
            "frames": one.frames,
            "boxes": [list(box) for box in one.boxes],
            "matched": one.matched,
        }
    return row


def class_name(uid: str) -> str:
    """The name of a SOP class in PS3.6, "" for one that is not in it."""
    return UID_NAMES.get(uid, "")
