"""A search sorted out: which keys SQL decides, which postings narrow down, and which need unsealed values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from wardlight.archive.attributes import (
    INSTANCE_DEFAULT,
    INSTANCE_TAGS,
    MODALITIES_IN_STUDY,
    MODALITY,
    REQUEST_ATTRIBUTES,
    SERIES_DEFAULT,
    SERIES_TAGS,
    SERIES_UID,
    SOP_CLASS,
    SOP_UID,
    STUDY_DATE,
    STUDY_DEFAULT,
    STUDY_TAGS,
    STUDY_UID,
    Attributes,
    key_of,
)
from wardlight.archive.keyring import Tokens
from wardlight.archive.matching import EMPTY, combined, date_bounds, is_universal, matcher, uid_list
from wardlight.archive.model import MatchKey, Query, QueryLevel
from wardlight.archive.postings import (
    REQUESTED_PROCEDURE_ID,
    SCHEDULED_STEP_ID,
    Alternatives,
    key_tokens,
)
from wardlight.archive.search_store import Conditions
from wardlight.dicom.dictionary import keyword_of, vr_of
from wardlight.errors import WardlightError

Filter = Callable[[Attributes], bool]

_REQUEST_MEMBERS: Final = frozenset({SCHEDULED_STEP_ID, REQUESTED_PROCEDURE_ID})
_STUDY: Final = STUDY_TAGS | {MODALITIES_IN_STUDY}
_LEVEL_TAGS: Final = {
    QueryLevel.STUDY: _STUDY,
    QueryLevel.SERIES: _STUDY | SERIES_TAGS,
    QueryLevel.INSTANCE: _STUDY | SERIES_TAGS | INSTANCE_TAGS,
}
#: Attributes of a date and of a time that are one moment (PS3.4 section C.2.2.2.5.4).
_MOMENTS: Final = {
    0x00080020: 0x00080030,  # Study
    0x00080021: 0x00080031,  # Series
    0x00080022: 0x00080032,  # Acquisition
    0x00080023: 0x00080033,  # Content
    0x00080012: 0x00080013,  # Instance Creation
    0x00100030: 0x00100032,  # Patient's Birth
    0x00400244: 0x00400245,  # Performed Procedure Step Start
}


@dataclass(slots=True)
class Plan:
    """How a search is answered.

    tokens: of each key that has any, alternatives; a study that matches has all of one alternative of each. The filters
    are applied to the unsealed attributes of their level.
    """

    level: QueryLevel
    conditions: Conditions
    study_tokens: list[bytes] | None = None
    series_tokens: list[bytes] | None = None
    instance_tokens: list[bytes] | None = None
    tokens: list[Alternatives] = field(default_factory=list)
    study_filters: list[Filter] = field(default_factory=list)
    series_filters: list[Filter] = field(default_factory=list)
    instance_filters: list[Filter] = field(default_factory=list)
    returned: frozenset[int] = frozenset()
    everything: bool = False

    def add_filter(self, tag: int, match: Filter) -> None:
        """Apply a filter at the level that the tag belongs to."""
        if tag in _STUDY:
            self.study_filters.append(match)
        elif tag in SERIES_TAGS:
            self.series_filters.append(match)
        else:
            self.instance_filters.append(match)


def make(level: QueryLevel, query: Query, tokens: Tokens, conditions: Conditions) -> Plan:
    """Sort the keys out. Raises `matching-key-not-supported`, `bad-request`, `query-too-broad`."""
    plan = Plan(level, conditions)
    for key in query.keys:
        _check(level, key)
    keys = _joined(plan, [key for key in query.keys if not is_universal(key.value)])
    for key in keys:
        _add(plan, key, query, tokens)
    plan.returned = _returned(level, query)
    plan.everything = query.include_all
    return plan


def _check(level: QueryLevel, key: MatchKey) -> None:
    tag = key.path[0]
    member = len(key.path) == 2 and tag == REQUEST_ATTRIBUTES and key.path[1] in _REQUEST_MEMBERS
    if tag not in _LEVEL_TAGS[level] or not (member or (len(key.path) == 1 and vr_of(tag) != b"SQ")):
        raise WardlightError("matching-key-not-supported", keyword(key.path))


def _joined(plan: Plan, keys: list[MatchKey]) -> list[MatchKey]:
    """Pairs of a date and a time become one filter; of the date the bounds stay."""
    by_tag = {key.path[0]: key for key in keys if len(key.path) == 1}
    done: set[tuple[int, ...]] = set()
    for date, time in _MOMENTS.items():
        if date in by_tag and time in by_tag:
            match = combined(by_tag[date].value, by_tag[time].value)
            if match is not None:
                plan.add_filter(date, _pair(key_of(date), key_of(time), match))
                done.add((time,))
    return [key for key in keys if key.path not in done]


def _pair(date: str, time: str, match: Callable[[Any, Any], bool]) -> Filter:
    return lambda attributes: match(attributes.get(date, {}), attributes.get(time, {}))


def _add(plan: Plan, key: MatchKey, query: Query, tokens: Tokens) -> None:
    tag, rules = key.path[0], query.rules
    empty = rules.empty_values and key.value == EMPTY
    several = rules.multiple_values and "\\" in key.value and vr_of(key.path[-1]) != b"UI"
    special = _IN_SQL.get(tag)
    if special is not None and not empty and not several and special(plan, key.value, tokens):
        return
    vr = vr_of(key.path[-1]).decode()
    match = matcher(vr, key.value, rules)
    name, member = key_of(tag), key_of(key.path[-1])
    if len(key.path) == 1:
        plan.add_filter(tag, lambda attributes: match(attributes.get(name, {})))
    else:
        plan.add_filter(
            tag,
            lambda attributes: any(
                match(item.get(member, {})) for item in attributes.get(name, {}).get("Value") or ()
            ),
        )
    if not empty and not several and (found := key_tokens(key.path, key.value, fuzzy=rules.fuzzy)):
        plan.tokens.append(found)


def _study_uids(plan: Plan, value: str, tokens: Tokens) -> bool:
    plan.study_tokens = [tokens.study(uid) for uid in uid_list(value)]
    return True


def _series_uids(plan: Plan, value: str, tokens: Tokens) -> bool:
    plan.series_tokens = [tokens.series(uid) for uid in uid_list(value)]
    return True


def _instance_uids(plan: Plan, value: str, tokens: Tokens) -> bool:
    plan.instance_tokens = [tokens.instance(uid) for uid in uid_list(value)]
    return True


def _sop_classes(plan: Plan, value: str, _: Tokens) -> bool:
    plan.conditions.sop_classes = uid_list(value)
    return True


def _dates(plan: Plan, value: str, _: Tokens) -> bool:
    plan.conditions.dates = date_bounds(value)
    return True


def _modalities_in_study(plan: Plan, value: str, _: Tokens) -> bool:
    if has_wildcard(value):
        return False
    plan.conditions.modalities_in_study.append(value.strip().replace(" ", "_"))
    return True


def _modality(plan: Plan, value: str, _: Tokens) -> bool:
    if has_wildcard(value):
        return False
    plan.conditions.modalities.append(value.strip().replace(" ", "_"))
    return True


_IN_SQL: Final[dict[int, Callable[[Plan, str, Tokens], bool]]] = {
    STUDY_UID: _study_uids,
    SERIES_UID: _series_uids,
    SOP_UID: _instance_uids,
    SOP_CLASS: _sop_classes,
    STUDY_DATE: _dates,
    MODALITIES_IN_STUDY: _modalities_in_study,
    MODALITY: _modality,
}


def _returned(level: QueryLevel, query: Query) -> frozenset[int]:
    """Tags to return: those of the level, of levels the resource path does not name, keys, and what was asked for."""
    wanted = query.include | {key.path[0] for key in query.keys} | {STUDY_UID}
    if level is QueryLevel.STUDY or query.study_uid is None:
        wanted |= STUDY_DEFAULT
    if level is QueryLevel.SERIES or (level is QueryLevel.INSTANCE and query.series_uid is None):
        wanted |= SERIES_DEFAULT
    if level is QueryLevel.INSTANCE:
        wanted |= INSTANCE_DEFAULT | {SERIES_UID}
    return wanted


# ---- what the trail says of keys ----


def told(keys: Iterable[MatchKey]) -> str:
    """By which attributes a search asked and how, but not for what."""
    return "&".join(f"{keyword(key.path)}={way(key)}" for key in keys)[:2000]


def keyword(path: tuple[int, ...]) -> str:
    """The keywords of a path of tags."""
    return ".".join(keyword_of(tag) or key_of(tag) for tag in path)


def way(key: MatchKey) -> str:
    """How a key is matched: all that the audit trail says of its value."""
    value = key.value
    vr = vr_of(key.path[-1])
    if is_universal(value):
        return "any"
    if vr == b"UI":
        return "list" if "," in value or "\\" in value else "exact"
    if vr in (b"DA", b"TM", b"DT"):
        return "range" if "-" in value else "exact"
    if not has_wildcard(value):
        return "exact"
    return "prefix" if value.endswith("*") and not has_wildcard(value[:-1]) else "wildcard"


def has_wildcard(value: str) -> bool:
    """Whether the value is a pattern (PS3.4 section C.2.2.2.4)."""
    return "*" in value or "?" in value
