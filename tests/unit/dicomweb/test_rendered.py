"""Rendered resources over the whole platform: real files in, pictures and video out (PS3.18 10.4.1.1.3, 8.3.5)."""

from __future__ import annotations

import io
import json
from itertools import pairwise

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import generate_uid

import render_kit
from archive_kit import dataset, part10
from wardlight.decoding.render import picture
from wardlight.decoding.render_view import viewed
from wardlight.dicomweb.rendered_parameters import parse
from wardlight.dicomweb.rendered_plan import plan_for
from web_kit import Web, a_web, parts

#: One real file of each kind of pixels: transfer syntax, photometric interpretation, depth, frames.
REAL = (
    "CT_small.dcm", "MR_small_RLE.dcm", "MR_small_expb.dcm", "ExplVR_BigEnd.dcm", "693_J2KR.dcm", "MR2_J2KR.dcm",
    "RG1_UNCR.dcm", "RG3_J2KR.dcm", "OBXXXX1A.dcm", "OBXXXX1A_expb.dcm", "US1_J2KR.dcm", "US1_UNCI.dcm",
    "SC_rgb_16bit.dcm", "SC_rgb_32bit_2frame.dcm", "SC_rgb_rle_16bit.dcm", "SC_ybr_full_422_uncompressed.dcm",
    "SC_ybr_full_uncompressed.dcm", "color-pl.dcm", "eCT_Supplemental.dcm", "emri_small_RLE.dcm", "explicit_VR-UN.dcm",
    "gdcm-US-ALOKA-16.dcm", "image_dfl.dcm", "liver_1frame.dcm", "mlut_18.dcm", "vlut_04.dcm", "rtdose_rle_1frame.dcm",
    "parametric_map_float.dcm", "parametric_map_double_float.dcm",
)  # fmt: skip
#: Lossy JPEG: two decoders, which may differ by a few steps in a pixel.
LOSSY = (
    "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_dcmtk_+eb+cy+s4.dcm",
    "color3d_jpeg_baseline.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
)


@pytest.fixture(scope="module")
def web():
    with a_web() as web:
        yield web


def path_of(name: str):
    return next((path for path in render_kit.real_files.paths() if path.name == name), None)


def store(web: Web, data: bytes | Dataset) -> str:
    """Store a file; its resource."""
    data = data if isinstance(data, bytes) else part10(data)
    assert web.kit.store(data)[0] in ("stored", "duplicate")
    ds = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    return f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def store_real(web: Web, name: str) -> str:
    """Store a real file under UIDs of its own: several of pydicom's share theirs."""
    ds = pydicom.dcmread(path_of(name))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(ds, keyword, generate_uid(entropy_srcs=[name, keyword]))
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds)
    return store(web, out.getvalue())


def image(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def expected(name: str, query: str = "") -> np.ndarray:
    """What the pipeline, which `test_render` holds against pydicom, makes of the pixels that pydicom decodes."""
    real = render_kit.load(path_of(name))
    plan, tables = plan_for(real.header, 1, parse(query))
    return viewed(picture(real.stored, plan, tables), plan)


@pytest.mark.parametrize("name", [name for name in REAL if path_of(name)])
def test_real_image(web: Web, name: str) -> None:
    answer = web.get(f"{store_real(web, name)}/rendered", "image/png")
    assert answer.headers["content-type"] == "image/png"
    assert (image(answer) == expected(name)).all()


@pytest.mark.parametrize("name", LOSSY)
def test_real_lossy_image(web: Web, name: str) -> None:
    """pydicom's decoder is libjpeg by Pillow, ours libjpeg-turbo by imagecodecs: chroma is smoothed differently."""
    shown = image(web.get(f"{store_real(web, name)}/rendered", "image/png")).astype(int)
    real = render_kit.load(path_of(name))
    with np.errstate(all="ignore"):
        by_pydicom = pydicom.pixels.pixel_array(path_of(name), index=0).astype(int)
    assert real.stored.shape == shown.shape
    assert np.abs(shown - by_pydicom).mean() < 1.0


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/jpeg", "image/jpeg"),
        ("image/png, image/jpeg;q=0.5", "image/png"),
        ("image/png;q=0.1, image/gif", "image/gif"),
        ("image/jp2", "image/jp2"),
        ("image/avif, image/webp, */*;q=0.8", "image/jpeg"),
        ("text/html", None),
        ("application/dicom", None),
        ("video/mp4", None),
    ],
)
def test_media_types_of_one_frame(web: Web, accept: str, media: str | None) -> None:
    answer = web.get(f"{store_real(web, 'CT_small.dcm')}/rendered", accept)
    if media is None:
        assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")
        return
    assert (answer.status_code, answer.headers["content-type"]) == (200, media)
    assert image(answer).shape == (128, 128)


def test_pictures_hold_what_they_say(web: Web) -> None:
    path = f"{store_real(web, 'CT_small.dcm')}/rendered"
    exact = expected("CT_small.dcm").astype(int)
    assert np.abs(image(web.get(f"{path}?quality=100")) - exact).max() <= 2
    assert (image(web.get(path, "image/jp2")) == exact).all()
    assert (
        np.asarray(Image.open(io.BytesIO(web.get(path, "image/gif").content)).convert("L")) == exact
    ).all()
    sizes = [len(web.get(f"{path}?quality={quality}").content) for quality in (10, 50, 90, 100)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[3] / 3
    in_parts = web.get(path, 'multipart/related; type="image/png"')
    ((headers, body),) = parts(in_parts)
    assert headers["content-type"] == "image/png" and headers["content-location"].endswith("/rendered")
    assert (np.asarray(Image.open(io.BytesIO(body))) == exact).all()


def test_rendering_parameters(web: Web) -> None:
    path = f"{store_real(web, 'CT_small.dcm')}/rendered"

    def png(query: str) -> np.ndarray:
        return image(web.get(f"{path}?{query}", "image/png"))

    for query in (
        "window=40,400,linear", "window=40,400,linear-exact", "window=40,400,sigmoid", "window=40,400,SIGMOID",
        "viewport=64,64", "viewport=300,40", "viewport=64,64,10,20,50,60", "viewport=50,60,10,20,-50,60",
        "viewport=50,60,10,20,50,-60", "viewport=64,64,,,,",
        "annotation=patient,technique", "annotation=patient,nonsense",
    ):  # fmt: skip
        assert (png(query) == expected("CT_small.dcm", query)).all(), query
    whole = png("")
    assert (png("viewport=50,60,10,20,50,60") == whole[20:80, 10:60]).all()
    assert (png("viewport=50,60,10,20,-50,60") == whole[20:80, 10:60][:, ::-1]).all()
    assert (png("viewport=50,60,10,20,50,-60") == whole[20:80, 10:60][::-1]).all()
    assert png("viewport=300,40").shape == (40, 40)
    assert (png("annotation=nonsense") == whole).all() and (png("unknown=1") == whole).all()
    patient, technique = png("annotation=patient") != whole, png("annotation=technique") != whole
    assert patient[:, :64].any() and not patient[64:].any()
    assert technique[:, 64:].any() and not technique[64:].any()
    # A window lower and wider than all values makes all white.
    assert png("window=-9000,10,linear").min() == 255
    # The query goes before the header.
    assert web.get(f"{path}?accept=image/png", "image/jpeg").headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    "query",
    [
        "quality=0", "quality=101", "quality=x", "quality=", "quality=-1", "quality=50&quality=60",
        "viewport=1", "viewport=0,10", "viewport=10,8193", "viewport=10.5,10", "viewport=a,b", "viewport=10,10,1,1",
        "viewport=10,10,0,0,0,5", "viewport=10,10,500,0,5,5", "viewport=10,10,nan,0,5,5", "viewport=1_0,10",
        "viewport=10,10,1e400,0,5,5", "window=1,2", "window=1,0,linear", "window=1,0.5,linear", "window=1,0,sigmoid",
        "window=1,-5,sigmoid", "window=1,5,cubic", "window=inf,5,linear", "window=a,5,linear", "iccprofile=maybe",
        "%ff=1", "viewport=%ff",
    ],
)  # fmt: skip
def test_values_that_are_none(web: Web, query: str) -> None:
    answer = web.get(f"{store_real(web, 'CT_small.dcm')}/rendered?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


def test_largest_viewport(web: Web) -> None:
    answer = web.get(f"{store_real(web, 'CT_small.dcm')}/rendered?viewport=8192,8192&quality=10")
    assert image(answer).shape == (8192, 8192)


def test_colour_management(web: Web) -> None:
    """`yes` keeps the object's profile, `srgb` converts by it; without one, sRGB is said and nothing changed."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    ds = pydicom.dcmread(path_of("SC_rgb.dcm"))
    ds.ICCProfile = profile
    ds.StudyInstanceUID = ds.SOPInstanceUID = generate_uid()
    path = f"{store(web, part10(ds))}/rendered"
    plain = web.get(path, "image/png")
    for media in ("image/png", "image/jpeg"):
        assert "icc_profile" not in Image.open(io.BytesIO(web.get(path, media).content)).info
        kept = Image.open(io.BytesIO(web.get(f"{path}?iccprofile=yes", media).content))
        assert kept.info["icc_profile"] == profile
    assert (image(web.get(f"{path}?iccprofile=yes", "image/png")) == image(plain)).all()
    converted = web.get(f"{path}?iccprofile=srgb", "image/png")
    assert Image.open(io.BytesIO(converted.content)).info["icc_profile"]
    assert np.abs(image(converted).astype(int) - image(plain).astype(int)).max() <= 1
    ds.ICCProfile = b"no profile at all "
    ds.StudyInstanceUID = ds.SOPInstanceUID = generate_uid()
    broken = f"{store(web, part10(ds))}/rendered?iccprofile=srgb"
    assert (image(web.get(broken, "image/png")) == image(plain)).all()


# --- several frames ---


def test_frames_by_number(web: Web) -> None:
    path = store_real(web, "emri_small.dcm")
    one = web.get(f"{path}/frames/3/rendered", "image/png")
    assert image(one).shape == (64, 64)
    many = web.get(f"{path}/frames/3,1,3/rendered", "multipart/related; type=image/png")
    found = parts(many)
    assert [headers["content-location"].rsplit("/frames/")[1] for headers, _ in found] == [
        "3/rendered", "1/rendered", "3/rendered",
    ]  # fmt: skip
    assert found[0][1] == found[2][1] == one.content != found[1][1]
    assert len(parts(web.get(f"{path}/frames/1,2/rendered", ""))) == 2
    animated = Image.open(io.BytesIO(web.get(f"{path}/frames/1,2,3,4/rendered", "image/gif").content))
    assert animated.n_frames == 4
    for numbers, status in (("11", 404), ("1,11", 404), ("0", 400), ("x", 400), ("1,,2", 400), ("-1", 400)):
        assert web.get(f"{path}/frames/{numbers}/rendered").status_code == status, numbers
    assert web.get(f"{path}/frames/1,2/rendered", "image/jpeg").status_code == 406


def test_a_multi_frame_instance(web: Web) -> None:
    path, window = store_real(web, "emri_small.dcm"), "?window=500,1000,linear"
    first = web.get(f"{path}/frames/1/rendered{window}", "image/png").content
    assert web.get(f"{path}/rendered{window}", "image/png").content == first
    whole = parts(web.get(f"{path}/rendered{window}", "multipart/related; type=image/png"))
    assert len(whole) == 10 and whole[0][1] == first
    animated = Image.open(io.BytesIO(web.get(f"{path}/rendered{window}", "image/gif").content))
    assert (animated.n_frames, animated.size) == (10, (64, 64))
    for number, (_, body) in enumerate(whole):
        animated.seek(number)
        frame = np.asarray(animated.convert("L"))
        assert (frame == np.asarray(Image.open(io.BytesIO(body)))).all(), number
    video = web.get(f"{path}/rendered{window}", "video/mp4")
    assert video.headers["content-type"] == "video/mp4" and video.content[4:12] == b"ftypiso6"


def test_representative_frame_stands_for_the_instance(web: Web) -> None:
    ds = dataset(NumberOfFrames="3", RepresentativeFrameNumber=3, PixelData=bytes(64) + bytes(range(32)))
    path = store(web, ds)
    third = web.get(f"{path}/frames/3/rendered", "image/png").content
    assert web.get(f"{path}/rendered", "image/png").content == third
    assert web.get(f"{path}/frames/1/rendered", "image/png").content != third


def test_colours_of_an_animation(web: Web) -> None:
    animated = Image.open(
        io.BytesIO(web.get(f"{store_real(web, 'SC_rgb_2frame.dcm')}/rendered", "image/gif").content)
    )
    animated.seek(0)
    shown = np.asarray(animated.convert("RGB")).astype(int)
    assert np.abs(shown - expected("SC_rgb_2frame.dcm")).max() <= 8  # ten colours fit into 256


def test_brightness_does_not_flicker(web: Web) -> None:
    """Without a window all frames of a moving picture go by the middle one's range, a frame by itself by its own."""
    values = np.arange(16, dtype=np.uint16).reshape(4, 4)
    ds = dataset(NumberOfFrames="3", PixelData=b"".join((values * n).tobytes() for n in (10, 20, 5)))
    path = store(web, ds)
    animated = Image.open(io.BytesIO(web.get(f"{path}/rendered", "image/gif").content))
    brightest = []
    for number in range(3):
        animated.seek(number)
        brightest.append(int(np.asarray(animated.convert("L")).max()))
    assert brightest == [128, 255, 64]
    for number in (1, 2, 3):
        assert image(web.get(f"{path}/frames/{number}/rendered", "image/png")).max() == 255


def test_a_moving_picture_has_a_limit(web: Web) -> None:
    ds = dataset(NumberOfFrames="2001", Rows=1, Columns=2, BitsAllocated=8, BitsStored=8, HighBit=7)
    ds.PixelData = bytes(2 * 2001)
    path = store(web, ds)
    for media in ("image/gif", "video/mp4"):
        answer = web.get(f"{path}/rendered", media)
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert web.get(f"{path}/rendered").status_code == 200


def test_frames_of_one_bit_begin_within_bytes(web: Web) -> None:
    frames = np.random.default_rng(1).integers(0, 2, (3, 3, 5), np.uint8)
    packed = np.packbits(frames.ravel(), bitorder="little").tobytes()
    ds = dataset(NumberOfFrames="3", Rows=3, Columns=5, BitsAllocated=1, BitsStored=1, HighBit=0)
    ds.PixelData = packed + b"\0" * (len(packed) % 2)
    path = store(web, ds)
    for number in (1, 2, 3):
        shown = image(web.get(f"{path}/frames/{number}/rendered", "image/png"))
        assert (shown == 255 * frames[number - 1]).all()


# --- what differs from frame to frame ---


def test_windows_of_functional_groups(web: Web) -> None:
    """Enhanced multi-frame: a frame's own window before that of all (PS3.3 C.7.6.16)."""

    def window(center: float, width: float) -> Dataset:
        item = Dataset()
        item.WindowCenter, item.WindowWidth = center, width
        group = Dataset()
        group.FrameVOILUTSequence = [item]
        return group

    rescale = Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 2, -100, "US"
    shared = window(500, 1000)
    shared.PixelValueTransformationSequence = [rescale]
    values = np.full((2, 4, 4), 200, np.uint16)
    ds = dataset(NumberOfFrames="2", PixelData=values.tobytes())
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = [window(1000, 100), Dataset()]
    path = store(web, ds)
    # 200 is 300 after the rescale: below 950, and 0.3 of 0..1000.
    assert image(web.get(f"{path}/frames/1/rendered", "image/png")).max() == 0
    assert image(web.get(f"{path}/frames/2/rendered", "image/png")).max() == round(
        255 * (300 - 499.5) / 999 + 127.5
    )


def test_pixels_that_are_not_square(web: Web) -> None:
    for name, value, shape in (
        ("PixelAspectRatio", ["2", "1"], (8, 4)),
        ("PixelAspectRatio", ["1", "2"], (4, 8)),
        ("PixelSpacing", [0.5, 1.0], (4, 8)),
        ("ImagerPixelSpacing", [3.0, 1.0], (12, 4)),
        ("PixelSpacing", [1.0, 1.005], (4, 4)),
        ("PixelSpacing", [1.0, 0.0], (4, 4)),
        ("PixelSpacing", [1.0, 1000.0], (4, 4)),
    ):
        path = store(
            web, dataset(**{name: value}, StudyInstanceUID=generate_uid(), SOPInstanceUID=generate_uid())
        )
        assert image(web.get(f"{path}/rendered")).shape == shape, (name, value)


# --- studies and series ---


def test_a_study_of_several_kinds(web: Web) -> None:
    study = generate_uid()
    ct = store(web, dataset(StudyInstanceUID=study))
    report = Dataset()
    report.update(dataset(StudyInstanceUID=study, SeriesInstanceUID="1.2.3.4.2", SeriesNumber="2"))
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(report, keyword)
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    store(web, report)
    everything = web.get(f"/studies/{study}/rendered")
    assert everything.status_code == 200
    assert [headers["content-type"] for headers, _ in parts(everything)] == [
        "image/jpeg",
        "text/html; charset=utf-8",
    ]
    pictures = web.get(f"/studies/{study}/rendered", "multipart/related; type=image/png")
    assert pictures.status_code == 206  # the report is left out
    assert [headers["content-location"] for headers, _ in parts(pictures)] == [
        f"http://ward.example/dicom-web{ct}/rendered"
    ]
    series = ct.rsplit("/instances")[0]
    assert len(parts(web.get(f"{series}/rendered", "multipart/related; type=image/jpeg"))) == 1
    assert web.get(f"{series}/rendered", "image/jpeg").status_code == 406
    assert web.get("/studies/1.2.999/rendered").status_code == 404
    assert web.get(f"/studies/{study}/series/1.2.999/rendered").status_code == 404


def test_a_damaged_image_does_not_take_its_series_with_it(web: Web) -> None:
    study = generate_uid()
    for number in range(3):
        ds = dataset(StudyInstanceUID=study, InstanceNumber=str(number))
        if number == 1:
            ds.PhotometricInterpretation = "HSV"
        store(web, ds)
    found = parts(web.get(f"/studies/{study}/rendered", "multipart/related; type=image/jpeg"))
    assert [headers["content-type"] for headers, _ in found] == [
        "image/jpeg",
        "application/problem+json",
        "image/jpeg",
    ]
    assert json.loads(found[1][1])["code"] == "cannot-decode"


@pytest.mark.parametrize(
    "change",
    [
        {"Rows": 0}, {"Rows": 60000, "Columns": 60000}, {"BitsStored": 17}, {"HighBit": 3}, {"Rows": 5},
        {"PhotometricInterpretation": "PALETTE COLOR"}, {"SamplesPerPixel": 4}, {"BitsAllocated": 64},
    ],
)  # fmt: skip
def test_descriptions_that_contradict_themselves(web: Web, change) -> None:
    path = store(web, dataset(**change, StudyInstanceUID=generate_uid()))
    answer = web.get(f"{path}/rendered")
    assert answer.status_code == 406 and answer.json()["code"] in ("cannot-decode", "not-acceptable")
    assert web.get(f"{store_real(web, 'CT_small.dcm')}/rendered").status_code == 200


# --- the trail ---


def test_reading_is_counted(web: Web) -> None:
    with a_web() as fresh:
        path = store_real(fresh, "emri_small.dcm")
        fresh.get(f"{path}/rendered")
        fresh.get(f"{path}/frames/2,3/rendered")
        fresh.get(f"{path}/rendered", "image/gif")
        fresh.get(f"{path}/thumbnail")
        fresh.kit.platform.sessions.close()
        counted = {
            entry["action"]: entry["counts"]
            for entry in fresh.kit.entries("dicomweb:rendered:read", "dicomweb:thumbnail:read")
            if entry["phase"] == "finished"
        }
    assert counted["dicomweb:rendered:read"]["frames"] == 1 + 2 + 10
    assert counted["dicomweb:thumbnail:read"]["frames"] == 1


def box(kind: bytes, data: bytes) -> bytes:
    return (8 + len(data)).to_bytes(4, "big") + kind + data


@pytest.mark.parametrize("fragments", [1, 3])
def test_a_stored_mp4_is_given_as_it_is_in_ranges_too(web: Web, fragments: int) -> None:
    """H.264 lies in an MP4 container or a transport stream (PS3.5 8.2.7), by some syntaxes in several fragments."""
    stream = (
        box(b"ftyp", b"isom\0\0\2\0isomavc1")
        + box(b"free", bytes(range(256)) * 40)
        + box(b"mdat", b"x" * 30_000)
    )
    cuts = [len(stream) // fragments // 2 * 2 * n for n in range(fragments)] + [len(stream)]
    syntax = "1.2.840.10008.1.2.4.102" + (".1" if fragments > 1 else "")
    ds = dataset(
        StudyInstanceUID=generate_uid(), SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.1.1", NumberOfFrames=25,
        SamplesPerPixel=3, PhotometricInterpretation="YBR_PARTIAL_420", PlanarConfiguration=0, BitsAllocated=8,
        BitsStored=8, HighBit=7, PixelData=encapsulate([stream[a:b] for a, b in pairwise(cuts)], has_bot=False),
    )  # fmt: skip
    ds["PixelData"].VR = "OB"
    assert web.kit.store(part10(ds, syntax)) == ["stored"]
    path = (
        f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}/rendered"
    )
    answer = web.get(path, "video/mp4")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    assert answer.content == stream and answer.headers["accept-ranges"] == "bytes"
    for first, last in ((0, 0), (7, 20_001), (len(stream) - 9, len(stream) - 1)):
        piece = web.get(path, range=f"bytes={first}-{last}", if_range=answer.headers["etag"])
        assert (piece.status_code, piece.content) == (206, stream[first : last + 1])
    assert web.get(path, if_none_match=answer.headers["etag"]).status_code == 304
    ((headers, whole),) = parts(
        web.get(f"/studies/{ds.StudyInstanceUID}/rendered", "multipart/related; type=video/mp4")
    )
    assert whole == stream and headers["content-type"] == "video/mp4"
