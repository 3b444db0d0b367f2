"""People and institutions over HTTP: what administrators and operators do, and that links bring people in."""

from __future__ import annotations

import uuid

import pytest

from people_kit import PASSWORD, a_site, code
from wardlight.identity.model import Role

SESSION, PEOPLE, INSTITUTIONS = "/api/v1/session", "/api/v1/people", "/api/v1/institutions"


@pytest.fixture(scope="module")
def site():
    with a_site() as site:
        yield site


def signed_in(site, role, institution=None):
    login = f"{uuid.uuid4().hex[:8]}@ward.example"
    _, secret = site.person(login, role, institution=institution)
    browser = site.browser()
    assert browser.sign_in(login, code=code(secret)).status_code == 200
    return browser


@pytest.fixture(scope="module")
def administrator(site):
    return signed_in(site, Role.ADMINISTRATOR)


@pytest.fixture(scope="module")
def operator(site):
    return signed_in(site, Role.OPERATOR, site.platform.identity.institution("operator"))


def follow(site, link, password=PASSWORD):
    """What the page does with a link: the token behind the `#` is posted."""
    assert link.startswith("https://ward.example/signin#link=")
    browser = site.browser()
    token = link.partition("#link=")[2]
    return browser, browser.post(f"{SESSION}/link", {"token": token, "password": password})


def test_somebody_is_invited_changed_suspended_and_deleted(site, administrator):
    login = f"{uuid.uuid4().hex[:8]}@ward.example"
    made = administrator.post(PEOPLE, {"login": login, "name": "Robin Hale", "role": "clinician"})
    assert made.status_code == 201 and made.json()["person"]["state"] == "invited"
    place = f"{PEOPLE}/{made.json()['person']['id']}"
    browser, followed = follow(site, made.json()["link"])
    assert followed.json()["limited"] is True
    assert administrator.get(place).json()["state"] == "active"
    assert place.rpartition("/")[2] in [row["id"] for row in administrator.get(PEOPLE).json()["people"]]
    changed = administrator.send("PUT", place, {"name": "Robin Lee", "role": "researcher"})
    assert (changed.json()["name"], changed.json()["role"]) == ("Robin Lee", "researcher")
    assert browser.get(SESSION).json()["role"] == "researcher"
    assert administrator.send("DELETE", f"{place}/sessions").json() == {"ended": 1}
    assert browser.get(SESSION).status_code == 401
    _, again = follow(site, administrator.post(f"{place}/link").json()["link"], "quartz lantern 77 sea")
    assert again.json()["signed_in"] is True
    assert administrator.post(f"{place}/unlock").status_code == 200
    assert administrator.send("DELETE", f"{place}/factors").status_code == 200
    assert administrator.send("PUT", place, {"state": "suspended"}).json()["state"] == "suspended"
    assert administrator.post(f"{place}/link").status_code == 409
    assert administrator.send("DELETE", place).json() == {"deleted": True}
    assert administrator.get(place).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"login": "x@x.example", "name": "X"},
        {"login": "x@x.example", "name": "X", "role": "king"},
        {"login": "x@x.example", "name": "X", "role": "clinician", "state": "active"},
        {"login": "x\n", "name": "X", "role": "clinician"},
        {"login": "\ud800", "name": "X", "role": "clinician"},
        {"login": 1, "name": "X", "role": "clinician"},
    ],
    ids=str,
)
def test_what_is_no_invitation_is_refused(administrator, body):
    assert administrator.post(PEOPLE, body).status_code == 400


def test_others_may_look_or_not_even_that(site):
    officer, clinician = signed_in(site, Role.PRIVACY_OFFICER), signed_in(site, Role.CLINICIAN)
    assert officer.get(PEOPLE).status_code == 200
    assert clinician.get(PEOPLE).status_code == 403
    for browser in (officer, clinician):
        assert browser.post(PEOPLE, {"login": "y", "name": "Y", "role": "clinician"}).status_code == 403
        assert browser.send("PUT", f"{PEOPLE}/u-1", {"role": "administrator"}).status_code == 403


def test_an_operator_makes_an_institution_and_invites_its_first_administrator(site, operator):
    slug = uuid.uuid4().hex[:8]
    given = {"slug": slug, "name": "New", "region": "eu", "networks": ["10.0.0.0/8"]}
    assert operator.post(INSTITUTIONS, given).status_code == 201
    assert operator.post(INSTITUTIONS, given).status_code == 409
    place = f"{INSTITUTIONS}/{slug}"
    invited = operator.post(f"{place}/administrators", {"login": "kim@new.example", "name": "Kim"})
    assert invited.json()["person"]["role"] == "administrator"
    browser, followed = follow(site, invited.json()["link"])
    assert followed.json()["institution"] == slug
    # Its people come from its networks alone, from the next request on.
    assert operator.send("PUT", place, {"networks": ["192.0.2.0/24"]}).json()["networks"] == ["192.0.2.0/24"]
    shown = operator.get(place).json()
    assert (shown["slug"], shown["state"]) == (slug, "active")
    assert operator.send("PUT", place, {"networks": []}).status_code == 400
    assert operator.send("PUT", place, {"state": "suspended"}).json()["state"] == "suspended"
    assert browser.get(SESSION).status_code == 401
    assert operator.send("PUT", place, {"state": "closed", "name": "Gone"}).json()["name"] == "Gone"
    assert operator.send("PUT", place, {"state": "active"}).status_code == 409
    assert operator.get(f"{INSTITUTIONS}/nowhere").status_code == 404


def test_people_outside_their_institutions_networks_are_refused(site, operator):
    slug = uuid.uuid4().hex[:8]
    operator.post(INSTITUTIONS, {"slug": slug, "name": "N", "region": "eu"})
    tenant = site.platform.identity.institution(slug)
    browser = signed_in(site, Role.ADMINISTRATOR, tenant)
    assert browser.get(PEOPLE).status_code == 200
    operator.send("PUT", f"{INSTITUTIONS}/{slug}", {"networks": ["203.0.113.0/24"]})
    refused = browser.get(PEOPLE)
    assert (refused.status_code, refused.json()["reason"]) == (403, "network")
    assert browser.get(SESSION).status_code == 401
