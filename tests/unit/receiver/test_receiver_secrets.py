"""The receiver's key files: made once, private, refused when they are not."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from wardlight.errors import WardlightError
from wardlight.receiver import secrets


def test_keys_are_made_once_and_are_private(tmp_path: Path) -> None:
    first = secrets.load(tmp_path / "s")
    assert secrets.load(tmp_path / "s") == first
    assert len({first.hospital, first.local, first.quarantine}) == 3
    for file in (tmp_path / "s").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o400
    assert first.hospital.hex() not in repr(first)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    secrets.load(tmp_path)
    os.chmod(tmp_path / "hospital.key", 0o440)
    with pytest.raises(WardlightError) as caught:
        secrets.load(tmp_path)
    assert caught.value.code == "settings-unsafe"


def test_the_token_is_read_anew_and_may_be_missing(tmp_path: Path) -> None:
    with pytest.raises(WardlightError) as caught:
        secrets.token(tmp_path)
    assert caught.value.code == "unauthenticated"
    secrets.save_token(tmp_path, "wl_rt_one")
    assert secrets.token(tmp_path) == "wl_rt_one"
    secrets.save_token(tmp_path, "wl_rt_two")
    assert secrets.token(tmp_path) == "wl_rt_two"
    assert stat.S_IMODE((tmp_path / secrets.TOKEN_FILE).stat().st_mode) == 0o400
    os.chmod(tmp_path / secrets.TOKEN_FILE, 0o444)
    with pytest.raises(WardlightError):
        secrets.token(tmp_path)


def test_a_token_with_a_line_break_inside_is_refused(tmp_path: Path) -> None:
    secrets.save_token(tmp_path, "one\r\nX-Header: two")
    with pytest.raises(WardlightError):
        secrets.token(tmp_path)


def test_study_tokens_depend_on_the_receiver(tmp_path: Path) -> None:
    one, two = secrets.load(tmp_path / "1"), secrets.load(tmp_path / "2")
    assert one.study_token("1.2.3") == one.study_token("1.2.3")
    assert one.study_token("1.2.3") != two.study_token("1.2.3")
    assert len(one.study_token("1.2.3")) == 16
