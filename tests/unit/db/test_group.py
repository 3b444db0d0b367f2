"""Group commit: several threads' work in one transaction, each with its own result or error."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, func, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from wardlight.db.engine import Database, open_database
from wardlight.db.group import GroupCommit
from wardlight.errors import WardlightError

NUMBERS = Table("numbers", MetaData(), Column("n", Integer, primary_key=True))
NOBODY = uuid.UUID(int=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path}/index.db")
    with database.begin() as tx:
        NUMBERS.create(tx)
    yield database
    database.close()


def numbers(database: Database) -> set[int]:
    with database.read() as tx:
        return set(tx.execute(select(NUMBERS.c.n)).scalars())


def adding(number: int):
    def work(tx: Connection) -> int:
        tx.execute(insert(NUMBERS), {"n": number})
        return number

    return work


class Counting:
    """The database, with its writing transactions counted; the first waits until `go`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.dialect = database.dialect
        self.begun = 0
        self.go = threading.Event()
        self.in_first = threading.Event()

    def begin(self, institution):
        self.begun += 1
        if self.begun == 1:
            self.in_first.set()
            assert self.go.wait(10)
        return self.database.begin(institution)


def test_what_comes_meanwhile_shares_a_transaction(database: Database) -> None:
    counting = Counting(database)
    group = GroupCommit(counting)  # type: ignore[arg-type]
    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(group.run, NOBODY, adding(0))
        assert counting.in_first.wait(10)
        rest = [pool.submit(group.run, NOBODY, adding(n)) for n in (1, 2, 3, 3, 4)]
        while len(group._waiting) < 5:
            pass
        counting.go.set()
        assert first.result(10) == 0
        outcomes = [(f.exception(10), None if f.exception() else f.result()) for f in rest]
    assert counting.begun == 2
    assert [result for error, result in outcomes if error is None] == [1, 2, 3, 4]
    assert [type(error) for error, _ in outcomes if error] == [IntegrityError]
    assert numbers(database) == {0, 1, 2, 3, 4}


def test_a_commit_that_fails_is_everybody_s(database: Database) -> None:
    counting = Counting(database)
    group = GroupCommit(counting)  # type: ignore[arg-type]

    def breaking(tx: Connection) -> None:
        tx.connection.driver_connection.execute("ROLLBACK")  # as SQLite does by itself when its disk fails

    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(group.run, NOBODY, adding(0))
        assert counting.in_first.wait(10)
        rest = [pool.submit(group.run, NOBODY, work) for work in (adding(1), breaking, adding(2))]
        while len(group._waiting) < 3:
            pass
        counting.go.set()
        assert first.result(10) == 0
        errors = [future.exception(10) for future in rest]
    assert all(errors)
    assert {1, 2}.isdisjoint(numbers(database))
    assert group.run(NOBODY, adding(5)) == 5


@pytest.mark.parametrize("beside", [0, 1])
def test_a_failure_of_the_database_is_told_alike_alone_and_beside_others(
    database: Database, beside: int
) -> None:
    counting = Counting(database)
    group = GroupCommit(counting)  # type: ignore[arg-type]

    def filling(tx: Connection) -> None:
        raise OperationalError("INSERT", None, sqlite3.OperationalError("database or disk is full"))

    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(group.run, NOBODY, adding(0))
        assert counting.in_first.wait(10)
        rest = [pool.submit(group.run, NOBODY, work) for work in (filling, adding(1))[: 1 + beside]]
        while len(group._waiting) < 1 + beside:
            pass
        counting.go.set()
        assert first.result(10) == 0
        error = rest[0].exception(10)
    assert isinstance(error, WardlightError) and error.code == "out-of-resources"
    assert numbers(database) == set(range(1 + beside))


def test_one_alone_fails_alone(database: Database) -> None:
    group = GroupCommit(database)
    with pytest.raises(WardlightError, match="conflict"):
        group.run(NOBODY, lambda tx: (adding(1)(tx), (_ for _ in ()).throw(WardlightError("conflict"))))
    assert numbers(database) == set()
    assert group.run(NOBODY, adding(1)) == 1


def test_many_threads_lose_nothing(database: Database) -> None:
    group = GroupCommit(database)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda n: group.run(NOBODY, adding(n)), range(300))) == list(range(300))
    with database.read() as tx:
        assert tx.execute(select(func.count()).select_from(NUMBERS)).scalar() == 300
