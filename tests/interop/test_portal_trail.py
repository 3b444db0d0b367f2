"""The audit trail in a real browser: filtered, searched by patient, checked there, exported."""

from __future__ import annotations

import json

import pytest

import browser
import live
from portal_kit import TABLET, Portal, accessible
from wardlight.audit.note import WITNESS, Note, VerifierKey, cosign

pytestmark = [pytest.mark.system, pytest.mark.long]


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    with (
        live.installation(tmp_path_factory.mktemp("portal"), samples=True) as wardlight,
        browser.chromium() as chromium,
    ):
        yield Portal(wardlight, chromium)


def checked(page):
    """Once the page has verified what it shows."""
    page.wait_for_selector("tbody tr >> nth=5")
    page.wait_for_selector(".ban:not(.wait)", timeout=60_000)
    page.wait_for_selector("tbody .pm.ver", timeout=60_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_trail_is_checked_in_the_browser(portal, scheme):
    with portal.person("privacy-officer", path="/trail", scheme=scheme) as page:
        checked(page)
        assert "The trail is intact" in page.locator(".ban").inner_text()
        page.locator("tbody tr:has(.ver)").first.click()
        detail = page.locator("tr.ex").inner_text()
        assert "hashes up to the head of" in detail and "verified" in detail
        accessible(page)
        page.get_by_role("button", name="Verify all").click()
        page.wait_for_selector("text=none changed, none missing", timeout=120_000)
        # What was seen before is demanded the next time.
        page.reload()
        checked(page)
        assert "It extends the head seen here before" in page.locator(".ban").inner_text()
        assert page.locator(".hm rect.today").count() == 1


WITNESS_NAME, SEED, OTHER = "receiver.example/w1", b"w" * 32, b"o" * 32


def cosigned(page, *, known=SEED, signed=SEED, wrong=False):
    """The page sees a head that a witness signed, by the key that the server names, or by another."""

    def logs(route):
        answer = route.fetch()
        keys = [VerifierKey.of(WITNESS_NAME, known, WITNESS).text] if known else []
        route.fulfill(response=answer, json={**answer.json(), "witnesses": keys})

    def checkpoint(route):
        answer = route.fetch()
        body = Note.parse(answer.text()).body
        line = cosign(WITNESS_NAME, signed, body.replace("\n", "x", 1) if wrong else body, 1_795_507_560)
        route.fulfill(response=answer, body=answer.text() + line)

    page.route("**/api/v1/audit/logs", logs)
    page.route("**/api/v1/audit/log/checkpoint*", checkpoint)
    page.goto("/".join((*page.url.split("/")[:3], "trail")))


def test_who_cosigned_is_checked_in_the_browser(portal):
    with portal.person(path="/account") as page:
        cosigned(page)
        checked(page)
        assert "cosigned by 1 witness." in page.locator(".ban").inner_text()
        assert "wardlight-log-witnesses" in page.evaluate("() => Object.keys(localStorage)")
        # Another key under a name that is known is believed by nobody, whatever the server says.
        cosigned(page, known=OTHER, signed=OTHER)
        checked(page)
        text = page.locator(".ban").inner_text()
        assert "keys that this browser does not know" in text and "cosigned by" not in text
    with portal.person(path="/account") as page:
        cosigned(page, known=None)
        checked(page)
        assert "keys that this browser does not know" in page.locator(".ban").inner_text()
    with portal.person(path="/account") as page:
        cosigned(page, wrong=True)
        page.wait_for_selector(".ban.bad, .alarm, .note.bad", timeout=60_000)
        assert page.locator("tbody .pm.ver").count() == 0


def test_filters_stand_in_the_address_and_patients_do_not(portal):
    row = portal.wardlight.search("/studies?limit=1")[0]
    pseudonym = row["00100020"]["Value"][0]
    with portal.person(path="/trail") as page:
        checked(page)
        page.locator(".filters").get_by_role("button", name="Action").click()
        page.get_by_role("button", name="Bringing in").click()
        page.wait_for_url("**/trail?group=import")
        page.wait_for_function(
            "() => [...document.querySelectorAll('tbody tr.open td[title]')].every("
            "one => /store|complete|receive|upload|refuse|quarantine|copy/.test(one.title))"
        )
        page.fill(".filters input[type=search]", pseudonym)
        page.keyboard.press("Enter")
        page.wait_for_selector(f".chip.on:has-text('{pseudonym}')")
        page.wait_for_selector("tbody tr.open")
        assert pseudonym not in page.url
        page.reload()
        page.wait_for_selector(".chip.on:has-text('Bringing in')")
        page.get_by_role("button", name="Remove filter: Action").click()
        page.wait_for_url("**/trail")
        page.locator(".hm rect.today").click()
        page.wait_for_url("**/trail?day=*")
        page.wait_for_selector("tbody tr.open")
        accessible(page)


def test_a_log_that_forgot_is_shown_in_red(portal):
    with portal.person(path="/trail") as page:
        checked(page)
        page.evaluate(
            "() => localStorage.setItem('wardlight-log-head', JSON.stringify(Object.fromEntries(Object.entries("
            "JSON.parse(localStorage.getItem('wardlight-log-head'))).map(([log, note]) => "
            "[log, note.replace(/^([^\\n]+\\n)(\\d+)\\n/, (_, a, n) => `${a}${+n + 100000}\\n`)]))))"
        )
        page.reload()
        page.wait_for_selector("text=The log is shorter than this browser has seen it", timeout=60_000)
        assert page.locator("tbody .ver").count() == 0
        accessible(page)


def test_another_key_is_shown_in_red_until_it_is_taken(portal):
    with portal.person(path="/trail") as page:
        checked(page)
        other = "localhost+00000000+AaJylhKCzK21XuMNc4bH+eor7scoMeY9cJiqWJVl2PqH"
        page.evaluate(
            "other => localStorage.setItem('wardlight-log-key', JSON.stringify(Object.fromEntries(Object.keys("
            "JSON.parse(localStorage.getItem('wardlight-log-key'))).map(log => [log, other]))))",
            other,
        )
        page.reload()
        page.wait_for_selector("text=The log's key has changed", timeout=60_000)
        assert page.locator("tbody .ver").count() == 0
        page.get_by_role("button", name="It is the right key: take it").click()
        page.wait_for_selector(".ban:not(.wait)", timeout=60_000)


def test_exports_and_the_report_for_a_patient(portal):
    pseudonym = portal.wardlight.search("/studies?limit=1")[0]["00100020"]["Value"][0]
    with portal.person(path="/trail") as page:
        checked(page)
        for form, begin in (
            ("CSV", b"index,recorded"),
            ("FHIR AuditEvents", b'{"resourceType":"AuditEvent"'),
        ):
            page.get_by_role("button", name="Export").click()
            with page.expect_download() as download:
                page.get_by_role("menuitem", name=form).click()
            assert download.value.path().read_bytes().startswith(begin)
        page.get_by_role("button", name="Export").click()
        page.get_by_role("menuitem", name="Access report for a patient").click()
        page.fill("[name=patient]", pseudonym)
        page.select_option("[name=form]", "json")
        accessible(page)
        with page.expect_download() as download:
            page.get_by_role("button", name="Make the report").click()
        assert isinstance(json.loads(download.value.path().read_text()), dict)


def test_others_are_told_who_may(portal):
    with portal.person("clinician", path="/trail", size=TABLET) as page:
        page.wait_for_selector("text=The trail is for administrators and privacy officers.")
        assert page.get_by_role("link", name="Audit trail").count() == 0
        accessible(page)
