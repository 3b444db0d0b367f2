"""The verifier finds what an engine could do wrong, and is silent where nothing is."""

from __future__ import annotations

import random

import pytest
from pydicom.dataset import Dataset

from deid_kit import SYNTAXES, decode, deidentifier, encode, minimal, pixels, run, sequence
from wardlight.deid.verify import verify
from wardlight.deid.verify_site import Site
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, TransferSyntax


def original() -> Dataset:
    ds = minimal()
    ds.AccessionNumber = "ACC-90210"
    ds.PatientName = "Quxley^Wilhelmina"
    ds.ReferringPhysicianName = "Vogelsang^Hubert"
    ds.InstitutionName = "Spital Quellental"
    ds.SeriesDate = "20240318"
    item = Dataset()
    item.ReferencedSOPClassUID = ds.SOPClassUID
    item.ReferencedSOPInstanceUID = "1.2.826.0.1.3680043.10.55.1"
    ds.ReferencedImageSequence = sequence(item)
    return ds


def codes(before: Dataset, after: Dataset, level: str = "high", **more: int) -> set[str]:
    uid = EXPLICIT_LITTLE.uid
    return {f.code for f in verify(encode(before), uid, encode(after), level=level, **more)}


def clean(ds: Dataset, level: str = "high") -> Dataset:
    result = deidentifier(level).deidentify(encode(ds), EXPLICIT_LITTLE, pixels(ds))
    return decode(result.header)


def test_clean_output_has_no_findings() -> None:
    for level in ("high", "medium", "low"):
        ds = original()
        assert codes(ds, clean(ds, level), level) == set()


@pytest.mark.parametrize(
    ("keyword", "value", "code"),
    [
        ("SeriesDescription", "for quxley", "identifier"),
        ("SeriesDescription", "BLACKQUXLEYSMITH", "identifier"),
        ("ImageComments", "Dr VOGELSANG", "identifier"),
        ("StudyDescription", "ACC-90210", "identifier"),
        ("SeriesDescription", "spital quellental", "identifier"),
        ("ImageComments", "born 19510203", "identifier"),
        ("ImageComments", "done 20240317", "identifier"),
        ("PhysiciansOfRecord", "Vogelsang^Hubert", "forbidden-element"),
        ("PatientName", "Quxley^Wilhelmina", "unchanged-element"),
        ("PatientAddress", "anything", "forbidden-element"),
        ("StudyInstanceUID", "1.2.3.4", "uid-not-replaced"),
        ("StudyDate", "20240317", "dates-not-moved-as-one"),
        ("StudyDate", "20990101", "dates-not-moved-as-one"),
        ("PatientIdentityRemoved", None, "marker-missing"),
        ("PatientIdentityRemoved", "NO", "marker-missing"),
        ("DeidentificationMethodCodeSequence", None, "marker-missing"),
        ("Modality", None, "required-element-lost"),
        ("Modality", "", "required-value-lost"),
    ],
)
def test_findings(keyword: str, value: str | None, code: str) -> None:
    ds = original()
    after = clean(ds)
    if value is None:
        del after[keyword]
    else:
        setattr(after, keyword, value)
    assert code in codes(ds, after)


def test_originals_and_private_and_unknown() -> None:
    ds = original()
    after = clean(ds)
    after.StudyInstanceUID = ds.StudyInstanceUID
    assert "uid-not-replaced" in codes(ds, after)
    after = clean(ds)
    after.ReferencedImageSequence[0].ReferencedSOPInstanceUID = after.SOPInstanceUID
    assert "uid-not-replaced" in codes(ds, after), "two originals must not become one"
    after = clean(ds)
    after.private_block(0x0011, "QUX", create=True).add_new(1, "DS", "1")
    assert "private-element" in codes(ds, after)
    after = clean(ds)
    after.add_new(0x00189999, "DS", "1")
    assert "unknown-element" in codes(ds, after)
    after = clean(ds)
    after.add_new(0x00281201, "OW", b"..quxley....")
    assert "identifier" in codes(ds, after), "raw bytes"
    after = clean(ds)
    after.ImageComments = f"see {ds.SeriesInstanceUID}"
    assert "identifier" in codes(ds, after), "a UID in text"


def test_safe_private_only_where_allowed() -> None:
    ds = original()
    ds.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x03, "FL", 1.5)
    assert codes(ds, clean(ds, "medium"), "medium") == set()
    assert "private-element" in codes(ds, clean(ds, "medium"), "high")


def test_levels_and_unreadable_input() -> None:
    ds = original()
    header = encode(ds)
    assert [f.code for f in verify(header, EXPLICIT_LITTLE.uid, header, level="other")] == ["unknown-level"]
    assert [f.code for f in verify(header, EXPLICIT_LITTLE.uid, header[:-3], level="high")] == ["unreadable"]
    assert "dates-moved" in codes(ds, clean(ds, "medium"), "low")


def test_an_untouched_object_is_full_of_findings_without_a_value() -> None:
    ds = original()
    findings = verify(encode(ds), EXPLICIT_LITTLE.uid, encode(ds), level="high")
    assert len({f.code for f in findings}) >= 4
    text = " ".join(str(f) for f in findings).casefold()
    assert "quxley" not in text and "90210" not in text


def test_pixel_length() -> None:
    ds = original()
    after = clean(ds)
    assert codes(ds, after, pixel_length=128) == set()
    assert codes(ds, after, pixel_length=130) == {"pixel-length"}


def test_what_a_site_keeps() -> None:
    ds = original()
    after = clean(ds)
    after.PatientAddress = "a place"
    assert "forbidden-element" in codes(ds, after)
    site = Site(kept=frozenset({0x00101040}))
    assert verify(encode(ds), EXPLICIT_LITTLE.uid, encode(after), level="high", site=site) == []


@pytest.mark.parametrize("level", ["high", "medium", "low"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.name)
@pytest.mark.parametrize("name", ["LEE", "LI^NA", "王=王=O", "O", "CT^HEAD", "Chest^Axial"])
def test_short_and_common_names_are_no_alarm(name: str, level: str, syntax: TransferSyntax) -> None:
    generator = random.Random(7)
    ds = minimal()
    ds.PatientName = name
    ds.PatientID = str(generator.randrange(10000, 99999))
    ds.StudyDescription = "CT abdomen delayed, slice 2.5, leeway, lithium, head"
    ds.Manufacturer = "SIEMENS"
    ds.BodyPartExamined = "HEAD"
    for number in range(12):
        ds.InstanceNumber = number + 1
        ds.SOPInstanceUID = f"1.2.826.0.1.3680043.10.55.{number}"
        ds.ImagePositionPatient = [f"{generator.random() * 100:.6f}" for _ in range(3)]
        result, findings = run(ds, level, syntax)
        assert findings == []
        assert decode(result.header, syntax).Modality == "CT"


@pytest.mark.parametrize(
    ("first", "second"),
    [("high", "high"), ("medium", "high"), ("medium", "medium"), ("low", "low"), ("low", "medium")],
)
def test_what_was_de_identified_is_de_identified_again(first: str, second: str) -> None:
    """For another application, by other keys: the method says the same, and that is all that may."""
    ds = minimal()
    before = deidentifier(first, "images").deidentify(encode(ds), EXPLICIT_LITTLE, pixels(ds)).header
    after = deidentifier(second, "acme").deidentify(before, EXPLICIT_LITTLE, pixels(ds)).header
    assert verify(before, EXPLICIT_LITTLE.uid, after, level=second) == []
    # Somebody else's words in its place are found.
    method = decode(before)
    method.DeidentificationMethod = "by hand, for Quillfeather"
    words = encode(method)
    kept = decode(after)
    kept.DeidentificationMethod = method.DeidentificationMethod
    assert (
        "unchanged-element"
        in {one.code for one in verify(words, EXPLICIT_LITTLE.uid, encode(kept), level=second)}
        or second == "low"
    )
