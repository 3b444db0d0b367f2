"""A whole platform in memory-backed folders, for tests that are not about the disk."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from wardlight import bootstrap
from wardlight.settings import Settings


@contextmanager
def a_platform(**settings):
    """Yields a `bootstrap.Platform`; its folder goes away afterwards."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    platform = bootstrap.platform(
        Settings(data_dir=folder / "data", demo=True, completion_quiet_s=0, **settings)
    )
    try:
        yield platform
    finally:
        platform.close()
        shutil.rmtree(folder)
