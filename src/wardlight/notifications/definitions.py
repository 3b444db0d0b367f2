"""What applications tell people of an institution: they register what, and say when (R9.2)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from wardlight import clock
from wardlight.access import store as grants
from wardlight.access.model import Operation, Scope
from wardlight.agreements import entitlements_store
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.classification.mask import Masker
from wardlight.db.engine import Database
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.identity.rates import Rates
from wardlight.identity.service import actor_of
from wardlight.notifications import definition_store as store
from wardlight.notifications.model import Definition, check, check_values
from wardlight.notifications.store import beat
from wardlight.notifications.telling import Telling, tell

#: Definitions of one application at one institution.
MOST: Final = 50
#: Most people that one message names, and messages of one application at one institution in an hour.
MOST_PEOPLE: Final = 500
_MESSAGES: Final = 120
_CHANGES: Final = 60
_WINDOW_S: Final = 3600


class Definitions:
    """An application's definitions at its institution. Every change and every message is an entry of the trail."""

    def __init__(self, database: Database, recorder: Recorder, rates: Rates, digest_hour: int | None) -> None:
        self._database = database
        self._recorder = recorder
        self._rates = rates
        self._digest_hour = digest_hour

    def listed(self, scope: Scope) -> list[Definition]:
        """The newest version of each that is not retired."""
        scope.require(Operation.NOTIFY)
        with self._database.begin(scope.institution) as tx:
            found = store.definitions(tx, scope.institution, scope.principal.id)
            self._write(tx, scope, Action.NOTIFY_DEFINITION_READ, counts={"results": len(found)})
        return found

    def register(self, scope: Scope, wanted: Definition) -> Definition:
        """Make a definition, or a new version of it; the same again is no change.

        Raises `bad-request`, `conflict`, `forbidden` without the licence that it names, `rate-limited`.
        """
        scope.require(Operation.NOTIFY)
        check(wanted)
        _require_plain(wanted)
        with self._database.begin(scope.institution) as tx:
            self._require_licence(tx, scope, wanted)
            every = store.definitions(tx, scope.institution, scope.principal.id, every=True)
            before = max((one for one in every if one.name == wanted.name), key=_version, default=None)
            if before is not None and before.same(wanted):
                self._tell(tx, scope, before)
                return before
            self._rates.take(tx, _rate(scope, "definitions"), _CHANGES, _WINDOW_S)
            live = {one.name for one in every if one.retired_ms is None} | {wanted.name}
            if len(live) > MOST:
                raise WardlightError("conflict", f"an application has {MOST} definitions at most")
            version = before.version + 1 if before else 1
            row = replace(wanted, application=scope.principal.id, version=version, created_ms=clock.unix_ms())
            try:
                store.add_definition(tx, scope.institution, row)
            except IntegrityError:
                raise WardlightError("conflict", "it is being changed at the same moment") from None
            self._tell(tx, scope, row)
        return row

    def retire(self, scope: Scope, name: str) -> None:
        """Tell nobody of it any more; what was told stays. Raises `not-found`."""
        scope.require(Operation.NOTIFY)
        with self._database.begin(scope.institution) as tx:
            row = self._own(tx, scope, name)
            now = clock.unix_ms()
            store.retire(tx, scope.institution, row, now)
            self._tell(tx, scope, replace(row, retired_ms=now))

    def send(
        self,
        scope: Scope,
        name: str,
        values: Mapping[str, Any],
        grant: UUID | None = None,
        people: Collection[str] | None = None,
    ) -> UUID:
        """Tell the people of the institution who may be told and want it; returns the message's id.

        grant: whose study it is about; only who may see that is told, and only as long as the study is there. people:
        only these. How many there are is not told. Raises `not-found`, `bad-request`, `forbidden`, `rate-limited`.
        """
        scope.require(Operation.NOTIFY)
        if people is not None and len(people) > MOST_PEOPLE:
            raise WardlightError("bad-request", f"people are {MOST_PEOPLE} at most")
        message = uuid7()
        with self._database.begin(scope.institution) as tx:
            row = self._own(tx, scope, name)
            self._require_licence(tx, scope, row)
            data = check_values(row, values)
            release = self._release(tx, scope, grant)
            self._rates.take(tx, _rate(scope, "messages"), _MESSAGES, _WINDOW_S)
            rung = tell(tx, scope.institution, Telling(row, people, data, release), self._digest_hour)
            beat(tx, scope.institution, rung)
            self._write(
                tx,
                scope,
                Action.NOTIFY_MESSAGE_SEND,
                target=Target("message", id=message.hex),
                grant=grant.hex if grant else "",
                detail={"name": row.name, "version": row.version},
                counts={"people": len(rung)},
            )
        return message

    def _release(self, tx: Connection, scope: Scope, grant: UUID | None) -> UUID | None:
        if grant is None:
            return None
        row = grants.live_by_id(tx, scope.institution, grant, clock.unix_ms())
        if row is None or row.application != scope.principal.id:
            raise WardlightError("not-found")
        return row.release

    def _own(self, tx: Connection, scope: Scope, name: str) -> Definition:
        for row in store.definitions(tx, scope.institution, scope.principal.id):
            if row.name == name:
                return row
        raise WardlightError("not-found")

    def _require_licence(self, tx: Connection, scope: Scope, row: Definition) -> None:
        """The institution subscribes, and the application may ask for what the definition needs."""
        application = scope.principal.id
        if not entitlements_store.is_subscribed(tx, scope.institution, application):
            raise WardlightError("forbidden", reason="not-subscribed")
        newest = entitlements_store.newest(tx, application) if row.licence else None
        if row.licence and (newest is None or row.licence not in newest.purposes):
            raise WardlightError("forbidden", reason="not-entitled")

    def _tell(self, tx: Connection, scope: Scope, row: Definition) -> None:
        detail = {
            "application": row.application,
            "name": row.name,
            "version": row.version,
            "retired": row.retired_ms is not None,
        }
        self._write(tx, scope, Action.NOTIFY_DEFINITION_CHANGE, detail=detail)

    def _write(self, tx: Connection, scope: Scope, action: Action, **more: Any) -> None:
        event = Event(
            action,
            actor_of(scope.principal),
            purpose=scope.purpose,
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            **more,
        )
        self._recorder.write(tx, scope.institution, event)


def _version(one: Definition) -> int:
    return one.version


def _rate(scope: Scope, what: str) -> str:
    return f"notify-{what}:{scope.institution.hex}:{scope.principal.id}"


def _require_plain(wanted: Definition) -> None:
    """It goes out in clear, by mail too: nothing of anybody may stand in it, and no address that leads elsewhere.

    Names that nothing tells are not found. Raises `personal-data`, `bad-request`.
    """
    texts = (wanted.title, wanted.text, wanted.name.replace("-", " "))
    if Masker().mask("\n".join(texts)).findings:
        raise WardlightError("personal-data", "a definition tells of no person: only its placeholders vary")
    if "://" in f"{wanted.title} {wanted.text}":
        raise WardlightError("bad-request", "a definition holds no address")
