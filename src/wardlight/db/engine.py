"""The database: transactions for writing and reading, over SQLite in a file or PostgreSQL."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine, bindparam, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from wardlight.errors import WardlightError
from wardlight.keys.files import private_folder

__all__ = ["EVERYWHERE", "Connection", "Database", "Everywhere", "open_database", "translated"]

#: How long a writer waits for another process's transaction. Transactions end within 30 s (audit.md section 2).
BUSY_MS = 30_000
#: A transaction that took longer is not committed: what it recorded would have a time long past.
TRANSACTION_S: Final = 30.0
#: How often a transaction is tried that PostgreSQL ended in favour of another one.
TRIES: Final = 5

_Result = TypeVar("_Result")


class Everywhere(Enum):
    """The reach of a transaction over the rows of all institutions."""

    EVERYWHERE = "*"


EVERYWHERE: Final = Everywhere.EVERYWHERE


class Database:
    """Hands out transactions. Threads may share it; a connection belongs to the thread that opened it.

    Each transaction names the institution whose rows it is about; None: no institution's, such as the operator's own.
    PostgreSQL shows it no others (`db/rls.py`); SQLite has no such wall, and serves single machines.

    On SQLite one connection writes: writers of this process queue for it in order instead of polling the file lock.
    On PostgreSQL writers are READ COMMITTED and lock the row that they decide about; readers are REPEATABLE READ.
    """

    def __init__(self, writer: Engine, reader: Engine) -> None:
        self._writer = writer
        self._reader = reader
        self._walled = writer.dialect.name == "postgresql"

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._writer.dialect.name

    @contextmanager
    def begin(
        self, institution: UUID | Everywhere | None = None, *, long: bool = False
    ) -> Iterator[Connection]:
        """One writing transaction: durable when the block ends, rolled back when it raises.

        long: it may take more than 30 s. Raises `WardlightError("unavailable")` when the database is locked or gone or
        the transaction took too long, `out-of-resources` when full.
        """
        try:
            with self._opened(self._writer, institution) as connection:
                began = time.monotonic()
                yield connection
                if not long:
                    _require_in_time(began)
                connection.commit()
        except (DBAPIError, PoolTimeout) as error:
            raise translated(error) from None

    @contextmanager
    def read(self, institution: UUID | Everywhere | None = None) -> Iterator[Connection]:
        """One reading transaction over a single state of the database."""
        try:
            with self._opened(self._reader, institution) as connection:
                yield connection
        except (DBAPIError, PoolTimeout) as error:
            raise translated(error) from None

    def run(
        self, work: Callable[[Connection], _Result], institution: UUID | Everywhere | None = None
    ) -> _Result:
        """`work` in one writing transaction, again from its beginning where another one got in its way.

        For work that locks many rows and changes nothing else: a deadlock then costs a moment and no error.
        """
        for left in range(TRIES - 1, -1, -1):
            try:
                with self._opened(self._writer, institution) as connection:
                    began = time.monotonic()
                    result = work(connection)
                    _require_in_time(began)
                    connection.commit()
                    return result
            except (DBAPIError, PoolTimeout) as error:
                if not left or _state(error) not in _IN_THE_WAY:
                    raise translated(error) from None
            time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 - so that two do not meet again
        raise AssertionError("unreachable")

    def clock_skew_ms(self, now_ms: Callable[[], int]) -> int:
        """How far the database's clock is before ours; 0 on SQLite, which has no other. `now_ms`: ours.

        What the question itself may have taken is not counted.
        """
        if not self._walled:
            return 0
        with self.read() as connection:
            before = now_ms()
            theirs = int(connection.execute(_CLOCK).scalar_one())
            after = now_ms()
        return theirs - after if theirs > after else min(0, theirs - before)

    def close(self) -> None:
        """Close all connections."""
        self._writer.dispose()
        self._reader.dispose()

    @contextmanager
    def _opened(self, engine: Engine, institution: UUID | Everywhere | None) -> Iterator[Connection]:
        """A connection in a transaction that has named its institution."""
        connection = engine.connect()
        try:
            connection.begin()
            if self._walled:
                connection = self._named(engine, connection, institution)
            yield connection
        finally:
            connection.close()

    def _named(
        self, engine: Engine, connection: Connection, institution: UUID | Everywhere | None
    ) -> Connection:
        value = institution.hex if isinstance(institution, UUID) else institution.value if institution else ""
        try:
            connection.execute(_NAME, {"value": value})
        except DBAPIError as error:
            connection.close()
            if not error.connection_invalidated:
                raise
            # The connection was lost while it lay in the pool, which is emptied now: nothing was done with it yet.
            connection = engine.connect()
            connection.begin()
            try:
                connection.execute(_NAME, {"value": value})
            except BaseException:
                connection.close()
                raise
        return connection


_NAME: Final = select(func.set_config("wardlight.institution", bindparam("value"), True))
_CLOCK: Final = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")


def _require_in_time(began: float) -> None:
    if time.monotonic() - began > TRANSACTION_S:
        raise WardlightError("unavailable", "a transaction took too long")


def open_database(url: str, *, connections: int = 16, timeout_s: float = 30.0) -> Database:
    """Open the database at a SQLAlchemy address; for SQLite the folder and the file are made for this user only.

    connections: most of this process to PostgreSQL. timeout_s: within which a statement of it must end, and after
    which a transaction that does nothing is ended.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        engine = _postgresql_engine(url, connections, timeout_s)
        reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return Database(engine, reading)
    path = Path(parsed.database or "")
    private_folder(path.parent)
    # SQLite gives its WAL the mode of the database file, so the file must be private before it is first written. A file
    # that is there is not opened: closing it would drop the locks that this process's connections hold on it (fcntl
    # has them by process), and another process would then take the WAL away from under them.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    writer = _sqlite_engine(url, size=1, begin="BEGIN IMMEDIATE")
    reader = _sqlite_engine(url, size=16, begin="BEGIN")
    return Database(writer, reader)


def _postgresql_engine(url: str, connections: int, timeout_s: float) -> Engine:
    milliseconds = int(timeout_s * 1000)
    options = {
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
        # Shorter, so that who waits gives up before the one that is waited for is ended.
        "lock_timeout": milliseconds // 2,
    }
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        isolation_level="READ COMMITTED",
        pool_size=connections,
        max_overflow=0,
        pool_timeout=timeout_s / 2,
        hide_parameters=True,
        connect_args={
            "application_name": "wardlight",
            "connect_timeout": 5,
            # A server that is gone without a word is noticed: by unanswered probes when idle, by lost data otherwise.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        },
    )


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
            # LIKE tells cases apart, as PostgreSQL's does.
            "case_sensitive_like=ON",
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


# SQLSTATE: serialization failure and deadlock, which end with the other transaction.
_IN_THE_WAY: Final = frozenset({"40001", "40P01"})
# Ended for idling or running too long, or the server has become a standby: the driver calls these internal errors.
_PASSING: Final = frozenset({"25P03", "25P04", "25006"})
_DISK_FULL: Final = "53100"


def _state(error: DBAPIError | PoolTimeout) -> str | None:
    """PostgreSQL's SQLSTATE of an error."""
    return getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None


def translated(error: DBAPIError | PoolTimeout) -> Exception:
    """What a failure of the database itself is for callers; what a statement did wrong stays as it is."""
    if isinstance(error, PoolTimeout):
        return WardlightError("unavailable")
    state = _state(error)
    failed = isinstance(error, OperationalError | InterfaceError) or type(error.orig) is sqlite3.DatabaseError
    if not failed and not error.connection_invalidated and state not in _PASSING:
        return error
    full = state == _DISK_FULL or any(word in str(error.orig) for word in _FULL)
    return WardlightError("out-of-resources" if full else "unavailable")


# SQLite has no states but these words.
_FULL: Final = ("disk is full", "No space left")
