"""npm's dicomweb-client, which OHIF and others are built on, in Chromium against a running Wardlight."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from playwright.sync_api import Page
from pydicom.data import get_testdata_file

import browser
import live

# Installs the client, and starts an installation and a browser.
pytestmark = [pytest.mark.system, pytest.mark.long]

PAGE = b"""<!doctype html><meta charset="utf-8"><title>client</title>
<script src="/build/dicomweb-client.js"></script>"""

#: One of each kind of encoding that the client has a way of asking for.
NAMES = ("CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "color3d_jpeg_baseline.dcm", "emri_small.dcm")

SETUP = """() => {
    window.client = new DICOMwebClient.api.DICOMwebClient({url: location.origin + '/dicom-web'});
    window.text = buffer => {
        const bytes = new Uint8Array(buffer);
        let letters = '';
        for (let at = 0; at < bytes.length; at += 32768)
            letters += String.fromCharCode(...bytes.subarray(at, at + 32768));
        return btoa(letters);
    };
    window.head = buffer => text(buffer.slice(0, 132));
}"""


@pytest.fixture(scope="module")
def wardlight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Installation]:
    with live.installation(tmp_path_factory.mktemp("js")) as running:
        yield running


@pytest.fixture(scope="module")
def page(wardlight: live.Installation) -> Iterator[Page]:
    folder = browser.npm_package("dicomweb-client")
    with browser.front(wardlight, folder, {"/": PAGE}) as front, browser.chromium() as chromium:
        page = chromium.new_page()
        page.goto(front.url)
        page.evaluate(SETUP)
        yield page


@pytest.fixture(scope="module")
def stored(page: Page) -> dict[str, pydicom.Dataset]:
    """Files of pydicom, sent by the client itself; by name, as they were sent."""
    files = [Path(get_testdata_file(name)) for name in NAMES]
    data = [base64.b64encode(file.read_bytes()).decode() for file in files]
    page.evaluate(
        """async files => {
            const datasets = files.map(file => Uint8Array.from(atob(file), c => c.charCodeAt(0)).buffer);
            await client.storeInstances({datasets});
        }""",
        data,
    )
    return {file.name: pydicom.dcmread(file) for file in files}


def of(dataset: pydicom.Dataset) -> dict[str, Any]:
    return {
        "studyInstanceUID": str(dataset.StudyInstanceUID),
        "seriesInstanceUID": str(dataset.SeriesInstanceUID),
        "sopInstanceUID": str(dataset.SOPInstanceUID),
    }


def test_searches(page: Page, stored: dict[str, pydicom.Dataset]) -> None:
    dataset = stored["CT_small.dcm"]
    studies = page.evaluate(
        "id => client.searchForStudies({queryParams: {PatientID: id}})", str(dataset.PatientID)
    )
    assert [row["0020000D"]["Value"] for row in studies] == [[dataset.StudyInstanceUID]]
    series = page.evaluate("uids => client.searchForSeries(uids)", of(dataset))
    assert [row["0020000E"]["Value"] for row in series] == [[dataset.SeriesInstanceUID]]
    instances = page.evaluate("uids => client.searchForInstances(uids)", of(dataset))
    assert [row["00080018"]["Value"] for row in instances] == [[dataset.SOPInstanceUID]]


@pytest.mark.parametrize("name", NAMES)
def test_metadata_and_its_bulk_data(page: Page, stored: dict[str, pydicom.Dataset], name: str) -> None:
    dataset = stored[name]
    for level in ("Study", "Series", "Instance"):
        found = page.evaluate(f"uids => client.retrieve{level}Metadata(uids)", of(dataset))
        found = next(
            row
            for row in (found if isinstance(found, list) else [found])
            if row["00080018"]["Value"] == [dataset.SOPInstanceUID]
        )
        assert found["00280010"]["Value"] == [dataset.Rows]
    uri = found["7FE00010"]["BulkDataURI"]
    # The front's address is another than the platform's own, as behind any proxy.
    parts = page.evaluate(
        """async uri => (await client.retrieveBulkData({BulkDataURI: new URL(uri).pathname})).map(text)""",
        uri,
    )
    if name == "CT_small.dcm":
        assert [base64.b64decode(part) for part in parts] == [dataset.PixelData]
    else:
        assert parts and parts[0]


@pytest.mark.parametrize("name", NAMES)
def test_frames_as_octets_are_pixels(page: Page, stored: dict[str, pydicom.Dataset], name: str) -> None:
    """What the client asks for by default: plain octets in explicit little endian, whatever is stored."""
    dataset = stored[name]
    frames = page.evaluate(
        "async uids => (await client.retrieveInstanceFrames({...uids, frameNumbers: [1]})).map(text)",
        of(dataset),
    )
    size = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
    assert [len(base64.b64decode(frame)) for frame in frames] == [size]
    if name == "CT_small.dcm":
        assert base64.b64decode(frames[0]) == dataset.PixelData[:size]


def test_frames_as_stored(page: Page, stored: dict[str, pydicom.Dataset]) -> None:
    """The client's list of (media type, transfer syntax) for compressed frames gets the stored bytes."""
    media_types = [
        {"mediaType": "image/jp2", "transferSyntaxUID": "1.2.840.10008.1.2.4.90"},
        {"mediaType": "image/jpeg", "transferSyntaxUID": "1.2.840.10008.1.2.4.50"},
    ]
    for name, start in (
        ("JPEG2000.dcm", b"\xff\x4f\xff\x51"),
        ("color3d_jpeg_baseline.dcm", b"\xff\xd8\xff"),
    ):
        answer = page.evaluate(
            """async ([uids, mediaTypes]) =>
                text((await client.retrieveInstanceFrames({...uids, frameNumbers: [1], mediaTypes}))[0])""",
            [of(stored[name]), media_types],
        )
        assert start in base64.b64decode(answer)


@pytest.mark.parametrize("name", NAMES)
def test_whole_instances(page: Page, stored: dict[str, pydicom.Dataset], name: str) -> None:
    instance = page.evaluate("async uids => head(await client.retrieveInstance(uids))", of(stored[name]))
    assert base64.b64decode(instance)[128:132] == b"DICM"
    series = page.evaluate("async uids => (await client.retrieveSeries(uids)).map(head)", of(stored[name]))
    assert base64.b64decode(series[0])[128:132] == b"DICM"


@pytest.mark.parametrize("name", NAMES)
def test_rendered(page: Page, stored: dict[str, pydicom.Dataset], name: str) -> None:
    uids = of(stored[name])
    for call, extra in (
        ("retrieveInstanceRendered", {}),
        ("retrieveInstanceThumbnail", {}),
        ("retrieveInstanceFramesRendered", {"frameNumbers": [1]}),
        ("retrieveInstanceFramesThumbnail", {"frameNumbers": [1]}),
    ):
        options = {**uids, **extra, "mediaTypes": [{"mediaType": "image/jpeg"}]}
        picture = page.evaluate(f"async options => text((await client.{call}(options))[0])", options)
        assert base64.b64decode(picture).startswith(b"\xff\xd8\xff"), call
    window = {**uids, "mediaTypes": [{"mediaType": "image/png"}], "queryParams": {"viewport": "64,64"}}
    picture = page.evaluate(
        "async options => text((await client.retrieveInstanceRendered(options))[0])", window
    )
    assert base64.b64decode(picture).startswith(b"\x89PNG")
