"""Which files of a folder are inputs, and in which order."""

from __future__ import annotations

from pathlib import Path

from wardlight.cli.deidentify_input import inputs


def test_files_before_folders_and_no_links_to_folders(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "b/c/3", "a/5", "z", "é"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "to-a-folder").symlink_to(tmp_path / "b")
    (tmp_path / "to-a-file").symlink_to(tmp_path / "b" / "1")
    (tmp_path / "to-itself").symlink_to(tmp_path / "to-itself")
    (tmp_path / "to-nothing").symlink_to(tmp_path / "nothing")
    found = [(item.number, str(item.path.relative_to(tmp_path))) for item in inputs(tmp_path)]
    assert found == list(enumerate(("to-a-file", "z", "é", "a/5", "b/1", "b/2", "b/c/3"), 1))
