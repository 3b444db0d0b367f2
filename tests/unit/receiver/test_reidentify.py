"""Results of applications that refer to de-identified images, restored: patient, references and dates as they were."""

from __future__ import annotations

import secrets as stdlib_secrets
from datetime import date, timedelta

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from deid_kit import new_uid
from vault_kit import HIGH, Hospital, reference, report, series
from wardlight.agreements.model import Level
from wardlight.receiver.model import Target

MEDIUM = Target("app", Level.MEDIUM)
PDF = "1.2.840.10008.5.1.4.1.1.104.1"


@pytest.fixture
def hospital(tmp_path):
    made = Hospital(tmp_path)
    yield made
    made.close()


def item(kind: str, **members: object) -> Dataset:
    ds = Dataset()
    ds.ValueType = kind
    for name, value in members.items():
        setattr(ds, name, value)
    return ds


def as_patient(ds: Dataset) -> list[str]:
    return [
        str(ds.get(k, ""))
        for k in ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
    ]


def as_study(ds: Dataset) -> list[str]:
    return [
        str(ds.get(k, ""))
        for k in (
            "StudyInstanceUID",
            "StudyDate",
            "StudyTime",
            "AccessionNumber",
            "StudyID",
            "ReferringPhysicianName",
        )
    ]


@pytest.mark.parametrize("target", [HIGH, MEDIUM], ids=str)
def test_a_structured_report_comes_home(hospital: Hospital, target: Target) -> None:
    originals = series()
    images = hospital.send(*originals, target=target)
    result = report(images[0])
    assert as_patient(result) != as_patient(originals[0])
    moved = images[0].StudyDate
    evidence, of_series = Dataset(), Dataset()
    of_series.SeriesInstanceUID = images[0].SeriesInstanceUID
    of_series.ReferencedSOPSequence = [reference(one) for one in images]
    evidence.StudyInstanceUID = images[0].StudyInstanceUID
    evidence.ReferencedSeriesSequence = [of_series]
    result.CurrentRequestedProcedureEvidenceSequence = [evidence]
    pseudonym = str(result.PatientID)
    result.ContentSequence = [
        item("TEXT", TextValue=f"Größe {pseudonym}: see {images[1].SOPInstanceUID}, of {moved}"),
        item("PNAME", PersonName=str(result.PatientName)),
        item("UIDREF", UID=images[2].SOPInstanceUID),
        item("DATE", Date=moved),
        item("DATETIME", DateTime=f"{moved}101530"),
        item("DATE", Date="20261121"),
        item("IMAGE", ReferencedSOPSequence=[reference(images[0])]),
    ]
    private = result.private_block(0x0071, "ACME READER", create=True)
    private.add_new(1, "UI", images[1].SeriesInstanceUID)
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = images[1].SOPInstanceUID
    private.add_new(2, "SQ", [inner])
    private.add_new(3, "OB", b"untouched bytes!")

    restored = hospital.restore(result)

    assert as_patient(restored) == as_patient(originals[0])
    assert as_study(restored) == as_study(originals[0])
    assert restored.StudyDescription == "CT ABDOMEN"
    assert restored.PatientIdentityRemoved == "NO"
    for gone in (
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
        "LongitudinalTemporalInformationModified",
    ):
        assert gone not in restored
    back = restored.CurrentRequestedProcedureEvidenceSequence[0]
    assert back.StudyInstanceUID == originals[0].StudyInstanceUID
    assert back.ReferencedSeriesSequence[0].SeriesInstanceUID == originals[0].SeriesInstanceUID
    assert [
        one.ReferencedSOPInstanceUID for one in back.ReferencedSeriesSequence[0].ReferencedSOPSequence
    ] == [one.SOPInstanceUID for one in originals]
    content = restored.ContentSequence
    assert (
        content[0].TextValue
        == f"Größe {originals[0].PatientID}: see {originals[1].SOPInstanceUID}, of {moved}"
    )
    assert str(content[1].PersonName) == str(originals[0].PatientName)
    assert originals[2].SOPInstanceUID == content[2].UID
    assert [content[3].Date, content[4].DateTime, content[5].Date] == [
        "20240317",
        "20240317101530",
        "20261121",
    ]
    assert content[6].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == originals[0].SOPInstanceUID
    block = restored.private_block(0x0071, "ACME READER")
    assert block[1].value == originals[0].SeriesInstanceUID
    assert block[2].value[0].ReferencedSOPInstanceUID == originals[1].SOPInstanceUID
    assert block[3].value == b"untouched bytes!"
    # Its own identity and the day it was made.
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "ContentDate", "ContentTime"):
        assert restored[keyword].value == result[keyword].value
    assert pseudonym.encode() not in (hospital.folder / "out" / f"{result.SOPInstanceUID}.dcm").read_bytes()
    (entry,) = hospital.entries()
    assert (entry["action"], entry["outcome"]) == ("receiver:result:reidentify", "success")
    assert entry["behalf"] == {"kind": "application", "id": "app"}


def test_a_document_and_a_name_that_its_character_set_cannot_write(hospital: Hospital) -> None:
    originals = series(1)
    (image,) = hospital.send(*originals)
    result = report(image, PDF)
    del result.SpecificCharacterSet
    result.Modality, result.MIMETypeOfEncapsulatedDocument = "DOC", "application/pdf"
    result.DocumentTitle = f"Report on {result.PatientID}"
    result.EncapsulatedDocument = b"%PDF-1.4 " + stdlib_secrets.token_bytes(301)
    result.SourceInstanceSequence = [reference(image)]
    restored = hospital.restore(result)
    assert as_patient(restored) == as_patient(originals[0])
    assert restored.SpecificCharacterSet == "ISO_IR 192"
    assert restored.DocumentTitle == f"Report on {originals[0].PatientID}"
    assert restored.EncapsulatedDocument == result.EncapsulatedDocument
    assert restored.SourceInstanceSequence[0].ReferencedSOPInstanceUID == originals[0].SOPInstanceUID


def test_a_segmentation_comes_home(hospital: Hospital) -> None:
    originals = series()
    images = hospital.send(*originals)
    result = report(images[0], "1.2.840.10008.5.1.4.1.1.66.4")
    result.Modality = "SEG"
    result.FrameOfReferenceUID = images[0].FrameOfReferenceUID
    of_series = Dataset()
    of_series.SeriesInstanceUID = images[0].SeriesInstanceUID
    of_series.ReferencedInstanceSequence = [reference(one) for one in images]
    result.ReferencedSeriesSequence = [of_series]
    frames = []
    for image in images:
        derivation, frame = Dataset(), Dataset()
        derivation.SourceImageSequence = [reference(image)]
        derivation.is_undefined_length_sequence_item = True
        frame.DerivationImageSequence = [derivation]
        frames.append(frame)
    result.PerFrameFunctionalGroupsSequence = frames
    result["PerFrameFunctionalGroupsSequence"].is_undefined_length = True
    result.Rows = result.Columns = 8
    result.NumberOfFrames, result.SamplesPerPixel, result.BitsAllocated = 3, 1, 1
    result.PixelData = stdlib_secrets.token_bytes(24)
    restored = hospital.restore(result)
    assert as_patient(restored) == as_patient(originals[0])
    assert as_study(restored) == as_study(originals[0])
    assert restored.FrameOfReferenceUID == originals[0].FrameOfReferenceUID
    sources = restored.ReferencedSeriesSequence[0]
    assert sources.SeriesInstanceUID == originals[0].SeriesInstanceUID
    uids = [one.SOPInstanceUID for one in originals]
    assert [one.ReferencedSOPInstanceUID for one in sources.ReferencedInstanceSequence] == uids
    assert [
        one.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for one in restored.PerFrameFunctionalGroupsSequence
    ] == uids
    assert restored.PixelData == result.PixelData
    # Nothing of ours is left anywhere.
    ours = {one.PatientID for one in images} | {one.SOPInstanceUID for one in images}
    assert not [word for word in ours if word in str(restored)]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"])
def test_a_capture_in_any_transfer_syntax(hospital: Hospital, syntax: str) -> None:
    (original,) = series(1)
    (image,) = hospital.send(original)
    result = report(image, "1.2.840.10008.5.1.4.1.1.7")
    result.Modality, result.SourceImageSequence = "OT", [reference(image)]
    result.Rows, result.Columns, result.BitsAllocated, result.SamplesPerPixel = 4, 6, 8, 1
    pixels = stdlib_secrets.token_bytes(24)
    result.PixelData = encapsulate([pixels]) if syntax.endswith(".5") else pixels
    result["PixelData"].VR = "OB" if syntax.endswith(".5") else "OW"
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = syntax
    private = result.private_block(0x0029, "ACME", create=True)
    private.add_new(1, "LO", "a word of its own")
    restored = hospital.restore(result)
    assert restored.file_meta.TransferSyntaxUID == syntax
    assert as_patient(restored) == as_patient(original) and as_study(restored) == as_study(original)
    assert restored.SourceImageSequence[0].ReferencedSOPInstanceUID == original.SOPInstanceUID
    assert restored.PixelData == result.PixelData
    kept = restored.private_block(0x0029, "ACME")[1].value
    assert kept in ("a word of its own", b"a word of its own ")


def test_what_cannot_be_replaced_is_refused(hospital: Hospital) -> None:
    original = series(1)[0]
    original.PatientID = "PATIENT-" + "7" * 20
    (image,) = hospital.send(original)
    for reason, tag, vr, value in (
        ("value-does-not-fit", 0x00400009, "SH", image.PatientID),
        ("unreadable-element", 0x00291001, "UN", f"of {image.PatientID}.".encode()),
        ("unreadable-element", 0x00291001, "UN", f"see {image.SOPInstanceUID} ".encode()),
    ):
        result = report(image)
        result.add_new(tag, vr, value)
        assert hospital.refused(result) == reason
    # Bytes of an application's own, and UIDs that are nobody's, are no reason.
    result = report(image)
    result.add_new(0x00291001, "UN", b"ABCDEFGHIJKLMNOP 2.25.4711")
    assert hospital.restore(result)[0x00291001].value == b"ABCDEFGHIJKLMNOP 2.25.4711"


def test_dates_that_the_result_was_made_with_stay(hospital: Hospital) -> None:
    (original,) = series(1)
    original.StudyDate = "20261119"
    (image,) = hospital.send(original)
    result = report(image)
    moved = image.StudyDate
    result.ContentSequence = [
        item("DATE", Date=one) for one in (moved, "20261120", "20270101", moved[:4] + "0101")
    ]
    days = (date(2026, 11, 19) - date(int(moved[:4]), int(moved[4:6]), int(moved[6:]))).days
    restored = [one.Date for one in hospital.restore(result).ContentSequence]
    assert restored[:3] == ["20261119", "20261120", "20270101"]
    first = date(int(moved[:4]), 1, 1)
    assert restored[3] == (first + timedelta(days)).strftime("%Y%m%d")


def test_what_is_not_certain_is_refused(hospital: Hospital) -> None:
    originals, others = series(1), series(1)
    others[0].StudyInstanceUID, others[0].SeriesInstanceUID = new_uid(), new_uid()
    others[0].PatientID = "OTHER4711"
    (image,), (other,) = hospital.send(*originals), hospital.send(*others)

    result = report(image)
    result.PatientID = "AAAABBBBCCCCDDDD"
    assert hospital.refused(result) == "pseudonym-unknown"
    result = report(image)
    result.StudyInstanceUID = new_uid()
    assert hospital.refused(result) == "study-unknown"
    result = report(image)
    result.StudyInstanceUID = other.StudyInstanceUID
    assert hospital.refused(result) == "two-patients"
    result = report(image)
    result.SourceImageSequence = [reference(other)]
    assert hospital.refused(result) == "two-patients"
    result = report(image)
    result.ImageComments = f"as in {other.PatientID}"
    assert hospital.refused(result) == "two-patients"
    # An image that was released is no result: it would take the place of the original.
    assert hospital.refused(_same(image)) == "not-a-result"
    result = report(image)
    hospital.restore(result)
    assert hospital.refused(result) == "already-exists"
    outcomes = [(one["outcome"], one.get("reason", "")) for one in hospital.entries()]
    assert outcomes == [
        ("denied", "pseudonym-unknown"),
        ("denied", "study-unknown"),
        ("denied", "two-patients"),
        ("denied", "two-patients"),
        ("denied", "two-patients"),
        ("denied", "not-a-result"),
        ("success", ""),
        ("denied", "already-exists"),
    ]
    assert len(list((hospital.folder / "out").iterdir())) == 1


def _same(image: Dataset) -> Dataset:
    result = report(image)
    result.SOPInstanceUID = image.SOPInstanceUID
    return result


def test_after_erasing_nothing_leads_back(hospital: Hospital) -> None:
    first, second = series(1)[0], series(1)[0]
    second.PatientID, second.IssuerOfPatientID = first.PatientID, first.IssuerOfPatientID
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        setattr(second, keyword, new_uid())
    images = hospital.send(first, second)
    gone = hospital.vault.erase_study(str(first.StudyInstanceUID).encode())
    assert gone["studies"] == 1 and gone["uids"] >= 3
    assert hospital.refused(report(images[0])) == "study-unknown"
    assert hospital.restore(report(images[1])).PatientID == first.PatientID
    patient = b"patient\0STMARYSITE\0" + str(first.PatientID).encode()
    gone = hospital.vault.erase_patient(patient)
    assert gone["pseudonyms"] == 1 and gone["patients"] == 1
    assert hospital.refused(report(images[1])) == "pseudonym-unknown"
    assert set(hospital.vault.store.counts().values()) == {0}


def test_merged_patients_share_what_comes_and_what_left_is_restored_as_the_one(hospital: Hospital) -> None:
    old, new = series(1)[0], series(1)[0]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        setattr(new, keyword, new_uid())
    new.PatientName = "Müller^Änne"
    (before, now) = hospital.send(old, new)
    assert before.PatientID != now.PatientID
    ids = [b"patient\0STMARYSITE\0" + str(one.PatientID).encode() for one in (old, new)]
    hospital.vault.merge(*ids)
    later = series(1)[0]
    later.PatientID = old.PatientID
    (after,) = hospital.send(later)
    assert after.PatientID == now.PatientID
    assert restored_as(hospital, before) == (new.PatientID, "Müller^Änne", "STMARYSITE")
    assert restored_as(hospital, after) == (new.PatientID, "Müller^Änne", "STMARYSITE")
    assert restored_as(hospital, now) == (new.PatientID, "Müller^Änne", "STMARYSITE")
    # A result may name both: they are one.
    result = report(now)
    result.SourceImageSequence = [reference(before)]
    assert hospital.restore(result).SourceImageSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID


def restored_as(hospital: Hospital, image: Dataset) -> tuple[str, str, str]:
    restored = hospital.restore(report(image))
    return restored.PatientID, str(restored.PatientName), restored.IssuerOfPatientID
