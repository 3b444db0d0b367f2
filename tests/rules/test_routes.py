"""Every route declares its audit action, token kinds and scopes (R8.3), and what it declares is what happens."""

from __future__ import annotations

import re

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from unit.web.fakes import TOKENS, make
from wardlight.access.model import Operation, PrincipalKind, Role, TokenScope
from wardlight.access.service import OPERATION, ROLES
from wardlight.audit.actions import Action
from wardlight.web import portal
from wardlight.web.app import create_app
from wardlight.web.routes import DECLARATION

APP = create_app(make().services)
ROUTES = [route for route in APP.routes if isinstance(route, APIRoute)]
PUBLIC = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/dicom-web",
    "/dicom-web/",
    "/api/openapi.json",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/oauth2/jwks",
    "/federation/jwks",
    "/api/v1/uploads",
    *(route.path for route in portal.ROUTES),
}


def declaration(route: APIRoute) -> dict:
    return (route.openapi_extra or {}).get(DECLARATION, {})


GUARDED = [route for route in ROUTES if not {"public", "open"} & declaration(route).keys()]


def call(token: str | None, route: APIRoute):
    path = re.sub(r"\{\w+(?::path)?\}", "1", route.path)
    headers = {"Content-Type": "application/json" if "/api/" in path else "application/dicom"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    client = TestClient(APP, raise_server_exceptions=False)
    return client.request(min(route.methods), path, headers=headers)


def test_nothing_is_routed_past_the_declaration() -> None:
    assert len(ROUTES) == len(APP.routes)
    assert all(route.methods - {"HEAD"} == {min(route.methods)} for route in ROUTES)
    assert all("HEAD" in route.methods for route in ROUTES if "GET" in route.methods)
    assert {route.path for route in ROUTES if "public" in declaration(route)} == PUBLIC


#: What ends something, helps somebody in, or asks protection once more: it must not wait, and opens nothing.
WITHOUT_STEP_UP = {
    "/api/v1/people/{person}/unlock",
    "/api/v1/people/{person}/sessions",
    "/api/v1/quarantine/{held}/retry",
}


def test_a_session_that_was_left_open_configures_nothing() -> None:
    """Roles, keys, agreements, applications, releases: whoever sits down at a screen must show who they are."""
    configures = {
        one.value for one in (Operation.CONFIGURE, Operation.PLATFORM, Operation.DELETE, Operation.SHARE)
    }
    found = {
        route.path
        for route in GUARDED
        if declaration(route).get("operation") in configures
        and "GET" not in route.methods
        and not declaration(route)["step-up"]
    }
    assert found == WITHOUT_STEP_UP


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{min(route.methods)} {route.path}")
def test_declares(route: APIRoute) -> None:
    declared = declaration(route)
    if "public" in declared:
        assert len(declared["public"]) > 10
        return
    if "open" in declared:
        assert len(declared["open"]) > 10 and Action(declared["action"])
        return
    assert (
        Operation(declared["operation"])
        if "operation" in declared
        else Action(declared["action"]) in OPERATION
    )
    assert declared["kinds"] and {PrincipalKind(kind) for kind in declared["kinds"]}
    assert declared["scopes"] and {TokenScope(scope) for scope in declared["scopes"]}


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{min(route.methods)} {route.path}")
def test_keeps_others_out(route: APIRoute) -> None:
    for token in (None, "unknown"):
        answer = call(token, route)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
    declared = declaration(route)
    for token, principal in TOKENS.items():
        allowed = principal.kind in declared["kinds"] and principal.scopes & set(declared["scopes"])
        if not allowed:
            assert call(token, route).status_code in (403, 404), (token, route.path)
    if "GET" in route.methods:
        # Security test 18: the store-only credential reads nothing.
        assert call("receiver", route).status_code in (403, 404)
    # Not known here and not seen are one answer.
    if (
        PrincipalKind.PERSON in declared["kinds"]
        and Operation(declared.get("operation", "search")) in ROLES[Role.ADMINISTRATOR]
    ):
        # A stream has to be asked for by name.
        stream = {406} if route.path == "/api/v1/notifications/stream" else set()
        assert call("admin", route).status_code in {200, 400, 404, 409} | stream


def test_denials_are_audited() -> None:
    fakes = make()
    client = TestClient(create_app(fakes.services), raise_server_exceptions=False)
    for route in GUARDED:
        before = len(fakes.denials.events)
        path = re.sub(r"\{\w+(?::path)?\}", "1", route.path)
        client.request(min(route.methods), path, headers={"Authorization": "Bearer nobody"})
        (event,) = fakes.denials.events[before:]
        assert event.action is Action.ACCESS_DECISION_DENY
        assert event.detail["action"] == declaration(route)["action"]
