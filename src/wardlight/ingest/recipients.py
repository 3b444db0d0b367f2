"""Whom a study may be shared with, for those who share: no more of them than a choice needs (R5.4)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from wardlight.access.model import Operation, Scope
from wardlight.access.service import ROLES
from wardlight.agreements.entitlements import Entitlements
from wardlight.agreements.model import IMAGES, Agreement, Level
from wardlight.agreements.service import Agreements
from wardlight.audit.model import Actor, Event
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.identity import application_store
from wardlight.identity import store as identity


@dataclass(frozen=True, slots=True)
class Recipient:
    """One who may be given a study: for these purposes, at these levels, strictest first. access_s: for how long."""

    id: str
    name: str
    purposes: tuple[str, ...]
    levels: tuple[Level, ...]
    access_s: int


class Recipients:
    """Reads who there is. That they were shown is in the trail: their names are people's."""

    def __init__(
        self, database: Database, recorder: Recorder, agreements: Agreements, entitlements: Entitlements
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._agreements = agreements
        self._entitlements = entitlements

    def applications(self, scope: Scope, by: Actor) -> list[Recipient]:
        """Applications that the institution uses and agreed something with, by name."""
        newest = {row.application: row for row in reversed(self._agreements.list(scope.institution))}
        with self._database.begin(scope.institution) as tx:
            named = {row.id: row.name or row.id for row in application_store.applications(tx)}
            found = [
                one
                for id_, agreement in newest.items()
                if id_ != IMAGES and (one := self._recipient(tx, agreement, id_, named.get(id_, id_)))
            ]
            self._recorder.write(tx, scope.institution, _shown(scope, by, found))
        return sorted(found, key=_by_name)

    def colleagues(self, scope: Scope, by: Actor) -> list[Recipient]:
        """People of the institution, other than who asks, who may see images; none where it agreed to no such use."""
        with self._database.begin(scope.institution) as tx:
            agreement = self._agreements.current(tx, scope.institution, IMAGES)
            own = self._recipient(tx, agreement, "", "") if agreement else None
            found = [
                Recipient(row.id, row.name, own.purposes, own.levels, own.access_s)
                for row in identity.people(tx, scope.institution)
                if own
                and row.id != scope.principal.id
                and row.state == identity.ACTIVE
                and Operation.RETRIEVE in ROLES[row.role]
            ]
            self._recorder.write(tx, scope.institution, _shown(scope, by, found))
        return sorted(found, key=_by_name)

    def _recipient(self, tx: Connection, agreement: Agreement, id_: str, name: str) -> Recipient | None:
        """As what was agreed and what was asked for let it; None where nothing is left."""
        levels = [level for level in Level if level in agreement.levels]
        if not levels:
            return None
        purposes = [one for one in sorted(agreement.purposes) if self._may(tx, agreement, one, levels[0])]
        if not purposes:
            return None
        levels = [level for level in levels if self._may(tx, agreement, purposes[0], level)]
        return Recipient(id_, name, tuple(purposes), tuple(levels), agreement.access_s)

    def _may(self, tx: Connection, agreement: Agreement, purpose: str, level: Level) -> bool:
        """What a share is asked; whether a purpose is agreed does not hang on the level, nor this on that."""
        asked = (tx, agreement.institution, agreement.application, purpose, level)
        return not (self._agreements.why_not(*asked) or self._entitlements.why_not(*asked))


def _shown(scope: Scope, by: Actor, found: list[Recipient]) -> Event:
    return Event(scope.action, by, counts={"results": len(found)})


def _by_name(one: Recipient) -> tuple[str, str]:
    return one.name.casefold(), one.id
