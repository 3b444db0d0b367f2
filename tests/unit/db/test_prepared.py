"""A prepared statement gives what SQLAlchemy gives, and raises what it raises."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from wardlight.db.columns import Id
from wardlight.db.engine import Database, open_database
from wardlight.db.prepared import Prepared

TABLE = Table(
    "things",
    MetaData(),
    Column("id", Id(), primary_key=True),
    Column("name", String(20), nullable=False),
    Column("token", LargeBinary(4)),
    Column("count", Integer),
)
ROWS = [{"id": uuid.UUID(int=n), "name": f"n{n}", "token": bytes([n] * 4), "count": n} for n in range(1, 6)]
ADD = Prepared(insert(TABLE))
BY_TOKEN = select(TABLE.c.id, TABLE.c.token, TABLE.c.count).where(
    TABLE.c.token.in_(bindparam("tokens", expanding=True)), TABLE.c.count < bindparam("most")
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path}/index.db")
    with database.begin() as tx:
        TABLE.create(tx)
        ADD.run(tx, ROWS)
    yield database
    database.close()


def test_rows_are_those_of_sqlalchemy(database: Database) -> None:
    everything = select(TABLE).order_by(TABLE.c.id)
    with database.read() as tx:
        assert Prepared(everything).all(tx, {}) == [tuple(row) for row in tx.execute(everything)]
        assert Prepared(everything.limit(2)).all(tx, {}) == [tuple(row.values()) for row in ROWS[:2]]
        assert Prepared(everything).first(tx, {}) == tuple(ROWS[0].values())
        nobody = Prepared(everything.where(TABLE.c.id == bindparam("id")))
        assert nobody.first(tx, {"id": uuid.UUID(int=9)}) is None


@pytest.mark.parametrize("count", [1, 2, 5])
def test_lists_of_values(database: Database, count: int) -> None:
    prepared = Prepared(BY_TOKEN)
    values = {"tokens": [row["token"] for row in ROWS[:count]], "most": 5}
    with database.read() as tx:
        for _ in range(2):
            assert sorted(prepared.all(tx, values)) == sorted(
                tuple(row) for row in tx.execute(BY_TOKEN, values)
            )


def test_columns_that_are_named(database: Database) -> None:
    change = Prepared(update(TABLE).where(TABLE.c.id == bindparam("row")))
    with database.begin() as tx:
        change.run(tx, [{"row": ROWS[0]["id"], "name": "new"}])
        change.run(tx, [{"row": ROWS[0]["id"], "count": 70, "token": None}])
        change.run(tx, [])
        assert Prepared(select(TABLE)).first(tx, {}) == (ROWS[0]["id"], "new", None, 70)


def test_errors_are_wrapped_without_values(database: Database) -> None:
    with pytest.raises(IntegrityError) as error, database.begin() as tx:
        ADD.run(tx, [{"id": uuid.UUID(int=1), "name": "Canary", "token": b"", "count": 0}])
    assert "Canary" not in str(error.value)
    with pytest.raises(IntegrityError), database.begin() as tx:
        Prepared(insert(TABLE).returning(TABLE.c.id)).all(tx, {"id": uuid.UUID(int=8), "name": None})
