"""The receiver's database: registering, work, results, quarantine, counters, no UID or name in clear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select

from wardlight import clock
from wardlight.classification.model import CLEAR
from wardlight.errors import WardlightError
from wardlight.receiver import routes, tables
from wardlight.receiver.model import DEFAULT_ROUTE, Level, Quarantined, Received, Route, Target, UploadState
from wardlight.receiver.store import BLOCK, ReceiverStore

HIGH, LOW = Target("images", Level.HIGH), Target("acme", Level.LOW)


def received(number: int, file_id: str = "f1", targets: tuple[Target, ...] = (HIGH,)) -> Received:
    return Received(
        file_id, number, 100 * number, number, 100 * number + 90, 80, bytes(32), b"s" * 16, "ROUTE", "CT_1",
        "192.0.2.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", 80, clock.unix_ms(), targets,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReceiverStore]:
    opened = ReceiverStore(tmp_path / "receiver.db")
    yield opened
    opened.close()


def test_registering_is_idempotent_and_keeps_the_watermark(store: ReceiverStore) -> None:
    assert store.register([received(2), received(1)]) == 2
    assert store.register([received(1), received(3)]) == 1
    assert store.watermark("f1") == 390
    assert store.watermark("unknown") == 0
    assert [work.stream for work in store.pending(0, 1, 0, 10)] == [2, 1, 3]


def test_a_fresh_database_has_the_default_route(store: ReceiverStore) -> None:
    assert routes.read_routes(store.database) == [DEFAULT_ROUTE]


def test_each_release_of_a_route_is_work_of_its_own(store: ReceiverStore) -> None:
    store.register([received(1, targets=(HIGH, LOW))])
    works = store.pending(0, 1, 0, 10)
    assert {work.target for work in works} == {HIGH, LOW}
    store.settle("f1")
    report(store)
    high = next(work for work in works if work.target == HIGH)
    store.finish([(high, UploadState.STORED)], [b"{}"])
    assert store.finished_files() == []
    assert [work.target for work in store.pending(0, 1, 0, 10)] == [LOW]
    low = next(work for work in works if work.target == LOW)
    store.finish([(low, UploadState.CONFLICT)], [])
    assert store.finished_files() == ["f1"]
    store.forget_file("f1")
    assert store.finished_files() == []
    assert store.pending(0, 1, 0, 10) == []


def report(store: ReceiverStore) -> int:
    studies = store.unreported(clock.unix_ms() + 1, 0)
    for study in studies:
        store.report(study, b"{}")
    return sum(study.instances for study in studies)


def test_a_file_stays_until_settled_reported_and_free_of_work(store: ReceiverStore) -> None:
    store.register([received(1)])
    (work,) = store.pending(0, 1, 0, 10)
    store.finish([(work, UploadState.STORED)], [])
    assert store.finished_files() == []
    store.settle("f1")
    assert store.finished_files() == []
    assert report(store) == 1
    assert report(store) == 0
    assert store.finished_files() == ["f1"]
    store.settle("f1", damaged=True)
    assert store.finished_files() == []
    assert store.settled_files() == {"f1"}


def test_shares_of_the_pipelines_are_disjoint_and_complete(store: ReceiverStore) -> None:
    store.register([received(number) for number in range(3 * BLOCK)])
    shares = [{work.object_id for work in store.pending(slot, 2, 0, 1000)} for slot in (0, 1)]
    assert not shares[0] & shares[1]
    assert len(shares[0] | shares[1]) == 3 * BLOCK


def test_postponed_work_waits_and_counts_attempts(store: ReceiverStore) -> None:
    store.register([received(1)])
    works = store.pending(0, 1, 0, 10)
    store.postpone(works, clock.unix_ms() + 60_000)
    assert store.pending(0, 1, 0, 10) == []
    store.postpone(works, clock.unix_ms() - 1)
    assert [work.attempts for work in store.pending(0, 1, 0, 10)] == [2]


def test_work_of_a_held_target_is_left_out(store: ReceiverStore) -> None:
    store.register([received(1, targets=(HIGH, LOW))])
    assert [work.target for work in store.pending(0, 1, 0, 10, [HIGH])] == [LOW]
    assert store.pending(0, 1, 0, 10, [HIGH, LOW]) == []


def test_what_is_done_is_never_changed_again(store: ReceiverStore) -> None:
    store.register([received(1)])
    (work,) = store.pending(0, 1, 0, 10)
    store.finish([(work, UploadState.STORED)], [])
    store.postpone([work], 0)
    store.finish([(work, UploadState.CONFLICT)], [])
    with store.database.read() as tx:
        assert tx.execute(select(tables.upload.c.state)).scalar() == "stored"


def test_damage_keeps_the_file(store: ReceiverStore) -> None:
    store.register([received(1)])
    (work,) = store.pending(0, 1, 0, 10)
    store.settle("f1")
    report(store)
    store.damaged(work)
    assert store.pending(0, 1, 0, 10) == []
    assert store.finished_files() == []


def test_quarantine_takes_an_object_once_for_each_release(store: ReceiverStore) -> None:
    store.register([received(1)])
    (work,) = store.pending(0, 1, 0, 10)
    entry = Quarantined(uuid4(), 500, HIGH, work.sop_class, work.transfer_syntax, ("pixels:sc",), 7)
    assert store.add_quarantine(entry, work, [b"{}"])
    assert not store.add_quarantine(replace(entry, id=uuid4()), work, [b"{}"])
    # It is told with the next upload of its study for this release, and for no other.
    assert store.held_back(work.study, HIGH) == 1
    assert (
        store.held_back(work.study, replace(HIGH, application="acme"))
        == store.held_back(b"x" * 16, HIGH)
        == 0
    )
    assert store.pending(0, 1, 0, 10) == []
    assert store.quarantined() == [entry]
    assert store.drop_quarantine(entry.id, [b"{}"])
    assert not store.drop_quarantine(entry.id, [b"{}"])
    with store.database.read() as tx:
        assert len(tx.execute(select(tables.audit_pending)).all()) == 2


def test_counters_of_the_day_keep_the_last_of_each_kind(
    store: ReceiverStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.unix_ms()
    monkeypatch.setattr(clock, "unix_ms", lambda: now - 3 * 24 * 3600 * 1000)
    store.register([received(1)])
    monkeypatch.setattr(clock, "unix_ms", lambda: now - 2 * 24 * 3600 * 1000)
    store.register([received(2)])
    monkeypatch.undo()
    store.register([received(3)])
    with store.database.read() as tx:
        assert [row.count for row in tx.execute(select(tables.meter.c["count"].label("count")))] == [1]


def test_routes_are_created_changed_and_deleted(store: ReceiverStore) -> None:
    route = Route("WARD", (HIGH, LOW), ("CT*",), ("192.0.2.0/24",), True)
    routes.create_route(store.database, route, [b"{}"])
    with pytest.raises(WardlightError) as caught:
        routes.create_route(store.database, route, [])
    assert caught.value.code == "already-exists"
    assert routes.read_route(store.database, "WARD") == replace(route, targets=tuple(sorted(route.targets)))
    routes.change_route(store.database, Route("WARD", (LOW,), enabled=False), [b"{}"])
    assert routes.read_route(store.database, "WARD") == Route("WARD", (LOW,), enabled=False)
    routes.delete_route(store.database, "WARD", [b"{}"])
    for call in (
        lambda: routes.read_route(store.database, "WARD"),
        lambda: routes.delete_route(store.database, "WARD", []),
        lambda: routes.change_route(store.database, route, []),
    ):
        with pytest.raises(WardlightError) as caught:
            call()
        assert caught.value.code == "not-found"


def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    store = ReceiverStore(tmp_path / "receiver.db")
    with store.database.begin() as tx:
        tx.execute(tables.schema_version.update().values(version=99))
    store.close()
    with pytest.raises(WardlightError) as caught:
        ReceiverStore(tmp_path / "receiver.db")
    assert caught.value.code == "unavailable"


def test_every_column_has_a_class_and_what_is_not_clear_is_protected() -> None:
    for table in tables.metadata.tables.values():
        for column in table.columns:
            data_class, protection = column.info["data_class"], column.info["protection"]
            assert data_class in CLEAR or protection in ("sealed", "hashed", "token"), (
                f"{table.name}.{column.name}"
            )


def test_notes_are_replaced(store: ReceiverStore) -> None:
    store.note("platform", "unreachable")
    store.note("platform", "ok")
    store.forget_note("nothing")
    with store.database.read() as tx:
        assert [row.value for row in tx.execute(select(tables.state))] == ["ok"]


def test_the_version_changes_with_every_commit_of_anybody(store: ReceiverStore, tmp_path: Path) -> None:
    seen = [store.version()]
    assert store.version() == seen[0]
    store.register([received(1)])
    seen.append(store.version())
    other = ReceiverStore(tmp_path / "receiver.db")
    other.note("port", "1")
    seen.append(store.version())
    other.close()
    assert len(set(seen)) == 3
    assert store.version() == seen[2]
