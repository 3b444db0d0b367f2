"""What a process tells of itself: start and stop, changed settings, migrations, a clock that is off."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from platform_kit import a_platform
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event
from wardlight.audit.node import ClockCheck, NodeTrail, migrations
from wardlight.db import engine
from wardlight.db.engine import EVERYWHERE, open_database
from wardlight.db.schema import SCHEMA_VERSION, ensure
from wardlight.errors import WardlightError
from wardlight.settings import UNTOLD, Settings


@pytest.fixture
def platform():
    with a_platform() as built:
        yield built


def operators(database, *actions):
    with database.read() as tx:
        rows = tx.execute(
            text(
                "SELECT content FROM audit_pending WHERE log IN "
                "(SELECT log FROM audit_log WHERE institution IS NULL) ORDER BY seq"
            )
        )
        found = [json.loads(row[0]) for row in rows]
    return [entry for entry in found if entry["action"] in actions]


def told(platform):
    return operators(
        platform.database, "platform:node:start", "platform:node:stop", "platform:setting:change"
    )


def test_start_and_stop_are_in_the_operators_log(platform):
    node = NodeTrail(platform.database, platform.recorder, "web")
    node.start(platform.settings.shown(), UNTOLD)
    node.stop()
    start, stop = told(platform)
    assert (start["action"], stop["action"]) == ("platform:node:start", "platform:node:stop")
    assert start["actor"] == stop["actor"] == {"kind": "system", "id": "web"}
    assert start["object"] == {"kind": "node", "id": platform.settings.node}
    assert start["detail"].keys() == {"process", "version", "settings"}


def test_what_changed_since_the_last_start_is_told_once(platform):
    first = {"web.port": "8080", "database_url": "postgresql:///a", "gone": "1"}
    second = {"web.port": "9090", "database_url": "postgresql:///b", "new": "x" * 500}
    for settings in (first, first, second, second):
        NodeTrail(platform.database, platform.recorder, "web").start(settings, UNTOLD)
    NodeTrail(platform.database, platform.recorder, "worker").start(second, UNTOLD)
    entries = told(platform)
    assert [entry["action"].rsplit(":", 1)[1] for entry in entries] == [
        "start", "start", "change", "start", "start", "start",
    ]  # fmt: skip
    # Of a secret only that it changed.
    assert entries[2]["change"] == [
        {"path": "database_url"},
        {"path": "gone", "before": "1"},
        {"path": "new", "after": "x" * 100},
        {"path": "web.port", "before": "8080", "after": "9090"},
    ]


def test_many_changes_are_several_entries(platform):
    NodeTrail(platform.database, platform.recorder, "web").start({}, UNTOLD)
    NodeTrail(platform.database, platform.recorder, "web").start({f"s{n}": "1" for n in range(150)}, UNTOLD)
    changes = operators(platform.database, "platform:setting:change")
    assert [len(entry["change"]) for entry in changes] == [64, 64, 22]


def test_no_password_is_kept_with_the_settings():
    settings = Settings(database_url="postgresql://role:hunter2@db.example:5432/wardlight?password=hunter3")
    shown = settings.shown()
    assert shown["database_url"] == "postgresql://db.example:5432/wardlight"
    assert "hunter" not in json.dumps(shown)
    assert shown["web.port"] == "8080" and all(isinstance(value, str) for value in shown.values())


@pytest.mark.embedded
def test_a_migration_is_in_the_trail_in_its_own_transaction(tmp_path):
    from wardlight.audit.recorder import Recorder

    database = open_database(f"sqlite:///{tmp_path / 'index.db'}")
    recorder = Recorder("node-1", "ward.example", None)
    ensure(database, migrate=True, migrated=migrations(recorder, Actor("operator", "local-admin")))
    (entry,) = operators(database, "platform:migration:run")
    assert entry["change"] == [{"path": "schema", "after": SCHEMA_VERSION}]
    assert entry["log"] == "ward.example/audit/operator/1"
    database.close()
    # What cannot be told does not happen.
    other = open_database(f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(ZeroDivisionError):
        ensure(other, migrate=True, migrated=lambda tx, before, after: 1 // 0)
    with other.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM sqlite_master")).scalar() == 0
    other.close()


class Clock:
    """A database whose clock is so many milliseconds before ours."""

    def __init__(self, database, skew=0):
        self._database, self.skew = database, skew

    def __getattr__(self, name):
        return getattr(self._database, name)

    def clock_skew_ms(self, _):
        return self.skew


def test_a_node_whose_clock_is_off_says_so_once_and_records_nothing_more(platform):
    database = Clock(platform.database)
    check = ClockCheck(database, platform.recorder)
    check.check()
    database.skew = -2001
    for _ in range(3):
        with pytest.raises(WardlightError) as error:
            check.check()
        assert (error.value.code, error.value.reason) == ("unavailable", "clock")
    with pytest.raises(WardlightError), platform.database.begin() as tx:
        platform.recorder.write(tx, None, Event(Action.PLATFORM_LOCK_BREAK, Actor("system", "test")))
    (entry,) = operators(platform.database, "platform:clock:skew")
    assert entry["counts"] == {"milliseconds": -2001}
    database.skew = 2000
    check.check()
    with platform.database.begin() as tx:
        platform.recorder.write(tx, None, Event(Action.PLATFORM_LOCK_BREAK, Actor("system", "test")))
    assert len(operators(platform.database, "platform:clock:skew", "platform:lock:break")) == 2


def test_the_databases_clock_is_compared_with_ours(platform):
    """SQLite has no clock but ours; PostgreSQL's is asked, and the time of asking is not held against anybody."""
    from wardlight import clock

    now = clock.unix_ms
    assert abs(platform.database.clock_skew_ms(now)) < 200
    behind = platform.database.clock_skew_ms(lambda: now() - 5000)
    ahead = platform.database.clock_skew_ms(lambda: now() + 5000)
    if platform.settings.database_url:
        assert 4800 < behind < 5200 and -5200 < ahead < -4800
    else:
        assert behind == ahead == 0
    slow = iter((now() - 3000, now() + 3000))
    assert platform.database.clock_skew_ms(lambda: next(slow)) == 0


def test_a_transaction_that_took_too_long_is_not_committed(platform, monkeypatch):
    monkeypatch.setattr(engine, "TRANSACTION_S", -1.0)
    event = Event(Action.PLATFORM_LOCK_BREAK, Actor("system", "test"))
    for transaction in (
        lambda: platform.database.begin(EVERYWHERE),
        lambda: platform.database.begin(),
    ):
        with pytest.raises(WardlightError) as error, transaction() as tx:
            platform.recorder.write(tx, None, event)
        assert error.value.code == "unavailable"
    with pytest.raises(WardlightError):
        platform.database.run(lambda tx: platform.recorder.write(tx, None, event))
    assert not operators(platform.database, "platform:lock:break")
    with platform.database.begin(long=True) as tx:
        platform.recorder.write(tx, None, event)
    assert len(operators(platform.database, "platform:lock:break")) == 1
