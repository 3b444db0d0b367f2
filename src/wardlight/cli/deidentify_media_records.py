"""Directory records of a DICOMDIR, made of de-identified files (PS3.3 F.5): which record, with which values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias
from uuid import UUID

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
#: The largest value that a record takes of a file; longer ones are not read into memory.
_DEFERRED: Final = 64 << 10

#: What a record holds: keywords of type 1 with what stands for a value the file has not, and keywords of type 2.
_Keys: TypeAlias = tuple[dict[str, Any], tuple[str, ...]]
_NUMBER: Final = {"InstanceNumber": "0"}
_MADE: Final = {"ContentDate": "19000101", "ContentTime": "000000"}
_LABEL: Final = {"ContentLabel": "NONE"}
_SAYS: Final = ("ContentDescription", "ContentCreatorName")
_UPPER: Final[dict[str, _Keys]] = {
    "PATIENT": ({"PatientID": "NONE"}, ("PatientName",)),
    "STUDY": (
        {"StudyDate": "19000101", "StudyTime": "000000", "StudyID": "NONE", "StudyInstanceUID": ""},
        ("StudyDescription", "AccessionNumber"),
    ),
    "SERIES": ({"Modality": "OT", "SeriesInstanceUID": "", "SeriesNumber": "0"}, ()),
}
#: Records of instances (PS3.3 F.5).
_RECORDS: Final[dict[str, _Keys]] = {
    "IMAGE": (_NUMBER, ()),
    "RT DOSE": ({**_NUMBER, "DoseSummationType": "PLAN"}, ()),
    "RT STRUCTURE SET": (
        {**_NUMBER, "StructureSetLabel": "NONE"},
        ("StructureSetDate", "StructureSetTime"),
    ),
    "RT PLAN": ({**_NUMBER, "RTPlanLabel": "NONE"}, ("RTPlanDate", "RTPlanTime")),
    "RT TREAT RECORD": (_NUMBER, ("TreatmentDate", "TreatmentTime")),
    "PRESENTATION": (
        {
            **_NUMBER,
            **_LABEL,
            "PresentationCreationDate": "19000101",
            "PresentationCreationTime": "000000",
        },
        _SAYS,
    ),
    "WAVEFORM": ({**_NUMBER, **_MADE}, ()),
    "SR DOCUMENT": (
        {**_NUMBER, **_MADE, "CompletionFlag": "PARTIAL", "VerificationFlag": "UNVERIFIED"},
        ("ConceptNameCodeSequence",),
    ),
    "KEY OBJECT DOC": ({**_NUMBER, **_MADE}, ("ConceptNameCodeSequence",)),
    "RAW DATA": (_MADE, ("InstanceNumber",)),
    "REGISTRATION": ({**_MADE, **_NUMBER, **_LABEL}, _SAYS),
    "FIDUCIAL": ({**_MADE, **_NUMBER, **_LABEL}, _SAYS),
    "VALUE MAP": ({**_MADE, **_NUMBER, **_LABEL}, _SAYS),
    "SURFACE": ({**_MADE, **_NUMBER, **_LABEL}, _SAYS),
    "ENCAP DOC": (
        {**_NUMBER, "MIMETypeOfEncapsulatedDocument": "application/octet-stream"},
        ("ContentDate", "ContentTime", "DocumentTitle", "ConceptNameCodeSequence"),
    ),
    "PRIVATE": ({}, ()),
}
#: What a record of type 1C has where its file has it.
_WHERE_THERE: Final = {"PRESENTATION": ("ReferencedSeriesSequence",), "ENCAP DOC": ("HL7InstanceIdentifier",)}
#: Record by SOP class, the longest beginning counts; an instance with pixels of another class is an IMAGE.
_OF_CLASS: Final[dict[str, str]] = {
    _STORAGE + ends: kind
    for kind, all_ends in (
        ("WAVEFORM", "9."),
        ("PRESENTATION", "11."),
        ("RAW DATA", "66"),
        ("REGISTRATION", "66.1 66.3"),
        ("FIDUCIAL", "66.2"),
        ("SURFACE", "66.5"),
        ("VALUE MAP", "67"),
        ("SR DOCUMENT", "88."),
        ("KEY OBJECT DOC", "88.59"),
        ("ENCAP DOC", "104."),
        ("RT DOSE", "481.2"),
        ("RT STRUCTURE SET", "481.3"),
        ("RT PLAN", "481.5 481.8"),
        ("RT TREAT RECORD", "481.4 481.6 481.7 481.9"),
    )
    for ends in all_ends.split()
}
_WANTED: Final = sorted(
    {
        *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "Rows"),
        *(word for words in _WHERE_THERE.values() for word in words),
        *(word for ones, twos in (*_UPPER.values(), *_RECORDS.values()) for word in (*ones, *twos)),
    }
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One file: what it is sorted by, its records from the patient's to its own, and its path.

    order: patient, study, series, instance number, instance. records: encoded explicit little endian, offsets zero;
    kept so, for a folder may have a hundred thousand files.
    """

    order: tuple[str, str, str, int, str]
    records: tuple[bytes, ...]
    path: Path


def recorded(path: Path) -> Recorded:
    """The records of a file. Raises ValueError where it cannot be read as DICOM."""
    try:
        found = dcmread(path, defer_size=_DEFERRED, stop_before_pixels=True, specific_tags=_WANTED)
    except Exception:  # noqa: BLE001 - pydicom raises all sorts on a damaged file, in words that may quote values
        raise ValueError("an output could not be read") from None
    sop_class = str(found.get("SOPClassUID", ""))
    kind = _kind(sop_class, "Rows" in found)
    own = _record(kind, _RECORDS[kind], found)
    meta = found.file_meta
    own.ReferencedSOPClassUIDInFile = sop_class
    own.ReferencedSOPInstanceUIDInFile = str(found.get("SOPInstanceUID", ""))
    own.ReferencedTransferSyntaxUIDInFile = str(meta.get("TransferSyntaxUID", ""))
    if kind == "PRIVATE":
        own.PrivateRecordUID = _private_kind(sop_class)
    upper = [_encoded(_record(name, keys, found)) for name, keys in _UPPER.items()]
    number = str(found.get("InstanceNumber", "") or "0")
    patient, study, series, instance = (
        str(found.get(f"{of}", ""))
        for of in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    )
    order = (patient, study, series, int(number) if number.lstrip("-").isdigit() else 0, instance)
    return Recorded(order, (*upper, _encoded(own)), path)


def _kind(sop_class: str, pixels: bool) -> str:
    beginning = max((c for c in _OF_CLASS if sop_class == c or (c[-1] == "." and sop_class.startswith(c))),
                    key=len, default="")  # fmt: skip
    return _OF_CLASS.get(beginning, "IMAGE" if pixels else "PRIVATE")


def _private_kind(sop_class: str) -> str:
    """A UID of ours for records of a class that has none of its own (PS3.3 F.6.1)."""
    return f"2.25.{UUID(bytes=(sop_class.encode() + bytes(16))[-16:], version=5).int}"


def _record(kind: str, keys: _Keys, found: Dataset) -> Dataset:
    """A record with the values of a file. One without is of type 1 with a value that says nothing, or empty."""
    made = Dataset()
    made.OffsetOfTheNextDirectoryRecord = 0
    made.RecordInUseFlag = 0xFFFF
    made.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    made.DirectoryRecordType = kind
    if "SpecificCharacterSet" in found:
        made.SpecificCharacterSet = found.SpecificCharacterSet
    ones, twos = keys
    for keyword, stands_for in ones.items():
        value = found.get(keyword)
        setattr(made, keyword, stands_for if value in (None, "") else value)
    for keyword in _WHERE_THERE.get(kind, ()):
        if found.get(keyword):
            setattr(made, keyword, found.get(keyword))
    for keyword in twos:
        value = found.get(keyword)
        empty: Any = Sequence() if keyword.endswith("Sequence") else ""
        setattr(made, keyword, empty if value is None else value)
    return made


def _encoded(record: Dataset) -> bytes:
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = False, True
    write_dataset(file, record)
    return bytes(file.getvalue())
