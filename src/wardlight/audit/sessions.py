"""Read sessions: the first byte waits for `authorised`; one `finished` counts what was read (audit.md section 1)."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select

from wardlight import clock, log
from wardlight.audit.canonical import canonical
from wardlight.audit.model import Event, Outcome
from wardlight.audit.recorder import Recorder
from wardlight.audit.references import base64url
from wardlight.audit.tables import pending, read_session
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.db.ids import uuid7

IDLE_S: Final = 60.0
LONGEST_S: Final = 300.0
MAX_REQUESTS: Final = 10_000
#: A session still open so long after its start belongs to a node that is gone.
ORPHAN_MS: Final = 360_000
#: Series told singly in the finished entry; the others share one rest row.
MAX_SERIES: Final = 50

_ADD_ENTRY: Final = insert(pending)
_ADD_SESSION: Final = insert(read_session)

# What the finished entry repeats from the authorised one.
_REPEATED: Final = ("action", "actor", "behalf", "grant", "network", "object", "purpose", "subjects", "token")


@dataclass(slots=True)
class _Session:
    id: UUID
    number: int
    origin: str
    content: bytes
    started: float
    last: float
    requests: int = 0
    instances: int = 0
    frames: int = 0
    bytes: int = 0
    results: int = 0
    series: dict[str, list[int]] = field(default_factory=dict)
    ended: bool = False


class Reading:
    """One request's part in a read session; counts what is handed out. Threads may share it."""

    __slots__ = ("_event", "_institution", "_session", "_sessions")

    def __init__(self, sessions: ReadSessions, institution: UUID, event: Event, session: _Session) -> None:
        self._sessions = sessions
        self._institution = institution
        self._event = event
        self._session = session

    def count(
        self, *, series: str = "", instances: int = 0, frames: int = 0, bytes_: int = 0, results: int = 0
    ) -> None:
        """Add to the counts. A transfer that outlives its session goes on in a new one, authorised first."""
        if not self._sessions.add(self._session, series, instances, frames, bytes_, results):
            self._session = self._sessions.session(self._institution, self._event)
            self._sessions.add(self._session, series, instances, frames, bytes_, results)


class ReadSessions:
    """The read sessions of one process. `sweep` must be called every few seconds, `close` at the end."""

    def __init__(
        self, database: Database, recorder: Recorder, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._by_key: dict[tuple[object, ...], _Session] = {}
        self._ending: list[_Session] = []
        # Two first requests of one session must not both write: they queue on one of these.
        self._starting = tuple(threading.Lock() for _ in range(64))

    def begin(self, institution: UUID, event: Event) -> Reading:
        """Enter one read request; when this returns, its `authorised` entry is durable.

        `event` is the authorised entry without phase. Raises what the database raises: then nothing may be served.
        """
        return Reading(self, institution, event, self.session(institution, event))

    def session(self, institution: UUID, event: Event) -> _Session:
        """The open session of this event's key, with one more request, or a new one."""
        self._recorder.require_clock()
        key = (
            institution,
            event.action,
            event.actor,
            event.behalf,
            event.token,
            event.target,
            event.grant,
            event.purpose,
            event.address,
        )
        with self._starting[hash(key) % len(self._starting)]:
            now = self._monotonic()
            with self._lock:
                session = self._by_key.get(key)
                if session and not session.ended and not _over(session, now):
                    session.requests += 1
                    session.last = now
                    return session
                if session:
                    session.ended = True
                    self._ending.append(self._by_key.pop(key))
            session = self._start(institution, event, now)
            with self._lock:
                self._by_key[key] = session
            return session

    def _start(self, institution: UUID, event: Event, now: float) -> _Session:
        with self._database.begin(institution) as tx:
            number, origin = self._recorder.log_for(tx, institution)
            authorised = replace(event, phase="authorised")
            entry = self._recorder.entry(origin, authorised, authorised.subjects[:100])
            content = canonical(entry)
            tx.execute(_ADD_ENTRY, {"log": number, "content": content})
            row = {"id": UUID(entry["id"]), "log": number, "started_ms": clock.unix_ms(), "content": content}
            tx.execute(_ADD_SESSION, row)
        return _Session(UUID(entry["id"]), number, origin, content, now, now, requests=1)

    def add(
        self, session: _Session, series: str, instances: int, frames: int, bytes_: int, results: int
    ) -> bool:
        """Add counts; False when the session has ended."""
        with self._lock:
            if session.ended:
                return False
            session.last = self._monotonic()
            session.instances += instances
            session.frames += frames
            session.bytes += bytes_
            session.results += results
            if series and (instances or frames):
                row = session.series.setdefault(series, [0, 0])
                row[0] += instances
                row[1] += frames
            return True

    def sweep(self, *, everything: bool = False) -> int:
        """Write `finished` for sessions that are over (all with `everything`); returns how many."""
        now = self._monotonic()
        with self._lock:
            for key, session in list(self._by_key.items()):
                if everything or _over(session, now):
                    session.ended = True
                    self._ending.append(self._by_key.pop(key))
            ending, self._ending = self._ending, []
        done = 0
        for session in ending:
            try:
                with self._database.begin(EVERYWHERE) as tx:
                    self._finish(tx, session)
                done += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, what was read is told later
                log.error("audit.session.finish", error)
                with self._lock:
                    self._ending.append(session)
        return done

    def close(self) -> None:
        """End all sessions, as at shutdown."""
        self.sweep(everything=True)

    def _finish(self, tx: Connection, session: _Session) -> None:
        counts = {
            name: value
            for name, value in (
                ("requests", session.requests),
                ("instances", session.instances),
                ("frames", session.frames),
                ("bytes", session.bytes),
                ("results", session.results),
            )
            if value
        }
        _write_end(
            tx,
            self._recorder.node,
            session.id,
            session.number,
            session.content,
            Outcome.SUCCESS,
            counts,
            session.series,
        )


def close_orphans(database: Database, recorder: Recorder) -> int:
    """End sessions whose node was lost, as `unknown`; returns how many. Any number of workers may do this."""
    limit = clock.unix_ms() - ORPHAN_MS
    with database.read(EVERYWHERE) as connection:
        rows = connection.execute(
            select(read_session).where(read_session.c.started_ms < limit).limit(1000)
        ).all()
    done = 0
    for row in rows:
        with database.begin(EVERYWHERE) as tx:
            done += _write_end(tx, recorder.node, row.id, row.log, row.content, Outcome.UNKNOWN, {}, {})
    return done


def _write_end(
    tx: Connection,
    node: str,
    session: UUID,
    number: int,
    content: bytes,
    outcome: Outcome,
    counts: dict[str, int],
    series: dict[str, list[int]],
) -> int:
    """Write the finished entry and forget the session; 0 when somebody else had ended it."""
    if tx.execute(delete(read_session).where(read_session.c.id == session)).rowcount != 1:
        return 0
    authorised: dict[str, Any] = json.loads(content)
    entry: dict[str, Any] = {name: authorised[name] for name in _REPEATED if name in authorised}
    entry |= {
        "v": 1,
        "id": str(uuid7()),
        "salt": base64url(os.urandom(16)),
        "log": authorised["log"],
        "recorded": clock.timestamp(),
        "node": node,
        "source": "platform",
        "outcome": outcome.value,
        "phase": "finished",
        "of": str(session),
    }
    if counts:
        entry["counts"] = counts
    if series:
        entry["detail"] = {"series": _series_rows(series)}
    tx.execute(_ADD_ENTRY, {"log": number, "content": canonical(entry)})
    return 1


def _series_rows(series: dict[str, list[int]]) -> list[dict[str, Any]]:
    named = list(series.items())
    rows: list[dict[str, Any]] = [
        {"ref": reference, "instances": instances, "frames": frames}
        for reference, (instances, frames) in named[:MAX_SERIES]
    ]
    rest = named[MAX_SERIES:]
    if rest:
        rows.append({"instances": sum(row[0] for _, row in rest), "frames": sum(row[1] for _, row in rest)})
    return rows


def _over(session: _Session, now: float) -> bool:
    return (
        now - session.last > IDLE_S or now - session.started > LONGEST_S or session.requests >= MAX_REQUESTS
    )
