"""What survives is what the page says; pixels are the same; two applications have nothing in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

import deid_coverage
from deid_kit import decode, deidentifier, encode
from deid_objects import made
from real_files import name_of, paths
from wardlight.deid.engine import WANTED
from wardlight.deid.protect import NOT_RELEASED, protect
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import Part10Stream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

#: Themes that every level keeps but for texts, identifiers and references, which are new ones.
WHOLE = ("Geometry", "Values and display", "Acquisition", "Dose", "Segmentation", "Radiotherapy")
CHANGED = frozenset(("new UID", "words"))
SMALL, LARGEST = 100 << 10, 8 << 20


def test_the_page_is_what_is_measured() -> None:
    page = deid_coverage.PAGE.read_text("utf-8")
    table = deid_coverage.measured()
    assert deid_coverage.page_with(deid_coverage.rendered(table), page) == page
    for theme in WHOLE:
        lost = {
            element: outcomes
            for element, outcomes in table[theme].items()
            if any(one != "✓" and one not in CHANGED for one in outcomes)
        }
        assert not lost
    uptake = table["PET: standardized uptake"].values()
    assert all(outcomes[1] in ("✓", "moved") for outcomes in uptake), "from medium on"


def same_pixels(before: bytes, after: bytes, ds: Dataset, native: bool) -> bool:
    """Whether nothing of the image changed: bits that are stored, or codestreams but for what was blanked."""
    if before[: len(after)] == after:
        return True
    old, new = (np.frombuffer(value[: len(after)], np.uint8) for value in (before, after))
    if not native:
        return bool(np.all((old == new) | (new == 0)))
    allocated, stored, high = int(ds.BitsAllocated), int(ds.BitsStored), int(ds.HighBit)
    if allocated not in (8, 16, 32):
        return False
    kind = np.dtype(f"u{allocated // 8}")
    mask = ((1 << stored) - 1) << (high + 1 - stored)
    whole = len(after) // kind.itemsize * kind.itemsize
    old_words, new_words = (value[:whole].view(kind) for value in (old, new))
    return bool(np.all(old_words & mask == new_words & mask))


def changed_pixels(files: list[Path], level: str) -> tuple[int, list[str]]:
    """How many files left, and those whose image is another one."""
    left, wrong = 0, []
    for path in files:
        data = path.read_bytes()
        part10 = Part10Stream(lenient=True, wanted=WANTED)
        try:
            part10.feed(data)
            part10.finish()
        except DicomError:
            continue
        stream = part10.stream
        if stream is None or stream.pixel is None or stream.syntax.deflated or stream.syntax.big_endian:
            continue
        end = stream.tail_offset or stream.total
        value = data[part10.dataset_offset + stream.value_offset :][: end - stream.value_offset]
        try:
            protected = protect(deidentifier(level), stream, lambda value=value: iter([value]))
            length = len(value) if protected.result.body_length is None else protected.result.body_length
            after = b"".join(map(bytes, protected.through([value[:length]])))
        except NOT_RELEASED:
            continue
        left += 1
        header = decode(protected.result.header, stream.syntax)
        if not same_pixels(value, after, header, not stream.syntax.encapsulated):
            wrong.append(name_of(path))
    return left, wrong


def test_pixels_of_real_files_are_the_same() -> None:
    left, wrong = changed_pixels([path for path in paths() if path.stat().st_size <= SMALL], "high")
    assert wrong == []
    assert left >= 20


@pytest.mark.long
@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_pixels_of_all_real_files_are_the_same(level: str) -> None:
    left, wrong = changed_pixels([path for path in paths() if path.stat().st_size <= LARGEST], level)
    assert wrong == []
    assert left >= 50


def of(ds: Dataset, *vrs: str) -> set[str]:
    return {str(element.value) for element in ds.iterall() if element.VR in vrs and element.value}


@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_two_applications_share_nothing(level: str) -> None:
    """No UID but those of kinds, no pseudonym, no keyed identifier, no offset; each for itself the same again."""
    alike = []
    for kind in ("CT", "SEG", "RTPLAN", "SR", "key object"):
        ds = made(kind).data_set
        for keyword in ("PixelData", "DataSetTrailingPadding"):
            if keyword in ds:
                del ds[keyword]
        header = encode(ds)
        outputs = [
            deidentifier(level, name).deidentify(header, EXPLICIT_LITTLE, None)
            for name in ("acme", "other", "acme")
        ]
        first, second = (decode(one.header) for one in outputs[:2])
        assert outputs[0].header == outputs[2].header
        shared = of(first, "UI") & of(second, "UI")
        assert {uid for uid in shared if not uid.startswith("1.2.840.10008.")} == set()
        for keyword in ("PatientName", "PatientID", "AccessionNumber", "StudyID"):
            assert str(first[keyword].value) != str(second[keyword].value), (kind, keyword)
        alike.append(str(first.StudyDate) == str(second.StudyDate))
    # Two offsets of 3,650 are the same now and then, not those of five patients.
    assert level == "low" or not all(alike)
