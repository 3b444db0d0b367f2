"""WADO-URI: each parameter of PS3.18 chapter 9, honoured or refused."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless

import render_kit
from archive_kit import dataset, part10
from web_kit import Web, a_web


def path_of(name: str):
    return next(path for path in render_kit.real_files.paths() if path.name == name)


@pytest.fixture(scope="module")
def web():
    with a_web() as web:
        for name in ("CT_small.dcm", "emri_small.dcm", "test-SR.dcm", "MR_small_jp2klossless.dcm"):
            assert web.kit.store(path_of(name).read_bytes()) == ["stored"]
        yield web


def query(name: str, more: str = "", service: str = "WADO") -> str:
    ds = pydicom.dcmread(path_of(name), stop_before_pixels=True)
    return (
        f"/wado?requestType={service}&studyUID={ds.StudyInstanceUID}&seriesUID={ds.SeriesInstanceUID}"
        f"&objectUID={ds.SOPInstanceUID}{more}"
    )


def png(web: Web, name: str, more: str) -> np.ndarray:
    answer = web.get(query(name, f"&contentType=image/png{more}"))
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def rs(web: Web, name: str, resource: str) -> np.ndarray:
    ds = pydicom.dcmread(path_of(name), stop_before_pixels=True)
    path = f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    return np.asarray(Image.open(io.BytesIO(web.get(path + resource, "image/png").content)))


def test_defaults_by_kind_of_object(web: Web) -> None:
    for name, media in (
        ("CT_small.dcm", "image/jpeg"),
        ("emri_small.dcm", "application/dicom"),
        ("test-SR.dcm", "text/html"),
    ):
        answer = web.get(query(name))
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, media)
    # The Accept header has no say in this chapter; contentType has.
    assert web.get(query("CT_small.dcm"), "image/png").headers["content-type"] == "image/jpeg"


def test_content_type(web: Web) -> None:
    for asked, given in (
        ("image/png", "image/png"),
        ("image/webp,image/gif,image/png", "image/gif"),
        ("application/dicom", "application/dicom"),
        ("image/*", "image/jpeg"),
        ("video/mp4", None),
        ("text/html", None),
    ):
        answer = web.get(query("CT_small.dcm", f"&contentType={asked}"))
        assert (
            (answer.status_code == 406) if given is None else answer.headers["content-type"].startswith(given)
        )
    assert web.get(query("test-SR.dcm", "&contentType=text/plain&charset=UTF-8")).text.strip()
    assert (
        Image.open(io.BytesIO(web.get(query("emri_small.dcm", "&contentType=image/gif")).content)).n_frames
        == 10
    )


def test_dicom(web: Web) -> None:
    """By default in explicit little endian; in the stored syntax where that is asked for."""
    answer = web.get(query("CT_small.dcm", "&contentType=application/dicom"))
    assert (
        pydicom.dcmread(io.BytesIO(answer.content)).PixelData
        == pydicom.dcmread(path_of("CT_small.dcm")).PixelData
    )
    stored = web.get(
        query(
            "MR_small_jp2klossless.dcm", f"&contentType=application/dicom&transferSyntax={JPEG2000Lossless}"
        )
    )
    assert stored.content == path_of("MR_small_jp2klossless.dcm").read_bytes()
    default = web.get(query("MR_small_jp2klossless.dcm", "&contentType=application/dicom"))
    assert default.status_code == 200
    answer = web.get(query("CT_small.dcm", "&contentType=application/dicom&transferSyntax=1.2.3"))
    assert answer.status_code == 406
    for wrong in (
        "rows=5",
        "region=0,0,1,1",
        "windowCenter=4",
        "frameNumber=1",
        "annotation=patient",
        "imageQuality=5",
    ):
        answer = web.get(query("CT_small.dcm", f"&contentType=application/dicom&{wrong}"))
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-request"), wrong
    assert web.get(query("CT_small.dcm", "&transferSyntax=1.2.840.10008.1.2.1")).status_code == 400


def test_rendering(web: Web) -> None:
    """The same pictures as the rendered resource gives for the parameters that mean the same."""
    for uri, resource in (
        ("", ""),
        ("&windowCenter=40&windowWidth=400", "?window=40,400,linear"),
        ("&rows=32&columns=64", "?viewport=64,32"),
        ("&region=0.25,0.5,0.75,1&rows=64&columns=64", "?viewport=64,64,32,64,64,64"),
        ("&annotation=patient,technique", "?annotation=patient,technique"),
    ):
        assert (png(web, "CT_small.dcm", uri) == rs(web, "CT_small.dcm", f"/rendered{resource}")).all(), uri
    assert png(web, "CT_small.dcm", "&rows=32").shape == (32, 32)
    assert png(web, "CT_small.dcm", "&columns=40").shape == (40, 40)
    assert png(web, "CT_small.dcm", "&region=0,0,0.5,0.25").shape == (32, 64)
    sizes = [len(web.get(query("CT_small.dcm", f"&imageQuality={quality}")).content) for quality in (5, 95)]
    assert sizes[0] < sizes[1] / 2


def test_frame_number(web: Web) -> None:
    assert (
        png(web, "emri_small.dcm", "&frameNumber=7") == rs(web, "emri_small.dcm", "/frames/7/rendered")
    ).all()
    assert web.get(query("emri_small.dcm", "&frameNumber=2")).headers["content-type"] == "image/jpeg"
    # PS3.18 9.5.2 has 400 for a number beyond the last frame, unlike the resources of chapter 10.
    assert web.get(query("emri_small.dcm", "&frameNumber=11")).status_code == 400


@pytest.mark.parametrize(
    "more",
    [
        "&frameNumber=0", "&frameNumber=x", "&rows=0", "&rows=9000", "&columns=1.5", "&region=0,0,1", "&region=0,0,2,1",
        "&region=0.5,0,0.5,1", "&region=a,b,c,d", "&windowCenter=4", "&windowWidth=4", "&windowCenter=4&windowWidth=0",
        "&windowCenter=x&windowWidth=4", "&imageQuality=0", "&imageQuality=101", "&rows=5&rows=6", "&contentType=%22",
        "&contentType=application/dicom;transfer-syntax=*",
    ],
)  # fmt: skip
def test_values_that_are_none(web: Web, more: str) -> None:
    answer = web.get(query("CT_small.dcm", more))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


def test_what_is_missing(web: Web) -> None:
    whole = query("CT_small.dcm")
    assert web.get(whole).status_code == 200
    for parameter in ("requestType", "studyUID", "seriesUID", "objectUID"):
        left = "&".join(part for part in whole.split("?")[1].split("&") if not part.startswith(parameter))
        assert web.get(f"/wado?{left}").status_code == 400, parameter
    assert web.get("/wado").status_code == 400
    assert web.get(query("CT_small.dcm", service="OTHER")).status_code == 400
    assert web.get("/wado?requestType=WADO&studyUID=1.2&seriesUID=1.2&objectUID=1.2").status_code == 404


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("&anonymize=yes", "de-identified"),
        ("&presentationUID=1.2.3&presentationSeriesUID=1.2", "presentation states"),
        ("&charset=ISO-8859-1", "UTF-8"),
    ],
)
def test_what_is_refused_says_so(web: Web, more: str, words: str) -> None:
    answer = web.get(query("CT_small.dcm", more))
    assert answer.status_code == 406 and words in answer.json()["detail"]
    assert web.get(query("CT_small.dcm", "&anonymize=no&unknown=1")).status_code == 200


def test_others_see_nothing(web: Web) -> None:
    assert (
        web.client.get(
            f"/dicom-web{query('CT_small.dcm')}", headers={"Authorization": "Bearer x"}
        ).status_code
        == 401
    )
    web.kit.store(part10(dataset(StudyInstanceUID="1.2.55")))
    mixed = query("CT_small.dcm").split("&seriesUID")[0]
    assert web.get(f"{mixed}&seriesUID=1.2.3.4.1&objectUID=1.2.55.1").status_code == 404


def test_one_side_of_a_viewport_holds_for_large_images_too(web: Web) -> None:
    ds = dataset(Rows=8, Columns=9000, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=bytes(72_000))
    assert web.kit.store(part10(ds)) == ["stored"]
    for asked, shape in (("rows=4", (4, 4500)), ("columns=900", (1, 900)), ("rows=8000", (7, 8192))):
        answer = web.get(
            f"/wado?requestType=WADO&studyUID={ds.StudyInstanceUID}&seriesUID={ds.SeriesInstanceUID}"
            f"&objectUID={ds.SOPInstanceUID}&contentType=image/png&{asked}"
        )
        assert Image.open(io.BytesIO(answer.content)).size == (shape[1], shape[0])
