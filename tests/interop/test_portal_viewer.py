"""The page of one study in a real browser: pictures that move, tools that measure, reports that are read."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import pydicom
import pytest
from bench.corpora import corpus
from dicomweb_client.api import DICOMwebClient
from playwright.sync_api import Page
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian, generate_uid

import browser
import live
from portal_kit import TABLET, Portal, accessible

pytestmark = [pytest.mark.system, pytest.mark.long]

_DATA = Path(__file__).parents[2] / "bench-data"
#: Of the canvas: a sum over the picture, and how many of its pixels are not black.
_PIXELS = """() => {
  const shown = document.querySelector(".pic canvas");
  const canvas = new OffscreenCanvas(shown.width, shown.height);
  const copy = canvas.getContext("2d", { willReadFrequently: true });
  copy.drawImage(shown, 0, 0);
  const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
  let [sum, lit] = [0, 0];
  for (let i = 0; i < pixels.length; i += 4) { sum = (sum * 31 + pixels[i]) % 1000003; lit += pixels[i] > 20; }
  return [sum, lit];
}"""
#: Presses a key at each frame that the browser draws; how many pictures were seen, in which time.
_HELD = """async (presses) => {
  const [view, viewer] = [document.querySelector(".vi"), document.querySelector(".vw")];
  const seen = new Set();
  const watch = new MutationObserver(() => seen.add(view.dataset.index));
  watch.observe(view, { attributes: true });
  const begun = performance.now();
  for (let i = 0; i < presses; i += 1) {
    viewer.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
    await new Promise((next) => requestAnimationFrame(next));
  }
  const took = performance.now() - begun;
  await new Promise((next) => setTimeout(next, 500));
  watch.disconnect();
  return { seen: seen.size, seconds: took / 1000 };
}"""


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    with (
        live.installation(tmp_path_factory.mktemp("viewer"), samples=True) as wardlight,
        browser.chromium() as chromium,
    ):
        yield Portal(wardlight, chromium)


@pytest.fixture(scope="module")
def ct(portal) -> str:
    """The CT of the demo with the most images."""
    rows = portal.wardlight.search("/studies?ModalitiesInStudy=CT")
    return max(rows, key=lambda row: row["00201208"]["Value"][0])["0020000D"]["Value"][0]


def _store(portal: Portal, dataset: Dataset) -> str:
    headers = {"Authorization": f"Bearer {portal.wardlight.token()}"}
    DICOMwebClient(url=portal.wardlight.dicomweb, headers=headers).store_instances([dataset])
    return str(dataset.StudyInstanceUID)


def _shown(page: Page) -> None:
    page.wait_for_selector(".vi[data-shown=true]", timeout=60_000)


def _at(page: Page, index: int) -> None:
    page.wait_for_selector(f".vi[data-index='{index}']")


def _drag(page: Page, *points: tuple[float, float]) -> None:
    """From place to place, each a share of the viewer's picture, with the button held."""
    box: Any = page.locator(".pic").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def test_a_ct_is_seen_scrolled_windowed_and_measured(portal, ct):
    with portal.person(path=f"/studies/{ct}") as page:
        _shown(page)
        page.wait_for_selector(".ov.bl:has-text('Image 1 /')")
        first, lit = page.evaluate(_PIXELS)
        assert lit > 1000
        page.focus(".vw")
        for key, index in (("ArrowDown", 1), ("ArrowRight", 2), ("ArrowUp", 1)):
            page.keyboard.press(key)
            _at(page, index)
        page.wait_for_timeout(200)
        assert page.evaluate(_PIXELS)[0] != first
        page.locator(".pic").hover()
        page.mouse.wheel(0, 100)
        _at(page, 2)
        page.keyboard.press("2")
        page.wait_for_selector(".ov.bl[data-window='1500/-600']")
        page.click(".vp:has(.vpn)")
        page.get_by_role("menuitem", name="Bone").click()
        page.wait_for_selector(".ov.bl[data-window='1500/300']")
        _drag(page, (0.5, 0.5), (0.6, 0.55))
        page.wait_for_selector(".ov.bl:not([data-window='1500/300'])")
        page.focus(".vw")
        page.keyboard.press("0")
        page.wait_for_selector(".ov.bl[data-window='400/40']")
        page.keyboard.press("l")
        _drag(page, (0.4, 0.5), (0.5, 0.45))
        page.wait_for_selector(".pic svg text:has-text('mm')")
        page.keyboard.press("r")
        _drag(page, (0.45, 0.55), (0.55, 0.65))
        page.wait_for_selector(".pic svg ellipse, .pic svg path")
        page.keyboard.press("c")
        page.wait_for_selector(".vt[aria-label='Stop (C)']")
        page.wait_for_selector(".vi:not([data-index='2'])")
        page.keyboard.press("c")
        assert page.locator(".ov.br").inner_text().endswith("Not for primary diagnosis")


def test_keys_act_only_with_the_focus_and_what_an_object_says_is_found(portal, ct):
    with portal.person("clinician", path=f"/studies/{ct}") as page:
        _shown(page)
        page.get_by_role("tab", name="Metadata").click()
        page.wait_for_selector(".md-t tr:has-text('Photometric Interpretation'):has-text('MONOCHROME2')")
        page.fill(".md input", "0028,0010")
        page.wait_for_function("document.querySelectorAll('.md-t tbody tr').length === 1")
        assert "Rows" in page.locator(".md-t tbody tr").inner_text()
        page.keyboard.type(" lap")
        page.wait_for_selector("text=No element is like this")
        page.keyboard.press("ArrowDown")
        assert page.locator(".vi").get_attribute("data-index") == "0"
        assert page.locator(".vt.on").get_attribute("aria-label") == "Window (W)"


def test_pictures_reports_and_documents_of_many_kinds_are_seen(portal):
    """Colour, palettes, more frames than one, pixels compressed in several ways; reports as text; PDF."""
    names = (
        "examples_ybr_color.dcm",
        "examples_palette.dcm",
        "MR_small_RLE.dcm",
        "JPEG2000.dcm",
        "test-SR.dcm",
    )
    files = {name: pydicom.dcmread(get_testdata_file(name, download=False)) for name in names}
    studies = {name: _store(portal, file) for name, file in files.items()}
    with portal.person(path=f"/studies/{studies[names[0]]}") as page:
        for name in names[:-1]:
            page.goto(f"{portal.url}/studies/{studies[name]}")
            _shown(page)
            page.wait_for_timeout(300)
            assert page.evaluate(_PIXELS)[1] > 500, name
            assert page.locator(".v-bad").count() == 0, name
        page.goto(f"{portal.url}/studies/{studies['test-SR.dcm']}")
        page.frame_locator("iframe.doc").locator("text=Some UID").wait_for()
        assert page.locator("iframe.doc").get_attribute("sandbox") == ""
        page.goto(f"{portal.url}/studies/{_store(portal, _document())}")
        page.wait_for_selector("iframe.doc[src^='blob:']")
        page.goto(f"{portal.url}/studies/1.2.3")
        page.wait_for_selector("text=There is no such study")


def _document() -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = EncapsulatedPDFStorage
    dataset.file_meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientID, dataset.Modality, dataset.InstanceNumber = "DOCUMENT-1", "DOC", 1
    dataset.DocumentTitle, dataset.MIMETypeOfEncapsulatedDocument = "Letter", "application/pdf"
    dataset.EncapsulatedDocument = (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    )
    written = io.BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return pydicom.dcmread(io.BytesIO(written.getvalue()))


@pytest.mark.parametrize(("scheme", "role"), [("light", "clinician"), ("dark", "administrator")])
def test_axe_finds_nothing(portal, ct, scheme, role):
    with portal.person(role, path=f"/studies/{ct}", scheme=scheme) as page:
        _shown(page)
        accessible(page)
        page.get_by_role("tab", name="Metadata").click()
        page.wait_for_selector(".md-t tbody tr")
        accessible(page)
        page.set_viewport_size(TABLET)
        page.wait_for_timeout(300)
        accessible(page)


def test_a_long_series_is_scrolled_through(portal, tmp_path, record_property):
    """Every picture is seen; the figures are for who reads the report."""
    count = 500 if (_DATA / "a-500/.complete").exists() else 60
    folder = corpus(_DATA if count == 500 else tmp_path, "a", count)
    title, port = portal.wardlight.ae_titles["identified"], str(portal.wardlight.dicom_port)
    send = ["dcmsend", "-aet", "PORTAL", "-aec", title, "+sd", "+sp", "*.dcm", "127.0.0.1", port, str(folder)]
    subprocess.run(send, check=True)
    study = str(pydicom.dcmread(next(folder.glob("*.dcm")), stop_before_pixels=True).StudyInstanceUID)
    live.wait_until(lambda: portal.wardlight.search(f"/studies?StudyInstanceUID={study}"), what="the series")
    with portal.person(path=f"/studies/{study}") as page:
        _shown(page)
        ready = page.evaluate(
            "performance.getEntriesByType('resource').find(x => /frames/.test(x.name)).responseEnd"
        )
        page.wait_for_selector(f".scr[aria-valuemax='{count}']")
        page.focus(".vw")
        held = page.evaluate(_HELD, count - 1)
        _at(page, count - 1)
        assert held["seen"] > count * 0.5
        record_property("first picture is there, ms from navigation", round(ready))
        record_property("pictures a second", round(held["seen"] / held["seconds"], 1))
        print(f"{count} images: first after {ready:.0f} ms, {held['seen']} in {held['seconds']:.1f} s")
