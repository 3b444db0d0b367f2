"""What reaches another application of a result: nothing of who made it, nothing of the patient, and no date that tells.

Values nobody has seen before stand wherever the first application can put them. The bytes that leave are searched for
them, and every file of the receiver.
"""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from archive_kit import part10
from deid_kit import Mint, decode, new_uid
from vault_kit import CAME, open_vault, reference, report, secrets_of, series, way_of
from wardlight.agreements.model import Level
from wardlight.deid.restore import NotRestored
from wardlight.receiver.anew import Maker
from wardlight.receiver.model import Target
from wardlight.receiver.protect import NotReleased, Protector

FIRST = Target("acme", Level.HIGH)
LEVELS = [Level.LOW, Level.MEDIUM, Level.HIGH]


class Gate:
    """A receiver with a study of which the first application has a release."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        keys = secrets_of(folder)
        self.vault = open_vault(folder, CAME)
        self.maker = Maker(self.vault, keys, Protector(None, keys, self.vault))  # type: ignore[arg-type]
        self.originals = series(2)
        self.seen = []
        for ds in self.originals:
            way, header = way_of(self.vault, ds, FIRST, keys.hospital)
            self.vault.keep([way])
            self.seen.append(decode(header))

    def hand(self, result: Dataset, level: Level) -> bytes:
        """The file that leaves for the other application."""
        made, _ = self.maker.make(part10(result), FIRST, Target("beta", level))
        return b"".join(made.outgoing.part.chunks(made.outgoing.read))


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def finding(gate: Gate, mint: Mint) -> Dataset:
    """A result with all that names its maker's release, and what its maker made up."""
    image = gate.seen[0]
    ds = report(image)
    ds.ReferencedInstanceSequence = [reference(one) for one in gate.seen]
    ds.SeriesDescription = f"for {image.PatientID}"
    ds.DeviceSerialNumber, ds.StationName = mint.word("serial"), mint.word("station")
    ds.DeviceUID = new_uid()
    block = ds.private_block(0x0099, mint.word("creator"), create=True)
    block.add_new(1, "LO", mint.word("private"))
    nested = Dataset()
    nested.add_new(0x00080018, "UI", image.SOPInstanceUID)
    nested.private_block(0x0099, mint.word("inner creator"), create=True).add_new(1, "LO", mint.word("inner"))
    block.add_new(2, "SQ", [nested])
    return ds


def names_of(gate: Gate, ds: Dataset, mint: Mint) -> dict[str, str]:
    """What must be nowhere: of the first application, and of the patient."""
    first, patient = gate.seen[0], gate.originals[0]
    found = {
        **mint.values,
        "result": ds.SOPInstanceUID,
        "its series": ds.SeriesInstanceUID,
        "device": ds.DeviceUID,
    }
    found |= {"pseudonym": first.PatientID, "study": first.StudyInstanceUID, "frame": ""}
    found |= {f"image {n}": one.SOPInstanceUID for n, one in enumerate(gate.seen)}
    found |= {f"original {n}": one.SOPInstanceUID for n, one in enumerate(gate.originals)}
    found |= {"patient": patient.PatientID, "name": "denscheidt", "born": patient.PatientBirthDate}
    return {name: str(value) for name, value in found.items() if value}


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_of_the_first_one_and_nothing_of_the_patient(gate: Gate, level: Level) -> None:
    mint = Mint()
    ds = finding(gate, mint)
    file = gate.hand(ds, level)
    left = {name for name, value in names_of(gate, ds, mint).items() if value.encode("latin-1") in file}
    # At low, what a device says of itself stays, of an application's as of a scanner's.
    assert left == ({"device", "serial", "station"} if level is Level.LOW else set())
    made = pydicom.dcmread(io.BytesIO(file))
    assert len(made.ReferencedInstanceSequence) == 2, "it still refers to both images"
    for path in gate.folder.rglob("*"):
        held = path.read_bytes() if path.is_file() else b""
        here = {name for name, value in names_of(gate, ds, mint).items() if value.encode("latin-1") in held}
        assert not here, (path.name, here)


@pytest.mark.parametrize("level", LEVELS)
def test_its_own_dates_do_not_tell_by_how_much_dates_moved(gate: Gate, level: Level) -> None:
    ds = finding(gate, Mint())
    patients_day = gate.seen[0].StudyDate
    ds.StudyDate, ds.SeriesDate, ds.ContentDate = patients_day, "20261121", "20261121"
    ds.AcquisitionDateTime = "20261121081500"
    made = pydicom.dcmread(io.BytesIO(gate.hand(ds, level)))
    for name in ("SeriesDate", "ContentDate"):
        assert made.get(name, "") in ("", "20261121"), name
    assert str(made.get("AcquisitionDateTime", "")) == "" or made.AcquisitionDateTime.startswith("20261121")
    moved = made.get("StudyDate", "")
    assert moved == "" or moved not in ("20261121", patients_day)


def test_who_restores_for_another_release_or_patient_gets_nothing(gate: Gate) -> None:
    other = Gate(gate.folder / "other")
    ds = report(gate.seen[0])
    with pytest.raises(NotRestored):
        other.hand(ds, Level.HIGH)
    ds.StudyInstanceUID = gate.originals[0].StudyInstanceUID
    with pytest.raises((NotRestored, NotReleased)):
        gate.hand(ds, Level.HIGH)


@pytest.mark.parametrize("level", [Level.MEDIUM, Level.HIGH])
def test_a_study_sent_on_its_own_day_gives_its_offset_away_to_nobody(tmp_path: Path, level: Level) -> None:
    """Of an identified release, in which no date moved, a date of that day may be the patient's or the result's own."""
    keys = secrets_of(tmp_path)
    vault = open_vault(tmp_path, CAME)
    maker = Maker(vault, keys, Protector(None, keys, vault))  # type: ignore[arg-type]
    today = f"{CAME:%Y%m%d}"
    image = series(1)[0]
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = today
    target = Target("beta", level)
    way, header = way_of(vault, image, target, keys.hospital)
    vault.keep([way])
    ds = report(image)
    ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = today
    ds.AcquisitionDateTime = f"{today}081500"
    made, _ = maker.make(part10(ds), Target("acme", Level.IDENTIFIED), target)
    out = pydicom.dcmread(io.BytesIO(b"".join(made.outgoing.part.chunks(made.outgoing.read))))
    shown = decode(header).StudyDate
    assert shown != today and out.StudyDate == shown
    for name in ("SeriesDate", "AcquisitionDate", "ContentDate", "AcquisitionDateTime"):
        assert str(out.get(name, ""))[:8] in ("", shown), name


@pytest.mark.parametrize("level", [Level.MEDIUM, Level.HIGH])
@pytest.mark.parametrize("text", ["CT CHEST 2026-11-21", "CT CHEST 20190805", "CT CHEST 05.08.2019"])
def test_a_day_in_text_is_not_handed_over(gate: Gate, level: Level, text: str) -> None:
    """The result's own or the patient's, as its own release shows it: either would tell an offset."""
    ds = finding(gate, Mint())
    ds.SeriesDescription = text
    with pytest.raises(NotRestored, match="date-in-text"):
        gate.hand(ds, level)
