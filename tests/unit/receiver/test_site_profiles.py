"""Profiles of an institution's own at the receiver: used for their level, told in the trail, or no start."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

import receiver_data
from deid_kit import CT, SECRET, encode, minimal
from wardlight.errors import WardlightError
from wardlight.receiver import process
from wardlight.receiver.model import Level, Target, Work
from wardlight.receiver.places import database_path
from wardlight.receiver.protect import NotReleased, Protector
from wardlight.receiver.site_profiles import site_profiles

GOOD = "inherit = 'high'\nname = 'st elsewhere'\nquarantine_faces = true\n[[override]]\nkeyword = 'StationName'\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "profiles"
    made.mkdir()
    (made / "README").write_text("Ours.")
    (made / "high.toml").write_text(GOOD + "action = 'keep'\n")
    return made


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("high.toml", GOOD + "action = 'publish'", "high.toml:6: override: action is one of"),
        ("medium.toml", "inherit = 'high'", "medium.toml: level: high"),
        ("low.toml", "inherit = 'low'\noptions = ['full_dates']", "low.toml: options: the platform takes"),
        ("hihg.toml", "inherit = 'high'", "only high.toml, medium.toml, low.toml"),
    ],
)
def test_a_bad_profile_stops_the_start(folder: Path, tmp_path: Path, name: str, text: str, says: str) -> None:
    (folder / name).write_text(text)
    chosen = receiver_data.settings(tmp_path, profiles=folder)
    with pytest.raises(WardlightError, match="settings-unsafe") as caught:
        process.prepare(chosen)
    assert says in str(caught.value) and not database_path(chosen).exists()
    with pytest.raises(WardlightError, match="cannot be read"):
        site_profiles(tmp_path / "nowhere")


def test_the_trail_tells_which_profiles_are_in_force(folder: Path, tmp_path: Path) -> None:
    chosen = receiver_data.settings(tmp_path, profiles=folder)
    process.prepare(chosen)
    (folder / "high.toml").write_text(GOOD + "action = 'empty'\n")
    process.prepare(chosen)
    trail = b"".join(file.read_bytes() for file in chosen.receiver_dir.glob("receiver.db*"))
    assert trail.count(b'"receiver.profiles.high"') >= 1 and b"st elsewhere " in trail


def test_the_level_of_a_route_is_the_institution_s_profile(folder: Path) -> None:
    ds = minimal()
    ds.StationName = "Bay 7"
    left = _protected(folder, "high", encode(ds))
    assert left.StationName == "Bay 7" and left.DeidentificationMethod.startswith("Wardlight st elsewhere, ")
    assert "StationName" not in _protected(folder, "medium", encode(ds))
    ds.BodyPartExamined = "HEAD"
    with pytest.raises(NotReleased) as refused:
        _protected(folder, "high", encode(ds))
    assert refused.value.reasons == ("face",)


def _protected(folder: Path, level: str, data: bytes) -> Any:
    data += b"\xe0\x7f\x10\x00OW\0\0" + (128).to_bytes(4, "little") + bytes(128)
    spool = SimpleNamespace(
        read=lambda ref, start=0: iter((data[start:],)), read_whole=lambda ref: memoryview(data)
    )
    hospital = SimpleNamespace(hospital=SECRET)
    protector = Protector(cast(Any, spool), cast(Any, hospital), profiles=site_profiles(folder))
    syntax = "1.2.840.10008.1.2.1"
    target = Target("app", Level(level))
    work = Work(1, target, 0, "f", 0, 0, 0, 0, len(data), b"", b"", CT, syntax, None)
    outgoing = protector.protect(work).outgoing
    file = b"".join(bytes(piece) for piece in outgoing.part.chunks(outgoing.read))
    return read_dataset(DicomBytesIO(file[file.index(b"\x08\x00\x05\x00CS") :]), False, True)
