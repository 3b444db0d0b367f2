"""The one MetaData of the index database, its version, and how a database is brought to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Integer, MetaData, Table, insert, inspect, select, text, update

from wardlight.classification.model import DataClass
from wardlight.db.columns import column
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError

metadata: Final = MetaData()
"""Every slice's `tables.py` adds its tables here."""

#: The number of the last module in `db/migrations`.
SCHEMA_VERSION: Final = 8

schema_version: Final = Table(
    "schema_version",
    metadata,
    column("version", Integer, primary_key=True, autoincrement=False, data_class=DataClass.STATUS),
)

# One process changes a schema at a time; SQLite's writing transaction is such a lock already.
_LOCK: Final = text("SELECT pg_advisory_xact_lock(7161824)")


#: Told of each change of the schema, in its transaction: the version before, if any, and after.
Migrated = Callable[[Connection, int | None, int], None]


def _untold(tx: Connection, before: int | None, after: int) -> None:
    """For a database whose changes nobody follows."""


def ensure(database: Database, *, migrate: bool, migrated: Migrated = _untold) -> None:
    """Make sure that the database has this version's schema. Safe to call from many processes at once.

    An empty SQLite file gets it from whoever opens it first. Everything else needs `migrate`, which `wardlight
    migrate`, `serve` and `demo` give: nodes of a larger installation must not change the schema that others use.

    Raises `WardlightError("unavailable")` where the schema is older and may not be changed here, or is newer.
    """
    found = _read_version(database)
    if found == SCHEMA_VERSION:
        return
    if found is not None and found > SCHEMA_VERSION:
        raise WardlightError("unavailable", f"the database has schema {found}, this program {SCHEMA_VERSION}")
    if not migrate and (found is not None or database.dialect != "sqlite"):
        raise WardlightError(
            "unavailable",
            f"the database has schema {found or 'none'}, this program needs {SCHEMA_VERSION}: run `wardlight migrate`",
        )
    _create(database, migrated)
    while _upgrade(database, migrated):
        pass


def create_all(database: Database) -> None:
    """`ensure` with `migrate`."""
    ensure(database, migrate=True)


def _read_version(database: Database) -> int | None:
    with database.read(EVERYWHERE) as tx:
        return _version(tx)


def _version(tx: Connection) -> int | None:
    if not inspect(tx).has_table(schema_version.name):
        return None
    return tx.execute(select(schema_version.c.version)).scalar()


def _create(database: Database, migrated: Migrated) -> None:
    """Give an empty database the tables as they are now."""
    with database.begin(EVERYWHERE) as tx:
        _lock(tx)
        if _version(tx) is None:
            metadata.create_all(tx)
            tx.execute(insert(schema_version).values(version=SCHEMA_VERSION))
            _protect(tx)
            migrated(tx, None, SCHEMA_VERSION)


def _upgrade(database: Database, migrated: Migrated) -> bool:
    """One migration, in one transaction; False where there is none left."""
    with database.begin(EVERYWHERE, long=True) as tx:
        _lock(tx)
        found = _version(tx)
        if found is None or found >= SCHEMA_VERSION:
            return False
        from wardlight.db import migrations  # Alembic is not loaded by a start that has nothing to change.

        migrations.upgrade(tx, found + 1)
        tx.execute(update(schema_version).values(version=found + 1))
        _protect(tx)
        migrated(tx, found, found + 1)
        return True


def _lock(tx: Connection) -> None:
    if tx.dialect.name == "postgresql":
        tx.execute(_LOCK)


def _protect(tx: Connection) -> None:
    """Row-level security, the same after each change: policies follow from the tables."""
    if tx.dialect.name == "postgresql":
        from wardlight.db import rls

        rls.protect(tx, metadata)


def require_wall(database: Database) -> None:
    """Raise `settings-unsafe` where PostgreSQL does not keep this process from rows of other institutions."""
    if database.dialect == "postgresql":
        from wardlight.db import rls

        with database.read() as tx:
            rls.require(tx, metadata)
