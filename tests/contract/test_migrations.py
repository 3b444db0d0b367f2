"""Databases made by old versions become what an empty one is made to, with all they held, on both databases.

`data/schema_N.*.sql` are dumps of small platforms of schema N: two studies, a person, a receiver, an agreement.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

import postgres
from wardlight import bootstrap  # noqa: F401 - brings every slice's tables
from wardlight.db import migrations, schema
from wardlight.db.engine import EVERYWHERE, Database, open_database
from wardlight.db.schema import SCHEMA_VERSION, ensure, metadata, require_wall
from wardlight.errors import WardlightError

DATA = Path(__file__).parent / "data"
OLD = sorted(int(re.findall(r"\d+", file.name)[0]) for file in DATA.glob("schema_*.sqlite.sql"))

Opener = Callable[[int | None], Database]


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens a database with what is in the dump of a version, or an empty one; as the role that migrates."""
    databases: list[Database] = []
    made: list[postgres.Addresses] = []

    def sqlite(version: int | None) -> Database:
        database = open_database(f"sqlite:///{tmp_path}/{len(databases)}.db")
        if version:
            dump = (DATA / f"schema_{version}.sqlite.sql").read_text()
            with database._writer.connect() as connection:
                driver: Any = connection.connection.driver_connection
                driver.execute("PRAGMA foreign_keys=OFF")
                driver.executescript(dump)
                driver.execute("PRAGMA foreign_keys=ON")
        return database

    def postgresql(version: int | None) -> Database:
        addresses = postgres.shared().database()
        made.append(addresses)
        if version:
            with psycopg.connect(addresses.owner, autocommit=True) as connection:
                connection.execute((DATA / f"schema_{version}.postgresql.sql").read_text().encode())
        return open_database(addresses.owner)

    def opener(version: int | None) -> Database:
        databases.append(sqlite(version) if request.param == "sqlite" else postgresql(version))
        return databases[-1]

    yield opener
    for database in databases:
        database.close()
    for addresses in made:
        postgres.shared().drop(addresses)


def shape(database: Database) -> dict[str, Any]:
    """Everything about the tables that the database tells."""
    with database.read(EVERYWHERE) as tx:
        inspector = inspect(tx)
        return {
            table: {
                "columns": sorted(
                    (column["name"], repr(column["type"]), column["nullable"])
                    for column in inspector.get_columns(table)
                ),
                "key": inspector.get_pk_constraint(table)["constrained_columns"],
                "unique": sorted(
                    tuple(one["column_names"]) for one in inspector.get_unique_constraints(table)
                ),
                "foreign": sorted(
                    (tuple(one["constrained_columns"]), one["referred_table"])
                    for one in inspector.get_foreign_keys(table)
                ),
                "indexes": sorted(
                    (one["name"], tuple(one["column_names"]), bool(one["unique"]))
                    for one in inspector.get_indexes(table)
                ),
            }
            for table in inspector.get_table_names()
        }


def held(database: Database, columns: dict[str, list[str]]) -> dict[str, list[tuple[Any, ...]]]:
    """All values of these columns of tables."""
    with database.read(EVERYWHERE) as tx:
        return {
            table: sorted(
                (tuple(row) for row in tx.execute(text(f"SELECT {', '.join(names)} FROM {table}"))), key=repr
            )
            for table, names in columns.items()
        }


@pytest.mark.parametrize("version", OLD)
def test_an_old_database_becomes_what_an_empty_one_is_made_to(opened: Opener, version: int) -> None:
    empty, old = opened(None), opened(version)
    before = {
        table: [f'"{name}"' for name, *_ in found["columns"]]
        for table, found in shape(old).items()
        if table != "schema_version"
    }
    content = held(old, before)
    assert content["archive_instance"] and content["person"] and content["agreement"]
    ensure(empty, migrate=True)
    ensure(old, migrate=True)
    assert shape(old) == shape(empty)
    with old.read(EVERYWHERE) as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []
    still = {
        table: [name for name in names if name[1:-1] in columns_of(old, table)]
        for table, names in before.items()
    }
    assert still == before, "a migration has taken a column away: say here which, and why nothing is lost"
    assert held(old, still) == content
    if old.dialect == "postgresql":
        require_wall(old)


def columns_of(database: Database, table: str) -> set[str]:
    with database.read(EVERYWHERE) as tx:
        return {column["name"] for column in inspect(tx).get_columns(table)}


def test_a_second_time_changes_nothing(opened: Opener) -> None:
    database = opened(OLD[0])
    ensure(database, migrate=True)
    before = shape(database)
    ensure(database, migrate=True)
    ensure(database, migrate=False)
    assert shape(database) == before


def test_who_may_not_migrate_refuses_an_old_schema_and_changes_nothing(opened: Opener) -> None:
    database = opened(OLD[0])
    before = shape(database)
    with pytest.raises(WardlightError) as error:
        ensure(database, migrate=False)
    assert error.value.code == "unavailable" and "run `wardlight migrate`" in error.value.detail
    assert shape(database) == before


def test_a_newer_schema_is_refused_by_all(opened: Opener) -> None:
    database = opened(None)
    ensure(database, migrate=True)
    with database.begin() as tx:
        tx.execute(text("UPDATE schema_version SET version = 999"))
    for migrate in (False, True):
        with pytest.raises(WardlightError) as error:
            ensure(database, migrate=migrate)
        assert error.value.code == "unavailable" and "999" in error.value.detail


def test_a_migration_that_fails_leaves_nothing(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    database = opened(OLD[0])
    before = shape(database)
    upgrade = migrations.upgrade

    def fail(tx: Any, version: int) -> None:
        upgrade(tx, version)
        tx.execute(text("CREATE TABLE half_done (n integer)"))
        raise RuntimeError

    monkeypatch.setattr(migrations, "upgrade", fail)
    with pytest.raises(RuntimeError):
        ensure(database, migrate=True)
    assert shape(database) == before
    monkeypatch.undo()
    ensure(database, migrate=True)
    assert "half_done" not in shape(database)


def test_migrations_are_numbered_without_gaps_up_to_the_schemas_version() -> None:
    assert sorted(migrations.revisions()) == list(range(2, SCHEMA_VERSION + 1))


def test_migrations_do_not_follow_the_tables() -> None:
    """What a published migration does must not change when a table does."""
    for name in migrations.revisions().values():
        source = Path(migrations.__file__).with_name(f"{name}.py").read_text()
        assert not re.search(r"import .*(tables|metadata)|tables import", source), name


def test_a_start_with_nothing_to_change_loads_no_alembic(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from wardlight import bootstrap\n"
        "from wardlight.settings import Settings\n"
        "for _ in range(2):\n"
        f"    bootstrap.platform(Settings(data_dir={str(tmp_path / 'data')!r}, demo=True), migrate=True).close()\n"
        "assert 'alembic' not in sys.modules and 'psycopg' not in sys.modules and 'obstore' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_dumps_are_of_the_versions_that_were_published() -> None:
    assert OLD and OLD[0] == 1 and OLD[-1] < schema.SCHEMA_VERSION
    assert {file.name for file in DATA.glob("schema_*")} == {
        f"schema_{version}.{database}.sql" for version in OLD for database in ("sqlite", "postgresql")
    }
