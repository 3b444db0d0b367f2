"""The database: transactions for writing and reading, over SQLite in a file or PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from wardlight.errors import WardlightError
from wardlight.keys.files import private_folder

__all__ = ["Connection", "Database", "open_database"]

#: How long a writer waits for another process's transaction. Transactions end within 30 s (audit.md section 2).
BUSY_MS = 30_000


class Database:
    """Hands out transactions. Threads may share it; a connection belongs to the thread that opened it.

    On SQLite one connection writes: writers of this process queue for it in order instead of polling the file lock.
    """

    def __init__(self, writer: Engine, reader: Engine) -> None:
        self._writer = writer
        self._reader = reader

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._writer.dialect.name

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One writing transaction: durable when the block ends, rolled back when it raises.

        Raises `WardlightError("unavailable")` when the database is locked or gone, `out-of-resources` when full.
        """
        try:
            with self._writer.begin() as connection:
                yield connection
        except (DatabaseError, PoolTimeout) as error:
            raise _translated(error) from None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One reading transaction over a single state of the database."""
        try:
            with self._reader.connect() as connection:
                yield connection
        except (DatabaseError, PoolTimeout) as error:
            raise _translated(error) from None

    def close(self) -> None:
        """Close all connections."""
        self._writer.dispose()
        self._reader.dispose()


def open_database(url: str) -> Database:
    """Open the database at a SQLAlchemy address; for SQLite the folder and the file are made for this user only."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        engine = create_engine(parsed, pool_pre_ping=True, hide_parameters=True)
        return Database(engine, engine)
    path = Path(parsed.database or "")
    private_folder(path.parent)
    # SQLite gives its WAL the mode of the database file, so the file must be private before it is first written.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    writer = _sqlite_engine(url, size=1, begin="BEGIN IMMEDIATE")
    reader = _sqlite_engine(url, size=16, begin="BEGIN")
    return Database(writer, reader)


def _sqlite_engine(url: str, *, size: int, begin: str) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=BUSY_MS / 1000,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: it would begin deferred ones, which fail with
        # "database is locked" at their first write when another writer came between.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
            "temp_store=MEMORY",
            "cache_size=-16384",
            "mmap_size=268435456",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # Straight to the driver: this runs for every transaction, and costs less than a tenth that way.
        driver: Any = connection.connection.driver_connection
        try:
            driver.execute(begin)
        except sqlite3.OperationalError as error:
            raise OperationalError(begin, None, error) from None

    return engine


def _translated(error: DatabaseError | PoolTimeout) -> Exception:
    """What a failure of the database itself is for callers; what a statement did wrong stays as it is."""
    if isinstance(error, PoolTimeout):
        return WardlightError("unavailable")
    if not isinstance(error, OperationalError) and type(error) is not DatabaseError:
        return error
    full = "disk is full" in str(error.orig) or "No space left" in str(error.orig)
    return WardlightError("out-of-resources" if full else "unavailable")
