"""Matching rules of PS3.4 C.2.2.2 against simple models of them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.archive.attributes import NO_NUMBER, frame_bits, order_number, study_date
from wardlight.archive.matching import combined, date_bounds, matcher, uid_list
from wardlight.errors import WardlightError


def value(*values):
    return {"vr": "LO", "Value": list(values)}


@given(st.text("ab*?", min_size=1, max_size=8), st.text("ab", max_size=10))
def test_wildcards_match_as_a_regular_expression_does(pattern, text):
    model = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    assert matcher("LO", pattern)(value(text)) == bool(re.fullmatch(model, text, re.DOTALL))


@pytest.mark.parametrize(
    ("vr", "key", "held", "expected"),
    [
        ("IS", "7", 7, True),
        ("IS", "07", "7", True),
        ("DS", "1.50", 1.5, True),
        ("US", "3", 4, False),
        ("IS", "1", None, False),
        ("DT", "2026-2027", "20260102101112.123456", True),
        ("DT", "20260103-", "20260102101112", False),
        ("TM", "10:00-11:00", "103000.123", True),
        ("TM", "1030", "103059", True),
        ("TM", "103000", "103001", False),
        ("CS", "ct", "CT", False),
        ("SH", "A ", "A", True),
    ],
)
def test_single_values_and_ranges(vr, key, held, expected):
    assert matcher(vr, key)({"vr": vr, "Value": [held]}) is expected


def test_absent_values_match_wildcards_only():
    assert not matcher("LO", "x")({})
    assert not matcher("PN", "x")({})
    assert matcher("LO", "**")({})
    assert not matcher("DA", "20260101-")({})


@pytest.mark.parametrize("key", ["None", "N*", "*e"])
def test_an_empty_value_among_several_is_no_text(key):
    assert not matcher("LO", key)(value("A", None, "B"))
    assert matcher("LO", "B")(value("A", None, "B"))


@pytest.mark.parametrize("held", ["UNKNOWN", "ADULT", "?", None, "-", "19x00101"])
def test_what_is_no_date_or_time_is_in_no_range(held):
    for vr, key in (("DA", "19000101-"), ("DA", "-20990101"), ("TM", "00-"), ("TM", "-2359")):
        assert not matcher(vr, key)({"vr": vr, "Value": [held]})
    both = combined("19000101-", "00-")
    assert not both(value(held), value("10"))
    assert not both(value("20260101"), value(held))
    assert both(value("2026.01.01"), value("10:11"))


@pytest.mark.parametrize("key", ["Strau?", "STRAU?", "stra?ß", "STRAUSS", "Strau??", "strauß"])
def test_a_letter_that_folds_to_two_is_one_character_too(key):
    """PS3.4 C.2.2.2.4: `?` stands for any single character, and ß is one."""
    assert matcher("PN", key)({"vr": "PN", "Value": [{"Alphabetic": "Strauß"}]})
    assert not matcher("PN", key)({"vr": "PN", "Value": [{"Alphabetic": "Straub^ß"}]})


def test_errors():
    for vr, key in (("IS", "x"), ("DA", "2026"), ("UI", "a.b"), ("TM", "10-xx")):
        with pytest.raises(WardlightError) as error:
            matcher(vr, key)
        assert error.value.code == "bad-request"
    assert date_bounds("-20260101") == (1, 20260101)
    assert uid_list("1,2\\3") == ["1", "2", "3"]


def test_numbers_of_odd_values():
    assert order_number({"00200013": {"vr": "IS", "Value": ["x"]}}, 0x00200013) == NO_NUMBER
    assert order_number({"00200013": {"vr": "IS", "Value": [2**40]}}, 0x00200013) == NO_NUMBER
    assert order_number({"00200013": {"vr": "IS", "Value": [-3]}}, 0x00200013) == -3
    assert study_date({"00080020": {"vr": "DA", "Value": ["2026.01.02"]}}) == 20260102
    assert study_date({"00080020": {"vr": "DA", "Value": ["٢٠٢٦٠١٠٢"]}}) == 0
    assert study_date({}) == 0
    assert frame_bits({}) == 0


@pytest.mark.parametrize(
    ("key", "held", "expected"),
    [
        ("2026-2028", "20270102", True),
        ("2026-2028", "20281231235959.999999", True),
        ("2026-2028", "2029", False),
        ("20260102-", "20260102", True),
        ("-20260102", "20260102235959.9", True),
        ("202602", "20260228", True),
        ("202602", "20260301", False),
        # Offsets from UTC count where both have one.
        ("20260102100000+0100-20260102110000+0100", "20260102093000+0000", True),
        ("20260102100000+0100-20260102110000+0100", "20260102103000+0000", False),
        ("20260102100000-0500", "20260102150000+0000", True),
        ("20260102100000", "20260102100000+0900", True),
        ("20260102", "yesterday", False),
    ],
)
def test_moments(key, held, expected):
    assert matcher("DT", key)({"vr": "DT", "Value": [held]}) is expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("Yamada^Tarou=山田^太郎", True),
        ("Yamada*=山田*", True),
        ("=山田^太郎", True),
        ("==やまだ*", True),
        ("山田^太郎=Yamada^Tarou", False),
        ("Yamada^Tarou=山本*", False),
        ("やまだ^たろう", True),
        ("YAMADA^TAROU", True),
        ("Yamada", False),
    ],
)
def test_component_groups_of_names(key, expected):
    name = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    assert matcher("PN", key)({"vr": "PN", "Value": [name]}) is expected


def test_accents_are_one_character_however_they_are_sent():
    decomposed, composed = "Mu\u0308ller^Anna", "Müller^Anna"
    for key, held in ((decomposed, composed), (composed, decomposed), ("M?ller*", decomposed)):
        assert matcher("PN", key)({"vr": "PN", "Value": [{"Alphabetic": held}]})
        assert matcher("LO", key)(value(held))
    assert not matcher("PN", "Muller^Anna")({"vr": "PN", "Value": [{"Alphabetic": composed}]})


def test_combined_needs_two_ranges_of_one_form():
    assert combined("20260101-20260102", "10-12") is not None
    for date, time in (
        ("20260101", "10-12"),
        ("20260101-", "10-12"),
        ("20260101-", "-12"),
        ("20260101-", "10"),
    ):
        assert combined(date, time) is None
    match = combined("20260101-20260102", "1000-1200")
    day, time = {"Value": ["20260102"]}, {"Value": ["115959.9"]}
    assert match(day, time) and not match(day, {"Value": ["120100"]}) and not match(day, {})
    assert not match({}, time)
