"""Applications, agreements, receivers, people and one's own account in a real browser, each to its end."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import urllib.request

import pytest

import browser
import live
from portal_kit import TABLET, Portal, accessible

pytestmark = [pytest.mark.system, pytest.mark.long]

PAGES = ("/applications", "/agreements", "/agreements/lumen_reader_demo", "/receivers", "/people", "/account")


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    with (
        live.installation(tmp_path_factory.mktemp("portal"), samples=True) as wardlight,
        browser.chromium() as chromium,
    ):
        yield Portal(wardlight, chromium)


def asked(portal, path):
    """What the API answers to an administrator's program."""
    token = {"Authorization": f"Bearer {portal.wardlight.token()}"}
    request = urllib.request.Request(f"http://127.0.0.1:{portal.wardlight.web_port}{path}", headers=token)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def stale(portal):
    """All sessions proved presence long ago."""
    database = sqlite3.connect(portal.wardlight.data / "index" / "index.db", timeout=30)
    with database:
        database.execute("UPDATE person_session SET stepped_ms = 1")
    database.close()


def of(portal, role):
    return next(one for one in portal.wardlight.facts["people"] if one["role"] == role)


def dialog(page):
    return page.locator("[role=dialog]").last


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(portal, scheme):
    with portal.person(scheme=scheme, path="/people") as page:
        for path in PAGES:
            page.goto(portal.url + path)
            page.wait_for_selector("h1")
            page.wait_for_load_state("networkidle" if path != "/receivers" else "load")
            page.wait_for_selector(".skeleton", state="detached")
            accessible(page)
        page.click("text=Add an authenticator")
        accessible(page)
        page.goto(portal.url + "/agreements/lumen_reader_demo")
        page.click("text=Amend")
        accessible(page)


def test_people_are_invited_and_changed_once_presence_is_proved(portal):
    with portal.context() as context:
        page = context.new_page()
        portal.sign_in(page, path="/people")
        stale(portal)
        page.click("text=Invite")
        page.fill("[name=name]", "Noor Adan")
        page.fill("[name=login]", "noor@demo.example")
        page.click("label:has-text('Researcher')")
        page.click("text=Make the link")
        code = page.locator("[name=step-up-code]")
        code.fill("000000")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=This code is not right")
        code.fill(portal._code(of(portal, "administrator")))
        page.keyboard.press("Enter")
        link = dialog(page).locator("code")
        link.wait_for()
        assert re.fullmatch(re.escape(portal.url) + r"/signin#link=\S{20,}", link.inner_text())
        page.click("text=I have kept it")
        row = page.locator("tr:has-text('Noor Adan')")
        row.locator("text=Invited").wait_for()
        row.locator("button").click()
        page.click("text=Change role…")
        page.click("label:has-text('Clinician')")
        dialog(page).locator("text=Change role").last.click()
        row.locator("text=Clinician").wait_for()
        row.locator("button").click()
        page.click("text=Delete account…")
        assert dialog(page).locator("text=Delete the account").is_disabled()
        dialog(page).locator("input").fill("noor@demo.example")
        dialog(page).locator("text=Delete the account").click()
        row.wait_for(state="detached")
    assert "noor@demo.example" not in [one["login"] for one in asked(portal, "/api/v1/people")["people"]]


def test_who_is_suspended_is_out_at_once(portal):
    with portal.context() as theirs, portal.person(path="/people") as page:
        other = theirs.new_page()
        portal.sign_in(other, "researcher")
        row = page.locator("tr:has-text('Sam Okafor')")
        row.locator("button").click()
        page.click("text=Suspend…")
        assert "All sessions and tokens end at once" in dialog(page).inner_text()
        dialog(page).locator("button:has-text('Suspend')").click()
        row.locator("text=Suspended").wait_for()
        other.goto(f"{portal.url}/studies")
        other.wait_for_url("**/signin?**")
        row.locator("button").click()
        page.click("text=Let in again")
        dialog(page).locator("button:has-text('Let in again')").click()
        row.locator("text=Active").wait_for()


def test_ones_own_factors_and_sessions(portal):
    with portal.context() as elsewhere, portal.context() as context:
        portal.sign_in(elsewhere.new_page(), "clinician")
        page = context.new_page()
        portal.sign_in(page, "clinician", "/account")
        devices = context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
            "isUserVerified": True, "automaticPresenceSimulation": True,
        }  # fmt: skip
        devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        page.click("text=Add a passkey")
        dialog(page).locator("input").fill("laptop")
        dialog(page).locator("button:has-text('Add a passkey')").click()
        page.locator(".codes code").nth(9).wait_for()  # The demo gave none, so they come with the new factor.
        page.click("text=I have kept it")
        page.wait_for_selector("tr:has-text('laptop')")
        stale(portal)
        page.click("text=Make new ones")
        dialog(page).locator("button:has-text('Make new ones')").click()
        page.click("text=Use a passkey")
        page.locator(".codes code").nth(9).wait_for()
        page.click("text=I have kept it")
        page.locator("text=10 left").wait_for()
        page.locator("section:has-text('Sessions') tr button").first.click()
        page.wait_for_function(
            "() => document.querySelectorAll('section:last-of-type tbody tr').length === 1"
        )
        page.fill("[name=old]", "this is not the password")
        page.fill("[name=new]", "seven green lanterns")
        page.fill("[name=again]", "seven green lanterns")
        page.click("text=Change password")
        page.wait_for_selector("text=The password of now is not right")
        assert page.url.endswith("/account")


def test_unsubscribing_says_what_ends_and_ends_it(portal):
    with portal.person(path="/applications") as page:
        card = page.locator("section[aria-label='Cohort Research']")
        card.locator("text=Entitled").wait_for()
        for shown in ("Cohort Institute", "Healthcare research", "Pseudonymised", "High", "EU"):
            assert card.locator(f"text={shown}").count(), shown
        card.locator("text=2 studies").wait_for()
        card.locator("text=Unsubscribe…").click()
        assert "Its access to 2 studies ends at once." in dialog(page).inner_text()
        dialog(page).locator("button:has-text('Unsubscribe')").click()
        card.locator("text=Sees nothing").wait_for()
        card.locator("text=Your institution does not subscribe to it").wait_for()
        assert not asked(portal, "/api/v1/grants?application=cohort_research_demo")["grants"]
        card.locator("button:text-is('Subscribe')").click()
        dialog(page).locator("button:has-text('Subscribe')").click()
        card.locator("text=Unsubscribe…").wait_for()
        assert card.locator("text=Not entitled").count() == 0


def test_an_agreement_is_amended_shown_and_withdrawn(portal):
    with portal.person(path="/agreements") as page:
        page.click("text=Lumen Reader")
        page.locator(".ward.lit >> text=2 studies").wait_for()
        page.click("text=Amend")
        page.locator("[data-term=purposes] button:has-text('Healthcare research')").click()
        page.fill("[aria-label='Access lasts']", "7")
        assert page.locator("text=2 terms change").count() == 1
        assert page.locator("[data-term=access] .gone").inner_text() == "30 days"
        assert page.locator("text=2 studies keep the access granted under v1").count() == 1
        save = page.locator("button:has-text('Save as v2')")
        assert save.is_disabled()
        page.fill("[name=attested_by]", "Kim Berg, data protection officer")
        page.fill("[name=document]", "DPA-2026-18")
        save.click()
        page.wait_for_selector("text=2 terms changed")
        assert page.locator("[data-term=purposes] .pill.add").inner_text() == "Healthcare research"
        newest = asked(portal, "/api/v1/agreements/lumen_reader_demo")["versions"][0]
        assert (newest["version"], newest["access_s"], newest["document"]) == (2, 604_800, "DPA-2026-18")
        assert newest["levels"] == ["medium"] and newest["classes"] == [
            "health data",
            "image data, pseudonymised",
        ]
        page.click("text=Withdraw…")
        assert "Access to 2 studies ends at once." in dialog(page).inner_text()
        act = dialog(page).locator("button:has-text('Withdraw')")
        assert act.is_disabled()
        dialog(page).locator("input").fill("lumen_reader_demo")
        act.click()
        page.locator("h1 ~ .st.bad >> text=Withdrawn").wait_for()
        page.locator(".ward:not(.lit) >> text=Nobody").wait_for()
    assert not asked(portal, "/api/v1/grants?application=lumen_reader_demo")["grants"]


def test_a_receiver_is_let_in_and_revoked(portal, tmp_path):
    with portal.person(path="/receivers") as page:
        page.locator("text=In touch").first.wait_for()
        assert page.locator("code:text-is('TEAMPLAYISHARE')").count() == 1
        page.click("[aria-label='Add a receiver']")
        page.fill("[name=receiver]", "gateway-2")
        page.click("text=Make the code")
        command = dialog(page).locator("code").inner_text().split()
        assert command[:3] == ["wardlight", "receiver", "enrol"] and command[4:] == ["--platform", portal.url]
        page.click("text=I have kept it")
        page.click(".one:has-text('gateway-2')")
        page.wait_for_selector("text=not used yet")
        done = subprocess.run(
            [sys.executable, "-m", *command, "--json"],
            env={**os.environ, "WARDLIGHT_DATA_DIR": str(tmp_path / "data")},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        page.fill("[name=digits]", json.loads(done.stdout)["digits"])
        page.click("text=Let it in")
        page.locator(".kpi >> text=Done").wait_for()
        page.click("text=AETs and privacy")
        assert page.locator("code:has-text('wardlight admin route create')").count() == 1
        page.click("text=Revoke…")
        dialog(page).locator("input").fill("gateway-2")
        dialog(page).locator("button:has-text('Revoke')").click()
        page.locator(".det .st.bad >> text=Revoked").wait_for()
    states = {one["name"]: one["state"] for one in asked(portal, "/api/v1/receivers")["receivers"]}
    assert states["gateway-2"] == "revoked" and states["gateway-1"] == "active"


def test_who_may_not_is_told_and_shown_nothing(portal):
    with portal.context() as context:
        page = context.new_page()
        portal.sign_in(page, "clinician")
        named = page.locator("nav.nav").inner_text()
        assert not [one for one in ("People", "Receivers", "Agreements", "Applications") if one in named]
        for path in ("/people", "/receivers", "/agreements", "/applications"):
            page.goto(portal.url + path)
            page.wait_for_selector("text=You may not see this")
            assert "Berg" not in page.locator("main").inner_text()


def test_a_privacy_officer_reads_and_changes_nothing(portal):
    with portal.person("privacy-officer", path="/people", size=TABLET) as page:
        page.wait_for_selector("tr:has-text('Alex Morgan')")
        assert page.locator("text=Invite").count() == 0 and page.locator("tbody button").count() == 0
        page.goto(f"{portal.url}/agreements/images")
        page.wait_for_selector("[data-term=purposes]")
        assert page.locator("text=Amend").count() == 0 and page.locator("text=Withdraw").count() == 0
        accessible(page)
