"""Cases of sharing, results and links for `test_audit_unwritable`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wardlight.access.model import Operation, Principal, PrincipalKind, TokenScope
from wardlight.agreements.model import Level
from wardlight.audit.actions import Action
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.ingest.sharing import Wish

STUDY = "1.2.826.0.1.78.1"

ELSEWHERE = {
    "ingest/sharing.Sharing._copy": "test_sharing: a piece that was done before its share knew is done again",
    "ingest/uploads.Uploads.create": "test_uploads: none without its entry",
    "ingest/uploads.Uploads.cancel": "test_uploads: none without its entry",
    "ingest/uploads.Uploads.expire": "test_uploads: none without its entry",
    "ingest/upload_work.UploadWork._settle": "test_uploads: none without its entry",
    "archive/handover.Handovers.waiting": "test_handovers: nothing moves without its entry",
    "archive/handover.Handovers.take": "test_handovers: nothing moves without its entry",
    "archive/handover.Handovers.settle": "test_handovers: nothing moves without its entry",
    "archive/handover.Handovers.give_up": "test_handovers: nothing moves without its entry",
    "archive/handover.Handovers._open": "test_handovers: nothing moves without its entry",
    "archive/handover_rules.HandoverRules.decide": "test_handovers: nothing moves without its entry",
    "archive/links.Links.create": "test_links: there is no link without its entry",
    "archive/results.Results.take": "test_results: nothing is handed out without its entry",
    "archive/results.Results.acknowledge": "test_results: nothing is handed out without its entry",
}


def _scope(world: Any, action: Action) -> Any:
    return world.platform.access.scope_for(
        world.kit.principal, action, operation=Operation.SHARE, request="0" * 32, address="192.0.2.17"
    )


def _share(world: Any) -> Any:
    wish = Wish(None, world.person.id, "TREAT", Level.HIGH)
    return world.platform.sharing.share(_scope(world, Action.ACCESS_GRANT_SHARE), STUDY, wish)


def _waiting(world: Any) -> Any:
    held = frozenset({TokenScope.RECEIVER_COLLECT})
    principal = Principal(PrincipalKind.RECEIVER, world.receiver.id, world.own.id, None, held, "ref")
    scope = world.platform.access.scope_for(
        principal, Action.DICOMWEB_STUDY_EXPORT, operation=Operation.COLLECT, request="0" * 32
    )
    return world.platform.archive.results.waiting(scope)


CASES: dict[str, Callable[[Any], object]] = {
    "ingest/sharing.Sharing.share": _share,
    "ingest/sharing.Sharing.listed": lambda world: world.platform.sharing.listed(
        _scope(world, Action.ACCESS_GRANT_READ), STUDY
    ),
    "ingest/recipients.Recipients.applications": lambda world: world.platform.api.recipients.applications(
        _scope(world, Action.AGREEMENT_AGREEMENT_READ), LOCAL_ADMINISTRATOR
    ),
    "ingest/recipients.Recipients.colleagues": lambda world: world.platform.api.recipients.colleagues(
        _scope(world, Action.IDENTITY_PERSON_READ), LOCAL_ADMINISTRATOR
    ),
    "archive/results.Results.waiting": _waiting,
}
