"""Seeded corpora: (a) CT series, (b) small MR, (c) large multi-frame, (d) multi-frame. Written once, then reused.

The elements are those a scanner sends: about 100 in the header, with sequences and private groups, names with
umlauts, identifiers everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
ROOT = "1.2.826.0.1.3680043.10.9999."


def uid(*parts: object) -> str:
    """A UID that depends on `parts` only."""
    return ROOT + str(int(hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:24], 16))


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _reference(sop_class: str, instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
    return item


def _identify(ds: Dataset, corpus: str, patient: int, study: int, series: int, instance: int) -> None:
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.InstanceCreationDate, ds.InstanceCreationTime = "20240317", "101530.123000"
    ds.SOPInstanceUID = uid(corpus, patient, study, series, instance)
    for name in ("Study", "Series", "Acquisition", "Content"):
        setattr(ds, f"{name}Date", "20240317")
    ds.AcquisitionDateTime = "20240317101529.511000"
    ds.StudyTime, ds.SeriesTime = "101000.450000", "101412.331000"
    ds.AcquisitionTime, ds.ContentTime = "101529.511000", f"101530.{instance % 1000000:06d}"
    ds.AccessionNumber = f"A{study * 37 + 11:07d}"
    ds.InstitutionName = "Universitätsklinikum Musterstadt"
    ds.InstitutionAddress = "Hauptstr. 12, Musterstadt, District, DE, 12345"
    ds.ReferringPhysicianName, ds.StationName = "Weiß^Hannelore^^Dr.", "CT54321"
    ds.InstitutionalDepartmentName, ds.PhysiciansOfRecord = "Radiologie", "Meier^Karl"
    ds.PerformingPhysicianName, ds.NameOfPhysiciansReadingStudy = "Schulz^Petra", "Braun^Otto"
    ds.OperatorsName = "mt^Lehmann"
    ds.PatientName, ds.PatientID = f"Müller-{patient:04d}^Hans-Jürgen^Karl", f"PID{patient * 7919 + 17:08d}"
    ds.IssuerOfPatientID, ds.PatientBirthDate, ds.PatientSex = "HOSP", "19560724", "M"
    ds.PatientAge, ds.PatientSize, ds.PatientWeight = "067Y", "1.78", "82.5"
    ds.PatientAddress, ds.PatientTelephoneNumbers = "Lindenweg 3, Musterstadt", "+49 30 1234567"
    ds.StudyInstanceUID = uid(corpus, "study", patient, study)
    ds.SeriesInstanceUID = uid(corpus, "series", patient, study, series)
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = str(study), series, instance + 1
    ds.FrameOfReferenceUID = uid(corpus, "for", patient, study)


def _describe(ds: Dataset, corpus: str, patient: int, study: int, series: int, instance: int) -> None:
    sop_class = ds.SOPClassUID
    ds.StudyDescription, ds.SeriesDescription = "CT Thorax", f"Thorax 1.0 B31f {series}"
    ds.ProcedureCodeSequence = Sequence([_code("24627-2", "LN", "CT Chest")])
    ds.ReferencedStudySequence = Sequence(
        [_reference("1.2.840.10008.3.1.2.3.1", uid(corpus, "refstudy", study))]
    )
    ds.ReferencedImageSequence = Sequence(
        [_reference(sop_class, uid(corpus, patient, study, "localizer", k)) for k in range(2)]
    )
    ds.SourceImageSequence = Sequence(
        [_reference(sop_class, uid(corpus, patient, study, "source", instance))]
    )
    ds.Manufacturer, ds.ManufacturerModelName = "SIEMENS", "SOMATOM Definition AS+"
    ds.DeviceSerialNumber, ds.SoftwareVersions, ds.ProtocolName = "54321", "syngo CT VA48A", "Thorax_Routine"
    ds.BodyPartExamined, ds.PatientPosition, ds.ImageComments = "CHEST", "HFS", "Bild für Müller"
    ds.RequestingPhysician, ds.RequestedProcedureDescription = "Weiß^Hannelore", "CT Thorax mit KM"
    ds.PerformedProcedureStepStartDate, ds.PerformedProcedureStepID = "20240317", f"PPS{study}"
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = f"RP{study}", f"SPS{study}"
    request.ScheduledProcedureStepDescription = "Thorax"
    request.ScheduledProtocolCodeSequence = Sequence([_code("CTTH", "99HOSP", "Thorax")])
    ds.RequestAttributesSequence = Sequence([request])


def _acquire(ds: Dataset, instance: int) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]
    values: dict[str, object] = {
        "ScanOptions": "HELIX_CT", "SliceThickness": "1.0", "KVP": "120", "DataCollectionDiameter": "500",
        "ReconstructionDiameter": "350", "DistanceSourceToDetector": "1085.6", "DistanceSourceToPatient": "595",
        "GantryDetectorTilt": "0", "TableHeight": "150", "RotationDirection": "CW", "ExposureTime": "500",
        "XRayTubeCurrent": str(180 + instance % 50), "Exposure": "110", "FilterType": "WEDGE_2", "GeneratorPower": "38",
        "FocalSpots": "1.2", "DateOfLastCalibration": "20240316", "TimeOfLastCalibration": "060000",
        "ConvolutionKernel": ["B31f", "3"], "SingleCollimationWidth": 0.6, "TotalCollimationWidth": 38.4,
        "TableSpeed": 46.0, "SpiralPitchFactor": 1.2, "CTDIvol": 7.43, "AcquisitionNumber": 2,
        "ImagePositionPatient": ["-174.65", "-321.65", f"{-100 - instance:.2f}"],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"], "PositionReferenceIndicator": "",
        "SliceLocation": f"{-100 - instance:.2f}", "ContrastBolusAgent": "Ultravist 370", "ContrastBolusVolume": "90",
    }  # fmt: skip
    for name, value in values.items():
        setattr(ds, name, value)
    ds.CTDIPhantomTypeCodeSequence = Sequence([_code("113691", "DCM", "IEC Body Dosimetry Phantom")])
    block = ds.private_block(0x0019, "SIEMENS MED", create=True)
    block.add_new(0x90, "DS", "5.5")
    block.add_new(0x92, "LO", "Müller^Hans")
    block = ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x08, "CS", "IMAGE NUM 4")
    block.add_new(0x10, "OB", (b"SV10\4\3\2\1" + bytes(range(256)) * 9)[:2304])
    block.add_new(0x20, "OB", bytes(range(256)) * 16)


def _image(ds: Dataset, rows: int, columns: int, frames: int = 0) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    if frames:
        ds.NumberOfFrames = frames
    ds.Rows, ds.Columns, ds.PixelSpacing = rows, columns, ["0.683594", "0.683594"]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = ["40", "-600"], ["400", "1200"]
    ds.RescaleIntercept, ds.RescaleSlope = "-1024", "1"


def save(ds: Dataset, pixels: bytes, path: Path) -> None:
    """Write a data set with these pixels as a file."""
    ds.PixelData = pixels
    ds["PixelData"].VR = "OW"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID, meta.ImplementationClassUID = (
        ExplicitVRLittleEndian,
        UID("1.2.826.0.1.3680043.10.9998.1"),
    )
    ds.file_meta = meta
    pydicom.dcmwrite(path, ds, enforce_file_format=True, implicit_vr=False, little_endian=True)


def _make(
    corpus: str, modality: str, sop_class: str, patient: int, study: int, series: int, instance: int
) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.Modality = sop_class, modality
    _identify(ds, corpus, patient, study, series, instance)
    _describe(ds, corpus, patient, study, series, instance)
    _acquire(ds, instance)
    return ds


def _corpus_a(folder: Path, count: int) -> None:
    """CT series of 512 × 512 × 16 bit slices, 0.53 MB each."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:512, 0:512]
    phantom = (1000 + 400 * ((y - 256) ** 2 + (x - 256) ** 2 < 200**2) + 200 * np.sin(x / 9)).astype("<u2")
    for index in range(count):
        ds = _make("a", "CT", CT, 1, 1, 3, index)
        _image(ds, 512, 512)
        noise = rng.integers(0, 64, (512, 512), dtype="<u2")
        save(ds, (phantom + noise).tobytes(), folder / f"{index:05d}.dcm")


def _corpus_b(folder: Path, count: int) -> None:
    """Small MR slices, 60 KB each, 40 a study."""
    rng = np.random.default_rng(8)
    for index in range(count):
        patient = index // 40
        ds = _make("b", "MR", MR, 100 + patient, patient, 1 + (index % 40) // 20, index)
        _image(ds, 160, 160)
        save(ds, rng.integers(0, 4096, (160, 160), dtype="<u2").tobytes(), folder / f"{index:05d}.dcm")


def _corpus_c(folder: Path, count: int) -> None:
    """Multi-frame CT of 200 frames, 105 MB each."""
    rng = np.random.default_rng(9)
    for index in range(count):
        ds = _make("c", "CT", ENHANCED_CT, 900 + index, index, 1, index)
        _image(ds, 512, 512, 200)
        frames = rng.integers(0, 4096, (200, 512, 512), dtype="<u2")
        save(ds, frames.tobytes(), folder / f"{index:05d}.dcm")


def _corpus_d(folder: Path, count: int) -> None:
    """Multi-frame CT of 59 frames, 31 MB each, one a study."""
    rng = np.random.default_rng(10)
    for index in range(count):
        ds = _make("d", "CT", ENHANCED_CT, 1200 + index, index, 1, index)
        _image(ds, 512, 512, 59)
        frames = rng.integers(0, 4096, (59, 512, 512), dtype="<u2")
        save(ds, frames.tobytes(), folder / f"{index:05d}.dcm")


SIZES = {"a": 500, "b": 2000, "c": 5, "d": 20}
"""How many files each corpus has."""


def enhanced(patient: int, study: int, series: int, frames: int) -> Dataset:
    """The header of a multi-frame CT of 512 × 512 × 16 bit frames."""
    ds = _make("giant", "CT", ENHANCED_CT, patient, study, series, 0)
    _image(ds, 512, 512, frames)
    return ds


def tiny() -> Dataset:
    """The header of a CT slice of 8 × 8 pixels whose UIDs and instance number end in six digits of their own."""
    ds = _make("crowd", "CT", CT, 4000, 4000, 1, 0)
    ds.SeriesInstanceUID, ds.SOPInstanceUID = ROOT + "71.100000", ROOT + "72.100000"
    ds.InstanceNumber = 100000
    _image(ds, 8, 8)
    return ds


def noise(size: int) -> bytes:
    """Seeded noise of 12 bit in 16."""
    return np.random.default_rng(11).integers(0, 4096, size // 2, dtype="<u2").tobytes()


_CORPORA: dict[str, Callable[[Path, int], None]] = {
    "a": _corpus_a,
    "b": _corpus_b,
    "c": _corpus_c,
    "d": _corpus_d,
}


def canaries() -> tuple[bytes, ...]:
    """Values of the corpora that identify somebody: none may be in what a de-identification tool writes."""
    texts = (
        "Müller", "Hans", "Karl", "PID0", "HOSP", "A0000", "19560724", "20240317", "Lindenweg", "1234567",
        "Musterstadt", "Hauptstr", "Universit", "Weiß", "Hannelore", "Meier", "Schulz", "Petra", "Braun", "Otto",
        "Lehmann", "Radiologie", "54321", ROOT, "99HOSP",
    )  # fmt: skip
    return tuple(text.encode("latin-1") for text in texts)


def corpus(root: Path, name: str, count: int) -> Path:
    """The folder of corpus `name` with `count` files, made on first use."""
    folder = root / f"{name}-{count}"
    if not (folder / ".complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _CORPORA[name](folder, count)
        (folder / ".complete").touch()
    return folder
