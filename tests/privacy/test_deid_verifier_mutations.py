"""One leak or breach of each kind is put into a clean output, and the verifier has to find each.

The verifier knows nothing of the engine, and these mutations nothing of the verifier: they are what could go wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset

from deid_kit import decode, deidentifier, encode, minimal, new_uid, pixels, sequence
from deid_parts import code, reference
from wardlight.deid.verify import verify
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, IMPLICIT_LITTLE, TransferSyntax

Mutation = Callable[[Dataset, Dataset], None]
ALL = ("high", "medium", "low")
STRICT = ("high", "medium")
FAMILY, NUMBER, BIRTH = "Quxleyvan", "90210447", "19510203"


def original() -> Dataset:
    ds = minimal()
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = f"{FAMILY}^Wilhelmina", NUMBER, BIRTH
    ds.ReferringPhysicianName, ds.InstitutionName = "Vogelsang^Hubert", "Spital Quellental"
    ds.AccessionNumber, ds.SeriesDate = "ACC-77120", "20240318"
    ds.StudyDescription, ds.BodyPartExamined = "chest axial", "CHEST"
    ds.KVP, ds.SliceLocation = "120", "12.5"
    ds.ReferencedImageSequence = sequence(
        reference(ds.SOPClassUID, new_uid()), reference(ds.SOPClassUID, new_uid())
    )
    ds.ProcedureCodeSequence = sequence(code("113724", "DCM", "chest"))
    ds.ContributingEquipmentSequence = sequence(Dataset())
    ds.ContributingEquipmentSequence[0].Manufacturer = "ACME"
    return ds


def put(keyword: str, value: object) -> Mutation:
    """An element of the top level."""

    def mutate(after: Dataset, _before: Dataset) -> None:
        setattr(after, keyword, value)

    return mutate


def inside(keyword: str, value: object) -> Mutation:
    """An element of an item."""

    def mutate(after: Dataset, _before: Dataset) -> None:
        setattr(after.ContributingEquipmentSequence[0], keyword, value)

    return mutate


def raw(tag: int, vr: str, value: object) -> Mutation:
    """An element with a VR of its own."""

    def mutate(after: Dataset, _before: Dataset) -> None:
        after.add_new(tag, vr, value)

    return mutate


def without(keyword: str) -> Mutation:
    def mutate(after: Dataset, _before: Dataset) -> None:
        del after[keyword]

    return mutate


def back(keyword: str) -> Mutation:
    """The input's own value, come back."""

    def mutate(after: Dataset, before: Dataset) -> None:
        after[keyword] = copy.deepcopy(before[keyword])

    return mutate


def one_for_two(after: Dataset, _before: Dataset) -> None:
    """Two things have become one."""
    items = after.ReferencedImageSequence
    items[1].ReferencedSOPInstanceUID = items[0].ReferencedSOPInstanceUID


def two_for_one(after: Dataset, before: Dataset) -> None:
    """One thing has become two."""
    before.DimensionOrganizationUID = before.SOPInstanceUID
    after.DimensionOrganizationUID = "2.25.4711"


def apart(after: Dataset, _before: Dataset) -> None:
    """Dates that are moved by two offsets."""
    after.SeriesDate = str(int(after.SeriesDate[:4]) - 1) + "0101"


def private(
    value: object, vr: str, creator: str = "ANYBODY", group: int = 0x0011, number: int = 1
) -> Mutation:
    def mutate(after: Dataset, _before: Dataset) -> None:
        after.private_block(group, creator, create=True).add_new(number, vr, value)

    return mutate


#: What was done: name → (mutation, levels at which it must be found).
MUTATIONS: dict[str, tuple[Mutation, tuple[str, ...]]] = {
    "name in a text": (put("SeriesDescription", f"chest {FAMILY}"), ALL),
    "name in another case": (put("SeriesDescription", f"chest {FAMILY.upper()}"), ALL),
    "name within a word": (put("ImageComments", f"the{FAMILY.lower()}case"), ALL),
    "name with marks": (put("ImageComments", "chest Qüxleyván"), ALL),
    "name in wide letters": (put("ImageComments", "Ｑｕｘｌｅｙｖａｎ"), ALL),
    "given name": (put("ImageComments", "Wilhelmina"), ALL),
    "name in a maker": (put("Manufacturer", f"for {FAMILY}"), ALL),
    "name in a code's meaning": (inside("CodeMeaning", FAMILY), ALL),
    "name in an item": (inside("ContributionDescription", FAMILY), ALL),
    "name in a number": (raw(0x00180050, "ST", FAMILY), ALL),
    "name in bytes": (raw(0x00281201, "OW", b"\1\2" + FAMILY.encode() + b"\3"), ALL),
    "name in bytes as UTF-16": (raw(0x00281201, "OW", FAMILY.encode("utf-16-le")), ALL),
    "name in the other byte order": (raw(0x00281201, "OW", FAMILY.encode("utf-16-be")), ALL),
    "name under UN": (raw(0x00189034, "UN", FAMILY.encode() + b" "), ALL),
    "another name kept": (back("PatientName"), ALL),
    "referrer in a text": (put("ImageComments", "asked by vogelsang"), ALL),
    "institution": (put("ImageComments", "at Spital Quellental"), ALL),
    "accession number": (put("ImageComments", "ACC-77120"), ALL),
    "patient's number in a text": (put("StudyDescription", f"chest {NUMBER}"), ALL),
    "patient's number in a decimal": (put("SliceLocation", NUMBER), ALL),
    "patient's number with a fraction": (put("TableHeight", f"{NUMBER}.0"), ALL),
    "patient's number in an integer": (raw(0x00189004, "IS", NUMBER), ALL),
    "birth date": (put("ImageComments", "born 3.2.1951"), ALL),
    "birth date in words": (put("ImageComments", "3 February 1951"), ALL),
    "birth date kept": (back("PatientBirthDate"), ALL),
    "date of the study in a text": (put("ImageComments", "on 20240317"), STRICT),
    "UID kept": (back("StudyInstanceUID"), ALL),
    "UID kept in an item": (
        lambda after, before: setattr(
            after.ReferencedImageSequence[0], "ReferencedSOPInstanceUID",
            before.ReferencedImageSequence[0].ReferencedSOPInstanceUID,
        ),
        ALL,
    ),
    "UID in a text": (lambda after, before: setattr(after, "ImageComments", f"see {before.SeriesInstanceUID}"), ALL),
    "UID of somebody": (put("FrameOfReferenceUID", "1.2.826.0.1.3680043.10.9.9"), ALL),
    "UID of no kind": (put("SOPClassUID", "1.2.826.0.1.3680043.10.9.8"), ALL),
    "two UIDs become one": (one_for_two, ALL),
    "one UID becomes two": (two_for_one, ALL),
    "date kept": (back("StudyDate"), STRICT),
    "dates moved apart": (apart, ALL),
    "no date": (put("StudyDate", "2024MAYX"), ALL),
    "no time": (put("StudyTime", "QUXLEY"), ALL),
    "no age": (put("PatientAge", "QUX"), ALL),
    "an age over 89": (put("PatientAge", "093Y"), ALL),
    "forbidden element": (put("PatientAddress", "anywhere"), ALL),
    "forbidden element in an item": (inside("PatientAddress", "anywhere"), ALL),
    "forbidden sequence": (put("OtherPatientIDsSequence", sequence(code("1", "DCM", "x"))), ALL),
    "original attributes": (put("OriginalAttributesSequence", sequence(code("1", "DCM", "x"))), ALL),
    "private element": (private("1", "DS"), ALL),
    "private element of a known maker": (private("1", "DS", "SIEMENS CSA HEADER", 0x0029, 0x77), ALL),
    "safe private element at high": (private(1.5, "FL", "Philips Imaging DD 001", 0x2001, 3), ("high",)),
    "words in a safe private element": (private("of Somebody", "LO", "GEMS_ACQU_01", 0x0019, 0x9E), STRICT),
    "text in safe private bytes": (
        private(b"Meyer\0", "OB", "SIEMENS Ultrasound SC2000", 0x0119, 1),
        ALL,
    ),
    "element of no standard": (raw(0x00189999, "DS", "1"), ALL),
    "overlay": (raw(0x60003000, "OW", b"\1\2"), ALL),
    "curve": (raw(0x50003000, "OW", b"\1\2"), ALL),
    "file meta information": (raw(0x00020016, "AE", "STATION"), ALL),
    "element of a directory": (raw(0x00041130, "CS", "FILESET"), ALL),
    "words of nobody's vocabulary": (put("SeriesDescription", "chest Poppinsheim"), STRICT),
    "several numbers": (put("SeriesDescription", "chest 14 35"), STRICT),
    "no term of a coded string": (put("BodyPartExamined", "POPPINSHEIM"), STRICT),
    "code of a scheme of its own": (
        put("ProcedureCodeSequence", sequence(code("A-4711", "99OWN", "chest"))),
        STRICT,
    ),
    "code that is none of its scheme": (
        put("ProcedureCodeSequence", sequence(code("MRN4711", "DCM", "chest"))),
        STRICT,
    ),
    "VR of another number": (raw(0x00280010, "UL", 0x4D455945), ALL),
    "VR of a text for a number": (raw(0x00280010, "LO", "CASE"), ALL),
    "text in numbers": (raw(0x00281050, "ST", "A CASE"), ALL),
    "no PatientIdentityRemoved": (without("PatientIdentityRemoved"), ALL),
    "PatientIdentityRemoved NO": (put("PatientIdentityRemoved", "NO"), ALL),
    "no method": (without("DeidentificationMethod"), ALL),
    "no method codes": (without("DeidentificationMethodCodeSequence"), ALL),
    "no word on dates": (without("LongitudinalTemporalInformationModified"), ALL),
    "required element lost": (without("Modality"), ALL),
    "required value lost": (put("SOPInstanceUID", ""), ALL),
    "type 2 element lost": (without("ReferringPhysicianName"), ALL),
}  # fmt: skip


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE], ids=lambda one: one.name)
@pytest.mark.parametrize("level", ALL)
def test_each_is_found(level: str, syntax: TransferSyntax) -> None:
    before = original()
    result = deidentifier(level).deidentify(encode(before, syntax), syntax, pixels(before, syntax))
    assert verify(encode(before, syntax), syntax.uid, result.header, level=level) == []
    missed = []
    for name, (mutate, levels) in MUTATIONS.items():
        # Implicit syntaxes have no VRs that could be wrong.
        if level not in levels or (syntax.implicit and name.startswith("VR ")):
            continue
        source, output = copy.deepcopy(before), decode(result.header, syntax)
        mutate(output, source)
        if not verify(encode(source, syntax), syntax.uid, encode(output, syntax), level=level):
            missed.append(name)
    assert missed == []
