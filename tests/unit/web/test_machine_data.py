"""Machine data over HTTP: what exporters of OpenTelemetry send, uploads, searches and charts."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from machine_kit import ACME, LINE, PLANTED, Machines, otlp_logs, otlp_metrics, packed
from platform_kit import a_platform
from wardlight.access.model import Role
from wardlight.decoding.pool import DecoderPool
from wardlight.identity.model import TokenScope
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.ingest.service import Ingest
from wardlight.web.app import create_app
from wardlight.web.services import Services

ROOT = "/api/v1/machine-data"
NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}
TIME = {"from": "2026-09-21T00:00:00Z", "to": "2026-09-22T00:00:00Z"}


class Web:
    def __init__(self, platform, pool):
        self.ward = Machines(platform)
        ingest = Ingest(platform.archive, platform.access, platform.agreements)
        self.app = create_app(
            Services(
                platform.settings, platform.identity, platform.access, platform.archive, ingest, pool,
                platform.parts, platform.api, None,
            )
        )  # fmt: skip
        person = self.ward.people[Role.ADMINISTRATOR]
        self.tokens = {
            "administrator": platform.identity.issue_person_token(person, by=BY, scopes=(TokenScope.MANAGE,)),
            ACME: self.ward.token(ACME, "machine.write machine.read"),
            "without": self.ward.token(ACME, "images.read"),
        }

    def ask(self, who, method, path, data=None, headers=(), **params):
        async def go():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://ward.example") as client:
                named = {"Authorization": f"Bearer {self.tokens[who]}", **dict(headers)}
                return await client.request(method, path, content=data, headers=named, params=params)

        return asyncio.run(go())


@pytest.fixture(scope="module")
def web():
    with a_platform() as platform:
        pool = DecoderPool(1, allow_unsandboxed=True)
        yield Web(platform, pool)
        pool.close()


def test_an_exporter_sends_logs_and_metrics(web):
    gzip = JSON | {"Content-Encoding": "gzip"}
    sent = web.ask(ACME, "POST", f"{ROOT}/otlp/v1/logs", packed(otlp_logs("up", LINE, service="ct-1")), gzip)
    assert (sent.status_code, sent.json()) == (200, {})
    sent = web.ask("administrator", "POST", f"{ROOT}/otlp/v1/metrics", otlp_metrics("queue", 2, 4), JSON)
    assert sent.status_code == 200
    page = web.ask("administrator", "GET", ROOT, **{"class": "log"}, source="ct-1").json()
    assert [one["text"][:13] for one in page["records"]] == ["login refused", "up"]
    assert PLANTED["mrn"] not in json.dumps(page)
    series = web.ask("administrator", "GET", f"{ROOT}/series", metric="queue", **TIME).json()
    assert [(one["source"], one["average"]) for one in series["points"]] == [("gate", 3.0)]
    summary = web.ask("administrator", "GET", f"{ROOT}/summary", **TIME).json()
    assert {(one["source"], one["records"], one["masked"]) for one in summary["hours"]} == {
        ("ct-1", 2, 1), ("gate", 2, 0),
    }  # fmt: skip


def test_an_upload_tells_what_was_masked_and_can_be_deleted(web):
    data = "\n".join(json.dumps({"msg": f"line {n}", "patient_id": "47118821"}) for n in range(3))
    sent = web.ask("administrator", "POST", ROOT, data, NDJSON, source="mr-2")
    assert sent.status_code == 201
    assert (sent.json()["records"], sent.json()["masked"]) == (3, 3)
    first = web.ask("administrator", "GET", ROOT, source="mr-2", limit=2).json()
    rest = web.ask("administrator", "GET", ROOT, source="mr-2", limit=2, after=first["next"]).json()
    assert len(first["records"] + rest["records"]) == 3 and "next" not in rest
    gone = web.ask("administrator", "DELETE", f"{ROOT}/{sent.json()['id']}")
    assert gone.status_code == 204
    assert web.ask("administrator", "GET", ROOT, source="mr-2").json() == {"records": []}
    refused = web.ask("administrator", "POST", ROOT, data, NDJSON, found="refuse")
    assert (refused.status_code, refused.json()["code"]) == (422, "personal-data")
    assert "47118821" not in refused.text


def test_an_application_is_told(web):
    listed = web.ask(ACME, "PUT", f"{ROOT}/subscription", json.dumps({"classes": ["log"]}), JSON)
    assert [one["class"] for one in listed.json()["subscriptions"]] == ["log"]
    assert web.ask(ACME, "GET", f"{ROOT}/subscription").json() == listed.json()
    assert web.ask(ACME, "DELETE", f"{ROOT}/subscription").status_code == 204
    assert web.ask(ACME, "GET", f"{ROOT}/subscription").json() == {"subscriptions": []}


@pytest.mark.parametrize(
    ("status", "who", "path", "headers", "params"),
    [
        (403, "without", "", NDJSON, {}),
        (415, "administrator", "", {"Content-Type": "application/dicom"}, {}),
        (415, "administrator", "/otlp/v1/logs", {"Content-Type": "application/x-protobuf"}, {}),
        (415, "administrator", "", NDJSON | {"Content-Encoding": "br"}, {}),
        (400, "administrator", "", NDJSON, {"class": "images"}),
        (400, "administrator", "", NDJSON, {"source": "Jane Doe"}),
        (400, "administrator", "", NDJSON, {"found": "keep"}),
        (413, "administrator", "", NDJSON | {"Content-Length": str(1 << 30)}, {}),
    ],
)
def test_what_is_not_taken(web, status, who, path, headers, params):
    answer = web.ask(who, "POST", ROOT + path, '{"msg": "x"}', headers, **params)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "params",
    [
        {"severity": "loud"}, {"from": "yesterday"}, {"limit": "0"}, {"after": "1-2"}, {"class": "images"},
        {"text": "x" * 201}, {"source": "a b"},
    ],
)  # fmt: skip
def test_what_is_not_searched_for(web, params):
    assert web.ask("administrator", "GET", ROOT, **params).status_code == 400
