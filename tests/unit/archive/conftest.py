"""A whole platform over a temporary folder, with two institutions, and small data sets to store."""

import pytest
from archive_kit import Kit

from wardlight import bootstrap
from wardlight.settings import Settings


@pytest.fixture
def kit(tmp_path):
    platform = bootstrap.platform(Settings(data_dir=tmp_path / "data", demo=True, completion_quiet_s=0))
    kit = Kit(platform, tmp_path / "data")
    yield kit
    platform.close()
