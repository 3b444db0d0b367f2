"""Around the pictures, in a real browser: measurements that stay, what lies over images, other viewers, keys."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import unquote

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from playwright.sync_api import Page
from pydicom.dataset import Dataset

import browser
import live
import viewer_objects
from portal_kit import Portal, accessible

pytestmark = [pytest.mark.system, pytest.mark.long]

#: How many pixels of the canvas over the picture are coloured, and their sum of red and of green.
_COLOURED = """() => {
  const shown = document.querySelector(".v-ovl");
  const copy = new OffscreenCanvas(shown.width, shown.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(shown, 0, 0);
  const pixels = copy.getImageData(0, 0, shown.width, shown.height).data;
  let [count, red, green] = [0, 0, 0];
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i + 3]) { count += 1; red += pixels[i]; green += pixels[i + 1]; }
  }
  return [count, red, green];
}"""


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    with live.installation(tmp_path_factory.mktemp("tools")) as wardlight, browser.chromium() as chromium:
        yield Portal(wardlight, chromium)


def _client(portal: Portal) -> DICOMwebClient:
    headers = {"Authorization": f"Bearer {portal.wardlight.token()}"}
    return DICOMwebClient(url=portal.wardlight.dicomweb, headers=headers)


def _store(portal: Portal, *sets: Dataset) -> str:
    answer = _client(portal).store_instances(list(sets))
    assert not answer.get("FailedSOPSequence"), answer
    return str(sets[0].StudyInstanceUID)


def _open(page: Page, portal: Portal, study: str) -> None:
    page.goto(f"{portal.url}/studies/{study}")
    page.wait_for_selector(".vi[data-shown=true]", timeout=60_000)
    page.wait_for_selector(".scr[aria-valuemax='4']")


def _drag(page: Page, *points: tuple[float, float]) -> None:
    box: Any = page.locator(".pic").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def _labels(page: Page) -> list[str]:
    return [one for one in page.locator(".pic svg text").all_text_contents() if one.strip()]


def _reports(portal: Portal, study: str) -> list[pydicom.Dataset]:
    client = _client(portal)
    series = client.search_for_series(study, search_filters={"Modality": "SR"})
    found = []
    for row in series:
        found += client.retrieve_series(study, row["0020000E"]["Value"][0])
    return sorted(found, key=lambda one: int(one.InstanceNumber))


def test_measurements_are_kept_as_a_report_and_are_there_again(portal):
    study = _store(portal, *viewer_objects.ct())
    with portal.person("clinician", path="/studies") as page:
        _open(page, portal, study)
        page.focus(".vw")
        for key, way in (
            ("l", ((0.40, 0.40), (0.50, 0.45))),
            ("r", ((0.55, 0.55), (0.60, 0.62))),
            ("b", ((0.40, 0.60), (0.48, 0.70))),
        ):
            page.keyboard.press(key)
            _drag(page, *way)
            page.focus(".vw")
        page.wait_for_selector("button:has-text('Save 3')")
        page.wait_for_timeout(300)
        before = sorted(_labels(page))
        page.keyboard.press("m")
        page.wait_for_selector(".v-said:has-text('Saved')")
        page.wait_for_selector("button[aria-label^='Save measurements'][disabled]")
        _open(page, portal, study)
        page.wait_for_selector(".pic svg text:has-text('mm')")
        page.wait_for_timeout(500)
        assert sorted(_labels(page)) == before
        assert page.locator("button[aria-label^='Save measurements'][disabled]").count() == 1
        page.focus(".vw")
        page.keyboard.press("Delete")
        page.wait_for_selector("button:has-text('Save 3')")
        page.keyboard.press("m")
        page.wait_for_selector(".v-said:has-text('Saved')")
        _open(page, portal, study)
        page.wait_for_timeout(800)
        assert _labels(page) == []
    first, second = _reports(portal, study)
    groups = first.ContentSequence[-1].ContentSequence
    assert len(groups) == 3 and "ContentSequence" not in second.ContentSequence[-1]
    replaced = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert replaced.ReferencedSOPInstanceUID == first.SOPInstanceUID
    observers = [one.PersonName for one in first.ContentSequence if one.ValueType == "PNAME"]
    # The patient is named in this study, and so is who measured: not by the id that stands beside it.
    login = next(one.TextValue for one in first.ContentSequence if one.ValueType == "TEXT")
    assert len(observers) == 1 and str(observers[0]) not in ("", login)


def test_segments_lie_over_their_images_and_are_shown_and_hidden(portal):
    images = viewer_objects.ct()
    study = _store(portal, *images, viewer_objects.segmentation(images))
    with portal.person("clinician", path="/studies") as page:
        _open(page, portal, study)
        page.wait_for_selector(".v-ovl[data-drawn='1']")
        count, red, green = page.evaluate(_COLOURED)
        assert count > 1000
        page.get_by_label("Liver").uncheck()
        page.wait_for_selector(".v-ovl[data-drawn='0']")
        assert page.evaluate(_COLOURED)[0] == 0
        page.focus(".vw")
        page.keyboard.press("End")
        page.wait_for_selector(".vi[data-index='3']")
        page.wait_for_selector(".v-ovl[data-drawn='1']")
        # The palette's second colour is green: the spleen has none of its own.
        _, red, green = page.evaluate(_COLOURED)
        assert green > red
        page.get_by_role("button", name="Show all").click()
        assert page.get_by_label("Liver").is_checked()
        page.get_by_role("button", name="Hide all").click()
        page.wait_for_selector(".v-ovl[data-drawn='0']")
        page.get_by_role("button", name="Show all").click()
        page.wait_for_selector(".v-ovl[data-drawn='1']")
        accessible(page)


def test_fractions_are_found_by_where_they_lie_and_fade(portal):
    images = viewer_objects.ct()
    study = _store(portal, *images, viewer_objects.segmentation(images, fractional=True, sourced=False))
    with portal.person("clinician", path="/studies") as page:
        _open(page, portal, study)
        page.wait_for_selector(".v-ovl[data-drawn='1']")
        strength = page.evaluate(
            """() => { const c = document.querySelector(".v-ovl"); const p = c.getContext("2d")
              .getImageData(0, 0, c.width, c.height).data; let most = 0;
              for (let i = 3; i < p.length; i += 4) most = Math.max(most, p[i]); return most; }"""
        )
        # 150 of 200 at an opacity of one half.
        assert abs(strength - 0.75 * 0.5 * 255) <= 3
        # Choosing the segmentation shows what it lies over.
        page.get_by_role("button", name=re.compile("Fractions")).click()
        page.wait_for_selector(".vi[data-shown=true]")
        assert page.locator(".se.on").inner_text().find("Fractions") < 0


def test_structures_are_drawn_as_contours(portal):
    images = viewer_objects.ct()
    study = _store(portal, *images, viewer_objects.structures(images))
    with portal.person("clinician", path="/studies") as page:
        _open(page, portal, study)
        page.wait_for_selector(".v-ovl[data-drawn='1']")
        count, red, green = page.evaluate(_COLOURED)
        assert count > 500 and red > green
        page.get_by_label("Bladder").uncheck()
        page.wait_for_selector(".v-ovl[data-drawn='0']")
        # An organ without a contour is nothing to be shown.
        assert page.get_by_label("Isocentre").count() == 0


@pytest.mark.parametrize("viewer", ["Weasis", "3D Slicer"])
def test_another_viewer_opens_this_study_until_the_link_is_ended(portal, viewer):
    study, other = _store(portal, *viewer_objects.ct()), _store(portal, *viewer_objects.ct())
    with portal.person("clinician", path="/studies") as page:
        _open(page, portal, study)
        page.get_by_role("button", name="Open in").click()
        page.get_by_role("menuitem", name=viewer).click()
        page.get_by_role("button", name="Make the link").click()
        link = page.get_by_role("link", name=f"Open {viewer}")
        link.wait_for()
        url = unquote(link.get_attribute("href"))
        assert study in url
        token = re.search(r"wl_vt_[\w-]{48}", url)[0]
        accessible(page)

        def ask(path: str) -> tuple[int, Any]:
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/dicom+json"}
            request = urllib.request.Request(portal.wardlight.dicomweb + path, headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return answer.status, json.loads(answer.read() or b"[]")
            except urllib.error.HTTPError as error:
                return error.code, None

        # As Weasis and Slicer do it: the study, its series, their instances.
        status, rows = ask("/studies")
        assert status == 200 and [row["0020000D"]["Value"][0] for row in rows] == [study]
        series = ask(f"/studies/{study}/series")[1][0]["0020000E"]["Value"][0]
        assert len(ask(f"/studies/{study}/series/{series}/instances")[1]) == 4
        assert ask(f"/studies/{other}/series")[0] == 404
        page.get_by_role("button", name="End it now").click()
        page.wait_for_selector("text=Your links to this study have ended.")
        assert ask(f"/studies/{study}/series")[0] == 401


def test_a_page_of_keys(portal):
    study = _store(portal, *viewer_objects.ct())
    with portal.person("clinician", path="/studies") as page:
        _open(page, portal, study)
        page.focus(".vw")
        page.keyboard.press("?")
        page.get_by_role("dialog", name="Keyboard and mouse").wait_for()
        accessible(page)
        page.keyboard.press("Escape")
        page.wait_for_selector(".v-help", state="detached")
        page.keyboard.press("ArrowDown")
        page.wait_for_selector(".vi[data-index='1']")
