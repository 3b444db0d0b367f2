"""The collectors to which a log's entries are forwarded: which they are, and how far each has got."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.log import AuditLog
from wardlight.audit.model import Actor, Change, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.tables import collector
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.trail import syslog

#: Collectors of one log.
MAX_COLLECTORS: Final = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a collector is, and how to speak to it. ca, certificate, key: paths of PEM files.

    deliveries: also entries that tell of deliveries, of which a busy platform has many.
    """

    host: str
    port: int
    ca: str
    certificate: str
    key: str
    form: syslog.Form = syslog.USUAL
    deliveries: bool = False

    @property
    def name(self) -> str:
        """host:port."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Collector:
    """One collector of an institution's log, or the operator's (institution None).

    log, cursor: the generation and the index of the entry that is to be sent next; first: of the one to begin with.
    state: empty, or what the trail said of it last.
    """

    id: UUID
    institution: UUID | None
    place: Place
    created_ms: int
    log: int
    cursor: int
    first: int
    sent_ms: int
    state: str


class Collectors:
    """Configuration and cursors of all collectors."""

    def __init__(self, database: Database, recorder: Recorder, audit_log: AuditLog) -> None:
        self._database = database
        self._recorder = recorder
        self._log = audit_log

    def add(self, institution: UUID | None, place: Place, *, whole: bool = False, by: Actor) -> Collector:
        """Forward entries there from now on, or all there are (`whole`). Raises `bad-request`, `already-exists`."""
        if not 0 < place.port < 65536 or not 0 < len(place.host) <= 255:
            raise WardlightError("bad-request", "a collector is HOST or HOST:PORT")
        if place.form.msgid not in syslog.MSGIDS:
            raise WardlightError("bad-request", f"the MSGID is one of {', '.join(syslog.MSGIDS)}")
        try:
            syslog.tls(place.ca, place.certificate, place.key)
        except OSError:
            raise WardlightError(
                "bad-request", "the certificates cannot be read, or the key does not fit"
            ) from None
        generations = self._log.logs(institution)
        start = generations[0] if whole else generations[-1]
        first = 0 if whole else start.size
        id_ = uuid7()
        row = {
            "id": id_,
            "institution": institution,
            "host": place.host,
            "port": place.port,
            "ca": place.ca,
            "certificate": place.certificate,
            "key": place.key,
            "msgid": place.form.msgid,
            "bom": int(place.form.bom),
            "deliveries": int(place.deliveries),
            "created_ms": clock.unix_ms(),
            "log": start.log,
            "cursor": first,
            "first": first,
        }
        with self._database.begin(institution) as tx:
            known = list(_read(tx, _of(institution)))
            if any(one.place.name == place.name for one in known):
                raise WardlightError("already-exists", "entries are forwarded there already")
            if len(known) >= MAX_COLLECTORS:
                raise WardlightError("conflict", f"a log has {MAX_COLLECTORS} collectors at most")
            tx.execute(insert(collector).values(row))
            changes = (
                Change("collector", after=place.name),
                Change("deliveries", after=int(place.deliveries)),
                Change("first", after=first),
            )
            self._recorder.write(tx, institution, _changed(by, id_, *changes))
            return next(_read(tx, collector.c.id == id_))

    def remove(self, institution: UUID | None, name: str, *, by: Actor) -> None:
        """Forward nothing more to the collector of this name, as `list` shows it. Raises `not-found`."""
        with self._database.begin(institution) as tx:
            found = next((one for one in _read(tx, _of(institution)) if one.place.name == name), None)
            if found is None:
                raise WardlightError("not-found", "there is no such collector")
            tx.execute(delete(collector).where(collector.c.id == found.id))
            change = Change("collector", before=name)
            self._recorder.write(tx, institution, _changed(by, found.id, change))

    def of(self, institution: UUID | None) -> list[Collector]:
        """The collectors of an institution's log, or the operator's (None)."""
        with self._database.read(institution) as tx:
            return list(_read(tx, _of(institution)))

    def all(self) -> list[Collector]:
        """Every collector."""
        with self._database.read(EVERYWHERE) as tx:
            return list(_read(tx))

    # ---- for the one who sends ----

    def hold(self, one: Collector, holder: str, for_ms: int) -> Collector | None:
        """The collector as it is now, held for this holder; None where it is gone or another one's."""
        now = clock.unix_ms()
        mine = (collector.c.id == one.id, collector.c.holder == holder)
        with self._database.read(one.institution) as tx:
            fresh = next(_read(tx, *mine, collector.c.held_ms > now + for_ms // 2), None)
        if fresh is not None:
            return fresh
        with self._database.begin(one.institution) as tx:
            free = or_(collector.c.holder == holder, collector.c.held_ms < now)
            taken = update(collector).where(collector.c.id == one.id, free)
            tx.execute(taken.values(holder=holder, held_ms=now + for_ms))
            return next(_read(tx, *mine), None)

    def release(self, one: Collector, holder: str) -> None:
        """Let another worker send."""
        with self._database.begin(one.institution) as tx:
            mine = update(collector).where(collector.c.id == one.id, collector.c.holder == holder)
            tx.execute(mine.values(holder="", held_ms=0))

    def move(self, one: Collector, holder: str, log: int, cursor: int) -> bool:
        """The next entry to be sent is this one; False where another worker sends now."""
        values: dict[str, object] = {"log": log, "cursor": cursor, "sent_ms": clock.unix_ms()}
        if log != one.log:
            values["first"] = 0
        with self._database.begin(one.institution) as tx:
            mine = update(collector).where(collector.c.id == one.id, collector.c.holder == holder)
            return tx.execute(mine.values(values)).rowcount == 1

    def tell(self, one: Collector, state: str, event: Event | None) -> None:
        """Keep what is the matter with it, and say so in the trail."""
        with self._database.begin(one.institution) as tx:
            tx.execute(update(collector).where(collector.c.id == one.id).values(state=state[:64]))
            if event is not None:
                self._recorder.write(tx, one.institution, event)


_COLUMNS: Final = tuple(column for column in collector.c if column.name not in ("holder", "held_ms"))


def _read(tx: Connection, *conditions: ColumnElement[bool]) -> Iterator[Collector]:
    query = select(*_COLUMNS).where(*conditions).order_by(collector.c.created_ms, collector.c.id)
    for row in tx.execute(query).all():
        form = syslog.Form(row.msgid, bool(row.bom))
        place = Place(row.host, row.port, row.ca, row.certificate, row.key, form, bool(row.deliveries))
        yield Collector(
            row.id,
            row.institution,
            place,
            row.created_ms,
            row.log,
            row.cursor,
            row.first,
            row.sent_ms,
            row.state,
        )


def _of(institution: UUID | None) -> ColumnElement[bool]:
    return (
        collector.c.institution.is_(None) if institution is None else collector.c.institution == institution
    )


def _changed(by: Actor, id_: UUID, *changes: Change) -> Event:
    return Event(Action.AUDIT_FORWARD_CHANGE, by, target=Target("collector", id=str(id_)), change=changes)
