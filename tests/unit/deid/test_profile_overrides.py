"""Overrides: which are allowed, which one wins, and that whatever a profile says, engine and verifier agree."""

from __future__ import annotations

import random
import secrets
from functools import cache

import pytest
from pydicom.dataset import Dataset

from deid_kit import CT, MR, SECRET, decode, encode, minimal, pixels, sequence
from wardlight.deid.engine import Deidentifier, Refused
from wardlight.deid.keys import DeidKeys
from wardlight.deid.profile import ACTIONS, LEVELS, Profile, ProfileError, parse_profile
from wardlight.deid.profile_legal import no_element, not_allowed
from wardlight.deid.profile_rules import Applied, holding
from wardlight.deid.profile_site import site_of
from wardlight.deid.standard import attributes
from wardlight.deid.verify import Finding, verify
from wardlight.dicom.codec import EXPLICIT_LE
from wardlight.dicom.dictionary import vr_of
from wardlight.dicom.elements import scan
from wardlight.dicom.rewrite import Items, encode_element, encode_items
from wardlight.dicom.stream import PixelElement
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

VALUES = {
    "UI": b"1.2.826.0.1.3680043.10.77", "PN": b"Quellental^Q", "UR": b"https://a.example/b", "DS": b"48.137",
    "IS": b"481", "AS": b"044Y", "CS": b"AXIAL", "TM": b"101112", "DA": b"20231105", "DT": b"20231105101112",
    "US": b"\x07\x1a", "OB": b"\1\2\3\4\7\6", "OW": b"\1\2\3\4\7\6", "FL": b"\0\0\x80\x3f", "FD": bytes(8),
}  # fmt: skip
#: They make an object one of another kind, which has tests of its own.
APART = {0x0040A730, 0x00420011, 0x00100010, 0x00100020}


def tags() -> list[int]:
    return [int(row[0], 16) for row in attributes.ROWS if row[0] != "private" and "x" not in row[0]]


def allowed(action: str, options: frozenset[str]) -> list[int]:
    return [
        tag for tag in tags() if not no_element(tag) and not not_allowed(tag, vr_of(tag), action, options)
    ]


@cache
def everything(name: bytes = b"") -> bytes:
    """An object with each row of Table E.1-1, at the top and in a sequence; a patient's name in all that holds text."""
    texts = {vr: b"chest " + name for vr in ("LO", "LT", "SH", "ST", "UT", "UC", "AE")} | {"PN": name + b"^Q"}
    texts |= {"UR": b"https://a.example/" + name, "CS": name.upper(), "OB": name, "OW": name, "UN": name}
    values = VALUES | (texts if name else {})

    def made(tag: int) -> bytes:
        vr = vr_of(tag)
        if vr == b"SQ":
            inside = Items(((0x00280002, b"US", b"\1\0"), (0x0040A123, b"PN", b"Wyvern^W")))
            return encode_element(EXPLICIT_LE, tag, vr, encode_items(EXPLICIT_LE, [inside]))
        return encode_element(EXPLICIT_LE, tag, vr, values.get(vr.decode(), b"chest"))

    rows = {tag: made(tag) for tag in tags() if tag not in APART and tag >> 16 > 6}
    item = b"".join(rows[tag] for tag in sorted(rows))
    base = {int(one.tag): encode(Dataset({one.tag: one})) for one in minimal()}
    base = rows | base
    base[0x00081115] = encode_element(
        EXPLICIT_LE, 0x00081115, b"SQ", b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    )
    return b"".join(base[tag] for tag in sorted(base))


def findings(
    profile: Profile, header: bytes, pixel: PixelElement | None = None
) -> list[Finding] | tuple[str, ...]:
    """What the verifier says, or why the engine refuses."""
    engine = Deidentifier(profile, DeidKeys.derive(SECRET, "app", profile.level))
    try:
        made = engine.deidentify(header, EXPLICIT_LITTLE, pixel)
    except Refused as refusal:
        return refusal.reasons
    elements = scan(header, EXPLICIT_LITTLE, wanted=frozenset((0x00080016, 0x00080060))).elements
    site = site_of(profile, engine.applied(header, elements))
    return verify(header, EXPLICIT_LITTLE.uid, made.header, level=profile.level, site=site)


def with_overrides(level: str, chosen: list[tuple[int, str]]) -> Profile:
    rows = "".join(f"[[override]]\ntag = '{tag:08X}'\naction = '{action}'\n" for tag, action in chosen)
    return parse_profile(f"inherit = '{level}'\nname = 'site'\n{rows}".encode())


def all_of(level: str, action: str) -> list[tuple[int, str]]:
    options = parse_profile(f"inherit = '{level}'".encode()).options
    return [(tag, action) for tag in allowed(action, options)]


@pytest.mark.parametrize("action", ACTIONS)
def test_engine_and_verifier_agree_on_each_action(action: str) -> None:
    assert findings(with_overrides("high", all_of("high", action)), everything()) == []


@pytest.mark.long
@pytest.mark.parametrize("level", ["medium", "low"])
@pytest.mark.parametrize("action", ACTIONS)
def test_engine_and_verifier_agree_at_other_levels(action: str, level: str) -> None:
    assert findings(with_overrides(level, all_of(level, action)), everything()) == []


@pytest.mark.parametrize("level", LEVELS)
def test_engine_and_verifier_agree_on_any_mixture(level: str) -> None:
    options = parse_profile(f"inherit = '{level}'".encode()).options
    seed = secrets.randbits(32)
    generator = random.Random(seed)
    mixed = [(tag, generator.choice(ACTIONS)) for tag in tags()]
    mixed = [
        (tag, a) for tag, a in mixed if not (no_element(tag) or not_allowed(tag, vr_of(tag), a, options))
    ]
    assert findings(with_overrides(level, mixed), everything()) == [], seed


@pytest.mark.parametrize("level", ["high", pytest.param("low", marks=pytest.mark.long)])
def test_what_is_kept_is_searched(level: str) -> None:
    """Whatever a profile keeps, the patient's name is in none of it."""
    name = "".join(secrets.choice("bcdfgklmnp") for _ in range(10)).encode()
    header = everything(name)
    assert header.lower().count(name) > 500
    for action in ("keep", "clean"):
        profile = with_overrides(level, all_of(level, action))
        assert findings(profile, header) == []
        engine = Deidentifier(profile, DeidKeys.derive(SECRET, "app", level))
        assert name not in engine.deidentify(header, EXPLICIT_LITTLE, None).header.lower()


@pytest.mark.long
def test_single_overrides() -> None:
    """One at a time, drawn afresh: no override rests on another."""
    seed = secrets.randbits(32)
    generator = random.Random(seed)
    for _ in range(60):
        level, action = generator.choice(LEVELS), generator.choice(ACTIONS)
        chosen = allowed(action, parse_profile(f"inherit = '{level}'".encode()).options)
        if chosen:
            tag = generator.choice(chosen)
            assert findings(with_overrides(level, [(tag, action)]), everything()) == [], (
                seed,
                hex(tag),
                action,
            )


@pytest.mark.parametrize("action", ACTIONS)
def test_overrides_of_a_whole_vr(action: str) -> None:
    for vr in ("LO", "SQ"):
        try:
            profile = parse_profile(
                f"inherit = 'medium'\n[[override]]\nvr = '{vr}'\naction = '{action}'".encode()
            )
        except ProfileError as refused:
            assert f"profile.toml:4: override: {action}" in str(refused)
            continue
        assert findings(profile, everything()) == [], vr


def profile_of(text: str, level: str = "high") -> Profile:
    return parse_profile(f"inherit = '{level}'\nname = 'site'\n{text}".encode())


def made(profile: Profile, ds: Dataset) -> Dataset:
    engine = Deidentifier(profile, DeidKeys.derive(SECRET, "app", profile.level))
    header = encode(ds)
    assert findings(profile, header, pixels(ds)) == []
    return decode(engine.deidentify(header, EXPLICIT_LITTLE, pixels(ds)).header)


def test_what_each_action_does() -> None:
    ds = minimal()
    ds.StationName, ds.ProtocolName, ds.InstitutionName = "Bay 7", "chest Quellental", "Spital"
    ds.PatientBirthDate, ds.ImageComments, ds.SoftwareVersions = "19510203", "head", "1.2"
    ds.AccessionNumber, ds.BodyPartExamined = "A-4711", "HEAD"
    rows = {
        "StationName": "keep", "ProtocolName": "clean", "InstitutionName": "dummy", "PatientBirthDate": "shift",
        "ImageComments": "remove", "AccessionNumber": "empty", "SoftwareVersions": "remove",
        "FrameOfReferenceUID": "remove",
    }  # fmt: skip
    text = "".join(
        f"[[override]]\nkeyword = '{k}'\naction = '{a}'\nreason = 'a test'\n" for k, a in rows.items()
    )
    after = made(profile_of(text), ds)
    assert (
        after.StationName == "Bay 7" and after.ProtocolName == "chest" and after.InstitutionName == "REMOVED"
    )
    assert "ImageComments" not in after and after.AccessionNumber == "" and "SoftwareVersions" not in after
    moved = int(ds.StudyDate[:4]) - int(after.StudyDate[:4])
    assert int(ds.PatientBirthDate[:4]) - int(after.PatientBirthDate[:4]) - moved in (-1, 0, 1)
    # A CT must have a frame of reference (type 1), so what should go is a value that says nothing.
    assert after.FrameOfReferenceUID == "2.25.0"
    assert after.DeidentificationMethod.startswith("Wardlight site, PS3.15 ")
    again = encode(after)
    assert findings(profile_of(text), again, pixels(after)) == []


def test_what_a_profile_does_not_keep_is_found() -> None:
    """What holds for one SOP class is not held against it there, and is everywhere else."""
    ds = minimal()
    ds.StationName = "Bay 7"
    profile = profile_of("[[override]]\nkeyword = 'StationName'\nmodality = 'CT'\naction = 'keep'")
    assert made(profile, ds).StationName == "Bay 7"
    ds.Modality = "MR"
    assert "StationName" not in made(profile, ds)
    engine = Deidentifier(profile, DeidKeys.derive(SECRET, "app", "high"))
    result = engine.deidentify(encode(ds), EXPLICIT_LITTLE, pixels(ds))
    after = decode(result.header)
    after.StationName = "Bay 7"
    site = site_of(profile, Applied(profile, holding(profile, CT, "MR")))
    found = verify(encode(ds), EXPLICIT_LITTLE.uid, encode(after), level="high", site=site)
    assert {one.code for one in found} == {"unchanged-element", "identifier"}
    for keyword, value in (
        ("AccessionNumber", "X1"),
        ("ImageComments", "chest"),
        ("ProtocolName", "Quellental"),
    ):
        rows = "[[override]]\nkeyword = 'AccessionNumber'\naction = 'empty'\n"
        rows += "[[override]]\nkeyword = 'ImageComments'\naction = 'remove'\n"
        rows += "[[override]]\nkeyword = 'ProtocolName'\naction = 'clean'\n"
        strict = profile_of(rows)
        after = made(strict, ds)
        setattr(after, keyword, value)
        site = site_of(strict, Applied(strict, ()))
        assert verify(encode(ds), EXPLICIT_LITTLE.uid, encode(after), level="high", site=site) != [], keyword


NARROWED = {
    "": "dummy", "modality = 'CT'": "clean", f"sop_class = '{CT}'": "empty",
    f"sop_class = '{CT}'\nmodality = 'CT'": "keep",
}  # fmt: skip


def test_precedence() -> None:
    def rule(selector: str, narrowed: str, action: str) -> str:
        return f"[[override]]\n{selector}\n{narrowed}\naction = '{action}'\n"

    rows = [rule("keyword = 'StationName'", narrowed, action) for narrowed, action in NARROWED.items()]
    rows += [rule("vr = 'SH'", narrowed, "remove") for narrowed in NARROWED]
    rows += [rule("private_creator = 'ACME'\nelement = '0019xx0C'", "", "keep")]
    rows += [rule("private_creator = 'ACME'\nelement = 'xx0C'", "modality = 'CT'", "empty")]
    rows += [rule("private_creator = 'ACME'", f"sop_class = '{CT}'\nmodality = 'CT'", "dummy")]
    generator = random.Random(secrets.randbits(32))
    generator.shuffle(rows)
    profile = profile_of("".join(rows))
    expected = ((CT, "CT", "keep"), (CT, "OT", "empty"), (MR, "CT", "clean"), (MR, "MR", "dummy"))
    for sop_class, modality, action in expected:
        applied = Applied(profile, holding(profile, sop_class, modality))
        station, name = applied.of(0x00081010), applied.of(0x00081090)
        assert station is not None and station.action == action
        assert applied.of(0x00400253).action == "remove" and name is None  # type: ignore[union-attr]
        assert applied.of(0x00080102) is None, "a part of a code, whatever its VR"
    applied = Applied(profile, holding(profile, CT, "CT"))
    chosen = {
        place: applied.of_private(b"ACME", *place).action  # type: ignore[union-attr]
        for place in ((0x19, 0x0C), (0x21, 0x0C), (0x19, 0x0D))
    }
    assert chosen == {(0x19, 0x0C): "keep", (0x21, 0x0C): "empty", (0x19, 0x0D): "dummy"}
    assert applied.of_private(b"OTHER", 0x19, 0x0C, b"LO") is None
    assert applied.of_private(b"OTHER", 0x19, 0x0C, b"SH").action == "remove"  # type: ignore[union-attr]


def test_private_elements() -> None:
    ds = minimal()
    ds.ReferringPhysicianName = "Quellental^Q"
    block = ds.private_block(0x0019, "ACME 1.0", create=True)
    block.add_new(0x0C, "LO", "for Quellental, plan 7")
    block.add_new(0x0D, "LO", "chest Wyvern")
    block.add_new(0x0E, "PN", "Quellental^Q")
    block.add_new(0x0F, "UI", "1.2.826.0.1.3680043.10.1.5")
    block.add_new(0x10, "DA", "20240317")
    block.add_new(0x11, "DS", "2.5")
    block.add_new(0x12, "OB", b"somebody's text!")
    block.add_new(0x13, "LO", "gone")
    text = "[[override]]\nprivate_creator = 'ACME 1.0'\naction = 'keep'\n"
    text += "[[override]]\nprivate_creator = 'ACME 1.0'\nelement = 'xx0D'\naction = 'clean'\n"
    text += "[[override]]\nprivate_creator = 'ACME 1.0'\nelement = '0019xx13'\naction = 'remove'\n"
    for level in LEVELS:
        after = made(profile_of(text, level), ds)
        kept = {one.tag.element & 0xFF: str(one.value) for one in after.group_dataset(0x0019)}
        assert "quellental" not in str(kept).lower() and kept[0x0C].endswith("plan 7") and kept[0x11] == "2.5"
        assert kept[0x0D] == ("chest Wyvern" if level == "low" else "chest") and kept[0x0F].startswith(
            "2.25."
        )
        assert kept.keys() == {0x10, 0x0C, 0x0D, 0x0F, 0x11} and kept[0x10] == "ACME 1.0"
    assert 0x0019100C not in made(profile_of(""), ds)


@pytest.mark.parametrize("level", ["high", "medium"])
def test_private_elements_of_a_vr_can_only_be_taken_away(level: str) -> None:
    ds = minimal()
    block = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x08, "CS", "IMAGE NUM 4")
    block.add_new(0x0C, "IS", "1000")
    other = "[[override]]\nprivate_creator = 'ACME'\naction = 'keep'\n"
    for vr, action in (("IS", "remove"), ("IS", "empty"), ("IS", "keep"), ("CS", "dummy"), ("CS", "keep")):
        after = made(profile_of(f"{other}[[override]]\nvr = '{vr}'\naction = '{action}'", level), ds)
        stays = level == "medium" and (vr, action) != ("IS", "remove")
        assert (0x0019100C in after) is stays
        if stays:
            assert after[0x0019100C].value == (None if (vr, action) == ("IS", "empty") else 1000)


def test_repeating_groups() -> None:
    ds = minimal()
    ds.add_new(0x60020022, "LO", "chest Wyvern")
    ds.add_new(0x60020045, "LO", "ROI")
    text = "[[override]]\ntag = '60xx0022'\naction = 'clean'\n[[override]]\nkeyword = 'OverlaySubtype'\naction = 'keep'"
    after = made(profile_of(text), ds)
    assert after[0x60020022].value == "chest" and after[0x60020045].value == "ROI"
    assert 0x60020022 not in made(profile_of(""), ds)


def test_words_of_a_site_reach_engine_and_verifier() -> None:
    """And no other profile, whatever either of them remembers."""
    word, term = "".join(secrets.choice("bcdfgklmnp") for _ in range(9)), "ZQ_" + secrets.token_hex(2).upper()
    ds = minimal()
    ds.StudyDescription, ds.ImageType = f"chest {word.upper()}", ["ORIGINAL", "PRIMARY", "AXIAL", term]
    item = Dataset()
    item.CodeMeaning = word
    ds.ViewCodeSequence = sequence(item)
    own = profile_of(f"vocabulary = ['{word}']\nterms = ['{term}']")
    for profile, words in ((profile_of(""), False), (own, True), (profile_of(""), False), (own, True)):
        after = made(profile, ds)
        assert (after.StudyDescription == f"chest {word.upper()}") is words
        assert (term in after.ImageType) is words
        assert (after.ViewCodeSequence[0].CodeMeaning == word) is words
    clean = encode(made(own, ds))
    assert (
        verify(encode(ds), EXPLICIT_LITTLE.uid, clean, level="high", site=site_of(own, Applied(own, ())))
        == []
    )
    told = {one.code for one in verify(encode(ds), EXPLICIT_LITTLE.uid, clean, level="high")}
    assert "words" in told
    # A word that is the patient's own goes, whoever added it.
    ds.PatientName = f"{word}^Anna"
    assert word not in str(made(own, ds)).lower()


def test_faces_may_stay_here() -> None:
    ds = minimal()
    ds.BodyPartExamined = "HEAD"
    assert findings(profile_of("quarantine_faces = true"), encode(ds), pixels(ds)) == ("face",)
    assert findings(profile_of("quarantine_faces = true", "low"), encode(ds), pixels(ds)) == ("face",)
    assert made(profile_of(""), ds).RecognizableVisualFeatures == "YES"
    ds.BodyPartExamined = "CHEST"
    assert findings(profile_of("quarantine_faces = true"), encode(ds), pixels(ds)) == []
