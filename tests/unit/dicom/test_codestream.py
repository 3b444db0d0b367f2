"""The head of a compressed frame tells its transfer syntax and shape, as real files say of themselves."""

from __future__ import annotations

import warnings

import imagecodecs
import numpy
import pydicom
import pytest
from pydicom.encaps import generate_frames

from real_files import paths
from wardlight.dicom.codestream import HEAD_BYTES, inspect

#: Files whose data set contradicts their frames.
WRONG = {
    "693_J2KI.dcm": "reversible, but stored as a lossy syntax",
    "SC_rgb_gdcm_KY.dcm": "reversible, but stored as a lossy syntax",
    "JPEG2000-embedded-sequence-delimiter.dcm": "its size is altered to hold a delimiter",
}


def test_real_files() -> None:
    seen = set()
    for path in paths():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = pydicom.dcmread(path, force=True)
            syntax = ds.file_meta.get("TransferSyntaxUID")
            if syntax is None or not syntax.is_encapsulated or "PixelData" not in ds or "RLE" in syntax.name:
                continue
            frame = next(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames") or 1)))
        found = inspect(frame[:HEAD_BYTES])
        if path.name in WRONG:
            continue
        assert found is not None, path.name
        expected = (syntax, ds.Rows, ds.Columns, ds.SamplesPerPixel)
        assert (found.syntax, found.rows, found.columns, found.samples) == expected, path.name
        assert found.bits <= ds.BitsAllocated
        seen.add(syntax.name)
    assert len(seen) >= 6


@pytest.mark.parametrize(
    ("reversible", "syntax", "photometric"), [(True, "90", "YBR_RCT"), (False, "91", "YBR_ICT")]
)
def test_the_file_format_around_a_codestream(reversible: bool, syntax: str, photometric: str) -> None:
    image = numpy.arange(40 * 30 * 3, dtype=numpy.uint8).reshape(40, 30, 3)
    codestream = imagecodecs.jpeg2k_encode(image, codecformat="j2k", reversible=reversible, level=0, mct=True)
    boxed = imagecodecs.jpeg2k_encode(image, codecformat="jp2", reversible=reversible, level=0, mct=True)
    bare, inside = inspect(codestream), inspect(boxed)
    assert bare is not None and inside is not None
    assert bare.start == 0 and boxed[inside.start :].startswith(b"\xff\x4f\xff\x51")
    for found in (bare, inside):
        assert found.syntax.endswith(f".4.{syntax}")
        assert (found.rows, found.columns, found.samples, found.bits, found.signed) == (40, 30, 3, 8, False)
        assert found.photometric == photometric


def test_high_throughput() -> None:
    image = numpy.arange(64 * 64, dtype=numpy.uint16).reshape(64, 64)
    found = inspect(imagecodecs.htj2k_encode(image, reversible=True))
    assert found is not None
    assert (found.syntax[-4:], found.rows, found.columns, found.bits) == (".201", 64, 64, 16)


def test_lossless_jpeg_and_jpeg_ls() -> None:
    image = numpy.arange(20 * 30, dtype=numpy.uint8).reshape(20, 30)
    lossless = inspect(imagecodecs.ljpeg_encode(image))
    assert lossless is not None and lossless.syntax.endswith((".4.70", ".4.57"))
    for near, suffix in ((0, "80"), (2, "81")):
        found = inspect(imagecodecs.jpegls_encode(image, level=near))
        assert found is not None
        assert (found.syntax[-2:], found.rows, found.columns, found.bits) == (suffix, 20, 30, 8)


def test_any_cut_is_none_or_the_same() -> None:
    image = numpy.arange(20 * 30, dtype=numpy.uint8).reshape(20, 30)
    for data in (
        imagecodecs.jpeg8_encode(image),
        imagecodecs.jpegls_encode(image),
        imagecodecs.jpeg2k_encode(image, codecformat="jp2"),
        imagecodecs.htj2k_encode(image),
    ):
        whole = inspect(data)
        assert whole is not None
        assert {inspect(data[:end]) for end in range(min(len(data), 400))} <= {None, whole}
        for position in range(min(len(data), 200)):
            for byte in (0, 0xFF):
                inspect(data[:position] + bytes((byte,)) + data[position + 1 :])
    assert inspect(b"") is inspect(b"\x89PNG\r\n\x1a\n") is None
