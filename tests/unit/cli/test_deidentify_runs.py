"""`wardlight deidentify` over a batch: what one file says is searched in all, runs go on, nothing is half written."""

from __future__ import annotations

import fcntl
import json
import re
import secrets
import shutil
from pathlib import Path

import pydicom
import pytest

import canary
from deid_cli_kit import call, image, outputs, part10, tree
from deid_kit import Mint
from reader_kit import FakeReader, burned_in
from wardlight.cli import deidentify_job
from wardlight.cli.deidentify_input import Input
from wardlight.cli.deidentify_known import MOST_VALUES
from wardlight.cli.deidentify_output import WORK
from wardlight.deid.report_model import Outcome


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_bytes(b"k" * 40)
    return file


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_name_in_one_file_is_searched_in_the_others_of_the_patient(
    tmp_path: Path, key: Path, names: tuple[str, str]
) -> None:
    mint = Mint()
    word, accession = mint.cased("name before the wedding"), mint.digits("accession")
    source = tmp_path / "in"
    source.mkdir()
    first, second, stranger = image(1), image(2), image(3)
    first.PatientName = f"{word}^Wilhelmina"
    first.AccessionNumber = accession
    second.PatientName = "Zorbaxen^Wilhelmina"
    second.StudyDescription = f"seen with {word} again, {accession}"
    stranger.PatientID = "another one"
    stranger.StudyInstanceUID = "1.2.826.0.1.3680043.10.9.77"
    stranger.StudyDescription = f"sees {word}"
    for name, ds in zip(("c", *names), (stranger, first, second), strict=True):
        (source / f"{name}.dcm").write_bytes(part10(ds))
    result = call(source, tmp_path / "out", "--key-file", key, "--level", "low")
    assert result.exit_code == 0, result.output
    kept = {str(pydicom.dcmread(path).get("StudyDescription", "")) for path in outputs(tmp_path / "out")}
    # Somebody else's words are nobody's business: low keeps them.
    assert kept == {"", f"sees {word}", *(one for one in kept if "seen with" in one)}
    assert not any(word in one for one in kept if not one.startswith("sees ")), word
    assert not any(accession in one for one in kept), accession
    assert len(kept) == 3


def test_an_id_that_many_people_share_is_refused(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_VALUES > 1000
    monkeypatch.setattr("wardlight.cli.deidentify_known.MOST_VALUES", 8)
    source = tmp_path / "in"
    source.mkdir()
    for number in range(10):
        ds = image(number)
        ds.PatientName = f"Quxley{number}^Q"
        (source / f"{number}.dcm").write_bytes(part10(ds))
    result = call(source, tmp_path / "out", "--key-file", key)
    assert result.exit_code == 3 and "10 × too-many-identifiers" in result.output


def test_an_interrupted_run_goes_on_to_the_same_bytes(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(9):
        (source / f"{number}.dcm").write_bytes(part10(image(number)))
    (source / "9.dcm").write_bytes(part10(image(99))[:-3])
    arguments = (source, tmp_path / "out", "--key-file", key, "--workers", 1)
    report = tmp_path / "report.json"
    assert call(source, tmp_path / "whole", "--key-file", key, "--report", report).exit_code == 3
    process = deidentify_job.Worker.process
    seen: list[Input | None] = []

    def interrupted(self: deidentify_job.Worker, item: Input) -> Outcome:
        seen.append(item)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return process(self, item)

    monkeypatch.setattr(deidentify_job.Worker, "process", interrupted)
    stopped = call(*arguments)
    assert stopped.exit_code == 130 and "--resume" in stopped.output
    left = tmp_path / "out" / WORK / "parts" / "2.25.1.4711"
    left.write_bytes(b"half of something")
    assert not any(b"Quxley" in path.read_bytes() for path in outputs(tmp_path / "out"))
    again = call(*arguments)
    assert again.exit_code == 2 and "--resume" in again.output
    other = tmp_path / "other"
    other.write_bytes(b"o" * 40)
    assert "another key" in call(source, tmp_path / "out", "--key-file", other, "--resume").output
    seen.clear()
    seen.extend([None] * 10)
    resumed = call(*arguments, "--resume", "--report", tmp_path / "resumed.json")
    assert resumed.exit_code == 3, resumed.output
    assert len(seen) - 10 == 6  # four were done, the rest was not
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    assert not (tmp_path / "out" / WORK).exists()
    totals = json.loads(report.read_text())["totals"]
    assert totals == json.loads((tmp_path / "resumed.json").read_text())["totals"]


@pytest.mark.parametrize("changed", ["name", "content", "none"])
def test_a_changed_batch_is_not_continued(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    ones = [image(number) for number in range(3)]
    for number, one in enumerate(ones):
        (source / f"{number}.dcm").write_bytes(part10(one))
    process = deidentify_job.Worker.process

    def interrupted(self: deidentify_job.Worker, item: Input) -> Outcome:
        if item.number == 2:
            raise KeyboardInterrupt
        return process(self, item)

    with monkeypatch.context() as patched:
        patched.setattr(deidentify_job.Worker, "process", interrupted)
        assert call(source, tmp_path / "out", "--key-file", key, "--workers", 1).exit_code == 130
    if changed != "none":
        setattr(ones[0], *(("PatientName", "Other^Name") if changed == "name" else ("SeriesNumber", "9")))
        (source / "0.dcm").write_bytes(part10(ones[0]))
    # What comes in addition and says nothing new is welcome.
    (source / "00.txt").write_text("no image")
    result = call(source, tmp_path / "out", "--key-file", key, "--resume")
    if changed == "none":
        assert result.exit_code == 0 and "3 released" in result.output and "1 skipped" in result.output
    else:
        assert result.exit_code == 2 and "IN is not what it was" in result.output


def test_resume_needs_a_key(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(part10(image()))
    result = call(tmp_path / "a.dcm", tmp_path / "out", "--resume")
    assert result.exit_code == 2 and "--key-file" in result.output


def test_a_dry_run_writes_the_report_alone(tmp_path: Path, key: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(3):
        (source / f"{number}.dcm").write_bytes(part10(image(number)))
    (source / "3.dcm").write_bytes(b"nothing")
    before = {path: path.stat().st_mtime_ns for path in source.iterdir()}
    dry, wet = tmp_path / "dry.json", tmp_path / "wet.json"
    result = call(source, tmp_path / "out", "--key-file", key, "--dry-run", "--report", dry, "--json", "-q")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.output)
    assert summary["dry_run"] and summary["totals"]["released"] == 3
    assert not (tmp_path / "out").exists()
    assert before == {path: path.stat().st_mtime_ns for path in source.iterdir()}
    assert call(source, tmp_path / "out", "--key-file", key, "--report", wet).exit_code == 0
    one, other = json.loads(dry.read_text()), json.loads(wet.read_text())
    assert one["dry_run"] and not other["dry_run"]
    assert {k: v for k, v in one.items() if k != "dry_run"} == {
        k: v for k, v in other.items() if k != "dry_run"
    }


def test_a_report_of_each_study_says_nothing_of_the_original(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deidentify_job.Job, "reader", FakeReader(fails={0: "detector-unavailable"}))
    mint = Mint()
    source, report = tmp_path / mint.cased("folder"), tmp_path / "report"
    source.mkdir()
    for number in range(2):
        ds = image(number)
        ds.PatientName = f"{mint.cased('name')}^{mint.cased('given')}"
        ds.PatientID, ds.AccessionNumber = mint.digits("id"), mint.digits("accession")
        ds.InstitutionName, ds.StudyDescription = mint.cased("place"), f"of {mint.cased('text')}"
        (source / f"{mint.word('file')}.dcm").write_bytes(part10(ds))
    held = image(7)
    held.BurnedInAnnotation, held.PatientName = "YES", mint.cased("held")
    held.Modality = mint.word("modality")
    held.StudyInstanceUID = mint.uid("study")
    (source / "z.dcm").write_bytes(part10(held))
    damaged = part10(image(8))
    (source / "zz.dcm").write_bytes(damaged[:-3])
    (source / "zzz.dcm").write_bytes(damaged[:300])
    result = call(source, tmp_path / "out", "--key-file", key, "--report", report)
    assert result.exit_code == 3, result.output
    found = canary.Canaries(mint.values.values()).search(report)
    assert found == {}, found
    pages = sorted(path.name for path in report.glob("*.html"))
    assert len(pages) == 4 and {"index.html", "other-inputs.html"} < set(pages)
    for path in report.glob("*.html"):
        text = path.read_text()
        assert not re.search(r"<script|https?:|url\(|@import|src=\"(?!data:image/png)", text), path.name
        for link in re.findall(r'href="([^"]*)"', text):
            assert (report / link).is_file()
    study = outputs(tmp_path / "out")[0].parts[-3]
    data = json.loads((report / f"{study}.json").read_text())
    assert data["schema"] == "wardlight-deid-report/1" and data["totals"]["released"] == 2
    names = {row["keyword"]: row for row in data["elements"]}
    assert names["PatientName"]["times"] == 2 and "Basic Profile" in names["PatientName"]["why"]
    whole = tmp_path / "all.html"
    assert call(source, tmp_path / "again", "--key-file", key, "--report", whole).exit_code == 3
    assert whole.read_text().count("<h1>") == 4


def test_the_path_of_an_input_is_told_to_who_asks(tmp_path: Path) -> None:
    for name in "ba":
        (tmp_path / f"{name}.dcm").write_bytes(b"x")
    assert call(tmp_path, "--which", 2).output.strip().endswith("b.dcm")
    assert call(tmp_path, "--which", 3).exit_code == 2


def test_what_a_run_left_is_one_runs_alone(tmp_path: Path, key: Path) -> None:
    """Two runs into one folder at once would mix what they learnt."""
    (tmp_path / "a.dcm").write_bytes(part10(image()))
    (tmp_path / "out" / WORK).mkdir(parents=True)
    with (tmp_path / "out" / WORK / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = call(tmp_path / "a.dcm", tmp_path / "out", "--key-file", key)
    assert result.exit_code == 2 and "another run" in result.output


def test_names_and_places_do_not_change_a_byte(tmp_path: Path, key: Path) -> None:
    kept = []
    contents = [part10(image(number)) for number in range(5)]
    for folder in ("one", "two"):
        (tmp_path / folder / "deep").mkdir(parents=True)
        secrets.SystemRandom().shuffle(contents)
        for content in contents:
            (tmp_path / folder / "deep" / secrets.token_hex(4)).write_bytes(content)
        assert call(tmp_path / folder, tmp_path / f"out-{folder}", "--key-file", key).exit_code == 0
        kept.append(tree(tmp_path / f"out-{folder}"))
        shutil.rmtree(tmp_path / folder)
    assert kept[0] == kept[1] and len(kept[0]) == 5


def ultrasound(text: str) -> tuple[bytes, tuple[int, int, int, int]]:
    """A file with a name in its pixels, and where that is."""
    plate, box = burned_in(128, 256, text)
    ds = image()
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.6.1", "US"
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 128, 256, 8, 8, 7
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "RescaleIntercept", "RescaleSlope"):
        delattr(ds, keyword)
    return part10(ds, pixels=plate.tobytes()), box


def test_pictures_show_where_text_was_and_not_what(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = []
    for text in ("QUXLEY 9", "ZORBAX 8"):
        content, box = ultrasound(text)
        reader = FakeReader((((0, 0, 200, 60), "QUXLEY"),))
        assert box[2] <= 200 and box[3] <= 60
        monkeypatch.setattr(deidentify_job.Job, "reader", reader, raising=False)
        (tmp_path / "us.dcm").write_bytes(content)
        report = tmp_path / text
        done = call(tmp_path / "us.dcm", tmp_path / f"out {text}", "--key-file", key, "--report", report)
        assert done.exit_code == 0, done.output
        (study,) = [json.loads(path.read_text()) for path in report.glob("2.25.*.json")]
        assert study["pixels"] == {"objects": 1, "frames": 1, "boxes": 1, "matched": 1}
        assert study["objects"][0]["pixels"]["boxes"] == [[0, 0, 200, 60]]
        (page,) = report.glob("2.25.*.html")
        pages.append(re.findall(r'src="([^"]+)" alt="(before|after)"', page.read_text()))
    assert [kind for _, kind in pages[0]] == ["before", "after"]
    assert pages[0][1] == pages[1][1] and pages[0][0] != pages[0][1]
    # Of the content of a box one number is left, the mean; both texts have nearly the same.
    assert all(len(source) < 20_000 for page in pages for source, _ in page)


def test_no_picture_of_a_file_that_changed_meanwhile(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boxes of the one would hide nothing in the other."""
    source = tmp_path / "us.dcm"
    source.write_bytes(ultrasound("QUXLEY 9")[0])
    reader = FakeReader((((0, 0, 200, 60), "QUXLEY"),))
    monkeypatch.setattr(deidentify_job.Job, "reader", reader, raising=False)
    process = deidentify_job.Worker.process

    def changed(self: deidentify_job.Worker, item: Input) -> Outcome:
        outcome = process(self, item)
        source.write_bytes(source.read_bytes() + b"\0\0")
        return outcome

    monkeypatch.setattr(deidentify_job.Worker, "process", changed)
    report = tmp_path / "report.html"
    done = call(source, tmp_path / "out", "--key-file", key, "--report", report)
    assert done.exit_code == 0, done.output
    assert "data:image" not in report.read_text()


def test_without_a_detector_nothing_that_needs_it_leaves(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wardlight.decoding.pixel_reader.MODULES", ("wardlight.decoding.is_not_there",))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "us.dcm").write_bytes(ultrasound("QUXLEY 9")[0])
    (tmp_path / "in" / "ct.dcm").write_bytes(part10(image(3)))
    done = call(tmp_path / "in", tmp_path / "out", "--key-file", key, "--workers", 1)
    assert done.exit_code == 3 and "1 × detector-unavailable" in done.output, done.output
    (path,) = outputs(tmp_path / "out")
    assert pydicom.dcmread(path).Modality == "CT"
