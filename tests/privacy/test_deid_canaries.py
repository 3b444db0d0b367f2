"""Zero survivors: objects with an identifier of each leak class, drawn afresh on each run, at high and medium."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from deid_kit import CT, MR, SYNTAXES, Mint, decode, deidentifier, encode, minimal, run, sequence, survivors
from wardlight.deid.actions import known_tags
from wardlight.deid.profile import allowlist
from wardlight.deid.standard import attributes
from wardlight.deid.verify import verify
from wardlight.deid.verify_rules import ABSENT, CHANGED, DATE, UID, expectations
from wardlight.dicom.codec import EXPLICIT_LE
from wardlight.dicom.dictionary import keyword_of, vr_of
from wardlight.dicom.elements import walk
from wardlight.dicom.rewrite import Items, encode_element, encode_items
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, IMPLICIT_LITTLE, TransferSyntax

LEVELS = ("high", "medium")
SCRIPTS = {
    "ISO_IR 100": "äöüßéèêñçåæø",
    "ISO_IR 192": "äöüßéкириллицаελληνικά王李陈",
    "GB18030": "王李张刘陈杨赵黄周吴徐孙胡朱高林",
    "ISO_IR 126": "αβγδεζηθικλμνξοπρστυφχψω",
    "ISO_IR 144": "бвгджзийклмнопрстуфхцчшщыэюя",
    "ISO 2022 IR 87": "山田太郎鈴木一郎佐藤高橋田中渡辺伊藤中村",
    "ISO 2022 IR 149": "김희중홍길동이순신박지성",
}


def people(ds: Dataset, mint: Mint) -> None:
    """Names, numbers and places in the elements meant for them."""
    ds.PatientName = f"{mint.cased('family')}^{mint.cased('given')}^{mint.cased('middle')}"
    ds.PatientID = mint.digits("patient id")
    ds.IssuerOfPatientID = mint.word("issuer")
    ds.OtherPatientIDs = [mint.digits("other id 1"), mint.digits("other id 2")]
    other = Dataset()
    other.PatientID = mint.word("id in sequence")
    ds.OtherPatientIDsSequence = sequence(other)
    ds.PatientBirthDate = "19480229"
    ds.PatientAddress = f"{mint.cased('street')}weg 12"
    ds.PatientTelephoneNumbers = f"+49 {mint.digits('phone')}"
    ds.AccessionNumber = mint.word("accession")
    ds.InstitutionName = f"{mint.cased('hospital')} University Hospital"
    ds.InstitutionalDepartmentName = mint.word("department")
    ds.ReferringPhysicianName = f"{mint.cased('referrer')}^{mint.cased('referrer given')}"
    ds.OperatorsName = mint.cased("operator")
    ds.StationName = mint.word("station")
    ds.DeviceSerialNumber = mint.digits("serial")
    ds.StudyID = mint.word("study id")
    ds.StudyInstanceUID = mint.uid("study uid")
    ds.SeriesInstanceUID = mint.uid("series uid")
    ds.SOPInstanceUID = mint.uid("sop uid")
    ds.FrameOfReferenceUID = mint.uid("frame of reference")


def scatter(ds: Dataset, mint: Mint) -> None:
    """The same values where they do not belong."""
    v = mint.values
    ds.StudyDescription = f"CT thorax {v['family']} {v['patient id']}"
    ds.SeriesDescription = f"{v['given'].lower()} {v['referrer']} 2.0 B30f"
    ds.ProtocolName = f"Head_{v['family'].upper()}"
    ds.ImageComments = f"seen by Dr {v['referrer']} at {v['hospital']}, born 29.02.1948"
    ds.SoftwareVersions = f"VA48 {v['station']}"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", v["family"].upper()[:16]]
    ds.RetrieveURL = f"https://pacs/{v['study uid']}/{v['patient id']}"
    ds.ManufacturerModelName = f"Scanner {v['serial']} {v['family']}"
    ds.ContrastBolusAgent = f"agent {v['accession']}"
    ds.ConvolutionKernel = v["given"][:14]
    ds.WindowCenterWidthExplanation = v["operator"]
    ds.add_new(0x00280010, "US", 8)
    ds.add_new(0x00204000, "LT", f"{v['study uid']} 19480229 {v['phone']}")
    ds.add_new(0x00189999, "LO", v["family"])
    ds.add_new(0x00080000, "UL", 4711)
    code = Dataset()
    code.CodeValue = v["accession"]
    code.CodingSchemeDesignator = "99" + v["station"][:8]
    code.CodeMeaning = f"Chest of {v['family']}"
    ds.ProcedureCodeSequence = sequence(code)


def deep(ds: Dataset, mint: Mint) -> None:
    """Nested, in private elements, in sequences under UN, in OriginalAttributesSequence."""
    v = mint.values
    inner = Dataset()
    inner.PatientName = v["family"]
    inner.PatientID = v["patient id"]
    inner.ReferencedSOPInstanceUID = v["sop uid"]
    inner.CodeMeaning = v["given"]
    holder = Dataset()
    holder.ModifiedAttributesSequence = sequence(inner)
    holder.ModifyingSystem = v["station"]
    ds.OriginalAttributesSequence = sequence(holder)
    request = Dataset()
    request.RequestedProcedureID = mint.word("requested procedure")
    request.ScheduledProcedureStepDescription = f"thorax {v['family']}"
    request.AccessionNumber = v["accession"]
    ds.RequestAttributesSequence = sequence(request)
    image = Dataset()
    image.ReferencedSOPClassUID = CT
    image.ReferencedSOPInstanceUID = mint.uid("referenced sop")
    image.PurposeOfReferenceCodeSequence = sequence(inner)
    ds.ReferencedImageSequence = sequence(image)
    for group, creator in (
        (0x0009, "GEMS_IDEN_01"),
        (0x0019, "SIEMENS MR HEADER"),
        (0x2001, "Philips Imaging DD 001"),
    ):
        block = ds.private_block(group, creator, create=True)
        block.add_new(0x01, "LO", f"{v['family']} {v['patient id']}")
        block.add_new(0x02, "UN", v["given"].encode())
        block.add_new(0x03, "SQ", sequence(inner))
        block.add_new(0x0A, "CS", v["station"])
    ds.add_new(0x00091011, "LO", v["family"])


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.name)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("sop_class", "modality"), [(CT, "CT"), (MR, "MR")])
def test_nothing_survives(level: str, syntax: TransferSyntax, sop_class: str, modality: str) -> None:
    mint = Mint()
    ds = minimal(sop_class, modality)
    people(ds, mint)
    scatter(ds, mint)
    deep(ds, mint)
    result, findings = run(ds, level, syntax)
    out = decode(result.header, syntax)
    assert survivors(mint.values, result.header, out) == []
    assert findings == []
    assert b"19480229" not in result.header and b"29.02.1948" not in result.header
    assert out.Modality == modality and out.Rows == 8 and out.PixelSpacing == [0.5, 0.5]
    assert out.StudyDescription.split()[0] == "CT"


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("level", (*LEVELS, "low"))
def test_a_sequence_under_un(level: str, undefined: bool) -> None:
    mint = Mint()
    hidden = Dataset()
    hidden.PatientName = mint.cased("family")
    hidden.SeriesInstanceUID = mint.uid("series")
    body = encode(hidden, IMPLICIT_LITTLE)
    item = b"\xfe\xff\x00\xe0" + len(body).to_bytes(4, "little") + body
    length = b"\xff\xff\xff\xff" if undefined else len(item).to_bytes(4, "little")
    end = b"\xfe\xff\xdd\xe0\0\0\0\0" if undefined else b""
    header = encode(minimal()) + b"\x08\x00\x15\x11UN\0\0" + length + item + end
    result = deidentifier(level).deidentify(header, EXPLICIT_LITTLE, None)
    assert survivors(mint.values, result.header, decode(result.header)) == []
    assert verify(header, EXPLICIT_LITTLE.uid, result.header, level=level) == []
    assert b"\x08\x00\x15\x11UN" in result.header


@pytest.mark.parametrize("charset", SCRIPTS)
@pytest.mark.parametrize("level", (*LEVELS, "low"))
def test_names_in_every_script(level: str, charset: str) -> None:
    mint = Mint()
    ds = minimal()
    multi = charset.startswith("ISO 2022")
    ds.SpecificCharacterSet = ["", charset] if multi else charset
    family, given = mint.text("family", SCRIPTS[charset]), mint.text("given", SCRIPTS[charset])
    latin = mint.cased("latin")
    ds.PatientName = (
        f"{latin}^Anna={family}^{given}" if charset != "ISO_IR 100" else f"{family}^{given}^{latin}"
    )
    ds.ReferringPhysicianName = mint.cased("referrer")
    for keyword in (
        "StudyDescription",
        "SeriesDescription",
        "ImageComments",
        "ManufacturerModelName",
        "SoftwareVersions",
    ):
        setattr(ds, keyword, f"thorax {family} {given} {latin.upper()}")
    ds.RequestedProcedureDescription = f"{family}"
    result, findings = run(ds, level)
    out = decode(result.header)
    assert survivors(mint.values, result.header, out) == []
    assert findings == []


def test_every_text_element_at_high_with_a_word_nobody_knows() -> None:
    """Not only what identifies by its place: at high no unknown word stays, in any element of the standard."""
    mint = Mint()
    ds = minimal()
    keep = {"Manufacturer", "ManufacturerModelName", "ManufacturerRelatedModelGroup"}
    for number, tag in enumerate(known_tags()):
        vr = vr_of(tag).decode()
        if (
            vr in ("LO", "SH", "LT", "ST", "UT", "UC", "PN", "CS", "AE", "UR")
            and tag not in allowlist().as_is
        ):
            if keyword_of(tag) in {
                *keep,
                "SpecificCharacterSet",
                "Modality",
                "PhotometricInterpretation",
                "ImageType",
            }:
                continue
            if tag in (0x00280301, 0x00080064):
                continue
            ds.add_new(Tag(tag), vr, mint.word(f"{tag:08X} {number}", 8))
    del ds[0x00280010]
    for keyword in ("ContentSequence", "EncapsulatedDocument"):
        if keyword in ds:
            del ds[keyword]
    result, findings = run(ds, "high")
    assert survivors(mint.values, result.header, decode(result.header)) == []
    assert findings == []


#: A value that identifies, of each VR.
SAMPLES = {
    **dict.fromkeys(("US", "SS"), b"\x07\x1a"),
    **dict.fromkeys(("UL", "SL", "FL", "AT"), b"\x07\x1a\x2b\x3c"),
    **dict.fromkeys(("FD", "SV", "UV"), b"\x07\x1a\x2b\x3c\x4d\x5e\x6f\x01"),
    **dict.fromkeys(("OB", "OW", "UN"), b"identity"),
    "DA": b"20231105",
    "TM": b"101112",
    "DT": b"20231105101112",
    "AS": b"044Y",
    "DS": b"48.137",
    "IS": b"4813731",
    "UI": b"1.2.826.0.1.3680043.10.777.123450",
    "UR": b"https://hospital.example/qq",
    "CS": b"QXZQXZ",
    "PN": b"Qxzqxz^Wvk",
}


@pytest.mark.parametrize("level", LEVELS)
def test_every_row_of_the_table(level: str) -> None:
    """Table E.1-1, each row at the top level, in a sequence, in a private one: what must go or change does."""
    checks = expectations(level).checks
    base = encode(minimal())
    subject = deidentifier(level)
    wrong = []
    for spelled, name, *_ in attributes.ROWS:
        tag = int(spelled, 16) if "x" not in spelled and spelled != "private" else 0
        vr = vr_of(tag)
        # Groups of messages and files are no part of data sets; the other four are tested as what they are.
        if tag >> 16 in (0, 2, 4) or vr == b"SQ" or tag in (0x00420011, 0x00080018, 0x0020000D, 0x0020000E):
            continue
        value = SAMPLES.get(vr.decode(), b"Qxzqxz Wvkwvk")
        element = encode_element(EXPLICIT_LE, tag, vr, value)
        nested = encode_items(EXPLICIT_LE, [Items(((tag, vr, value),))])
        for place, added in (
            ("top", element),
            ("nested", encode_element(EXPLICIT_LE, 0x00081115, b"SQ", nested)),
            (
                "private",
                encode_element(EXPLICIT_LE, 0x00110010, b"LO", b"ANYBODY")
                + encode_element(EXPLICIT_LE, 0x00111001, b"SQ", nested),
            ),
        ):
            if place == "top" and Tag(tag) in minimal():
                continue  # an element that is there twice is a finding of its own
            result = subject.deidentify(base + added, EXPLICIT_LITTLE, None)
            findings = verify(base + added, EXPLICIT_LITTLE.uid, result.header, level=level)
            left = [
                result.header[e.value : e.end].strip(b" \0")
                for path, e in walk(result.header, EXPLICIT_LITTLE)
                if e.tag == tag and bool(path) == (place != "top")
            ]
            if findings:
                wrong.append((spelled, name, place, [str(f) for f in findings]))
            elif place == "private" and any(left):
                wrong.append((spelled, name, place, "kept"))
            elif checks[tag] & ABSENT and left and tag != 0x00100021:
                wrong.append((spelled, name, place, "present"))
            elif checks[tag] & (CHANGED | UID | DATE) and value in left:
                wrong.append((spelled, name, place, "unchanged"))
    assert wrong == []


@pytest.mark.parametrize("level", LEVELS)
def test_every_sequence_of_the_table(level: str) -> None:
    """Rows that are sequences: what the profile removes is gone, and in the others no name stays."""
    checks = expectations(level).checks
    base = encode(minimal())
    inside = encode_items(
        EXPLICIT_LE, [Items(((0x0040A123, b"PN", b"Qxzqxz^Wvk"), (0x00080050, b"SH", b"QXZ-4711")))]
    )
    for spelled, name, *_ in attributes.ROWS:
        if "x" in spelled or spelled == "private" or vr_of(int(spelled, 16)) != b"SQ":
            continue
        tag = int(spelled, 16)
        header = base + encode_element(EXPLICIT_LE, tag, b"SQ", inside)
        result = deidentifier(level).deidentify(header, EXPLICIT_LITTLE, None)
        # Not its digits alone: new UIDs have any four in a row now and then.
        assert b"Qxzqxz" not in result.header, name
        assert b"QXZ" not in result.header and b"-4711" not in result.header, name
        assert verify(header, EXPLICIT_LITTLE.uid, result.header, level=level) == [], name
        if checks[tag] & ABSENT:
            assert all(e.tag != tag for _, e in walk(result.header, EXPLICIT_LITTLE)), name


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("group", [0x5000, 0x501E, 0x6000, 0x60FE])
def test_curves_and_overlays_go(level: str, group: int) -> None:
    data = encode_element(EXPLICIT_LE, group << 16 | 0x3000, b"OW", b"Qxzqxz")
    comment = encode_element(EXPLICIT_LE, group << 16 | 0x4000, b"LT", b"Qxzqxz")
    header = encode(minimal()) + data + comment
    result = deidentifier(level).deidentify(header, EXPLICIT_LITTLE, None)
    assert b"Qxzqxz" not in result.header
    assert group.to_bytes(2, "little") + b"\0\x30" not in result.header


def test_low_keeps_what_its_table_says_and_no_identifier() -> None:
    mint = Mint()
    ds = minimal()
    people(ds, mint)
    ds.StudyDescription = f"CT thorax special {mint.values['family']}"
    ds.StationName = "ROOM-4"
    ds.DeviceSerialNumber = "SER-12345"
    ds.SoftwareVersions = "syngo VA48"
    del mint.values["station"], mint.values["serial"]
    result, findings = run(ds, "low")
    out = decode(result.header)
    assert survivors(mint.values, result.header, out) == []
    assert findings == []
    assert out.StudyDate == "20240317" and out.StudyTime == "101530"
    assert (
        out.StationName == "ROOM-4"
        and out.DeviceSerialNumber == "SER-12345"
        and out.SoftwareVersions == "syngo VA48"
    )
    assert out.StudyDescription == "CT thorax special"
    assert out.PatientBirthDate == "" and out.PatientSex == "F"
