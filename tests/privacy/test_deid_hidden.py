"""Identifying values where nobody looks for them: in numbers, dates, bytes, codes, UIDs, and in other spellings.

Each case is tried twice: no output of the engine holds the value, and the verifier finds it in an output that does.
"""

from __future__ import annotations

import random
import re
import struct

import pytest
from pydicom.dataset import Dataset

from deid_kit import decode, deidentifier, encode, minimal, pixels, sequence
from wardlight.deid.engine import Refused
from wardlight.deid.verify import verify
from wardlight.dicom.codec import EXPLICIT_LE
from wardlight.dicom.rewrite import Items, encode_element, encode_items
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

UID = EXPLICIT_LITTLE.uid
ALL = ("high", "medium", "low")


def subject(**values: str) -> Dataset:
    ds = minimal()
    ds.PatientName = "SMITH^JOHN"
    ds.PatientID = "MRN4711234"
    ds.PatientBirthDate = "19630507"
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def element(tag: int, vr: str, value: bytes) -> bytes:
    return encode_element(EXPLICIT_LE, tag, vr.encode(), value)


def with_element(header: bytes, tag: int, added: bytes) -> bytes:
    """The header with an element in its place, in which another of the tag stood perhaps."""
    parts, p, done = [], 0, False
    while p < len(header):
        group, number, vr, length = struct.unpack_from("<HH2sH", header, p)
        start, here = p, group << 16 | number
        if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR"):
            length = struct.unpack_from("<I", header, p + 8)[0] + 4
        p += 8 + length
        if here >= tag and not done:
            parts.append(added)
            done = True
        if here != tag:
            parts.append(header[start:p])
    return b"".join((*parts, b"" if done else added))


def tried(ds: Dataset, level: str, tag: int, added: bytes, *needles: bytes) -> tuple[bytes, list[str]]:
    """The engine's output for the object with the element, which must be clean; and what the verifier says where the
    element comes through as it was."""
    header = with_element(encode(ds), tag, added)
    result = deidentifier(level).deidentify(header, EXPLICIT_LITTLE, pixels(ds))
    # In the digits of new UIDs four stand by chance once in forty runs.
    besides = re.sub(rb"2\.25\.[0-9]+", b"", result.header)
    for needle in needles:
        assert needle not in besides, (level, needle)
    assert verify(header, UID, result.header, level=level) == []
    spoilt = with_element(result.header, tag, added)
    return result.header, [finding.code for finding in verify(header, UID, spoilt, level=level)]


@pytest.mark.parametrize("level", ALL)
@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00080021, "DA", b"SMITH"),
        (0x00080021, "DA", b"20240102SMITH^JOHN"),
        (0x00080021, "DA", b"20240102\\SMITH^JOHN"),
        (0x00080031, "TM", b"SMITH^JOHN"),
        (0x00080031, "TM", b"MRN4711234"),
        (0x00080031, "TM", b"1011:SMITH"),
        (0x0008002A, "DT", b"20240102SMITH^JOHN"),
        (0x0008002A, "DT", b"20240102+SMIT"),
        (0x00101010, "AS", b"SMITH"),
    ],
)
def test_dates_times_and_ages_are_only_that(level: str, tag: int, vr: str, value: bytes) -> None:
    _, found = tried(subject(), level, tag, element(tag, vr, value), value.strip())
    assert "bad-value" in found or "bad-date" in found or "unchanged-element" in found


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SeriesDate", "20240102"),
        ("SeriesTime", "101112.123456"),
        ("SeriesTime", "10"),
        ("AcquisitionDateTime", "20240102101112.5+0100"),
        ("AcquisitionDateTime", "202401"),
        ("AcquisitionDateTime", "2024-0500"),
        ("TimezoneOffsetFromUTC", "+0100"),
    ],
)
def test_what_is_a_date_or_time_stays_at_low(keyword: str, value: str) -> None:
    ds = subject(**{keyword: value})
    result = deidentifier("low").deidentify(encode(ds), EXPLICIT_LITTLE, pixels(ds))
    assert decode(result.header)[keyword].value == value
    assert verify(encode(ds), UID, result.header, level="low") == []


@pytest.mark.parametrize("level", ALL)
@pytest.mark.parametrize(
    ("patient", "vr", "value"),
    [
        ("4711234", "DS", b"4711234"),
        ("4711234", "DS", b"4711234.0"),
        ("4711234", "DS", b"4711234e0"),
        ("4711234", "DS", b"47112.34E2"),
        ("4711234", "DS", b"04711234"),
        ("4711234", "DS", b"+4711234."),
        ("4711234", "DS", b"1.0\\4711234"),
        ("MRN4711234", "IS", b"-4711234"),
        ("47112", "IS", b"47112"),
        ("0012345", "IS", b"12345"),
        ("4711", "IS", b"4711"),
        ("X-77", "IS", b"19630507"),
        ("X-77", "DS", b"7051963"),
        ("X-77", "DS", b"1963-05-07"),
    ],
)
def test_numbers_hold_no_identifier(level: str, patient: str, vr: str, value: bytes) -> None:
    tag = 0x00180093 if vr == "DS" else 0x00200012
    _, found = tried(subject(PatientID=patient), level, tag, element(tag, vr, value), value)
    assert "identifier" in found or "bad-value" in found


@pytest.mark.parametrize("level", ALL)
def test_numbers_an_image_depends_on_stay(level: str) -> None:
    ds = subject(PatientID="1024", InstanceNumber="1024", SliceLocation="1024.0", WindowWidth="1024")
    ds.SeriesNumber, ds.ImagePositionPatient = "1024", ["1024", "-1024.5", "1024.0"]
    result = deidentifier(level).deidentify(encode(ds), EXPLICIT_LITTLE, pixels(ds))
    out = decode(result.header)
    assert (out.InstanceNumber, out.SeriesNumber, out.WindowWidth) == (1024, 1024, 1024)
    assert out.ImagePositionPatient == ds.ImagePositionPatient
    assert verify(encode(ds), UID, result.header, level=level) == []


@pytest.mark.parametrize("level", ALL)
@pytest.mark.parametrize(
    ("name", "tag", "vr", "value"),
    [
        ("LEE^ANNA", 0x00280106, "FD", b"LEE^ANNA"),
        ("LEE^ANNA", 0x00281201, "OW", b"LEE^ANNA"),
        ("LEE^ANNA", 0x00281201, "OW", b"lee\0"),
        (
            "LEE^ANNA",
            0x00281201,
            "OW",
            bytes(range(128, 200)) + b"\0by Anna Lee, \0" + bytes(range(200, 250)),
        ),
        ("LEE^ANNA", 0x00281201, "OW", "by Lee, Anna".encode("utf-16-le")),
        ("LEE^ANNA", 0x00189073, "UN", b"LEE^ANNA"),
        ("LEE^ANNA", 0x00189073, "FD", b"LEE^ANNA"),
        ("SMITH^JOHN", 0x00281201, "OW", "SMITH^JOHN".encode("utf-16-le")),
        ("SMITH^JOHN", 0x00281201, "OW", "xSmith".encode("utf-16-be")),
        ("SMITH^JOHN", 0x00281201, "OW", b"4711234\0"),
        ("SMITH^JOHN", 0x00281201, "OW", b"\x01\x90\x02\xf04711234\x80\x03\x01"),
        ("SMITH^JOHN", 0x00281201, "OW", b"born 07.05.1963 "),
        ("Иванов^Иван", 0x00281201, "OW", "Иванов".encode("utf-16-le")),
        ("Иванов^Иван", 0x00281201, "OW", "ИВАНОВ".encode()),
    ],
)
def test_binary_values_spell_nobody(level: str, name: str, tag: int, vr: str, value: bytes) -> None:
    _, found = tried(subject(PatientName=name), level, tag, element(tag, vr, value), value)
    assert "identifier" in found or "wrong-vr" in found


@pytest.mark.parametrize("level", ["high", "medium"])
def test_numbers_that_are_text_from_end_to_end_go_and_numbers_stay(level: str) -> None:
    out, _ = tried(subject(), level, 0x00189307, element(0x00189307, "FD", struct.pack("<d", 38.4)))
    assert struct.pack("<d", 38.4) in out
    _, found = tried(subject(), level, 0x00189307, element(0x00189307, "FD", b"Mary Poppins Jr "), b"Poppins")
    assert "words" in found


@pytest.mark.parametrize("name", ["LEE", "LI", "王=王", "O", "LEE^LI", "Ng^O"])
def test_tables_of_noise_are_no_alarm(name: str) -> None:
    generator = random.Random(11)
    ds = subject(PatientName=name)
    for number in range(100):
        table = generator.randbytes(512 if number % 2 else 8192)
        if number % 5 == 0:
            table = b"".join(bytes((byte, 0)) for byte in table[:512])
        ds.add_new(0x00281201, "OW", table)
        header = encode(ds)
        result = deidentifier("high").deidentify(header, EXPLICIT_LITTLE, pixels(ds))
        assert table in result.header
        assert verify(header, UID, result.header, level="high") == []


@pytest.mark.parametrize(
    ("name", "charset", "inner", "text"),
    [
        ("Müller^Hans", "ISO_IR 100", "ISO_IR 192", "für Müller"),
        ("Иванов^Иван", "ISO_IR 144", "ISO_IR 192", "для Иванов"),
        ("Müller^Hans", "ISO_IR 192", "ISO_IR 100", "für Müller"),
        ("王^小东", "ISO_IR 192", "GB18030", "王 小东"),
    ],
)
def test_a_character_set_declared_inside_an_item(name: str, charset: str, inner: str, text: str) -> None:
    python = {"ISO_IR 192": "utf-8", "ISO_IR 100": "latin-1", "GB18030": "gb18030"}[inner]
    item = Items(((0x00080005, b"CS", inner.encode()), (0x00400007, b"LO", text.encode(python))))
    added = element(0x00400275, "SQ", encode_items(EXPLICIT_LE, [item]))
    ds = subject(PatientName=name)
    ds.SpecificCharacterSet = charset
    family = name.partition("^")[0].encode(python)
    _, found = tried(ds, "low", 0x00400275, added, family)
    assert "identifier" in found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SMITH^JOHN", "an ＳＭＩＴＨ"),
        ("Müller^Hans", "an Mu\u0308ller"),
        ("Mu\u0308ller^Hans", "an Müller"),
        ("Müller^Hans", "an MUELLER"),
        ("Müller^Hans", "an muller"),
        ("SMITH^JOHN", "an S\u00admith"),
        ("SMITH^JOHN", "an Smíth"),
        ("Иванов^Иван", "an ИВАНОВ"),
        ("Weiß^Hans", "an WEISS"),
        ("김희중^", "김희중 씨"),
    ],
)
def test_other_spellings_of_a_name(name: str, text: str) -> None:
    ds = subject(PatientName=name)
    added = element(0x0008103E, "LO", text.encode())
    out, found = tried(ds, "low", 0x0008103E, added, text.encode())
    assert "identifier" in found
    assert decode(out).get("SeriesDescription", "").strip() in ("an", "씨", "")


@pytest.mark.parametrize(
    ("patient", "text", "kept"),
    [
        ("MRN4711234", "Pt 4711234 head", "Pt head"),
        ("MRN4711234", "Pt004711234", "Pt00"),
        ("0012345", "pt 12345", "pt"),
        ("A-1", "DOB 5/7/1963", "DOB"),
        ("A-1", "DOB 7.5.1963", "DOB"),
        ("A-1", "DOB 7-5-63", "DOB"),
        ("A-1", "DOB 07 May 1963", "DOB"),
        ("A-1", "DOB 7. Mai 1963 x", "DOB x"),
        ("A-1", "DOB May 7th, 1963", "DOB"),
        ("A-1", "DOB 07-MAI-63", "DOB"),
        ("A-1", "DOB 07051963", "DOB"),
        ("A-1", "born 070563", "born"),
        ("A-1", "born 19630507101112", "born"),
        ("A-1", "born 1963/5/7", "born"),
    ],
)
def test_numbers_and_birth_dates_in_text(patient: str, text: str, kept: str) -> None:
    added = element(0x0008103E, "LO", text.encode())
    out, found = tried(subject(PatientID=patient), "low", 0x0008103E, added, text.encode())
    assert "identifier" in found
    assert decode(out).SeriesDescription in (kept, kept.rstrip("0"), "born 101112")


@pytest.mark.parametrize("text", ["T1 5.7.2 mm", "3/5 slices", "20240102", "08 May 1963", "1.5T 63 1963"])
def test_other_numbers_and_dates_stay_at_low(text: str) -> None:
    ds = subject(SeriesDescription=text)
    result = deidentifier("low").deidentify(encode(ds), EXPLICIT_LITTLE, pixels(ds))
    assert decode(result.header).SeriesDescription == text
    assert verify(encode(ds), UID, result.header, level="low") == []


def code_item(value: bytes, scheme: bytes | None) -> Items:
    rows = [(0x00080100, b"SH", value), (0x00080104, b"LO", b"chest")]
    if scheme is not None:
        rows.insert(1, (0x00080102, b"SH", scheme))
    return Items(tuple(rows))


@pytest.mark.parametrize("level", ["high", "medium"])
@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        (b"8812345", b"99LOC"),
        (b"12345", b"99LOC"),
        (b"12345", None),
        (b"C1963050", b"99LOC"),
        (b"A-963057", b"SRT"),
        (b"123456-7", b"L"),
        (b"51185008", b"99LOC"),
        (b"19640508", b"SCT"),
    ],
)
def test_codes_of_nobody_else(level: str, value: bytes, scheme: bytes | None) -> None:
    added = element(0x00082218, "SQ", encode_items(EXPLICIT_LE, [code_item(value, scheme)]))
    _, found = tried(subject(), level, 0x00082218, added, value)
    assert "code" in found


@pytest.mark.parametrize("level", ["high", "medium"])
def test_codes_of_published_schemes_stay(level: str) -> None:
    for value, scheme in ((b"51185008", b"SCT"), (b"T-D3000", b"SRT"), (b"24627-2", b"LN"), (b"mm", b"UCUM")):
        added = element(0x00082218, "SQ", encode_items(EXPLICIT_LE, [code_item(value, scheme)]))
        out, _ = tried(subject(), level, 0x00082218, added)
        assert value in out and scheme in out


@pytest.mark.parametrize("level", ["high", "medium"])
def test_a_scheme_that_only_seems_to_follow_its_code(level: str) -> None:
    """What stands between code and scheme may look like the scheme's element; the scheme itself decides."""
    false = b"\x08\x00\x02\x01SH\x04\x00FMA "
    item = Items(
        (
            (0x00080100, b"SH", b"8812345"),
            (0x00080101, b"SH", false),
            (0x00080102, b"SH", b"99LOC"),
        )
    )
    added = element(0x00082218, "SQ", encode_items(EXPLICIT_LE, [item]))
    header = with_element(encode(subject()), 0x00082218, added)
    result = deidentifier(level).deidentify(header, EXPLICIT_LITTLE, None)
    assert b"8812345" not in result.header
    assert verify(header, UID, result.header, level=level) == []


@pytest.mark.parametrize("level", ALL)
@pytest.mark.parametrize(
    "uid", [b"1.2.4711234.19630507", b"1.2.840.10008.4711234", b"SMITH^JOHN", b"1.3.12.2.1107.4711"]
)
def test_uids_of_kinds_are_known_ones(level: str, uid: bytes) -> None:
    for tag in (0x0008010C, 0x0008001A, 0x00081150):
        _, found = tried(subject(), level, tag, element(tag, "UI", uid), uid)
        assert "uid-not-replaced" in found


@pytest.mark.parametrize("uid", ["2.16.840.1.113883.6.96", "1.2.840.10008.2.16.4", "1.3.12.2.1107.5.9.1"])
def test_known_uids_of_kinds_stay(uid: str) -> None:
    out, _ = tried(subject(), "high", 0x0008010C, element(0x0008010C, "UI", uid.encode()))
    assert uid.encode() in out


@pytest.mark.parametrize("level", ALL)
def test_an_unknown_sop_class_is_replaced_wherever_it_stands(level: str) -> None:
    ds = subject(SOPClassUID="1.2.3.4711234.1")
    result = deidentifier(level).deidentify(encode(ds), EXPLICIT_LITTLE, pixels(ds))
    assert result.sop_class.startswith("2.25.") and decode(result.header).SOPClassUID == result.sop_class
    assert verify(encode(ds), UID, result.header, level=level) == []


@pytest.mark.parametrize(
    ("creator", "group", "number", "vr", "value"),
    [
        ("NQHeader", 0x0099, 0x05, "LT", b"call daughter Mary Poppins 555-1234567"),
        ("GEMS_PARM_01", 0x0043, 0x27, "SH", b"Mary Poppins"),
        ("Philips Imaging DD 001", 0x2001, 0x04, "CS", b"POPPINS"),
        ("SIEMENS Ultrasound SC2000", 0x0119, 0x01, "OB", b"by Mary Poppins 19630507"),
        ("SIEMENS Ultrasound SC2000", 0x0119, 0x01, "OB", "Mary".encode("utf-16-be")),
        ("SIEMENS Ultrasound SC2000", 0x0119, 0x01, "UN", b"\0\1\2Mary\0\0"),
    ],
)
def test_safe_private_elements_are_cleaned_as_well(
    creator: str, group: int, number: int, vr: str, value: bytes
) -> None:
    block = element(group << 16 | 0x10, "LO", creator.encode())
    tag = group << 16 | 0x1000 | number
    for level in ("medium", "low") if vr in ("OB", "UN") else ("medium",):
        header = with_element(encode(subject()), tag, block + element(tag, vr, value))
        result = deidentifier(level).deidentify(header, EXPLICIT_LITTLE, None)
        assert value not in result.header and b"oppins" not in result.header.lower()
        assert verify(header, UID, result.header, level=level) == []
        spoilt = with_element(result.header, tag, block + element(tag, vr, value))
        assert "words" in [f.code for f in verify(header, UID, spoilt, level=level)]


def test_numbers_of_safe_private_elements_stay_at_medium() -> None:
    ds = subject()
    block = ds.private_block(0x2001, "Philips Imaging DD 001", create=True)
    block.add_new(0x03, "FL", 1.5)
    block.add_new(0x04, "CS", "AXIAL")
    result = deidentifier("medium").deidentify(encode(ds), EXPLICIT_LITTLE, pixels(ds))
    assert (
        decode(result.header)[0x20011003].value == 1.5 and decode(result.header)[0x20011004].value == "AXIAL"
    )


@pytest.mark.parametrize("level", ["high", "medium"])
@pytest.mark.parametrize(
    "text", [b"chest 14 35", b"chest 12 05 63", b"chest Poppins", b"chest 4711", b"chest \xe4rzte"]
)
def test_the_verifier_knows_the_vocabulary(level: str, text: bytes) -> None:
    _, found = tried(subject(), level, 0x0008103E, element(0x0008103E, "LO", text), text)
    assert "words" in found


@pytest.mark.parametrize("level", ALL)
@pytest.mark.parametrize("tag", [0x00020003, 0x00041500, 0x00060001, 0x00000010])
def test_groups_of_files_and_messages_go(level: str, tag: int) -> None:
    added = element(tag, "SH", b"Poppins")
    out, found = tried(subject(), level, tag, added, b"Poppins")
    assert all(element.tag >> 16 >= 8 for element in decode(out))
    assert "unknown-element" in found


def test_thousands_of_references_and_dates() -> None:
    rows = [
        Items(
            (
                (
                    0x00080022,
                    b"DA",
                    b"%04d%02d%02d" % (1900 + i % 120, 1 + i // 120 % 12, 1 + i // 1440 % 28),
                ),
                (0x00080104, b"LO", b"chest head"),
                (0x00081155, b"UI", b"1.2.826.0.1.3680043.8.498.%d" % (10**30 + i)),
            )
        )
        for i in range(8000)
    ]
    added = element(0x00081140, "SQ", encode_items(EXPLICIT_LE, rows))
    header = with_element(encode(subject()), 0x00081140, added)
    result = deidentifier("high").deidentify(header, EXPLICIT_LITTLE, None)
    assert b"1.3680043.8.498" not in result.header
    assert verify(header, UID, result.header, level="high") == []


def test_many_names_and_a_long_text() -> None:
    ds = subject()
    people = []
    for number in range(3000):
        item = Dataset()
        item.PersonName = f"Quxley{number:05d}^Wim{number:05d}"
        people.append(item)
    ds.ReferencedImageSequence = sequence(*people)
    ds.ImageComments = "head " * 20_000 + "quxley02999"
    result = deidentifier("low").deidentify(encode(ds), EXPLICIT_LITTLE, pixels(ds))
    assert b"quxley02999" not in result.header
    assert verify(encode(ds), UID, result.header, level="low") == []


def test_more_character_sets_than_anybody_uses_are_refused() -> None:
    items = [Items(((0x00080005, b"CS", b"ISO_IR %d" % number),)) for number in range(100, 140)]
    added = element(0x00081140, "SQ", encode_items(EXPLICIT_LE, items))
    with pytest.raises(Refused, match="character-sets"):
        deidentifier("low").deidentify(
            with_element(encode(subject()), 0x00081140, added), EXPLICIT_LITTLE, None
        )
