"""Which applications are told when machine data came; `work.MachineWork.tell` tells them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wardlight import clock
from wardlight.access.model import Operation, Scope
from wardlight.archive import machine_store as store
from wardlight.archive.machine_store import Subscription
from wardlight.audit.actions import Action
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.machinedata.model import CLASSES
from wardlight.machinedata.service import MachineData, event_of


class Subscriptions:
    """One for the process; threads share it."""

    def __init__(self, database: Database, recorder: Recorder, machine: MachineData) -> None:
        self._database = database
        self._recorder = recorder
        self._machine = machine

    def subscribe(self, scope: Scope, names: Sequence[str]) -> list[Subscription]:
        """Have an application told of new data of these classes. Raises as `seen`."""
        seen, now = self._machine.seen(scope, names), clock.unix_ms()
        with self._database.begin(scope.institution) as tx:
            known = {one.data_class for one in store.subscriptions(tx, scope.institution, scope.principal.id)}
            fresh = sorted(seen.classes - known)
            store.subscribe(
                tx, [Subscription(scope.institution, scope.principal.id, one, now, now, 0) for one in fresh]
            )
            for one in fresh:
                event = event_of(scope, Action.MACHINE_SUBSCRIPTION_CREATE)
                self._recorder.write(tx, scope.institution, replace(event, detail={"class": one}))
            return store.subscriptions(tx, scope.institution, scope.principal.id)

    def subscriptions(self, scope: Scope) -> list[Subscription]:
        """What the application is told of."""
        scope.require(Operation.MACHINE)
        with self._database.begin(scope.institution) as tx:
            found = store.subscriptions(tx, scope.institution, scope.principal.id)
            event = event_of(scope, Action.MACHINE_DATA_QUERY)
            told = replace(event, counts={"results": len(found)}, detail={"query": "subscription"})
            self._recorder.write(tx, scope.institution, told)
            return found

    def unsubscribe(self, scope: Scope, names: Sequence[str]) -> None:
        """Tell it no more. Raises `bad-request`, `not-found`."""
        scope.require(Operation.MACHINE)
        if not set(names) <= CLASSES.keys():
            raise WardlightError("bad-request", f"class is one of {', '.join(CLASSES)}", "class")
        with self._database.begin(scope.institution) as tx:
            for name in names or CLASSES:
                ended = store.unsubscribe(tx, scope.institution, scope.principal.id, [CLASSES[name].value])
                if ended:
                    event = event_of(scope, Action.MACHINE_SUBSCRIPTION_DELETE)
                    detail = {"class": CLASSES[name].value}
                    self._recorder.write(tx, scope.institution, replace(event, detail=detail))
