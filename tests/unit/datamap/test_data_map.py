"""The data map is what is declared, agreed and held; each way to it is in the trail."""

from __future__ import annotations

import csv
import io
import json
import re
from itertools import pairwise

import jsonschema_rs
import pytest

from share_kit import ACME, BETA, CANARIES, a_desk, files, study
from wardlight.access.model import Role, TokenScope
from wardlight.agreements.model import IMAGES
from wardlight.audit.actions import Action
from wardlight.classification.model import DataClass
from wardlight.datamap import declared
from wardlight.datamap.forms import FORMS
from wardlight.datamap.model import Kind
from wardlight.db.schema import metadata
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.trail.report_forms import Form
from wardlight.web import openapi

ROOT = "/api/v1/data-map"
PATHS = {Kind.MAP: ROOT, Kind.RECORD: f"{ROOT}/record", Kind.ASSESSMENT: f"{ROOT}/assessment"}


@pytest.fixture(scope="module")
def desk(stores):
    """Two studies of Images, one of which an application sees; something is agreed on a transfer with the other."""
    with a_desk() as desk:
        platform, own = desk.hospital.platform, desk.hospital.institution.id
        for uid in ("1.2.3.4", "1.2.3.5"):
            desk.hospital.store(*files(*study(2, uid)))
        desk.share("1.2.3.4", application=ACME, level="high")
        moved = {"region": "us", "transfer": "gdpr:46.2.c", "retention_days": 90}
        platform.agreements.amend(own, BETA, moved, by=BY)
        platform.identity.create_person(own, "=cmd@x.example", "Nina Canary", Role.CLINICIAN, by=BY)
        yield desk


def asked(desk, kind, form):
    answer = desk.ask("GET", f"{PATHS[kind]}?format={form.value}")
    assert answer.status_code == 200, answer.text
    return answer


def test_the_map_counts_what_is_held(desk):
    found = asked(desk, Kind.MAP, Form.JSON).json()
    components = {"components": {"schemas": openapi.ALL_SCHEMAS}}
    jsonschema_rs.validate({"$ref": "#/components/schemas/DataMap", **components}, found)
    assert (found["region"], found["node_region"], found["objects_region"]) == ("eu", "eu", "eu")
    assert (found["studies"], found["grants"]) == (3, 1)
    by_class = {row["class"]: row for row in found["classes"]}
    assert set(by_class) == set(DataClass)
    identified, pseudonymised = by_class["image data, identified"], by_class["image data, pseudonymised"]
    assert identified["amounts"] == [{"count": 2, "of": "studies"}, {"count": 4, "of": "instances"}]
    assert pseudonymised["amounts"] == [{"count": 1, "of": "study"}, {"count": 2, "of": "instances"}]
    assert identified["bytes"] > pseudonymised["bytes"] > 0
    assert found["bytes"] == identified["bytes"] + pseudonymised["bytes"]
    # On which basis, for what and how long is as the agreements in force say.
    assert identified["bases"] == ["gdpr:6.1.e+9.2.h"]
    assert identified["purposes"] == ["HRESCH", "TREAT"]
    assert f"90 days: {BETA}" in identified["kept"]
    assert by_class["account data"]["amounts"][0]["count"] == 3
    assert by_class["configuration"]["bases"] == []


def test_it_says_what_each_application_may_see_and_why(desk):
    rows = {row["application"]: row for row in asked(desk, Kind.MAP, Form.JSON).json()["applications"]}
    assert [*rows] == [IMAGES, ACME, BETA]
    acme = rows[ACME]
    assert (acme["grants"], acme["granted_studies"], acme["refused"]) == (1, 1, "")
    assert [(one["level"], one["studies"], one["instances"]) for one in acme["held"]] == [("high", 1, 2)]
    assert acme["purposes"][0]["dpv"].startswith("https://w3id.org/dpv/sector/health#")
    assert (acme["runs_in"], acme["region"], acme["agreement_version"]) == (["eu"], "eu", 1)
    beta = rows[BETA]
    assert (beta["region"], beta["transfer"], beta["agreement_version"]) == ("us", "gdpr:46.2.c", 2)
    assert beta["transfer_dpv"] == "https://w3id.org/dpv/legal/eu/gdpr#A46-2-c"
    assert beta["held"] == []


def test_what_ends_is_no_longer_in_it(desk):
    platform, own = desk.hospital.platform, desk.hospital.institution.id
    platform.agreements.withdraw(own, BETA, by=BY)
    found = asked(desk, Kind.MAP, Form.JSON).json()
    beta = next(row for row in found["applications"] if row["application"] == BETA)
    assert (beta["refused"], beta["agreement"], beta["purposes"]) == ("no-agreement", None, [])
    assert not [line for row in found["classes"] for line in row["kept"] if BETA in line]
    platform.agreements.record(own, BETA, platform.agreements.list(own, BETA)[0].terms, by=BY)


def test_the_record_has_every_letter_of_article_30(desk):
    found = asked(desk, Kind.RECORD, Form.JSON).json()
    components = {"components": {"schemas": openapi.ALL_SCHEMAS}}
    jsonschema_rs.validate({"$ref": "#/components/schemas/ProcessingRecord", **components}, found)
    assert found["controller"]["name"] == "St Mary"
    assert found["controller"]["officer"] is None  # for the controller to say, not for us to guess
    by_name = {row["name"]: row for row in found["activities"]}
    beta = by_name[BETA]
    assert beta["recipients"] == [f"Vendor, as {BETA} (runs in eu)"]
    assert beta["transfers"] == ["to us: GDPR Art. 46\u2060(2)\u2060(c)"]
    assert beta["kept"][0] == "kept 90 days"
    for row in by_name.values():
        assert row["purposes"] and row["subjects"] and row["classes"] and row["kept"] and row["bases"]
    assert len(found["measures"]) >= 8


@pytest.mark.parametrize(
    ("kind", "form"), [(kind, form) for kind in Kind for form in FORMS[kind] if form is not Form.PDF]
)
def test_every_form_is_in_the_trail_and_names_no_patient(desk, kind, form):
    answer = asked(desk, kind, form)
    assert answer.headers["content-type"].startswith(form.media.partition(";")[0])
    assert answer.headers["content-disposition"] == f'attachment; filename="stmary-{kind.value}.{form.value}"'
    entry = desk.hospital.entries(Action.CLASSIFY_RECORD_EXPORT)[-1]
    assert entry["detail"] == {"format": form.value, "kind": kind.value}
    assert entry["actor"]["kind"] == "person"
    for value in (*CANARIES.values(), "1.2.3.4", "Nina", "=cmd@", "Kim Berg"):
        assert value not in answer.text
    if form is Form.CSV:
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert all(len(one) == len(two) for one, two in pairwise(rows))
        assert len(rows) > 4
    if form is Form.HTML:
        assert "<script" not in answer.text
        assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.long
@pytest.mark.parametrize("kind", Kind)
def test_each_document_can_be_printed(desk, kind):
    assert asked(desk, kind, Form.PDF).content.startswith(b"%PDF-")


def test_the_assessment_is_a_beginning(desk):
    text = re.sub(r"<[^>]+>", " ", asked(desk, Kind.ASSESSMENT, Form.HTML).text)
    for heading in ("a) The processing", "b) Necessity", "c) Risks", "d) what is done", "35(3)(b)", "35(9)"):
        assert heading in text
    assert text.count("______") > 8


def test_the_form_is_asked_for_by_name_or_by_accept(desk):
    assert (
        desk.ask("GET", ROOT, headers={"Accept": "text/csv"}).headers["content-type"].startswith("text/csv")
    )
    assert desk.ask("GET", ROOT).headers["content-type"].startswith("application/json")
    assert desk.ask("GET", f"{ROOT}?format=fhir.json").status_code == 400
    assert desk.ask("GET", f"{ROOT}/assessment", headers={"Accept": "text/csv"}).status_code == 406


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.PRIVACY_OFFICER, 200), (Role.CLINICIAN, 403), (Role.RESEARCHER, 403)],
)
def test_privacy_officers_see_it_clinicians_and_researchers_do_not(desk, role, status):
    platform = desk.hospital.platform
    person = platform.identity.create_person(
        desk.hospital.institution.id, f"{role}@x.example", "P", role, by=BY
    )
    token = platform.identity.issue_person_token(person, by=BY, scopes=(TokenScope.MANAGE,))
    assert desk.ask("GET", ROOT, token).status_code == status


def test_it_holds_nothing_of_other_institutions(desk):
    platform = desk.hospital.platform
    other = platform.identity.create_institution("other", "Other", "eu", by=BY)
    person = platform.identity.create_person(other.id, "o@x.example", "O", Role.ADMINISTRATOR, by=BY)
    found = desk.ask(
        "GET", ROOT, platform.identity.issue_person_token(person, by=BY, scopes=(TokenScope.MANAGE,))
    ).json()
    assert (found["institution"], found["studies"], found["grants"], found["applications"]) == (
        "Other",
        0,
        0,
        [],
    )
    assert "acme" not in json.dumps(found)


def test_what_is_declared_is_all_there_is():
    places = declared.platform()
    assert {place.name for place in places if place.store == "index"} == {
        str(column) for table in metadata.tables.values() for column in table.columns
    }
    assert {place.store for place in places} >= {"keystore", "object store", "log", "event", "audit entry"}
    assert declared.stores_of(DataClass.IMAGE_IDENTIFIED, places)[0].startswith("object store")
