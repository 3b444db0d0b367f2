"""Sequences rewritten before: the same output, and the same is noted of them as if it were for the first time."""

from __future__ import annotations

from pydicom.dataset import Dataset

from deid_kit import SYNTAXES, decode, encode, minimal, new_uid, sequence
from wardlight.deid.engine import Deidentified, Deidentifier
from wardlight.deid.keys import DeidKeys
from wardlight.deid.profile import load_profile
from wardlight.deid.remembered import Sequences
from wardlight.deid.verify import verify
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

KEYS = DeidKeys.derive(b"1" * 32, "app", "high")


def fresh() -> Deidentifier:
    return Deidentifier(load_profile("high"), KEYS)


def of(engine: Deidentifier, ds: Dataset) -> Deidentified:
    return engine.deidentify(encode(ds), EXPLICIT_LITTLE, None)


def with_sequence(**others: str) -> Dataset:
    """A study whose objects all refer to the same image, with a code and words."""
    ds, item, code = minimal(), Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = (
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.3.4.5.6.7.8.9.1",
    )
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "121311", "DCM", "Localizer"
    item.PurposeOfReferenceCodeSequence = sequence(code)
    ds.ReferencedImageSequence = sequence(item)
    for keyword, value in others.items():
        setattr(ds, keyword, value)
    return ds


def test_what_is_remembered_comes_out_as_for_the_first_time() -> None:
    engine, objects = fresh(), [with_sequence(InstanceNumber=str(n)) for n in range(4)]
    for ds in objects:
        assert of(engine, ds) == of(fresh(), ds)
    assert (
        len(
            {
                bytes(decode(of(engine, ds).header).ReferencedImageSequence[0].to_json(), "utf-8")
                for ds in objects
            }
        )
        == 1
    )


def test_a_name_in_what_is_remembered_goes_where_it_is_the_patients() -> None:
    """The words of a sequence are the vocabulary's, and become a name's with the second patient."""
    item = Dataset()
    item.SeriesDescription = "CHEST"
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", new_uid()
    engine, outputs = fresh(), []
    for name in ("Somebody^Else", "CHEST^Anna", "Somebody^Else"):
        ds = with_sequence(PatientName=name, PatientID=name)
        ds.ReferencedSeriesSequence = sequence(item)
        out = of(engine, ds)
        assert out.header == of(fresh(), ds).header
        assert verify(encode(ds), EXPLICIT_LITTLE.uid, out.header, level="high") == []
        outputs.append(b"CHEST" in out.header)
    assert outputs == [True, False, True]


def test_every_syntax_has_its_own() -> None:
    engine, ds = fresh(), with_sequence()
    for syntax in (*SYNTAXES, *SYNTAXES):
        header = encode(ds, syntax)
        assert (
            engine.deidentify(header, syntax, None).header == fresh().deidentify(header, syntax, None).header
        )


def test_pseudonyms_are_not_remembered() -> None:
    """Whose ID it is depends on the issuer that the object names."""
    engine, item = fresh(), Dataset()
    item.PatientID = "PID-77120-X"
    outputs = []
    for issuer in ("HOSPITAL A", "HOSPITAL B", "HOSPITAL A"):
        ds = with_sequence(IssuerOfPatientID=issuer)
        ds.ReferencedImageSequence = sequence(item)
        out = of(engine, ds)
        assert decode(out.header).ReferencedImageSequence[0].PatientID == out.patient_pseudonym
        outputs.append(out.patient_pseudonym)
    assert outputs[0] == outputs[2] != outputs[1]


def test_memory_is_bounded() -> None:
    memory, engine = Sequences(), fresh()
    tables = engine._tables.decided("", "").nested
    assert isinstance(tables.memory, Sequences)
    for n in range(2100):
        ds = Dataset()
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = "1.2.1", "1.2.2", "1.2.3"
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        item = Dataset()
        item.ReferencedSOPInstanceUID = f"1.2.3.{n}"
        ds.ReferencedImageSequence = sequence(item)
        of(engine, ds)
    assert 0 < len(tables.memory._known) <= 1024 and not memory._known
