"""Structured documents as devices and readers write them, full of canaries: dose, measurements, CAD, echo and more."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deid_kit import CT, Mint, new_uid
from sr_kit import (
    BASIC_TEXT,
    COMPREHENSIVE_3D,
    DOSE,
    ENHANCED,
    KEY_OBJECTS,
    MAMMO_CAD,
    MM,
    code,
    document,
    item,
    nodes,
    reference,
)

MGY = code("mGy", "UCUM", "mGy")
MGYCM = code("mGy.cm", "UCUM", "mGy.cm")
CM_S = code("cm/s", "UCUM", "cm/s")


def dcm(value: str, meaning: str) -> Dataset:
    """A code of PS3.16."""
    return code(value, "DCM", meaning)


def observers(mint: Mint, *, all_types: bool = True) -> list[Dataset]:
    """TID 1001: who observed, with what, of whom, for which order. all_types: dates and numbers, too."""
    obs = "HAS OBS CONTEXT"
    found = [
        item("CODE", dcm("121005", "Observer Type"), dcm("121006", "Person"), rel=obs),
        item(
            "PNAME",
            dcm("121008", "Person Observer Name"),
            f"{mint.cased('reader')}^{mint.cased('reader given')}",
            rel=obs,
        ),
        item(
            "TEXT", dcm("121009", "Person Observer's Organization Name"), mint.cased("organization"), rel=obs
        ),
        item("TEXT", dcm("128774", "Person Observer's Login Name"), mint.word("login").lower(), rel=obs),
        item("UIDREF", dcm("121012", "Device Observer UID"), mint.uid("device"), rel=obs),
        item("TEXT", dcm("121013", "Device Observer Name"), mint.word("device name"), rel=obs),
        item("TEXT", dcm("121016", "Device Observer Serial Number"), mint.digits("serial"), rel=obs),
        item("TEXT", dcm("121022", "Accession Number"), mint.digits("accession"), rel=obs),
        item("TEXT", dcm("121030", "Subject ID"), mint.digits("subject"), rel=obs),
        item("PNAME", dcm("121029", "Subject Name"), f"{mint.cased('subject family')}^X", rel=obs),
        item("CODE", dcm("121032", "Subject Sex"), dcm("M", "Male"), rel=obs),
    ]
    if all_types:
        found += [
            item("DATE", dcm("121031", "Subject Birth Date"), "19470911", rel=obs),
            item("NUM", dcm("121033", "Subject Age"), ("77", code("a", "UCUM", "year")), rel=obs),
        ]
    return found


def evidence(ds: Dataset, *images: Dataset) -> Dataset:
    """The document's references to the images it tells of, those in its content at least."""
    referred = [one.ReferencedSOPSequence[0] for one in nodes(ds) if "ReferencedSOPSequence" in one]
    series = Dataset()
    series.SeriesInstanceUID = images[0].SeriesInstanceUID if images else new_uid()
    series.ReferencedSOPSequence = Sequence(
        [reference(one.SOPClassUID, one.SOPInstanceUID) for one in images]
        or [reference(one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID) for one in referred]
        or [reference(CT, new_uid())]
    )
    study = Dataset()
    study.StudyInstanceUID = images[0].StudyInstanceUID if images else ds.StudyInstanceUID
    study.ReferencedSeriesSequence = Sequence([series])
    ds.CurrentRequestedProcedureEvidenceSequence = Sequence([study])
    if images:
        ds.StudyInstanceUID = images[0].StudyInstanceUID
        ds.PatientID, ds.PatientName = images[0].PatientID, images[0].PatientName
    return ds


def verified(ds: Dataset, mint: Mint) -> Dataset:
    """Who signed it, what came before, and a digital signature."""
    observer = Dataset()
    observer.VerifyingOrganization = mint.cased("verifying organization")
    observer.VerificationDateTime = "20240317113000"
    observer.VerifyingObserverName = f"{mint.cased('verifier')}^{mint.cased('verifier given')}"
    observer.VerifyingObserverIdentificationCodeSequence = Sequence(
        [code(mint.word("verifier code", 8), "99HOSP", mint.cased("verifier meaning"))]
    )
    ds.VerificationFlag = "VERIFIED"
    ds.VerifyingObserverSequence = Sequence([observer])
    participant = Dataset()
    participant.ParticipationType = "ATTEST"
    participant.ObserverType = "PSN"
    participant.ParticipationDateTime = "20240317113000"
    participant.PersonIdentificationCodeSequence = Sequence([])
    participant.InstitutionName = mint.cased("participant institution")
    participant.InstitutionCodeSequence = Sequence([])
    participant.PersonName = f"{mint.cased('participant')}^P"
    ds.ParticipantSequence = Sequence([participant])
    ds.PredecessorDocumentsSequence = ds.CurrentRequestedProcedureEvidenceSequence
    signature = Dataset()
    signature.MACIDNumber = 1
    signature.DigitalSignatureUID = new_uid()
    signature.DigitalSignatureDateTime = "20240317113001"
    signature.Signature = b"signed by somebody"
    mac = Dataset()
    mac.MACIDNumber = 1
    mac.MACCalculationTransferSyntaxUID = "1.2.840.10008.1.2.1"
    mac.MACAlgorithm = "SHA256"
    mac.DataElementsSigned = [0x00080018]
    ds.MACParametersSequence = Sequence([mac])
    ds.DigitalSignaturesSequence = Sequence([signature])
    return ds


def dose(mint: Mint) -> Dataset:
    """TID 10011, CT radiation dose."""
    event = item(
        "CONTAINER",
        dcm("113819", "CT Acquisition"),
        None,
        item("TEXT", dcm("125203", "Acquisition Protocol"), f"Thorax {mint.cased('protocol')}"),
        item("UIDREF", dcm("113769", "Irradiation Event UID"), mint.uid("event")),
        item("NUM", dcm("113830", "Mean CTDIvol"), ("12.63", MGY)),
        item("NUM", dcm("113838", "DLP"), ("412.5", MGYCM)),
        item("TEXT", dcm("121106", "Comment"), f"Internal technical data by {mint.cased('comment')}"),
    )
    ds = document(
        *observers(mint, all_types=False),
        item("DATETIME", dcm("113809", "Start of X-Ray Irradiation"), "20240317101530", rel="HAS OBS CONTEXT"),
        item("DATETIME", dcm("113810", "End of X-Ray Irradiation"), "20240317101612.25", rel="HAS OBS CONTEXT"),
        item("CODE", dcm("113705", "Scope of Accumulation"), dcm("113014", "Study"),
             item("UIDREF", dcm("110180", "Study Instance UID"), mint.uid("scope"), rel="HAS PROPERTIES"),
             rel="HAS OBS CONTEXT"),
        event,
        item("PNAME", dcm("113850", "Irradiation Authorizing"), f"{mint.cased('authorizing')}^A"),
        sop_class=DOSE,
        title=dcm("113701", "X-Ray Radiation Dose Report"),
    )  # fmt: skip
    return verified(evidence(ds), mint)


def measurements(mint: Mint, *images: Dataset) -> Dataset:
    """TID 1500, with planar and volumetric geometry."""
    image = images[0] if images else Dataset()
    target = (CT, image.SOPInstanceUID if images else mint.uid("image"))
    region = item(
        "SCOORD",
        dcm("111030", "Image Region"),
        [12.5, 40.25],
        item("IMAGE", None, target, rel="SELECTED FROM"),
    )
    group = item(
        "CONTAINER",
        dcm("125007", "Measurement Group"),
        None,
        item(
            "TEXT",
            dcm("112039", "Tracking Identifier"),
            f"Lesion {mint.cased('tracking')}",
            rel="HAS OBS CONTEXT",
        ),
        item(
            "UIDREF",
            dcm("112040", "Tracking Unique Identifier"),
            mint.uid("tracking uid"),
            rel="HAS OBS CONTEXT",
        ),
        item(
            "CODE",
            code("363698007", "SCT", "Finding Site"),
            code("39607008", "SCT", "Lung"),
            rel="HAS CONCEPT MOD",
        ),
        region,
        item("SCOORD3D", dcm("111030", "Image Region"), [1.5, 2.25, -3.0]),
        item(
            "TCOORD",
            dcm("111030", "Image Region"),
            "20240317101530",
            item("IMAGE", None, target, rel="SELECTED FROM"),
        ),
        item("NUM", code("410668003", "SCT", "Length"), ("17.25", MM)),
    )
    ds = document(
        *observers(mint),
        item("CONTAINER", dcm("111028", "Image Library"), None, item("IMAGE", None, target)),
        item("CONTAINER", dcm("126010", "Imaging Measurements"), None, group),
        sop_class=COMPREHENSIVE_3D,
    )
    return verified(evidence(ds, *images), mint)


def report(mint: Mint) -> Dataset:
    """A basic text report, TID 2000."""
    ds = document(
        *observers(mint, all_types=False),
        item("DATETIME", dcm("111526", "DateTime Started"), "20240317101530", rel="HAS OBS CONTEXT"),
        item("CONTAINER", code("11329-0", "LN", "History"), None,
             item("TEXT", code("11329-0", "LN", "History"), f"Seen by {mint.cased('history')} in 2019")),
        item("CONTAINER", dcm("121070", "Findings"), None,
             item("TEXT", dcm("121071", "Finding"), f"Lung nodule\r\n{mint.cased('finding')} 12 mm")),
        item("TEXT", dcm("121077", "Conclusion"), mint.cased("conclusion")),
        item("TEXT", code("LOCAL-7", "99HOSP", mint.cased("local meaning")), f"{mint.cased('local text')} lung"),
        item("PNAME", code("LOCAL-8", "99HOSP", "Chief"), f"{mint.cased('chief')}^C"),
        sop_class=BASIC_TEXT,
        title=code("18748-4", "LN", "Diagnostic Imaging Report"),
    )  # fmt: skip
    return verified(evidence(ds), mint)


def cad(mint: Mint) -> Dataset:
    """TID 4000, mammography CAD."""
    ds = document(
        item("CODE", dcm("111017", "CAD Processing and Findings Summary"), dcm("111242", "Algorithms succeeded"),
             item("CONTAINER", dcm("111034", "Individual Impression/Recommendation"), None,
                  item("TEXT", dcm("111033", "Impression Description"), mint.cased("impression")),
                  item("DATE", dcm("111054", "Recommended Follow-up Date"), "20240917"),
                  item("CODE", dcm("111059", "Single Image Finding"), code("129793001", "SCT", "Mass"),
                       item("SCOORD", dcm("111010", "Center"), [100.0, 200.5],
                            item("IMAGE", None, (CT, mint.uid("mammogram")),
                                 item("DATE", dcm("111060", "Study Date"), "20240317", rel="HAS ACQ CONTEXT"),
                                 item("TIME", dcm("111061", "Study Time"), "101530", rel="HAS ACQ CONTEXT"),
                                 rel="SELECTED FROM"),
                            rel="HAS PROPERTIES"),
                       rel="HAS CONCEPT MOD"),
                  rel="INFERRED FROM")),
        item("TEXT", dcm("111001", "Algorithm Name"), mint.cased("algorithm")),
        sop_class=MAMMO_CAD,
        title=dcm("111036", "Mammography CAD Report"),
    )  # fmt: skip
    return evidence(ds)


def echo(mint: Mint) -> Dataset:
    """TID 5200, echocardiography."""
    ds = document(
        *observers(mint),
        item("CONTAINER", dcm("121118", "Patient Characteristics"), None,
             item("TEXT", dcm("109054", "Patient State"), mint.cased("state"))),
        item("CONTAINER", dcm("121070", "Findings"), None,
             item("NUM", code("11726-7", "LN", "Peak Velocity"), ("104.5", CM_S),
                  item("IMAGE", dcm("121112", "Source of Measurement"), (CT, mint.uid("source")),
                       rel="INFERRED FROM"))),
        sop_class=ENHANCED,
        title=dcm("125200", "Adult Echocardiography Procedure Report"),
    )  # fmt: skip
    return evidence(ds)


def key_objects(mint: Mint, *images: Dataset) -> Dataset:
    """TID 2010."""
    chosen = [(one.SOPClassUID, one.SOPInstanceUID) for one in images] or [(CT, mint.uid("key image"))]
    ds = document(
        item(
            "PNAME",
            dcm("121008", "Person Observer Name"),
            f"{mint.cased('chooser')}^K",
            rel="HAS OBS CONTEXT",
        ),
        item("TEXT", dcm("113012", "Key Object Description"), f"chest {mint.cased('description')}"),
        *(item("IMAGE", None, one) for one in chosen),
        sop_class=KEY_OBJECTS,
        title=dcm("113000", "Of Interest"),
    )
    del ds.CompletionFlag, ds.VerificationFlag, ds.PerformedProcedureCodeSequence
    return evidence(ds, *images)


DOCUMENTS = {
    "dose": dose,
    "measurements": measurements,
    "report": report,
    "cad": cad,
    "echo": echo,
    "key objects": key_objects,
}
