"""Numbered changes of the index database's schema, run by `wardlight migrate` and at the start of `serve`.

How to add one:

1. Change the slice's `tables.py`. An empty database is made from it directly, without any migration.
2. Add a module `vNNNN_what.py` here, NNNN being the next number, whose `upgrade(op)` brings a database of the version
   before to the same schema; `op` is Alembic's `Operations`, the connection is `op.get_bind()`:

       def upgrade(op: Operations) -> None:
           op.create_table("archive_posting", Column("label", Id, primary_key=True), ...)
           op.add_column("archive_release", Column("new", Integer, nullable=False, server_default="0"))

   Spell tables and columns out; do not import a `tables.py`, which goes on changing.
3. Set `SCHEMA_VERSION` in `db/schema.py` to NNNN. `tests/contract/test_migrations.py` then upgrades databases that old
   versions have made, on SQLite and PostgreSQL, and compares the result with the tables.

Rules: a migration runs in one transaction, whole or not at all. It only adds, so that processes of the version before,
which still run while nodes are replaced, go on working; what nobody uses any more is dropped one version later. On
SQLite, which cannot alter a column, a table of millions of rows is not copied: leave it as it is, or add a column.
Row-level security (`db/rls.py`) is put on new tables afterwards by itself. A published migration never changes.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from sqlalchemy import Connection


def revisions() -> dict[int, str]:
    """Module names by the schema version that they lead to."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {int(name[1:5]): name for name in names if name.startswith("v")}


def upgrade(tx: Connection, version: int) -> None:
    """Bring a database of the version before `version` to it, in the caller's transaction."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    module: Any = importlib.import_module(f"{__name__}.{revisions()[version]}")
    module.upgrade(Operations(MigrationContext.configure(tx)))
