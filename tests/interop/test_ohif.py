"""OHIF as it comes from npm, in Chromium, on a running Wardlight: its study list, a CT, and what it asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import browser
import live

pytestmark = [pytest.mark.system, pytest.mark.long]

CONFIGURATION = {
    "routerBasename": "/",
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "defaultDataSourceName": "wardlight",
    "maxNumberOfWebWorkers": 2,
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "wardlight",
            "configuration": {
                "friendlyName": "Wardlight",
                "name": "wardlight",
                "qidoRoot": "/dicom-web",
                "wadoRoot": "/dicom-web",
                "wadoUriRoot": "/dicom-web/wado",
                "qidoSupportsIncludeField": True,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "supportsFuzzyMatching": True,
                "supportsWildcard": True,
                "supportsReject": False,
                "bulkDataURI": {"enabled": True},
            },
        }
    ],
}


@pytest.fixture(scope="module")
def wardlight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Installation]:
    with live.installation(tmp_path_factory.mktemp("ohif"), samples=True) as running:
        yield running


def _open(wardlight: live.Installation) -> Iterator[tuple[Page, browser.Front]]:
    dist = browser.npm_package("@ohif/app") / "dist"
    pages = {
        "/": (dist / "index.html").read_bytes(),
        "/app-config.js": b"window.config = " + json.dumps(CONFIGURATION).encode() + b";",
    }
    with browser.front(wardlight, dist, pages) as front, browser.chromium() as chromium:
        page = chromium.new_page(viewport={"width": 1400, "height": 900})
        yield page, front


@pytest.fixture(scope="module")
def ohif(wardlight: live.Installation) -> Iterator[tuple[Page, browser.Front]]:
    yield from _open(wardlight)


def test_study_list_shows_the_studies(wardlight: live.Installation, ohif: tuple[Page, browser.Front]) -> None:
    page, front = ohif
    page.goto(front.url)
    for description in wardlight.facts["study_descriptions"][:3]:
        expect(page.get_by_text(description).first).to_be_visible(timeout=60_000)
    _all_answered(front)


def test_images_are_drawn(
    wardlight: live.Installation, ohif: tuple[Page, browser.Front], tmp_path: Path
) -> None:
    page, front = ohif
    for study in wardlight.search("/studies?ModalitiesInStudy=CT&limit=1"):
        page.goto(f"{front.url}/viewer?StudyInstanceUIDs={study['0020000D']['Value'][0]}")
        canvas = page.locator("canvas").first
        expect(canvas).to_be_visible(timeout=90_000)
        # Frames came, and the picture has more than one grey value.
        page.wait_for_function(
            """() => [...document.querySelectorAll('canvas')].some(canvas => {
                const copy = document.createElement('canvas');
                copy.width = copy.height = 64;
                const context = copy.getContext('2d');
                context.drawImage(canvas, 0, 0, 64, 64);
                return new Set(context.getImageData(0, 0, 64, 64).data).size > 20;
            })""",
            timeout=90_000,
        )
        page.screenshot(path=tmp_path / "ohif.png")
    kinds = {path.partition("?")[0].rsplit("/", 2)[-2] for _, path, _, _ in front.asked}
    assert "frames" in kinds
    _all_answered(front)


def _all_answered(front: browser.Front) -> None:
    refused = [row for row in front.asked if row[3] >= 400]
    assert not refused
