"""docs/reference/profiles.md: its examples load and run, its tables are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deid_kit import SECRET, decode, encode, minimal, pixels
from wardlight.deid.engine import Deidentifier
from wardlight.deid.keys import DeidKeys
from wardlight.deid.profile import ACTIONS, parse_profile
from wardlight.deid.profile_overrides import OVERRIDE_KEYS
from wardlight.deid.profile_parse import KEYS, MOST_OVERRIDES, MOST_TERMS, MOST_WORDS
from wardlight.deid.profile_site import site_of
from wardlight.deid.verify import verify
from wardlight.dicom.elements import scan
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

PAGE = (Path(__file__).parents[3] / "docs/reference/profiles.md").read_text("utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_load_and_run(example: str) -> None:
    profile = parse_profile(example.encode())
    ds = minimal()
    ds.StationName, ds.ImageComments, ds.SeriesDescription = "Bay 7", "chest", "chest catphan"
    header = encode(ds)
    engine = Deidentifier(profile, DeidKeys.derive(SECRET, "app", profile.level))
    made = engine.deidentify(header, EXPLICIT_LITTLE, pixels(ds))
    elements = scan(header, EXPLICIT_LITTLE, wanted=frozenset((0x00080016, 0x00080060))).elements
    site = site_of(profile, engine.applied(header, elements))
    assert verify(header, EXPLICIT_LITTLE.uid, made.header, level=profile.level, site=site) == []
    after = decode(made.header)
    assert profile.name in after.DeidentificationMethod
    if profile.name == "physics":
        assert after.StationName == "Bay 7" and after.SeriesDescription == "chest catphan"


def test_tables_are_complete() -> None:
    assert len(EXAMPLES) == 3
    named = set(re.findall(r"^\| `([a-z_-]+)` \|", PAGE, re.MULTILINE))
    assert named >= KEYS.keys() | set(ACTIONS)
    assert all(f"`{key}`" in PAGE for key in OVERRIDE_KEYS)
    assert all(f"{number:,}" in PAGE for number in (MOST_WORDS, MOST_TERMS, MOST_OVERRIDES))
