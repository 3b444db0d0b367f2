"""Cases of notifications for `test_audit_unwritable`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wardlight.access.model import Operation, Principal, PrincipalKind, Role, TokenScope
from wardlight.audit.actions import Action
from wardlight.notifications.model import Definition, Permission

#: Subscribed.
PARTNER = "acme_reader_prod"

ELSEWHERE = {"notifications/mailing.Mailer._write": "test_mailing: no mail goes without its entry"}


def _register(world: Any) -> Any:
    held = frozenset({TokenScope.NOTIFICATIONS_SEND})
    principal = Principal(
        PrincipalKind.APPLICATION, PARTNER, world.own.id, None, held, "ref", purpose="TREAT"
    )
    scope = world.platform.access.scope_for(
        principal, Action.NOTIFY_DEFINITION_CHANGE, operation=Operation.NOTIFY, request="0" * 32
    )
    wanted = Definition(PARTNER, "result-ready", 0, "Results", "{count}", Permission.ANY)
    return world.platform.definitions.register(scope, wanted)


def _mark(world: Any) -> Any:
    held = frozenset(TokenScope)
    principal = Principal(PrincipalKind.PERSON, "u-0", world.own.id, Role.CLINICIAN, held, "ref")
    scope = world.platform.access.scope_for(
        principal, Action.NOTIFY_BELL_READ, operation=Operation.OWN, request="0" * 32, address="192.0.2.7"
    )
    return world.platform.notifications.mark(scope, None)


CASES: dict[str, Callable[[Any], object]] = {
    "notifications/definitions.Definitions._write": _register,
    "notifications/service.Notifications._write": _mark,
}
