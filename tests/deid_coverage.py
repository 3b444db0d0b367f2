"""What survives de-identification at each level, measured: the other side of docs/reference/deid-coverage.md.

`.venv/bin/python tests/deid_coverage.py` writes the page's table anew; read the difference before you keep it.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deid_kit import CT, decode, deidentifier, encode, minimal, new_uid, pixels, sequence
from deid_objects import KINDS
from deid_parts import code, reference, ungeometric
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

PAGE = Path(__file__).parents[1] / "docs/reference/deid-coverage.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
LEVELS = ("high", "medium", "low")
#: Theme → (kind of object, element → value). A point leads into the first item of a sequence.
THEMES: dict[str, tuple[str, dict[str, object]]] = {
    "Geometry": (
        "CT",
        {
            "Rows": 8, "Columns": 8, "NumberOfFrames": "1", "PixelSpacing": ["0.5", "0.5"],
            "ImagePositionPatient": ["-100", "-100.5", "20"], "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
            "SliceThickness": "2.5", "SpacingBetweenSlices": "2.5", "SliceLocation": "20.25", "PatientPosition": "HFS",
            "GantryDetectorTilt": "0", "ReconstructionDiameter": "350", "ImagerPixelSpacing": ["0.14", "0.14"],
            "ImageLaterality": "L", "PatientOrientation": ["L", "PF"], "InstanceNumber": "17",
            "FrameOfReferenceUID": new_uid(), "PositionReferenceIndicator": "axial",
        },
    ),
    "Values and display": (
        "CT",
        {
            "RescaleSlope": "1", "RescaleIntercept": "-1024", "RescaleType": "HU", "WindowCenter": "40",
            "WindowWidth": "400", "VOILUTFunction": "LINEAR", "PresentationLUTShape": "INVERSE",
            "PhotometricInterpretation": "MONOCHROME2", "PixelPaddingValue": 0, "LossyImageCompression": "01",
            "LossyImageCompressionRatio": "10.5", "LossyImageCompressionMethod": "ISO_10918_1",
            "BurnedInAnnotation": "NO", "RecommendedDisplayFrameRate": "15",
        },
    ),
    "Acquisition": (
        "CT",
        {
            "KVP": "120", "ExposureTime": "500", "XRayTubeCurrent": "200", "Exposure": "100", "SpiralPitchFactor": 0.9,
            "ConvolutionKernel": "B30f", "FilterType": "FLAT", "ScanOptions": "HELICAL MODE", "EchoTime": "90",
            "RepetitionTime": "3000", "InversionTime": "900", "FlipAngle": "15", "MagneticFieldStrength": "3",
            "ScanningSequence": ["SE", "IR"], "SequenceVariant": "SK", "MRAcquisitionType": "2D",
            "InPlanePhaseEncodingDirection": "COL", "DiffusionBValue": 1000.0, "ImagedNucleus": "1H",
            "BodyPartExamined": "CHEST", "ViewPosition": "LL", "ContrastBolusRoute": "intravenous",
            "ContrastBolusAgent": "contrast Poppins", "Manufacturer": "SIEMENS",
            "ManufacturerModelName": "Definition AS+",
            "SoftwareVersions": "VA48 of Poppins",
        },
    ),
    "Dose": (
        "CT",
        {
            "CTDIvol": 12.5, "ExposureModulationType": "XYZ_EC", "EstimatedDoseSaving": 10.5,
            "EntranceDoseInmGy": "1.5", "OrganDose": "0.5", "ImageAndFluoroscopyAreaDoseProduct": "3.5",
            "ExposedArea": [100, 100],
        },
    ),
    "PET: standardized uptake": (
        "PET",
        {
            "Units": "BQML", "DecayCorrection": "START", "CorrectedImage": ["DECY", "ATTN"], "SeriesTime": "101530",
            "AcquisitionDate": "20240317", "AcquisitionTime": "101600", "PatientWeight": "70", "PatientSize": "1.75",
            "RadiopharmaceuticalInformationSequence.RadionuclideTotalDose": "370000000",
            "RadiopharmaceuticalInformationSequence.RadionuclideHalfLife": "6586.2",
            "RadiopharmaceuticalInformationSequence.RadiopharmaceuticalStartTime": "091500",
            "RadiopharmaceuticalInformationSequence.RadiopharmaceuticalStartDateTime": "20240317091500",
            "DoseCalibrationFactor": "1", "DecayFactor": "1.1", "FrameReferenceTime": "1000",
        },
    ),
    "Segmentation": (
        "SEG",
        {
            "SegmentationType": "FRACTIONAL", "SegmentSequence.SegmentNumber": 1,
            "SegmentSequence.SegmentLabel": "liver Poppins", "SegmentSequence.SegmentAlgorithmType": "AUTOMATIC",
            "SegmentSequence.SegmentedPropertyTypeCodeSequence": Sequence([code("T-62000", "SRT", "Liver")]),
            "SegmentSequence.TrackingUID": new_uid(),
            "ReferencedSeriesSequence.ReferencedInstanceSequence": Sequence([reference(CT, new_uid())]),
        },
    ),
    "Radiotherapy": (
        "RTSTRUCT",
        {
            "StructureSetROISequence.ROINumber": "1", "StructureSetROISequence.ROIName": "GTV Poppins",
            "ROIContourSequence.ContourSequence.ContourData": ["1.5", "2.5", "3.5"],
            "ROIContourSequence.ContourSequence.ContourGeometricType": "POINT",
            "ROIContourSequence.ContourSequence.ContourImageSequence": Sequence([reference(CT, new_uid())]),
            "RTROIObservationsSequence.RTROIInterpretedType": "GTV", "ApprovalStatus": "APPROVED",
            "BeamSequence.BeamNumber": "1", "BeamSequence.ControlPointSequence.NominalBeamEnergy": "6",
            "BeamSequence.ControlPointSequence.IsocenterPosition": ["1", "2", "3"], "DoseGridScaling": "0.001",
            "ReferencedStructureSetSequence": Sequence([reference(KINDS["RTSTRUCT"][0], new_uid())]),
        },
    ),
    "Time": (
        "CT",
        {
            "StudyDate": "20240317", "StudyTime": "101530", "AcquisitionDateTime": "20240317101530.5",
            "ContentDate": "20240317", "TriggerTime": "40", "FrameTime": "40",
        },
    ),
    "Patient": (
        "CT",
        {
            "PatientSex": "F", "PatientAge": "073Y", "PatientWeight": "70", "PregnancyStatus": 1, "SmokingStatus": "NO",
            "PatientBirthDate": "19510203", "PatientID": "MRN90210447", "PatientName": "Quxley^Wilhelmina",
        },
    ),
    "Descriptions": (
        "CT",
        {
            "StudyDescription": "chest Poppins", "SeriesDescription": "axial 2.5 mm Poppins",
            "ProtocolName": "chest Poppins", "DerivationDescription": "chest Poppins", "ImageComments": "chest Poppins",
            "ProcedureCodeSequence": Sequence([code("113724", "DCM", "chest")]),
        },
    ),
    "Place and device": (
        "CT",
        {
            "InstitutionName": "Spital Quellental", "StationName": "ROOM-4", "DeviceSerialNumber": "SER-12345",
            "DeviceUID": new_uid(), "OperatorsName": "Vogelsang", "AccessionNumber": "ACC-77120", "StudyID": "S-4711",
            "DateOfLastCalibration": "20240101",
        },
    ),
}  # fmt: skip


def put(ds: Dataset, path: str, value: object) -> None:
    *holders, keyword = path.split(".")
    for holder in holders:
        if holder not in ds:
            setattr(ds, holder, sequence(Dataset()))
        ds = ds[holder].value[0]
    setattr(ds, keyword, value)


def found(ds: Dataset, path: str) -> object:
    """The value at a path, None where nothing is."""
    *holders, keyword = path.split(".")
    for holder in holders:
        if holder not in ds or not ds[holder].value:
            return None
        ds = ds[holder].value[0]
    return ds[keyword].value if keyword in ds else None


def happened(path: str, before: object, after: object) -> str:
    """One word for what became of a value."""
    vr = dictionary_VR(path.rpartition(".")[2])
    old, new = str(before).strip(), str(after).strip()
    if after is None:
        return "–"
    if isinstance(after, Sequence):
        if not after:
            return "empty"
        uids = [one.get("ReferencedSOPInstanceUID") for one in after]
        return (
            "new UID" if uids[0] else "✓" if after[0].get("CodeValue") == before[0].CodeValue else "changed"
        )  # type: ignore[index]
    if old == new:
        return "✓"
    if not new or new in ("None", "[]"):
        return "empty"
    if new in ("REMOVED", "Removed^", "000000", "19000101", "0", "2.25.0"):
        return "dummy"
    if vr == "UI":
        return "new UID"
    if vr in ("DA", "DT"):
        return "moved" if len(new) == len(old) else "moved, no time"
    if vr == "AS":
        return "band"
    kept = set(new.split()) <= set(old.split())
    return "words" if kept else "keyed"


def measured() -> dict[str, dict[str, list[str]]]:
    """Theme → element → what happens at high, medium and low."""
    table: dict[str, dict[str, list[str]]] = {}
    for theme, (kind, values) in THEMES.items():
        sop_class, modality = KINDS[kind]
        ds = minimal(sop_class, modality)
        if kind == "RTSTRUCT":
            ungeometric(ds)
        for path, value in values.items():
            put(ds, path, value)
        header = encode(ds)
        before = decode(header)
        table[theme] = {path: [] for path in values}
        for level in LEVELS:
            result = deidentifier(level).deidentify(
                header, EXPLICIT_LITTLE, pixels(ds) if "Rows" in ds else None
            )
            after = decode(result.header)
            for path in values:
                table[theme][path].append(happened(path, found(before, path), found(after, path)))
    return table


def rendered(table: dict[str, dict[str, list[str]]]) -> str:
    """The table of the page."""
    lines = [BEGIN]
    for theme, rows in table.items():
        lines += ["", f"### {theme}", "", "| element | high | medium | low |", "|---|---|---|---|"]
        lines += [
            f"| {path.replace('.', ' › ')} | {' | '.join(outcomes)} |" for path, outcomes in rows.items()
        ]
    return "\n".join([*lines, "", END])


def page_with(table: str, page: str) -> str:
    """The page with the measured part in its place."""
    start, stop = page.index(BEGIN), page.index(END) + len(END)
    return page[:start] + table + page[stop:]


if __name__ == "__main__":
    PAGE.write_text(page_with(rendered(measured()), PAGE.read_text("utf-8")), "utf-8")
