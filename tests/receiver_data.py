"""Small instances, encoded as a sender would, and settings for a receiver in a temporary folder."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

from pixel_kit import jpeg
from wardlight.settings import Settings

DEFLATED = "1.2.840.10008.1.2.1.99"
ENCAPSULATED = str(JPEGBaseline8Bit)


@dataclass(frozen=True)
class Encoded:
    """One instance as C-STORE carries it."""

    sop_class: str
    sop_instance: str
    study: str
    transfer_syntax: str
    data: bytes

    def dataset(self) -> Dataset:
        """Read it with pydicom."""
        return read_data_set(self.data, self.transfer_syntax)


def ct(study: str = "", rows: int = 64, **changes: Any) -> Dataset:
    """A CT slice whose pixels are its own."""
    ds = Dataset()
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = generate_uid()
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240311"
    ds.StudyTime = ds.ContentTime = "101112"
    ds.AccessionNumber = "ACC778899"
    ds.Modality = "CT"
    ds.Manufacturer = "ACME"
    ds.InstitutionName = "Saint Elsewhere"
    ds.ReferringPhysicianName = "Whitfield^Nora"
    ds.StudyDescription = "CT CHEST"
    ds.PatientName = "Quillfeather^Ambrose"
    ds.PatientID = "MRN-4471133"
    ds.PatientBirthDate = "19610502"
    ds.PatientSex = "M"
    ds.StudyInstanceUID = study or generate_uid()
    ds.SeriesInstanceUID = generate_uid()
    ds.StudyID = "1"
    ds.SeriesNumber = ds.InstanceNumber = 1
    ds.ImagePositionPatient = [0, 0, 0]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.FrameOfReferenceUID = generate_uid()
    ds.PositionReferenceIndicator = ""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows = ds.Columns = rows
    ds.PixelSpacing = [1, 1]
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.RescaleIntercept = ds.RescaleSlope = 1
    ds.KVP = 120
    ds.SliceThickness = 1
    ds.AcquisitionNumber = 1
    ds.PixelData = bytes(range(256)) * (rows * rows * 2 // 256)
    for name, value in changes.items():
        setattr(ds, name, value)
    return ds


def encode(ds: Dataset, transfer_syntax: str = str(ExplicitVRLittleEndian)) -> Encoded:
    """The data set's bytes in a transfer syntax."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = transfer_syntax == "1.2.840.10008.1.2"
    if transfer_syntax == ENCAPSULATED:
        stream = jpeg(frame=0xC0, precision=8, side=ds.Rows, coded=b"one codestream in two fragments.")
        ds.PixelData = pydicom.encaps.encapsulate([stream], fragments_per_frame=2, has_bot=False)
        ds["PixelData"].is_undefined_length = True
        ds["PixelData"].VR = "OB"
    write_dataset(buffer, ds)
    data = buffer.getvalue()
    if transfer_syntax == DEFLATED:
        deflater = zlib.compressobj(wbits=-15)
        data = deflater.compress(data) + deflater.flush()
        data += b"\0" * (len(data) % 2)
    return Encoded(ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID, transfer_syntax, data)


def read_data_set(data: bytes, transfer_syntax: str) -> Dataset:
    """Decode a data set without file meta."""
    if transfer_syntax == DEFLATED:
        data = zlib.decompress(data, wbits=-15)
    implicit = transfer_syntax == "1.2.840.10008.1.2"
    return pydicom.filereader.read_dataset(io.BytesIO(data), implicit, True)


def settings(folder: Path, **receiver: Any) -> Settings:
    """Settings of a receiver whose data lies in `folder`."""
    defaults: dict[str, Any] = {"dicom_host": "127.0.0.1", "dicom_port": 0, "free_share": 0.0}
    return Settings(
        data_dir=folder / "data",
        receiver_secrets_dir=folder / "secrets",
        demo=True,
        log_level="warning",
        receiver={**defaults, **receiver},
    )
