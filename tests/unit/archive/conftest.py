"""A whole platform over a temporary folder, with one institution."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from archive_kit import Kit
from wardlight import bootstrap
from wardlight.settings import Settings


@pytest.fixture
def kit():
    # In memory where there is such a folder: these tests are about what is stored, not about the disk.
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    platform = bootstrap.platform(Settings(data_dir=folder / "data", demo=True, completion_quiet_s=0))
    yield Kit(platform, folder / "data")
    platform.close()
    shutil.rmtree(folder)
