"""Dates everywhere move by the one offset of the patient; ages follow from dates; the verifier takes nothing else."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from pydicom.dataset import Dataset

from deid_kit import decode, deidentifier, encode, minimal, pixels, run, sequence
from deid_parts import code, item, ungeometric
from wardlight.deid import dates
from wardlight.deid.days_moved import clean_dated
from wardlight.deid.descriptors import clean_text
from wardlight.deid.verify import verify
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

UID = EXPLICIT_LITTLE.uid


def offset(level: str = "high") -> int:
    """Of the patient that `minimal` makes."""
    result, findings = run(minimal(), level)
    assert findings == []
    return (date(2024, 3, 17) - date.fromisoformat(decode(result.header).StudyDate)).days


@pytest.mark.parametrize(
    ("value", "days", "moved"),
    [
        (b"20240301", 1, b"20240229"),
        (b"20230301", 1, b"20230228"),
        (b"20000229", 366, b"19990228"),
        (b"18991231", 30, b"18991201"),
        (b"00010101", 1, None),
        (b"99991231", 1, b"99991230"),
        (b"19000229", 1, None),
        (b"2024.03.01", 1, b"20240229"),
        (b"20240101-20240201", 1, None),
        (b"20240101-", 1, None),
        (b"2024", 1, None),
        (b"20240301\\20240302", 1, b"20240229\\20240301"),
        (b"20240301\\x", 1, None),
    ],
)
def test_da(value: bytes, days: int, moved: bytes | None) -> None:
    assert dates.shift_dates(value, days) == moved


@pytest.mark.parametrize(
    ("value", "moved", "alone"),
    [
        (b"20240301233059.999999+0100", b"20240229233059.999999+0100", b"20240229"),
        (b"20240301003000-0800", b"20240229003000-0800", b"20240229"),
        (b"2024030124", None, None),
        (b"20240301235960", b"20240229235960", b"20240229"),
        (b"202403", b"202402", b"202402"),
        (b"2024", b"2023", b"2023"),
        (b"202403+0100", b"202402+0100", b"202402"),
        (b"00010101", None, None),
        (b"20240301-20240302", None, None),
    ],
)
def test_dt(value: bytes, moved: bytes | None, alone: bytes | None) -> None:
    assert dates.shift_datetimes(value, 1, True) == moved
    assert dates.shift_datetimes(value, 1, False) == alone


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        (b"head 2024-03-01", b"head 2024-02-29"),
        (b"head 20240301 follow up", b"head 20240229 follow up"),
        (b"chest 01.03.2024.", b"chest 29.02.2024"),
        (b"chest 1.3.2024, head", b"chest 29.2.2024 head"),
        (b"chest (1 Mar 2024)", b"chest 29 Feb 2024"),
        (b"chest 01-MAR-2024", b"chest 29-FEB-2024"),
        (b"chest 1 march 2024", b"chest 29 february 2024"),
        (b"2024-03-01\\head", b"2024-02-29\\head"),
        (b"2024-03-01 2024-03-02", b"2024-02-29 2024-03-01"),
    ],
)
def test_whole_dates_in_text_move_in_their_form(text: bytes, moved: bytes) -> None:
    found = clean_dated(text, 1, clean_text, lambda _day: False)
    assert found is not None and found[0] == moved


@pytest.mark.parametrize(
    "text",
    [
        b"Meyerlich 2024-03-01", b"head 2024-03-01T10:11", b"head 3/1/2024", b"head 2024-02-30", b"head 2024",
        b"head 010324", b"head 1932-05-04", b"head 2024-03-01 Meyerlich", b"id2024-03-01", b"12024-03-01 head",
        b"head 2024-03-011", b"head A20240301", b"head 03-2024",
    ],
)  # fmt: skip
def test_other_digits_go_as_before(text: bytes) -> None:
    found = clean_dated(text, 1, clean_text, lambda _day: False)
    left = clean_text(text) if found is None else found[0]
    assert not re.search(rb"[0-9]{3}", left), left


@pytest.mark.parametrize("level", ["high", "medium"])
def test_a_date_in_text_moves_with_the_others(level: str) -> None:
    ds = minimal()
    ds.SeriesDescription = "chest 2024-01-05"
    ds.ImageComments = "chest 5 Jan 2024 and birth 1951-02-03, head 03.02.1951"
    inner = Dataset()
    inner.CodeMeaning = "head 20240105"
    ds.ProcedureCodeSequence = sequence(inner)
    result, findings = run(ds, level)
    out = decode(result.header)
    moved = date(2024, 1, 5) - timedelta(days=offset(level))
    assert findings == []
    assert out.SeriesDescription == f"chest {moved.isoformat()}"
    # In the digits of new UIDs four stand by chance.
    assert b"1951" not in re.sub(rb"2\.25\.[0-9]+", b"", result.header)
    assert "2024" not in out.get("ImageComments", "")


def test_a_birth_date_of_recent_years_does_not_move_but_goes() -> None:
    ds = minimal()
    ds.PatientBirthDate = "20190203"
    ds.SeriesDescription = "chest 2019-02-03"
    result, findings = run(ds)
    moved = date(2019, 2, 3) - timedelta(days=offset())
    assert findings == [] and str(moved.year) not in decode(result.header).SeriesDescription


@pytest.mark.parametrize("days", [-1, 0, 1])
def test_the_verifier_takes_the_offset_of_all_and_no_other(days: int) -> None:
    ds = minimal()
    ds.SeriesDescription = "chest 2024-01-05"
    header = encode(ds)
    result = deidentifier().deidentify(header, EXPLICIT_LITTLE, pixels(ds))
    moved = date(2024, 1, 5) - timedelta(days=offset())
    spoilt = result.header.replace(
        moved.isoformat().encode(), (moved + timedelta(days=days)).isoformat().encode()
    )
    codes = [finding.code for finding in verify(header, UID, spoilt, level="high")]
    assert codes == ([] if days == 0 else ["dates-not-moved-as-one"])


def test_the_verifier_takes_no_date_without_an_original() -> None:
    ds = minimal()
    ds.SeriesDescription = "chest 2024-01-05"
    header = encode(ds)
    result = deidentifier().deidentify(header, EXPLICIT_LITTLE, pixels(ds))
    moved = (date(2024, 1, 5) - timedelta(days=offset())).isoformat().encode()
    plain = minimal()
    plain.SeriesDescription = "chest and head"
    for key in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(plain, key, ds[key].value)
    assert moved in result.header
    assert "words" in [f.code for f in verify(encode(plain), UID, result.header, level="high")]


@pytest.mark.parametrize(
    ("birth", "study", "age"),
    [
        (b"19510203", b"20240317", b"073Y"),
        (b"20240229", b"20260228", b"023M"),
        (b"20240229", b"20260301", b"024M"),
        (b"20240301", b"20240317", b"016D"),
        (b"20240317", b"20240317", b"000D"),
        (b"19200101", b"20240317", b"104Y"),
        (b"20240318", b"20240317", b""),
        (b"", b"20240317", b""),
        (b"1951", b"20240317", b""),
        (b"19510203\\19520203", b"20240317", b""),
    ],
)
def test_age_from_dates(birth: bytes, study: bytes, age: bytes) -> None:
    if age == b"024M":
        age = b"002Y"
    assert dates.age_at(birth, study) == age


@pytest.mark.parametrize(
    ("level", "birth", "stated", "age"),
    [
        ("high", "19510203", None, "070Y"),
        ("high", "19510203", "073Y", "070Y"),
        ("high", "19510203", "033Y", "070Y"),
        ("high", "19510203", "", "070Y"),
        ("high", "19200101", "050Y", "090Y"),
        ("high", "", "033Y", "030Y"),
        ("high", "", None, None),
        ("medium", "19510203", None, "073Y"),
        ("medium", "19510203", "072Y", "072Y"),
        ("low", "19510203", "033Y", "073Y"),
        ("low", "19200101", None, "090Y"),
        ("low", "20240110", None, "002M"),
    ],
)
def test_the_age_follows_from_the_dates(level: str, birth: str, stated: str | None, age: str | None) -> None:
    ds = minimal()
    ds.PatientBirthDate = birth
    if stated is not None:
        ds.PatientAge = stated
    result, findings = run(ds, level)
    assert findings == [] and decode(result.header).get("PatientAge") == age


def test_the_verifier_takes_nobody_over_89() -> None:
    ds = minimal()
    ds.PatientAge = "073Y"
    header = encode(ds)
    result = deidentifier("low").deidentify(header, EXPLICIT_LITTLE, pixels(ds))
    for age, bad in ((b"090Y", False), (b"091Y", True), (b"104Y", True)):
        spoilt = result.header.replace(b"073Y", age)
        assert ("bad-value" in [f.code for f in verify(header, UID, spoilt, level="low")]) == bad


@pytest.mark.parametrize("level", ["high", "medium"])
def test_the_dates_of_a_report_move_with_the_others(level: str) -> None:
    ds = minimal("1.2.840.10008.5.1.4.1.1.88.33", "SR")
    ungeometric(ds)
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = sequence(code("18748-4", "LN", "report"))
    ds.ContentDate, ds.ContentTime = "20240317", "101500"
    ds.ContentSequence = sequence(
        item("TEXT", ("121071", "DCM", "Finding"), TextValue="chest 2024-01-05, head 05.01.2024"),
        item("DATE", ("111060", "DCM", "Study Date"), Date="20240105"),
        item("DATETIME", ("111018", "DCM", "Content Date"), DateTime="20240105101112"),
    )
    result, findings = run(ds, level)
    text, day, moment = decode(result.header).ContentSequence
    moved = date(2024, 1, 5) - timedelta(days=offset(level))
    assert findings == []
    assert text.TextValue == f"chest {moved.isoformat()} head {moved.strftime('%d.%m.%Y')}"
    assert day.Date == moved.strftime("%Y%m%d")
    assert moment.DateTime == day.Date + ("101112" if level == "medium" else "")
