"""How a route is declared and served: nothing is reachable without an action, kinds of token and scopes (R8.3).

Order of every request: token → principal → decision (audited when it is no) → handler. A body is not read before the
decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from wardlight.access.model import Principal, PrincipalKind, Scope
from wardlight.api.call import ApiRequest, OpenRequest
from wardlight.audit.actions import Action
from wardlight.dicomweb import conditional
from wardlight.dicomweb.call import Call
from wardlight.dicomweb.store import StoreCall, StoreExchange, open_store
from wardlight.errors import WardlightError
from wardlight.trail.call import JSON, ApiCall, parse_body
from wardlight.web.addresses import base_url, client_address, secure, site_url
from wardlight.web.authentication import authenticate, token_of
from wardlight.web.bodies import pump, small_body
from wardlight.web.cookies import own_principal
from wardlight.web.follow import Following
from wardlight.web.paths import Endpoint
from wardlight.web.responses import AnswerResponse
from wardlight.web.routes import (
    DECLARATION,
    Api,
    Follow,
    Manage,
    Open,
    Operation,
    Public,
    Read,
    Store,
    declaration,
    methods_of,
)
from wardlight.web.services import Services
from wardlight.web.threads import Run, Threads, in_thread, of_route

#: Requests of one application at one institution's JSON API, at once and in so many seconds (security.md section 6).
_APPLICATION_RATE: Final = (200, 2)
#: For what a person reads, as HL7 v3 PurposeOfUse has it (R2.3); a token of an application says it itself.
_PURPOSE: Final = "wardlight-purpose"
_USUAL_PURPOSE: Final = "TREAT"
#: Methods whose requests have a JSON object as their body.
_WITH_BODY: Final = ("POST", "PUT")


def install(app: FastAPI, services: Services, operations: tuple[Operation, ...]) -> list[Endpoint]:
    """Add the routes to the application, each with its declaration; returns what answers each."""
    threads = Threads()
    endpoints = []
    for operation in operations:
        answer = _endpoint(services, operation, threads)
        app.add_api_route(
            operation.path,
            answer,
            methods=list(methods_of(operation)),
            response_model=None,
            openapi_extra={DECLARATION: declaration(operation)},
        )
        route = app.router.routes[-1]
        assert isinstance(route, APIRoute)
        endpoints.append(Endpoint(route, answer))
    return endpoints


def _endpoint(
    services: Services, operation: Operation, threads: Threads
) -> Callable[[Request], Awaitable[Response]]:
    if isinstance(operation, Public):
        handler = operation.handler

        async def public(request: Request) -> Response:
            return await threads.public(partial(handler, request))

        return public
    if isinstance(operation, Store):
        store_operation = operation

        async def store(request: Request) -> Response:
            return await _store(services, store_operation, request)

        return store
    if isinstance(operation, Open):
        open_operation, run = operation, of_route()

        async def unknown(request: Request) -> Response:
            return await _open_to_all(services, open_operation, request, run)

        return unknown
    if isinstance(operation, Follow):
        follow_operation = operation

        async def follow(request: Request) -> Response:
            return await _follow(services, follow_operation, request, threads.of(token_of(request)[1]))

        return follow
    if isinstance(operation, Api | Manage):
        api_operation = operation

        async def api(request: Request) -> Response:
            return await _api(services, api_operation, request, threads.of(token_of(request)[1]))

        return api
    read_operation = operation

    async def read(request: Request) -> Response:
        run = threads.of(token_of(request)[1])
        return await run(partial(_read, services, read_operation, request, run))

    return read


def _read(services: Services, operation: Read, request: Request, run: Run) -> Response:
    """All of a read up to its first bytes, in one visit to a thread.

    HEAD is authorised and in the audit trail as the read it is: it tells what exists.
    """
    address = client_address(services, request)
    principal = authenticate(services, operation.action, request, address)
    scope = services.access.scope_for(
        principal,
        operation.action,
        request=request.state.request,
        address=address,
        purpose=request.headers.get(_PURPOSE, _USUAL_PURPOSE),
    )
    _check_declared(services, operation, principal, request, address)
    guard = _guard(services, principal, operation.action, request)
    call = Call(
        services.archive,
        services.decoders,
        scope,
        base_url(services, request),
        request.path_params,
        request.scope["query_string"].decode("latin-1"),
        request.headers.get("accept", ""),
    )
    with guard():
        answer = operation.handler(call)
        # All of them are negotiated (RFC 9110 section 12.5.5).
        answer = replace(answer, headers={"Vary": "Accept", **answer.headers})
        answer = conditional.apply(answer, _conditions(request), request.method)
    return AnswerResponse(
        answer,
        head=request.method == "HEAD",
        run=run,
        guard=guard,
        reads=services.open_reads,
        shown_to=scope,
    )


#: Refusals, which whoever raises them writes into the trail.
_DENIED: Final = (401, 403)

_Guard = Callable[[], AbstractContextManager[None]]


def _guard(services: Services, principal: Principal, action: Action, request: Request) -> _Guard:
    """Within it, what fails is written into the trail as failed; where that cannot be done, it is `unavailable`."""
    number, address = request.state.request, client_address(services, request)

    @contextmanager
    def guard() -> Iterator[None]:
        try:
            yield
        except Exception as error:
            code = error.code if isinstance(error, WardlightError) else "internal"
            if isinstance(error, ClientDisconnect):
                code = "disconnected"
            if isinstance(error, WardlightError) and error.told:
                services.access.deny(
                    principal, action, error.told, request=number, address=address, status=error.kind.http
                )
            elif not isinstance(error, WardlightError) or error.kind.http not in _DENIED:
                services.access.fail(principal, action, code, request=number, address=address)
            raise

    return guard


async def _api(services: Services, operation: Api | Manage, request: Request, run: Run) -> Response:
    scope = await run(partial(_authorise, services, operation, request))
    guard = _guard(services, scope.principal, operation.action, request)
    body: bytes | WardlightError = b""
    if operation.method in _WITH_BODY:
        try:
            body = await small_body(request)
        except WardlightError as error:
            body = error
    return await run(partial(_answer, services, operation, request, scope, body, run, guard))


async def _follow(services: Services, operation: Follow, request: Request, run: Run) -> Response:
    scope = await run(partial(_authorise, services, operation, request))
    guard = _guard(services, scope.principal, operation.action, request)
    return await operation.handler(Following(services, scope, request, partial(_query, request), run, guard))


def _authorise(services: Services, operation: Api | Manage | Follow, request: Request) -> Scope:
    """The decision, before anything of the body is read."""
    address = client_address(services, request)
    seen = not (isinstance(operation, Follow) and operation.by_itself)
    principal = authenticate(services, operation.action, request, address, seen=seen)
    number = request.state.request
    if isinstance(operation, Api):
        scope = services.access.scope_for(
            principal, operation.action, request=number, address=address, purpose="HSYSADMIN"
        )
    else:
        scope = services.access.scope_for(
            principal,
            operation.action,
            operation=operation.operation,
            step_up=operation.step_up,
            request=number,
            address=address,
            purpose="HSYSADMIN",
        )
    _check_declared(services, operation, principal, request, address)
    if principal.kind is PrincipalKind.APPLICATION:
        with services.platform.database.begin() as tx:
            services.platform.rates.take(
                tx, f"api:{scope.institution.hex}:{principal.id}", *_APPLICATION_RATE
            )
    return scope


def _answer(
    services: Services,
    operation: Api | Manage,
    request: Request,
    scope: Scope,
    body: bytes | WardlightError,
    run: Run,
    guard: _Guard,
) -> Response:
    """All of it up to the first bytes. body: as it came, or why it could not be taken."""
    with guard():
        if isinstance(body, WardlightError):
            raise body
        sent = _json_body(request, body) if operation.method in _WITH_BODY else {}
        path, query = request.path_params, _query(request)
        if isinstance(operation, Api):
            accept = request.headers.get("accept", "")
            answer = operation.handler(ApiCall(services.parts, scope, path, query, sent, accept))
        else:
            base = site_url(services, request)
            asked = ApiRequest(services.platform, scope, path, query, request.headers, sent, base)
            answer = operation.handler(asked)
        answer = conditional.apply(answer, _conditions(request), request.method)
    return AnswerResponse(
        answer,
        head=request.method == "HEAD",
        run=run,
        guard=guard,
        reads=services.open_reads,
        shown_to=scope,
    )


async def _open_to_all(services: Services, operation: Open, request: Request, run: Run) -> Response:
    """A route for somebody unknown: all that it does is its handler's."""
    body = await small_body(request) if operation.method in _WITH_BODY else b""

    def work() -> Response:
        asked = OpenRequest(
            services.platform,
            request.method,
            request.path_params,
            _query(request),
            request.headers,
            request.cookies,
            body,
            request.state.request,
            client_address(services, request),
            site_url(services, request),
            secure(services, request),
            own_principal(services, request, body),
        )
        found = operation.handler(asked)
        answer = conditional.apply(found, _conditions(request), request.method)
        return AnswerResponse(
            answer, head=request.method == "HEAD", reads=services.open_reads, shown_to=found.shown_to
        )

    return await run(work)


def _query(request: Request) -> dict[str, str]:
    text = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise WardlightError("bad-request", "too many parameters") from None
    query = dict(pairs)
    if len(query) != len(pairs):
        raise WardlightError("bad-request", "a parameter comes twice")
    return query


def _json_body(request: Request, body: bytes) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind and not body:
        return {}  # Where all that is asked for stands in the path.
    if kind != JSON:
        raise WardlightError("unsupported-media-type", f"the body must be {JSON}")
    return parse_body(body)


def _conditions(request: Request) -> conditional.Conditions:
    def listed(name: str) -> str:
        return ", ".join(request.headers.getlist(name))

    return conditional.Conditions(
        listed("if-match"), listed("if-none-match"), listed("if-range"), listed("range")
    )


async def _store(services: Services, operation: Store, request: Request) -> Response:
    exchange, guard = await in_thread(partial(_open, services, operation, request))
    try:
        last = await pump(request, exchange)
        return await in_thread(lambda: AnswerResponse(exchange.finish(last)))
    except BaseException as error:
        await asyncio.shield(in_thread(partial(_give_up, exchange, guard, error)))
        raise


def _open(services: Services, operation: Store, request: Request) -> tuple[StoreExchange, _Guard]:
    address = client_address(services, request)
    principal = authenticate(services, operation.action, request, address)
    _check_declared(services, operation, principal, request, address)
    guard = _guard(services, principal, operation.action, request)
    with guard():
        exchange = open_store(
            StoreCall(
                services.ingest,
                principal,
                request.state.request,
                base_url(services, request),
                address,
                request.path_params,
                request.scope["query_string"].decode("latin-1"),
                request.headers,
                services.settings.web.part_count,
            )
        )
    return exchange, guard


def _give_up(exchange: StoreExchange, guard: _Guard, error: BaseException) -> None:
    exchange.abort()
    if isinstance(error, Exception):
        with guard():
            raise error


def _check_declared(
    services: Services,
    operation: Read | Store | Api | Manage | Follow,
    principal: Principal,
    request: Request,
    address: str,
) -> None:
    """The route's own declaration, a second wall beside the access decision."""
    if principal.kind not in operation.kinds or operation.scopes.isdisjoint(principal.scopes):
        number = request.state.request
        services.access.deny(principal, operation.action, "route", request=number, address=address)
        raise WardlightError("forbidden", reason="route")
