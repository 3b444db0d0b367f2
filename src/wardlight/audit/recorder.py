"""Writes audit entries into the transaction of what they record (audit.md sections 1 and 2)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.canonical import canonical
from wardlight.audit.model import DETAIL, Actor, Event, Target
from wardlight.audit.references import References, base64url
from wardlight.audit.tables import log, pending
from wardlight.db.engine import Database
from wardlight.db.ids import uuid7
from wardlight.db.prepared import Prepared
from wardlight.errors import WardlightError
from wardlight.keys.keystore import Keystore

#: Slug of the operator's own log, which never holds references.
OPERATOR: Final = "operator"

#: Subjects an entry may have; more go into further entries of the same request.
MAX_SUBJECTS: Final = 100

# SHA-256 of nothing: root of the empty tree (RFC 9162 section 2.1.1).
_EMPTY_ROOT: Final = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


class Recorder:
    """Makes and writes entries for one node.

    host: the platform's public host, without scheme; with slug and generation it makes the origin of a log. keystore:
    None where nothing of an institution will be recorded.
    """

    def __init__(self, node: str, host: str, keystore: Keystore | None) -> None:
        self.node = node
        #: This node's clock is not to be trusted (`node.ClockCheck`): no entry can be made, so nothing can be done.
        self.clock_off = False
        self._host = host
        self._keystore = keystore

    def open_log(self, tx: Connection, institution: UUID | None, slug: str) -> str:
        """Begin the log of an institution, or the operator's (institution None); returns its origin."""
        origin = f"{self._host}/audit/{slug}/1"
        row = {"institution": institution, "origin": origin, "generation": 1, "size": 0, "root": _EMPTY_ROOT}
        tx.execute(insert(log), row)
        return origin

    def ensure_operator_log(self, database: Database) -> None:
        """Begin the operator's log where there is none."""
        with database.read() as tx:
            if self.has_operator_log(tx):
                return
        try:
            with database.begin() as tx:
                self.open_log(tx, None, OPERATOR)
        except IntegrityError:
            pass  # Another process was first; its origin is the same.

    def has_operator_log(self, tx: Connection) -> bool:
        """Whether the operator's log has begun."""
        return tx.execute(_OPERATOR_LOG).first() is not None

    def require_clock(self) -> None:
        """Raise `unavailable` where this node's clock is off: what it recorded would be at a wrong time."""
        if self.clock_off:
            raise WardlightError("unavailable", "the clock of this node is off", "clock")

    def log_for(self, tx: Connection, institution: UUID | None) -> tuple[int, str]:
        """Number and origin of the log in which entries of this institution are written now.

        Read each time: a new generation opened by another process must be seen by the next entry.
        """
        if institution is None:
            found = tx.execute(_OPERATOR_LOG).first()
            row = tuple(found) if found else None
        else:
            row = _INSTITUTION_LOG.first(tx, {"institution": institution})
        if row is None:
            raise LookupError("the institution has no audit log")
        number, origin = row
        return number, origin

    def references(self, institution: UUID) -> References:
        """References under the institution's key of the present epoch."""
        assert self._keystore is not None
        epoch, key = self._keystore.reference_key(institution)
        return References(key, epoch)

    def open_reference_epoch(self, database: Database, institution: UUID, *, by: Actor) -> int:
        """Make a new key for references from now on, and say so in the log; returns its epoch."""
        assert self._keystore is not None
        with database.begin(institution) as tx:
            epoch = self._keystore.open_reference_epoch(institution)
            target = Target("audit-reference", id=str(epoch))
            self.write(tx, institution, Event(Action.ARCHIVE_KEY_CREATE, by, target=target))
        return epoch

    def all_references(self, institution: UUID) -> list[References]:
        """References of every epoch, newest first: under which a patient or study may stand in the trail."""
        assert self._keystore is not None
        return [References(key, epoch) for epoch, key in self._keystore.reference_keys(institution)]

    def write(self, tx: Connection, institution: UUID | None, event: Event) -> UUID:
        """Write one event; returns the id of its (first) entry.

        Raises ValueError where the event does not fit the entry's form: the operation must then fail.
        """
        number, origin = self.log_for(tx, institution)
        rows = []
        first: UUID | None = None
        for subjects in _split(event.subjects):
            entry = self.entry(origin, event, subjects)
            first = first or UUID(entry["id"])
            rows.append({"log": number, "content": canonical(entry)})
        _ADD_ENTRY.run(tx, rows)
        assert first is not None
        return first

    def write_foreign(
        self, tx: Connection, institution: UUID | None, entries: Sequence[Mapping[str, Any]]
    ) -> None:
        """Write entries that somebody else made and that were checked; they get only `log` and `recorded` here.

        Raises ValueError where one is too long with them.
        """
        if not entries:
            return
        self.require_clock()
        number, origin = self.log_for(tx, institution)
        added = {"log": origin, "recorded": clock.timestamp()}
        _ADD_ENTRY.run(tx, [{"log": number, "content": canonical({**one, **added})} for one in entries])

    def write_to_all(self, tx: Connection, institutions: tuple[UUID | None, ...], event: Event) -> None:
        """One event that concerns two logs, such as what the operator does to an institution."""
        for institution in institutions:
            self.write(tx, institution, event)

    def entry(self, origin: str, event: Event, subjects: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
        """The entry as an object, with a fresh id and salt and the present time."""
        self.require_clock()
        entry: dict[str, Any] = {
            "v": 1,
            "id": str(uuid7()),
            "salt": base64url(os.urandom(16)),
            "log": origin,
            "recorded": clock.timestamp(),
            "node": self.node,
            "source": "platform",
            "action": event.action.value,
            "actor": _actor(event.actor),
            "outcome": event.outcome.value,
        }
        for name in ("phase", "purpose", "basis", "grant", "reason"):
            if value := getattr(event, name):
                entry[name] = value
        for name in ("request", "token"):
            if value := getattr(event, name) or getattr(event.actor, name):
                entry[name] = value
        if event.of:
            entry["of"] = str(event.of)
        if event.behalf:
            entry["behalf"] = _actor(event.behalf)
        if event.target:
            target = event.target
            entry["object"] = {
                name: value
                for name, value in (
                    ("kind", target.kind),
                    ("id", target.id),
                    ("ref", target.ref),
                    ("version", target.version),
                )
                if value
            }
        if subjects:
            entry["subjects"] = [
                {name: value for name, value in (("patient", patient), ("study", study)) if value}
                for patient, study in subjects
            ]
        if event.agreement:
            entry["agreement"] = {"id": event.agreement[0], "version": event.agreement[1]}
        if event.classes:
            entry["classes"] = list(event.classes)
        if address := event.address or event.actor.address:
            entry["network"] = {"address": address}
        if event.counts:
            entry["counts"] = dict(event.counts)
        if event.change:
            entry["change"] = [_change(change.path, change.before, change.after) for change in event.change]
        if event.detail:
            entry["detail"] = _detail(event)
        return entry


_CURRENT_LOG: Final = select(log.c.log, log.c.origin).order_by(log.c.generation.desc()).limit(1)
_OPERATOR_LOG: Final = _CURRENT_LOG.where(log.c.institution.is_(None))
_INSTITUTION_LOG: Final = Prepared(_CURRENT_LOG.where(log.c.institution == bindparam("institution")))
_ADD_ENTRY: Final = Prepared(insert(pending))


def _split(subjects: tuple[tuple[str, str], ...]) -> Iterator[tuple[tuple[str, str], ...]]:
    yield subjects[:MAX_SUBJECTS]
    for start in range(MAX_SUBJECTS, len(subjects), MAX_SUBJECTS):
        yield subjects[start : start + MAX_SUBJECTS]


def _actor(actor: Actor) -> dict[str, str]:
    members = {"kind": actor.kind, "id": actor.id}
    if actor.role:
        members["role"] = actor.role
    return members


def _change(path: str, before: str | int | None, after: str | int | None) -> dict[str, str | int]:
    members: dict[str, str | int] = {"path": path}
    if before is not None:
        members["before"] = before
    if after is not None:
        members["after"] = after
    return members


def _detail(event: Event) -> dict[str, Any]:
    allowed = DETAIL.get(event.action, {})
    for name, value in event.detail.items():
        if name not in allowed or not isinstance(value, allowed[name]):
            raise ValueError(f"detail.{name} is not defined for {event.action.value}")
    return dict(event.detail)
