"""Takes every address out of npm's lock files: `python tools/bare_lock.py`, after each `npm install`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]


def locks() -> list[Path]:
    """The lock files of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*package-lock.json"], cwd=ROOT, capture_output=True, check=True
    )
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def bare(content: str) -> str:
    """The lock file without where packages come from and whom to give money; digests name them."""
    lock: dict[str, Any] = json.loads(content)
    for package in lock["packages"].values():
        package.pop("resolved", None)
        package.pop("funding", None)
    return json.dumps(lock, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for file in locks():
        file.write_text(bare(file.read_text("utf-8")), "utf-8")
