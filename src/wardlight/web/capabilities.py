"""The capabilities description of the DICOMweb service, made from the route table (PS3.18 section 8.9, Annex H)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from starlette.requests import Request
from starlette.responses import Response

from wardlight.dicomweb.negotiation import MULTIPART, ranges
from wardlight.errors import WardlightError
from wardlight.web.about import JSON, WADL
from wardlight.web.addresses import base_url
from wardlight.web.routes import Operation, Public, methods_of, operation_id
from wardlight.web.services import Services

_NAMESPACE: Final = "http://wadl.dev.java.net/2009/02"
_TYPES: Final = (WADL, "application/xml", JSON)


@dataclass(slots=True)
class _Resource:
    """One step of a path with what can be done there and what is below it."""

    operations: list[Operation] = field(default_factory=list)
    children: dict[str, _Resource] = field(default_factory=dict)


class Capabilities:
    """OPTIONS and GET of the service's base address: WADL, or the same as JSON."""

    def __init__(self, operations: Sequence[Operation], root: str, services: Services) -> None:
        self._services = services
        self._tree = _Resource()
        for operation in operations:
            resource = self._tree
            for step in operation.path.removeprefix(root).strip("/").split("/"):
                resource = resource.children.setdefault(step.replace(":path", ""), _Resource())
            resource.operations.append(operation)

    def __call__(self, request: Request) -> Response:
        """The description, as the client accepts it."""
        accepted = ranges(request.headers.get("accept", ""), request.scope["query_string"].decode("latin-1"))
        media = next(
            (
                media
                for media_range in accepted
                if not media_range.multipart
                for media in _TYPES
                if media_range.covers(media)
            ),
            None,
        )
        if media is None:
            raise WardlightError("not-acceptable", f"this is given as {WADL} or {JSON}")
        base = f"{base_url(self._services, request)}/"
        if media == JSON:
            text = json.dumps({"base": base, "resources": list(_json(self._tree))})
        else:
            text = _wadl(self._tree, base)
        allow = {"Allow": "GET, HEAD, OPTIONS", "Vary": "Accept"}
        return Response(text, media_type=media, headers=allow)


def _accepts(operation: Operation) -> list[str]:
    """The media types that an operation gives, the default first."""
    about = operation.about
    related = [f'{MULTIPART}; type="{media}"' for media in about.related]
    # Multipart is the default where the standard knows it (PS3.18 Table 10.4.4-1), save for JSON.
    return [*about.produces, *related] if about.schema else [*related, *about.produces]


def _json(resource: _Resource) -> Iterator[dict[str, Any]]:
    for step, child in resource.children.items():
        methods = [
            {
                "name": method,
                "id": operation_id(operation, method),
                "transaction": operation.about.transaction,
                "accept": _accepts(operation),
                "consumes": list(operation.about.consumes),
                "query": [parameter.name for parameter in operation.about.query],
                "statuses": list(operation.about.statuses),
            }
            for operation in child.operations
            for method in methods_of(operation)
        ]
        yield {"path": step, "methods": methods, "resources": list(_json(child))}


def _wadl(tree: _Resource, base: str) -> str:
    resources = "".join(_resource(step, child) for step, child in tree.children.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<application xmlns="{_NAMESPACE}" xmlns:xs="http://www.w3.org/2001/XMLSchema">'
        f"<resources base={quoteattr(base)}>{resources}</resources></application>"
    )


def _resource(step: str, resource: _Resource) -> str:
    parameter = ""
    if step.startswith("{"):
        parameter = f'<param name={quoteattr(step[1:-1])} style="template" type="xs:string" required="true"/>'
    methods = "".join(
        _method(operation, method) for operation in resource.operations for method in methods_of(operation)
    )
    below = "".join(_resource(name, child) for name, child in resource.children.items())
    return f"<resource path={quoteattr(step)}>{parameter}{methods}{below}</resource>"


def _method(operation: Operation, method: str) -> str:
    about = operation.about
    accepts = _accepts(operation)
    options = "".join(f"<option value={quoteattr(value)}/>" for value in accepts)
    parameters = "".join(
        f'<param name={quoteattr(parameter.name)} style="query" type="xs:string"/>'
        for parameter in about.query
    )
    taken = "".join(f"<representation mediaType={quoteattr(media)}/>" for media in about.consumes)
    given = "".join(f"<representation mediaType={quoteattr(value)}/>" for value in accepts)
    statuses = " ".join(map(str, about.statuses))
    guarded = not isinstance(operation, Public)
    token = '<param name="Authorization" style="header" required="true"/>' if guarded else ""
    return (
        f'<method name="{method}" id="{operation_id(operation, method)}"><request>{token}'
        f'<param name="Accept" style="header" default={quoteattr(accepts[0])}>{options}</param>'
        f'{parameters}{taken}</request><response status="{statuses}">{given}</response></method>'
    )
