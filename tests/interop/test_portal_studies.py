"""The list of studies in a real browser: found by typing, and who else can see what."""

from __future__ import annotations

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


def test_studies_are_listed_and_found(portal):
    with portal.person() as page:
        page.wait_for_selector("tbody tr >> nth=5")
        everything = page.locator("tbody tr").count()
        assert everything > 5
        lit = page.locator("tbody tr:has(.acc:not(.none))")
        assert lit.count() >= 1 and "app until" in lit.first.inner_text()
        wanted = page.locator("tbody tr td:first-child").first.inner_text().strip()
        page.fill("input[type=search]", wanted[:8])
        page.wait_for_function("n => document.querySelectorAll('tbody tr').length < n", arg=everything)
        page.wait_for_selector(f"tbody tr:first-child:has-text('{wanted}')")
        page.fill("input[type=search]", "CT")
        page.wait_for_function(
            "() => [...document.querySelectorAll('tbody tr')].every(row => row.innerText.includes('CT'))"
        )
        month = portal.wardlight.search("/studies?limit=1")[0]["00080020"]["Value"][0]
        page.fill("input[type=search]", f"{month[:4]}-{month[4:6]}")
        page.wait_for_function(
            "n => { const rows = document.querySelectorAll('tbody tr').length; return rows > 0 && rows < n; }",
            arg=everything,
        )
        page.locator("tbody tr a").first.click()
        page.wait_for_url("**/studies/*.*")
        page.go_back()
        page.fill("input[type=search]", "nobody is called like this")
        page.wait_for_selector("text=Nothing found")
        accessible(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(portal, scheme):
    with portal.person("clinician", scheme=scheme) as page:
        page.wait_for_selector("tbody tr >> nth=3")
        accessible(page)


def test_who_is_not_signed_in_is_asked_to(portal):
    with portal.context() as context:
        page = context.new_page()
        page.goto(f"{portal.url}/studies?q=x")
        page.wait_for_url("**/signin?return=%2Fstudies%3Fq%3Dx")


def ctrl_k(page):
    """The spotlight, ready for what is typed."""
    page.keyboard.press("Control+k")
    page.wait_for_function("() => document.activeElement.closest('[role=dialog]') !== null")


def test_ctrl_k_leads_anywhere(portal):
    with portal.person() as page:
        page.wait_for_selector("tbody tr >> nth=3")
        wanted = page.locator("tbody tr td:first-child").first.inner_text().strip()
        ctrl_k(page)
        page.wait_for_selector("[role=dialog] [role=option] >> nth=3")
        accessible(page)
        page.keyboard.type("peo")
        page.wait_for_selector("[role=option]:has-text('People')")
        page.keyboard.press("Enter")
        page.wait_for_url("**/people")
        # From a field, too: it goes on from wherever one is.
        page.focus("input[type=search]")
        ctrl_k(page)
        page.keyboard.type(wanted[:8].lower())
        page.wait_for_selector(f"[role=option]:has-text('{wanted}')")
        accessible(page)
        page.keyboard.press("Enter")
        page.wait_for_url("**/studies/*.*")
        ctrl_k(page)
        page.keyboard.type("lumen")
        page.locator("[role=option]", has_text="Lumen Reader").first.click()
        page.wait_for_url("**/agreements/lumen_reader_demo")
        ctrl_k(page)
        page.wait_for_selector("[role=dialog]")
        page.keyboard.press("Escape")
        page.wait_for_selector("[role=dialog]", state="detached")
    with portal.person("clinician") as page:
        ctrl_k(page)
        page.wait_for_selector("[role=option]")
        page.keyboard.type("lumen")
        page.wait_for_selector("text=Nothing begins like this")
        assert page.locator("[role=option]").count() == 0
