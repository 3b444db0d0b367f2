"""The peers' Python packages, in an environment of their own (`.bench-peers`), made here from a hash-locked list."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.process import ROOT

FOLDER = ROOT / ".bench-peers"
LOCKED = Path(__file__).parent / "peers-requirements.txt"


@functools.cache
def python() -> Path:
    """The environment's interpreter. Makes or renews the environment when the locked list has changed."""
    interpreter = FOLDER / "bin" / "python"
    stamp = FOLDER / ".locked"
    locked = hashlib.sha256(LOCKED.read_bytes()).hexdigest()
    if not (interpreter.exists() and stamp.exists() and stamp.read_text() == locked):
        uv = shutil.which("uv", path=f"{ROOT / '.venv-uv' / 'bin'}:{os.environ.get('PATH', '')}")
        if uv is None:
            raise FileNotFoundError("uv is not installed; `make setup` installs it")
        _run(uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(FOLDER))
        _run(uv, "pip", "sync", "--quiet", "--python", str(interpreter), "--require-hashes", str(LOCKED))
        stamp.write_text(locked)
    return interpreter


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the peers' environment could not be made: {done.stderr.strip()[-300:]}")
