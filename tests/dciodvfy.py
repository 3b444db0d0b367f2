"""dicom3tools' `dciodvfy` and `dcentvfy` as judges of outputs: which errors an output has that its input had not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TOOLS = Path(sys.executable).parent
#: What an error says of the value it found is no part of it.
_VALUE = re.compile(r"<[^<>]*/[^<>]*>|<[^<>]*>(?= for value)|= ?[^<\s]\S*|\b[0-9]+(?:\.[0-9]+)*\b")


def _lines(program: str, *files: Path) -> list[str]:
    done = subprocess.run(
        [TOOLS / program, *files], capture_output=True, text=True, errors="replace", check=False, timeout=60
    )
    return (done.stdout + done.stderr).splitlines()


def errors(file: Path) -> set[str]:
    """The errors of one object, without values."""
    return {_VALUE.sub("_", line) for line in _lines("dciodvfy", file) if line.startswith("Error")}


def errors_together(*files: Path) -> set[str]:
    """The errors of objects that belong together, without values."""
    return {_VALUE.sub("_", line) for line in _lines("dcentvfy", *files) if line.startswith("Error")}
