"""Real files as results: but for patient, study and dates they stay what they were; damaged ones are refused."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

import real_files
from deid_kit import new_uid
from vault_kit import Hospital, report, series
from wardlight.deid.patient_study import ALWAYS, CHARSET, WHERE_THERE
from wardlight.deid.restore import NotRestored
from wardlight.errors import WardlightError

#: What restoring may change at the top level, beside dates.
CHANGED = frozenset(
    (0x00120062, 0x00120063, 0x00120064, 0x00280303, 0x0020000D, CHARSET, *ALWAYS, *WHERE_THERE)
)
LARGEST = 1_000_000


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital(tmp_path)
    yield made
    made.close()


def differences(before: Dataset, after: Dataset, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of elements that are not the same in both; what follows the pixel data is left out on purpose."""
    sides = [
        {
            one.tag: one
            for one in ds
            if one.tag.element and (path or (int(one.tag) not in CHANGED and int(one.tag) <= 0x7FE00010))
        }
        for ds in (before, after)
    ]
    for tag in sides[0].keys() | sides[1].keys():
        one, other = (side.get(tag) for side in sides)
        here = (*path, str(tag))
        if one is None or other is None or one.VR != other.VR:
            yield here
        elif one.VR == "SQ":
            if len(one.value) != len(other.value):
                yield here
            for first, second in zip(one.value, other.value, strict=False):
                yield from differences(first, second, here)
        elif one.VR not in ("DA", "DT") and one.value != other.value:
            yield here


# A quarter of the files in the fast suite, all in the long one.
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in (1, 2, 3))])
def test_nothing_else_of_a_real_file_changes(hospital: Hospital, part: int) -> None:
    original = series(1)[0]
    original.PatientName, original.ReferringPhysicianName = "Doe^Jane", "Roe^Ann"
    (image,) = hospital.send(original)
    restored = 0
    for path in real_files.paths()[part::4]:
        name = path.name
        if path.stat().st_size > LARGEST:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                ds = pydicom.dcmread(path)
                ds.PatientID, ds.StudyInstanceUID = image.PatientID, image.StudyInstanceUID
                ds.SOPInstanceUID = new_uid()
                ds.setdefault("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")
                place = hospital.folder / name
                ds.save_as(place, enforce_file_format=True)
                before = pydicom.dcmread(place)
            except Exception:
                continue
            try:
                after = pydicom.dcmread(hospital.restore_file(place))
            except NotRestored as refusal:
                assert refusal.code == "data-set:truncated", name
                continue
            assert not list(differences(before, after)), name
            assert (after.PatientID, str(after.PatientName)) == (original.PatientID, "Doe^Jane"), name
            restored += 1
    assert restored > 20


def test_a_damaged_result_is_refused_or_restored_and_nothing_else(hospital: Hospital) -> None:
    (image,) = hospital.send(*series(1))
    whole = hospital.file(report(image)).read_bytes()
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for number in range(120):
        data = bytearray(whole)
        if number % 3 == 0:
            del data[chance.randrange(132, len(data)) :]
        else:
            for _ in range(number % 3):
                data[chance.randrange(132, len(data))] = chance.randrange(256)
        place = hospital.folder / f"{number}.dcm"
        place.write_bytes(data)
        try:
            hospital.restore_file(place).unlink()
        except (NotRestored, WardlightError):
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}, file {number}") from error
    assert not list((hospital.folder / "out").iterdir()), "no half files"
