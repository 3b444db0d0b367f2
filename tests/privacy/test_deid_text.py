"""Groups of names, UIDs in text, sequences of every kind: nothing hidden in them leaves, and the verifier sees it."""

from __future__ import annotations

import secrets

import pytest
from pydicom.charset import encode_string, python_encoding
from pydicom.dataset import Dataset

from deid_kit import decode, deidentifier, encode, minimal, new_uid, pixels
from wardlight.deid.verify import verify
from wardlight.dicom.codec import EXPLICIT_LE, IMPLICIT_LE
from wardlight.dicom.elements import scan
from wardlight.dicom.rewrite import Items, encode_element, encode_items
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

ALL = ("high", "medium", "low")


def element(tag: int, vr: str, value: bytes) -> bytes:
    return encode_element(EXPLICIT_LE, tag, vr.encode(), value)


def with_element(header: bytes, tag: int, added: bytes) -> bytes:
    """The header with an encoded element in its place, in which another of the tag stood perhaps."""
    before = after = b""
    for one in scan(header, EXPLICIT_LITTLE, wanted=None).elements.values():
        if one.tag < tag:
            before += header[one.start : one.end]
        elif one.tag > tag and not (tag & 0x10000 and one.tag == tag & 0xFFFF0000 | 0x10):
            after += header[one.start : one.end]
    return before + added + after


def tried(ds: Dataset, level: str, tag: int, added: bytes, *needles: bytes) -> tuple[bytes, list[str]]:
    """The output for the object with the element, which is clean; what the verifier says where it comes through."""
    header = with_element(encode(ds), tag, added)
    result = deidentifier(level).deidentify(header, EXPLICIT_LITTLE, pixels(ds))
    assert not any(needle in result.header for needle in needles), (level, needles)
    assert verify(header, EXPLICIT_LITTLE.uid, result.header, level=level) == []
    spoilt = with_element(result.header, tag, added)
    return result.header, [one.code for one in verify(header, EXPLICIT_LITTLE.uid, spoilt, level=level)]


def encodings(charset: str) -> list[str]:
    return [python_encoding[one or "ISO_IR 6"] for one in charset.split("\\")]


@pytest.mark.parametrize("group", [0, 1, 2])
@pytest.mark.parametrize("level", ALL)
@pytest.mark.parametrize(
    ("charset", "groups"),
    [
        ("ISO_IR 192", ("Yamada^Tarou", "山田^太郎", "やまだ^たろう")),
        ("\\ISO 2022 IR 87", ("Yamada^Tarou", "山田^太郎", "やまだ^たろう")),
        ("\\ISO 2022 IR 149", ("Hong^Gildong", "洪^吉洞", "홍^길동")),
        ("GB18030", ("Wang^XiaoDong", "王^小东", "")),
    ],
)
def test_each_group_of_a_name_is_sought_in_all_text(
    charset: str, groups: tuple[str, str, str], level: str, group: int
) -> None:
    if not groups[group]:
        return
    ds = minimal()
    ds.SpecificCharacterSet = charset.split("\\")
    ds.PatientName = "=".join(groups)
    family = groups[group].partition("^")[0]
    added = element(0x0008103E, "LO", encode_string(f"chest {family}", encodings(charset)))
    out, found = tried(ds, level, 0x0008103E, added)
    assert family.casefold() not in str(decode(out).get("SeriesDescription", "")).casefold()
    assert "identifier" in found or "words" in found


@pytest.mark.parametrize("level", ALL)
@pytest.mark.parametrize(
    "form",
    ["{}", "urn:oid:{}", "https://pacs/wado?studyUID={}&x=1", "see ({}),", "/{}/1", "{}.4.5", "1.2.{}"],
)
@pytest.mark.parametrize("tag", [0x00204000, 0x0008103E, 0x00081190])
def test_uids_in_text_and_addresses_go(level: str, tag: int, form: str) -> None:
    ds = minimal()
    uid = f"1.2.826.0.1.{secrets.randbelow(10**9)}.7"
    ds.StudyInstanceUID = uid
    vr = {0x00204000: "LT", 0x0008103E: "LO", 0x00081190: "UR"}[tag]
    _, found = tried(ds, level, tag, element(tag, vr, form.format(uid).encode()[:64]), uid.encode())
    assert found


@pytest.mark.parametrize("level", ALL)
@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("tag", [0x00081140, 0x04000561, 0x00091002, 0x20011002, 0x00401012])
@pytest.mark.parametrize("vr", ["SQ", "UN"])
def test_items_of_every_kind_of_sequence(level: str, undefined: bool, tag: int, vr: str) -> None:
    """Defined and undefined lengths, implicit content under UN, private sequences, attributes as they were before."""
    ds, name, uid = minimal(), "Q" + secrets.token_hex(5).upper(), new_uid()
    ds.PatientName, ds.StudyInstanceUID = f"{name}^", uid
    codec = IMPLICIT_LE if vr == "UN" else EXPLICIT_LE
    rows = (
        (0x0008103E, b"LO", f"head {name}".encode()),
        (0x00081155, b"UI", uid.encode()),
        (0x00100010, b"PN", name.encode()),
    )
    inner = encode_items(codec, [Items(rows)])
    if tag == 0x04000561:
        inner = encode_items(codec, [Items(((0x04000550, b"SQ", inner),))])
    if undefined:
        inner = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner[8:] + b"\xfe\xff\x0d\xe0" + bytes(4)
        added = tag.to_bytes(4, "big")[1::-1] + tag.to_bytes(4, "big")[:1:-1] + vr.encode() + b"\0\0"
        added += b"\xff\xff\xff\xff" + inner + b"\xfe\xff\xdd\xe0" + bytes(4)
    else:
        added = encode_element(EXPLICIT_LE, tag, vr.encode(), inner)
    if tag & 0x10000:
        creator = {0x0009: b"GEMS_IDEN_01", 0x2001: b"Philips Imaging DD 001"}[tag >> 16]
        added = element(tag & 0xFFFF0000 | 0x10, "LO", creator) + added
    header = with_element(encode(ds), tag, added)
    result = deidentifier(level).deidentify(header, EXPLICIT_LITTLE, pixels(ds))
    assert name.encode() not in result.header and uid.encode() not in result.header
    assert verify(header, EXPLICIT_LITTLE.uid, result.header, level=level) == []
    spoilt = with_element(result.header, tag, added)
    assert verify(header, EXPLICIT_LITTLE.uid, spoilt, level=level)


def test_the_offset_of_the_time_zone_near_midnight() -> None:
    """The local day moves; what it would be in another zone is not asked."""
    ds = minimal()
    ds.TimezoneOffsetFromUTC = "-1130"
    ds.AcquisitionDateTime = "20240317235959.5-1130"
    result = deidentifier("medium").deidentify(encode(ds), EXPLICIT_LITTLE, pixels(ds))
    out = decode(result.header)
    assert out.AcquisitionDateTime == out.StudyDate + "235959.5-1130"
    assert out.TimezoneOffsetFromUTC == "-1130"
    assert verify(encode(ds), EXPLICIT_LITTLE.uid, result.header, level="medium") == []
