"""No pattern can be made slow: each is read as the parser reads it, and its repeats are looked at."""

from __future__ import annotations

import re
from re import _constants as codes
from re import _parser as parser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardlight.classification import (
    detectors_contact,
    detectors_device,
    detectors_health,
    detectors_national,
    detectors_person,
    detectors_secret,
    json_text,
    labels,
    prefilter,
    text,
)
from wardlight.classification.mask import Masker
from wardlight.classification.text import DETECTORS, find

MODULES = (
    detectors_contact, detectors_device, detectors_health, detectors_national, detectors_person, detectors_secret,
    json_text, labels, text,
)  # fmt: skip
#: Steps that one place of a text may cost: repeats within repeats, multiplied. A repeat that gives nothing back counts
#: once for each of what it takes.
MOST = 12_000


def _patterns() -> dict[str, re.Pattern[str]]:
    found = {f"{one.name} {number}": one.pattern for number, one in enumerate(DETECTORS)}
    for module in MODULES:
        found |= {f"{module.__name__}.{n}": v for n, v in vars(module).items() if isinstance(v, re.Pattern)}
    return found


def cost(items: Any) -> int:
    """Most ways in which a sequence of parsed items can be tried from one place."""
    total = 1
    for code, value in items:
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            _, most, inner = value
            assert most is not codes.MAXREPEAT, "a repeat without an end gives back what it took"
            # What is repeated begins with something that the repeat before it cannot end with, or it has one length.
            total = max(total, most * cost(inner))
        elif code is codes.POSSESSIVE_REPEAT:
            total = max(total, cost(value[2]))
        elif code is codes.SUBPATTERN:
            total = max(total, cost(value[3]))
        elif code is codes.ATOMIC_GROUP:
            total = max(total, cost(value))
        elif code is codes.BRANCH:
            total = max(total, sum(cost(one) for one in value[1]))
        elif code in (codes.ASSERT, codes.ASSERT_NOT):
            total = max(total, cost(value[1]))
    return total


@pytest.mark.parametrize("name", _patterns())
def test_no_pattern_repeats_without_bound(name: str) -> None:
    pattern = _patterns()[name]
    if name.endswith(("._TOKEN", "._GROUP", "._MASKED")):
        return  # one class repeated with nothing after it that could fail, or looked at within one bounded value
    parsed = parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)
    assert cost(parsed) <= MOST


PIECES = st.sampled_from(
    ["a", "A", " ", "1", "9", ".", "-", "@", "^", ":", "/", "|", "(", ")", "+", "=", '"', "ß", "é", "患者", "田", "\t",
     "name", "patient ", "NHS ", "PID|", "Via ", "rue de la ", "DOB ", "2.25.", "::", "password=", "eyJ", "Dr. ",
     "serial ", "C/", "+49 ", "10.0.0.", "1956-03-12", "00:", "geb. ", "diagnosis: ", "\u0130", "“", "\u2028"]
)  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(PIECES, max_size=60).map("".join))
def test_places_are_within_the_text_and_apart(line: str) -> None:
    end = 0
    for hit in find(line):
        assert end <= hit.start < hit.end <= len(line)
        end = hit.end
    # The first look loses nothing that all detectors together would find.
    gated = find(line)
    for hit in find(line, prefilter.ALL):
        assert any(hit.start < other.end and other.start < hit.end for other in gated), (line, hit)


@settings(max_examples=80, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join), st.text(max_size=60))
def test_a_mask_masks_all_that_it_finds(line: str, other: str) -> None:
    masker = Masker()
    masked = masker.mask(f"{line}\n{other}\n")
    assert masked.text.count("\n") == f"{line}\n{other}\n".count("\n")
    if not masked.findings:
        assert masked.text == f"{line}\n{other}\n"


def test_long_lines_do_not_cost_more_than_their_length() -> None:
    """Each of these would be slow for ever if a pattern gave back what it took."""
    for piece in (
        "a@",
        "1 ",
        "1.",
        "name: A",
        "A ",
        "^A",
        "rue de la ",
        "+49 ",
        "::",
        "1-1-",
        "(2",
        '{"a":',
        "eyJ.",
        "PID|",
    ):
        find(piece * (50_000 // len(piece)))
