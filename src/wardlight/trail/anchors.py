"""Anchors: signed heads are brought to places that the platform cannot change (audit.md section 3).

A file that is only appended to, on a share that writes once; an HTTPS address; a syslog collector; mailboxes. What
lies there shows later whether the log was cut or rewritten. Each delivery is an entry, and so is the first of a row of
failures.
"""

from __future__ import annotations

import json
import os
import ssl
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from wardlight import clock, egress
from wardlight.audit import log_store
from wardlight.audit.actions import Action
from wardlight.audit.log import AuditLog, Checkpoint, Head
from wardlight.audit.model import Actor, Change, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.tables import anchor
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.keys.files import sync_folder
from wardlight.trail import outgoing
from wardlight.trail.anchor_mail import addresses

DAY_S: Final = 86_400
#: The trail says of each delivery that it was made, so deliveries that follow each other would never end.
SHORTEST_S: Final = 3_600
#: A failed delivery is tried again after this long.
_AGAIN_MS: Final = 300_000
_SYSTEM: Final = Actor("system", "anchors")


@dataclass(frozen=True, slots=True)
class Anchor:
    """One place. institution None: for the operator's log. every_s: time between deliveries.

    log, size: the head that was delivered last. state: empty, or why the last try failed.
    """

    id: UUID
    institution: UUID | None
    kind: str
    target: str
    every_s: int
    log: int | None
    size: int
    sent_ms: int
    state: str
    tried_ms: int


_ANCHOR: Final = select(
    anchor.c.id,
    anchor.c.institution,
    anchor.c.kind,
    anchor.c.target,
    anchor.c.every_s,
    anchor.c.log,
    anchor.c.size,
    anchor.c.sent_ms,
    anchor.c.state,
    anchor.c.tried_ms,
)

#: Brings a note to an anchor; raises OSError or WardlightError where it is not there for good.
Deliver = Callable[[Anchor, str], None]


class Anchors:
    """The anchors of all logs. `deliver` is to be called every few seconds. kinds: how each is brought there."""

    def __init__(
        self, database: Database, recorder: Recorder, audit_log: AuditLog, kinds: Mapping[str, Deliver]
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._log = audit_log
        self._kinds = kinds

    def add(
        self, institution: UUID | None, kind: str, target: str, every_s: int = DAY_S, *, by: Actor
    ) -> Anchor:
        """Bring heads there from now on. Raises `bad-request`, `already-exists`."""
        if kind not in self._kinds:
            raise WardlightError("bad-request", f"an anchor is one of {', '.join(sorted(self._kinds))}")
        if not SHORTEST_S <= every_s <= 366 * DAY_S:
            raise WardlightError("bad-request", "heads are delivered hourly at most, and yearly at least")
        place = _checked(kind, target)
        with self._database.begin(institution) as tx:
            if any((one.kind, one.target) == (kind, place) for one in _of(tx, institution)):
                raise WardlightError("already-exists", "there is such an anchor")
            id_ = uuid7()
            row = {
                "id": id_,
                "institution": institution,
                "kind": kind,
                "target": place,
                "every_s": every_s,
                "created_ms": clock.unix_ms(),
            }
            tx.execute(insert(anchor).values(row))
            self._recorder.write(
                tx,
                institution,
                _changed(by, id_, Change("target", after=f"{kind} {place}"[:400]), every_s),
            )
            return next(one for one in _of(tx, institution) if one.id == id_)

    def remove(self, institution: UUID | None, id_: UUID, *, by: Actor) -> None:
        """Bring no more heads there. Raises `not-found`."""
        with self._database.begin(institution) as tx:
            found = next((one for one in _of(tx, institution) if one.id == id_), None)
            if found is None:
                raise WardlightError("not-found", "there is no such anchor")
            tx.execute(delete(anchor).where(anchor.c.id == id_))
            place = f"{found.kind} {found.target}"[:400]
            self._recorder.write(tx, institution, _changed(by, id_, Change("target", before=place)))

    def active(self, institution: UUID | None) -> list[Anchor]:
        """The anchors of an institution's log, or the operator's (None)."""
        with self._database.read(institution) as tx:
            return _of(tx, institution)

    def deliver(self) -> int:
        """Bring the newest heads where they are due; returns how many got there."""
        with self._database.read(EVERYWHERE) as tx:
            known = [_row(row) for row in tx.execute(_ANCHOR)]
        return sum(self._deliver(one) for one in known)

    def _deliver(self, one: Anchor) -> bool:
        now = clock.unix_ms()
        # One that was tried and has not got there failed, or is on its way in another process.
        under_way = one.tried_ms > one.sent_ms
        if now < (one.tried_ms + _AGAIN_MS if under_way else one.sent_ms + one.every_s * 1000):
            return False
        log = self._log.logs(one.institution)[-1]
        with self._database.read(one.institution) as tx:
            newest = log_store.newest_checkpoint(tx, log.log)
        if newest is None or (one.log == log.log and one.size >= newest.size):
            return False
        with self._database.begin(one.institution) as tx:
            mine = (anchor.c.id == one.id, anchor.c.tried_ms == one.tried_ms)
            if tx.execute(update(anchor).where(*mine).values(tried_ms=now)).rowcount != 1:
                return False
        why = ""
        try:
            self._kinds[one.kind](one, newest.note)
        except OSError as error:
            why = egress.reason_of(error)
        except WardlightError as error:
            why = error.code
        self._tell(one, log, newest, why)
        return not why

    def _tell(self, one: Anchor, log: Head, newest: Checkpoint, why: str) -> None:
        event = Event(
            Action.AUDIT_ANCHOR_FAIL if why else Action.AUDIT_ANCHOR_SEND,
            _SYSTEM,
            outcome=Outcome.FAILED if why else Outcome.SUCCESS,
            target=Target("anchor", id=str(one.id)),
            reason=why,
            detail={"origin": log.origin, "size": newest.size},
        )
        values: dict[str, object] = {"state": why[:64]}
        if not why:
            values |= {"log": log.log, "size": newest.size, "sent_ms": clock.unix_ms()}
        with self._database.begin(one.institution) as tx:
            tx.execute(update(anchor).where(anchor.c.id == one.id).values(values))
            if not why or why != one.state:
                self._recorder.write(tx, one.institution, event)


def append_file(one: Anchor, note: str) -> None:
    """Append the note to the file and make it durable. Raises OSError, also for what is no plain file.

    One line a note, as in a bundle: `wardlight audit verify --checkpoint` reads the file. After the first there is an
    empty line before each, so that one that was cut by a full disk does not spoil the next.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(one.target, flags, 0o640)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("not a plain file")
        line = json.dumps({"kind": "checkpoint", "note": note}, separators=(",", ":"), ensure_ascii=False)
        data = (b"\n" if found.st_size else b"") + line.encode() + b"\n"
        if os.write(descriptor, data) != len(data):
            raise OSError("the note was cut")
        os.fsync(descriptor)
        sync_folder(Path(one.target).parent)
    finally:
        os.close(descriptor)


def post_https(
    one: Anchor, note: str, context: Callable[[], ssl.SSLContext] = ssl.create_default_context
) -> None:
    """POST the note as text. Raises OSError unless it is answered with success."""
    reply = outgoing.post(one.target, note.encode(), "text/plain; charset=utf-8", context=context)
    if not 200 <= reply.status < 300:
        raise WardlightError("unavailable", f"HTTP {reply.status}")


def _checked(kind: str, target: str) -> str:
    if not 0 < len(target) <= 1000 or not target.isprintable():
        raise WardlightError("bad-request", "the target is 1 to 1000 printable characters")
    if kind == "https":
        return outgoing.check_url(target)
    if kind == "mail":
        return ",".join(addresses(target))
    if kind == "file" and not Path(target).is_absolute():
        raise WardlightError("bad-request", "the file is named by its whole path")
    return target


def _row(row: Row[*tuple[Any, ...]]) -> Anchor:
    return Anchor(*row)


def _of(tx: Connection, institution: UUID | None) -> list[Anchor]:
    mine: ColumnElement[bool] = (
        anchor.c.institution.is_(None) if institution is None else anchor.c.institution == institution
    )
    return [_row(row) for row in tx.execute(_ANCHOR.where(mine).order_by(anchor.c.created_ms))]


def _changed(by: Actor, id_: UUID, change: Change, every_s: int | None = None) -> Event:
    changes = (change,) if every_s is None else (change, Change("every_s", after=every_s))
    return Event(Action.AUDIT_ANCHOR_CHANGE, by, target=Target("anchor", id=str(id_)), change=changes)
