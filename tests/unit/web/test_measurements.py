"""Measurements that people keep: a DICOM SR that others read, in the study that was measured."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

import dciodvfy
from archive_kit import part10
from share_kit import CANARIES, Desk, a_desk, study
from wardlight.access.model import Role
from wardlight.agreements.model import IMAGES, Level
from wardlight.audit.actions import Action
from wardlight.dicom.measurement_report import decimal
from wardlight.identity.service import LOCAL_ADMINISTRATOR

STUDY = "2.25.7001"
_SERIES = f"{STUDY}.1"
_PATH = f"/api/v1/studies/{STUDY}/measurements"


@pytest.fixture(scope="module")
def desk(stores: None) -> Iterator[Desk]:
    with a_desk() as made:
        yield made


@pytest.fixture(scope="module")
def images(desk: Desk) -> list[Dataset]:
    stored = study(2, STUDY)
    desk.hospital.store(*stored)
    return stored


def _length(image: Dataset, **other: object) -> dict:
    return {
        "kind": "length",
        "series": _SERIES,
        "instance": str(image.SOPInstanceUID),
        "points": [[0.5, 1], [2.25, 3.5]],
        "values": [{"quantity": "length", "value": 12.3456789, "unit": "mm"}],
        **other,
    }


def _region(image: Dataset, kind: str = "ellipse") -> dict:
    values = [("area", 7.5, "mm2"), ("mean", -43.25, "HU"), ("deviation", 2, "HU")]
    return _length(
        image,
        kind=kind,
        points=[[0, 2], [4, 2], [2, 1], [2, 3]],
        values=[{"quantity": name, "value": value, "unit": unit} for name, value, unit in values],
    )


def _angle(image: Dataset) -> dict:
    return _length(
        image,
        kind="angle",
        points=[[0, 0], [1, 1], [2, 0]],
        values=[{"quantity": "angle", "value": 90, "unit": "deg"}],
    )


def _read(desk: Desk, written: dict, uid: str = STUDY) -> Dataset:
    path = f"/dicom-web/studies/{uid}/series/{written['series']}/instances/{written['instance']}"
    answer = desk.ask("GET", path, headers={"Accept": "application/dicom"})
    assert answer.status_code == 200, answer.text
    return pydicom.dcmread(io.BytesIO(answer.content))


def _groups(report: Dataset) -> list[Dataset]:
    measured = report.ContentSequence[-1]
    assert measured.ConceptNameCodeSequence[0].CodeValue == "126010"
    return list(measured.get("ContentSequence", []))


def _drawn(group: Dataset) -> Dataset:
    """The SCOORD of a group: of the region, or of its number."""
    for item in group.ContentSequence:
        if item.ValueType == "SCOORD":
            return item
        if item.ValueType == "NUM" and "ContentSequence" in item:
            return item.ContentSequence[0]
    raise AssertionError


def test_what_was_measured_is_read_back_by_others(desk: Desk, images: list[Dataset], tmp_path: Path) -> None:
    first, second = images
    wish = [_length(first), _angle(first), _region(second), _region(second, "rectangle")]
    answer = desk.ask("POST", _PATH, json={"measurements": wish})
    assert answer.status_code == 201, answer.text
    report = _read(desk, answer.json())
    assert (report.PatientID, report.PatientName) == (CANARIES["PatientID"], CANARIES["PatientName"])
    assert report.StudyInstanceUID == STUDY and report.Modality == "SR"
    observer = next(one for one in report.ContentSequence if one.ValueType == "PNAME")
    assert observer.PersonName == "A"
    length, angle, ellipse, rectangle = _groups(report)
    assert _drawn(length).GraphicType == "POLYLINE" and _drawn(length).GraphicData == [0.5, 1, 2.25, 3.5]
    numbers = [one for one in length.ContentSequence if one.ValueType == "NUM"]
    assert float(numbers[0].MeasuredValueSequence[0].NumericValue) == 12.3456789
    assert len(_drawn(angle).GraphicData) == 6
    assert (_drawn(ellipse).GraphicType, _drawn(rectangle).GraphicData[:2]) == ("ELLIPSE", [0, 2])
    assert _drawn(rectangle).GraphicData[-2:] == [0, 2]
    referred = _drawn(ellipse).ContentSequence[0].ReferencedSOPSequence[0]
    assert (
        referred.ReferencedSOPInstanceUID == second.SOPInstanceUID and "ReferencedFrameNumber" not in referred
    )
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert {one.ReferencedSOPInstanceUID for one in evidence.ReferencedSOPSequence} == {
        one.SOPInstanceUID for one in images
    }
    file = tmp_path / "report.dcm"
    file.write_bytes(part10(report))
    assert not dciodvfy.errors(file)
    entry = desk.hospital.entries(Action.DICOMWEB_STUDY_STORE)[-1]
    assert entry["counts"]["instances"] == 1 and entry["actor"]["kind"] == "person"


def test_a_new_version_names_the_one_before_and_may_be_empty(
    desk: Desk, images: list[Dataset], tmp_path: Path
) -> None:
    tracking = "2.25.77"
    first = desk.ask("POST", _PATH, json={"measurements": [_length(images[0], tracking=tracking)]}).json()
    before = {name: first[name] for name in ("series", "instance")}
    wish = {"measurements": [], "replaces": before, "version": 2}
    second = desk.ask("POST", _PATH, json=wish).json()
    assert second["series"] == first["series"] and second["version"] == 2
    report = _read(desk, second)
    assert not _groups(report) and report.InstanceNumber == 2
    named = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == first["instance"]
    assert [one.UID for one in _groups(_read(desk, first))[0].ContentSequence if "UID" in one] == [tracking]
    file = tmp_path / "report.dcm"
    file.write_bytes(part10(report))
    assert not dciodvfy.errors(file)
    image = {"series": _SERIES, "instance": str(images[0].SOPInstanceUID)}
    assert desk.ask("POST", _PATH, json={**wish, "replaces": image}).status_code == 400


def test_a_release_without_names_gets_none(desk: Desk) -> None:
    """At a protected level the observer is an id, dates are the release's, and the patient stays a pseudonym."""
    uid = "2.25.7002"
    marked = study(
        1, uid, PatientName="PSEUDO-1", PatientID="PSEUDO-1", PatientIdentityRemoved="YES", StudyDate="20210304",
        AccessionNumber="", ReferringPhysicianName="", InstitutionName="", StudyDescription="CHEST",
    )  # fmt: skip
    desk.hospital.store(*marked, application=IMAGES, level=Level.HIGH)
    wish = _length(marked[0], series=f"{uid}.1")
    answer = desk.ask("POST", f"/api/v1/studies/{uid}/measurements", json={"measurements": [wish]})
    assert answer.status_code == 201, answer.text
    report = _read(desk, answer.json(), uid)
    assert (report.PatientID, report.PatientIdentityRemoved, report.ContentDate) == (
        "PSEUDO-1",
        "YES",
        "20210304",
    )
    observer = next(one for one in report.ContentSequence if one.ValueType == "PNAME")
    entry = desk.hospital.entries(Action.DICOMWEB_STUDY_STORE)[-1]
    assert str(observer.PersonName) == entry["actor"]["id"] != "A"
    assert "image:pseudonymised" in entry["classes"]


@pytest.mark.parametrize(
    "broken",
    [
        {"points": [[0, 0]]},
        {"points": [[0, 0], [1, float("1e9")]]},
        {"points": [[0, 0], ["1", 2]]},
        {"kind": "circle"},
        {"values": []},
        {"values": [{"quantity": "area", "value": 1, "unit": "mm2"}]},
        {"values": [{"quantity": "length", "value": 1, "unit": "HU"}]},
        {"values": [{"quantity": "length", "value": True, "unit": "mm"}]},
        {"frame": 2},
        {"frame": -1},
        {"tracking": "x"},
        {"label": "Mrs Quillfeather"},
    ],
)
def test_what_is_no_measurement_is_refused(desk: Desk, images: list[Dataset], broken: dict) -> None:
    answer = desk.ask("POST", _PATH, json={"measurements": [_length(images[0], **broken)]})
    assert answer.status_code == 400


def test_images_of_others_and_unknown_ones_are_not_found(desk: Desk, images: list[Dataset]) -> None:
    for other in ({"instance": "1.2.3.999"}, {"series": "1.2.3.998"}):
        answer = desk.ask("POST", _PATH, json={"measurements": [_length(images[0], **other)]})
        assert answer.status_code == 404
    nowhere = "/api/v1/studies/1.2.3.997/measurements"
    assert desk.ask("POST", nowhere, json={"measurements": [_length(images[0])]}).status_code == 404
    assert desk.ask("POST", _PATH, json={"measurements": []}).status_code == 400


def test_who_may_not_store_measures_for_nobody(desk: Desk, images: list[Dataset]) -> None:
    person = desk.hospital.platform.identity.create_person(
        desk.hospital.institution.id, "p@x.example", "P", Role.PRIVACY_OFFICER, by=LOCAL_ADMINISTRATOR
    )
    token = desk.hospital.platform.identity.issue_person_token(person, by=LOCAL_ADMINISTRATOR)
    answer = desk.ask("POST", _PATH, token, json={"measurements": [_length(images[0])]})
    assert answer.status_code == 403


def test_numbers_fit() -> None:
    for value in (0.1 + 0.2, -1 / 3, 123456789.123456789, 1e-9, -1.23456789012e-300, 0):
        text = decimal(value)
        assert len(text) <= 16 and float(text) == pytest.approx(value, rel=1e-8)
