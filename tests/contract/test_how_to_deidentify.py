"""docs/how-to/deidentify.md word by word, on files as people have them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "how-to" / "deidentify.md").read_text("utf-8")


@pytest.mark.long
def test_the_pages_commands(tmp_path: Path) -> None:
    tests = Path(pydicom.__file__).parent / "data" / "test_files"
    (tmp_path / "scans").mkdir()
    for name in ("CT_small.dcm", "rtdose.dcm", "rtplan.dcm"):
        shutil.copy(tests / name, tmp_path / "scans")
    (tmp_path / "scans" / "notes.txt").write_text("no image")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, re.S)
    assert len(blocks) >= 8
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euc", block],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, block + done.stderr
    trees = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.dcm")}
        for folder in (tmp_path / f"clean-{number}" for number in (1, 3, 4, 5, 6))
    ]
    assert len(trees[0]) == 3 and all(tree == trees[0] for tree in trees)
    assert not (tmp_path / "clean-2").exists() and (tmp_path / "plan.html").is_file()
    assert json.loads((tmp_path / "result.json").read_text())["totals"]["released"] == 3
    assert len(list((tmp_path / "report").glob("*.html"))) == 5  # three studies, what has none, the index
    assert (tmp_path / "media" / "DICOMDIR").is_file()
