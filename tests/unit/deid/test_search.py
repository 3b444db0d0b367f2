"""Spellings, written days, what is harvested, and how much of it is remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.deid import days, verify_text
from wardlight.deid.folding import fold, folded_with_places
from wardlight.deid.harvest import Harvester, harvest, identifier_numbers, name_words
from wardlight.deid.keyed_values import _remembered
from wardlight.deid.profile_words import remembering
from wardlight.deid.search import Needles, _any_in
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

NAME, PATIENT_ID, BIRTH, ADDRESS = 0x00100010, 0x00100020, 0x00100030, 0x00101040


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("ＳＭＩＴＨ", "smith"),
        ("Mu\u0308ller", "muller"),
        ("Müller", "muller"),
        ("Weiß", "weiss"),
        ("S\u00adm\u200bith", "smith"),
        ("S\0m\0i\0t\0h\0", "smith"),
        ("İnci", "inci"),
        ("ﾔﾏﾀﾞ", "ヤマタ"),
        ("김희중", "김희중"),
        ("王", "王"),
    ],
)
def test_engine_and_verifier_read_every_spelling_alike(text: str, plain: str) -> None:
    assert fold(text) == plain == verify_text.plain(text)


@given(st.text(max_size=40))
def test_folding_is_stable_and_places_fit(text: str) -> None:
    folded, places = folded_with_places(text)
    assert len(folded) == len(places) and places == sorted(places)
    assert all(0 <= place < len(text) for place in places)
    assert fold(fold(text)) == fold(text) or not text.isascii()


BORN = frozenset({(1963, 5, 7), (63, 5, 7)})


@pytest.mark.parametrize(
    "text",
    [
        "19630507", "x19630507101112", "07051963", "05071963", "070563", "5/7/1963", "7.5.1963", "07-05-63",
        "1963-05-07", "1963/5/7", "07 may 1963", "7. mai 1963", "7th of may 1963", "may 7, 1963", "may 7th, 63",
        "7 de mayo de 1963",
        "07mai1963", "7-may-63", "1.7.5.1963", "1963 may 7",
    ],
)  # fmt: skip
def test_a_day_in_the_ways_people_write_it(text: str) -> None:
    assert days.spans(f"born {text} here", BORN)
    assert verify_text.Dates((), (b"19630507",)).within(f"born {text} here")


@pytest.mark.parametrize(
    "text",
    ["19630508", "1963", "5.7.2", "7/5", "070564", "8 may 1963", "1070563", "6.7.1963", "1963 x 5 y 7", ""],
)
def test_other_numbers_are_not_that_day(text: str) -> None:
    assert not days.spans(f"born {text} here", BORN)
    assert not verify_text.Dates((), (b"19630507",)).within(f"born {text} here")


@given(st.text(alphabet="0123456789./- mayjun", max_size=60))
def test_engine_finds_each_day_the_verifier_finds(text: str) -> None:
    """Else the verifier would hold back what the engine has cleaned."""
    if verify_text.Dates((), (b"19630507",)).within(text):
        assert days.spans(text, BORN)


class Counted(str):
    """A text that counts how often it is searched from one end to the other."""

    searched = 0

    def __contains__(self, part: object) -> bool:
        type(self).searched += 1
        return super().__contains__(part)  # type: ignore[operator]


class CountedBytes(bytes):
    """As `Counted`, for bytes."""

    searched = 0

    def __contains__(self, part: object) -> bool:
        type(self).searched += 1
        return super().__contains__(part)  # type: ignore[operator]


def test_many_needles_are_not_searched_for_one_by_one() -> None:
    """What must not be found can be sixteen thousand values long; the text is read a fixed number of times."""
    many = frozenset((1000 + number, 1 + number % 12, 1 + number % 28) for number in range(8000))
    written = tuple(b"%04d%02d%02d" % day for day in sorted(many))
    words = tuple(f"quxley{number:05d}" for number in range(8000))
    uids = {b"1.2.826.0.1.3680043.8.498.%d" % (10**30 + number) for number in range(16_000)}
    text = Counted("head chest 19630507 1.5 " * 50)
    assert not days.spans(text, many - {(1963, 5, 7)})
    assert verify_text.Dates(written, ()).within(text) == bool(days.spans(text, many))
    assert not verify_text.any_within(words, text) and not _any_in(words, text)
    assert verify_text.any_within(words, text + "xquxley07999") and _any_in(words, text + "xquxley07999")
    data = CountedBytes(b"UI 2.25.1234567890 chest 1.2.826.0.1.3680043.8.498.5 " * 50)
    assert not verify_text.found_uids(data, uids)
    assert verify_text.found_uids(
        CountedBytes(data + b"9.1.2.826.0.1.3680043.8.498.%d.7" % (10**30 + 5)), uids
    )
    assert Counted.searched <= 64 and CountedBytes.searched <= 64


def test_numbers_of_identifiers() -> None:
    assert identifier_numbers("MRN004711234") == {"4711234"}
    assert identifier_numbers("AB-12-3456\\77") == {"3456", "123456"}
    assert identifier_numbers("123") == set()


def test_words_of_names_keep_every_spelling() -> None:
    words = harvest([(NAME, b"PN", "Müller^Hans".encode(), b"ISO_IR 192")], EXPLICIT_LITTLE)
    assert {"muller", "mueller"} <= set(words.long) and "hans" in words.short
    assert name_words("VON DER HEYDE^DR") == {"heyde"}


def test_a_harvest_is_remembered_by_a_digest_and_a_large_one_not() -> None:
    harvester = Harvester()
    small = [(NAME, b"PN", b"Quxley^Wim", b""), (PATIENT_ID, b"LO", b"MRN4711", b"")]
    words = harvester.harvest(small, EXPLICIT_LITTLE)
    assert harvester.harvest(small, EXPLICIT_LITTLE) is words
    large = [(ADDRESS, b"UT", b"Quxley street " * 4000, b"")]
    harvester.harvest(large, EXPLICIT_LITTLE)
    assert len(harvester._known) == 1
    assert all(len(key) == 16 and b"Quxley" not in key for key in harvester._known)
    for number in range(400):
        harvester.harvest([(PATIENT_ID, b"LO", b"%d" % number, b"")], EXPLICIT_LITTLE)
    assert len(harvester._known) == 256


def test_the_verifier_remembers_as_little() -> None:
    verify_text._KNOWN.clear()
    verify_text.needles_of([(b"PN", b"Quxley", False)], ())
    verify_text.needles_of([(b"LO", b"Quxley" * 10_000, True)], ())
    assert len(verify_text._KNOWN) == 1 and all(len(key) == 16 for key in verify_text._KNOWN)


def test_long_values_are_not_remembered() -> None:
    calls: list[int] = []
    made = _remembered(10, lambda value: calls.append(len(value)))
    for value in (b"1.2.3", b"1.2.3", b"1" * 1000, b"1" * 1000):
        made(value)
    assert calls == [5, 1000, 1000]
    cleaned: list[int] = []

    def clean(value: bytes) -> bytes:
        cleaned.append(len(value))
        return value

    cached = remembering(clean)
    for value in (b"chest", b"chest", b"chest" * 1000, b"chest" * 1000):
        cached(value)
    assert cleaned == [5, 5000, 5000]


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (b"1\\-2.5\\+3e-2 ", False), (b"", False), (b"  \\ ", False), (b".5\\5.", False), (b"1-2", True),
        (b"1 2", True), (b"--1", True), (b"1e", True), (b"1.2.3", True), (b"+49 30", True), (b"9" * 65, True),
        (b"1963-05-07", True),
    ],
)  # fmt: skip
def test_only_numbers_are_numbers(value: bytes, wrong: bool) -> None:
    needles = Needles(harvest([], EXPLICIT_LITTLE), (), (), (b"",))
    assert needles.in_numbers(value, structural=False) is wrong
    assert verify_text.are_numbers(value) is not wrong


def test_a_long_value_that_is_no_number_needs_no_second_look() -> None:
    """Patterns that try again at each place would not end here."""
    needles = Needles(harvest([], EXPLICIT_LITTLE), (), (), (b"",))
    for value in (b"1\\" * 200_000 + b"x", b"1" * 400_000 + b"x", b" " * 400_000 + b"x"):
        assert needles.in_numbers(value, structural=False)
        assert not verify_text.are_numbers(value)


@pytest.mark.parametrize(
    ("name", "text", "charset", "code"),
    [
        ("张^小东", "患者张小东的检查", b"GB18030", "gb18030"),
        ("王^五", "患者王五复查", b"ISO_IR 192", "utf-8"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "患者山田太郎様", b"\\ISO 2022 IR 87", "iso2022_jp"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "やまだたろうさん", b"\\ISO 2022 IR 87", "iso2022_jp"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "환자 홍길동님", b"ISO_IR 192", "utf-8"),
        ("สม^ใจ", "นายสมใจครับ", b"ISO_IR 166", "iso8859_11"),
    ],
)
def test_names_in_scripts_without_spaces_are_found_inside_a_sentence(
    name: str, text: str, charset: bytes, code: str
) -> None:
    """By the engine and by the verifier, each for itself; the sentence does not contain the bytes of the name."""
    seen = [(NAME, b"PN", name.encode(code), charset)]
    needles = Needles(harvest(seen, EXPLICIT_LITTLE), (), (), [charset])
    kept = needles.scrub(text.encode(code), b"LO", charset)
    assert kept and kept != text.encode(code)
    sought = verify_text.needles_of([(b"PN", name.encode(code), False)], (charset,))
    dates = verify_text.Dates((), ())
    assert verify_text.in_text(verify_text.plain(text), sought, dates)
    assert not verify_text.in_text(verify_text.plain(kept.decode(code)), sought, dates)


def test_a_name_that_is_a_common_word_is_a_name() -> None:
    assert name_words("WEST^STREET") == {"west", "street"} and name_words("ANONYMOUS^PATIENT") == set()


@pytest.mark.parametrize("name", ["Le^Van", "Van^Le", "El^Ben"])
def test_a_name_of_particles_alone_is_a_name(name):
    found = name_words(name)
    assert found and all(word in name.lower() for word in found)
    needles = verify_text.needles_of([(b"PN", name.encode(), False)], (b"",))
    assert found <= needles.short | set(needles.long)
    assert not name_words("Anonymous^Test") and not name_words("Removed^")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Kim^Al", {"kim", "al"}),
        ("El^Kim", {"kim", "el"}),
        ("Kim^Al^van^Dr^Sr", {"kim", "al"}),
        ("van Dyk^Anna^de", {"dyk", "anna"}),
        ("Prof^Kim", {"kim"}),
        ("Roe^Jo=X^Y\\Kim^Al", {"roe", "jo", "kim", "al"}),
    ],
)
def test_a_small_word_that_is_all_of_a_given_name_is_a_name(name, words):
    assert name_words(name) == words
    needles = verify_text.needles_of([(b"PN", name.encode(), False)], (b"",))
    assert needles.short | set(needles.long) == words
