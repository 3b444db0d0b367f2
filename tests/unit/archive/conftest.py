"""A platform with one institution, for each test its own."""

import pytest

from archive_kit import Kit
from platform_kit import a_platform


@pytest.fixture
def kit():
    with a_platform() as platform:
        yield Kit(platform, platform.settings.data_dir)
