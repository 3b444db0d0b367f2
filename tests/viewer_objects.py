"""Objects for the viewer: a small CT, and what is drawn over it by others: segmentations, structures."""

from __future__ import annotations

import io

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, SegmentationStorage, generate_uid

SLICES = 4


def ct() -> list[Dataset]:
    """Four slices, 5 mm apart, of one frame of reference."""
    series, study, reference = generate_uid(), generate_uid(), generate_uid()
    found = []
    for at in range(SLICES):
        ds = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
        ds.remove_private_tags()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, reference
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.InstanceNumber, ds.SeriesNumber, ds.SliceThickness = at + 1, 1, 5
        ds.ImagePositionPatient = [-158.0, -179.0, -75.0 + 5 * at]
        found.append(ds)
    return found


def segmentation(images: list[Dataset], *, fractional: bool = False, sourced: bool = True) -> Dataset:
    """Two segments: a square in the first two slices, a band in the last two. sourced: each frame names its image."""
    rows, columns = images[0].Rows, images[0].Columns
    square, band = np.zeros((rows, columns), np.uint8), np.zeros((rows, columns), np.uint8)
    square[40:90, 40:90] = 1
    band[60:70, :] = 1
    ds = _beside(images[0], SegmentationStorage, "SEG", 301 + fractional)
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.ContentLabel, ds.ContentDescription, ds.ContentCreatorName = (
        "FRACTIONS" if fractional else "ORGANS",
        "",
        "",
    )
    ds.SeriesDescription = "Fractions" if fractional else "Organs"
    ds.SegmentationType = "FRACTIONAL" if fractional else "BINARY"
    if fractional:
        ds.SegmentationFractionalType, ds.MaximumFractionalValue = "PROBABILITY", 200
    ds.LossyImageCompression = "00"
    ds.SegmentSequence = Sequence([_segment(1, "Liver", (40000, 48000, 44000)), _segment(2, "Spleen", None)])
    ds.Rows, ds.Columns, ds.NumberOfFrames = rows, columns, 4
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated = ds.BitsStored = 8 if fractional else 1
    ds.HighBit = ds.BitsStored - 1
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([_of(PixelSpacing=images[0].PixelSpacing, SliceThickness=5)])
    shared.PlaneOrientationSequence = Sequence(
        [_of(ImageOrientationPatient=images[0].ImageOrientationPatient)]
    )
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.ReferencedSeriesSequence = Sequence([_series(images)])
    frames, masks = [], []
    for image, number, mask in zip(images, (1, 1, 2, 2), (square, square, band, band), strict=True):
        group = Dataset()
        group.FrameContentSequence = Sequence([_of(DimensionIndexValues=[number, int(image.InstanceNumber)])])
        group.PlanePositionSequence = Sequence([_of(ImagePositionPatient=image.ImagePositionPatient)])
        group.SegmentIdentificationSequence = Sequence([_of(ReferencedSegmentNumber=number)])
        if sourced:
            source = _of(
                ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID
            )
            group.DerivationImageSequence = Sequence([_of(SourceImageSequence=Sequence([source]))])
        frames.append(group)
        masks.append(mask)
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    pixels = np.stack(masks)
    ds.PixelData = (
        (pixels * 150).tobytes() if fractional else np.packbits(pixels, bitorder="little").tobytes()
    )
    return _written(ds)


def structures(images: list[Dataset]) -> Dataset:
    """One organ with a contour in each slice, and a point."""
    ds = _beside(images[0], RTStructureSetStorage, "RTSTRUCT", 401)
    ds.StructureSetLabel, ds.StructureSetDate, ds.StructureSetTime = "PLAN", "20260101", "101010"
    ds.SeriesDescription = "Structures"
    series = _series(images)
    study = _of(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
        ReferencedSOPInstanceUID=images[0].StudyInstanceUID,
        RTReferencedSeriesSequence=Sequence([series]),
    )
    frame = _of(
        FrameOfReferenceUID=images[0].FrameOfReferenceUID, RTReferencedStudySequence=Sequence([study])
    )
    ds.ReferencedFrameOfReferenceSequence = Sequence([frame])
    names = ("Bladder", "Isocentre")
    ds.StructureSetROISequence = Sequence(
        _of(
            ROINumber=at,
            ReferencedFrameOfReferenceUID=images[0].FrameOfReferenceUID,
            ROIName=name,
            ROIGenerationAlgorithm="MANUAL",
        )
        for at, name in enumerate(names, 1)
    )
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    contours = []
    for image in images:
        x, y, z = (float(one) for one in image.ImagePositionPatient)
        points = [(x + 42 + 18 * np.cos(one), y + 42 + 12 * np.sin(one), z) for one in angles]
        # Long enough to be given by reference, as real ones are.
        flat = [f"{value:.8f}"[:15] for point in points for value in point]
        contours.append(
            _of(
                ContourImageSequence=Sequence(
                    [
                        _of(
                            ReferencedSOPClassUID=image.SOPClassUID,
                            ReferencedSOPInstanceUID=image.SOPInstanceUID,
                        )
                    ]
                ),
                ContourGeometricType="CLOSED_PLANAR",
                NumberOfContourPoints=len(points),
                ContourData=flat,
            )
        )
    ds.ROIContourSequence = Sequence(
        [_of(ROIDisplayColor=[255, 200, 0], ReferencedROINumber=1, ContourSequence=Sequence(contours))]
    )
    ds.RTROIObservationsSequence = Sequence(
        [_of(ObservationNumber=1, ReferencedROINumber=1, RTROIInterpretedType="ORGAN", ROIInterpreter="")]
    )
    return _written(ds)


def _of(**values: object) -> Dataset:
    ds = Dataset()
    for name, value in values.items():
        setattr(ds, name, value)
    return ds


def _series(images: list[Dataset]) -> Dataset:
    named = [
        _of(ReferencedSOPClassUID=one.SOPClassUID, ReferencedSOPInstanceUID=one.SOPInstanceUID)
        for one in images
    ]
    return _of(
        SeriesInstanceUID=images[0].SeriesInstanceUID,
        ReferencedInstanceSequence=Sequence(named),
        ContourImageSequence=Sequence(named),
    )


def _segment(number: int, label: str, colour: tuple[int, int, int] | None) -> Dataset:
    code = _of(CodeValue="85756007", CodingSchemeDesignator="SCT", CodeMeaning="Tissue")
    ds = _of(
        SegmentNumber=number,
        SegmentLabel=label,
        SegmentAlgorithmType="MANUAL",
        SegmentedPropertyCategoryCodeSequence=Sequence([code]),
        SegmentedPropertyTypeCodeSequence=Sequence([code]),
    )
    if colour:
        ds.RecommendedDisplayCIELabValue = list(colour)
    return ds


def _beside(image: Dataset, sop_class: str, modality: str, number: int) -> Dataset:
    """An object of the same patient and study, in a series of its own."""
    ds = Dataset()
    for name in (
        "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "PatientID", "PatientName",
        "PatientBirthDate", "PatientSex", "StudyID", "ReferringPhysicianName", "FrameOfReferenceUID",
    ):  # fmt: skip
        if name in image:
            setattr(ds, name, image[name].value)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID = sop_class, generate_uid(), generate_uid()
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber, ds.Manufacturer = modality, number, 1, "Somebody"
    return ds


def _written(ds: Dataset) -> Dataset:
    """As it is read from a file."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    data = io.BytesIO()
    ds.save_as(data, enforce_file_format=True)
    return pydicom.dcmread(io.BytesIO(data.getvalue()))
