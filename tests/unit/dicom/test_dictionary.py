"""The dictionary equals PS3.6 as pydicom carries it, and answers for what PS3.6 does not list."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

from wardlight.dicom.dictionary import choices_of, is_known, keyword_of, tag_of, vr_of


def test_every_element_of_the_standard() -> None:
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if vr == "NONE":
            continue
        assert is_known(tag)
        assert keyword_of(tag) == keyword
        if " or " in vr:
            assert {c.decode() for c in choices_of(tag)} == set(vr.split(" or "))
            assert vr_of(tag) == choices_of(tag)[0]
        else:
            assert (vr_of(tag), choices_of(tag)) == (vr.encode(), ())
        if keyword:
            assert tag_of(keyword) == tag


def test_every_repeating_element() -> None:
    for pattern, (vr, _, _, _, keyword) in RepeatersDictionary.items():
        for digit in "02E":
            tag = int(pattern.replace("x", digit), 16)
            if tag in DicomDictionary or tag & 0x10000 or not tag & 0xFFFF:
                continue
            assert keyword_of(tag) == keyword
            assert vr_of(tag) == (choices_of(tag)[0] if " or " in vr else vr.encode())


@pytest.mark.parametrize(
    ("tag", "vr", "known"),
    [
        (0x00080000, b"UL", False),  # group length
        (0x00290010, b"LO", False),  # private creator
        (0x002900FF, b"LO", False),
        (0x00290100, b"UN", False),
        (0x0029000F, b"UN", False),
        (0x50010010, b"LO", False),  # odd: private, not a curve
        (0x60010010, b"LO", False),
        (0x60020010, b"US", True),
        (0x600E3000, b"OW", True),
        (0x7FE00010, b"OW", True),
        (0x00289999, b"UN", False),
        (0xFFFEE000, b"UN", False),
    ],
)
def test_what_the_standard_does_not_list(tag: int, vr: bytes, known: bool) -> None:
    assert (vr_of(tag), is_known(tag)) == (vr, known)


def test_unknown_keyword() -> None:
    assert tag_of("NoSuchKeyword") is None
    assert keyword_of(0x00291001) == ""


def test_the_generated_module_is_what_the_generator_makes() -> None:
    generator = Path(__file__).parents[3] / "tools/generate_dictionary.py"
    assert subprocess.run([sys.executable, generator, "--check"], check=False).returncode == 0
