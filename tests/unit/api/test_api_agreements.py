"""Agreements, entitlements, subscriptions and sources over HTTP: who may, what is refused, what the trail says."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from oauth_kit import a_key, an_application
from wardlight.agreements.model import IMAGES, Level
from wardlight.db.engine import EVERYWHERE
from wardlight.identity.model import Role, TokenScope
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from web_kit import a_web

APP = "acme_reader_prod"
TERMS = {
    "minimum_level": "low", "legal_basis": "gdpr:6.1.e+9.2.h+9.2.j", "purposes": ["TREAT", "HRESCH"],
    "attested_by": "Kim Berg", "document": "DPA-1", "attested": "2026-11-01T10:00:00+01:00", "access_s": 3600,
    "retention_days": 400, "ends": "2199-01-01T00:00:00Z", "results_of": [IMAGES],
}  # fmt: skip
SOURCE = {
    "kind": "retailer", "name": "Data Ltd", "legal_basis": "gdpr:6.1.f+9.2.j", "attested_by": "Kim", "document": "D",
}  # fmt: skip
ASKED = {
    "purposes": ["TREAT"], "level": "medium", "regions": ["eu"], "declared_by": "Ann Lee", "document": "C-9",
}  # fmt: skip


class World:
    """Tokens of everybody, and requests by them."""

    def __init__(self, web):
        self.web, self.platform, self.institution = web, web.kit.platform, web.kit.institution
        platform, own = self.platform, self.institution.id
        application = an_application(platform, APP, a_key())
        self.tokens = {}
        for role in (Role.ADMINISTRATOR, Role.PRIVACY_OFFICER, Role.CLINICIAN, Role.RESEARCHER):
            person = platform.identity.create_person(own, f"{role}@x.example", "P", role, by=BY)
            for name, scopes in (
                (role.value, (TokenScope.MANAGE, TokenScope.STEP_UP)),
                (f"{role.value} without step-up", (TokenScope.MANAGE,)),
            ):
                self.tokens[name] = platform.identity.issue_person_token(person, by=BY, scopes=scopes)
        receiver = platform.identity.create_receiver(own, "gateway", by=BY)
        self.tokens["receiver"] = platform.identity.issue_receiver_token(receiver, by=BY)
        self.tokens["application"] = platform.api.access_tokens.give(application, own, purpose="TREAT", by=BY)

    def ask(self, method, path, body=None, who="administrator", **query):
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        options = {} if body is None else {"json": body}
        return self.web.client.request(method, f"/api/v1{path}", headers=headers, params=query, **options)

    def reset(self):
        """Nothing agreed with the application, nor subscribed to."""
        with self.platform.database.begin(EVERYWHERE) as tx:
            for table in ("agreement", "subscription", "entitlement"):
                tx.execute(text(f"DELETE FROM {table} WHERE application = :id"), {"id": APP})

    def last_entry(self):
        with self.platform.database.read(EVERYWHERE) as tx:
            row = tx.execute(text("SELECT content FROM audit_pending ORDER BY seq DESC LIMIT 1")).scalar_one()
        return json.loads(row)


@pytest.fixture(scope="module")
def the_world(stores):
    with a_web() as web:
        yield World(web)


@pytest.fixture
def world(the_world):
    the_world.reset()
    return the_world


def test_agreed_amended_compared_withdrawn(world):
    made = world.ask("PUT", f"/agreements/{APP}", TERMS)
    assert made.status_code == 201, made.text
    first = made.json()
    assert first["levels"] == ["high", "medium", "low"] and first["state"] == "in-force"
    assert first["attested"] == "2026-11-01T09:00:00.000Z" and first["ends"] == "2199-01-01T00:00:00.000Z"
    assert first["purposes"][1] == {
        "code": "TREAT",
        "dpv": "https://w3id.org/dpv/sector/health#ServiceProvision",
    }
    change = {"attested_by": "Kim Berg", "document": "DPA-2", "ends": None, "of_version": 1}
    amended = world.ask("PUT", f"/agreements/{APP}", change)
    assert amended.status_code == 200
    assert (amended.json()["version"], amended.json()["ends"], amended.json()["access_s"]) == (2, None, 3600)
    assert world.ask("PUT", f"/agreements/{APP}", change).json()["code"] == "conflict"
    shown = world.ask("GET", f"/agreements/{APP}", who="privacy-officer").json()
    assert [(row["version"], row["state"]) for row in shown["versions"]] == [
        (2, "in-force"),
        (1, "superseded"),
    ]
    changed = {one["member"]: (one["before"], one["after"]) for one in shown["versions"][0]["changes"]}
    assert changed["document"] == ("DPA-1", "DPA-2") and changed["ends_ms"][1] is None
    assert world.last_entry()["action"] == "agreement:agreement:read"
    listed = world.ask("GET", "/agreements").json()["agreements"]
    assert [(row["application"], row["version"]) for row in listed if row["application"] == APP] == [(APP, 2)]
    assert world.ask("DELETE", f"/agreements/{APP}", version="1").json()["withdrawn"] == [1]
    assert world.ask("DELETE", f"/agreements/{APP}").json()["withdrawn"] == [2]
    assert world.ask("DELETE", f"/agreements/{APP}").status_code == 409
    states = [row["state"] for row in world.ask("GET", f"/agreements/{APP}").json()["versions"]]
    assert states == ["withdrawn", "withdrawn"]
    assert world.last_entry()["actor"]["role"] == "administrator"
    # Changes, too, say from where and with which token.
    world.ask("PUT", f"/subscriptions/{APP}", {})
    entry = world.last_entry()
    assert entry["action"] == "agreement:entitlement:subscribe" and len(entry["request"]) == 32
    assert entry["token"] and set(entry["actor"]) == {"kind", "id", "role"}


@pytest.mark.parametrize(
    "change",
    [
        {"purposes": ["FUN"]}, {"purposes": []}, {"purposes": "TREAT"}, {"purposes": [1]}, {"levels": ["none"]},
        {"levels": ["high"]}, {"minimum_level": None}, {"legal_basis": "gdpr:6.1.e"}, {"legal_basis": 7},
        {"attested_by": None}, {"attested_by": ""}, {"document": None}, {"access_s": True}, {"access_s": 1.5},
        {"access_s": 10**20}, {"ends": "tomorrow"}, {"ends": "2199-01-01"}, {"ends": "2001-01-01T00:00:00Z"},
        {"retention_days": -1}, {"classes": ["gold"]}, {"region": "us"}, {"source": "x"}, {"unknown": 1},
        {"of_version": "1"},
    ],
    ids=str,
)  # fmt: skip
def test_terms_that_are_refused(world, change):
    answer = world.ask("PUT", f"/agreements/{APP}", TERMS | change)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert world.ask("GET", f"/agreements/{APP}").status_code == 404


def test_unknown_applications_and_sources(world):
    assert world.ask("PUT", "/agreements/ghost", TERMS).status_code == 404
    assert world.ask("PUT", f"/agreements/{APP}", TERMS | {"source": "0" * 32}).status_code == 404
    assert world.ask("PUT", f"/agreements/{APP}", TERMS | {"results_of": ["ghost"]}).status_code == 404
    assert world.ask("DELETE", f"/agreements/{APP}").status_code == 404
    for version in ("x", "-1", "9" * 40):
        assert world.ask("DELETE", f"/agreements/{APP}", version=version).status_code == 400


CHANGES = (
    ("PUT", f"/agreements/{APP}", TERMS),
    ("DELETE", f"/agreements/{APP}", None),
    ("PUT", f"/subscriptions/{APP}", {}),
    ("DELETE", f"/subscriptions/{APP}", None),
    ("POST", "/sources", SOURCE),
)


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_only_administrators_change_and_with_step_up(world, method, path, body):
    for who in (
        "administrator without step-up",
        "privacy-officer",
        "clinician",
        "researcher",
        "receiver",
        "application",
    ):
        answer = world.ask(method, path, body, who=who)
        assert answer.status_code == 403, (who, answer.text)
    assert world.last_entry()["action"] == "access:decision:deny"


@pytest.mark.parametrize("path", ["/agreements", "/sources", "/subscriptions", "/entitlements"])
def test_privacy_officers_read(world, path):
    assert world.ask("GET", path, who="privacy-officer").status_code == 200
    for who in ("clinician", "researcher", "receiver", "application"):
        assert world.ask("GET", path, who=who).status_code == 403


def test_is_entitled_says_every_reason(world):
    def asked(who="privacy-officer", **query):
        answer = world.ask("GET", "/entitlements/is-entitled", who=who, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    nobody = asked(application=APP, purpose="TREAT")
    assert nobody["reasons"] == ["not-subscribed", "no-agreement"] and not nobody["entitled"]
    assert world.ask("PUT", f"/subscriptions/{APP}", {}).status_code == 201
    assert world.ask("PUT", f"/agreements/{APP}", TERMS).status_code == 201
    assert asked(application=APP, purpose="TREAT")["reasons"] == ["not-entitled"]
    world.platform.entitlements.request(
        APP, purposes=["TREAT"], level=Level.MEDIUM, regions=["eu"], declared_by="A", document="D", by=BY
    )
    yes = asked("clinician", application=APP, purpose="TREAT", level="medium")
    assert yes["entitled"] and yes["reasons"] == [] and yes["agreement"]["version"] == 1
    assert asked(application=APP, purpose="HRESCH")["reasons"] == ["not-entitled"]
    assert asked(application=APP, purpose="TREAT", level="identified")["reasons"] == [
        "not-entitled",
        "level-not-agreed",
    ]
    # The application asks about itself, for its token's purpose.
    own = asked("application")
    assert (own["application"], own["purpose"], own["entitled"]) == (APP, "TREAT", True)
    assert not asked("application", purpose="HRESCH")["entitled"]
    world.ask("DELETE", f"/agreements/{APP}")
    assert asked(application=APP, purpose="TREAT")["reasons"] == ["agreement-withdrawn"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"application": APP}, 400),
        ({"application": APP, "purpose": "FUN"}, 400),
        ({"application": APP, "purpose": "TREAT", "level": "none"}, 400),
        ({"application": "ghost", "purpose": "TREAT"}, 200),
    ],
)
def test_is_entitled_to_questions_that_are_none(world, query, status):
    assert world.ask("GET", "/entitlements/is-entitled", **query).status_code == status


def test_an_application_learns_nothing_of_others(world):
    answer = world.ask(
        "GET", "/entitlements/is-entitled", who="application", application=IMAGES, purpose="TREAT"
    )
    assert answer.status_code == 404


def test_subscriptions(world):
    assert world.ask("PUT", f"/subscriptions/{APP}", {"x": 1}).status_code == 400
    assert world.ask("PUT", "/subscriptions/ghost", {}).status_code == 404
    assert world.ask("PUT", f"/subscriptions/{APP}", {}).json()["active"]
    assert world.ask("PUT", f"/subscriptions/{APP}", {}).json()["code"] == "already-exists"
    assert not world.ask("DELETE", f"/subscriptions/{APP}").json()["active"]
    assert world.ask("DELETE", f"/subscriptions/{APP}").status_code == 404
    rows = world.ask("GET", "/subscriptions").json()["subscriptions"]
    assert [row["application"] for row in rows if row["active"]] == [IMAGES]


def test_entitlements_listed(world):
    for purposes in (["TREAT"], ["TREAT", "HRESCH"]):
        world.platform.entitlements.request(
            APP, purposes=purposes, level=Level.MEDIUM, regions=["eu"], declared_by="A", document="D", by=BY
        )
    rows = world.ask("GET", "/entitlements").json()["entitlements"]
    assert [(row["version"], len(row["purposes"])) for row in rows] == [(2, 2)]
    rows = world.ask("GET", "/entitlements", application=APP).json()["entitlements"]
    assert [row["version"] for row in rows] == [2, 1]
    # What an application asks for is for its owner to say, through the operator.
    assert world.ask("PUT", f"/entitlements/{APP}", ASKED).status_code == 403


def test_sources(world):
    made = world.ask("POST", "/sources", SOURCE)
    assert made.status_code == 201
    assert made.json() in world.ask("GET", "/sources").json()["sources"]
    for change in (
        {"kind": "friend"}, {"name": ""}, {"legal_basis": "gdpr:6.1.f"}, {"anonymised": True}, {"evidence": "a\nb"},
        {"anonymised": "yes"}, {"document": None}, {"more": 1},
    ):  # fmt: skip
        assert world.ask("POST", "/sources", SOURCE | change).status_code == 400, change
    declared = {"legal_basis": "gdpr:6.1.f", "anonymised": True, "evidence": "report 12, 2026-10-01"}
    assert world.ask("POST", "/sources", SOURCE | declared).json()["anonymised"] is True
    assert world.ask("PUT", f"/agreements/{APP}", TERMS | {"source": made.json()["id"]}).status_code == 201


def test_a_receiver_is_told_what_it_may_take_in(world):
    world.ask("PUT", f"/agreements/{APP}", TERMS)
    answer = world.ask("GET", "/receiver/agreements", who="receiver")
    assert answer.status_code == 200
    found = {(row["application"], row["level"]): row["reason"] for row in answer.json()["targets"]}
    assert found[IMAGES, "identified"] == "" and found[APP, "low"] == "not-subscribed"
    world.ask("PUT", f"/subscriptions/{APP}", {})
    rows = world.ask("GET", "/receiver/agreements", who="receiver").json()["targets"]
    found = {(row["application"], row["level"]): row["reason"] for row in rows}
    assert found[APP, "low"] == "" and found[APP, "identified"] == "level-not-agreed"
    for who in ("administrator", "application"):
        assert world.ask("GET", "/receiver/agreements", who=who).status_code == 403


def test_stow_is_refused_with_the_reason(world):
    """What is not agreed is refused before a byte of it is read, each time with why, and that is in the trail."""

    def stored(level="low"):
        headers = {
            "Authorization": f"Bearer {world.tokens['receiver']}",
            "Content-Type": "application/dicom",
            "Wardlight-Application": APP,
            "Wardlight-Level": level,
        }
        answer = world.web.client.post("/dicom-web/studies", headers=headers, content=b"no file at all")
        if answer.status_code == 403:
            assert world.last_entry()["reason"] == answer.json()["code"]
        return answer.status_code, answer.json().get("code")

    assert stored() == (403, "no-agreement")
    world.ask("PUT", f"/agreements/{APP}", TERMS)
    assert stored() == (403, "not-subscribed")
    world.ask("PUT", f"/subscriptions/{APP}", {})
    assert stored("identified") == (403, "level-not-agreed")
    # Now it is looked at.
    assert stored()[0] == 409
    world.ask("DELETE", f"/agreements/{APP}")
    assert stored() == (403, "agreement-withdrawn")


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(list(TERMS.values())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from([*TERMS, *SOURCE, "levels", "classes", "source", "of_version", "x"]), ODD)
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_breaks_anything(the_world, changes):
    for method, path, plain in (("PUT", f"/agreements/{APP}", TERMS), ("POST", "/sources", SOURCE)):
        headers = {
            "Authorization": f"Bearer {the_world.tokens['administrator']}",
            "Content-Type": "application/json",
        }
        body = json.dumps({name: value for name, value in (plain | changes).items() if name != "x" or value})
        answer = the_world.web.client.request(
            method, f"/api/v1{path}", headers=headers, content=body.encode()
        )
        assert answer.status_code in (200, 201, 400, 404, 409), (body, answer.text)
