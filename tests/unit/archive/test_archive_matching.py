"""Matching rules of PS3.4 C.2.2.2 against simple models of them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.archive.attributes import NO_NUMBER, frame_bits, order_number, study_date
from wardlight.archive.matching import date_bounds, matcher, uid_list
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
