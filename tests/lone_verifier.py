"""The verifier where nothing of Wardlight is installed: its one file, `cryptography`, and the standard library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cryptography

from wardlight.audit import verifier


class Alone:
    """verifier.py in a folder, and a Python that finds `cryptography` and nothing else that is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "verifier.py").write_bytes(Path(verifier.__file__).read_bytes())
        packages = folder / "packages"
        packages.mkdir()
        site = Path(cryptography.__file__).parents[1]
        for name in ("cryptography", "cffi", *(one.name for one in site.glob("_cffi_backend*"))):
            if (site / name).exists():
                (packages / name).symlink_to(site / name)
        self._environment = {"PYTHONPATH": str(packages), "PATH": os.environ["PATH"]}
        assert self.run("-c", "import cryptography").returncode == 0
        assert self.run("-c", "import wardlight").returncode == 1

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run this Python in the folder."""
        return subprocess.run(
            [sys.executable, "-S", *arguments],
            cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
