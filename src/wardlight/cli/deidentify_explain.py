"""`wardlight deidentify --explain`: what happens with an element and why, for people or as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from wardlight.cli.deidentify_places import UsageError
from wardlight.deid.profile import LEVELS, ProfileError, load_profile
from wardlight.deid.profile_explain import Unknown, explain

_INDENT: Final = "  "


def explained(
    what: str,
    level: str,
    profile: Path | None,
    *,
    sop_class: str = "",
    modality: str = "",
    private_creator: str = "",
    as_json: bool = False,
) -> str:
    """The text to print. Raises UsageError."""
    if profile is None and level not in LEVELS:
        raise UsageError(f"--level is one of {', '.join(LEVELS)}")
    try:
        found = explain(
            load_profile(profile or level),
            what,
            sop_class=sop_class,
            modality=modality,
            creator=private_creator,
        )
    except (ProfileError, Unknown) as error:
        raise UsageError(str(error)) from None
    if as_json:
        return json.dumps({"schema": "wardlight-explain/1", **found})
    return "\n".join(_lines(found))


def _lines(found: dict[str, Any]) -> list[str]:
    profile, about = found["profile"], found["object"]
    lines = [_title(found)]
    level = "" if profile["name"] == profile["level"] else f" (level {profile['level']})"
    lines.append(f"{_INDENT}profile {profile['name']}{level}, {found['standard']}")
    kind = about["name"] or about["sop_class"] or "any SOP class"
    lines.append(
        f"{_INDENT}in objects of {kind}" + (f", modality {about['modality']}" if about["modality"] else "")
    )
    lines += ["", "What the standard says", *_table(found["table"], "concept" in found)]
    lines += ["", "What decides", f"{_INDENT}{found['decided_by']}", *_override(found["override"])]
    lines += ["", "What happens"]
    for place in found["happens"]:
        means = f" ({place['means']})" if "means" in place else ""
        lines.append(f"{_INDENT}{place['where']}{means}: {place['words']}")
    lines += ["", "What the verifier looks at", *(f"{_INDENT}{said}" for said in found["verifier"])]
    return lines


def _title(found: dict[str, Any]) -> str:
    if "concept" in found:
        concept = found["concept"]
        return f"{concept['code']} ({concept['scheme']}) {concept['meaning']}"
    element = found["element"]
    words = [element["tag"], element["keyword"] or element["name"], element["vr"]]
    if "private_creator" in element:
        words.append(f"of private creator {element['private_creator']}")
    return " ".join(word for word in words if word)


def _table(table: dict[str, Any] | None, by_type: bool) -> list[str]:
    if table is None:
        return [f"{_INDENT}no row of Table E.1-1"]
    rows = table if by_type else {"": table}
    return [
        f"{_INDENT}{name + ': ' if name else ''}"
        + ", ".join(f"{column} {action or '–'}" for column, action in row.items())
        for name, row in rows.items()
    ]


def _override(override: dict[str, Any] | None) -> list[str]:
    if override is None:
        return []
    said = ("vr", "private_creator", "sop_class", "modality")
    narrowed = ", ".join(f"{key} {override[key]}" for key in said if override[key])
    return [f"{_INDENT}action {override['action']}" + (f", for {narrowed}" if narrowed else "")]
