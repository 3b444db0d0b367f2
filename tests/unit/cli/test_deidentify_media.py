"""Media folders of outputs: names, records and files as the media profiles have them, read by pydicom's FileSet."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.fileset import FileSet

from deid_kit import minimal, new_uid
from wardlight.cli.deidentify_input import directory_files
from wardlight.cli.deidentify_media import write_dicomdir, write_zip

STORAGE = "1.2.840.10008.5.1.4.1.1."


def write(folder: Path, ds: Dataset) -> Path:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    dcmwrite(path, ds, enforce_file_format=True)
    return path


@pytest.fixture
def outputs(tmp_path: Path) -> list[Path]:
    """Two patients; one has two series, of which one is a report."""
    folder = tmp_path / "out"
    folder.mkdir()
    made = []
    for patient in ("AB12", "CD34"):
        study, series = new_uid(), new_uid()
        for number in (2, 1):
            ds = minimal()
            ds.PatientID, ds.PatientName, ds.StudyID = patient, patient, "S1"
            ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.InstanceNumber = study, series, number
            made.append(write(folder, ds))
    report = minimal(STORAGE + "88.11", "SR")
    for keyword in ("Rows", "StudyTime", "InstanceNumber"):
        delattr(report, keyword)
    report.PatientID = report.PatientName = "AB12"
    report.StudyInstanceUID = dcmread(made[0]).StudyInstanceUID
    made.append(write(folder, report))
    return made


def test_a_media_folder_is_read_by_pydicom(outputs: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "media"
    path = write_dicomdir(reversed(outputs), target)
    files = FileSet(path)
    assert len(files) == len(outputs)
    assert {i.SOPInstanceUID for i in files} == {dcmread(p).SOPInstanceUID for p in outputs}
    for instance in files:
        relative = Path(instance.path).relative_to(target)
        assert all(re.fullmatch(r"[A-Z0-9_]{1,8}", part) for part in relative.parts), relative
        assert dcmread(instance.path).SOPInstanceUID == instance.SOPInstanceUID
        assert instance.DirectoryRecordType == ("SR DOCUMENT" if instance.Modality == "SR" else "IMAGE")
    listed = directory_files(path)
    assert listed is not None and len(listed) == len(outputs)
    again = write_dicomdir(outputs, tmp_path / "again")
    assert again.read_bytes() == path.read_bytes()


def test_values_that_are_not_there_have_a_stand_in(outputs: list[Path], tmp_path: Path) -> None:
    records = dcmread(write_dicomdir(outputs, tmp_path / "media")).DirectoryRecordSequence
    report = next(r for r in records if r.DirectoryRecordType == "SR DOCUMENT")
    assert report.InstanceNumber == 0 and report.VerificationFlag == "UNVERIFIED"
    assert all(r.StudyTime for r in records if r.DirectoryRecordType == "STUDY")


def test_what_is_no_dicom_is_refused_without_its_name(outputs: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "Meyerlich.dcm"
    bad.write_bytes(b"PatientName Meyerlich" * 20)
    with pytest.raises(ValueError, match="could not be read") as error:
        write_dicomdir([*outputs, bad], tmp_path / "media")
    assert "Meyerlich" not in repr(error.value) and not (tmp_path / "media").exists()
    with pytest.raises(ValueError, match="at least one"):
        write_dicomdir([], tmp_path / "media")


def test_a_zip_archive_of_a_folder(outputs: list[Path], tmp_path: Path) -> None:
    media = tmp_path / "media"
    write_dicomdir(outputs, media)
    write_zip(media, tmp_path / "media.zip")
    with zipfile.ZipFile(tmp_path / "media.zip") as archive:
        assert archive.testzip() is None
        assert {e.date_time for e in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.read("DICOMDIR") == (media / "DICOMDIR").read_bytes()
        assert len(archive.namelist()) == len(outputs) + 1
    with pytest.raises(FileExistsError):
        write_zip(media, tmp_path / "media.zip")
