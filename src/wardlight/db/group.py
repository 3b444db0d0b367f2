"""Group commit: the work of several threads in one transaction of SQLite, each answered after its commit.

One writer at a time waits for the disk there; without this, requests that come together wait one after the other.
PostgreSQL groups commits by itself.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from wardlight.db.engine import EVERYWHERE, Database, translated
from wardlight.errors import WardlightError

_Result = TypeVar("_Result")

#: Pieces of work in one transaction: those after it wait for no longer than these take.
_MOST: Final = 32


class _Entry:
    """One piece of work and what became of it."""

    __slots__ = ("done", "error", "leads", "result", "work")

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.work = work
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
        self.leads = False


class GroupCommit:
    """Runs work in transactions that several threads share. One for a database and process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._alone = database.dialect != "sqlite"
        self._lock = threading.Lock()
        self._waiting: deque[_Entry] = deque()
        self._led = False

    def run(self, institution: UUID, work: Callable[[Connection], _Result]) -> _Result:
        """The result of `work` in a transaction that is durable on return; on PostgreSQL it may be called again.

        An error of one piece of work takes back that piece only; an error of the commit is everybody's.
        """
        if self._alone:
            return self._database.run(work, institution)
        entry = _Entry(work)
        with self._lock:
            self._waiting.append(entry)
            entry.leads = not self._led
            self._led = True
        if not entry.leads:
            entry.done.wait()
        if entry.leads:
            self._lead()
        if entry.error is not None:
            raise entry.error
        result: _Result = entry.result
        return result

    def _lead(self) -> None:
        """Run what waits, one's own work first, then let the next that has come meanwhile lead."""
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(_MOST, len(self._waiting)))]
        try:
            with self._database.begin(EVERYWHERE) as tx:
                for entry in batch:
                    _run(tx, entry, alone=len(batch) == 1)
        except BaseException as error:  # noqa: BLE001 - it is raised again in each thread
            for entry in batch:
                entry.error = entry.error or _again(error)
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            self._led = following is not None
        if following is not None:
            following.leads = True
            following.done.set()
        for entry in batch:
            entry.done.set()


def _run(tx: Connection, entry: _Entry, *, alone: bool) -> None:
    if alone:
        entry.result = entry.work(tx)
        return
    savepoint = tx.begin_nested()
    try:
        entry.result = entry.work(tx)
    except Exception as error:  # noqa: BLE001 - it is raised again in its thread
        entry.error = translated(error) if isinstance(error, DBAPIError) else error
        savepoint.rollback()
        return
    savepoint.commit()


def _again(error: BaseException) -> BaseException:
    """The error for one more thread: an exception must not be raised in two at once."""
    if isinstance(error, WardlightError):
        return WardlightError(error.code, error.detail, error.reason)
    return error
