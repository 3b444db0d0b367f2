"""Structured reports for tests: content items of every value type, built by pydicom."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deid_kit import minimal, new_uid

ENHANCED = "1.2.840.10008.5.1.4.1.1.88.22"
COMPREHENSIVE = "1.2.840.10008.5.1.4.1.1.88.33"
COMPREHENSIVE_3D = "1.2.840.10008.5.1.4.1.1.88.34"
BASIC_TEXT = "1.2.840.10008.5.1.4.1.1.88.11"
KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
DOSE = "1.2.840.10008.5.1.4.1.1.88.67"
MAMMO_CAD = "1.2.840.10008.5.1.4.1.1.88.50"
#: Keyword of the value of each value type that has one element.
VALUE = {
    "TEXT": "TextValue",
    "PNAME": "PersonName",
    "DATE": "Date",
    "TIME": "Time",
    "DATETIME": "DateTime",
    "UIDREF": "UID",
}


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """A code."""
    ds = Dataset()
    ds.CodeValue = value
    ds.CodingSchemeDesignator = scheme
    ds.CodeMeaning = meaning
    return ds


DCM_TITLE = code("126000", "DCM", "Imaging Measurement Report")
MM = code("mm", "UCUM", "mm")


def item(
    kind: str, name: Dataset | None, value: object = None, *children: Dataset, rel: str = "CONTAINS"
) -> Dataset:
    """A content item. value: of its element; of NUM (number, unit), of CODE a code, of references (class, instance)."""
    ds = Dataset()
    ds.RelationshipType = rel
    ds.ValueType = kind
    if name is not None:
        ds.ConceptNameCodeSequence = Sequence([name])
    if kind in VALUE:
        setattr(ds, VALUE[kind], value)
    elif kind == "NUM":
        number, unit = value  # type: ignore[misc]
        measured = Dataset()
        measured.MeasurementUnitsCodeSequence = Sequence([unit])
        measured.NumericValue = number
        ds.MeasuredValueSequence = Sequence([measured])
    elif kind == "CODE":
        ds.ConceptCodeSequence = Sequence([value])
    elif kind in ("IMAGE", "COMPOSITE", "WAVEFORM"):
        ds.ReferencedSOPSequence = Sequence([reference(*value)])  # type: ignore[misc]
    elif kind == "CONTAINER":
        ds.ContinuityOfContent = "SEPARATE"
    elif kind in ("SCOORD", "SCOORD3D"):
        ds.GraphicType = "POINT"
        ds.GraphicData = value
        if kind == "SCOORD3D":
            ds.ReferencedFrameOfReferenceUID = new_uid()
    elif kind == "TCOORD":
        ds.TemporalRangeType = "POINT"
        ds.ReferencedDateTime = value
    if children:
        ds.ContentSequence = Sequence(children)
    return ds


def reference(sop_class: str, sop_instance: str) -> Dataset:
    """A reference to an instance."""
    ds = Dataset()
    ds.ReferencedSOPClassUID = sop_class
    ds.ReferencedSOPInstanceUID = sop_instance
    return ds


def document(*content: Dataset, sop_class: str = COMPREHENSIVE, title: Dataset = DCM_TITLE) -> Dataset:
    """A structured document with that content."""
    ds = minimal(sop_class, "KO" if sop_class == KEY_OBJECTS else "SR")
    for keyword in (
        *(
            "ImageType",
            "ImagePositionPatient",
            "ImageOrientationPatient",
            "FrameOfReferenceUID",
            "SamplesPerPixel",
        ),
        *(
            "PhotometricInterpretation",
            "Rows",
            "Columns",
            "PixelSpacing",
            "BitsAllocated",
            "BitsStored",
            "HighBit",
        ),
        *("PixelRepresentation", "RescaleIntercept", "RescaleSlope"),
    ):
        delattr(ds, keyword)
    ds.Manufacturer = "Maker"
    ds.ReferencedPerformedProcedureStepSequence = Sequence([])
    ds.PerformedProcedureCodeSequence = Sequence([])
    ds.ContentDate = "20240317"
    ds.ContentTime = "101530"
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = Sequence([title])
    ds.ContinuityOfContent = "SEPARATE"
    ds.CompletionFlag = "COMPLETE"
    ds.VerificationFlag = "UNVERIFIED"
    template = Dataset()
    template.MappingResource = "DCMR"
    template.TemplateIdentifier = "1500"
    ds.ContentTemplateSequence = Sequence([template])
    if content:
        ds.ContentSequence = Sequence(content)
    return ds


def nodes(ds: Dataset) -> list[Dataset]:
    """Every content item below a data set, in order."""
    found: list[Dataset] = []
    for keyword in ("ContentSequence", "AcquisitionContextSequence"):
        for one in ds.get(keyword) or []:
            found += [one, *nodes(one)]
    return found


def named(ds: Dataset) -> dict[tuple[str, str, str], Dataset]:
    """The content items by scheme and code of their concept and by value type."""
    found = {}
    for one in nodes(ds):
        for name in one.get("ConceptNameCodeSequence") or []:
            found[name.CodingSchemeDesignator, name.CodeValue, one.ValueType] = one
    return found
