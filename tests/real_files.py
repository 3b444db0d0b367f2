"""The real DICOM files that tests run on: pydicom's wheel, pydicom-data, deid-data, nibabel's test data."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

SITE_PACKAGES = Path(pydicom.__file__).parent.parent
#: Package folder → name of the distribution.
SOURCES = {"pydicom": "pydicom", "data_store": "pydicom-data", "deid_data": "deid-data", "nibabel": "nibabel"}

#: Identifying attributes whose values must not be found anywhere after de-identification.
IDENTIFYING = (
    "PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "AccessionNumber", "InstitutionName",
    "InstitutionAddress", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName",
    "NameOfPhysiciansReadingStudy", "PhysiciansOfRecord", "RequestingPhysician", "PatientAddress", "StudyID",
    "PatientTelephoneNumbers", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID",
    "StationName", "DeviceSerialNumber",
)  # fmt: skip


@dataclass(frozen=True)
class RealFile:
    """name: distribution and path in it. data_set: the encoded data set, as it stands in the file."""

    name: str
    path: Path
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data_set: bytes


@cache
def paths() -> tuple[Path, ...]:
    """Every file with the DICM prefix, and pydicom's that have none but are DICOM all the same."""
    found = []
    for package in SOURCES:
        for path in sorted((SITE_PACKAGES / package).rglob("*")):
            if not path.is_file() or path.suffix in (".py", ".pyc", ".pyi"):
                continue
            with open(path, "rb") as file:
                prefix = file.read(132)[128:]
            if prefix == b"DICM" or path.suffix == ".dcm":
                found.append(path)
    return tuple(found)


def name_of(path: Path) -> str:
    """`distribution: path` without the package's own folders."""
    relative = path.relative_to(SITE_PACKAGES)
    return f"{SOURCES[relative.parts[0]]}: {'/'.join(relative.parts[1:])}"


def read(path: Path) -> Dataset:
    """pydicom's reading of a file, whatever it looks like."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, force=True)


@cache
def identifying_values(path: Path) -> frozenset[str]:
    """The file's own identifying values, at every depth, as pydicom reads them; name parts too."""
    values: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            elements = list(read(path).iterall())
        except Exception:
            elements = []
        for element in elements:
            if element.keyword not in IDENTIFYING or not element.value:
                continue
            for one in element.value if element.VM > 1 else [element.value]:
                text = str(one).strip()
                values.add(text)
                if element.VR == "PN":
                    values |= {part.strip() for group in text.split("=") for part in group.split("^")}
    # Short numbers are left out: five digits stand in some keyed UID or random number by chance.
    return frozenset(
        value for value in values if len(value) >= (8 if value.replace(".", "").isdigit() else 5)
    )
