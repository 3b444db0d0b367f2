"""Rendered video and reports in Chromium: each frame is shown at its time, and a hostile report runs nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

import browser
from archive_kit import dataset, part10
from unit.dicomweb.test_rendered_text import HOSTILE, content, report
from web_kit import Web, a_web, parts

pytestmark = [pytest.mark.system, pytest.mark.long]

#: The colour of the middle of each frame, as the browser shows it; steps of the clock lie in the middle of frames.
SHOWN = """async ({data, count, each}) => {
  const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
  const video = document.createElement('video');
  video.muted = true;
  video.src = URL.createObjectURL(new Blob([bytes], {type: 'video/mp4'}));
  await new Promise((done, failed) => {
    video.onloadeddata = done;
    video.onerror = () => failed(video.error.message);
  });
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  const found = [];
  for (let n = 0; n < count; n++) {
    const sought = new Promise(done => { video.onseeked = done; });
    video.currentTime = (n + 0.5) * each / 1000;
    await sought;
    pen.drawImage(video, 0, 0);
    found.push([...pen.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data].slice(0, 3));
  }
  return {found, width: canvas.width, height: canvas.height, duration: video.duration};
}"""


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with a_web() as web:
        yield web


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser.chromium() as chromium:
        yield chromium.new_page()


def test_video_frame_by_frame(web: Web, page: Page) -> None:
    """30 frames of one colour each, in three runs of the encoder, shown as the same frames are as pictures."""
    colours = np.random.default_rng(3).integers(0, 256, (30, 3), np.uint8)
    pixels = np.repeat(np.repeat(colours[:, None, None, :], 41, 1), 35, 2)
    ds = dataset(
        NumberOfFrames="30", FrameTime="40", Rows=41, Columns=35, SamplesPerPixel=3, PhotometricInterpretation="RGB",
        BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=pixels.tobytes() + b"\0" * (pixels.size % 2),
    )  # fmt: skip
    ds.PlanarConfiguration = 0
    web.kit.store(part10(ds))
    path = f"/studies/1.2.3.4/series/1.2.3.4.1/instances/{ds.SOPInstanceUID}/rendered"
    video = web.get(path, "video/mp4")
    pictures = [
        np.asarray(Image.open(io.BytesIO(body)))[20, 17]
        for _, body in parts(web.get(path, "multipart/related; type=image/png"))
    ]
    assert (np.array(pictures) == colours).all()
    shown = page.evaluate(SHOWN, {"data": base64.b64encode(video.content).decode(), "count": 30, "each": 40})
    assert shown["duration"] == pytest.approx(1.2, abs=0.01)
    # Odd sizes are made even, as the colour of 4:2:0 wants it.
    assert (shown["width"], shown["height"]) == (36, 42)
    difference = np.abs(np.array(shown["found"], int) - colours.astype(int))
    # Luminance and chrominance in the limited range hold a colour to a few steps; AV1 loses little of flat ones.
    assert difference.max() <= 12 and difference.mean() < 3


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_report_runs_nothing(web: Web, page: Page, name: str) -> None:
    ds = report(content("TEXT", "Finding", TextValue=HOSTILE[name]), title=HOSTILE[name][:64])
    web.kit.store(part10(ds))
    path = (
        f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}/rendered"
    )
    answer = web.get(path)
    seen: list[str] = []
    page.on("dialog", lambda dialog: (seen.append("dialog"), dialog.dismiss()))
    page.on("request", lambda request: seen.append(request.url))
    page.on("console", lambda message: seen.append(message.text))
    url = "http://ward.example/report"
    page.route("**/*", lambda route: route.fulfill(body=answer.content, headers=dict(answer.headers)))
    page.goto(url)
    assert [row for row in seen if row != url and not row.endswith("/favicon.ico")] == []
    assert page.locator("script, img, svg, iframe, link, style, a").count() == 0
    assert "Finding" in page.locator("body").inner_text()
    page.unroute_all()
