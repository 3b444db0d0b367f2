"""Profiles: the levels are as deid.md says, a site's own is checked, and each mistake is told with its line."""

from __future__ import annotations

import random
import secrets
import string
from pathlib import Path

import pytest

from wardlight.deid.actions import rows
from wardlight.deid.profile import LEVELS, ProfileError, allowlist, harvest_lists, load_profile, parse_profile
from wardlight.deid.profile_lines import Lines
from wardlight.deid.profile_overrides import OVERRIDE_KEYS
from wardlight.deid.profile_parse import KEYS

STATION = "\n[[override]]\nkeyword = 'StationName'\n"


def test_levels() -> None:
    high, medium, low = (load_profile(level) for level in LEVELS)
    assert high.options == {"modified_dates", "descriptors", "patient", "structured"}
    assert high.times == "drop" and high.ages == "bands"
    assert high.patient == {0x00100040, 0x00101010} and high.unlisted == "remove"
    assert medium.options == high.options | {"safe_private", "graphics"} and medium.times == "keep"
    assert medium.patient is None and medium.unlisted == "numbers"
    assert low.options == medium.options - {"modified_dates"} | {"full_dates", "device"}
    assert low.text == "identifiers" and low.unlisted == "keep"


def test_a_site_inherits_and_overrides(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(
        'inherit = "high"\nname = "site"\n[[override]]\nkeyword = "StationName"\naction = "keep"\n'
    )
    profile = load_profile(file)
    assert profile.level == "high" and profile.name == "site"
    assert profile.overrides[0x00081010] == "keep" and profile.overrides[0x00700001] == "remove"
    assert parse_profile(b"inherit = 'low'").name == "low-site"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("inherit = 'higher'", 1, "inherit: one of high, medium, low; did you mean high?"),
        ("\n\nname = 'x'", 1, "missing: ages"),
        ("inherit = 'high'\ntypo = 1", 2, "typo: unknown key"),
        ("inherit = 'high'\n# more\nvocabulray = []", 3, "did you mean vocabulary?"),
        ("inherit = 'high'\ntimes = 'maybe'", 2, "times: one of drop, keep"),
        ("inherit = 'high'\ntimes = 'keep'", 2, "looser than level high"),
        ("inherit = 'low'\n\nlevel = 'high'", 3, "looser than level high"),
        ("inherit = 'medium'\nfaces = false", 2, "faces: false is looser"),
        ("inherit = 'high'\npatient = ['PatientSex', 'PatientWeight']", 2, "patient: more elements is looser"),
        ("inherit = 'high'\npatient = [\n 'PatientSex',\n 'PatientSecks',\n]", 4, "did you mean PatientSex?"),
        ("inherit = 'high'\noptions = ['uids']", 2, "uids is not offered"),
        ("inherit = 'high'\noptions = ['graphics']", 2, "graphics is looser"),
        ("inherit = 'high'\noptions = ['modified_date']", 2, "did you mean modified_dates?"),
        ("inherit = 'high'\noptions = ['full_dates', 'modified_dates']", 2, "exclude"),
        ("inherit = 'high'\nname = 'high'", 2, "built-in level"),
        ("inherit = 'high'\nname = 'Wörterbuch'", 2, "name: up to 40 letters"),
        ("inherit = 'high'\nquarantine_faces = 1", 2, "true or false"),
        ("inherit = 'high'\nvocabulary = [\n  'goodword', # fine\n  'two words',\n]", 4, "one word of 2 to 40 letters"),
        ("inherit = 'high'\nvocabulary = ['12345']", 2, "digits are judged by themselves"),
        ("inherit = 'high'\nvocabulary = 'word'", 2, "a list is needed"),
        ("inherit = 'high'\nvocabulary = [1]", 2, "a list of texts is needed"),
        ("inherit = 'high'\nterms = ['12345']", 2, "with a letter and few digits"),
        ("inherit = 'high'\nterms = ['A12345']", 2, "with a letter and few digits"),
        (f"inherit = 'high'\nvocabulary = {['ab' + c * 9 for c in 'xy'] * 1001}", 2, "2000 at most"),
        ("inherit = 'high'\n[[override]]\nkeyword = 'StationNam'\naction = 'keep'", 3, "did you mean StationName?"),
        (f"inherit = 'high'{STATION}action = 'publish'", 4, "action is one of remove, empty"),
        (f"inherit = 'high'{STATION}", 2, "action is one of"),
        (f"inherit = 'high'{STATION}action = 'keep'\nreson = 'x'", 5, "did you mean reason?"),
        (f"inherit = 'high'{STATION}vr = 'LO'\naction = 'keep'", 4, "one of keyword, tag, vr"),
        (f"inherit = 'high'{STATION}action = 'keep'{STATION}action = 'empty'", 5, "the same as on line 2"),
        (f"inherit = 'high'{STATION}action = 'keep'\nsop_class = 'CTImagStorage'", 5, "did you mean CTImageStorage?"),
        (f"inherit = 'high'{STATION}action = 'keep'\nmodality = 'ct'", 5, "a code of capitals"),
        (f"inherit = 'high'{STATION}action = 'shift'", 4, "shift is for dates"),
        (f"inherit = 'high'{STATION}action = 'keep'\nelement = 'xx0C'", 5, "goes with private_creator"),
        ("inherit = 'high'\n[[override]]\ntag = '00191010'\naction = 'keep'", 3, "named by private_creator"),
        ("inherit = 'high'\n[[override]]\ntag = '00080002'\naction = 'keep'", 3, "no element of the standard"),
        ("inherit = 'high'\n[[override]]\nprivate_creator = 'A'\nelement = '0018xx0C'\naction = 'keep'", 4, "odd"),
        ("inherit = 'high'\n[[override]]\nvr = 'UI'\naction = 'remove'", 4, "UIDs hold an object together"),
        ("inherit = 'high'\noverride = [{keyword = 'StationName', action = 'publish'}]", 2, "action is one of"),
        ("inherit = 'high'\nname = '''\n\n'''\n", 2, "name: up to 40"),
        ("inherit = 'high'\n\nx = [", 3, "not TOML"),
        ("inherit = 'high'\n\nx = 1 y", 3, "not TOML"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_line(text: str, line: int, says: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse_profile(text.encode())
    assert str(caught.value).startswith(f"profile.toml:{line}: ") and says in str(caught.value)


@pytest.mark.parametrize(
    ("level", "keyword", "action", "says"),
    [
        ("high", "PatientName", "keep", "written by Wardlight"),
        ("low", "PatientIdentityRemoved", "remove", "written by Wardlight"),
        ("low", "ReferringPhysicianName", "keep", "a name identifies"),
        ("low", "FrameOfReferenceUID", "keep", "leads back to the original"),
        ("low", "SOPInstanceUID", "remove", "written by Wardlight"),
        ("high", "StudyDate", "keep", "tells by how many days"),
        ("low", "StudyDate", "shift", "the profile moves no dates"),
        ("low", "AccessionNumber", "keep", "no option of Table E.1-1 keeps it"),
        ("low", "AccessionNumber", "clean", "no option of Table E.1-1 keeps it"),
        ("high", "Rows", "remove", "cannot be read"),
        ("high", "PixelData", "remove", "pixel data"),
        ("high", "OverlayData", "keep", "writing that nothing reads"),
        ("high", "EncapsulatedDocument", "keep", "anything could stand"),
        ("high", "SourceImageSequence", "dummy", "no dummy value"),
        ("high", "CodeValue", "keep", "decided together"),
        ("high", "KVP", "clean", "only text"),
        ("high", "KVP", "replace-uid", "for UIDs"),
        ("high", "TransferSyntaxUID", "remove", "no part of a data set"),
    ],
)
def test_refused_overrides_say_why(level: str, keyword: str, action: str, says: str) -> None:
    with pytest.raises(ProfileError, match=says):
        parse_profile(
            f"inherit = '{level}'\n[[override]]\nkeyword = '{keyword}'\naction = '{action}'".encode()
        )


def test_lines_of_keys() -> None:
    text = (
        "a = 1 # x = 2\n'b' = [ # one\n  'x', # [[no]]\n  '''y\n''', {z = 1, w = 2},\n  3]\n"
        '[table]\nc = """\nd = 1\n"""\n[[rows]]\ne = "[[rows]]"\n\n[[rows]]\nf = {g = [1,\n2]}\nh = 1'
    )
    lines = Lines(text)
    expected = {
        ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 2): 5, ("b", 3): 6, ("table", "c"): 8, ("rows", 0): 11,
        ("rows", 0, "e"): 12, ("rows", 1): 14, ("rows", 1, "f"): 15, ("rows", 1, "h"): 17, ("rows", 1, "q"): 14,
        ("d",): 1,
    }  # fmt: skip
    assert {place: lines.of(place) for place in expected} == expected


def test_nothing_else_is_raised_whatever_the_text() -> None:
    """Pieces of good profiles put together at random, and bytes changed in one."""
    seed = secrets.randbits(32)
    generator = random.Random(seed)
    words = [
        *KEYS,
        *OVERRIDE_KEYS,
        "=",
        "[",
        "]",
        "[[override]]",
        "\n",
        "\n",
        '"high"',
        "'remove'",
        '"StationName"',
        "{",
    ]
    words += ["}", ",", "'", '"""', "#", "1", "true", "é", "'60xx0022'", "\\", "'UI'", "'xx0C'", "1979-05-27"]
    good = b'inherit = "high"\nvocabulary = ["a b", "word"]\n[[override]]\nkeyword = "StationName"\naction = "keep"\n'
    for number in range(400):
        if number % 2:
            text = " ".join(generator.choices(words, k=generator.randrange(1, 25))).encode()
        else:
            changed = bytearray(good)
            for _ in range(generator.randrange(1, 4)):
                changed[generator.randrange(len(good))] = generator.choice(
                    string.printable.encode() + b"\xff\x00"
                )
            text = bytes(changed)
        try:
            parse_profile(text)
        except ProfileError as error:
            assert str(error).startswith("profile.toml:"), (seed, number)
    for text in (b"a = " + b"[" * 20000, b"\xef\xbb\xbf", b"x" * (1 << 20) + b"x", b"\n\n\xff"):
        with pytest.raises(ProfileError):
            parse_profile(text)


def test_a_missing_file_is_an_error_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(ProfileError) as caught:
        load_profile(tmp_path / "Quxley.toml")
    assert "Quxley" not in str(caught.value)


def test_the_lists_do_not_contradict_the_table() -> None:
    lists = allowlist()
    for name in ("as_is", "vocabulary", "code", "link", "binary", "class_uids"):
        assert not getattr(lists, name) & rows().keys(), name
    assert harvest_lists().identifiers.isdisjoint(harvest_lists().places)
