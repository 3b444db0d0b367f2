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
