"""Reports over HTTP: who gets them, in which form, what is refused; the patient is nowhere but in the request."""

from __future__ import annotations

import json

import pytest

from report_kit import OWN, Bench
from wardlight.access.model import Role, TokenScope
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from web_kit import a_web

ACCESS, BREACH = "/api/v1/audit/reports/access", "/api/v1/audit/reports/breach"
PATIENT = {"patients": [{"issuer": issuer, "id": id_} for issuer, id_ in OWN]}
INCIDENT = {"from": "2026-01-01"}


class Site:
    """The application, and tokens of people of two institutions, of one of which there is a trail."""

    def __init__(self, web, platform):
        self.web, self.platform = web, platform
        self.bench = Bench(platform, "mercy", "Mercy")
        self.other = Bench(platform, "elsewhere", "Elsewhere")
        self.bench.fill(seed=3, count=40)
        self.other.seal()
        self.tokens = {role.value: self.token(self.bench, role) for role in Role if role is not Role.OPERATOR}
        self.tokens["other-administrator"] = self.token(self.other, Role.ADMINISTRATOR)
        self.tokens["without-scope"] = self.token(
            self.bench, Role.ADMINISTRATOR, scopes=(TokenScope.IMAGES_READ,)
        )

    def token(self, bench, role, **more):
        identity = self.platform.identity
        login = f"{role.value}{len(more)}@{bench.institution}.example"
        person = identity.create_person(bench.institution, login, role.value, role, by=LOCAL_ADMINISTRATOR)
        return identity.issue_person_token(person, by=LOCAL_ADMINISTRATOR, **more)

    def post(self, path, body, *, who="privacy-officer", accept="application/json"):
        headers = {"Accept": accept, "Authorization": f"Bearer {self.tokens[who]}"}
        return self.web.client.post(path, json=body, headers=headers)


@pytest.fixture(scope="module")
def site(stores):
    with a_web() as web:
        yield Site(web, web.kit.platform)


@pytest.mark.parametrize("path", [ACCESS, BREACH])
@pytest.mark.parametrize("who", ["administrator", "privacy-officer"])
def test_who_gets_them(site, path, who):
    answer = site.post(path, PATIENT if path == ACCESS else INCIDENT, who=who)
    assert answer.status_code == 200
    report = answer.json()
    assert report["institution"]["slug"] == "mercy"
    assert report["lines"] if path == ACCESS else report["patients"]


@pytest.mark.parametrize("path", [ACCESS, BREACH])
@pytest.mark.parametrize("who", ["clinician", "researcher", "without-scope"])
def test_who_does_not(site, path, who):
    answer = site.post(path, PATIENT if path == ACCESS else INCIDENT, who=who)
    assert answer.status_code == 403
    assert answer.json()["code"] == "forbidden"


def test_another_institution_gets_its_own_and_nothing_else(site):
    assert site.post(ACCESS, PATIENT, who="other-administrator").json()["lines"] == []
    report = site.post(BREACH, INCIDENT, who="other-administrator").json()
    assert report["total"]["accesses"] == 0
    assert report["institution"]["slug"] == "elsewhere"


@pytest.mark.parametrize(
    ("path", "accept", "begins"),
    [
        (ACCESS, "application/pdf", b"%PDF-"),
        (ACCESS, "text/html", b"<!doctype html>"),
        (ACCESS, "application/fhir+json", b'{"resourceType":"Bundle"'),
        (BREACH, "application/pdf", b"%PDF-"),
        (BREACH, "text/csv", b"patient,studies,accesses,first,last\r\n"),
    ],
)
def test_forms(site, path, accept, begins):
    answer = site.post(path, PATIENT if path == ACCESS else INCIDENT, accept=accept)
    assert answer.status_code == 200
    assert answer.content.startswith(begins)
    assert answer.headers["content-type"].partition(";")[0] == accept
    assert answer.headers["content-disposition"].startswith('attachment; filename="')
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    for issuer, id_ in OWN:
        assert id_.encode() not in answer.content + json.dumps(dict(answer.headers)).encode()
        assert not issuer or issuer.encode() not in answer.content


def test_the_evidence_comes_in_pieces_and_is_whole(site):
    answer = site.post(ACCESS, PATIENT | {"names": True}, accept="application/x-ndjson")
    rows = [json.loads(line) for line in answer.content.splitlines()]
    assert (rows[0]["kind"], rows[-1]["kind"]) == ("header", "end")
    assert rows[-1]["lines"] == len(rows) - 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ACCESS, {}),
        (ACCESS, {"patients": []}),
        (ACCESS, {"patients": [{"id": "MRN-77123456", "name": "x"}]}),
        (ACCESS, {"patients": [{"id": " "}]}),
        (ACCESS, {"patients": [{"id": "MRN-77123456"}] * 51}),
        (ACCESS, PATIENT | {"names": "MRN-77123456"}),
        (ACCESS, PATIENT | {"from": "MRN-77123456"}),
        (ACCESS, PATIENT | {"from": "2026-02-01", "to": "2026-01-01"}),
        (ACCESS, PATIENT | {"timezone": "../../etc/passwd"}),
        (ACCESS, PATIENT | {"timezone": "Mars/Olympus"}),
        (ACCESS, PATIENT | {"studies": ["1.2"]}),
        (BREACH, {}),
        (BREACH, {"aware": "2026-11-24"}),
        (BREACH, {"actor": "u-7f3a"}),
        (BREACH, {"actor": 7}),
        (BREACH, {"token": "a b"}),
        (BREACH, {"address": "MRN-77123456"}),
        (BREACH, {"studies": ["MRN-77123456"]}),
        (BREACH, {"studies": []}),
    ],
)
def test_what_is_refused_is_not_repeated(site, path, body):
    answer = site.post(path, body)
    assert answer.status_code == 400, answer.text
    assert "MRN" not in answer.text


def test_a_form_that_is_not_given(site):
    assert site.post(ACCESS, PATIENT, accept="image/png").status_code == 406


def test_refusals_and_reports_are_in_the_trail_and_the_patient_is_not(site):
    site.bench.seal()
    entries = [entry for _, entry in site.bench.entries()]
    assert any(entry["action"] == "subject:report:access" for entry in entries)
    assert any(entry["detail"].get("action") == "subject:report:access" for entry in entries
               if entry["action"] == "access:decision:deny")  # fmt: skip
    text = json.dumps(entries)
    for issuer, id_ in OWN:
        assert id_ not in text
        assert not issuer or issuer not in text
