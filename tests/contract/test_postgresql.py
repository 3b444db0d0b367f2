"""PostgreSQL under SQLite's contract: one state a reader, locks, lost connections, the wall between tenants."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    event,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

import platform_kit
import postgres
from archive_kit import Kit, dataset
from platform_kit import a_platform
from wardlight import bootstrap
from wardlight.archive import store
from wardlight.archive.keyring import Tokens
from wardlight.archive.model import Query
from wardlight.archive.tables import instance, orphan, release, segment, series
from wardlight.audit.recorder import Recorder
from wardlight.db import rls
from wardlight.db.engine import EVERYWHERE, Database, open_database
from wardlight.db.group import GroupCommit
from wardlight.db.schema import ensure, metadata, require_wall
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.settings import Settings

numbers = Table("numbers", MetaData(), Column("n", Integer, primary_key=True), Column("b", LargeBinary))


@pytest.fixture
def addresses() -> Iterator[postgres.Addresses]:
    made = postgres.shared().migrated()
    yield made
    postgres.shared().drop(made)


@pytest.fixture
def database(addresses: postgres.Addresses) -> Iterator[Database]:
    owner = open_database(addresses.owner)
    with owner.begin() as tx:
        numbers.create(tx)
    owner.close()
    opened = open_database(addresses.serving, connections=8, timeout_s=2)
    yield opened
    opened.close()


def add(database: Database, number: int) -> None:
    with database.begin() as tx:
        tx.execute(insert(numbers), {"n": number})


def count(database: Database) -> int:
    with database.read() as tx:
        return len(tx.execute(select(numbers)).all())


def test_rolled_back_when_the_block_raises(database):
    with pytest.raises(RuntimeError), database.begin() as tx:
        tx.execute(insert(numbers), {"n": 1})
        raise RuntimeError
    assert count(database) == 0


def test_a_reader_sees_one_state_and_writes_nothing(database):
    with database.read() as tx:
        assert tx.execute(select(numbers)).all() == []
        add(database, 1)
        assert tx.execute(select(numbers)).all() == []
    assert count(database) == 1
    with pytest.raises(WardlightError) as error, database.read() as tx:
        tx.execute(insert(numbers), {"n": 2})
    assert error.value.code == "unavailable"


def test_what_a_statement_does_wrong_is_told_as_it_is(database):
    add(database, 1)
    with pytest.raises(IntegrityError):
        add(database, 1)
    add(database, 2)


def crosswise(database: Database, run: Callable[[Callable[[Connection], None]], None]) -> list[str]:
    """Two transactions that lock two rows in opposite order; returns how they ended."""
    with database.begin() as tx:
        tx.execute(insert(numbers), [{"n": 1}, {"n": 2}])
    both = threading.Barrier(2)
    ended: list[str] = []

    def work(first: int, second: int) -> None:
        met = False

        def change(tx):
            nonlocal met
            tx.execute(update(numbers).where(numbers.c.n == first).values(b=b"x"))
            if not met:
                met = True
                both.wait(10)
            tx.execute(update(numbers).where(numbers.c.n == second).values(b=b"x"))

        try:
            run(change)
            ended.append("done")
        except WardlightError as error:
            ended.append(error.code)

    threads = [threading.Thread(target=work, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(ended)


def test_a_deadlock_ends_one_of_two(addresses):
    # The server looks for a deadlock after a second, so the limit here is longer.
    opened = database_of(addresses)

    def once(change):
        with opened.begin() as tx:
            change(tx)

    assert crosswise(opened, once) == ["done", "unavailable"]
    opened.close()


def test_work_that_may_be_done_again_survives_a_deadlock(addresses):
    opened = database_of(addresses)
    assert crosswise(opened, opened.run) == ["done", "done"]
    opened.close()


def test_a_store_request_survives_a_deadlock(addresses):
    opened = database_of(addresses)
    group = GroupCommit(opened)
    assert crosswise(opened, lambda change: group.run(uuid4(), change)) == ["done", "done"]
    opened.close()


def database_of(addresses: postgres.Addresses) -> Database:
    owner = open_database(addresses.owner)
    with owner.begin() as tx:
        numbers.create(tx)
    owner.close()
    return open_database(addresses.serving)


def test_a_statement_a_lock_and_an_idle_transaction_end_in_time(database):
    started = time.monotonic()
    with pytest.raises(WardlightError) as error, database.read() as tx:
        tx.execute(text("SELECT pg_sleep(60)"))
    assert error.value.code == "unavailable"
    add(database, 1)
    with database.begin() as tx:
        tx.execute(select(numbers).with_for_update()).all()
        with pytest.raises(WardlightError), database.begin() as other:
            other.execute(select(numbers).with_for_update()).all()
    with pytest.raises(WardlightError) as error, database.begin() as tx:
        tx.execute(insert(numbers), {"n": 2})
        time.sleep(2.5)
        tx.execute(insert(numbers), {"n": 3})
    assert error.value.code == "unavailable"
    assert time.monotonic() - started < 15
    assert count(database) == 1


def test_all_connections_taken_is_unavailable(addresses):
    opened = open_database(addresses.serving, connections=1, timeout_s=0.2)
    with opened.read(), pytest.raises(WardlightError) as error, opened.read():
        pass
    assert error.value.code == "unavailable"
    opened.close()


def test_connections_lost_in_the_pool_are_not_noticed(database, addresses):
    for _ in range(3):
        add(database, 1 + count(database))
    addresses.server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'serving'")
    assert count(database) == 3
    add(database, 4)
    assert count(database) == 4


def test_a_connection_lost_in_a_transaction_is_unavailable_and_nothing_stays(database, addresses):
    with pytest.raises(WardlightError) as error, database.begin() as tx:
        tx.execute(insert(numbers), {"n": 1})
        addresses.server.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'serving'"
        )
        tx.execute(insert(numbers), {"n": 2})
    assert error.value.code == "unavailable"
    assert count(database) == 0


def test_a_server_that_is_gone_is_unavailable_and_comes_back():
    with postgres.server(options=()) as server:
        addresses = server.migrated()
        opened = database_of(addresses)
        add(opened, 1)
        server.stop()
        for transaction in (opened.begin, opened.read):
            with pytest.raises(WardlightError) as error, transaction():
                pass
            assert error.value.code == "unavailable"
            assert "postgres" not in str(error.value) and str(server.folder) not in str(error.value)
        server.start()
        add(opened, 2)
        assert count(opened) == 2
        opened.close()


def test_what_was_committed_outlives_a_crash_of_the_server():
    with postgres.server(options=()) as server:
        opened = database_of(server.migrated())
        for number in range(20):
            add(opened, number)
        server.process.kill()
        server.process.wait()
        server.start()
        assert count(opened) == 20
        opened.close()


# --- the wall between institutions (security.md section 11, row 26) ---


@pytest.fixture
def two(monkeypatch) -> Iterator[tuple[Kit, Kit]]:
    """Two institutions of one platform on PostgreSQL, a study each."""
    monkeypatch.setattr(platform_kit, "chosen", platform_kit.STORES[1])
    with a_platform() as platform:
        first = Kit(platform, platform.settings.data_dir)
        second = Kit.__new__(Kit)
        second.__dict__.update(first.__dict__)
        second.institution = platform.identity.create_institution(
            "other", "Other", "eu", by=LOCAL_ADMINISTRATOR
        )
        second.principal = first.person(first.principal.role, second.institution)
        first.agree(second.institution)
        first.store(dataset(StudyInstanceUID="1.1"))
        second.store(dataset(StudyInstanceUID="1.2"), institution=second.institution)
        yield first, second


@pytest.mark.parametrize("table", [release, series, instance, segment], ids=lambda table: table.name)
def test_without_a_where_only_the_named_institutions_rows_are_seen(two, table):
    database = two[0].platform.database
    with database.read(EVERYWHERE) as tx:
        everything = {row.id for row in tx.execute(select(table.c.id))}
    seen = []
    for kit in two:
        with database.read(kit.institution.id) as tx:
            seen.append({row.id for row in tx.execute(select(table.c.id))})
    assert all(seen) and not seen[0] & seen[1] and seen[0] | seen[1] == everything
    for nobody in (None, uuid4()):
        with database.read(nobody) as tx:
            assert tx.execute(select(table.c.id)).all() == []


@pytest.fixture
def unscoped(two) -> Iterator[None]:
    """A test build whose statements ask for no institution."""

    def without(_connection, _cursor, statement, parameters, _context, _many):
        return re.sub(r"(\w+\.)?institution = %\(\w+\)s(::\w+)?", "true", statement), parameters

    engine = two[0].platform.database._writer
    event.listen(engine, "before_cursor_execute", without, retval=True)
    yield
    event.remove(engine, "before_cursor_execute", without)


def test_a_test_build_without_scope_still_denies_other_institutions(two, unscoped):
    """PostgreSQL alone keeps the tenants apart where no statement does."""
    first, second = two
    database = first.platform.database
    foreign = Tokens(first.platform.keystore, second.institution.id).study("1.2")
    with database.read(first.institution.id) as tx:
        assert store.find_release(tx, first.institution.id, foreign) is None
    # The same build finds it where it may look everywhere, and for those whose it is: the test could fail.
    with database.read(EVERYWHERE) as tx:
        assert store.find_release(tx, first.institution.id, foreign) is not None
    assert second.archive.instances(second.scope(second.retrieve.action, second.principal), "1.2")
    for kit, own in ((first, "1.1"), (second, "1.2")):
        page = kit.archive.search_studies(kit.scope(kit.query.action, kit.principal), Query())
        assert [row["0020000D"]["Value"] for row in page.rows] == [[own]]
    held = first.platform.agreements.list(first.institution.id)
    assert {one.institution for one in held} == {first.institution.id}
    assert first.platform.identity.people(second.institution.id, by=LOCAL_ADMINISTRATOR) == []


def test_rows_of_another_institution_can_neither_be_changed_nor_made(two):
    first, second = two
    database = first.platform.database
    with database.begin(first.institution.id) as tx:
        assert tx.execute(update(release).values(bytes=0)).rowcount == 1
        assert tx.execute(text("DELETE FROM archive_instance")).rowcount == 1
        tx.rollback()
    with database.read(EVERYWHERE) as tx:
        row = dict(
            tx.execute(select(release).where(release.c.institution == second.institution.id)).one()._mapping
        )
    row |= {"id": uuid4(), "token": bytes(16)}
    with pytest.raises(Exception, match="row-level security"), database.begin(first.institution.id) as tx:
        tx.execute(insert(release), row)


def test_every_table_is_walled_or_belongs_to_no_institution():
    bare = metadata.tables.keys() - rls.conditions(metadata).keys()
    assert bare == {
        "application", "application_key", "archive_orphan", "audit_node", "client_assertion", "entitlement", "rate",
        "schema_version", "sign_in_challenge", "sign_in_delay", "sign_in_name",
    }  # fmt: skip


def test_the_owner_is_bound_too_and_a_superuser_may_not_serve(addresses):
    owner = open_database(addresses.owner)
    with owner.begin(EVERYWHERE) as tx:
        tx.execute(
            text(
                "INSERT INTO institution VALUES (decode(repeat('01', 16), 'hex'), 'a', 'A', 'eu', 'active', 1)"
            )
        )
    with owner.read() as tx:
        assert tx.execute(text("SELECT * FROM institution")).all() == []
    require_wall(owner)
    owner.close()
    superuser = open_database(addresses.superuser)
    with pytest.raises(WardlightError) as error:
        require_wall(superuser)
    assert error.value.code == "settings-unsafe" and "bypasses" in error.value.detail
    superuser.close()


def test_a_table_without_its_wall_refuses_to_start(addresses):
    addresses.server.run(
        "ALTER TABLE token DISABLE ROW LEVEL SECURITY", database=addresses.name, role="owner"
    )
    opened = open_database(addresses.serving)
    with pytest.raises(WardlightError) as error:
        require_wall(opened)
    assert error.value.code == "settings-unsafe" and "token" in error.value.detail
    opened.close()


def test_the_serving_role_can_take_down_no_wall(database):
    for statement in ("ALTER TABLE token DISABLE ROW LEVEL SECURITY", "DROP POLICY wardlight_institution ON token",
                      "SET ROLE owner", "CREATE TABLE mine (n int)"):  # fmt: skip
        with pytest.raises(Exception, match=r"must be owner|permission denied"), database.begin() as tx:
            tx.execute(text(statement))


# --- many processes at once ---


def test_stores_of_one_study_at_once_count_each_instance_once(two):
    first, _ = two
    shared = [dataset(StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1") for _ in range(6)]
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for ds in shared:
                first.store(ds)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with first.platform.database.read(EVERYWHERE) as tx:
        rows = tx.execute(
            select(release.c.instance_count, release.c.series_count).order_by(release.c.arrived_ms)
        ).all()
        assert rows[-1] == (6, 1)


def test_orphans_noted_by_two_sweeps_at_once(two):
    database = two[0].platform.database
    ids = [uuid4() for _ in range(200)]

    def note(tx):
        store.note_orphans(tx, ids, 1)
        time.sleep(0.2)

    threads = [threading.Thread(target=lambda: database.run(note, EVERYWHERE)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as tx:
        assert len(tx.execute(select(orphan)).all()) == 200


def test_one_operators_log_however_many_start_at_once(addresses, two):
    keystore = two[0].platform.keystore
    databases = [open_database(addresses.serving) for _ in range(4)]
    threads = [
        threading.Thread(target=Recorder("n", "h", keystore).ensure_operator_log, args=(one,))
        for one in databases
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with databases[0].read() as tx:
        assert len(tx.execute(text("SELECT * FROM audit_log")).all()) == 1
    for one in databases:
        one.close()


def test_many_processes_make_one_schema():
    addresses = postgres.shared().database()
    databases = [open_database(addresses.owner) for _ in range(4)]
    threads = [threading.Thread(target=ensure, args=(one,), kwargs={"migrate": True}) for one in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with databases[0].read() as tx:
        assert len(tx.execute(text("SELECT * FROM schema_version")).all()) == 1
    for one in databases:
        one.close()
    postgres.shared().drop(addresses)


def test_nodes_do_not_change_the_schema_and_say_what_to_do(tmp_path):
    addresses = postgres.shared().database()
    settings = Settings(data_dir=tmp_path / "data", demo=True, database_url=addresses.serving)
    with pytest.raises(WardlightError) as error:
        bootstrap.platform(settings)
    assert error.value.code == "unavailable" and "wardlight migrate" in error.value.detail
    bootstrap.migrate(settings.model_copy(update={"database_url": addresses.owner}))
    bootstrap.platform(settings).close()
    postgres.shared().drop(addresses)


# --- the same order and the same matching as SQLite ---


def test_texts_are_ordered_and_matched_by_bytes(addresses):
    opened = open_database(addresses.serving)
    with opened.begin(EVERYWHERE) as tx:
        for number, slug in enumerate(("b", "B", "a-c", "ab", "_", "ä", "Z")):
            tx.execute(
                text("INSERT INTO institution VALUES (:id, :slug, 'x', 'eu', 'active', 1)"),
                {"id": bytes([number] * 16), "slug": slug},
            )
        rows = tx.execute(text("SELECT slug FROM institution ORDER BY slug")).scalars().all()
    assert rows == sorted(rows, key=lambda slug: slug.encode())
    opened.close()
