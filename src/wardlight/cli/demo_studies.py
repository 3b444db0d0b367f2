"""Sample studies for `wardlight demo`: drawn phantoms and real files of pydicom's wheel. All patients are invented."""

from __future__ import annotations

import random
import warnings
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.data import data_manager
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

_SIZE = 256
_CT = "1.2.840.10008.5.1.4.1.1.2"
_MR = "1.2.840.10008.5.1.4.1.1.4"
#: Real files, by their names in pydicom's wheel: CT and MR from scanners, compressed, a segmentation, a plan.
REAL_FILES = ("CT_small.dcm", "MR_small_jp2klossless.dcm", "JPEG2000.dcm", "liver_1frame.dcm", "rtplan.dcm")


@dataclass(frozen=True, slots=True)
class Sample:
    """One drawn study. Ellipses are (centre x, centre y, half width, half height, value), later ones on top."""

    description: str
    modality: str
    patient_name: str
    patient_id: str
    birth_date: str
    sex: str
    slices: int
    ellipses: tuple[tuple[int, int, int, int, int], ...]


CHEST = Sample(
    "CT CHEST", "CT", "Lindqvist^Astrid", "MRN-204417", "19580312", "F", 40,
    ((128, 132, 112, 84, 1040), (82, 126, 38, 58, 180), (174, 126, 38, 58, 180), (128, 186, 16, 16, 1700), (122, 138, 26, 30, 1090)),
)  # fmt: skip
ABDOMEN = Sample(
    "CT ABDOMEN", "CT", "Okonkwo^Chidi", "MRN-118230", "19710925", "M", 24,
    ((128, 132, 108, 80, 1030), (88, 120, 50, 46, 1095), (178, 120, 28, 30, 1085), (128, 182, 16, 16, 1650), (150, 150, 14, 14, 1060)),
)  # fmt: skip
BRAIN = Sample(
    "MR BRAIN", "MR", "Martínez^Lucía", "MRN-330982", "19840717", "F", 24,
    ((128, 128, 88, 106, 700), (128, 128, 80, 98, 260), (128, 128, 74, 92, 420), (112, 128, 12, 30, 120), (144, 128, 12, 30, 120)),
)  # fmt: skip
KNEE = Sample(
    "MR KNEE", "MR", "Haddad^Noor", "MRN-551094", "19930502", "F", 20,
    ((128, 128, 70, 120, 380), (128, 70, 48, 58, 640), (128, 190, 46, 60, 620), (128, 128, 44, 8, 120), (70, 120, 14, 22, 560)),
)  # fmt: skip
#: Small ones for the partner applications.
HEAD = Sample(
    "CT HEAD", "CT", "Okafor^Ngozi", "MRN-440182", "19660521", "F", 8,
    ((128, 128, 84, 104, 1700), (128, 128, 76, 96, 1060), (116, 126, 10, 28, 1030), (140, 126, 10, 28, 1030)),
)  # fmt: skip
SPINE = Sample(
    "MR SPINE", "MR", "Novák^Petr", "MRN-271903", "19790114", "M", 8,
    ((128, 128, 104, 74, 320), (128, 150, 30, 26, 610), (128, 118, 12, 12, 880), (86, 150, 26, 30, 480), (170, 150, 26, 30, 480)),
)  # fmt: skip
THORAX = Sample(
    "CT THORAX", "CT", "Silva^João", "MRN-615520", "19500808", "M", 8,
    ((128, 132, 114, 86, 1045), (80, 126, 40, 60, 170), (176, 126, 40, 60, 170), (96, 120, 5, 5, 1080), (128, 188, 16, 16, 1690)),
)  # fmt: skip
HIP = Sample(
    "MR HIP", "MR", "Yılmaz^Elif", "MRN-707215", "19880227", "F", 8,
    ((128, 128, 110, 82, 360), (78, 128, 24, 24, 760), (178, 128, 24, 24, 760), (128, 150, 26, 18, 250)),
)  # fmt: skip


def _pixels(sample: Sample, position: float, noise: random.Random) -> bytes:
    """One slice, `_SIZE` × `_SIZE` × 16 bit little endian; ellipses shrink towards the ends of the volume."""
    scale = 1.0 - 0.35 * (2 * position - 1) ** 2
    rows = array("H", bytes(2 * _SIZE * _SIZE))
    for centre_x, centre_y, half_width, half_height, value in sample.ellipses:
        height = int(half_height * scale)
        for dy in range(-height, height + 1):
            y = centre_y + dy
            width = int(half_width * scale * (1 - (dy / max(height, 1)) ** 2) ** 0.5)
            start, end = max(0, centre_x - width), min(_SIZE, centre_x + width)
            if 0 <= y < _SIZE and start < end:
                rows[y * _SIZE + start : y * _SIZE + end] = array("H", [value]) * (end - start)
    # Sensor noise below 32, added to all pixels at once as one large number: no pixel overflows into the next.
    mask = int.from_bytes(b"\x1f\x00" * (_SIZE * _SIZE), "little")
    grain = int.from_bytes(noise.randbytes(2 * _SIZE * _SIZE), "little") & mask
    return (int.from_bytes(rows.tobytes(), "little") + grain).to_bytes(2 * _SIZE * _SIZE, "little")


def _common(sample: Sample, study: str, series: str) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = _CT if sample.modality == "CT" else _MR
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20260914"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "093211"
    ds.AccessionNumber, ds.Modality = "ACC-" + sample.patient_id[-4:], sample.modality
    ds.Manufacturer, ds.ManufacturerModelName = "Wardlight", "Phantom"
    ds.InstitutionName, ds.ReferringPhysicianName = "St. Mary Hospital", "Weaver^Ruth"
    ds.StudyDescription, ds.SeriesDescription = sample.description, "AXIAL"
    ds.PatientName, ds.PatientID = sample.patient_name, sample.patient_id
    ds.PatientBirthDate, ds.PatientSex = sample.birth_date, sample.sex
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = generate_uid(entropy_srcs=[series, "frame"]), ""
    ds.StudyID, ds.SeriesNumber, ds.PatientPosition = "1", 1, "HFS"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = _SIZE
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelSpacing, ds.SliceThickness = ["1.5", "1.5"], "3"
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    if sample.modality == "CT":
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType, ds.KVP = "-1024", "1", "HU", "120"
        ds.WindowCenter, ds.WindowWidth = "40", "400"
    else:
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "SE", "NONE", ""
        ds.MRAcquisitionType, ds.EchoTime, ds.RepetitionTime, ds.EchoTrainLength = "2D", "90", "4000", 12
        ds.WindowCenter, ds.WindowWidth = "350", "700"
    return ds


def draw(sample: Sample) -> Iterator[Dataset]:
    """The instances of a drawn study, the same on every run."""
    study = generate_uid(entropy_srcs=["wardlight-demo", sample.patient_id])
    series = generate_uid(entropy_srcs=["wardlight-demo", sample.patient_id, "1"])
    noise = random.Random(sample.patient_id)  # noqa: S311 - texture, not a secret
    for index in range(sample.slices):
        ds = _common(sample, study, series)
        ds.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(index)])
        ds.InstanceNumber, ds.AcquisitionNumber = index + 1, 1
        ds.ImagePositionPatient = ["-192", "-192", str(3 * index)]
        ds.SliceLocation = str(3 * index)
        ds.PixelData = _pixels(sample, index / max(1, sample.slices - 1), noise)
        ds["PixelData"].VR = "OW"
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta = meta
        yield ds


def real() -> Iterator[Dataset]:
    """Real images from pydicom's wheel, those that are there."""
    folder = Path(data_manager.DATA_ROOT) / "test_files"
    for name in REAL_FILES:
        if (folder / name).exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield pydicom.dcmread(folder / name)
