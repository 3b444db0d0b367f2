"""Structured documents as a whole: no canary is left, what they are for stays, and they still refer to their images."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deid_kit import SECRET, SYNTAXES, Mint, decode, deidentifier, encode, minimal, run, survivors
from sr_documents import DOCUMENTS, dcm, dose, key_objects, measurements, report
from sr_kit import code, document, item, named, nodes
from wardlight.deid.engine import Deidentifier, Refused
from wardlight.deid.keys import DeidKeys
from wardlight.deid.profile import parse_profile
from wardlight.deid.structured_values import coarse
from wardlight.deid.verify import verify
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, TransferSyntax

LEVELS = ("high", "medium", "low")
#: What low keeps: texts that name nobody the object knows, and which device it was.
FREE = {
    *("protocol", "comment", "device name", "serial", "tracking", "history", "finding", "conclusion"),
    *("local meaning", "local text", "impression", "algorithm", "state", "description"),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_canary_is_left(name: str, level: str) -> None:
    mint = Mint()
    ds = DOCUMENTS[name](mint)
    result, findings = run(ds, level)
    assert [str(finding) for finding in findings] == []
    out = decode(result.header)
    assert set(survivors(mint.values, result.header, out)) <= (FREE if level == "low" else set())
    codes = [item.CodeValue for item in out.DeidentificationMethodCodeSequence]
    assert "113104" in codes
    for one in (out, *nodes(out)):
        assert "DigitalSignaturesSequence" not in one and "MACParametersSequence" not in one
        if one.get("ValueType") == "TEXT":
            assert one.TextValue.strip()
        if one.get("ValueType") == "PNAME":
            assert one.PersonName == "Removed^"


@pytest.mark.parametrize("level", LEVELS)
def test_what_it_is_for_stays(level: str) -> None:
    before = measurements(Mint())
    after = decode(run(before, level)[0].header)
    for keyword in ("GraphicType", "GraphicData", "TemporalRangeType"):
        assert [one.get(keyword) for one in nodes(after) if keyword in one] == [
            one.get(keyword) for one in nodes(before) if keyword in one
        ]
    numbers = [
        (
            one.MeasuredValueSequence[0].NumericValue,
            one.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue,
        )
        for one in nodes(after)
        if "MeasuredValueSequence" in one and one.ConceptNameCodeSequence[0].CodeValue != "121033"
    ]
    assert numbers == [(17.25, "mm")]
    assert after.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert named(after)["SCT", "363698007", "CODE"].ConceptCodeSequence[0].CodeValue == "39607008"
    told = [
        (one.ValueType, one.get("RelationshipType"), len(one.get("ContentSequence", [])))
        for one in nodes(after)
        if one.RelationshipType != "HAS OBS CONTEXT"
    ]
    assert told == [
        (one.ValueType, one.get("RelationshipType"), len(one.get("ContentSequence", [])))
        for one in nodes(before)
        if one.RelationshipType != "HAS OBS CONTEXT"
    ]
    doses = decode(run(dose(Mint()), level)[0].header)
    said = [
        one.MeasuredValueSequence[0].NumericValue for one in nodes(doses) if "MeasuredValueSequence" in one
    ]
    assert said == [12.63, 412.5]


@pytest.mark.parametrize("level", LEVELS)
def test_documents_still_refer_to_their_images(level: str) -> None:
    """All of a study go through separately; afterwards they refer to each other as before."""
    images = [minimal(), minimal()]
    for one in images[1:]:
        one.StudyInstanceUID, one.SeriesInstanceUID = images[0].StudyInstanceUID, images[0].SeriesInstanceUID
    new = [run(one, level)[0] for one in images]
    for ds in (measurements(Mint(), *images), key_objects(Mint(), *images)):
        out = decode(run(ds, level)[0].header)
        study = out.CurrentRequestedProcedureEvidenceSequence[0]
        assert study.StudyInstanceUID == out.StudyInstanceUID == new[0].study_uid
        assert study.ReferencedSeriesSequence[0].SeriesInstanceUID == new[0].series_uid
        listed = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
        assert [one.ReferencedSOPInstanceUID for one in listed] == [one.sop_uid for one in new]
        told = {
            referred.ReferencedSOPInstanceUID
            for one in nodes(out)
            for referred in one.get("ReferencedSOPSequence", [])
        }
        assert told <= {one.sop_uid for one in new} and told
        assert out.PatientID == decode(new[0].header).PatientID


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("level", ["high", "medium"])
def test_lesions_are_told_apart_and_found_again(level: str, syntax: TransferSyntax) -> None:
    """What somebody called a lesion is one keyed name in the reports of two days and in a segmentation."""
    names = ("Lesion Xaverine 1", "Lesion Xaverine 2", "Lesion 3")

    def told(name: str) -> str:
        ds = measurements(Mint())
        named(ds)["DCM", "112039", "TEXT"].TextValue = name
        result, findings = run(ds, level, syntax)
        assert findings == []
        return named(decode(result.header, syntax))["DCM", "112039", "TEXT"].TextValue

    segmentation, segment = minimal("1.2.840.10008.5.1.4.1.1.66.4", "SEG"), Dataset()
    segment.TrackingID, segment.TrackingUID = names[0], "1.2.3.4"
    segmentation.SegmentSequence = Sequence([segment])
    first, again, other, plain = (told(name) for name in (names[0], names[0], *names[1:]))
    kept = decode(run(segmentation, level, syntax)[0].header, syntax).SegmentSequence[0].TrackingID
    assert first == again == kept and len({first, other, plain}) == 3 and plain == names[2]
    assert "averine" not in first + other and len(first) == len(other) == 16


def test_only_a_lesion_has_a_keyed_name() -> None:
    ds = measurements(Mint())
    ds.ContentSequence.append(item("TEXT", dcm("121106", "Comment"), "Xaverine Q"))
    header = encode(ds)
    made = decode(run(ds)[0].header)
    made.ContentSequence[-1].TextValue = "ABCDEFGHIJKLMNOP"
    assert {str(one) for one in verify(header, EXPLICIT_LITTLE.uid, encode(made), level="high")} == {
        "words (0040,a730)(0040,a160)"
    }


def test_low_takes_people_out_of_free_text() -> None:
    mint = Mint()
    reader, subject = mint.cased("reader"), mint.cased("subject")
    accession, login = mint.digits("accession"), mint.word("login").lower()
    ds = document(
        item("PNAME", dcm("121008", "Person Observer Name"), f"{reader}^R", rel="HAS OBS CONTEXT"),
        item("PNAME", dcm("121029", "Subject Name"), f"{subject}^S", rel="HAS OBS CONTEXT"),
        item("TEXT", dcm("121022", "Accession Number"), accession, rel="HAS OBS CONTEXT"),
        item("TEXT", dcm("128774", "Person Observer's Login Name"), login, rel="HAS OBS CONTEXT"),
        item(
            "TEXT",
            dcm("121071", "Finding"),
            f"Dr {reader.upper()} ({login}) saw {subject}, order {accession}, nodule",
        ),
    )
    result, findings = run(ds, "low")
    assert findings == []
    assert survivors(mint.values, result.header, decode(result.header)) == []
    assert "nodule" in named(decode(result.header))["DCM", "121071", "TEXT"].TextValue


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.name)
def test_every_encoding_gives_the_same(syntax: TransferSyntax) -> None:
    ds = measurements(Mint())
    plain = decode(run(ds, "high")[0].header)
    for one in (ds, *nodes(ds)):
        for element in one:
            element.is_undefined_length = element.VR == "SQ"
            for inner in element.value if element.VR == "SQ" else ():
                inner.is_undefined_length_sequence_item = True
    result, findings = run(ds, "high", syntax)
    assert findings == []
    assert decode(result.header, syntax) == plain


@pytest.mark.parametrize("level", LEVELS)
def test_private_concepts_keep_their_place(level: str) -> None:
    """Nobody can say what they tell: the item stays, its text is words of the vocabulary, its concept a dummy."""
    mint = Mint()
    local = code(mint.digits("code", 8), "99HOSP", mint.cased("meaning"))
    ds = document(
        item("TEXT", local, f"liver {mint.cased('text')}"),
        item("NUM", local, ("7.5", code("1", "UCUM", "1"))),
    )
    result, findings = run(ds, level)
    assert findings == []
    text, number = nodes(decode(result.header))
    assert number.MeasuredValueSequence[0].NumericValue == 7.5
    if level != "low":
        assert survivors(mint.values, result.header, decode(result.header)) == []
        assert text.TextValue == "liver"
        assert text.ConceptNameCodeSequence[0].CodeValue == "REMOVED"


@pytest.mark.parametrize(
    ("scheme", "value", "meaning"),
    [
        ("SRT", "G-C0E3", "Finding Site"),
        ("SNM3", "F-02455", "Social History"),
        ("99X", "7", "Accession Number"),
    ],
)
def test_retired_codes_and_other_schemes(scheme: str, value: str, meaning: str) -> None:
    """SNOMED RT codes of the table's concepts, and a concept known by what it is called."""
    mint = Mint()
    ds = document(item("TEXT", code(value, scheme, meaning), mint.word("text")))
    for level in ("high", "low"):
        result, findings = run(ds, level)
        assert findings == []
        left = survivors(mint.values, result.header, decode(result.header))
        assert left == (["text"] if level == "low" and scheme != "99X" else [])


def test_presentation_states_and_waveform_annotations() -> None:
    mint = Mint()
    ds = document()
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.11.1", "PR"
    text, graphic, annotation, overlay = Dataset(), Dataset(), Dataset(), Dataset()
    text.UnformattedTextValue = f"liver {mint.cased('drawn')}"
    text.AnchorPoint, text.AnchorPointVisibility, text.AnchorPointAnnotationUnits = [1.0, 2.0], "Y", "PIXEL"
    graphic.GraphicType, graphic.GraphicData, graphic.GraphicFilled = "POLYLINE", [1.0, 2.0, 3.0, 4.0], "N"
    overlay.GraphicLayer = "LAYER"
    overlay.TextObjectSequence, overlay.GraphicObjectSequence = Sequence([text]), Sequence([graphic])
    ds.GraphicAnnotationSequence = Sequence([overlay])
    annotation.UnformattedTextValue = f"heart {mint.cased('annotated')}"
    person = Dataset()
    person.ConceptNameCodeSequence = Sequence([dcm("121022", "Accession Number")])
    person.UnformattedTextValue = mint.digits("accession")
    ds.WaveformAnnotationSequence = Sequence([annotation, person])
    for level in LEVELS:
        result, findings = run(ds, level)
        assert findings == []
        out = decode(result.header)
        left = survivors(mint.values, result.header, out)
        assert left == (["drawn", "annotated"] if level == "low" else [])
        first, second = out.WaveformAnnotationSequence
        assert second.UnformattedTextValue == "REMOVED"
        assert level == "low" or first.UnformattedTextValue == "heart"
        if level != "high":
            drawn = out.GraphicAnnotationSequence[0]
            assert drawn.GraphicObjectSequence[0].GraphicData == [1.0, 2.0, 3.0, 4.0]
            assert drawn.TextObjectSequence[0].UnformattedTextValue.startswith("liver")


def test_an_item_that_is_not_what_it_seemed_stays() -> None:
    """A concept name behind its value, or a second one, was not what the value was judged by."""
    name = item("TEXT", dcm("121071", "Finding"), "liver")
    early = encode(document(name))
    moved = encode(Dataset())
    concept = Dataset()
    concept.ConceptNameCodeSequence = Sequence([dcm("121022", "Accession Number")])
    moved = encode(concept)
    value = Dataset()
    value.TextValue = "liver"
    start = early.index(encode(value))
    bad = _lengthened(early, start + len(encode(value)), moved)
    for level in LEVELS:
        with pytest.raises(Refused, match="content-item"):
            deidentifier(level).deidentify(bad, EXPLICIT_LITTLE, None)


def _lengthened(data: bytes, place: int, added: bytes) -> bytes:
    """The data set with bytes put into the last item of its content sequence, which ends at `place`."""
    assert place == len(data)
    head = data.index(b"\x40\x00\x30\xa7SQ\0\0")
    longer = len(added)
    outer = int.from_bytes(data[head + 8 : head + 12], "little") + longer
    inner = int.from_bytes(data[head + 16 : head + 20], "little") + longer
    return b"".join(
        (data[: head + 8], outer.to_bytes(4, "little"), data[head + 12 : head + 16], inner.to_bytes(4, "little"),
         data[head + 20 :], added)
    )  # fmt: skip


def _accession(out: Dataset) -> None:
    out.ContentSequence.append(
        item("TEXT", dcm("121022", "Accession Number"), "REMOVED", rel="HAS OBS CONTEXT")
    )


def _said(out: Dataset) -> None:
    named(out)["DCM", "121030", "TEXT"].TextValue = "liver"


def _person(out: Dataset) -> None:
    named(out)["DCM", "121008", "PNAME"].PersonName = "Lung^A"


def _empty(out: Dataset) -> None:
    named(out)["DCM", "121071", "TEXT"].TextValue = ""


def _age(out: Dataset) -> None:
    named(out)["DCM", "121033", "NUM"].MeasuredValueSequence[0].NumericValue = "77"


def _other_type(out: Dataset) -> None:
    named(out)["DCM", "121071", "TEXT"].ValueType = "CONTAINER"


def _lost(out: Dataset) -> None:
    del out.ContentSequence[-1]


def _uid(out: Dataset) -> None:
    named(out)["DCM", "121012", "UIDREF"].UID = "1.2.826.0.1.3680043.10.999"


@pytest.mark.parametrize(
    ("change", "code_found"),
    [
        (_accession, "content-item"),
        (_said, "concept"),
        (_person, "person-name"),
        (_empty, "content-value-lost"),
        (_age, "age"),
        (_other_type, "content-item"),
        (_lost, "content-item-lost"),
        (_uid, "uid-not-replaced"),
    ],
)
def test_the_verifier_sees_each_fault(change: Callable[[Dataset], None], code_found: str) -> None:
    mint = Mint()
    ds = document(
        item("TEXT", dcm("121030", "Subject ID"), mint.digits("id"), rel="HAS OBS CONTEXT"),
        item("PNAME", dcm("121008", "Person Observer Name"), "Somebody^Else", rel="HAS OBS CONTEXT"),
        item("UIDREF", dcm("121012", "Device Observer UID"), mint.uid("device"), rel="HAS OBS CONTEXT"),
        item("NUM", dcm("121033", "Subject Age"), ("77", code("a", "UCUM", "year")), rel="HAS OBS CONTEXT"),
        item("TEXT", dcm("121071", "Finding"), "lung nodule"),
    )
    before = encode(ds)
    after = decode(run(ds, "high")[0].header)
    assert verify(before, EXPLICIT_LITTLE.uid, encode(after), level="high") == []
    change(after)
    findings = verify(before, EXPLICIT_LITTLE.uid, encode(after), level="high")
    assert code_found in {finding.code for finding in findings}


def test_ages_as_numbers() -> None:
    assert coarse(b"77", b"a", True) == b"75" and coarse(b"77 ", b"a", False) == b"77 "
    assert coarse(b"94", b"a", True) == coarse(b"94", b"a", False) == b"90"
    assert coarse(b"30", b"mo", True) == b"0" and coarse(b"130", b"mo", True) == b"120"
    assert coarse(b"1200", b"mo", False) == b"1080" and coarse(b"17.9", b"a", True) == b"15"
    assert coarse(b"7", b"kg", False) == coarse(b"x", b"a", False) == coarse(b"-3", b"a", True) == b"0"


def test_a_profile_without_the_option_refuses() -> None:
    ds = report(Mint())
    profile = parse_profile(b'inherit = "high"\noptions = ["modified_dates", "descriptors", "patient"]\n')
    subject = Deidentifier(profile, DeidKeys.derive(SECRET, "app", "high"))
    with pytest.raises(Refused, match="structured-content"):
        subject.deidentify(encode(ds), EXPLICIT_LITTLE, None)


@pytest.mark.parametrize("level", LEVELS)
def test_concepts_of_no_row_that_tell_what_an_attribute_tells(level: str) -> None:
    """profiles/concepts.toml: by code, and by meaning under somebody's own code."""
    mint = Mint()
    family = mint.cased("family")
    ds = document(
        item("NUM", code("29463-7", "LN", "Patient Weight"), ("81", code("kg", "UCUM", "kg"))),
        item("NUM", code("X1", "99HOSP", "Patient Height"), ("177", code("cm", "UCUM", "cm"))),
        item("NUM", code("424144002", "SCT", "Current chronological age"), ("93", code("a", "UCUM", "year"))),
        item("TEXT", code("X2", "99HOSP", "Age"), "eighty-one years"),
        item("TEXT", code("X3", "99HOSP", "MRN"), mint.digits("number")),
        item("TEXT", code("X4", "99HOSP", "Patient Name"), f"{family}, {mint.cased('given')}"),
        item("TEXT", dcm("121071", "Finding"), f"{family.lower()} has a nodule"),
    )
    result, findings = run(ds, level)
    assert [str(finding) for finding in findings] == []
    out = decode(result.header)
    assert survivors(mint.values, result.header, out) == []
    assert b"eighty" not in result.header
    numbers = [one.MeasuredValueSequence[0].NumericValue for one in nodes(out) if one.ValueType == "NUM"]
    assert numbers == ([90] if level == "high" else [81, 177, 90])
