"""Frames of real files and made-up ones for the decoders, described as pydicom reads them."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

import real_files
from wardlight.decoding.model import Frame

ROOT = "1.2.840.10008.1.2."
EXPLICIT = ROOT + "1"
#: pydicom's file with an item delimiter inside its only fragment: its frame is cut by readers that look for one.
UNREADABLE = ("pydicom: data/test_files/JPEG2000-embedded-sequence-delimiter.dcm",)


def describe(data_set: Dataset) -> Frame:
    """The description of the pixels of a data set."""
    syntax = data_set.file_meta.TransferSyntaxUID
    pixel = next(tag for tag in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if tag in data_set)
    bits = data_set.BitsAllocated
    return Frame(
        syntax=str(syntax), rows=data_set.Rows, columns=data_set.Columns, samples=data_set.SamplesPerPixel,
        photometric=data_set.PhotometricInterpretation, bits_allocated=bits,
        bits_stored=data_set.get("BitsStored", bits), high_bit=data_set.get("HighBit", bits - 1),
        signed=bool(data_set.get("PixelRepresentation", 0)), planar=data_set.get("PlanarConfiguration", 0) or 0,
        floating=pixel != "PixelData", words=data_set[pixel].VR == "OW",
    )  # fmt: skip


def frame_count(data_set: Dataset) -> int:
    return int(str(data_set.get("NumberOfFrames", 1) or 1).rstrip("A"))


def frame_bytes(data_set: Dataset, number: int) -> bytes:
    """The stored bytes of frame `number`, from 0."""
    if data_set.file_meta.TransferSyntaxUID.is_encapsulated:
        frames = generate_frames(data_set.PixelData, number_of_frames=frame_count(data_set))
        return next(data for place, data in enumerate(frames) if place == number)
    size = describe(data_set).size
    return data_set.PixelData[number * size : (number + 1) * size]


@cache
def compressed_files() -> dict[str, pydicom.FileDataset]:
    """Real files with compressed pixels, by name."""
    found = {}
    for path in real_files.paths():
        name = real_files.name_of(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data_set = pydicom.dcmread(path, force=True)
        syntax = getattr(data_set.file_meta, "TransferSyntaxUID", None)
        if (
            name not in UNREADABLE
            and syntax is not None
            and syntax.is_encapsulated
            and "PixelData" in data_set
        ):
            found[name] = data_set
    return found


def expected(data_set: Dataset, number: int) -> np.ndarray:
    """The pixels of a frame by pydicom's decoders."""
    from pydicom.pixels import get_decoder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return get_decoder(data_set.file_meta.TransferSyntaxUID).as_array(data_set, index=number)[0]


def pixels_of(data: bytes, frame: Frame) -> np.ndarray:
    """Decoded bytes as an array of the form pydicom gives."""
    kind = "f" if frame.floating else "i" if frame.signed else "u"
    flat = np.frombuffer(data, f"<{kind}{frame.bits_allocated // 8}")
    return flat.reshape((frame.rows, frame.columns, frame.samples)[: 2 + (frame.samples > 1)])
