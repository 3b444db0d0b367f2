"""Profiles: the levels are as deid.md says, a site's own is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardlight.deid.profile import ProfileError, allowlist, harvest_lists, load_profile, parse_profile


def test_levels() -> None:
    high, medium, low = (load_profile(level) for level in ("high", "medium", "low"))
    assert (
        high.options == {"modified_dates", "descriptors", "patient", "structured"}
        and high.times == "drop"
        and high.ages == "bands"
    )
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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("inherit = 'higher'", "inherit"),
        ("name = 'x'", "missing"),
        ("inherit = 'high'\ntypo = 1", "typo"),
        ("inherit = 'high'\ntimes = 'maybe'", "times"),
        ("inherit = 'high'\noptions = ['uids']", "not offered"),
        ("inherit = 'high'\noptions = ['full_dates', 'modified_dates']", "exclude"),
        ("inherit = 'high'\n[[override]]\nkeyword = 'NoSuchThing'\naction = 'keep'", "NoSuchThing"),
        ("inherit = 'high'\n[[override]]\nkeyword = 'StationName'\naction = 'publish'", "action"),
        ("inherit = [", "not TOML"),
    ],
)
def test_mistakes_are_named(text: str, says: str) -> None:
    with pytest.raises(ProfileError, match=says):
        parse_profile(text.encode())


def test_a_missing_file_is_an_error_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(ProfileError) as caught:
        load_profile(tmp_path / "Quxley.toml")
    assert "Quxley" not in str(caught.value)


def test_the_lists_do_not_contradict_the_table() -> None:
    from wardlight.deid.actions import rows

    lists = allowlist()
    for name in ("as_is", "vocabulary", "code", "link", "binary", "class_uids"):
        assert not getattr(lists, name) & rows().keys(), name
    assert harvest_lists().identifiers.isdisjoint(harvest_lists().places)
