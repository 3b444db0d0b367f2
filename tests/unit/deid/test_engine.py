"""The engine: consistent, unlinkable across applications, true about what it did, and refusing what it must."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from deid_kit import CT, SYNTAXES, decode, deidentifier, encode, minimal, new_uid, pixels, run, sequence
from wardlight.deid.engine import Refused
from wardlight.deid.quarantine import body_length
from wardlight.deid.verify import verify
from wardlight.dicom.codec import EXPLICIT_LE
from wardlight.dicom.rewrite import encode_element
from wardlight.dicom.stream import PixelElement
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, TransferSyntax, transfer_syntax


def test_same_input_same_output_in_any_order() -> None:
    headers = [encode(minimal()) for _ in range(6)]
    first = deidentifier("high", secret=b"1" * 32)
    second = deidentifier("high", application="app", secret=b"1" * 32)
    one = {h: first.deidentify(h, EXPLICIT_LITTLE, None) for h in headers}
    other = {h: second.deidentify(h, EXPLICIT_LITTLE, None) for h in reversed(headers)}
    assert one == other


def test_a_patient_keeps_pseudonym_and_offset_across_studies() -> None:
    one, other = minimal(), minimal()
    other.StudyDate = "20240417"
    a, b = run(one)[0], run(other)[0]
    assert a.patient_pseudonym == b.patient_pseudonym and a.study_uid != b.study_uid
    first, second = decode(a.header), decode(b.header)
    assert first.PatientID == first.PatientName == a.patient_pseudonym
    assert (_day(second.StudyDate) - _day(first.StudyDate)).days == 31


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_a_patient_id_in_an_item_is_the_pseudonym_of_whose_it_is(level: str, syntax: TransferSyntax) -> None:
    """The patient's own ID, another patient's, and the same number of another issuer: as in their own objects."""

    def item(patient_id: str, issuer: str | None) -> Dataset:
        made = Dataset()
        made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = CT, new_uid()
        made.PatientComments = "x" * 300
        made.PatientID = patient_id
        if issuer is not None:
            made.IssuerOfPatientID = issuer
        return made

    ds, other, foreign = minimal(), minimal(), minimal()
    ds.IssuerOfPatientID = other.IssuerOfPatientID = "HOSPITAL A"
    other.PatientID, foreign.PatientID, foreign.IssuerOfPatientID = "OTHER-9941", ds.PatientID, "HOSPITAL B"
    items = [
        ("PID-77120-X", None),
        ("PID-77120-X ", "HOSPITAL A"),
        ("OTHER-9941", None),
        ("OTHER-9941", "HOSPITAL A"),
    ]
    ds.ReferencedImageSequence = sequence(*(item(*one) for one in [*items, ("PID-77120-X", "HOSPITAL B")]))
    out, second, third = (run(one, level, syntax)[0] for one in (ds, other, foreign))
    found = [one.PatientID for one in decode(out.header, syntax).ReferencedImageSequence]
    own, second_s, third_s = (one.patient_pseudonym for one in (out, second, third))
    assert found == [own, own, second_s, second_s, third_s] and len(set(found)) == 3


def test_a_merged_patient_id_in_an_item_is_the_same_patient() -> None:
    class Merged:
        def alias(self, patient: bytes) -> bytes:
            return patient.replace(b"OLD-9941", b"PID-77120-X")

        def learn(self, patient: bytes, seen: object) -> tuple[()]:
            return ()

    ds, item = minimal(), Dataset()
    item.PatientID = "OLD-9941"
    ds.ReferencedImageSequence = sequence(item)
    out = deidentifier("high").deidentify(encode(ds), EXPLICIT_LITTLE, None, knowledge=Merged())
    assert decode(out.header).ReferencedImageSequence[0].PatientID == out.patient_pseudonym


def _day(value: str) -> object:
    import datetime

    return datetime.datetime.strptime(value, "%Y%m%d")


def test_applications_and_levels_cannot_be_linked() -> None:
    header = encode(minimal())
    results = [
        deidentifier(level, application).deidentify(header, EXPLICIT_LITTLE, None)
        for level, application in (("high", "a"), ("high", "b"), ("medium", "a"), ("low", "a"))
    ]
    for name in ("sop_uid", "study_uid", "series_uid", "patient_pseudonym"):
        assert len({getattr(r, name) for r in results}) == 4, name
    assert len({r.study_group for r in results}) == 1


def test_references_stay_consistent() -> None:
    source, segmentation = minimal(), minimal("1.2.840.10008.5.1.4.1.1.66.4", "SEG")
    item = Dataset()
    item.ReferencedSOPClassUID = CT
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID = source.SeriesInstanceUID
    series.ReferencedInstanceSequence = sequence(item)
    segmentation.ReferencedSeriesSequence = sequence(series)
    a, b = run(source)[0], run(segmentation)[0]
    reference = decode(b.header).ReferencedSeriesSequence[0]
    assert reference.SeriesInstanceUID == a.series_uid
    assert reference.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == a.sop_uid
    assert reference.ReferencedInstanceSequence[0].ReferencedSOPClassUID == CT


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.name)
@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_markers(level: str, syntax: TransferSyntax) -> None:
    ds = minimal()
    ds.DeidentificationMethod = "somebody's own"
    out = decode(run(ds, level, syntax)[0].header, syntax)
    assert out.PatientIdentityRemoved == "YES"
    assert out.DeidentificationMethod == f"Wardlight {level}, PS3.15 2026c"
    codes = [item.CodeValue for item in out.DeidentificationMethodCodeSequence]
    assert (
        codes
        == {
            "high": ["113100", "113105", "113107", "113108"],
            "medium": ["113100", "113103", "113105", "113107", "113108", "113111"],
            "low": ["113100", "113103", "113105", "113106", "113108", "113109", "113111"],
        }[level]
    )
    assert out.LongitudinalTemporalInformationModified == ("UNMODIFIED" if level == "low" else "MODIFIED")
    assert "BurnedInAnnotation" not in out


def test_heads_are_flagged() -> None:
    ds = minimal()
    ds.BodyPartExamined = "HEAD"
    result, findings = run(ds)
    assert result.flags == ("face-not-removed",) and findings == []
    assert decode(result.header).RecognizableVisualFeatures == "YES"
    assert run(ds, "low")[0].flags == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"}, "text-in-pixels-class"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.4"}, "text-in-pixels-class"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.4"}, "text-in-pixels-class"),
        ({"Modality": "ES"}, "text-in-pixels-class"),
        ({"ConversionType": "DF"}, "scanned-or-captured"),
        ({"SeriesDescription": "Dose Report"}, "dose-or-screen"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "derived-secondary"),
        ({"BurnedInAnnotation": "YES"}, "burned-in-annotation"),
        ({"SamplesPerPixel": 3, "BitsAllocated": 8, "PhotometricInterpretation": "RGB"}, "eight-bit-colour"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "encapsulated-document"),
        ({"SOPInstanceUID": ""}, "missing-identifier"),
        ({"Rows": None}, "pixel-geometry-unknown"),
    ],
)
def test_what_is_quarantined(change: dict[str, object], reason: str) -> None:
    ds = minimal()
    pixel = pixels(ds)
    for keyword, value in change.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    with pytest.raises(Refused) as refused:
        deidentifier("high").deidentify(encode(ds), EXPLICIT_LITTLE, pixel)
    assert reason in refused.value.reasons
    if reason in ("derived-secondary", "eight-bit-colour"):
        deidentifier("low").deidentify(encode(ds), EXPLICIT_LITTLE, pixel)
    else:
        with pytest.raises(Refused):
            deidentifier("low").deidentify(encode(ds), EXPLICIT_LITTLE, pixel)


def test_overlays_in_the_image_s_own_bits_and_in_compressed_ones_are_refused() -> None:
    ds = minimal()
    ds.add_new(0x60020102, "US", 11)
    with pytest.raises(Refused, match="overlay-in-pixels"):
        deidentifier("high").deidentify(encode(ds), EXPLICIT_LITTLE, pixels(ds))
    fragments = PixelElement(0x7FE00010, b"OB", b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff", -1)
    ds.add_new(0x60020102, "US", 12)
    with pytest.raises(Refused, match="overlay-in-pixels"):
        deidentifier("high").deidentify(encode(ds), transfer_syntax("1.2.840.10008.1.2.4.80"), fragments)
    # In bits that become zero they may be, and their group goes.
    for bit in (0, 12):
        ds.add_new(0x60020102, "US", bit)
        result = deidentifier("low").deidentify(encode(ds), EXPLICIT_LITTLE, pixels(ds))
        assert not [element for element in decode(result.header) if element.tag.group >> 8 == 0x60]


@pytest.mark.parametrize("level", ["high", "medium", "low"])
@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"]
)
def test_overlays_of_their_own_go_whatever_the_pixels_are_in(syntax: str, level: str) -> None:
    """Their planes are elements, no bits of the pixels; a position that says otherwise is a slip of the writer's."""
    ds = minimal()
    for group, bit in ((0x6000, 0), (0x6004, 11), (0x601E, 14)):
        ds.add_new(group << 16 | 0x0010, "US", 2)
        ds.add_new(group << 16 | 0x0011, "US", 2)
        ds.add_new(group << 16 | 0x0102, "US", bit)
        ds.add_new(group << 16 | 0x1500, "LO", "Quxley")
        ds.add_new(group << 16 | 0x3000, "OW", b"\x0f\0")
    how = transfer_syntax(syntax)
    fragments = PixelElement(0x7FE00010, b"OB", b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff", -1)
    pixel = fragments if how.encapsulated else pixels(ds)
    result = deidentifier(level).deidentify(encode(ds), how, pixel)
    assert not [element for element in decode(result.header) if element.tag.group >> 8 == 0x60]
    assert verify(encode(ds), syntax, result.header, level=level) == []


def test_original_cross_sections_are_released() -> None:
    for modality in ("CT", "MR", "PT"):
        ds = minimal(modality=modality)
        ds.BurnedInAnnotation = "NO"
        result, findings = run(ds)
        assert findings == [] and result.body_length == 128


def test_bytes_beyond_the_geometry_are_cut() -> None:
    ds = minimal()
    long = PixelElement(0x7FE00010, b"OW", b"\xe0\x7f\x10\x00OW\0\0" + (900).to_bytes(4, "little"), 900)
    result = deidentifier("high").deidentify(encode(ds), EXPLICIT_LITTLE, long)
    assert result.body_length == 128
    assert result.pixel_head == b"\xe0\x7f\x10\x00OW\0\0" + (128).to_bytes(4, "little")


def test_fragments_pass_to_their_delimiter() -> None:
    fragments = PixelElement(0x7FE00010, b"OB", b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff", -1)
    result = deidentifier("high").deidentify(encode(minimal()), EXPLICIT_LITTLE, fragments)
    assert result.body_length is None and result.pixel_head == fragments.head
    assert body_length(b"", {}, fragments, False, True) is None


@pytest.mark.parametrize("data", [b"\x08\x00", b"\x08\x00\x05\x00CS\xff\x00ISO", b"\xfe\xff\x00\xe0\0\0\0\0"])
def test_malformed_input_is_refused(data: bytes) -> None:
    with pytest.raises(Refused, match=r"data-set:|missing-identifier"):
        deidentifier("high").deidentify(encode(minimal()) + data, EXPLICIT_LITTLE, None)


def test_report_names_tags_and_rules_only() -> None:
    ds = minimal()
    ds.StationName = "ROOM-QUX"
    ds.private_block(0x0011, "QUX", create=True).add_new(1, "LO", "Quxley")
    result = deidentifier("high").deidentify(encode(ds), EXPLICIT_LITTLE, None, report=True)
    rows = {row.path: row for row in result.changes}
    assert rows[(0x00081010,)].action == "remove" and rows[(0x00081010,)].why == "E.1-1, Basic Profile"
    assert rows[(0x00111001,)].why == "private"
    assert (
        rows[(0x00080020,)].action == "change" and rows[(0x00080020,)].why == "E.1-1, option modified_dates"
    )
    assert "QUX" not in repr(result.changes).upper()


def test_utility_at_high() -> None:
    ds = minimal()
    ds.Manufacturer, ds.ManufacturerModelName = "SIEMENS", "SOMATOM Force"
    ds.ConvolutionKernel, ds.KVP, ds.SliceThickness = "Br40f", "120", "1.0"
    ds.WindowCenter, ds.WindowWidth, ds.CTDIvol, ds.SpiralPitchFactor = "40", "400", 7.4, 1.2
    ds.PatientPosition, ds.BodyPartExamined = "HFS", "CHEST"
    out = decode(run(ds)[0].header)
    for keyword in (
        "Manufacturer", "ManufacturerModelName", "KVP", "SliceThickness", "WindowCenter", "CTDIvol",
        "SpiralPitchFactor",         "PatientPosition", "BodyPartExamined",
        "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
        "RescaleIntercept", "RescaleSlope", "Rows", "BitsStored", "InstanceNumber", "SeriesNumber",
        "SOPClassUID", "PatientSex",
    ):  # fmt: skip
        assert out[keyword].value == ds[keyword].value, keyword


def test_type_1_elements_stay_legal() -> None:
    ds = minimal("1.2.840.10008.5.1.4.1.1.2.1")
    ds.SoftwareVersions, ds.DeviceSerialNumber, ds.AcquisitionDateTime = (
        "Quxley 7.1x",
        "QUX-1",
        "20240317101112",
    )
    ds.ContentDate, ds.ContentTime = "20240317", "101112"
    header = encode(ds)
    result = deidentifier("high").deidentify(header, EXPLICIT_LITTLE, pixels(ds))
    out = decode(result.header)
    assert (
        out.SoftwareVersions
        and out.DeviceSerialNumber
        and out.AcquisitionDateTime
        and out.ContentTime == "000000"
    )
    assert verify(header, EXPLICIT_LITTLE.uid, result.header, level="high") == []


def test_uids_of_kinds_and_of_the_standard_stay() -> None:
    ds = minimal()
    ds.FrameOfReferenceUID = "1.2.840.10008.1.4.1.1"
    ds.SOPClassUID = "1.3.12.2.1107.5.9.1"
    ds.StudyInstanceUID = new_uid()
    result = deidentifier("high").deidentify(encode(ds), EXPLICIT_LITTLE, None)
    out = decode(result.header)
    assert out.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1" and out.SOPClassUID == "1.3.12.2.1107.5.9.1"


@pytest.mark.parametrize("uid", ["1.2.3\\1.2.4", "", "  "])
def test_identity_must_be_one_uid(uid: str) -> None:
    header = encode(minimal())
    old = encode_element(EXPLICIT_LE, 0x0020000D, b"UI", minimal_uid(header))
    assert old in header
    broken = header.replace(old, encode_element(EXPLICIT_LE, 0x0020000D, b"UI", uid.encode()))
    with pytest.raises(Refused, match="missing-identifier"):
        deidentifier("high").deidentify(broken, EXPLICIT_LITTLE, None)


def minimal_uid(header: bytes) -> bytes:
    return str(decode(header).StudyInstanceUID).encode()


@settings(max_examples=150)
@given(st.data())
def test_any_damage_is_refused_or_verified(data: st.DataObject) -> None:
    """Whatever bytes come, the engine gives an output or a refusal, and the verifier findings; nothing else happens."""
    header = bytearray(BASE)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(header) - 1))
        header[place] = data.draw(st.integers(0, 255))
    damaged = bytes(header)
    try:
        result = deidentifier("medium").deidentify(damaged, EXPLICIT_LITTLE, None)
    except Refused as refusal:
        assert all(isinstance(reason, str) for reason in refusal.reasons)
        return
    assert isinstance(verify(damaged, EXPLICIT_LITTLE.uid, result.header, level="medium"), list)


def _base() -> bytes:
    ds = minimal()
    inner = Dataset()
    inner.PatientName = "Quxley^W"
    inner.ReferencedSOPInstanceUID = new_uid()
    ds.ReferencedImageSequence = sequence(inner)
    ds.OtherPatientIDsSequence = sequence(inner)
    ds.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x03, "FL", 1.5)
    return encode(ds)


BASE = _base()


def test_elements_without_vr_in_an_explicit_syntax_stay() -> None:
    """As in pydicom's SC_rgb_jpeg.dcm: readers guess by the first element, and would misread what is rewritten."""
    header = encode(minimal(), transfer_syntax("1.2.840.10008.1.2"))
    with pytest.raises(Refused) as refusal:
        deidentifier("high").deidentify(header, EXPLICIT_LITTLE, None)
    assert refusal.value.reasons == ("data-set:bad-vr",)
