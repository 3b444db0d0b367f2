"""Transactions: durable or rolled back, one writer in order, readers see one state; ids are ordered by time."""

import os
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, text
from sqlalchemy.exc import IntegrityError

from wardlight.db import engine
from wardlight.db.engine import open_database
from wardlight.db.ids import uuid7
from wardlight.db.schema import create_all
from wardlight.errors import WardlightError

numbers = Table("numbers", MetaData(), Column("n", Integer, primary_key=True))


@pytest.fixture
def database(tmp_path):
    database = open_database(f"sqlite:///{tmp_path}/index/index.db")
    with database.begin() as tx:
        numbers.create(tx)
    yield database
    database.close()


def count(database):
    with database.read() as tx:
        return tx.execute(text("SELECT count(*) FROM numbers")).scalar()


def test_settings_that_durability_and_deletion_rest_on(database, tmp_path):
    with database.begin() as tx:
        pragma = {
            n: tx.execute(text(f"PRAGMA {n}")).scalar()
            for n in ("synchronous", "journal_mode", "secure_delete")
        }
    assert pragma == {"synchronous": 2, "journal_mode": "wal", "secure_delete": 1}
    for name in ("index.db", "index.db-wal"):
        assert stat.S_IMODE(os.stat(tmp_path / "index" / name).st_mode) == 0o600
    assert database.dialect == "sqlite"


def test_rolled_back_when_the_block_raises(database):
    with pytest.raises(RuntimeError), database.begin() as tx:
        tx.execute(insert(numbers), {"n": 1})
        raise RuntimeError
    assert count(database) == 0


def test_a_reader_sees_one_state(database):
    with database.read() as tx:
        assert tx.execute(select(numbers)).all() == []
        with database.begin() as writer:
            writer.execute(insert(numbers), {"n": 1})
        assert tx.execute(select(numbers)).all() == []
    assert count(database) == 1


def test_writers_of_many_threads_and_two_processes_worth_of_engines(database, tmp_path):
    other = open_database(f"sqlite:///{tmp_path}/index/index.db")

    def write(where, start):
        for number in range(start, start + 25):
            with where.begin() as tx:
                tx.execute(select(numbers).limit(1)).first()
                tx.execute(insert(numbers), {"n": number})

    threads = [threading.Thread(target=write, args=((database, other)[n % 2], n * 25)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert count(database) == 150


def test_a_database_that_cannot_be_read_is_unavailable(tmp_path):
    path = tmp_path / "index.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    database = open_database(f"sqlite:///{path}")
    for transaction in (database.begin, database.read):
        with pytest.raises(WardlightError) as error, transaction():
            pass
        assert error.value.code == "unavailable"


def test_what_a_statement_does_wrong_is_told_as_it_is(database):
    with database.begin() as tx:
        tx.execute(insert(numbers), {"n": 1})
    with pytest.raises(IntegrityError), database.begin() as tx:
        tx.execute(insert(numbers), {"n": 1})


def test_the_schema_is_made_once_and_a_newer_one_is_refused(database):
    create_all(database)
    create_all(database)
    with database.begin() as tx:
        tx.execute(text("UPDATE schema_version SET version = 99"))
    with pytest.raises(WardlightError) as error:
        create_all(database)
    assert error.value.code == "unavailable"


def test_ids_are_version_7_and_ordered():
    ids = []
    for _ in range(5):
        ids.append(uuid7())
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert {id_.version for id_ in ids} == {7} and {id_.variant for id_ in ids} == {"specified in RFC 4122"}
    assert abs((ids[0].int >> 80) - time.time() * 1000) < 60_000
    assert len({uuid7() for _ in range(1000)}) == 1000


def test_a_writer_that_waits_too_long_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_MS", 50)
    first = engine.open_database(f"sqlite:///{tmp_path}/index.db")
    second = engine.open_database(f"sqlite:///{tmp_path}/index.db")
    with first.begin() as tx:
        numbers.create(tx)
        for other in (second, first):
            with pytest.raises(WardlightError) as error, other.begin():
                pass
            assert error.value.code == "unavailable"
    first.close()
    second.close()


_ANOTHER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("INSERT INTO t VALUES (1)")
connection.commit()
connection.close()
"""


def test_opening_it_a_second_time_leaves_the_first_its_locks(tmp_path):
    """Else another process that closes it takes the WAL along, and the first sees nothing more of others."""
    url = f"sqlite:///{tmp_path}/x.db"
    with closing(open_database(url)) as first:
        with first.begin() as tx:
            tx.execute(text("CREATE TABLE t (n integer)"))
        with first.read() as tx:
            tx.execute(text("SELECT n FROM t")).all()
        open_database(url)  # Connects to nothing yet.
        for number in range(3):
            subprocess.run([sys.executable, "-c", _ANOTHER, str(tmp_path / "x.db")], check=True, timeout=30)
            assert (tmp_path / "x.db-wal").exists()
            with first.read() as tx:
                assert tx.execute(text("SELECT count(*) FROM t")).scalar() == number + 1
