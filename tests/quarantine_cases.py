"""Cases of the quarantine and of links to other viewers for `test_audit_unwritable`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wardlight.access.model import Operation, Principal, PrincipalKind, Role, TokenScope
from wardlight.archive.viewing import Viewer
from wardlight.audit.actions import Action

STUDY = "1.2.826.0.1.78.1"

_TOLD = "ingest/test_quarantine: nothing without its entry"
ELSEWHERE = {
    "ingest/quarantine_work.QuarantineWork._try": _TOLD,
    "ingest/quarantine_work.QuarantineWork.end": _TOLD,
    "ingest/quarantine_work.QuarantineWork._remove": _TOLD,
}


def _scope(world: Any, action: Action, operation: Operation) -> Any:
    principal = Principal(
        PrincipalKind.PERSON, "u-0", world.own.id, Role.ADMINISTRATOR, frozenset(TokenScope), "ref"
    )
    return world.platform.access.scope_for(
        principal, action, operation=operation, request="0" * 32, address="192.0.2.7"
    )


def _link(world: Any) -> Any:
    scope = _scope(world, Action.ACCESS_URL_CREATE, Operation.RETRIEVE)
    links = world.platform.api.viewer_links
    return links.create(scope, STUDY, Viewer.WEASIS, base_url="https://pacs.example")


CASES: dict[str, Callable[[Any], object]] = {
    "ingest/quarantine.Quarantine._write": lambda w: w.platform.quarantine.listed(
        _scope(w, Action.INGEST_QUARANTINE_VIEW, Operation.DELETE)
    ),
    "archive/viewing.ViewerLinks.create": _link,
    "archive/viewing.ViewerLinks.end": lambda w: w.platform.api.viewer_links.end(
        _scope(w, Action.IDENTITY_TOKEN_REVOKE, Operation.OWN), STUDY
    ),
}
