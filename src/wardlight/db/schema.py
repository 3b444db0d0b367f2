"""The one MetaData of the index database, its version, and its making."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Integer, MetaData, Table, insert, inspect, select

from wardlight.classification.model import DataClass
from wardlight.db.columns import column
from wardlight.db.engine import Database
from wardlight.errors import WardlightError

metadata: Final = MetaData()
"""Every slice's `tables.py` adds its tables here."""

SCHEMA_VERSION: Final = 1

schema_version: Final = Table(
    "schema_version",
    metadata,
    column("version", Integer, primary_key=True, autoincrement=False, data_class=DataClass.STATUS),
)


def create_all(database: Database) -> None:
    """Bring an empty database to this version; leave one of this version alone. Safe to call from many processes.

    Raises `WardlightError("unavailable")` where a newer program has written the database.
    """
    with database.begin() as tx:
        found = None
        if inspect(tx).has_table(schema_version.name):
            found = tx.execute(select(schema_version.c.version)).scalar()
        if found is not None and found != SCHEMA_VERSION:
            raise WardlightError(
                "unavailable", f"the database has schema {found}, this program {SCHEMA_VERSION}"
            )
        metadata.create_all(tx)
        if found is None:
            tx.execute(insert(schema_version).values(version=SCHEMA_VERSION))
