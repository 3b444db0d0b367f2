"""Content items (PS3.3 C.17.3, C.18): what is done to the value of each, by its concept (PS3.15 Table E.3.4-1).

The rewriter goes element by element, in the order of tags, and the concept name of an item stands before its values.
So when an item begins, its value type and concept are read ahead; the rules of the values then ask what was found. What
the rewriter meets afterwards must be what was read ahead, or the object is refused: nothing rests on that look alone.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from struct import error as StructError
from typing import Final, NamedTuple

from wardlight.deid.profile import Profile
from wardlight.deid.standard import attributes, concepts
from wardlight.dicom.codec import Codec, content_codec
from wardlight.dicom.errors import DicomError
from wardlight.dicom.limits import LIMITS
from wardlight.dicom.skip import read_item, skip_undefined

#: Content Sequence: the only one whose items may go. In others each item says what the standard asks for.
CONTENT: Final = 0x0040A730
VALUE_TYPE: Final = 0x0040A040
CONCEPT_NAME: Final = 0x0040A043
CONCEPT_CODE: Final = 0x0040A168
_MEASURED: Final = 0x0040A300
_UNITS: Final = 0x004008EA
_CODES: Final = (0x00080100, 0x00080119, 0x00080120)
_SCHEME: Final = 0x00080102
_MEANING: Final = 0x00080104
_ENDS: Final = 0xFFFEE00D
#: Value types whose values are UIDs: they get new ones whatever the concept says, the same in every object.
_REFERENCES: Final = frozenset((b"UIDREF", b"COMPOSITE", b"IMAGE", b"WAVEFORM"))
#: Value types that concepts of no row are treated in.
_SAYING: Final = (b"TEXT", b"NUM", b"CODE", b"PNAME", b"DATE", b"TIME", b"DATETIME")
#: Value types that the row of another type says nothing of.
_APART: Final = _REFERENCES | {b"CODE", b"CONTAINER", b"SCOORD", b"SCOORD3D", b"TCOORD", b"TABLE"}
#: Designators of SNOMED RT, under which SNOMED CT concepts had other codes (PS3.16 Annex D).
_RETIRED: Final = (b"SRT", b"SNM3", b"99SDM", b"SDM")
_RETIRED_CODES: Final[dict[str, bytes]] = {
    "440252007": b"PA-30029",
    "398164008": b"DF-0070B",
    "398325003": b"DF-0068E",
    "371524004": b"R-42B89",
    "116224001": b"DD-60002",
    "271921002": b"F-00033",
    "363698007": b"G-C0E3",
    "160476009": b"F-02455",
    "398201009": b"G-D321",
    "397898000": b"G-D320",
}

#: Tracking Identifier: what one calls a lesion, in each report and segmentation of it (PS3.16 TID 1419).
_TRACKING: Final = b"112039"

KEEP: Final = 0
DUMMY: Final = 1
DROP: Final = 2
_AGE: Final = 0x00101010
#: Attributes of the patient that a concept tells, for profiles that keep some of them only.
_CHARACTERISTICS: Final[dict[str, int]] = {"121033": _AGE, "121032": 0x00100040}
#: Concepts whose values identify like those of an attribute, and so are searched for in everything that stays.
_HARVESTED: Final[dict[bytes, int]] = {
    code: tag
    for tag, codes in (
        (0x00080050, b"121022"),
        (0x00100020, b"121030 113871 128774"),
        (0x00100030, b"121031"),
        (0x00402016, b"121020"),
        (0x00402017, b"121021"),
        (0x00181000, b"121016 113880 121196"),
        (0x00100021, b"113872 110190"),
        (0x00080080, b"121009 113873 121017 121197 122128 121434 121121"),
    )
    for code in codes.split()
}


class Content(NamedTuple):
    """What is done inside one item. A plain item of no content has the default of everything.

    value_type, concept: of the item as read ahead, concept the offset of the concept name's item, -1 without one. gone:
    the value goes. drop: the item goes with it. whole: what is below goes, too. age: the value is an age, in the unit
    that `unit` says. harvested: the attribute as whose value the value counts for the harvest, 0 for none. link: the
    value is a name that other objects call the same thing by.
    """

    value_type: bytes | None = None
    concept: int = -1
    gone: bool = False
    drop: bool = False
    whole: bool = False
    age: bool = False
    unit: bytes = b""
    harvested: int = 0
    link: bool = False


class Concepts:
    """Table E.3.4-1 under one profile."""

    def __init__(self, profile: Profile) -> None:
        self._by_type: Final[dict[tuple[bytes, bytes], dict[bytes, int]]] = {}
        self._strict: Final[dict[tuple[bytes, bytes], int]] = {}
        self._by_meaning: Final[dict[bytes, tuple[bytes, bytes]]] = {}
        self._tells: Final[dict[tuple[bytes, bytes], int]] = {(b"DCM", b"121033"): _AGE}
        self._tells.update(((b"DCM", code), tag) for code, tag in _HARVESTED.items())
        for scheme, code, meaning, value_type, cells in concepts.CONCEPTS:
            kind = value_type.encode()
            found = _action(code, cells, profile)
            for key in _keys(scheme, code):
                self._strict[key] = max(found, self._strict.get(key, KEEP))
                types = self._by_type.setdefault(key, {})
                types[kind] = KEEP if kind in _REFERENCES else found
            self._by_meaning.setdefault(meaning.casefold().encode(), key)
        for tag, keys, meanings in _others():
            found = KEEP if _keeps(profile, tag) else DROP
            for key in keys:
                self._by_type[key] = dict.fromkeys(_SAYING, found)
                self._strict[key], self._tells[key] = found, tag
            self._by_meaning.update(
                (meaning, keys[0]) for meaning in meanings if meaning not in self._by_meaning
            )

    def action(self, scheme: str, code: str, value_type: str) -> int:
        """KEEP, DUMMY or DROP for a row of the table."""
        return self._by_type[scheme.encode(), code.encode()][value_type.encode()]

    def entered(
        self, outer: Content, tag: int, data: bytes, start: int, end: int, codec: Codec, fixed: bool
    ) -> Content | None:
        """What is done in an item that begins at `start`; None where it is not the one that was read ahead.

        outer: of the data set it is in. tag: of its sequence. fixed: no item of the object may go, since others are
        named by their places.
        """
        if tag == CONCEPT_NAME:
            return Content() if outer.concept == start else None
        if tag == CONCEPT_CODE:
            return Content(gone=outer.gone, harvested=outer.harvested)
        if tag == _MEASURED:
            unit = b""
            if outer.age:
                units = _first_item(data, start, end, codec, _UNITS)
                unit = units[1].get(_CODES[0], b"") if units is not None else b""
            return Content(gone=outer.gone, age=outer.age, unit=unit, harvested=outer.harvested)
        return self._item(outer, tag, data, start, end, codec, fixed)

    def _item(
        self, outer: Content, tag: int, data: bytes, start: int, end: int, codec: Codec, fixed: bool
    ) -> Content:
        """What is done in an item by its own value type and concept."""
        values: dict[int, bytes] = {}
        name = _first_item(data, start, end, codec, CONCEPT_NAME, values)
        kind = values.get(VALUE_TYPE)
        if name is None:
            return Content(value_type=kind, gone=outer.whole, whole=outer.whole)
        place, fields = name
        key = self._key(fields)
        action = KEEP
        if key is not None:
            types = self._by_type[key]
            action = types.get(kind or b"", KEEP if kind in _APART else self._strict[key])
        tells = self._tells.get(key, 0) if key is not None else 0
        # An age that is no number is in no band.
        gone = outer.whole or action != KEEP or (tells == _AGE and kind != b"NUM")
        return Content(
            value_type=kind,
            concept=place,
            gone=gone,
            drop=action == DROP and tag == CONTENT and not fixed,
            whole=outer.whole or (gone and kind == b"CONTAINER"),
            age=tells == _AGE,
            harvested=tells,
            link=kind == b"TEXT" and fields.get(_SCHEME) == b"DCM" and _TRACKING in map(fields.get, _CODES),
        )

    def _key(self, fields: Mapping[int, bytes]) -> tuple[bytes, bytes] | None:
        """The row's key for the elements of a code: by code and scheme, else by the words of its meaning."""
        scheme = fields.get(_SCHEME, b"")
        for tag in _CODES:
            key = (scheme, fields.get(tag, b""))
            if key in self._by_type:
                return key
        return self._by_meaning.get(b" ".join(fields.get(_MEANING, b"").lower().split()))


def _keys(scheme: str, code: str) -> list[tuple[bytes, bytes]]:
    """How a row's concept is written: now, and as it was in SNOMED RT. NCDR has its version in the designator."""
    keys = [(scheme.encode(), code.encode())]
    if scheme.startswith("NCDR"):
        keys.append((b"NCDR", code.encode()))
    old = _RETIRED_CODES.get(code) if scheme == "SCT" else None
    if old is not None:
        keys += [(retired, old) for retired in _RETIRED]
    return keys[::-1]


@cache
def _others() -> tuple[tuple[int, tuple[tuple[bytes, bytes], ...], tuple[bytes, ...]], ...]:
    """profiles/concepts.toml: attribute, keys, meanings."""
    text = (files("wardlight.deid") / "profiles" / "concepts.toml").read_text("utf-8")
    return tuple(
        (
            int(row["attribute"], 16),
            tuple(_key_of(row["codes"])),
            tuple(one.encode() for one in row["meanings"]),
        )
        for row in tomllib.loads(text)["concept"]
    )


def _key_of(codes: list[str]) -> Iterator[tuple[bytes, bytes]]:
    for code in codes:
        scheme, _, value = code.encode().partition(b" ")
        yield scheme, value


def _keeps(profile: Profile, tag: int) -> bool:
    """Whether the profile keeps an attribute as one of the patient's characteristics."""
    column = attributes.COLUMNS.index("patient")
    kept = any(row[4][column] for row in attributes.ROWS if row[0] == f"{tag:08X}")
    return kept and "patient" in profile.options and (profile.patient is None or tag in profile.patient)


def _action(code: str, cells: tuple[str, ...], profile: Profile) -> int:
    """What the row says under the options in force. C leaves it to the rules of the value's VR, which clean."""
    row = dict(zip(concepts.COLUMNS, cells, strict=True))
    for option in profile.options & row.keys():
        if option == "patient" and row[option] == "K" and profile.patient is not None:
            if _CHARACTERISTICS.get(code) in profile.patient:
                return KEEP
        elif row[option]:
            return KEEP
    return DROP if row["basic"] == "X" else DUMMY


def _first_item(
    data: bytes, p: int, end: int, codec: Codec, wanted: int, values: dict[int, bytes] | None = None
) -> tuple[int, dict[int, bytes]] | None:
    """The first item of sequence `wanted` among the elements from p on: its offset, and its values by tag.

    Reading stops where the sequence belongs in the order of tags. values: takes those of the elements before it. None
    where it is not there or cannot be read.
    """
    try:
        while p < end:
            tag, vr, v, length = codec.read(data, p)
            if tag > wanted or v + length > end:
                return None
            if tag == wanted:
                return _codes_in(data, vr, v, end, codec)
            if length < 0:
                p = skip_undefined(data, p, v, vr, codec, LIMITS)
                continue
            p = v + length
            if values is not None and tag == VALUE_TYPE:
                values[tag] = data[v:p].strip(b" \0")
    except (DicomError, StructError):
        return None
    return None


def _codes_in(data: bytes, vr: bytes, v: int, end: int, codec: Codec) -> tuple[int, dict[int, bytes]] | None:
    """Offset and short values of the first item of the sequence whose value begins at v."""
    inner = content_codec(data, vr, v, codec)
    _, _, p, length = read_item(data, v, inner)
    start = p
    stop = end if length < 0 else min(end, p + length)
    found: dict[int, bytes] = {}
    while p < stop:
        tag, vr, value, length = inner.read(data, p)
        if length < 0 or tag > _MEANING:
            break
        p = value + length
        if p <= stop:
            found.setdefault(tag, data[value:p].strip(b" \0"))
    return start, found


def holds_content(header: bytes) -> bool:
    """Whether there may be content items in an encoded data set: concept names (0040,A043), in either byte order."""
    return b"\x40\x00\x43\xa0" in header or b"\x00\x40\xa0\x43" in header


def names_places(header: bytes) -> bool:
    """Whether there may be items that name others by their place (0040,DB73); then none may go."""
    return b"\x40\x00\x73\xdb" in header or b"\x00\x40\xdb\x73" in header
