"""One object of each kind, with an identifier of its own in each place where that kind can hold one.

Values come from a `Mint`, so they are new on each run. Beside what identifies by its place stands `free`: a word that
nobody knows, in texts; low may keep it, high and medium may not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydicom.dataset import Dataset

from deid_kit import CT, MR, Mint, encode, minimal, sequence
from deid_parts import code, content, named, pdf_of, reference, ungeometric
from wardlight.deid.engine import WANTED
from wardlight.dicom.part10 import Part10Stream, write_meta
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, TransferSyntax

_STORAGE = "1.2.840.10008.5.1.4.1.1."
#: Kind → SOP class and modality.
KINDS: dict[str, tuple[str, str]] = {
    "CT": (CT, "CT"),
    "MR of Siemens": (MR, "MR"),
    "MR of GE": (MR, "MR"),
    "MR of Philips": (MR, "MR"),
    "PET": (_STORAGE + "128", "PT"),
    "MG": (_STORAGE + "1.2", "MG"),
    "DX": (_STORAGE + "1.1", "DX"),
    "enhanced MR": (_STORAGE + "4.1", "MR"),
    "SEG": (_STORAGE + "66.4", "SEG"),
    "RTSTRUCT": (_STORAGE + "481.3", "RTSTRUCT"),
    "RTPLAN": (_STORAGE + "481.5", "RTPLAN"),
    "RTDOSE": (_STORAGE + "481.2", "RTDOSE"),
    "presentation state": (_STORAGE + "11.1", "PR"),
    "waveform": (_STORAGE + "9.1.1", "ECG"),
    "US multi-frame": (_STORAGE + "3.1", "US"),
    "secondary capture": (_STORAGE + "7", "OT"),
    "SR": (_STORAGE + "88.33", "SR"),
    "key object": (_STORAGE + "88.59", "KO"),
    "dose report": (_STORAGE + "88.67", "SR"),
    "encapsulated PDF": (_STORAGE + "104.1", "DOC"),
}
#: Kinds without pixels.
_NO_PIXELS = frozenset(
    ("RTSTRUCT", "RTPLAN", "presentation state", "waveform", "SR", "key object", "dose report")
) | {"encapsulated PDF"}


@dataclass(frozen=True)
class Made:
    """An object in its file, and the canaries in it."""

    kind: str
    file: bytes
    mint: Mint
    data_set: Dataset


def stream_of(file: bytes) -> tuple[DataSetStream, bytes]:
    """A file read as the product does: its stream, and the pixel value with all that follows."""
    part10 = Part10Stream(wanted=WANTED)
    part10.feed(file)
    part10.finish()
    assert part10.stream is not None
    start = part10.dataset_offset + part10.stream.value_offset
    return part10.stream, file[start:] if part10.stream.pixel is not None else b""


def made(kind: str, syntax: TransferSyntax = EXPLICIT_LITTLE) -> Made:
    """An object of a kind."""
    sop_class, modality = KINDS[kind]
    mint = Mint()
    ds = minimal(sop_class, modality)
    if kind in _NO_PIXELS:
        ungeometric(ds)
    identified(ds, mint)
    everywhere(ds, mint)
    special = _SPECIAL.get(kind)
    if special is not None:
        special(ds, mint)
    if kind not in _NO_PIXELS:
        samples = ds.Rows * ds.Columns * ds.SamplesPerPixel * int(ds.get("NumberOfFrames", 1))
        ds.PixelData = bytes(max(samples * ds.BitsAllocated // 8, 1) + samples * ds.BitsAllocated // 8 % 2)
        ds["PixelData"].VR = "OW" if ds.BitsAllocated == 16 else "OB"
        if kind == "CT":
            # Behind the image, where no reader looks.
            ds.DataSetTrailingPadding = named(mint, "trailing").encode()
    meta = write_meta(
        sop_class,
        ds.SOPInstanceUID,
        syntax.uid,
        implementation_class_uid=mint.uid("implementation class"),
        implementation_version=mint.word("implementation"),
    )
    preamble = mint.word("preamble").encode().ljust(128, b"\0")
    return Made(kind, preamble + meta[128:] + encode(ds, syntax), mint, ds)


def identified(ds: Dataset, mint: Mint) -> None:
    """What identifies in the elements meant for it."""
    ds.PatientName = f"{mint.cased('family')}^{mint.cased('given')}"
    ds.PatientID = mint.digits("patient id")
    ds.IssuerOfPatientID = mint.word("issuer")
    ds.OtherPatientIDs = mint.digits("other id")
    ds.PatientAddress = f"{mint.cased('street')}weg 12"
    ds.AccessionNumber = mint.word("accession")
    ds.InstitutionName = f"{mint.cased('hospital')} University Hospital"
    ds.InstitutionalDepartmentName = mint.word("department")
    ds.ReferringPhysicianName = f"{mint.cased('referrer')}^{mint.cased('referrer given')}"
    ds.OperatorsName = mint.cased("operator")
    ds.StationName = mint.word("station")
    ds.DeviceSerialNumber = mint.digits("serial")
    ds.StudyID = mint.word("study id")
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        setattr(ds, keyword, mint.uid(keyword))


def everywhere(ds: Dataset, mint: Mint) -> None:
    """The leak classes that every object can have: texts, nested, private, overlays, curves, icons."""
    v = mint.values
    free = mint.word("free").capitalize()
    ds.StudyDescription = f"chest {v['family']} {free}"
    ds.SeriesDescription = f"head {v['patient id']} {v['referrer'].lower()}"
    ds.SoftwareVersions = f"VA48 {v['station']}"
    ds.DocumentTitle = f"chest of {v['given']}"
    ds.RetrieveURL = f"https://pacs.example/{v['StudyInstanceUID']}/{v['patient id']}"
    ds.ImageComments = f"by Dr {v['referrer']} at {v['hospital']}, see {v['SeriesInstanceUID']}"
    ds.Manufacturer = f"Maker for {v['hospital']}"
    ds.ContributingEquipmentSequence = sequence(Dataset())
    equipment = ds.ContributingEquipmentSequence[0]
    equipment.InstitutionName = v["hospital"]
    equipment.PurposeOfReferenceCodeSequence = sequence(code("109103", "DCM", f"Modifying {v['family']}"))
    equipment.ContributionDescription = f"chest {free} {v['operator']}"
    inner = Dataset()
    inner.PatientName, inner.PatientID, inner.CodeMeaning = v["family"], v["patient id"], v["given"]
    holder = Dataset()
    holder.ModifiedAttributesSequence = sequence(inner)
    holder.ModifyingSystem, holder.SourceOfPreviousValues = v["station"], v["hospital"]
    ds.OriginalAttributesSequence = sequence(holder)
    ds.DigitalSignaturesSequence = sequence(Dataset())
    ds.DigitalSignaturesSequence[0].CertificateOfSigner = b"\x30\x82" + v["operator"].encode()
    icon = Dataset()
    icon.Rows, icon.Columns, icon.SamplesPerPixel, icon.PhotometricInterpretation = 4, 4, 1, "MONOCHROME2"
    icon.BitsAllocated, icon.BitsStored, icon.HighBit, icon.PixelRepresentation = 8, 8, 7, 0
    icon.PixelData = (v["family"].encode() * 2)[:16]
    icon["PixelData"].VR = "OB"
    ds.IconImageSequence = sequence(icon)
    ds.add_new(0x60003000, "OW", (v["given"] + v["family"]).encode()[:20])
    ds.add_new(0x60000022, "LO", f"overlay of {v['family']}")
    ds.add_new(0x60004000, "LT", v["hospital"])
    ds.add_new(0x50003000, "OW", v["family"].encode())
    ds.add_new(0x50000030, "SH", v["given"])
    block = ds.private_block(0x0011, "SOMEBODY'S OWN", create=True)
    block.add_new(0x01, "LO", f"{v['family']} {v['patient id']}")
    block.add_new(0x02, "UN", v["given"].encode())
    block.add_new(0x03, "SQ", sequence(inner))
    ds.add_new(0x00189998, "LO", v["family"])


def private(creator: str, group: int, *elements: tuple[int, str]) -> Callable[[Dataset, Mint], None]:
    """Private elements of a maker, safe ones among them, with names in all of them."""

    def fill(ds: Dataset, mint: Mint) -> None:
        block = ds.private_block(group, creator, create=True)
        for number, vr in elements:
            text = f"{mint.values['family']} {mint.values['accession']}"
            block.add_new(
                number, vr, text.encode() + b"\0" * (len(text) % 2) if vr in ("OB", "UN") else text[:16]
            )

    return fill


def _pet(ds: Dataset, mint: Mint) -> None:
    drug = Dataset()
    drug.Radiopharmaceutical = f"FDG for {mint.values['family']}"
    drug.RadiopharmaceuticalStartTime, drug.RadionuclideTotalDose = "091500", "370000000"
    ds.RadiopharmaceuticalInformationSequence = sequence(drug)
    ds.Units, ds.DecayCorrection, ds.PatientWeight = "BQML", "START", "70"
    private("Philips PET Private Group", 0x7053, (0x00, "LO"), (0x10, "LO"))(ds, mint)


def _breast(ds: Dataset, mint: Mint) -> None:
    ds.PresentationIntentType, ds.ImageLaterality = "FOR PRESENTATION", "L"
    ds.BodyPartExamined = "BREAST"
    ds.AcquisitionDeviceProcessingDescription = f"breast {mint.values['family']}"
    ds.DetectorID = named(mint, "detector")
    view = code("R-10242", "SRT", f"cranio {mint.values['given']}")
    ds.ViewCodeSequence = sequence(view)
    ds.PlateID = mint.values["accession"]


def _enhanced(ds: Dataset, mint: Mint) -> None:
    v = mint.values
    frame = Dataset()
    where = Dataset()
    where.StackID, where.InStackPositionNumber, where.DimensionIndexValues = v["accession"][:16], 1, [1, 1]
    where.FrameComments, where.FrameLabel = f"frame of {v['family']}", v["given"]
    where.FrameReferenceDateTime = "20240317101530"
    frame.FrameContentSequence = sequence(where)
    ds.PerFrameFunctionalGroupsSequence = sequence(frame)
    shared = Dataset()
    shared.ReferencedImageSequence = sequence(reference(MR, mint.uid("referenced")))
    ds.SharedFunctionalGroupsSequence = sequence(shared)
    dimension = Dataset()
    dimension.DimensionOrganizationUID = mint.uid("dimension organization")
    ds.DimensionOrganizationSequence = sequence(dimension)
    ds.NumberOfFrames, ds.ContentDate, ds.ContentTime = 1, "20240317", "101530"


def _segmentation(ds: Dataset, mint: Mint) -> None:
    v = mint.values
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.SegmentationType = 8, 8, 7, "FRACTIONAL"
    ds.ContentLabel, ds.ContentDescription = v["accession"][:16], f"liver of {v['family']}"
    ds.ContentCreatorName = f"{mint.cased('creator')}^{v['given']}"
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = 1, f"liver {v['family']}"
    segment.SegmentDescription, segment.TrackingID = v["given"], v["accession"]
    segment.TrackingUID = mint.uid("tracking")
    segment.SegmentedPropertyCategoryCodeSequence = sequence(code("T-D0050", "SRT", "Tissue"))
    ds.SegmentSequence = sequence(segment)
    series = Dataset()
    series.SeriesInstanceUID = v["SeriesInstanceUID"]
    series.ReferencedInstanceSequence = sequence(reference(CT, mint.uid("source")))
    ds.ReferencedSeriesSequence = sequence(series)


def _structures(ds: Dataset, mint: Mint) -> None:
    v = mint.values
    ds.StructureSetLabel, ds.StructureSetName = v["family"][:16], f"plan of {v['given']}"
    ds.StructureSetDescription = f"chest {v['referrer']}"
    ds.StructureSetDate, ds.StructureSetTime = "20240318", "120000"
    roi = Dataset()
    roi.ROINumber, roi.ROIName, roi.ROIDescription = 1, f"GTV {v['family']}", v["hospital"]
    roi.ReferencedFrameOfReferenceUID = v["FrameOfReferenceUID"]
    ds.StructureSetROISequence = sequence(roi)
    contour = Dataset()
    contour.ContourGeometricType, contour.NumberOfContourPoints = "POINT", 1
    contour.ContourData = ["1.5", "2.5", "3.5"]
    contour.ContourImageSequence = sequence(reference(CT, mint.uid("contour image")))
    contours = Dataset()
    contours.ReferencedROINumber, contours.ContourSequence = 1, sequence(contour)
    ds.ROIContourSequence = sequence(contours)
    observed = Dataset()
    observed.ObservationNumber, observed.ReferencedROINumber = 1, 1
    observed.ROIInterpreter, observed.ROIObservationLabel = mint.cased("interpreter"), v["given"][:16]
    observed.RTROIInterpretedType = "GTV"
    ds.RTROIObservationsSequence = sequence(observed)
    ds.ApprovalStatus, ds.ReviewerName, ds.ReviewDate = "APPROVED", mint.cased("reviewer"), "20240319"


def _plan(ds: Dataset, mint: Mint) -> None:
    v = mint.values
    ds.RTPlanLabel, ds.RTPlanName, ds.RTPlanDescription = v["family"][:16], v["given"], v["hospital"]
    ds.RTPlanDate, ds.RTPlanTime, ds.RTPlanGeometry = "20240318", "120000", "PATIENT"
    ds.PrescriptionDescription, ds.TreatmentSites = f"for {v['family']}", f"lung {v['given']}"
    beam = Dataset()
    beam.BeamNumber, beam.BeamName, beam.BeamDescription = 1, f"AP {v['family']}", v["given"]
    beam.TreatmentMachineName = named(mint, "machine")[:16]
    beam.BeamType, beam.RadiationType = "STATIC", "PHOTON"
    point = Dataset()
    point.ControlPointIndex, point.NominalBeamEnergy, point.IsocenterPosition = 0, "6", ["1", "2", "3"]
    beam.ControlPointSequence = sequence(point)
    ds.BeamSequence = sequence(beam)
    ds.ReferencedStructureSetSequence = sequence(reference(KINDS["RTSTRUCT"][0], mint.uid("structure set")))
    ds.ApprovalStatus, ds.ReviewerName, ds.ReviewDate = "APPROVED", mint.cased("reviewer"), "20240319"


def _dose(ds: Dataset, mint: Mint) -> None:
    ds.DoseUnits, ds.DoseType, ds.DoseSummationType, ds.DoseGridScaling = "GY", "PHYSICAL", "PLAN", "0.001"
    ds.DoseComment = f"dose of {mint.values['family']}"
    ds.ReferencedRTPlanSequence = sequence(reference(KINDS["RTPLAN"][0], mint.uid("plan")))


def _presentation(ds: Dataset, mint: Mint) -> None:
    v = mint.values
    ds.ContentLabel, ds.ContentDescription = v["accession"][:16], f"head of {v['family']}"
    ds.ContentCreatorName = f"{mint.cased('creator')}^{v['given']}"
    ds.PresentationCreationDate, ds.PresentationCreationTime = "20240319", "080000"
    text = Dataset()
    text.UnformattedTextValue = f"{v['family']}, {v['hospital']}"
    text.AnchorPoint, text.AnchorPointVisibility, text.AnchorPointAnnotationUnits = [1.0, 1.0], "N", "PIXEL"
    annotation = Dataset()
    annotation.GraphicLayer, annotation.TextObjectSequence = v["given"].upper()[:16], sequence(text)
    ds.GraphicAnnotationSequence = sequence(annotation)
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = v["given"].upper()[:16], 1
    layer.GraphicLayerDescription = f"layer by {v['referrer']}"
    ds.GraphicLayerSequence = sequence(layer)
    series = Dataset()
    series.SeriesInstanceUID = mint.uid("referenced series")
    series.ReferencedImageSequence = sequence(reference(CT, mint.uid("referenced image")))
    ds.ReferencedSeriesSequence = sequence(series)


def _waveform(ds: Dataset, mint: Mint) -> None:
    v = mint.values
    channel = Dataset()
    channel.ChannelLabel, channel.ChannelSourceSequence = (
        v["family"][:16],
        sequence(code("2:1", "MDC", "Lead I")),
    )
    channel.WaveformBitsStored = 16
    group = Dataset()
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples, group.SamplingFrequency = 1, 8, "500"
    group.MultiplexGroupLabel, group.WaveformOriginality = v["given"][:16], "ORIGINAL"
    group.ChannelDefinitionSequence = sequence(channel)
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.WaveformData = bytes(16)
    ds.WaveformSequence = sequence(group)
    note = Dataset()
    note.UnformattedTextValue, note.AnnotationGroupNumber = f"sinus, {v['family']} {v['free']}", 0
    note.ReferencedWaveformChannels = [1, 0]
    ds.WaveformAnnotationSequence = sequence(note)
    ds.AcquisitionDateTime = "20240317101530"


def _ultrasound(ds: Dataset, mint: Mint) -> None:
    ds.NumberOfFrames, ds.FrameTime = 2, "40"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType = 1, 1
    ds.SequenceOfUltrasoundRegions = sequence(region)
    ds.StageName, ds.ViewName = mint.values["family"], mint.values["given"][:16]
    ds.TransducerData = [mint.values["serial"], mint.values["station"]]


def _capture(ds: Dataset, mint: Mint) -> None:
    ds.ConversionType = "WSD"
    ds.SecondaryCaptureDeviceID = mint.values["station"]
    ds.DateOfSecondaryCapture = "20240317"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7


def _report(ds: Dataset, mint: Mint) -> None:
    v = mint.values
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "VERIFIED"
    ds.ContentDate, ds.ContentTime = "20240317", "101530"
    verifier = Dataset()
    verifier.VerifyingObserverName, verifier.VerifyingOrganization = mint.cased("verifier"), v["hospital"]
    verifier.VerificationDateTime = "20240317120000"
    verifier.VerifyingObserverIdentificationCodeSequence = sequence(
        code(v["accession"][:16], "99OWN", v["family"])
    )
    ds.VerifyingObserverSequence = sequence(verifier)
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = sequence(code("18748-4", "LN", "Diagnostic Imaging Report"))
    ds.ContentSequence = sequence(*content(mint))
    evidence = Dataset()
    evidence.StudyInstanceUID = v["StudyInstanceUID"]
    series = Dataset()
    series.SeriesInstanceUID = v["SeriesInstanceUID"]
    series.ReferencedSOPSequence = sequence(reference(CT, v["referenced in text"]))
    evidence.ReferencedSeriesSequence = sequence(series)
    ds.CurrentRequestedProcedureEvidenceSequence = sequence(evidence)
    ds.PerformedProcedureCodeSequence = sequence()


def _document(ds: Dataset, mint: Mint) -> None:
    v = mint.values
    ds.EncapsulatedDocument = pdf_of(f"Chest of {v['family']} {v['free']}, {v['patient id']}", v["given"])
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.BurnedInAnnotation = "NO"
    ds.ConceptNameCodeSequence = sequence()


_SPECIAL: dict[str, Callable[[Dataset, Mint], None]] = {
    "MR of Siemens": private(
        "SIEMENS CSA HEADER", 0x0029, (0x10, "OB"), (0x20, "OB"), (0x08, "CS"), (0x09, "LO")
    ),
    "MR of GE": private("GEMS_ACQU_01", 0x0019, (0x9E, "LO"), (0x9C, "LO"), (0x01, "UN")),
    "MR of Philips": private("Philips Imaging DD 001", 0x2001, (0x04, "CS"), (0x11, "LO"), (0x63, "LO")),
    "PET": _pet,
    "MG": _breast,
    "DX": _breast,
    "enhanced MR": _enhanced,
    "SEG": _segmentation,
    "RTSTRUCT": _structures,
    "RTPLAN": _plan,
    "RTDOSE": _dose,
    "presentation state": _presentation,
    "waveform": _waveform,
    "US multi-frame": _ultrasound,
    "secondary capture": _capture,
    "SR": _report,
    "key object": _report,
    "dose report": _report,
    "encapsulated PDF": _document,
}
