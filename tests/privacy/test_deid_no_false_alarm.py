"""No false alarm: series of patients with names of two letters and one sign leave whole, whatever their numbers are.

Random positions, UIDs, tables and pixels hold every short name somewhere; a verifier that looked for names there would
keep one image of ten.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset

from deid_kit import decode, deidentifier, minimal
from deid_objects import stream_of
from pixel_kit import RLE, fragments, native, rle
from wardlight.deid.protect import NOT_RELEASED, protect, reasons_of
from wardlight.dicom.part10 import write_meta
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

NAMES = ("LEE", "LI", "王", "O", "Li^Na", "KIM^AN", "Ng=吳", "AL^ED", "CT^MR", "SEE^AP", "HU^MA", "R^L")
SIZE = 16


def as_file(ds: Dataset, syntax: str, data_set: bytes) -> bytes:
    meta = write_meta(
        ds.SOPClassUID,
        ds.SOPInstanceUID,
        syntax,
        implementation_class_uid="1.2.3",
        implementation_version="TESTS",
    )
    return meta + data_set


def slices(name: str, generator: random.Random, count: int, compressed: bool) -> Iterator[bytes]:
    """The files of a series; what differs from slice to slice differs as it does in a hospital."""
    ds = minimal()
    ds.PatientName, ds.PatientID = name, str(generator.randrange(1000, 10**7))
    ds.Rows = ds.Columns = SIZE
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.StudyDescription, ds.SeriesDescription = (
        "CT abdomen delayed, head and chest",
        "axial 2.5 mm B30f, lithium",
    )
    ds.Manufacturer, ds.ManufacturerModelName, ds.BodyPartExamined = (
        "SIEMENS",
        "SOMATOM Definition AS+",
        "HEAD",
    )
    ds.SoftwareVersions, ds.ConvolutionKernel = "syngo CT VA48A", "B30f"
    ds.add_new(0x00281202, "OW", generator.randbytes(512))
    for number in range(count):
        ds.SOPInstanceUID = f"1.2.826.0.1.3680043.10.55.{generator.randrange(10**12)}.{number}"
        ds.InstanceNumber = number + 1
        ds.ImagePositionPatient = [f"{generator.uniform(-500, 500):.6f}" for _ in range(3)]
        ds.SliceLocation = f"{generator.uniform(-500, 500):.4f}"
        ds.AcquisitionTime = f"10{number // 60 % 60:02d}{number % 60:02d}.{generator.randrange(10**6):06d}"
        ds.XRayTubeCurrent, ds.Exposure = str(generator.randrange(900)), str(generator.randrange(900))
        ds.WindowCenter, ds.WindowWidth = (
            str(generator.randrange(-500, 500)),
            str(generator.randrange(1, 3000)),
        )
        pixels = generator.randbytes(SIZE * SIZE)
        if compressed:
            # Literal runs of 128 bytes (PS3.5 G.3).
            packed = b"".join(b"\x7f" + pixels[start : start + 128] for start in range(0, len(pixels), 128))
            yield as_file(ds, RLE, fragments(ds, [rle(packed)]))
        else:
            yield as_file(ds, EXPLICIT_LITTLE.uid, native(ds, pixels))


def alarms(level: str, series: int, length: int, seed: int) -> list[tuple[str, list[str]]]:
    """Every slice that was kept, and why."""
    generator = random.Random(seed)
    kept = []
    for number in range(series):
        name = NAMES[number % len(NAMES)]
        for file in slices(name, generator, length, compressed=number % 2 == 1):
            stream, value = stream_of(file)
            try:
                protected = protect(deidentifier(level), stream, lambda value=value: iter([value]))
                for _ in protected.through([value]):
                    pass
            except NOT_RELEASED as error:
                kept.append((name, list(reasons_of(error))))
                continue
            assert decode(protected.result.header).Modality == "CT"
    return kept


@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_short_names_in_a_few_slices(level: str) -> None:
    seed = secrets.randbits(32)
    assert alarms(level, len(NAMES) * 2, 4, seed) == [], seed


@pytest.mark.long
@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_short_names_in_a_hundred_series(level: str) -> None:
    seed = secrets.randbits(32)
    assert alarms(level, 100, 500, seed) == [], seed
