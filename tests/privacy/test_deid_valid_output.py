"""Outputs are as valid as their inputs, and what belongs together still does: dicom3tools judges, pydicom reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dciodvfy import errors, errors_together
from deid_kit import CT, decode, deidentifier, encode, minimal, new_uid, sequence
from deid_objects import KINDS
from deid_parts import item, reference, ungeometric
from real_files import name_of, paths
from wardlight.deid.engine import METHODS, WANTED
from wardlight.deid.protect import NOT_RELEASED, protect
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import Part10Stream, write_meta
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

#: A few of them that `make test` has time for: enhanced CT, segmentation, RT, MR, SR, compressed.
SAMPLE = (
    "eCT_Supplemental",
    "liver_1frame",
    "rtplan.dcm",
    "MR_small.dcm",
    "reportsi.dcm",
    "J2K_pixelrep_mismatch",
)
LARGEST = 3 << 20


def file_of(sop_class: str, sop_uid: str, syntax: str, data_set: bytes) -> bytes:
    return (
        write_meta(
            sop_class, sop_uid, syntax, implementation_class_uid="1.2.3", implementation_version="TESTS"
        )
        + data_set
    )


def before_and_after(path: Path, level: str) -> tuple[bytes, bytes] | None:
    """A file as it was and as it leaves, None where it does not; both with the same group 0002."""
    data = path.read_bytes()
    part10 = Part10Stream(lenient=True, wanted=WANTED)
    try:
        part10.feed(data)
        part10.finish()
    except DicomError:
        return None
    stream = part10.stream
    if stream is None or stream.header is None:
        return None
    value = b""
    if stream.pixel is not None:
        end = stream.tail_offset or stream.total
        value = data[part10.dataset_offset + stream.value_offset :][: end - stream.value_offset]
    try:
        protected = protect(deidentifier(level), stream, lambda: iter([value]))
        length = len(value) if protected.result.body_length is None else protected.result.body_length
        body = b"".join(map(bytes, protected.through([value[:length]]))) if value else b""
    except NOT_RELEASED:
        return None
    result = protected.result
    syntax = EXPLICIT_LITTLE.uid if stream.syntax.deflated else stream.syntax.uid
    old = stream.header + (stream.pixel.head if stream.pixel else b"") + value
    return (
        file_of(result.sop_class, result.sop_uid, syntax, old),
        file_of(result.sop_class, result.sop_uid, syntax, result.header + result.pixel_head + body),
    )


def new_errors(files: list[Path], level: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    for path in files:
        both = before_and_after(path, level)
        if both is not None:
            (folder / "before.dcm").write_bytes(both[0])
            (folder / "after.dcm").write_bytes(both[1])
            found = errors(folder / "after.dcm") - errors(folder / "before.dcm")
            if found:
                yield name_of(path), sorted(found)


def test_no_new_error_in_a_sample(tmp_path: Path) -> None:
    files = [path for path in paths() if path.name.startswith(SAMPLE)]
    assert len(files) >= len(SAMPLE)
    assert list(new_errors(files, "high", tmp_path)) == []


@pytest.mark.long
@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_no_new_error_in_any_real_file(level: str, tmp_path: Path) -> None:
    files = [path for path in paths() if path.stat().st_size <= LARGEST]
    assert list(new_errors(files, level, tmp_path)) == []


def study() -> dict[str, Dataset]:
    """Two slices and what refers to them: a report, a segmentation, a presentation state, RT structures, plan, dose."""
    made: dict[str, Dataset] = {}
    common = {name: new_uid() for name in ("StudyInstanceUID", "FrameOfReferenceUID")}
    for name in (
        "CT 1",
        "CT 2",
        "SR",
        "SEG",
        "presentation state",
        "RTSTRUCT",
        "RTPLAN",
        "RTDOSE",
        "key object",
    ):
        sop_class, modality = KINDS[name.partition(" 1")[0].partition(" 2")[0]]
        ds = made[name] = minimal(sop_class, modality)
        ds.PatientName, ds.PatientID = "Quxley^Wilhelmina", "MRN0090210"
        for keyword, value in common.items():
            setattr(ds, keyword, value)
        if name not in ("CT 1", "CT 2", "SEG", "RTDOSE"):
            ungeometric(ds)
    made["CT 2"].SeriesInstanceUID = made["CT 1"].SeriesInstanceUID
    images = [reference(CT, made[name].SOPInstanceUID) for name in ("CT 1", "CT 2")]
    series = Dataset()
    series.SeriesInstanceUID = made["CT 1"].SeriesInstanceUID
    series.ReferencedInstanceSequence = sequence(*images)
    made["SEG"].ReferencedSeriesSequence = sequence(series)
    shown = Dataset()
    shown.SeriesInstanceUID, shown.ReferencedImageSequence = series.SeriesInstanceUID, sequence(*images)
    made["presentation state"].ReferencedSeriesSequence = sequence(shown)
    contour = Dataset()
    contour.ContourImageSequence = sequence(images[0])
    contours = Dataset()
    contours.ReferencedROINumber, contours.ContourSequence = 1, sequence(contour)
    made["RTSTRUCT"].ROIContourSequence = sequence(contours)
    structures, plan = made["RTSTRUCT"], made["RTPLAN"]
    plan.ReferencedStructureSetSequence = sequence(
        reference(structures.SOPClassUID, structures.SOPInstanceUID)
    )
    made["RTDOSE"].ReferencedRTPlanSequence = sequence(reference(plan.SOPClassUID, plan.SOPInstanceUID))
    for name in ("SR", "key object"):
        ds = made[name]
        ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
        concept = ("121191", "DCM", "Referenced Segment")
        ds.ContentSequence = sequence(item("IMAGE", concept, ReferencedSOPSequence=sequence(images[1])))
        evidence, listed = Dataset(), Dataset()
        listed.SeriesInstanceUID, listed.ReferencedSOPSequence = series.SeriesInstanceUID, sequence(*images)
        evidence.StudyInstanceUID = common["StudyInstanceUID"]
        evidence.ReferencedSeriesSequence = sequence(listed)
        ds.CurrentRequestedProcedureEvidenceSequence = sequence(evidence)
        ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
        ds.ContentDate, ds.ContentTime = "20240317", "101530"
    return made


def references(ds: Dataset) -> set[str]:
    """Each UID an object refers to, at any depth."""
    wanted = ("ReferencedSOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
    return {str(element.value) for element in ds.iterall() if element.keyword in wanted and element.value}


@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_references_in_a_study_are_the_same_as_before(level: str, tmp_path: Path) -> None:
    before, after = study(), {}
    mapped: dict[str, str] = {}
    for name, ds in before.items():
        result = deidentifier(level).deidentify(encode(ds), EXPLICIT_LITTLE, None)
        after[name] = decode(result.header)
        for old, new in zip(uids_of(ds), uids_of(after[name]), strict=True):
            assert mapped.setdefault(old, new) == new and old != new, name
    assert len(set(mapped.values())) == len(mapped)
    for name, ds in before.items():
        assert references(after[name]) == {mapped[uid] for uid in references(ds)}, name
    assert len({(str(ds.PatientName), ds.PatientID, ds.StudyDate) for ds in after.values()}) == 1
    for when, objects in (("before", before), ("after", after)):
        for name, ds in objects.items():
            (tmp_path / f"{when} {name}").write_bytes(
                file_of(ds.SOPClassUID, ds.SOPInstanceUID, EXPLICIT_LITTLE.uid, encode(ds))
            )
    old, new = ([tmp_path / f"{when} {name}" for name in before] for when in ("before", "after"))
    # What was done is said of each object (a report's content is cleaned, an image has none), although the standard
    # has that among the patient's attributes.
    added = errors_together(*new) - errors_together(*old)
    assert {error for error in added if "DeidentificationMethodCodeSequence" not in error} == set()


def uids_of(ds: Dataset) -> list[str]:
    """Each UID that names a thing, in the order of the object."""
    kinds = ("SOPClassUID", "ReferencedSOPClassUID", "TransferSyntaxUID")
    return [str(e.value) for e in ds.iterall() if e.VR == "UI" and e.keyword not in kinds and e.value]


@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_the_method_codes_are_those_of_the_level(level: str) -> None:
    """CID 7050: what was applied, each once; pixels nobody looked at are not said to be clean."""
    result = deidentifier(level).deidentify(encode(minimal()), EXPLICIT_LITTLE, None)
    codes = [one.CodeValue for one in decode(result.header).DeidentificationMethodCodeSequence]
    expected = {
        "high": {"113100", "113105", "113107", "113108"},
        "medium": {"113100", "113103", "113105", "113107", "113108", "113111"},
        "low": {"113100", "113103", "113105", "113106", "113108", "113109", "113111"},
    }
    assert len(codes) == len(set(codes)) and set(codes) - {"113104"} == expected[level]
    assert {code for code, _ in METHODS.values()} >= expected[level]
