"""Thumbnails: which image stands for a study, a series, an instance, and how large it is (PS3.18 10.4.1.1.4)."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import generate_uid

from archive_kit import dataset, part10
from web_kit import Web, a_web

STUDY = "1.2.77"


def pixels(value: int, frames: int = 1) -> bytes:
    """Frames of 4 × 4 pixels; frame n shows value + n, from 0."""
    return b"".join(np.full((4, 4), value + n, np.uint8).tobytes() for n in range(frames))


def plain(value: int, frames: int = 1, **more):
    more = {"StudyInstanceUID": STUDY, **more}
    return dataset(BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=pixels(value, frames), **more)


@pytest.fixture(scope="module")
def web():
    """A study of three series with three images each; the middle one of the middle series shows 50."""
    with a_web() as web:
        for series in (1, 2, 3):
            for number in (1, 2, 3):
                web.kit.store(
                    part10(
                        plain(
                            10 * series + 10 * number + 10 * (series > 1), SeriesInstanceUID=f"{STUDY}.{series}",
                            SeriesNumber=str(series), InstanceNumber=str(number),
                            SOPInstanceUID=f"{STUDY}.{series}.{number}",
                        )
                    )
                )  # fmt: skip
        yield web


def shown(answer) -> tuple[int, tuple[int, int]]:
    """The value that a picture of one value shows, and its size."""
    assert answer.status_code == 200, answer.text
    picture = Image.open(io.BytesIO(answer.content)).convert("L")
    ((low, high),) = (picture.getextrema(),)
    assert high - low <= 2
    return round((low + high) / 2), picture.size


def test_the_middle_stands_for_all(web: Web) -> None:
    assert shown(web.get(f"/studies/{STUDY}/thumbnail")) == (50, (256, 256))
    assert shown(web.get(f"/studies/{STUDY}/series/{STUDY}.3/thumbnail"))[0] == 60
    assert shown(web.get(f"/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.1/thumbnail"))[0] == 20
    assert web.get(f"/studies/{STUDY}/thumbnail").headers["content-type"] == "image/jpeg"


def test_frames(web: Web) -> None:
    path = "/studies/1.2.78/series/1.2.3.4.1/instances/1.2.78.{}"
    web.kit.store(
        part10(plain(100, 5, NumberOfFrames="5", StudyInstanceUID="1.2.78", SOPInstanceUID="1.2.78.1"))
    )
    representative = plain(
        100, 5, NumberOfFrames="5", RepresentativeFrameNumber=5, StudyInstanceUID="1.2.78", SOPInstanceUID="1.2.78.2"
    )  # fmt: skip
    web.kit.store(part10(representative))
    assert shown(web.get(f"{path.format(1)}/thumbnail"))[0] == 102
    assert shown(web.get(f"{path.format(2)}/thumbnail"))[0] == 104
    assert shown(web.get(f"{path.format(1)}/frames/1/thumbnail"))[0] == 100
    assert web.get(f"{path.format(1)}/frames/6/thumbnail").status_code == 404
    assert web.get(f"{path.format(1)}/frames/x/thumbnail").status_code == 400


def test_size_and_media_type(web: Web) -> None:
    path = f"/studies/{STUDY}/thumbnail"
    assert shown(web.get(f"{path}?viewport=64,32"))[1] == (32, 32)
    assert web.get(path, "image/png").headers["content-type"] == "image/png"
    assert web.get(path, "image/gif").content.startswith(b"GIF89a")
    for query in ("viewport=64", "viewport=64,32,0,0,2,2", "viewport=0,0", "viewport=9000,9000"):
        assert web.get(f"{path}?{query}").status_code == 400, query
    assert web.get(path, "text/html").status_code == 406
    assert web.get(path, "multipart/related; type=image/jpeg").status_code == 406
    # Other rendering parameters are none of a thumbnail's.
    assert web.get(f"{path}?window=1,2,linear&quality=3").content == web.get(path).content


def test_where_there_is_no_image(web: Web) -> None:
    for path in (
        "/studies/1.2.99",
        f"/studies/{STUDY}/series/1.2.99",
        f"/studies/{STUDY}/series/{STUDY}.1/instances/1.9",
    ):
        assert web.get(f"{path}/thumbnail").status_code == 404
    ds = plain(1, StudyInstanceUID=generate_uid())
    del ds.PixelData
    web.kit.store(part10(ds))
    answer = web.get(f"/studies/{ds.StudyInstanceUID}/thumbnail")
    assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")
