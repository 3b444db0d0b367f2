"""Rate limits: what they let through at once and over time, and whose they are."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_kit import a_platform
from wardlight import clock
from wardlight.errors import WardlightError


@pytest.fixture(scope="module")
def platform(stores):
    with a_platform() as platform:
        yield platform


@pytest.fixture
def moved(monkeypatch):
    """Moves the clock: `moved(seconds)`."""
    ahead = [0.0]
    monkeypatch.setattr(clock, "unix_ms", lambda: int((1_800_000_000 + ahead[0]) * 1000))

    def move(seconds):
        ahead[0] += seconds

    return move


def taken(platform, key, limit, window_s):
    """Whether an attempt was let through; else after how many seconds the next one is."""
    try:
        with platform.database.begin() as tx:
            platform.rates.take(tx, key, limit, window_s)
    except WardlightError as error:
        assert error.code == "rate-limited"
        return int(error.headers["Retry-After"])
    return True


def test_so_many_at_once_and_then_one_each_step(platform, moved):
    assert [taken(platform, "a", 10, 900) for _ in range(12)] == [True] * 10 + [90, 90]
    moved(89)
    assert taken(platform, "a", 10, 900) == 1
    moved(1)
    assert taken(platform, "a", 10, 900) is True
    assert taken(platform, "a", 10, 900) == 90
    moved(900)
    assert [taken(platform, "a", 10, 900) for _ in range(11)] == [True] * 10 + [90]


def test_one_key_uses_up_nothing_of_another(platform, moved):
    assert [taken(platform, "b", 1, 60) for _ in range(3)] == [True, 60, 60]
    assert taken(platform, "c", 1, 60) is True


def test_what_is_free_again_is_forgotten(platform, moved):
    moved(10_000)
    platform.rates.sweep()
    assert taken(platform, "d", 2, 10)
    assert platform.rates.sweep() == 0
    moved(5)
    assert platform.rates.sweep() == 1


@given(st.lists(st.integers(0, 3), max_size=30))
def test_never_more_than_the_limit_and_its_refill(pauses):
    """Over any stretch of time from its beginning: at most the burst and what came back since."""
    with pytest.MonkeyPatch.context() as patch:
        at = [1_800_000_000]
        patch.setattr(clock, "unix_ms", lambda: at[0] * 1000)
        key = f"p{time.perf_counter_ns()}"
        passed = 0
        for pause in pauses:
            at[0] += pause
            passed += taken(_SHARED[0], key, 3, 6) is True
            assert passed <= 3 + (at[0] - 1_800_000_000) / 2


_SHARED = []


@pytest.fixture(scope="module", autouse=True)
def shared():
    with a_platform() as platform:
        _SHARED.append(platform)
        yield
        _SHARED.clear()
