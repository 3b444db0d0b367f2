"""Real images for tests of rendering: the header read by our code, the stored pixels decoded by pydicom."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array

import real_files
from wardlight.dicom.part10 import Part10Stream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE
from wardlight.dicomweb.rendered_attributes import top_level
from wardlight.dicomweb.rendered_plan import ImageHeader


@dataclass(frozen=True)
class RealImage:
    """header: as our code reads it. stored: frame 1 as pydicom decodes it, colours not converted."""

    path: Path
    dataset: Dataset
    header: ImageHeader
    stored: np.ndarray


@cache
def image_paths() -> tuple[Path, ...]:
    """Files with pixels, one of each content; `load` gives None for those that pydicom and Pillow do not decode."""
    found = {}
    for path in real_files.paths():
        dataset = real_files.read(path)
        if any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
            found.setdefault(path.read_bytes(), path)
    return tuple(found.values())


@cache
def load(path: Path) -> RealImage | None:
    """A real image, or None where pydicom cannot decode it or the file is cut."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, force=True)
        try:
            stored = pixel_array(dataset, index=0, raw=True)
        except Exception:
            return None
    return RealImage(path, dataset, read_header(path), stored)


def read_header(path: Path) -> ImageHeader:
    follower = Part10Stream()
    follower.feed(path.read_bytes())
    follower.finish()
    syntax = follower.stream.syntax
    attributes = top_level(follower.stream.header, EXPLICIT_LITTLE if syntax.deflated else syntax)
    pixel = follower.stream.pixel
    floating = pixel is not None and pixel.tag != 0x7FE00010
    return ImageHeader(attributes, syntax.uid, floating, pixel is not None and pixel.vr == b"OW")
