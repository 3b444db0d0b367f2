"""Stored pixels to pictures, against pydicom and DCMTK on every real image, and against the standard's own numbers."""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pydicom.pixels import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi,
    apply_windowing,
    convert_color_space,
)

import render_kit
from wardlight.decoding.render import CannotRender, picture, windowed
from wardlight.decoding.render_lut import BadLut, entries
from wardlight.decoding.render_plan import Function, Lut, Plan, View, Window
from wardlight.decoding.render_view import viewed
from wardlight.dicomweb.rendered_parameters import Parameters, parse
from wardlight.dicomweb.rendered_plan import plan_for

IMAGES = render_kit.image_paths()
#: Both sides compute in floating point and round to 256 steps; a value at the border of two steps may fall either way.
ROUNDING = 1
GREY = Plan("MONOCHROME2", 12, 11, signed=False)


def ours(image: render_kit.RealImage, query: str = "") -> np.ndarray:
    plan, parts = plan_for(image.header, 1, parse(query))
    plan = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    return picture(image.stored, plan, parts)


def difference(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def merged(dataset):
    """The data set with what the first frame's functional groups say moved to its top level."""
    groups = [
        *dataset.get("SharedFunctionalGroupsSequence", [])[:1],
        *dataset.get("PerFrameFunctionalGroupsSequence", [])[:1],
    ]
    flat = dataset.copy() if groups else dataset
    for group in groups:
        for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for element in (group.get(name) or [[]])[0] if name in group else ():
                flat[element.tag] = element
    return flat


def grey_by_pydicom(image: render_kit.RealImage) -> np.ndarray:
    """Modality and VOI by pydicom, to 0..255; what has neither window nor table by the rule of the reference page."""
    dataset = merged(image.dataset)
    stored = image.stored
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = apply_modality_lut(stored, dataset).astype(np.float64)
        if has_window(dataset):
            shown = scaled(
                apply_windowing(values if "RescaleSlope" in dataset else stored, dataset, 0), dataset
            )
        elif "VOILUTSequence" in dataset:
            bits = dataset.VOILUTSequence[0].LUTDescriptor[2]
            shown = apply_voi(values.astype(np.int64), dataset, 0) / (2**bits - 1)
        elif (
            dataset.BitsStored <= 8 and "RescaleSlope" not in dataset and "ModalityLUTSequence" not in dataset
        ):
            shown = values / (2**dataset.BitsStored - 1)
        else:
            kept = values[~padding(stored, dataset)]
            low, high = kept.min(), kept.max()
            shown = (values - low) / (high - low) if high > low else (values > min(low, 0)).astype(float)
    if dataset.PhotometricInterpretation == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE":
        shown = 1 - shown
    grey = np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    grey[padding(stored, dataset)] = 0
    return grey


def has_window(dataset) -> bool:
    widths = dataset.get("WindowWidth")
    return widths is not None and float(widths if not hasattr(widths, "__len__") else widths[0]) >= 1


def scaled(values: np.ndarray, dataset) -> np.ndarray:
    """What `apply_windowing` gives, which is in the range of the values that come in, to 0..1."""
    bits = dataset.BitsStored
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dataset.PixelRepresentation else (0, 2**bits - 1)
    if "RescaleSlope" in dataset:
        low, high = (edge * dataset.RescaleSlope + dataset.RescaleIntercept for edge in (low, high))
    return (values - float(low)) / (float(high) - float(low))


def padding(stored: np.ndarray, dataset) -> np.ndarray:
    if "PixelPaddingValue" not in dataset:
        return np.zeros(stored.shape, bool)
    bits = 16
    first = dataset.PixelPaddingValue
    last = dataset.get("PixelPaddingRangeLimit", first)
    if dataset.PixelRepresentation:  # Written as US in some files.
        first, last = (value - 2**bits if value >= 2 ** (bits - 1) else value for value in (first, last))
    return (stored >= min(first, last)) & (stored <= max(first, last))


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_real_image_as_pydicom_shows_it(path) -> None:
    image = render_kit.load(path)
    if image is None:  # No oracle; `test_there_are_enough_real_images` counts the others.
        return
    dataset = image.dataset
    photometric = dataset.PhotometricInterpretation
    if photometric == "PALETTE COLOR" and dataset.original_encoding[1]:
        expected = apply_color_lut(image.stored, dataset)
        if expected.dtype == np.uint16:
            expected = (expected >> 8).astype(np.uint8)
        assert difference(ours(image), expected) == 0
    elif photometric.startswith("MONOCHROME") and dataset.get("PixelPresentation") != "COLOR":
        assert difference(ours(image), grey_by_pydicom(image)) <= ROUNDING
    elif photometric in ("YBR_FULL", "YBR_FULL_422"):
        # Pillow converts in whole numbers of 1/64, pydicom in floating point.
        assert difference(ours(image), convert_color_space(image.stored, "YBR_FULL", "RGB")) <= ROUNDING
    elif photometric not in ("MONOCHROME2", "PALETTE COLOR"):
        depth = 8 * image.stored.dtype.itemsize
        expected = np.rint(image.stored / (2**depth - 1) * 255).astype(np.uint8)
        assert difference(ours(image), expected) <= ROUNDING


@pytest.mark.parametrize("name", ["OBXXXX1A_expb.dcm", "gdcm-US-ALOKA-16_big.dcm"])
def test_palette_in_big_endian_is_the_one_in_little_endian(name) -> None:
    """pydicom 3.0 takes the tables' words for little endian in any file, so the same image is the oracle."""
    big, little = (
        ours(render_kit.load(next(path for path in IMAGES if path.name == wanted)))
        for wanted in (name, name.replace("_expb", "").replace("_big", ""))
    )
    assert difference(big, little) == 0


def test_there_are_enough_real_images() -> None:
    images = [image for image in map(render_kit.load, IMAGES) if image is not None]
    kinds = {image.dataset.PhotometricInterpretation for image in images}
    assert len(images) > 90
    assert kinds >= {
        "MONOCHROME1",
        "MONOCHROME2",
        "PALETTE COLOR",
        "RGB",
        "YBR_FULL",
        "YBR_FULL_422",
        "YBR_RCT",
    }


@pytest.mark.system
@pytest.mark.parametrize(
    ("name", "query", "options"),
    [
        ("CT_small.dcm", "window=40,400,linear", ("+Ww", "40", "400")),
        ("CT_small.dcm", "window=300,1500,sigmoid", ("+Ww", "300", "1500", "+Wfs")),
        ("693_UNCR.dcm", "window=40,80,linear", ("+Ww", "40", "80")),
        ("MR2_UNCR.dcm", "", ("+Wi", "1")),
        ("RG1_UNCR.dcm", "", ("+Wi", "1")),
        ("RG3_UNCR.dcm", "", ("+Wi", "1")),
        ("mlut_18.dcm", "", ("+Wm",)),
        ("vlut_04.dcm", "", ("+Wl", "1")),
        ("OBXXXX1A.dcm", "", ()),
        ("US1_UNCR.dcm", "", ()),
        ("SC_ybr_full_422_uncompressed.dcm", "", ()),
    ],
)
def test_real_image_as_dcmtk_shows_it(name, query, options, tmp_path) -> None:
    """DCMTK rounds down where we round to the nearest, and works in whole numbers: two steps of 256 at most."""
    path = next(path for path in IMAGES if path.name == name)
    program = shutil.which("dcm2pnm")
    assert program, "dcm2pnm is missing: tools/system-packages.sh dcmtk"
    subprocess.run([program, *options, "--write-raw-pnm", str(path), str(tmp_path / "out.pnm")], check=True)
    expected = np.asarray(Image.open(tmp_path / "out.pnm"))
    assert difference(ours(render_kit.load(path), query), expected) <= 2


def test_windows_as_the_standard_computes_them() -> None:
    """PS3.3 C.11.2.1.2.1: its examples, for output from 0 to 255."""
    values = np.array([-1.0, 0.0, 1024.0, 2047.0, 2048.0, 4095.0, 5000.0])
    linear = np.clip(windowed(values, Window(2048, 4096)), 0, 1)
    assert linear == pytest.approx(np.clip(values / 4095, 0, 1))
    one = windowed(np.array([2047.0, 2047.5, 2047.6, 2048.0]), Window(2048, 1))
    assert list(one) == [0, 0, 1, 1]
    exact = np.clip(windowed(values, Window(2048, 4096, Function.LINEAR_EXACT)), 0, 1)
    assert exact == pytest.approx(np.clip(values / 4096, 0, 1))
    sigmoid = windowed(np.array([0.0, 50.0, 100.0, 1e300]), Window(50, 100, Function.SIGMOID))
    assert sigmoid == pytest.approx([1 / (1 + np.e**2), 0.5, 1 / (1 + np.e**-2), 1.0])


def test_signed_values_masks_and_high_bits() -> None:
    stored = np.array([[-2048, -1, 0, 2047]], np.int16)
    signed = replace(GREY, signed=True, window=Window(0, 4096, Function.LINEAR_EXACT))
    assert list(picture(stored, signed, ())[0]) == [0, 127, 128, 255]
    # Overlay bits above the stored ones are none of the value (PS3.5 8.1.1).
    overlaid = (np.array([[0, 1, 4095]], np.uint16) | np.uint16(0x8000)).astype(np.uint16)
    assert list(picture(overlaid, replace(GREY, window=Window(2048, 4096)), ())[0]) == [0, 0, 255]
    shifted = np.array([[0, 4095 << 4]], np.uint16)
    assert list(picture(shifted, replace(GREY, high_bit=15, window=Window(2048, 4096)), ())[0]) == [0, 255]


def test_padding_is_black_and_does_not_count() -> None:
    stored = np.array([[0, 50, 200, 4095]], np.uint16)
    assert list(picture(stored, replace(GREY, padding=(4000, 4095)), ())[0]) == [0, 64, 255, 0]
    assert list(picture(stored, replace(GREY, padding=(4000, 4095), inverse=True), ())[0]) == [255, 191, 0, 0]


@pytest.mark.parametrize("value", [0, 77])
def test_an_image_of_one_value(value) -> None:
    assert picture(np.full((2, 2), value, np.uint16), GREY, ()).tolist() == [[255 * (value > 0)] * 2] * 2
    assert picture(np.zeros((2, 2), np.uint16), replace(GREY, padding=(0, 0)), ()).max() == 0


def test_floating_point_and_wide_values() -> None:
    stored = np.array([[-1.5, 0.0, 1.5, np.nan, np.inf]], np.float32)
    plan = replace(GREY, bits_stored=32, high_bit=31)
    assert list(picture(stored, plan, ())[0]) == [0, 128, 255, 128, 255]
    wide = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    assert list(picture(wide, plan, ())[0]) == [0, 128, 255]


def test_segmented_palette() -> None:
    """PS3.3 C.7.9.2: discrete, linear, then both again by an indirect segment with a byte offset."""
    words = np.array([0, 2, 10, 20, 1, 3, 50, 2, 2, 0, 0], "<u2").tobytes()
    lut = Lut(0, 10, 16, 0, segmented=True)
    assert entries(lut, [words]).tolist() == [10, 20, 30, 40, 50, 10, 20, 30, 40, 50]
    octets = bytes([0, 2, 10, 20, 1, 3, 50, 2, 1, 4, 0, 0, 0])
    assert entries(replace(lut, bits=8, count=8), [octets]).tolist() == [10, 20, 30, 40, 50, 50, 50, 50]
    for broken in ([1, 3, 50], [0, 9], [7, 1, 1], [2, 1, 0, 0], [0, 1, 5]):
        with pytest.raises(BadLut):
            entries(lut, [np.array(broken, "<u2").tobytes()])


def test_tables_of_8_bits_in_bytes_or_words() -> None:
    lut = Lut(0, 4, 8, 0)
    assert entries(lut, [bytes([1, 2, 3, 4])]).tolist() == [1, 2, 3, 4]
    assert entries(lut, [np.array([1, 2, 3, 4], "<u2").tobytes()]).tolist() == [1, 2, 3, 4]
    with pytest.raises(BadLut):
        entries(replace(lut, bits=16), [b"\1\2"])


def test_values_beyond_a_table_take_its_ends() -> None:
    table = np.array([0, 1000, 4095], "<u2").tobytes()
    plan = replace(GREY, voi=Lut(100, 3, 12, 0))
    stored = np.array([[0, 100, 101, 102, 4000]], np.uint16)
    assert list(picture(stored, plan, [table])[0]) == [0, 0, 62, 255, 255]


def test_partial_range_of_luminance() -> None:
    stored = np.array([[[16, 128, 128], [235, 128, 128], [81, 90, 240]]], np.uint8)
    plan = Plan("YBR_PARTIAL_422", 8, 7, signed=False)
    assert picture(stored, plan, ())[0].tolist() == [[0, 0, 0], [255, 255, 255], [254, 0, 0]]


@pytest.mark.parametrize(
    ("photometric", "shape"),
    [("HSV", (2, 2, 3)), ("MONOCHROME3", (2, 2)), ("RGB", (2, 2, 4)), ("PALETTE COLOR", (2, 2))],
)
def test_what_is_no_picture(photometric, shape) -> None:
    with pytest.raises(CannotRender):
        picture(np.zeros(shape, np.uint8), Plan(photometric, 8, 7, signed=False), ())


# --- the view ---

RAMP = np.arange(200, dtype=np.uint8).reshape(10, 20)


def view(**values) -> np.ndarray:
    return viewed(RAMP, replace(GREY, view=View(**values)))


def test_viewport_keeps_the_aspect_ratio() -> None:
    assert view(width=40, height=40).shape == (20, 40)
    assert view(width=8, height=8).shape == (4, 8)
    assert view(height=5).shape == (5, 10)
    assert view(stretch=(1.0, 2.0)).shape == (20, 20)
    assert view(region=(0.0, 0.0, 5.0, 10.0), width=10, height=10).shape == (10, 5)


def test_region_and_mirroring() -> None:
    assert (view(region=(5.0, 2.0, 4.0, 3.0)) == RAMP[2:5, 5:9]).all()
    assert (view(flip_horizontal=True) == RAMP[:, ::-1]).all()
    assert (view(flip_vertical=True) == RAMP[::-1]).all()


def test_annotation_is_burned_in_and_legible() -> None:
    dark = np.zeros((256, 256), np.uint8)
    marked = viewed(dark, replace(GREY, corners=(("Doe Jane", "ID 4711"), ("CT",))))
    assert marked[:60, :100].max() > 200 and marked[:30, 200:].max() > 200
    assert marked[100:].max() == 0
    bright = viewed(np.full((256, 256, 3), 255, np.uint8), replace(GREY, corners=(("Doe",), ())))
    assert bright[:40, :60].min() < 50
    # Any text, any size: nothing is raised, nothing leaves the picture.
    assert viewed(
        np.zeros((3, 3), np.uint8), replace(GREY, corners=(("Ж漢字\x00\u202e" * 99,) * 99, ()))
    ).shape == (3, 3)


def test_parameters_default_to_the_whole_image() -> None:
    for image in [image for image in map(render_kit.load, IMAGES[:8]) if image is not None]:
        plan, _ = plan_for(image.header, 1, Parameters())
        assert plan.view.region is None and (plan.view.width, plan.view.height) == (0, 0)
