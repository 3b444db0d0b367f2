"""`wardlight deidentify` as people run it: exit codes, tree of new UIDs, messages, report, every kind of input."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import pydicom
import pytest

from deid_cli_kit import PIXELS, call, image, outputs, part10
from wardlight.dicom.transfer_syntax import DEFLATED


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_bytes(b"k" * 40)
    return file


def test_a_folder_becomes_a_tree_of_new_uids(tmp_path: Path, key: Path) -> None:
    source, target = tmp_path / "Quxley", tmp_path / "out"
    (source / "sub").mkdir(parents=True)
    for number in range(30):
        (source / ("sub" if number % 2 else "") / f"Quxley{number}.dcm").write_bytes(
            part10(image(number), tail=b"Quxley trailing", preamble=b"Quxley".ljust(128, b"!"))
        )
    (source / "notes.txt").write_text("Quxley")
    before = {path: path.read_bytes() for path in outputs(source)}
    report = tmp_path / "report.json"
    result = call(source, target, "--key-file", key, "--workers", 2, "--report", report)
    assert result.exit_code == 0, result.output
    files = outputs(target)
    assert len(files) == 30
    for path in files:
        ds = pydicom.dcmread(path)
        assert path.parts[-3:] == (ds.StudyInstanceUID, ds.SeriesInstanceUID, f"{ds.SOPInstanceUID}.dcm")
        assert ds.PixelData == PIXELS and ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert b"quxley" not in path.read_bytes().lower()
    assert {path: path.read_bytes() for path in outputs(source)} == before
    data = json.loads(report.read_text())
    assert data["totals"] == {"released": 30, "skipped": 1} and len(data["inputs"]) == 31
    assert "quxley" not in report.read_text().lower() and "quxley" not in result.output.lower()
    assert str(tmp_path) not in result.output and "notes" not in report.read_text()
    again = tmp_path / "again"
    assert call(source, again, "--key-file", key, "--workers", 1).exit_code == 0
    assert [p.read_bytes() for p in outputs(again)] == [p.read_bytes() for p in files]


def test_quarantine_is_exit_3_and_writes_nothing(tmp_path: Path, key: Path) -> None:
    ds = image()
    ds.add_new(0x60000102, "US", ds.HighBit)
    source = tmp_path / "Quxley.dcm"
    source.write_bytes(part10(ds))
    result = call(source, tmp_path / "out", "--key-file", key)
    assert result.exit_code == 3
    assert "input 1: not released: overlay-in-pixels" in result.output
    assert "Quxley" not in result.output and outputs(tmp_path / "out") == []


@pytest.mark.parametrize("content", [b"", b"no dicom at all", part10(image())[:600], part10(image())[:-3]])
def test_damaged_files(tmp_path: Path, key: Path, content: bytes) -> None:
    source = tmp_path / "one.dcm"
    source.write_bytes(content)
    result = call(source, tmp_path / "out", "--key-file", key)
    assert result.exit_code == 3 and "input 1: not released: data-set:" in result.output
    assert outputs(tmp_path / "out") == []


def test_deflated_data_sets(tmp_path: Path, key: Path) -> None:
    source = tmp_path / "one.dcm"
    source.write_bytes(part10(image(), DEFLATED.uid))
    assert call(source, tmp_path / "out", "--key-file", key).exit_code == 0
    (path,) = outputs(tmp_path / "out")
    ds = pydicom.dcmread(path)
    assert ds.file_meta.TransferSyntaxUID == DEFLATED.uid and ds.PixelData == PIXELS


def test_encapsulated_pixel_data(tmp_path: Path, key: Path) -> None:
    from pydicom.data import get_testdata_file

    source = Path(str(get_testdata_file("MR_small_jpeg_ls_lossless.dcm")))
    result = call(source, tmp_path / "out", "--key-file", key, "--level", "low")
    assert result.exit_code == 0, result.output
    (path,) = outputs(tmp_path / "out")
    assert pydicom.dcmread(path).PixelData == pydicom.dcmread(source).PixelData


def test_zip_archives(tmp_path: Path, key: Path) -> None:
    source = tmp_path / "in.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"../../Quxley/{number}.dcm", part10(image(number)))
    result = call(source, tmp_path / "out", "--key-file", key)
    assert result.exit_code == 0, result.output
    assert len(outputs(tmp_path / "out")) == 3


def test_bad_archives(tmp_path: Path, key: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.dcm", part10(image()))
    source = tmp_path / "in"
    source.mkdir()
    with zipfile.ZipFile(source / "nested.zip", "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
    with zipfile.ZipFile(source / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.dcm", bytes(4 << 20))
    result = call(source, tmp_path / "out", "--key-file", key)
    assert result.exit_code == 3
    assert "zip-in-zip" in result.output and "zip-ratio" in result.output


def test_a_damaged_archive_is_called_one(tmp_path: Path, key: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a.dcm", part10(image()))
    for content in (made.getvalue()[:-30], made.getvalue()[:40], b"PK\3\4"):
        (tmp_path / "in.zip").write_bytes(content)
        result = call(tmp_path / "in.zip", tmp_path / "out", "--key-file", key)
        assert result.exit_code == 3 and "input 1: not released: zip-damaged" in result.output


def test_a_dicom_file_that_ends_as_an_archive_is_dicom(tmp_path: Path, key: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("Quxley.dcm", b"Quxley")
    (tmp_path / "one.dcm").write_bytes(part10(image(), tail=made.getvalue()))
    assert call(tmp_path / "one.dcm", tmp_path / "out", "--key-file", key).exit_code == 0
    (path,) = outputs(tmp_path / "out")
    assert b"Quxley" not in path.read_bytes() and pydicom.dcmread(path).PixelData == PIXELS


def test_levels_are_listed(tmp_path: Path, key: Path) -> None:
    (tmp_path / "one.dcm").write_bytes(part10(image()))
    result = call(tmp_path / "one.dcm", tmp_path / "out", "--key-file", key, "--level", "bogus")
    assert result.exit_code == 2 and "--level is one of high, medium, low" in result.output


def test_out_is_not_the_folder_of_in(tmp_path: Path, key: Path) -> None:
    (tmp_path / "one.dcm").write_bytes(part10(image()))
    result = call(tmp_path / "one.dcm", tmp_path, "--key-file", key)
    assert result.exit_code == 2 and "OUT is the folder that IN lies in" in result.output
    assert outputs(tmp_path) == sorted([tmp_path / "one.dcm", key])


def test_a_dicomdir_names_its_files(tmp_path: Path, key: Path) -> None:
    media = tmp_path / "media"
    shutil.copytree(Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests", media)
    (media / "unlisted.dcm").write_bytes(part10(image()))
    report = tmp_path / "report.json"
    result = call(
        media / "DICOMDIR", tmp_path / "out", "--key-file", key, "--level", "low", "--report", report
    )
    assert result.exit_code == 0, result.output
    assert json.loads(report.read_text())["totals"] == {"released": 31}
    assert not any(path.name == "DICOMDIR" for path in outputs(tmp_path / "out"))


def test_the_same_instance_twice(tmp_path: Path, key: Path) -> None:
    """Of several contents the smallest digest stays, whatever the order; the same bytes are kept once."""
    kept = set()
    one = image()
    for order in ("abc", "cba", "bca"):
        source = tmp_path / order
        source.mkdir()
        for place, which in enumerate(order):
            one.SeriesNumber = {"a": "7", "b": "7", "c": "77"}[which]
            (source / f"{place}.dcm").write_bytes(part10(one))
        report = tmp_path / f"{order}.json"
        result = call(source, tmp_path / f"out-{order}", "--key-file", key, "--report", report)
        assert result.exit_code == 3 and "not released: instance-conflict" in result.output
        (path,) = outputs(tmp_path / f"out-{order}")
        kept.add(path.read_bytes())
        totals = json.loads(report.read_text())["totals"]
        of_seven = pydicom.dcmread(path).SeriesNumber == 7
        assert totals == (
            {"released": 1, "duplicate": 1, "quarantined": 1}
            if of_seven
            else {"released": 1, "quarantined": 2}
        )
    assert len(kept) == 1


def test_places_that_would_touch_the_input(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.dcm").write_bytes(part10(image()))
    for target in (source, source / "out"):
        result = call(source, target)
        assert result.exit_code == 2 and "OUT lies in IN" in result.output
    assert call(source, source / "a.dcm").exit_code == 2
    assert call(source, tmp_path / "out", "--report", source / "report.json").exit_code == 2
    assert call(tmp_path / "nothing", tmp_path / "out").exit_code == 2
    for media in (source, source / "media", tmp_path / "out"):
        assert call(source, tmp_path / "out", "--dicomdir", media).exit_code == 2
    assert call(source / "a.dcm", tmp_path / "out", "--dicomdir", source).exit_code == 2
    assert call(source, tmp_path / "out", "--level", "extreme").exit_code == 2
    short = tmp_path / "short"
    short.write_bytes(b"x")
    assert call(source, tmp_path / "out", "--key-file", short).exit_code == 2
    assert outputs(source) == [source / "a.dcm"]


def test_a_random_key_is_not_repeated(tmp_path: Path) -> None:
    source = tmp_path / "a.dcm"
    source.write_bytes(part10(image()))
    for name in ("one", "two"):
        assert call(source, tmp_path / name).exit_code == 0
    assert outputs(tmp_path / "one")[0].name != outputs(tmp_path / "two")[0].name


def test_a_profile_of_ones_own(tmp_path: Path, key: Path) -> None:
    ds = image()
    ds.StationName = "ROOM4"
    source = tmp_path / "a.dcm"
    source.write_bytes(part10(ds))
    profile = tmp_path / "site.toml"
    profile.write_text(
        'inherit = "high"\nname = "site"\n[[override]]\nkeyword = "StationName"\naction = "keep"\n'
    )
    result = call(source, tmp_path / "out", "--key-file", key, "--profile", profile)
    assert result.exit_code == 0, result.output
    assert pydicom.dcmread(outputs(tmp_path / "out")[0]).StationName == "ROOM4"
    profile.write_text("levle = 'high'")
    assert call(source, tmp_path / "out", "--profile", profile).exit_code == 2
