"""The data map in a real browser: what is held, on which basis, who may see it, and the documents to print."""

from __future__ import annotations

import csv
import io

import pytest

import browser
import live
from portal_kit import TABLET, Portal, accessible

pytestmark = [pytest.mark.system, pytest.mark.long]


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    with (
        live.installation(tmp_path_factory.mktemp("portal"), samples=True) as wardlight,
        browser.chromium() as chromium,
    ):
        yield Portal(wardlight, chromium)


@pytest.mark.parametrize(("scheme", "size"), [("light", None), ("dark", TABLET)])
def test_it_says_what_is_held_and_who_may_see_it(portal, scheme, size):
    with portal.person("privacy-officer", path="/data-map", scheme=scheme, size=size) as page:
        page.wait_for_selector("table.dm tbody th >> nth=13")
        classes, applications = (page.locator("table.dm").nth(number) for number in (0, 1))
        assert classes.locator("tbody tr").count() == 11
        pseudonymised = classes.locator("tr", has_text="image data, pseudonymised").inner_text()
        assert "instances" in pseudonymised and "GDPR 6(1)(e), 9(2)(h)" in pseudonymised
        assert "special category" in pseudonymised
        assert applications.locator("tbody tr").count() == 3
        assert "2 studies" in applications.locator("tbody tr", has_text="Lumen").inner_text()
        assert "2 applications" in page.locator(".ward").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        accessible(page)


def test_each_document_is_a_file(portal):
    with portal.person(path="/data-map") as page:
        page.wait_for_selector("table.dm tbody th >> nth=13")
        for button, form, begins in (
            ("Record of processing", "PDF", b"%PDF-"),
            ("Impact assessment", "HTML", b"<!doctype html>"),
            ("Data map", "CSV", b"row,name,where"),
        ):
            page.get_by_role("button", name=button, exact=True).click()
            with page.expect_download() as got:
                page.get_by_role("menuitem", name=form).click()
            content = got.value.path().read_bytes()
            assert content.startswith(begins)
            page.wait_for_selector(f"text=Made: {got.value.suggested_filename}")
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        assert {row["row"] for row in rows} == {"class", "application"}


def test_the_application_leads_to_what_was_agreed(portal):
    with portal.person(path="/data-map") as page:
        page.locator("table.dm").nth(1).get_by_role("link", name="Lumen Reader").click()
        page.wait_for_url("**/agreements/lumen_reader_demo")


def test_who_may_not_see_it_is_told_so(portal):
    with portal.person("clinician") as page:
        assert page.locator("nav.nav >> text=Data map").count() == 0
    with portal.context() as context:
        page = context.new_page()
        portal.sign_in(page, "clinician", "/data-map")
        page.wait_for_selector("text=You may not see this")
