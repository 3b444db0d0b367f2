"""What was burned in goes from every frame, in every form that pixels have; nothing else of them changes."""

from __future__ import annotations

import io
import secrets
from typing import Any

import numpy as np
import pydicom
import pytest
from imagecodecs import jpeg8_encode, ljpeg_encode
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from pixel_kit import (
    HTJ2K,
    J2K,
    JPEG,
    JPEG_LOSSLESS,
    JPEG_LS,
    RLE,
    WAYS,
    fragments,
    image,
    leave,
    native,
)
from reader_kit import FakeReader
from wardlight.decoding.codecs_encode import encode
from wardlight.decoding.model import Frame
from wardlight.dicom.part10 import read_meta, write_meta
from wardlight.dicom.transfer_syntax import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE

BOX, OTHER = (2, 1, 6, 3), (0, 6, 9, 8)
ROWS, COLUMNS = 9, 10
US = "1.2.840.10008.5.1.4.1.1.3.1"
NATIVE = [one.uid for one in (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED)]


def ultrasound(**changes: Any) -> Dataset:
    """Frames of eight bits, of a class in which text is likely."""
    layout = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Rows": ROWS, "Columns": COLUMNS}
    ds = image(SOPClassUID=US, Modality="US", **{**layout, **changes})
    if ds.SamplesPerPixel > 1 and "PlanarConfiguration" not in ds:
        ds.PlanarConfiguration = 0
    return ds


def random_bytes(count: int) -> bytes:
    return np.random.default_rng(secrets.randbits(32)).integers(0, 256, count, np.uint8).tobytes()


def pixels_of(ds: Dataset, value: bytes, syntax: str = EXPLICIT_LITTLE.uid) -> Any:
    """Frames × rows × columns × samples, as pydicom reads them."""
    ds = pydicom.dcmread(io.BytesIO(file_of(native(ds, value, syntax), syntax)))
    return arranged(ds)


def arranged(ds: Dataset) -> Any:
    frames = int(ds.get("NumberOfFrames", 1) or 1)
    return ds.pixel_array.reshape(frames, ds.Rows, ds.Columns, ds.SamplesPerPixel)


def file_of(data: bytes, syntax: str) -> bytes:
    meta = write_meta(US, "1.2.3", syntax, implementation_class_uid="1.2", implementation_version="T")
    return meta + data


def only_boxes_changed(before: Any, after: Any, *boxes: tuple[int, int, int, int]) -> None:
    """Equal outside the boxes, one colour inside."""
    expected = before.copy()
    for left, top, right, bottom in boxes:
        inside = after[:, top:bottom, left:right]
        assert (inside == after[0, boxes[0][1], boxes[0][0]]).all()
        expected[:, top:bottom, left:right] = inside
        assert not np.array_equal(before[:, top:bottom, left:right], inside)
    assert np.array_equal(expected, after)


def codes(ds: Dataset) -> set[str]:
    return {item.CodeValue for item in ds.DeidentificationMethodCodeSequence}


FORMS: list[dict[str, Any]] = [
    {},
    {"PhotometricInterpretation": "MONOCHROME1"},
    {"BitsStored": 7, "HighBit": 6, "NumberOfFrames": 3},
    {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "NumberOfFrames": 2},
    {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1},
    {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31},
    {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "NumberOfFrames": 2},
    {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 1, "NumberOfFrames": 2},
    {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL"},
    {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "NumberOfFrames": 3},
]


#: Each form once, and what matters of them in each other syntax.
CASES = [(form, EXPLICIT_LITTLE.uid) for form in FORMS] + [
    (form, syntax) for syntax in NATIVE[1:] for form in (FORMS[2], FORMS[3], FORMS[7])
]


@pytest.mark.parametrize(("form", "syntax"), CASES)
def test_native_pixels_of_each_form(form: dict[str, Any], syntax: str) -> None:
    ds = ultrasound(**form)
    frames = int(form.get("NumberOfFrames", 1))
    bits = ROWS * COLUMNS * ds.SamplesPerPixel * ds.BitsAllocated * frames
    value = random_bytes((bits + 7) // 8)
    value += b"\0" * (len(value) % 2)
    reader = FakeReader(((BOX, "SMITH"),), ((OTHER, ""),))
    left = leave(WAYS[0], "high", native(ds, value, syntax), syntax, reader)
    assert left.reasons == ()
    assert left.data_set.file_meta.TransferSyntaxUID == syntax
    before = pixels_of(ds, left.data_set.PixelData, syntax)
    clean = leave(WAYS[0], "high", native(ds, value, syntax), syntax, FakeReader())
    boxes = (BOX, OTHER) if frames > 1 else (BOX,)
    only_boxes_changed(arranged(clean.data_set), before, *boxes)
    assert len(reader.frames) == frames
    assert left.data_set.BurnedInAnnotation == "NO" and "113101" in codes(left.data_set)
    if ds.BitsAllocated == 8 and ds.BitsStored == 8:
        assert left.data_set.PixelData != value == clean.data_set.PixelData


def test_shared_colours_lose_whole_pairs() -> None:
    ds = ultrasound(SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL_422")
    value = random_bytes(2 * ROWS * COLUMNS)
    left = leave("command", "high", native(ds, value), reader=FakeReader((((3, 1, 6, 3), ""),)))
    before = np.frombuffer(value, np.uint8).reshape(ROWS, COLUMNS // 2, 4)
    after = np.frombuffer(left.data_set.PixelData, np.uint8).reshape(ROWS, COLUMNS // 2, 4)
    assert (after[1:3, 1:3] == (0, 0, 128, 128)).all()
    changed = (before != after).any(axis=2)
    changed[1:3, 1:3] = False
    assert not changed.any()


@pytest.mark.parametrize("way", WAYS)
def test_one_bit_frames_that_end_within_a_byte(way: str) -> None:
    ds = ultrasound(BitsAllocated=1, BitsStored=1, HighBit=0, NumberOfFrames=11, Rows=3, Columns=7)
    value = random_bytes(30)
    reader = FakeReader((((1, 1, 4, 2), ""),))
    left = leave(way, "medium", native(ds, value), reader=reader)
    bits = (
        np.unpackbits(np.frombuffer(value, np.uint8), bitorder="little")[: 11 * 21].reshape(11, 3, 7).copy()
    )
    assert [frame[1][0] & 0x7F for frame in reader.frames] == [
        int("".join(map(str, row[0][::-1])), 2) for row in bits
    ]
    bits[:, 1:2, 1:4] = 0
    made = np.packbits(bits, bitorder="little").tobytes()
    assert left.data_set.PixelData == made + b"\0" * (len(made) % 2)


@pytest.mark.parametrize(
    ("syntax", "becomes", "lossy"),
    [
        (RLE, RLE, False),
        (JPEG_LS, JPEG_LS, False),
        (J2K, J2K, False),
        (HTJ2K, HTJ2K, False),
        ("1.2.840.10008.1.2.4.81", JPEG_LS, False),
        ("1.2.840.10008.1.2.4.91", JPEG_LS, False),
        ("1.2.840.10008.1.2.4.203", JPEG_LS, False),
        (JPEG_LOSSLESS, JPEG_LS, False),
        (JPEG, JPEG_LS, True),
    ],
)
@pytest.mark.parametrize(("way", "samples"), [("receiver", 1), ("command", 3)])
def test_compressed_frames_are_encoded_anew(
    way: str, syntax: str, becomes: str, lossy: bool, samples: int
) -> None:
    rows, columns = 40, 48
    colour = "YBR_FULL_422" if lossy else "YBR_RCT" if syntax in (J2K, HTJ2K) else "RGB"
    ds = ultrasound(
        Rows=rows,
        Columns=columns,
        SamplesPerPixel=samples,
        NumberOfFrames=3,
        PhotometricInterpretation=colour if samples == 3 else "MONOCHROME2",
    )
    frames = [made(syntax, rows, columns, samples, number) for number in range(3)]
    value = fragments(ds, [frame + b"\0" * (len(frame) % 2) for frame in frames])
    boxes = ((4, 2, 30, 9), (8, 20, 40, 31))
    reader = FakeReader(((boxes[0], ""),), (), ((boxes[1], ""),))
    left = leave(way, "high", value, syntax, reader)
    assert left.reasons == ()
    out = left.data_set
    assert out.file_meta.TransferSyntaxUID == becomes == read_meta(left.file).transfer_syntax
    assert len(list(generate_frames(out.PixelData, number_of_frames=3))) == 3
    assert ("LossyImageCompression" in out) == lossy
    if becomes != HTJ2K:
        before = arranged(pydicom.dcmread(io.BytesIO(file_of(value, syntax)))) if not lossy else None
        after = arranged(out)
        for left_, top, right, bottom in boxes:
            assert not after[:, top:bottom, left_:right].any()
        if before is not None and syntax not in ("1.2.840.10008.1.2.4.203",):
            only_boxes_changed(before, after, *boxes)
    # Where nothing is found, the very bytes leave, but for what encoders say of themselves.
    same = leave(way, "high", value, syntax, FakeReader())
    assert same.data_set.file_meta.TransferSyntaxUID == syntax
    sent, came = same.data_set.PixelData, pydicom.dcmread(io.BytesIO(file_of(value, syntax))).PixelData
    assert len(sent) == len(came) and all(one in (other, 0) for one, other in zip(sent, came, strict=True))
    assert sent == came or b"\xff\x64" in came


def made(syntax: str, rows: int, columns: int, samples: int, number: int) -> bytes:
    """A frame in this syntax."""
    shape = (rows, columns) if samples == 1 else (rows, columns, samples)
    ramp = np.arange(rows * columns * samples, dtype=np.uint32).reshape(shape)
    pixels = ((ramp // 3 + 40 * number) % 200 + 20).astype(np.uint8)
    if syntax == JPEG:
        return bytes(jpeg8_encode(pixels, level=90))
    if syntax == JPEG_LOSSLESS:
        return bytes(
            ljpeg_encode(pixels)
            if samples == 1
            else jpeg8_encode(pixels, lossless=True, colorspace="RGB", outcolorspace="RGB")
        )
    target = {
        "1.2.840.10008.1.2.4.81": JPEG_LS,
        "1.2.840.10008.1.2.4.91": J2K,
        "1.2.840.10008.1.2.4.203": HTJ2K,
    }.get(syntax, syntax)
    frame = Frame(
        EXPLICIT_LITTLE.uid, rows, columns, samples, "RGB" if samples > 1 else "MONOCHROME2", 8, 8, 7, False
    )
    photometric = "RGB" if samples == 3 else "MONOCHROME2"
    return encode(pixels, frame, photometric, target)[2]
