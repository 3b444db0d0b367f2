"""From table, profile and SOP class to one rule for every element: the part an auditor reads beside Table E.1-1.

`plan` says what the table and the profile want; `_rule` turns that into a rule once the type of the element is known
(PS3.15 Table E.1-1a: X/Z/D and its like are settled by the type that the SOP class gives the element, and without that
knowledge by what keeps the object valid).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from wardlight.deid import dates, documents_rules, handlers, structured_values
from wardlight.deid.colour_profiles import SRGB
from wardlight.deid.descriptors import clean_text
from wardlight.deid.profile import Override, Profile, allowlist, class_uids, harvest_lists
from wardlight.deid.profile_rules import Applied
from wardlight.deid.profile_words import term_cleaner, text_cleaner
from wardlight.deid.standard import attributes, element_types
from wardlight.dicom import _dictionary_data
from wardlight.dicom.dictionary import vr_of
from wardlight.dicom.rewrite import COLLECT, EMPTY, REMOVE, Handler, Items, Rule
from wardlight.dicom.vr import NUMBER_SIZES

PATIENT_NAME: Final = 0x00100010
PATIENT_ID: Final = 0x00100020
#: Elements the engine writes itself, at the top level.
MARKERS: Final = frozenset((0x00120062, 0x00120063, 0x00120064, 0x00280302, 0x00280303))
_REPLACED: Final = frozenset((PATIENT_NAME, PATIENT_ID))
#: Groups that are no part of a stored data set (PS3.7, PS3.10, PS3.22): never written.
_FOREIGN_GROUPS: Final = frozenset((0x0000, 0x0002, 0x0004, 0x0006))
_CHARSET: Final = 0x00080005
_ZONE: Final = 0x00080201
_CODE_VALUES: Final = frozenset((0x00080100, 0x00080119))
#: How an original was signed; the signatures themselves the table removes.
_MAC_PARAMETERS: Final = 0x4FFE0001
_SCHEME: Final = 0x00080102
#: Actions of overrides that mean one thing whatever the element.
_OVERRIDDEN: Final = {
    "empty": "empty",
    "dummy": "dummy",
    "keep": "keep",
    "clean": "C",
    "shift": "date",
    "replace-uid": "U",
}
_FREE_TEXT: Final = frozenset((b"LO", b"SH", b"LT", b"ST", b"UT", b"UC"))
_BINARY: Final = frozenset((b"OB", b"OW", b"UN"))
_WIDE: Final = frozenset((b"OD", b"OF", b"OL", b"OV"))
_DATES: Final = frozenset((b"DA", b"DT", b"TM"))
_VALID: Final = {b"DA": dates.is_date, b"DT": dates.is_datetime, b"TM": dates.is_time}

#: Replaces a code that would say who somebody is.
DUMMY_CODE: Final = Items(
    ((0x00080100, b"SH", b"0"), (0x00080102, b"SH", b"99WL"), (0x00080104, b"LO", b"REMOVED"))
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wanted for an element. kind: a word of `_rule`; why: the row, list or rule that says so."""

    kind: str
    why: str


@cache
def rows() -> Mapping[int, dict[str, str]]:
    """Table E.1-1 by tag: column → action, only columns that have one. Repeating groups and private are not in it."""
    found: dict[int, dict[str, str]] = {}
    for tag, _name, _retired, _standard, cells in attributes.ROWS:
        if tag != "private" and "x" not in tag:
            found[int(tag, 16)] = {
                column: cell for column, cell in zip(attributes.COLUMNS, cells, strict=True) if cell
            }
    return found


@cache
def known_tags() -> tuple[int, ...]:
    """Every tag of PS3.6 and of Table E.1-1 that can stand in a data set."""
    listed = {int(line[:8], 16) for line in _dictionary_data.ELEMENTS.splitlines()}
    return tuple(
        sorted(t for t in listed | rows().keys() if t >> 16 not in _FOREIGN_GROUPS and t >> 16 != 0xFFFE)
    )


def plan(tag: int, profile: Profile, applied: Applied | None = None) -> Plan:
    """What the profile wants for a public element. applied: its overrides, without one those that hold everywhere."""
    vr = vr_of(tag)
    override = (applied or Applied(profile, ())).of(tag)
    if override is not None:
        return _by_override(tag, vr, override, profile)
    if tag in MARKERS:
        return Plan("X", "written by Wardlight")
    if tag == _MAC_PARAMETERS:
        return Plan("X", "signatures are none of another object")
    row = rows().get(tag)
    if row is not None:
        return _by_row(tag, vr, row, profile)
    if tag in allowlist().class_uids:
        return Plan("class", "names a kind, not a thing")
    if vr == b"UI":
        return Plan("U", "not in the table: a UID")
    if vr == b"PN":
        return Plan("X/Z/D", "not in the table: a name")
    return _unlisted(tag, vr, profile)


def _by_override(tag: int, vr: bytes, override: Override, profile: Profile) -> Plan:
    kind = _OVERRIDDEN.get(override.action, "")
    if override.action == "remove":
        # What the Basic Profile removes whatever its type stays removed; of a sequence nothing else is left.
        kind = "X" if vr == b"SQ" or rows().get(tag, {}).get("basic") == "X" else "gone"
    elif override.action == "clean" and vr in _DATES:
        dated = profile.options & {"full_dates", "modified_dates"}
        kind = ("keep" if "full_dates" in dated else "date") if dated else "gone"
    return Plan(kind, f"override: {override.reason}" if override.reason else "override")


def _by_row(tag: int, vr: bytes, row: Mapping[str, str], profile: Profile) -> Plan:
    """A row of the table under the options in force: what an option keeps stays, then what it cleans, then the rest."""
    for option in sorted(profile.options & row.keys()):
        if row[option] != "K":
            continue
        if option == "patient" and profile.patient is not None and tag not in profile.patient:
            continue
        return Plan("keep", f"E.1-1, option {option}")
    for option in sorted(profile.options & row.keys()):
        if row[option] == "C" and not (option == "patient" and profile.patient is not None):
            if vr in _BINARY and row["basic"] == "X":
                # Bytes that only a maker's program reads: nobody can say what is in them, so nothing cleans them.
                continue
            kind = {"modified_dates": "date", "device": "keyed"}.get(option, "C")
            return Plan(kind, f"E.1-1, option {option}")
    basic = row["basic"]
    if vr == b"UI" and basic == "D":
        basic = "U"
    if tag in allowlist().dummy_code:
        return Plan("code-item", "E.1-1, Basic Profile")
    return Plan(basic, "E.1-1, Basic Profile")


def _unlisted(tag: int, vr: bytes, profile: Profile) -> Plan:
    """A known element in no row of the table: by the allowlist, and beyond it by the profile's `unlisted`."""
    lists = allowlist()
    if profile.unlisted == "keep":
        return Plan("keep", "not in the table: kept at this level")
    for kind, tags in (
        ("as-is", lists.as_is),
        ("C", lists.vocabulary),
        ("code", lists.code),
        ("link", lists.link),
        ("keep", lists.binary),
        ("colour", lists.colour),
    ):
        if tag in tags:
            return Plan(kind, "allowlist")
    if tag in lists.removed:
        return Plan("X/Z/D", "not on the allowlist")
    listed = (tag >> 16, vr) in lists.structure or tag in lists.structure_tags
    harmless = vr not in _FREE_TEXT | _BINARY | {b"AE", b"UR", b"AS"}
    if listed and harmless and vr not in _DATES:
        return Plan("C" if vr == b"CS" else "keep", "allowlist")
    if profile.unlisted == "numbers" and harmless:
        return Plan("date" if vr in _DATES else "C" if vr == b"CS" else "keep", "no text can stand in it")
    return Plan("X/Z/D", "not on the allowlist")


def settle(kind: str, element_type: int) -> str:
    """X, Z, D or U from a compound action and the element's type (PS3.15 Table E.1-1a)."""
    if kind in ("X/Z/D", "X/D", "X/Z"):
        return {1: "D", 2: "Z", 3: "X"}[element_type]
    if kind in ("gone", "empty"):
        return "dummy" if element_type == 1 else "X" if (kind, element_type) == ("gone", 3) else "empty"
    if kind == "Z/D":
        return "D" if element_type == 1 else "Z"
    return "keep" if kind == "X/Z/U*" else kind


def fallback(vr: bytes, element_type: int) -> bytes | None:
    """What stands in for a value that could not be kept: None removes."""
    return {1: handlers.DUMMY.get(vr, b""), 2: b"", 3: None}[element_type]


def _rule(tag: int, vr: bytes, kind: str, element_type: int, profile: Profile) -> Rule:
    """The rule for an element."""
    kind = settle(kind, element_type)
    harvested = vr in (b"PN", b"SQ") or tag in _harvested()
    if kind == "X":
        return COLLECT if harvested else REMOVE
    if vr == b"SQ":
        return EMPTY if kind in ("Z", "empty", "dummy") else DUMMY_CODE if kind == "code-item" else vr
    other = fallback(vr, element_type)
    if kind in ("empty", "dummy"):
        return handlers.constant(b"" if kind == "empty" else handlers.DUMMY[vr])
    if kind in ("Z", "D", "keyed"):
        empty = b"" if kind == "Z" else handlers.DUMMY[vr]
        if tag in allowlist().keyed or kind == "keyed":
            return handlers.keyed(empty)
        return handlers.patient_id if tag == PATIENT_ID else handlers.constant(empty)
    if kind in ("U", "class"):
        return handlers.uid if kind == "U" else handlers.class_uid(class_uids())
    if kind == "date" or (kind == "C" and vr in _DATES):
        return _date_rule(vr, other, profile)
    if kind == "code":
        if tag == _SCHEME:
            return handlers.scheme(other)
        return handlers.code_value(other) if tag in _CODE_VALUES else handlers.code(other)
    if kind == "colour":
        return handlers.colour(SRGB if element_type == 1 else other)
    if kind == "link":
        return handlers.link(text_cleaner(profile))
    rule = _text_rule(tag, vr, kind, other, profile)
    return handlers.charset(rule) if tag == _CHARSET else rule


def _date_rule(vr: bytes, other: bytes | None, profile: Profile) -> Rule:
    keep_time = profile.times == "keep"
    if vr == b"DA":
        return handlers.date(other)
    if vr == b"DT":
        return handlers.datetime(keep_time, other)
    if keep_time:
        # Besides TM the zone (0008,0201), which the table treats as a time.
        return handlers.time(other) if vr == b"TM" else handlers.unsearched(dates.zone, other)
    return handlers.constant(other)


def _text_rule(tag: int, vr: bytes, kind: str, other: bytes | None, profile: Profile) -> Handler:
    """Elements that stay: by what their VR can carry."""
    if vr == b"AS":
        return handlers.age(profile.ages == "bands", other)
    if vr in (b"IS", b"DS"):
        return handlers.number(other, structural=tag in harvest_lists().structural)
    strict = profile.text == "vocabulary"
    if vr in NUMBER_SIZES or vr in _WIDE or vr in _BINARY:
        return handlers.binary(vr, strict, other)
    if vr in _DATES:
        return handlers.as_written(_VALID[vr], other)
    if vr == b"UI":
        return handlers.kept_uid(other)
    if tag == _ZONE:
        return handlers.unsearched(dates.zone, other)
    if vr == b"CS":
        clean = term_cleaner(profile)
        handler = handlers.text(clean if strict else _unchanged, other)
        return handlers.closed(clean, handler) if tag in harvest_lists().exempt else handler
    if kind == "as-is":
        return handlers.text(_plain if strict else _unchanged, other)
    if strict and kind == "C":
        dated = handlers.dated_text if "modified_dates" in profile.options else handlers.text
        return dated(text_cleaner(profile), other)
    return handlers.text(_unchanged, other)


def _unchanged(value: bytes) -> bytes:
    return value


def _plain(value: bytes) -> bytes:
    """A value that stays as written; in another than the default repertoire only its known words."""
    return value if value.isascii() and b"\x1b" not in value else clean_text(value)


@cache
def _harvested() -> frozenset[int]:
    lists = harvest_lists()
    return lists.identifiers | lists.places | lists.dates


class Types:
    """Types of elements by SOP class (PS3.3), from the generated table."""

    def __init__(self) -> None:
        modules = []
        for line in element_types.MODULES.splitlines():
            _, ones, twos = line.split("|")
            modules.append(({int(t, 16) for t in ones.split()}, {int(t, 16) for t in twos.split()}))
        self._by_iod: dict[str, dict[int, int]] = {}
        for line in element_types.IODS.splitlines():
            iod, numbers = line.split("|")
            self._by_iod[iod] = _merged([modules[int(n)] for n in numbers.split()])
        self._iod_of = dict(line.split(" ") for line in element_types.SOP_CLASSES.splitlines())
        self._any = _merged(modules)
        self.nested: Final = _merged(
            [
                (
                    {int(t, 16) for t in element_types.NESTED_TYPE_1.split()},
                    {int(t, 16) for t in element_types.NESTED_TYPE_2.split()},
                )
            ]
        )

    def iod(self, sop_class: str) -> str:
        """The IOD of a SOP class, "" for one the table does not know."""
        return self._iod_of.get(sop_class, "")

    def counts(self, tag: int) -> Mapping[int, int]:
        """Type of a tag at the top level → number of IODs; 3 also where it is not in the IOD."""
        return Counter(kinds.get(tag, 3) for kinds in self._by_iod.values())

    def top(self, iod: str) -> Mapping[int, int]:
        """Tag → type (1, 2) at the top level; for an unknown IOD the strictest of all, which keeps any object valid."""
        return self._by_iod.get(iod, self._any)


def _merged(modules: list[tuple[set[int], set[int]]]) -> dict[int, int]:
    found: dict[int, int] = {}
    for ones, twos in modules:
        found.update(dict.fromkeys(twos - found.keys(), 2))
        found.update(dict.fromkeys(ones, 1))
    return found


@cache
def types() -> Types:
    """The one instance."""
    return Types()


def plans(profile: Profile, applied: Applied) -> dict[int, Plan]:
    """`plan` for every known tag, and those that only an override knows: repeating groups."""
    return {tag: plan(tag, profile, applied) for tag in (*known_tags(), *applied.tags)}


def table(profile: Profile, wanted: Mapping[int, Plan], iod: str | None) -> dict[int, Rule]:
    """Rule by tag for the top level of an IOD, or (None) for what is inside sequences. Absent tags are removed.

    wanted: `plans(profile)`.
    """
    kinds = types().nested if iod is None else types().top(iod)
    made: dict[int, Rule] = {}
    link = handlers.link(text_cleaner(profile)) if profile.text == "vocabulary" else None
    for tag, planned in wanted.items():
        rule = _rule(tag, vr_of(tag), planned.kind, kinds.get(tag, 3), profile)
        if iod is None:
            rule = structured_values.ruled(
                tag, rule, profile.ages == "bands", link if planned.kind == "C" else None
            )
        else:
            rule = COLLECT if tag in _REPLACED else documents_rules.ruled(tag, rule, profile)
        if rule is not REMOVE:
            made[tag] = rule
    return made


def mismatch(_state: object, _tag: int, _vr: bytes, _value: bytes, _expected: bytes) -> bytes | None:
    """A sequence of another VR is none. What else is kept has a handler, which looks at the VR itself."""
    return None
