"""What the OpenAPI and the capabilities document say of every route is whole, and is what the route does."""

from __future__ import annotations

import json
import re

import jsonschema_rs
import pytest
from lxml import etree
from starlette.testclient import TestClient

from unit.web.fakes import make
from wardlight.errors import CATALOGUE
from wardlight.web import portal
from wardlight.web.app import DICOMWEB, create_app
from wardlight.web.routes import methods_of, operation_id

CLIENT = TestClient(create_app(make().services), raise_server_exceptions=False)
DOCUMENT = CLIENT.get("/api/openapi.json").json()
OPERATIONS = [
    (path, method, operation)
    for path, entry in DOCUMENT["paths"].items()
    for method, operation in entry.items()
    if method != "parameters"
]
PAGES = {re.sub(r":path\}", "}", route.path) for route in portal.ROUTES}
WADL = "{http://wadl.dev.java.net/2009/02}"


def test_every_route_is_described() -> None:
    described = {(method.upper(), path) for path, method, _ in OPERATIONS}
    routed = {
        (method, re.sub(r":path\}", "}", route.path))
        for route in CLIENT.app.routes
        for method in route.methods
    }
    # The portal's pages are for people, and no part of the API.
    assert described == {one for one in routed if one[1] not in PAGES}


@pytest.mark.parametrize(
    ("path", "method", "operation"), OPERATIONS, ids=[f"{method} {path}" for path, method, _ in OPERATIONS]
)
def test_each_operation(path: str, method: str, operation: dict) -> None:
    assert operation["summary"] and operation["description"].endswith(".")
    in_path = set(re.findall(r"\{(\w+)\}", path))
    assert {
        row["$ref"].rpartition("/")[2] for row in DOCUMENT["paths"][path].get("parameters", [])
    } == in_path
    statuses = set(map(int, operation["responses"]))
    assert any(200 <= status < 300 for status in statuses)
    assert {400, 500, 503} <= statuses
    for status in operation["responses"]:
        assert re.fullmatch(r"[2-5][0-9]{2}", status)
    if {"public", "open"} & operation["x-wardlight"].keys():
        assert "security" not in operation
    else:
        assert {401, 403, 404, 406} <= statuses
        ((scheme, scopes),) = operation["security"][0].items()
        assert scheme in DOCUMENT["components"]["securitySchemes"] and scopes
        assert operation["x-wardlight"]["kinds"]
    if method != "head":
        assert all(
            "content" in resolved(row)
            for status, row in operation["responses"].items()
            if status not in ("204", "304")
        )


def resolved(response: dict) -> dict:
    if "$ref" in response:
        return DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return response


def test_references_lead_somewhere_and_names_are_unique() -> None:
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)):
        place = DOCUMENT
        for step in reference.split("/"):
            place = place[step]
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)


def test_failures_are_those_of_the_catalogue() -> None:
    statuses = {kind.http for kind in CATALOGUE.values()}
    assert {int(name.removeprefix("Problem")) for name in DOCUMENT["components"]["responses"]} == statuses
    schema = {"$ref": "#/components/schemas/Problem", "components": DOCUMENT["components"]}
    for path in ("/nothing", "/dicom-web/studies", "/dicom-web/studies?limit=x"):
        jsonschema_rs.validate(schema, CLIENT.get(path).json())


def test_the_document_needs_no_token_and_names_the_address_of_the_client() -> None:
    answer = CLIENT.get("/api/openapi.json", headers={"Host": "ward.example"})
    assert answer.json()["servers"] == [{"url": "http://ward.example"}]
    assert answer.headers["content-type"] == "application/json"


def test_capabilities_as_wadl() -> None:
    answer = CLIENT.options("/dicom-web/")
    assert CLIENT.options("/dicom-web").content == answer.content
    assert answer.headers["content-type"].startswith("application/vnd.sun.wadl+xml")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    root = etree.fromstring(answer.content)
    assert root.tag == f"{WADL}application"
    (resources,) = root
    assert resources.get("base") == "http://testserver/dicom-web/"
    found = {}
    for method in root.iter(f"{WADL}method"):
        steps = [row.get("path") for row in method.iterancestors(f"{WADL}resource")]
        found[method.get("id")] = (method.get("name"), "/".join(["/dicom-web", *reversed(steps)]))
        assert method.find(f"{WADL}request/{WADL}param[@name='Accept']").get("default")
        assert method.find(f"{WADL}response").get("status")
    assert found == {
        operation_id(operation, method): (method, operation.path.replace(":path", ""))
        for operation in DICOMWEB
        for method in methods_of(operation)
    }
    for resource in root.iter(f"{WADL}resource"):
        template = re.fullmatch(r"\{(\w+)\}", resource.get("path"))
        names = [row.get("name") for row in resource.findall(f"{WADL}param")]
        assert names == ([template[1]] if template else [])


def test_capabilities_as_json_and_what_is_accepted() -> None:
    for accept, media in (
        ("application/json", "application/json"),
        ("application/vnd.sun.wadl+xml", "application/vnd.sun.wadl+xml"),
        ("*/*", "application/vnd.sun.wadl+xml"),
        ("", "application/vnd.sun.wadl+xml"),
        ("application/json;q=0.1, application/xml", "application/xml"),
    ):
        answer = CLIENT.get("/dicom-web/", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, media)
    assert CLIENT.get("/dicom-web/", headers={"Accept": "image/png"}).status_code == 406
    body = CLIENT.get("/dicom-web/", headers={"Accept": "application/json"}).json()
    schema = {"$ref": "#/components/schemas/Capabilities", "components": DOCUMENT["components"]}
    jsonschema_rs.validate(schema, body)
    (studies,) = [row for row in body["resources"] if row["path"] == "studies"]
    assert {row["name"] for row in studies["methods"]} == {"GET", "HEAD", "POST"}
