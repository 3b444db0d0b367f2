"""The real files at every level: no identifying value of the file in its output, pydicom reads it, pixels unchanged."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from deid_kit import decode, deidentifier
from real_files import name_of, paths
from wardlight.deid.engine import Deidentified, Refused
from wardlight.deid.verify import verify
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import Part10Stream
from wardlight.dicom.stream import DataSetStream

#: Attributes that identify, whose values must not be found in an output.
IDENTIFYING = (
    "PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "AccessionNumber", "InstitutionName",
    "InstitutionAddress", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy", "RequestingPhysician", "PatientAddress", "PatientTelephoneNumbers",
    "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "StationName",
    "DeviceSerialNumber",
)  # fmt: skip
#: Words that files of tests have in identifying elements and that say nothing.
ORDINARY = {"anonymized", "anonymous", "removed", "none", "unknown", "test"}


@functools.cache
def parsed(path: Path) -> DataSetStream | None:
    part10 = Part10Stream(lenient=True)
    try:
        part10.feed(path.read_bytes())
        part10.finish()
    except DicomError:
        return None
    return part10.stream


def outcome(path: Path, level: str) -> tuple[DataSetStream, Deidentified] | None:
    stream = parsed(path)
    if stream is None or stream.header is None:
        return None
    try:
        return stream, deidentifier(level).deidentify(stream.header, stream.syntax, stream.pixel)
    except Refused:
        return None


@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_no_identifier_is_left(level: str) -> None:
    released = 0
    left = []
    for path in paths():
        done = outcome(path, level)
        if done is None:
            continue
        stream, result = done
        released += 1
        assert stream.header is not None
        findings = verify(stream.header, stream.syntax.uid, result.header, level=level)
        assert findings == [], (name_of(path), [str(f) for f in findings])
        before = decode(stream.header, stream.syntax)
        kept = {"StationName", "DeviceSerialNumber"} if level == "low" else set()
        for keyword in IDENTIFYING:
            value = str(before.get(keyword, "")).strip()
            if (
                len(value) < 6
                or keyword in kept
                or value.casefold() in ORDINARY
                or value.startswith("1.2.840.10008.")
            ):
                continue
            if value.encode("utf-8") in result.header:
                left.append((name_of(path), keyword))
    assert left == []
    assert released >= 100


@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_pydicom_reads_the_output_and_the_image_is_the_same(level: str) -> None:
    for path in paths():
        done = outcome(path, level)
        if done is None:
            continue
        stream, result = done
        after = decode(result.header, stream.syntax)
        for element in after.iterall():
            assert element.value is not None or element.VM == 0
        before = decode(stream.header or b"", stream.syntax)
        for keyword in (
            "Rows",
            "Columns",
            "BitsStored",
            "PixelRepresentation",
            "RescaleSlope",
            "PixelSpacing",
        ):
            if keyword in before:
                assert after[keyword].value == before[keyword].value, (name_of(path), keyword)
        if stream.pixel is not None:
            assert result.pixel_head[:-4] == stream.pixel.head[:-4]
            assert result.body_length is None or result.body_length <= stream.pixel.length
