"""A database of the receiver's own: one SQLite file of one schema, in the receiver's folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, MetaData, SmallInteger, Table, insert, inspect, select

from wardlight.classification.model import DataClass
from wardlight.db.columns import column
from wardlight.db.engine import Database, open_database
from wardlight.errors import WardlightError


def version_table(metadata: MetaData) -> Table:
    """The table whose one row says which schema the file has."""
    version = column(
        "version", SmallInteger, primary_key=True, autoincrement=False, data_class=DataClass.STATUS
    )
    return Table("schema_version", metadata, version)


def _nothing(_tx: Connection) -> None:
    """A new file stays empty."""


class OwnDatabase:
    """Threads may share one; each process opens its own."""

    def __init__(
        self, path: Path, version: Table, supported: int, first: Callable[[Connection], None] = _nothing
    ) -> None:
        """Open the file, or make it. version: as `version_table` made it; supported: the schema of this program.

        first: puts into a new file what it begins with. Raises `unavailable` where the file has another schema.
        """
        self.database: Database = open_database(f"sqlite:///{path}")
        self._path = path
        self._watch: sqlite3.Connection | None = None
        with self.database.begin() as tx:
            found = None
            if inspect(tx).has_table(version.name):
                found = tx.execute(select(version.c.version)).scalar()
            if found not in (None, supported):
                raise WardlightError(
                    "unavailable", f"{path.name} has schema {found}, this program {supported}"
                )
            version.metadata.create_all(tx)
            if found is None:
                tx.execute(insert(version).values(version=supported))
                first(tx)

    def close(self) -> None:
        """Close the connections."""
        if self._watch is not None:
            self._watch.close()
        self.database.close()

    def version(self) -> int:
        """A number that changes with every commit of anybody, for a twentieth of what a query costs. For one thread.

        Raises WardlightError("unavailable").
        """
        try:
            if self._watch is None:
                # Opened in read-write mode, as a reader of WAL must be able to make its shared memory. In autocommit,
                # since a transaction would see one state for ever.
                self._watch = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            return int(self._watch.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            raise WardlightError("unavailable") from None
