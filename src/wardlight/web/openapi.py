"""The OpenAPI 3.1 description of every route, made from the routes' own declarations."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from wardlight import __version__
from wardlight.dicomweb.negotiation import MULTIPART
from wardlight.errors import CATALOGUE
from wardlight.web import openapi_areas, openapi_classes
from wardlight.web.about import BYTE_RANGES, JSON, About
from wardlight.web.addresses import base_url
from wardlight.web.openapi_reports import REPORT_SCHEMAS
from wardlight.web.openapi_schemas import PATH_PARAMETERS, SCHEMAS
from wardlight.web.openapi_trail import TRAIL_PARAMETERS, TRAIL_SCHEMAS
from wardlight.web.routes import (
    Api,
    Manage,
    Open,
    Operation,
    Public,
    Read,
    declaration,
    methods_of,
    operation_id,
)
from wardlight.web.services import Services

_PROBLEM: Final = "application/problem+json"
#: What can become of any operation that needs a token, beside what its declaration names.
_GUARDED: Final = (400, 401, 403, 404, 406, 410, 413, 500, 503)
_PUBLIC: Final = (400, 413, 500, 503)
_STEP: Final = re.compile(r"\{(\w+)(?::path)?\}")
_REQUEST_FIELDS: Final = {
    "If-None-Match": "Entity tags that the client has; 304 where the current one is among them.",
    "If-Match": "Entity tags that the client takes; 412 where the current one is not among them.",
    "Range": "Byte ranges of the whole; 206 with them.",
    "If-Range": "An entity tag; another one makes Range be ignored.",
}


#: Every schema, and every parameter of a path, by its name.
ALL_SCHEMAS: Final[dict[str, Any]] = SCHEMAS | TRAIL_SCHEMAS | REPORT_SCHEMAS | openapi_areas.SCHEMAS
ALL_PARAMETERS: Final[dict[str, Any]] = PATH_PARAMETERS | TRAIL_PARAMETERS | openapi_areas.PARAMETERS


class Document:
    """GET /api/openapi.json. operations: all routes; the list may grow until the first request."""

    def __init__(self, operations: Sequence[Operation], services: Services) -> None:
        self._operations = operations
        self._services = services

    def __call__(self, request: Request) -> Response:
        """The document, with the address that the client used."""
        server = base_url(self._services, request).removesuffix("/dicom-web")
        return Response(json.dumps(document(self._operations, server)), media_type=JSON)


def document(operations: Sequence[Operation], server: str) -> dict[str, Any]:
    """The OpenAPI document of these operations at this address."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = _STEP.sub(r"{\1}", operation.path)
        entry = paths.setdefault(path, {})
        names = _STEP.findall(operation.path)
        if names:
            entry["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in names]
        for method in methods_of(operation):
            entry[method.lower()] = _operation(operation, method)
    statuses = sorted({kind.http for kind in CATALOGUE.values()})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wardlight",
            "version": __version__,
            "description": "An imaging data platform: DICOMweb (PS3.18), the audit trail, and its health.",
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": {name: openapi_classes.classed(name, schema) for name, schema in ALL_SCHEMAS.items()},
            "parameters": {
                name: openapi_classes.parameter(described) for name, described in ALL_PARAMETERS.items()
            },
            "responses": {f"Problem{status}": _problem(status) for status in statuses},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An opaque access token (RFC 6750).",
                }
            },
        },
    }


def _operation(operation: Operation, method: str) -> dict[str, Any]:
    about = operation.about
    guarded = not isinstance(operation, Public | Open)
    described: dict[str, Any] = {
        "operationId": operation_id(operation, method),
        "summary": about.transaction,
        "description": about.summary + (" Without its body." if method == "HEAD" else ""),
        "parameters": _parameters(operation),
        "responses": _responses(about, method, guarded=guarded),
        "x-wardlight": declaration(operation),
    }
    if about.consumes:
        body: dict[str, Any] = {"schema": _named(about.takes)}
        described["requestBody"] = {"required": True, "content": {media: body for media in about.consumes}}
    if not isinstance(operation, Public | Open):
        described["security"] = [{"bearer": sorted(operation.scopes)}]
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    about = operation.about
    parameters = [
        openapi_classes.parameter(
            {
                "name": parameter.name,
                "in": "query",
                "description": parameter.description,
                "schema": parameter.schema,
            }
        )
        for parameter in about.query
    ]
    if isinstance(operation, Read | Api | Manage) and 304 in about.statuses:
        parameters += [
            {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
            for name, text in _REQUEST_FIELDS.items()
            if 416 in about.errors or "Range" not in name
        ]
    return parameters


def _responses(about: About, method: str, *, guarded: bool) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status in about.statuses:
        response: dict[str, Any] = {"description": _MEANING[status]}
        if status not in (204, 304) and method != "HEAD":
            response["content"] = _content(about, status)
        if 304 in about.statuses:
            response["headers"] = {"ETag": {"schema": {"type": "string"}}}
        responses[str(status)] = response
    common = _GUARDED if guarded else _PUBLIC
    for status in sorted({*common, *about.errors}):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})
    return responses


_MEANING: Final = {
    200: "As asked.",
    201: "Made.",
    302: "Go on there.",
    303: "Go on there.",
    204: "Nothing was found, and XML asked for.",
    202: "Begun; or, of a store request, some instances were stored and some were not.",
    206: "The ranges that were asked for, or what can be given in an accepted encoding.",
    304: "The client has it.",
    400: "As RFC 6749 section 5.2 says why not.",
    401: "The client is not known by what it shows.",
    403: "Not from here.",
    404: "There is none.",
    409: "No instance was stored.",
    503: "Not ready.",
}


def _content(about: About, status: int) -> dict[str, Any]:
    schema = _named(about.schema)
    content: dict[str, Any] = {
        media: {"schema": schema if media.endswith("json") else {}} for media in about.produces
    }
    if about.related:
        content[MULTIPART] = {"schema": {}}
    if status == 206:
        content[BYTE_RANGES] = {"schema": {}}
    if status >= 400:
        content[_PROBLEM] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return content


def _named(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"} if schema else {}


def _problem(status: int) -> dict[str, Any]:
    titles = [kind.title for kind in CATALOGUE.values() if kind.http == status]
    return {
        "description": " Or: ".join(titles),
        "content": {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
