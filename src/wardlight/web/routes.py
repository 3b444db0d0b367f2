"""The kinds of route there are, and what each declares of itself (R8.3)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from starlette.responses import Response

from wardlight.access.model import Operation as AccessOperation
from wardlight.access.model import PrincipalKind, TokenScope
from wardlight.api.call import ApiRequest, OpenRequest
from wardlight.audit.actions import Action
from wardlight.dicomweb.call import Answer, Call
from wardlight.trail.call import ApiCall
from wardlight.web.about import UNDESCRIBED, About
from wardlight.web.follow import Following

#: Where a route's declaration stands in the framework's route, for the tests of the rules and for OpenAPI.
DECLARATION: Final = "x-wardlight"


@dataclass(frozen=True, slots=True)
class Read:
    """A route that shows data. kinds and scopes: who may come, with any one of the scopes."""

    path: str
    handler: Callable[[Call], Answer]
    action: Action
    kinds: frozenset[PrincipalKind]
    scopes: frozenset[TokenScope]
    about: About = UNDESCRIBED
    method: str = "GET"


@dataclass(frozen=True, slots=True)
class Store:
    """A route that takes a streamed body of DICOM files."""

    path: str
    action: Action
    kinds: frozenset[PrincipalKind]
    scopes: frozenset[TokenScope]
    about: About = UNDESCRIBED
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Api:
    """A route of the trail's API: small JSON in, `Answer` out. beside: what else it may be in the trail as."""

    path: str
    handler: Callable[[ApiCall], Answer]
    action: Action
    kinds: frozenset[PrincipalKind]
    scopes: frozenset[TokenScope]
    about: About = UNDESCRIBED
    method: str = "GET"
    beside: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Public:
    """A route without a token. reason: why it may be; it shows nothing of any institution."""

    path: str
    handler: Callable[[Request], Response]
    reason: str
    about: About
    method: str = "GET"


@dataclass(frozen=True, slots=True)
class Manage:
    """A route of the platform's JSON API: small JSON in, `Answer` out.

    operation: what its caller must be allowed. beside: what else it may be in the trail as. step_up: people must have
    proved presence in the last minutes (security.md section 6).
    """

    path: str
    handler: Callable[[ApiRequest], Answer]
    action: Action
    operation: AccessOperation
    kinds: frozenset[PrincipalKind]
    scopes: frozenset[TokenScope]
    about: About = UNDESCRIBED
    method: str = "GET"
    beside: tuple[Action, ...] = ()
    step_up: bool = False


@dataclass(frozen=True, slots=True)
class Follow:
    """As `Manage`, for what may wait or go on for long: its handler runs on the event loop and holds no thread.

    by_itself: pages ask for it without anybody being there, so it keeps no session from ending.
    """

    path: str
    handler: Callable[[Following], Awaitable[Response]]
    action: Action
    operation: AccessOperation
    kinds: frozenset[PrincipalKind]
    scopes: frozenset[TokenScope]
    about: About = UNDESCRIBED
    method: str = "GET"
    step_up: bool = False
    by_itself: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """A route for those whom nobody knows yet: sign-in, tokens, enrolment. reason: what protects it instead."""

    path: str
    handler: Callable[[OpenRequest], Answer]
    action: Action
    reason: str
    about: About
    method: str = "POST"
    beside: tuple[Action, ...] = ()


Operation = Read | Store | Api | Manage | Follow | Open | Public


def methods_of(operation: Operation) -> tuple[str, ...]:
    """The methods it answers: what can be read can be asked for by its head (RFC 9110 section 9.3.2)."""
    return ("GET", "HEAD") if operation.method == "GET" else (operation.method,)


def operation_id(operation: Operation, method: str) -> str:
    """A name of the operation that is like no other's: `get_studies_study_metadata`."""
    words = re.findall(r"\w+", operation.path.removeprefix("/dicom-web").replace(":path", ""))
    # The service's own address has none, and is known with a slash at its end and without.
    return "_".join((method.lower(), *(words or (("service" if operation.path.endswith("/") else "base"),))))


def declaration(operation: Operation) -> dict[str, Any]:
    """What the route declares, as data."""
    if isinstance(operation, Public):
        return {"public": operation.reason}
    if isinstance(operation, Open):
        return {"open": operation.reason, "action": operation.action.value}
    if isinstance(operation, Manage | Follow):
        return {
            "action": operation.action.value,
            "kinds": sorted(operation.kinds),
            "scopes": sorted(operation.scopes),
            "operation": operation.operation.value,
            "step-up": operation.step_up,
        }
    return {
        "action": operation.action.value,
        "kinds": sorted(operation.kinds),
        "scopes": sorted(operation.scopes),
    }


def actions_of(operation: Operation) -> tuple[Action, ...]:
    """All that the audit trail may call a request of this route: what it is, that it was refused, what it brings."""
    if isinstance(operation, Public):
        return ()
    beside: tuple[Action, ...] = operation.beside if isinstance(operation, Api | Manage | Open) else ()
    if isinstance(operation, Store):
        beside = (
            Action.ARCHIVE_KEY_CREATE,
            Action.INGEST_OBJECT_REFUSE,
            Action.DICOMWEB_RESULT_STORE,
            Action.ACCESS_RESULT_HANDOVER,
            Action.ARCHIVE_STUDY_STORE,
            Action.INGEST_CLASS_ANONYMISED,
        )
    return (operation.action, *beside, Action.ACCESS_DECISION_DENY)
