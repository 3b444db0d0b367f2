"""A part of an installation that is missing is a disk that is not mounted: refused, and nothing made anew."""

from __future__ import annotations

import shutil

import pytest

from wardlight import bootstrap, settings
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR


@pytest.fixture
def chosen(tmp_path):
    loaded = settings.load(
        data_dir=tmp_path / "data",
        keyslot_dirs=(str(tmp_path / "a"), str(tmp_path / "b")),
        allow_plain_root=True,
    )
    platform = bootstrap.platform(loaded)
    platform.identity.create_institution("mary", "Mary", "eu", by=LOCAL_ADMINISTRATOR)
    platform.close()
    return loaded


@pytest.mark.parametrize(
    ("part", "word"),
    [("root", "root key"), ("keystore", "keystore"), ("index", "index"), ("slot", "keyslot folder 2")],
)
def test_each_missing_part_is_refused_and_not_made_anew(chosen, tmp_path, part, word):
    folder = tmp_path / "b" if part == "slot" else tmp_path / "data" / part
    shutil.move(folder, tmp_path / "away")
    with pytest.raises(WardlightError) as error:
        bootstrap.platform(chosen)
    assert error.value.code == "settings-unsafe"
    assert word in error.value.detail
    assert not folder.exists()
    shutil.move(tmp_path / "away", folder)
    bootstrap.platform(chosen).close()


def test_an_emptied_keyslot_mirror_is_filled_again(chosen, tmp_path):
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").glob("*.slot")}
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "b").mkdir(mode=0o700)
    bootstrap.platform(chosen).close()
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").glob("*.slot")} == before


def test_asking_makes_no_installation(tmp_path):
    loaded = settings.load(data_dir=tmp_path / "nothing", allow_plain_root=True)
    with pytest.raises(WardlightError) as error:
        bootstrap.platform(loaded, create=False)
    assert error.value.code == "not-found"
    assert not (tmp_path / "nothing").exists()


def test_one_folder_named_twice_is_one_mirror(tmp_path):
    loaded = settings.load(
        keyslot_dirs=(str(tmp_path), str(tmp_path)),
        allow_plain_root=True,
        receiver_secrets_dir=str(tmp_path / "s"),
    )
    with pytest.raises(WardlightError, match="keyslot_dirs"):
        loaded.refuse_unsafe()
