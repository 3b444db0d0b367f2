"""Who can see a study, in a real browser: shared, read, revoked; its history checked there; deleted with a receipt."""

from __future__ import annotations

import json
import urllib.request

import pytest

import browser
import live
from portal_kit import Portal, accessible

pytestmark = [pytest.mark.system, pytest.mark.long]


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    with (
        live.installation(tmp_path_factory.mktemp("portal"), samples=True) as wardlight,
        browser.chromium() as chromium,
    ):
        yield Portal(wardlight, chromium)


def ask(portal, path, method="GET", body=None, token=None, accept="application/json"):
    request = urllib.request.Request(
        portal.url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {token or portal.wardlight.token()}",
            "Accept": accept,
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def shareable(portal, application="lumen_reader_demo"):
    """A study of Images that this application cannot see yet."""
    seen = {
        one["images_study"]
        for one in ask(portal, f"/api/v1/grants?limit=500&application={application}")["grants"]
    }
    rows = portal.wardlight.search("/studies?limit=100&includefield=00120062&ModalitiesInStudy=CT")
    rows += portal.wardlight.search("/studies?limit=100&includefield=00120062&ModalitiesInStudy=MR")
    return next(uid for row in rows if (uid := row["0020000D"]["Value"][0]) not in seen)


def open_study(page, portal, study):
    page.goto(f"{portal.url}/studies/{study}")
    page.wait_for_selector(".acl h2")


def test_shared_read_and_revoked(portal):
    study = shareable(portal)
    application = next(one for one in portal.wardlight.facts["applications"] if "lumen" in one["id"])
    with portal.person(path=f"/studies/{study}") as page:
        page.wait_for_selector(".acl h2")
        page.get_by_role("button", name="Share", exact=True).click()
        page.fill("[name=whom]", "lumen")
        page.keyboard.press("Enter")
        assert page.input_value("[name=whom]") == "Lumen Reader"
        accessible(page)
        page.locator("section[role=dialog] button[type=submit]").click()
        row = page.locator(".acl .gr:has(.kv)", has_text="Lumen Reader")
        row.wait_for(timeout=120_000)
        assert "Treatment" in row.inner_text() and "Agreement v1" in row.inner_text()
        assert "Never" in row.inner_text()
        (grant,) = (
            one
            for one in ask(portal, f"/api/v1/grants?study={study}")["grants"]
            if one["application"] == application["id"]
        )
        token = application["token"]
        ask(
            portal,
            f"/dicom-web/studies/{grant['study']}/metadata",
            token=token,
            accept="application/dicom+json",
        )
        page.reload()
        row.wait_for()
        page.wait_for_function(
            "() => [...document.querySelectorAll('.acl .gr')]"
            ".some(one => one.innerText.includes('Lumen') && one.innerText.includes('read metadata'))"
        )
        accessible(page)
        row.get_by_role("button", name="Revoke").click()
        page.wait_for_selector(".acl .gr.gone:has-text('can no longer see this study')")
        page.wait_for_selector(".acl .gr.gone time")
    assert ask(portal, f"/api/v1/grants/{grant['id']}")["ended"]


def test_a_clinician_chooses_by_name(portal):
    study = shareable(portal)
    with portal.person("clinician", path=f"/studies/{study}", scheme="dark") as page:
        page.wait_for_selector(".acl h2")
        page.get_by_role("button", name="Share", exact=True).click()
        page.get_by_text("Colleagues", exact=True).click()
        page.click("[name=whom]")
        page.wait_for_selector("section[role=dialog] [role=option]")
        accessible(page)
        names = page.locator("section[role=dialog] [role=option]").all_inner_texts()
        assert names and "Alex Morgan" in names
        page.keyboard.press("Escape")
        page.wait_for_selector("[role=listbox]", state="hidden")
        page.fill("[name=whom]", "alex")
        page.keyboard.press("Enter")
        assert page.input_value("[name=whom]") == "Alex Morgan"
        page.locator("section[role=dialog] button[type=submit]").click()
        page.locator(".acl .gr:has(.kv)", has_text="Alex Morgan").wait_for(timeout=120_000)


def granted(portal):
    """A study that an application can see, with a history."""
    return next(
        one["images_study"]
        for one in ask(portal, "/api/v1/grants?limit=500")["grants"]
        if one["images_study"] and not one["ended"]
    )


def open_history(page):
    page.get_by_role("tab", name="History").click()
    page.wait_for_selector(".hist li")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_history_is_verified_in_the_page(portal, scheme):
    study = granted(portal)
    with portal.person(path=f"/studies/{study}", scheme=scheme) as page:
        open_history(page)
        page.wait_for_selector(".his .ph .ver", timeout=60_000)
        assert "entries verified" in page.locator(".his .ph").inner_text()
        text = page.locator(".hist").inner_text()
        assert "was given access" in text and "stored images" in text
        assert page.locator(".hist .pm.bad").count() == 0
        # The log's key and head are kept, which are no secrets; of the study nothing.
        kept = page.evaluate("() => ({...localStorage})")
        assert {"wardlight-log-head", "wardlight-log-key"} <= kept.keys()
        assert study not in json.dumps(kept) and "wl_" not in json.dumps(kept)
        accessible(page)
        with page.expect_download() as download:
            page.get_by_role("button", name="Export").click()
        assert b'"entry"' in download.value.path().read_bytes()


def test_a_changed_tile_turns_the_mark_red(portal):
    study = granted(portal)

    def changed(route):
        answer = route.fetch()
        body = bytearray(answer.body())
        for at in range(0, len(body), 32):
            body[at] ^= 1
        route.fulfill(response=answer, body=bytes(body))

    with portal.person(path=f"/studies/{study}") as page:
        page.route("**/api/v1/audit/log/tile/**", changed)
        open_history(page)
        page.wait_for_selector(".his .note.bad", timeout=60_000)
        assert "not what was recorded" in page.locator(".his .note.bad").inner_text()
        assert page.locator(".hist .pm.bad").count() > 0 and page.locator(".hist .ver").count() == 0
        accessible(page)


def test_a_changed_entry_turns_its_mark_red(portal):
    study = granted(portal)

    def changed(route):
        answer = route.fetch()
        page = answer.json()
        page["entries"][-1]["entry"]["outcome"] = "failed"
        route.fulfill(response=answer, json=page)

    with portal.person(path=f"/studies/{study}") as page:
        page.route("**/api/v1/audit/search", changed)
        open_history(page)
        page.wait_for_selector(".his .note.bad", timeout=60_000)
        assert page.locator(".hist .pm.bad").count() == 1


def test_access_ends_for_all_after_a_question(portal):
    study = granted(portal)
    with portal.person(path=f"/studies/{study}") as page:
        page.wait_for_selector(".acl .gr .kv")
        page.get_by_role("button", name="End all access").first.click()
        page.wait_for_selector("section[role=dialog]")
        accessible(page)
        page.keyboard.press("Escape")
        page.wait_for_selector("section[role=dialog]", state="detached")
        assert page.locator(".acl .gr .kv").count() > 0
        page.get_by_role("button", name="End all access").first.click()
        page.locator("section[role=dialog] button[type=submit]").click()
        page.wait_for_selector("text=Only your institution can see this study.")
        page.wait_for_selector(".ward:not(.lit)")


def test_deleted_with_a_receipt_that_verifies(portal, tmp_path):
    study = shareable(portal)
    with portal.person(path=f"/studies/{study}") as page:
        page.wait_for_selector(".st-h h1")
        page.get_by_role("button", name="Delete…").click()
        dialog = page.locator("section[role=dialog]")
        dialog.wait_for()
        accessible(page)
        action = dialog.get_by_role("button", name="Delete study")
        assert action.is_disabled()
        dialog.locator("input").fill(dialog.locator("label b").inner_text())
        action.click()
        page.wait_for_url("**/studies/deleted/*")
        page.wait_for_selector("text=Study deleted, key destroyed", timeout=120_000)
        page.wait_for_selector("text=signature and entry verified", timeout=60_000)
        accessible(page)
        with page.expect_download() as download:
            page.get_by_role("button", name="Receipt").click()
        receipt = tmp_path / "receipt.json"
        receipt.write_bytes(download.value.path().read_bytes())
        page.get_by_role("link", name="Back to studies").click()
        page.wait_for_url("**/studies")
    trust = portal.wardlight.data / "audit-trust.json"
    found = portal.wardlight.wardlight("receipt", "verify", str(receipt), "--trust", str(trust), check=False)
    assert found.returncode == 0, found.stdout + found.stderr
