"""Upload in a real browser: a folder, a network that goes, a page that is reloaded; nothing is lost or sent twice."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
import zipfile
from pathlib import Path

import pydicom.data
import pytest

import browser
import live
from archive_kit import dataset, part10
from portal_kit import Portal, accessible

pytestmark = [pytest.mark.system, pytest.mark.long]

STUDY = "1.2.826.0.1.3680043.8.498.77"
SLICES = 60


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    with (
        live.installation(tmp_path_factory.mktemp("portal"), samples=False) as wardlight,
        browser.chromium() as chromium,
    ):
        yield Portal(wardlight, chromium)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """pydicom's test files, a CT of sixty slices in a folder of its own, and what is no DICOM."""
    made = tmp_path_factory.mktemp("disc") / "disc"
    (made / "CT" / "one").mkdir(parents=True)
    for number in range(SLICES):
        image = dataset(
            StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1", SOPInstanceUID=f"{STUDY}.1.{number + 1}",
            InstanceNumber=str(number + 1), ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], Rows=512, Columns=512,
            PixelData=bytes([number % 256, 0]) * 512 * 512, StudyDescription="Thorax of sixty",
        )  # fmt: skip
        (made / "CT" / "one" / f"IM{number:04}").write_bytes(part10(image))
    for file in sorted((Path(pydicom.data.__file__).parent / "test_files").glob("*.dcm"))[:25]:
        shutil.copy(file, made / file.name)
    (made / "notes.txt").write_text("nothing of the kind" * 20)
    return made


def choose(page, what, button="Choose a folder"):
    with page.expect_file_chooser() as chooser:
        page.click(f"text={button}")
    chooser.value.set_files(what)
    page.wait_for_selector(".tot .btn.pri:not([disabled])", timeout=60_000)


def shown(page):
    """Counts of the legend by their word."""
    text = page.locator(".leg").inner_text()
    return {
        word: int(number.replace(",", "")) for number, word in re.findall(r"([\d,]+) (\w+(?: \w+)?)", text)
    }


def studies_of(portal):
    """Instances of each study, as the archive says."""
    person = next(row for row in portal.wardlight.facts["people"] if row["role"] == "administrator")
    request = urllib.request.Request(
        f"{portal.wardlight.dicomweb}/studies?includefield=00201208",
        headers={"Authorization": f"Bearer {person['token']}", "Accept": "application/dicom+json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        body = answer.read()
    return [row["00201208"]["Value"][0] for row in json.loads(body or b"[]")]


def test_a_broken_connection_and_a_reload_lose_nothing(portal, folder):
    with portal.context() as context:
        page = context.new_page()
        portal.sign_in(page, "administrator", "/upload")
        choose(page, str(folder))
        total = int(page.locator(".tot .pct").inner_text().replace(",", ""))
        assert total >= SLICES + 15
        assert "notes.txt" in page.locator(".rc").inner_text()
        row = page.locator("tr.g:has-text('Thorax of sixty')")
        assert "60 files" in row.inner_text()
        accessible(page)

        sent, cut = [], {"after": 3}

        def network(route):
            if route.request.method == "PATCH":
                if len(sent) >= cut["after"]:
                    route.abort("connectionreset")
                    return
                sent.append(int(route.request.headers.get("upload-offset", "0")))
            route.continue_()

        page.route("**/api/v1/uploads/**", network)
        page.click(".tot .btn.pri")
        page.wait_for_selector("text=No connection.")
        # The network is back for a moment: it goes on by itself.
        cut["after"] = len(sent) + 3
        while len(sent) < cut["after"]:
            page.wait_for_timeout(100)
        page.wait_for_timeout(500)
        page.reload()
        page.wait_for_selector("text=was interrupted")
        before = len(sent)
        cut["after"] = before + 2
        choose(page, str(folder))
        page.click(".tot .btn.pri")
        page.wait_for_selector("text=No connection.")
        cut["after"] = 10_000
        page.wait_for_selector("text=Upload finished", timeout=300_000)
        assert page.locator("text=Connection came back").count() == 1
        counts = shown(page)
        done = counts["stored"] + counts["held back"] + counts["stored before"] + counts["refused"]
        assert done == total
        # What had come was not sent again: some piece of after the reload begins behind the first byte.
        assert any(offset > 0 for offset in sent[before:])
        page.locator("tr.g:has-text('Thorax of sixty') .fold").click()
        page.wait_for_selector("tr:has-text('IM00') >> nth=0")
        assert page.locator(".up tbody tr").count() < 60  # Only what is in view is in the page.
        accessible(page)
    live.wait_until(lambda: SLICES in studies_of(portal), 90, "the study in the archive")


def test_the_same_again_and_a_zip(portal, folder, tmp_path):
    archive = tmp_path / "slices.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for file in sorted((folder / "CT" / "one").iterdir())[:5]:
            made.write(file, f"../../etc/{file.name}")
        made.writestr("readme.txt", "nothing of the kind")
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros.dcm", bytes(64 << 20))
    with portal.person("clinician", path="/upload") as page:
        choose(page, [str(archive), str(bomb)], "Choose files")
        assert "5 files" in page.locator("tr.g").first.inner_text()
        said = page.locator(".rc").inner_text()
        assert "grow more than a hundredfold" in said and "readme.txt" in said
        page.click(".tot .btn.pri")
        page.wait_for_selector("text=Upload finished", timeout=120_000)
        assert shown(page)["stored before"] == 5
        accessible(page)


def test_who_may_not_store_sees_no_page(portal):
    with portal.context() as context:
        page = context.new_page()
        portal.sign_in(page, "researcher", "/studies")
        assert page.locator("nav >> text=Upload").count() == 0
        page.goto(f"{portal.url}/upload")
        page.wait_for_selector("text=You may not see this")
