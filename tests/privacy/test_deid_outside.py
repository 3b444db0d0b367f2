"""Outside the data set: names of files and folders, preamble, group 0002, bytes after the end, reports, messages.

The command runs over a folder with an object of each kind, and everything it writes is searched for every canary.
"""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from canary import Canaries
from deid_cli_kit import call
from deid_objects import KINDS, made


@pytest.mark.parametrize("level", ["high", pytest.param("medium", marks=pytest.mark.long)])
def test_nothing_of_a_folder_is_left_anywhere(
    tmp_path: Path, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, source, target, temporary = (tmp_path / name for name in ("key", "in", "out", "temporary"))
    key.write_bytes(b"k" * 40)
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    values: list[str] = []
    for number, kind in enumerate(KINDS):
        one = made(kind)
        known = one.mint.values
        values += known.values()
        folder = source / f"{known['family']} {known['patient id']}" / known["accession"]
        folder.mkdir(parents=True)
        name = f"{number} {known['given']}.dcm"
        (folder / name).write_bytes(one.file + (known["hospital"].encode() if kind == "CT" else b""))
        (folder / f"{known['referrer']}.txt").write_text(known["family"])
    result = call(
        source, target, "--key-file", key, "--level", level, "--workers", 1, "--report", tmp_path / "report"
    )
    canaries = Canaries(values)
    assert canaries.find(result.output.encode()) == set()
    assert canaries.search(target) == {} and canaries.search(temporary) == {}
    for file in tmp_path.glob("report*"):
        found = canaries.search(file) if file.is_dir() else canaries.find(file.read_bytes())
        assert not found, file.name
    released = [path for path in target.rglob("*.dcm") if path.is_file()]
    assert len(released) >= 14
    for path in released:
        ds = pydicom.dcmread(path)
        assert ds.preamble == bytes(128) and path.stem == ds.SOPInstanceUID
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert "SourceApplicationEntityTitle" not in ds.file_meta
