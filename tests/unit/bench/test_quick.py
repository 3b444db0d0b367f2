"""The whole way: a quick run against real servers gives rows, and none of them failed."""

import json
import subprocess
import sys

import pytest
from bench.process import ROOT


@pytest.mark.long
@pytest.mark.system
def test_a_quick_run_measures_both_sides(tmp_path):
    before = set((ROOT / "bench-data").glob("run-*"))
    rows, page = tmp_path / "rows.json", tmp_path / "page.md"
    chosen = ["--only", "storescu", "--only", "stow", "--only", "reads"]
    subprocess.run(
        [sys.executable, "-m", "bench", "--quick", *chosen, "--json", str(rows), "--markdown", str(page)],
        cwd=ROOT,
        check=True,
        timeout=600,
    )
    found = json.loads(rows.read_text())
    assert len(found) >= 9
    assert [row["name"] for row in found if "failed" in row] == []
    assert all(row["ours"] > 0 and row["peer"] > 0 for row in found)
    assert "STOW-RS" in page.read_text()
    assert set((ROOT / "bench-data").glob("run-*")) <= before
