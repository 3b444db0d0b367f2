"""Folders that hold what is private: closed to others, with every folder made above them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import receiver_data
from wardlight.db.engine import open_database
from wardlight.keys.files import private_folder
from wardlight.objects.local import LocalObjectStore
from wardlight.receiver import node, process
from wardlight.receiver.spool import Spool, SpoolKeys


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> set[str]:
    return {oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*") if path.is_dir()}


def _make_receiver(folder: Path) -> None:
    process.prepare(receiver_data.settings(folder / "a"))


def _make_spool(folder: Path) -> None:
    Spool(folder / "a" / "b" / "spool", SpoolKeys(folder / "c" / "d")).close()


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: private_folder(folder / "a" / "b" / "c"),
        lambda folder: LocalObjectStore(folder / "data" / "objects"),
        lambda folder: open_database(f"sqlite:///{folder}/data/index/index.db").close(),
        lambda folder: os.close(node.lock(folder / "data" / "receiver")),
        _make_receiver,
        _make_spool,
    ],
)
def test_every_folder_on_the_way_is_private(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path)
    assert modes(tmp_path) == {"0o700"}


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o750)
    private_folder(tmp_path / "a" / "b")
    private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o750


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match="a"):
        private_folder(tmp_path / "a" / "b")
