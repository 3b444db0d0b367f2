"""The verifier's look at content items: what Table E.3.4-1 of PS3.15 forbids says nothing, and no item lost its sense.

Written from the table and PS3.3 C.17.3 alone. An item is judged by the concept it had in the input, so that a concept
that became another hides nothing. Dates, UIDs, words and names are looked at as in every other element (`verify`).
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from wardlight.deid.standard import attributes, concepts
from wardlight.deid.verify_leaks import Finding
from wardlight.deid.verify_reader import Item, Path
from wardlight.deid.verify_rules import ALLOWED
from wardlight.deid.verify_text import any_of

_CONTENT: Final = 0x0040A730
_NAME: Final = 0x0040A043
_CODE: Final = 0x0040A168
_MEASURED: Final = 0x0040A300
_TYPE: Final = 0x0040A040
_PLACE: Final = 0x0040DB73
_NUMBER: Final = 0x0040A30A
#: Where the value of each value type stands.
_VALUE: Final = {
    b"TEXT": 0x0040A160,
    b"DATETIME": 0x0040A120,
    b"DATE": 0x0040A121,
    b"TIME": 0x0040A122,
    b"PNAME": 0x0040A123,
    b"UIDREF": 0x0040A124,
}
_CODE_VALUES: Final = frozenset((0x00080100, 0x00080119, 0x00080120))
_SCHEME: Final = 0x00080102
_MEANING: Final = 0x00080104
_NUMBERS: Final = frozenset((_NUMBER, 0x0040A161, 0x0040A162, 0x0040A163))
_VALUES: Final = frozenset((*_VALUE.values(), 0x00700006))
_SILENT: Final = frozenset((b"", b"REMOVED", b"Removed^", b"19000101", b"000000", b"0", b"99WL", b"2.25.0"))
_NEW: Final = frozenset((b"UIDREF", b"COMPOSITE", b"IMAGE", b"WAVEFORM"))
_OTHERWISE: Final = _NEW | {b"CODE", b"CONTAINER", b"SCOORD", b"SCOORD3D", b"TCOORD", b"TABLE"}
_AGE: Final = (b"DCM", b"121033")
_SEX: Final = (b"DCM", b"121032")
_PATIENT_AGE: Final = 0x00101010
_PATIENT_SEX: Final = 0x00100040
_SAYING: Final = (b"TEXT", b"NUM", b"CODE", b"PNAME", b"DATE", b"TIME", b"DATETIME")
#: Concepts whose values identify a person, an order or a place, and the attributes that hold the same elsewhere.
_SOUGHT: Final[dict[tuple[bytes, bytes], int]] = {
    (b"DCM", code): tag
    for tag, codes in (
        (0x00080050, b"121022"),
        (0x00100020, b"121030 113871 128774"),
        (0x00100030, b"121031"),
        (0x00402016, b"121020"),
        (0x00402017, b"121021"),
    )
    for code in codes.split()
}
_IDENTIFIES: Final = frozenset(_SOUGHT.values()) | {0x00100010, 0x00101040, 0x00102154}
#: Tracking Identifier: what one calls a lesion, in each report and segmentation of it.
_TRACKING: Final = b"112039"
_KEYED: Final = re.compile(rb"[A-Z2-7]{16}")
_UNITS: Final = 0x004008EA
_UID: Final = 0x0040A124
_PER_YEAR: Final = {b"a": 1, b"mo": 12, b"wk": 52, b"d": 365}
_OLDEST: Final = 90
_VRS: Final = {0x00100030: b"DA", 0x00100010: b"PN"}
_CHARSET: Final = 0x00080005
_SHORTEST: Final = 5
_ORDERS: Final[tuple[Literal["little", "big"], ...]] = ("little", "big")
#: SNOMED RT codes of the table's concepts (PS3.16 Annex D), by that of SNOMED CT.
_RT: Final = {
    b"440252007": b"PA-30029", b"398164008": b"DF-0070B", b"398325003": b"DF-0068E", b"371524004": b"R-42B89",
    b"116224001": b"DD-60002", b"271921002": b"F-00033", b"363698007": b"G-C0E3", b"160476009": b"F-02455",
    b"398201009": b"G-D321", b"397898000": b"G-D320",
}  # fmt: skip


@dataclass(slots=True)
class _Node:
    """One content item. name: code value, scheme, meaning of its concept. values: what it says. unit: of a number."""

    kind: bytes = b""
    name: dict[int, bytes] = field(default_factory=dict)
    values: list[tuple[Path, int, bytes]] = field(default_factory=list)
    coded: bool = False
    unit: bytes = b""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The table under a level. rows: value type → (is the value forbidden, may the item go) by (scheme, code)."""

    rows: dict[tuple[bytes, bytes], dict[bytes, tuple[bool, bool]]]
    meanings: dict[bytes, tuple[bytes, bytes]]
    told: dict[tuple[bytes, bytes], int]

    def key(self, node: _Node) -> tuple[bytes, bytes] | None:
        """The row of an item's concept: by its code, or by what it is called."""
        scheme = node.name.get(_SCHEME, b"")
        for tag in sorted(_CODE_VALUES):
            if (scheme, node.name.get(tag, b"")) in self.rows:
                return scheme, node.name[tag]
        return self.meanings.get(b" ".join(node.name.get(_MEANING, b"").lower().split()))

    def verdict(self, node: _Node) -> tuple[bool, bool]:
        """Whether its value must say nothing, and whether the whole item must go where it can."""
        key = self.key(node)
        if key is None:
            return False, False
        row = self.rows[key]
        if node.kind in row:
            return (False, False) if node.kind in _NEW else row[node.kind]
        if node.kind in _OTHERWISE:
            return False, False
        return any(one for one, _ in row.values()), any(goes for _, goes in row.values())


@cache
def _rows(level: str) -> _Rows:
    allowed = ALLOWED[level]
    rows: dict[tuple[bytes, bytes], dict[bytes, tuple[bool, bool]]] = {}
    meanings: dict[bytes, tuple[bytes, bytes]] = {}
    for scheme, code, meaning, kind, cells in concepts.CONCEPTS:
        row = dict(zip(concepts.COLUMNS, cells, strict=True))
        options = {option for option in allowed & row.keys() if row[option]}
        key = (scheme.encode(), code.encode())
        if level == "high" and key not in (_AGE, _SEX):
            options.discard("patient")
        verdict = (not options, not options and row["basic"] == "X")
        same = [key]
        if key[1] in _RT:
            same += [(name, _RT[key[1]]) for name in (b"SRT", b"SNM3", b"99SDM", b"SDM")]
        if key[0].startswith(b"NCDR"):
            same.append((b"NCDR", key[1]))
        for one in same:
            rows.setdefault(one, {})[kind.encode()] = verdict
        meanings.setdefault(meaning.casefold().encode(), key)
    told = dict(_SOUGHT) | {_AGE: _PATIENT_AGE}
    column = attributes.COLUMNS.index("patient")
    kept = {int(row[0], 16) for row in attributes.ROWS if row[4][column] and "x" not in row[0]}
    if level == "high":
        kept &= {_PATIENT_AGE, _PATIENT_SEX}
    text = (files("wardlight.deid") / "profiles" / "concepts.toml").read_text("utf-8")
    for other in tomllib.loads(text)["concept"]:
        tag = int(other["attribute"], 16)
        keys = [tuple(code.encode().split(b" ", 1)) for code in other["codes"]]
        for scheme, code in keys:
            told[scheme, code] = tag
            rows[scheme, code] = dict.fromkeys(_SAYING, (tag not in kept, tag not in kept))
        for meaning in other["meanings"]:
            meanings.setdefault(meaning.encode(), keys[0])
    return _Rows(rows, meanings, told)


#: Tags without which there is no content item, as they are written in either byte order.
_HEADS: Final = tuple(
    (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order)
    for tag in sorted((_NAME, _CODE, _MEASURED, _TYPE, *_VALUES, *_NUMBERS))
    for order in _ORDERS
)


def may_hold_content(data: bytes) -> bool:
    """Whether content items may be in a data set: a look at its bytes, which most objects need no more than."""
    return any_of(_HEADS, data)


def _nodes(data: bytes, items: list[Item]) -> dict[Path, _Node]:
    """The content items of a data set, by their paths."""
    found: dict[Path, _Node] = {}
    for path, tag, _, start, end in items:
        if not path:
            continue
        last = path[-2]
        if last == _NAME:
            if tag in _CODE_VALUES or tag in (_SCHEME, _MEANING):
                found.setdefault(path[:-2], _Node()).name.setdefault(tag, data[start:end].strip(b" \0"))
        elif last == _CODE:
            node = found.setdefault(path[:-2], _Node())
            node.coded = True
            if tag in _CODE_VALUES or tag in (_SCHEME, _MEANING):
                node.values.append((path, tag, data[start:end].strip(b" \0")))
        elif last == _MEASURED:
            if tag in _NUMBERS:
                node = found.setdefault(path[:-2], _Node())
                node.values.append((path, tag, data[start:end].strip(b" \0")))
        elif last == _UNITS and path[-4:-3] == (_MEASURED,):
            if tag in _CODE_VALUES:
                found.setdefault(path[:-4], _Node()).unit = data[start:end].strip(b" \0")
        elif tag == _TYPE:
            found.setdefault(path, _Node()).kind = data[start:end].strip(b" \0")
        elif tag in _VALUES or tag in _NUMBERS:
            found.setdefault(path, _Node()).values.append((path, tag, data[start:end].strip(b" \0")))
    return found


def without_removed(before: bytes, old: list[Item], level: str) -> list[Item]:
    """The input's elements as they are numbered where the content items that the level removes are gone."""
    if not any(item[0] and item[0][-2] == _NAME for item in old):
        return old
    if any(item[1] == _PLACE for item in old):
        # Items name others by their places, so none may go.
        return old
    rows = _rows(level)
    gone: dict[Path, list[int]] = {}
    for path, node in _nodes(before, old).items():
        if path[-2:-1] == (_CONTENT,) and rows.verdict(node)[1]:
            gone.setdefault(path[:-1], []).append(path[-1])
    if not gone:
        return old
    for numbers in gone.values():
        numbers.sort()
    moved: dict[Path, Path | None] = {}
    kept: list[Item] = []
    for path, *rest in old:
        if path not in moved:
            moved[path] = _renumbered(path, gone)
        new = moved[path]
        if new is not None:
            kept.append((new, *rest))  # type: ignore[arg-type]
    return kept


def _renumbered(path: Path, gone: dict[Path, list[int]]) -> Path | None:
    """A path with the numbers that are left when items went; None where it leads through one of them."""
    new = list(path)
    for place in range(1, len(path), 2):
        numbers = gone.get(path[:place])
        if numbers is None:
            continue
        before = bisect_left(numbers, path[place])
        if before < len(numbers) and numbers[before] == path[place]:
            return None
        new[place] -= before
    return tuple(new)


def structured(
    before: bytes, old: list[Item], after: bytes, new: list[Item], level: str
) -> Iterator[Finding]:
    """What is wrong with the content items of an output. old: as `without_removed` gives it."""
    had, has = _nodes(before, old), _nodes(after, new)
    if not had and not has:
        return
    rows = _rows(level)
    silenced: set[Path] = set()
    for path, node in has.items():
        was = had.get(path)
        if was is None or was.kind != node.kind:
            yield _found("content-item", path)
            continue
        silent = rows.verdict(was)[0] or (
            silenced and any(path[:place] in silenced for place in range(2, len(path), 2))
        )
        if silent:
            if node.kind == b"CONTAINER":
                silenced.add(path)
            if any(tag != _UID and value not in _SILENT for _, tag, value in node.values):
                yield _found("concept", path)
        if node.kind == b"PNAME" and any(value not in (b"", b"Removed^") for *_, value in node.values):
            yield _found("person-name", path)
        key = rows.key(was)
        if key is not None and rows.told.get(key) == _PATIENT_AGE and not _coarse(node, level == "high"):
            yield _found("age", path)
        if _lost(was, node):
            yield _found("content-value-lost", path)
    for path in had.keys() - has.keys():
        # What the level removes besides, an annotation's text for one, is no item of a document.
        if all(tag == _CONTENT for tag in path[::2]):
            yield _found("content-item-lost", path)


def _found(code: str, path: Path) -> Finding:
    return Finding(code, path[::2])


class Lesions:
    """Tracking Identifiers of an input: in their place a keyed name may stand, the same in every object."""

    def __init__(self, before: bytes, old: list[Item]) -> None:
        self._paths: Final = {
            path
            for path, node in _nodes(before, old).items()
            if node.kind == b"TEXT"
            and node.name.get(_SCHEME) == b"DCM"
            and _TRACKING in map(node.name.get, _CODE_VALUES)
        }

    def names(self, path: Path, tag: int, value: bytes) -> bool:
        """Whether a value of the output is such a name."""
        return (
            tag == _VALUE[b"TEXT"]
            and path in self._paths
            and _KEYED.fullmatch(value.rstrip(b" ")) is not None
        )


def _lost(was: _Node, node: _Node) -> bool:
    """Whether the value that the item's type asks for was there and is no more."""
    tag = _VALUE.get(node.kind)
    if tag is None:
        return was.coded and not node.coded
    return any(one == tag and value for _, one, value in was.values) and not any(
        one == tag and value for _, one, value in node.values
    )


def _coarse(node: _Node, bands: bool) -> bool:
    """Whether no age is over 90 years, which few people reach, and with `bands` each is a multiple of five years."""
    per_year = _PER_YEAR.get(node.unit)
    for _, tag, value in node.values:
        if value in _SILENT:
            continue
        try:
            number = float(value) if tag == _NUMBER and per_year is not None else -1.0
        except ValueError:
            return False
        years = number / (per_year or 1)
        if not 0 <= years < _OLDEST + 1:
            return False
        if bands and abs(years / 5 - round(years / 5)) * 5 * (per_year or 1) > 0.5:
            return False
    return True


def identifying(before: bytes, old: list[Item], level: str) -> Iterator[tuple[int, bytes, bytes, bytes]]:
    """Values of the input's content items that are searched for like those of an attribute: its tag, VR, value, set.

    old: as it was read.
    """
    rows = _rows(level)
    for path, node in _nodes(before, old).items():
        tag = rows.told.get(rows.key(node) or (b"", b""), 0)
        if tag not in _IDENTIFIES or not rows.verdict(node)[0]:
            continue
        charset = _charset(before, old, path)
        for _, _, value in node.values:
            if len(value) >= _SHORTEST:
                yield tag, _VRS.get(tag, b"LO"), value, charset


def _charset(before: bytes, old: list[Item], path: Path) -> bytes:
    """The character set in force in an item: its own, or that of the nearest data set around it which has one."""
    declared = {item[0]: before[item[3] : item[4]] for item in old if item[1] == _CHARSET}
    for place in range(len(path), -1, -2):
        if path[:place] in declared:
            return declared[path[:place]]
    return b""
