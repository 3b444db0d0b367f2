"""What tests of the platform run on: both databases and both object stores (architecture.md decision 10)."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import platform_kit

# How fast inputs are made says something of the machine's load, not of the code: no test is timed. Properties are
# checked as before.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

#: Folders whose tests of a platform run on each of `platform_kit.STORES`.
_ON_ALL = ("agreements", "audit", "access", "archive", "delivery", "events", "identity", "ingest", "trail")
_UNIT = Path(__file__).parent / "unit"
#: What takes long on PostgreSQL and asks it nothing that the tests of the stores do not ask: `make test-long` has it.
_SLOW_THERE = frozenset(
    (
        *(
            "test_anchors",
            "test_archive_fsck",
            "test_archive_search_pages",
            "test_audit_fsck",
            "test_trail_api",
        ),
        *("test_witnesses",),
    )
)


def pytest_collection_finish() -> None:
    """Tests, modules and tables of the standard, millions of objects, live to the end: nothing walks them again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """The process ends and its memory with it: pytest would search all of it for garbage, ten times over."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def stores(request: pytest.FixtureRequest) -> None:
    """Chooses what `a_platform` is built on."""
    platform_kit.chosen = getattr(request, "param", platform_kit.STORES[0])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    on_all = metafunc.definition.path.parent in [_UNIT / name for name in _ON_ALL]
    embedded = metafunc.definition.get_closest_marker("embedded")
    if on_all and not embedded and {"kit", "platform", "bench"} & set(metafunc.fixturenames):
        slow = metafunc.definition.path.stem in _SLOW_THERE
        here, there = platform_kit.STORES
        stores = [here, pytest.param(there, marks=[pytest.mark.long] if slow else [])]
        metafunc.parametrize("stores", stores, indirect=True, scope="module")
