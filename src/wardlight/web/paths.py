"""The short way from a path to its endpoint: one look at each of its segments.

The framework asks its routes in turn and wraps every request several times over, which takes longer than the reading
of a frame. It keeps the declarations, and answers what is not found here: unknown paths and other methods.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_REST: Final = ":path}"


class Endpoint(NamedTuple):
    """A route of the framework, and what answers it."""

    route: APIRoute
    answer: Callable[[Request], Awaitable[Response]]


class _Node:
    """One segment of a path template. parameter: its name and what follows; rest: a parameter that takes all."""

    __slots__ = ("by_method", "literal", "parameter", "rest")

    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.parameter: tuple[str, _Node] | None = None
        self.rest: tuple[str, _Node] | None = None
        self.by_method: dict[str, Endpoint] = {}


class Paths:
    """ASGI application: what `endpoints` answer, and behind it the framework's."""

    def __init__(self, app: FastAPI, endpoints: Iterable[Endpoint]) -> None:
        self._app = app
        self._framework: ASGIApp = ExceptionMiddleware(app.router, app.exception_handlers)
        self._root = _Node()
        for endpoint in endpoints:
            node = self._root
            for segment in endpoint.route.path.split("/"):
                node = _grown(node, segment)
            for method in endpoint.route.methods or ():
                node.by_method[method] = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        found = self.find(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if found is None:
            scope["app"] = self._app
            await self._framework(scope, receive, send)
            return
        endpoint, scope["path_params"] = found
        scope["route"] = endpoint.route
        response = await endpoint.answer(Request(scope, receive))
        await response(scope, receive, send)

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
        """The endpoint of a path, and the path's parameters; None where the framework is to answer."""
        parameters: dict[str, str] = {}
        node = self._root
        segments = path.split("/")
        for position, segment in enumerate(segments):
            following = node.literal.get(segment)
            if following is None and segment and node.parameter is not None:
                name, following = node.parameter
                parameters[name] = segment
            if following is None and node.rest is not None:
                name, node = node.rest
                parameters[name] = "/".join(segments[position:])
                break
            if following is None:
                return None
            node = following
        endpoint = node.by_method.get(method)
        return (endpoint, parameters) if endpoint is not None else None


def _grown(node: _Node, segment: str) -> _Node:
    """The node below for a template's segment. Templates never differ by a parameter's name alone."""
    if segment.endswith(_REST):
        node.rest = node.rest or (segment[1 : -len(_REST)], _Node())
        return node.rest[1]
    if segment.startswith("{"):
        node.parameter = node.parameter or (segment[1:-1], _Node())
        return node.parameter[1]
    return node.literal.setdefault(segment, _Node())
