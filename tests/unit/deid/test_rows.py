"""Table E.1-1, each of its 656 rows under each column: at the top level, in a public sequence, in a private one.

What is expected is worked out here from the table alone (PS3.15 E.1-1, E.1-1a), knowing nothing of `deid.actions`. One
object holds all rows at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
from pydicom.dataset import Dataset

from deid_kit import CT, SECRET, encode, minimal
from wardlight.deid.engine import Deidentified, Deidentifier
from wardlight.deid.keys import DeidKeys
from wardlight.deid.profile import NOT_OFFERED, OPTIONS, Profile, load_profile
from wardlight.deid.standard import attributes
from wardlight.deid.verify import verify
from wardlight.deid.verify_rules import required
from wardlight.dicom.codec import EXPLICIT_LE, IMPLICIT_LE, Codec
from wardlight.dicom.dictionary import vr_of
from wardlight.dicom.elements import walk
from wardlight.dicom.rewrite import Items, encode_element, encode_items
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, IMPLICIT_LITTLE, TransferSyntax

#: Rows whose elements decide what becomes of the whole object; they have tests of their own.
APART = frozenset((0x0040A730, 0x00420011))
#: The engine writes these itself: the patient's pseudonym.
WRITTEN = frozenset((0x00100010, 0x00100020))
#: Groups of messages, files and directories, no part of a data set.
FOREIGN = (0x0000, 0x0002, 0x0004)
PLACES = ("top", "nested", "private")
#: Public and private sequences that hold all rows once more.
#: The zone is no free text, and the birth date agrees with the age (044Y).
SPECIAL = {0x00080201: b"+0930", 0x00100030: b"19791001"}
ETHNIC_GROUP = 0x00102160
HOLDER, PRIVATE_HOLDER = 0x00081115, 0x00111001
INNER_NAME, INNER_NUMBER = 0x0040A123, 0x00280002
DUMMIES = frozenset(
    (bytes(2), bytes(4), bytes(8), *b"REMOVED Removed^ 19000101 000000 000Y 0 urn:removed 2.25.0".split())
)
#: Values of VRs that have no room for letters.
FIXED = {
    "US": b"\x07\x1a", "OB": b"\x01\x02\x03\x04\x07\x08", "UN": b"\x01\x02\x03\x04\x07\x08", "DS": b"48.137",
    "IS": b"481", "AS": b"044Y", "CS": b"AXIAL", "TM": b"101112", "DA": b"20231105", "DT": b"20231105101112",
}  # fmt: skip


def new_letters() -> bytes:
    return "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(10)).encode()


def rows() -> Iterator[tuple[int, dict[str, str]]]:
    for spelled, _name, _retired, _standard, cells in attributes.ROWS:
        if spelled != "private" and "x" not in spelled:
            yield int(spelled, 16), dict(zip(attributes.COLUMNS, cells, strict=True))


@cache
def shared() -> bytes:
    return new_letters()


def value_of(tag: int, row: dict[str, str]) -> bytes:
    """A value that nobody has seen before, where the VR has room for one.

    What no option keeps shares its letters: an object with hundreds of names loses every text that holds one.
    """
    vr = vr_of(tag).decode()
    if tag in SPECIAL:
        return SPECIAL[tag]
    if vr == "UI":
        return b"1.2.826.0.1.3680043.10.%d" % (10**12 + secrets.randbelow(10**12))
    if vr == "UR":
        return b"https://somewhere.example/" + new_letters()
    if vr == "PN":
        return shared() + b"^" + shared()
    if "C" in (row["descriptors"], row["patient"]) and tag != ETHNIC_GROUP:
        return FIXED.get(vr) or b"chest " + shared()
    return FIXED.get(vr) or (new_letters() if "K" in row.values() else shared())


@cache
def values() -> dict[int, bytes]:
    return {tag: value_of(tag, row) for tag, row in rows() if vr_of(tag) != b"SQ"}


def elements_of(codec: Codec, place: str) -> list[tuple[int, bytes]]:
    """All rows, ascending, each encoded."""
    inner = Items(((INNER_NUMBER, b"US", b"\x01\x00"), (INNER_NAME, b"PN", b"Qxzqxz^Wvkwvk")))
    made = []
    for tag, _ in rows():
        vr = vr_of(tag)
        if tag in APART:
            continue
        if vr == b"SQ":
            made.append((tag, encode_element(codec, tag, vr, encode_items(codec, [inner]))))
        elif place == "top" or tag not in WRITTEN:
            made.append((tag, encode_element(codec, tag, vr, values()[tag])))
    return sorted(made)


def subject(syntax: TransferSyntax) -> bytes:
    """One object with everything in it."""
    codec = IMPLICIT_LE if syntax.implicit else EXPLICIT_LE
    base = minimal()
    inside = b"".join(encoded for _, encoded in elements_of(codec, "nested"))
    item = b"\xfe\xff\x00\xe0" + len(inside).to_bytes(4, "little") + inside
    by_tag = dict(elements_of(codec, "top"))
    for one in base:
        if one.tag not in by_tag:
            alone = Dataset()
            alone.add(one)
            by_tag[int(one.tag)] = encode(alone, syntax)
    by_tag[HOLDER] = encode_element(codec, HOLDER, b"SQ", item)
    by_tag[0x00110010] = encode_element(codec, 0x00110010, b"LO", b"ANYBODY")
    by_tag[PRIVATE_HOLDER] = encode_element(codec, PRIVATE_HOLDER, b"SQ", item)
    for tag, vr in ((0x50003000, b"OW"), (0x60003000, b"OW"), (0x60004000, b"LT")):
        by_tag[tag] = encode_element(codec, tag, vr, new_letters())
    return b"".join(by_tag[tag] for tag in sorted(by_tag))


def resolved(action: str, element_type: int | None) -> set[str]:
    """Table E.1-1a: what an action may come to. element_type: 1, 2, 3, None where it is not known."""
    if action in ("X/Z/D", "X/D", "X/Z"):
        return {1: {"dummy"}, 2: {"empty", "dummy"}, 3: {"gone"}, None: {"gone", "empty", "dummy"}}[
            element_type
        ]
    if action == "Z/D":
        return {"dummy"} if element_type == 1 else {"empty", "dummy"}
    simple = {
        "X": {"gone"},
        "Z": {"empty", "dummy"},
        "D": {"dummy"},
        "U": {"uid"},
        "X/Z/U*": {"same", "clean"},
    }
    return simple[action]


def wanted(tag: int, row: dict[str, str], profile: Profile, element_type: int | None) -> set[str]:
    """What may become of an element."""
    if tag >> 16 in FOREIGN:
        return {"gone"}
    if profile.overrides.get(tag) == "remove":
        return {"gone"}
    options = [
        option
        for option in profile.options
        if row[option]
        and not (option == "patient" and profile.patient is not None and tag not in profile.patient)
    ]
    if any(row[option] == "K" for option in options):
        return {"same"}
    if not options:
        return resolved(row["basic"], element_type) - (set() if vr_of(tag) != b"UI" else {"dummy"}) or {"uid"}
    if "modified_dates" in options:
        if vr_of(tag) in (b"DA", b"DT"):
            return {"moved"}
        # A signed time stamp cannot be moved; what is neither date nor time stays where times do.
        stays = profile.times == "keep" and vr_of(tag) != b"OB"
        return {"same"} if stays else {"gone", "empty", "dummy"}
    if vr_of(tag) == b"OB":
        # Bytes of a camera's maker: nothing can clean them.
        return {"gone"}
    return {"keyed"} if options == ["device"] else {"clean"}


def came_to(tag: int, value: bytes | None, profile: Profile) -> set[str]:
    """What became of an element; value: in the output, None where it is gone."""
    original = values()[tag]
    vr = vr_of(tag)
    if value is None:
        return {"gone"}
    plain = value.strip(b" \0") if vr not in (b"US", b"OB", b"UN") else value
    if plain == original:
        return {"same", "clean"} if b" " not in original else {"same"}
    if vr == b"AS" and plain == (b"040Y" if profile.ages == "bands" else b"044Y"):
        return {"same"}
    if not plain:
        return {"empty"}
    if plain in DUMMIES:
        return {"dummy", "clean"} if plain != b"2.25.0" else {"dummy"}
    if vr == b"UI":
        return {"uid"} if plain.startswith(b"2.25.") and plain != b"2.25.0" else {"?"}
    if vr in (b"DA", b"DT"):
        return {"moved"} if b"19" < plain < original else {"?"}
    # Words of a descriptor that nobody knows are gone, the others are there; a keyed identifier shows neither.
    if original.rpartition(b" ")[2] in value:
        return {"?"}
    return {"clean"} if plain == b"chest" else {"keyed", "dummy"}


def profiles() -> Iterator[tuple[str, Profile]]:
    """The Basic Profile alone, with each option that is offered, and the three levels."""
    plain = replace(load_profile("medium"), options=frozenset(), patient=None)
    yield "basic", plain
    for option in OPTIONS:
        if option not in NOT_OFFERED:
            yield option, replace(plain, options=frozenset((option,)))
    for level in ("high", "medium", "low"):
        yield level, load_profile(level)


def output(profile: Profile, syntax: TransferSyntax, header: bytes) -> Deidentified:
    return Deidentifier(profile, DeidKeys.derive(SECRET, "app", profile.level)).deidentify(
        header, syntax, None
    )


def found_in(header: bytes, syntax: TransferSyntax) -> dict[str, dict[int, bytes]]:
    """Tag → value, for each place; of a sequence what its first item has."""
    found: dict[str, dict[int, bytes]] = {place: {} for place in PLACES}
    for path, element in walk(header, syntax):
        tags = path[::2]
        place, depth = "top", len(tags)
        if tags[:1] == (HOLDER,):
            place, depth = "nested", depth - 1
        elif tags[:1] == (PRIVATE_HOLDER,):
            place, depth = "private", depth - 1
        if depth == 0:
            found[place][element.tag] = header[element.value : element.end]
        elif depth == 1:
            found[place].setdefault(tags[-1] | 1 << 40, b"")
            if element.tag == INNER_NAME:
                assert b"Qxzqxz" not in header[element.value : element.end]
    return found


@pytest.mark.parametrize(("name", "profile"), list(profiles()), ids=[name for name, _ in profiles()])
def test_every_row(name: str, profile: Profile) -> None:
    ones, twos = required(CT)
    for syntax in (EXPLICIT_LITTLE, IMPLICIT_LITTLE) if name == profile.level else (EXPLICIT_LITTLE,):
        header = subject(syntax)
        result = output(profile, syntax, header)
        found = found_in(result.header, syntax)
        wrong = []
        for tag, row in rows():
            for place in PLACES[:2]:
                if tag in APART | WRITTEN or (tag == HOLDER and place == "top"):
                    continue
                kind = (1 if tag in ones else 2 if tag in twos else 3) if place == "top" else None
                expected = wanted(tag, row, profile, kind)
                if vr_of(tag) == b"SQ":
                    there = tag in found[place], tag | 1 << 40 in found[place]
                    happened = (
                        {"gone"}
                        if not there[0]
                        else {"empty"}
                        if not there[1]
                        else {"same", "clean", "dummy"}
                    )
                    happened |= {"uid"} if there[1] else set()
                else:
                    happened = came_to(tag, found[place].get(tag), profile)
                if not happened & expected:
                    wrong.append((f"{tag:08X}", vr_of(tag), place, sorted(expected), sorted(happened)))
        assert not wrong, "\n".join(map(str, wrong))
        assert found["private"] == {}
        assert not any(tag >> 24 in (0x50, 0x60) for tag in found["top"] if tag < 1 << 32)
        if name == profile.level:
            assert [str(one) for one in verify(header, syntax.uid, result.header, level=name)] == []
