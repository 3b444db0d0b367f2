"""The short way finds what the framework's own routes would."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.routing import Match

from wardlight.web.app import DICOMWEB
from wardlight.web.paths import Endpoint, Paths
from wardlight.web.routes import methods_of

WORDS = [
    "",
    "dicom-web",
    "studies",
    "series",
    "instances",
    "metadata",
    "frames",
    "rendered",
    "bulkdata",
    "wado",
    "x",
]


async def _answer(_request: object) -> Response:
    return Response()


def made() -> tuple[FastAPI, Paths]:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    for operation in DICOMWEB:
        app.add_api_route(operation.path, _answer, methods=list(methods_of(operation)), response_model=None)
    app.add_api_route("/dicom-web/", _answer, methods=["GET"], response_model=None)
    routes = [route for route in app.router.routes if isinstance(route, APIRoute)]
    return app, Paths(app, [Endpoint(route, _answer) for route in routes])


APP, PATHS = made()


def of_framework(method: str, path: str) -> tuple[str, dict[str, str]] | None:
    scope = {"type": "http", "method": method, "path": path, "headers": []}
    for route in APP.router.routes:
        match, child = route.matches(scope)
        if match is Match.FULL:
            assert isinstance(route, APIRoute)
            return route.path, child["path_params"]
    return None


def of_ours(method: str, path: str) -> tuple[str, dict[str, str]] | None:
    found = PATHS.find(method, path)
    return (found[0].route.path, found[1]) if found else None


@pytest.mark.parametrize("template", sorted({operation.path for operation in DICOMWEB}))
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
def test_every_route(template: str, method: str) -> None:
    path = template
    for name in ("study", "series", "instance", "frames", "tags:path"):
        path = path.replace(f"{{{name}}}", {"frames": "1,2", "tags:path": "7FE00010/0/x"}.get(name, "1.2"))
    for altered in (path, f"{path}/", f"/{path}", path.replace("1.2", ""), path.replace("1.2", "series")):
        assert of_ours(method, altered) == of_framework(method, altered)
    assert of_ours("GET", path) or of_ours("POST", path)


@given(st.lists(st.sampled_from(WORDS), max_size=12), st.sampled_from(["GET", "HEAD", "POST", "PUT"]))
def test_any_path(words: list[str], method: str) -> None:
    path = "/" + "/".join(words)
    assert of_ours(method, path) == of_framework(method, path)


@given(st.text(max_size=20))
def test_any_text(text: str) -> None:
    for path in (text, f"/dicom-web/studies/{text}", f"/dicom-web/studies/{text}/metadata"):
        ours, theirs = of_ours("GET", path), of_framework("GET", path)
        # `$` of an expression also stands before a line feed at the end, where the framework's template ends in a word.
        assert ours == theirs or path.endswith("\n")
