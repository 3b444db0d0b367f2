"""Encapsulated documents leave as meshes of numbers or as text written anew, or they do not leave."""

from __future__ import annotations

import io
import random
import struct
from xml.etree import ElementTree

import pypdfium2
import pytest
from pydicom.dataset import Dataset
from pypdf import PdfWriter
from pypdf.annotations import FreeText
from pypdf.generic import DictionaryObject, NameObject, TextStringObject

from deid_kit import Mint, decode, deidentifier, encode, minimal, new_uid, survivors
from wardlight.deid import documents, documents_cda, documents_mesh, documents_pdf
from wardlight.deid.documents import DocumentError
from wardlight.deid.engine import Refused
from wardlight.deid.verify import verify
from wardlight.dicom.transfer_syntax import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, TransferSyntax

STORAGE = "1.2.840.10008.5.1.4.1.1.104."
PDF, CDA, STL, OBJ, MTL = (STORAGE + end for end in "12345")
MIME = {PDF: "application/pdf", CDA: "text/XML", STL: "model/stl", OBJ: "model/obj", MTL: "model/mtl"}
ALL = ("high", "medium", "low")
NAMING = documents_mesh.Naming(lambda name: b"A" * 16, lambda number: False)


def holding(sop_class: str, document: bytes, mint: Mint | None = None) -> Dataset:
    """An object with the document."""
    mint = mint or Mint()
    ds = minimal(sop_class, "DOC" if sop_class in (PDF, CDA) else "M3D")
    for keyword in ("Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(ds, keyword)
    ds.PatientName = f"{mint.cased('family')}^{mint.cased('given')}"
    ds.PatientID = mint.digits("patient id")
    ds.ContentDate, ds.ContentTime, ds.AcquisitionDateTime = "20240317", "101500", "20240317101500"
    ds.BurnedInAnnotation = "NO"
    ds.DocumentTitle = f"report of {mint.values['family']}"
    ds.MIMETypeOfEncapsulatedDocument = MIME[sop_class]
    ds.EncapsulatedDocumentLength = len(document)
    ds.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    return ds


def released(ds: Dataset, level: str, syntax: TransferSyntax = EXPLICIT_LITTLE) -> Dataset:
    header = encode(ds, syntax)
    result = deidentifier(level).deidentify(header, syntax, None)
    assert verify(header, syntax.uid, result.header, level=level) == []
    out = decode(result.header, syntax)
    document = out.EncapsulatedDocument
    assert out.MIMETypeOfEncapsulatedDocument == MIME[ds.SOPClassUID]
    assert out.get("EncapsulatedDocumentLength", len(document)) in (len(document), len(document) - 1)
    return out


def found(ds: Dataset, level: str, spoilt: bytes) -> list[str]:
    """What the verifier says where this document leaves."""
    header = encode(ds)
    out = decode(deidentifier(level).deidentify(header, EXPLICIT_LITTLE, None).header)
    out.EncapsulatedDocument = spoilt + b"\0" * (len(spoilt) % 2)
    out.pop("EncapsulatedDocumentLength", None)
    return [finding.code for finding in verify(header, EXPLICIT_LITTLE.uid, encode(out), level=level)]


def stl(head: bytes = b"", attribute: int = 0, numbers: int = 12) -> bytes:
    facet = struct.pack("<12fH", *(0.25 * n for n in range(12)), attribute)
    return head.ljust(80, b"\0") + (2).to_bytes(4, "little") + 2 * facet


def cda(text: str, name: str = "Meyerlich", entry: str = "") -> bytes:
    """A report with names in its header, in its attributes and in elements that nobody knows."""
    return f"""<?xml version="1.0"?><!-- {name} -->
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:x="urn:{name}">
<id root="1.2.3" extension="{name}"/><code code="18748-4" codeSystem="2.16.840.1.113883.6.1" displayName="{name}"/>
<title>CT chest</title><effectiveTime value="20240317"/>
<recordTarget><patientRole><patient><name>{name}</name></patient></patientRole></recordTarget>
<author><assignedAuthor><assignedPerson><name>{name}</name></assignedPerson></assignedAuthor></author>
<component><structuredBody><component><section ID="{name}"><x:{name}>{name}</x:{name}>
<code code="{name}" codeSystem="1.2.3"/><title>head</title><text><paragraph styleCode="{name}">{text}</paragraph></text>
<entry typeCode="COMP"><observation classCode="OBS" moodCode="EVN"><id extension="{name}"/>
<code code="51185008" codeSystem="2.16.840.1.113883.6.96"/><statusCode code="completed"/>{entry}
<performer><name>{name}</name></performer></observation></entry>
</section></component></structuredBody></component></ClinicalDocument>""".encode()


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG], ids=lambda s: s.name)
@pytest.mark.parametrize("level", ALL)
def test_a_binary_stl(level: str, syntax: TransferSyntax) -> None:
    mint = Mint()
    mesh = stl(f"made for {mint.cased('family')}".encode(), 0x4D4D)
    ds = holding(STL, mesh)
    ds.PatientName = mint.values["family"]
    out = released(ds, level, syntax)
    assert bytes(out.EncapsulatedDocument) == stl()
    left = encode(out)
    assert not survivors(mint.values, left, out)


def test_an_ascii_stl_loses_its_name() -> None:
    facet = "facet normal 0 0 1\n outer loop\n  vertex 0 0 0\n vertex 1.50 0 0\n vertex 0 1e0 0\n endloop\n endfacet\n"
    ds = holding(STL, f"solid Meyerlich\n{facet}endsolid Meyerlich\n".encode())
    document = bytes(released(ds, "high").EncapsulatedDocument).rstrip(b"\0")
    assert document.startswith(b"solid\nfacet normal 0 0 1\n") and b"vertex 1.5 0 0\n" in document


@pytest.mark.parametrize("level", ALL)
def test_obj_and_mtl_share_their_keyed_names(level: str) -> None:
    mint = Mint()
    name = mint.cased("family")
    mesh = (
        f"# for {name}\nmtllib {name}.mtl\no {name} left\nv 0.0 1 2\nv 1 0 0\nv 0 0 1.25\nvn 0 0 1\n"
        f"g {name} skull\nusemtl {name}\ns off\nf 1//1 2//1 -1//-1\n"
    )
    material = f"newmtl {name}\nKd 0.5 0.5 0.50\nd 1.0\nillum 2\nmap_Kd {name}.png # {name}\n"
    shape, colours = holding(OBJ, mesh.encode(), mint), holding(MTL, material.encode(), mint)
    shape.PatientName = colours.PatientName = name
    made = released(shape, level).EncapsulatedDocument.rstrip(b"\0")
    paint = released(colours, level).EncapsulatedDocument.rstrip(b"\0")
    assert not survivors(mint.values, made + paint, Dataset())
    assert b"f 1//1 2//1 -1//-1\n" in made and b"Kd 0.5 0.5 0.5\n" in paint
    used = next(line for line in made.splitlines() if line.startswith(b"usemtl"))
    assert used.split()[1] == paint.split()[1]


@pytest.mark.parametrize(
    ("kind", "document", "code"),
    [
        (STL, stl()[:-7], "document-damaged"),
        (STL, stl()[:84] + struct.pack("<12fH", *([float("nan")] * 12), 0) * 2, "document-damaged"),
        (STL, b"solid x\nMeyerlich\nendsolid", "document-damaged"),
        (OBJ, b"v 0 0 0\nMeyerlich 1\n", "document-statement"),
        (OBJ, b"v 0 0 Meyerlich\n", "document-damaged"),
        (OBJ, b"v 0 0 0\nf 1 1 4711234\n", "document-damaged"),
        (OBJ, b"f 1 2 3\n", "document-damaged"),
        (MTL, b"newmtl a\nname Meyerlich\n", "document-statement"),
        (MTL, b"", "document-damaged"),
        (CDA, b"<ClinicalDocument/>", "document-damaged"),
        (
            CDA,
            b'<ClinicalDocument xmlns="urn:hl7-org:v3"><title>CT</title></ClinicalDocument>',
            "document-empty",
        ),
        (CDA, b'<!DOCTYPE a [<!ENTITY b "Meyerlich">]><a>&b;</a>', "document-statement"),
        (CDA, cda("CT").replace(b"structuredBody", b"nonXMLBody"), "document-statement"),
        (CDA, cda("<content>" * 80 + "</content>" * 80), "document-too-large"),
        (PDF, b"%PDF-1.4 nothing", "document-damaged"),
        (PDF, documents_pdf.write([[]]), "document-empty"),
    ],
)
def test_what_cannot_be_cleaned_stays(kind: str, document: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        deidentifier("low").deidentify(encode(holding(kind, document)), EXPLICIT_LITTLE, None)
    assert refused.value.reasons == (code,)


def test_an_identifier_among_the_coordinates_stays() -> None:
    ds = holding(OBJ, b"v 914711234 0 0\nv 0 0 0\n")
    ds.PatientID = "914711234"
    with pytest.raises(Refused, match="document-number"):
        deidentifier("low").deidentify(encode(ds), EXPLICIT_LITTLE, None)
    ds.EncapsulatedDocument = b"v 1 0 0\nv 914711235 0 0\n"
    assert found(ds, "low", b"v 1 0 0\nv -914711235 0 0\n") == []
    assert found(ds, "low", b"v 1 0 0\nv 1 914711234 0\n") == ["identifier"]


def test_no_document_leaves_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_KINDS", {STL: (b"model/stl", 100)})
    with pytest.raises(Refused, match="document-too-large"):
        deidentifier("low").deidentify(encode(holding(STL, stl())), EXPLICIT_LITTLE, None)


def pdf(*lines: str) -> bytes:
    """A PDF by another's hand: metadata, script, attachment, link and form besides its text."""
    writer = PdfWriter(io.BytesIO(documents_pdf.write([[line.encode() for line in lines]])))
    writer.add_metadata({"/Author": "Meyerlich", "/Title": "Meyerlich"})
    action = DictionaryObject()
    action[NameObject("/S")] = NameObject("/JavaScript")
    action[NameObject("/JS")] = TextStringObject("app.alert('Meyerlich')")
    writer.root_object[NameObject("/OpenAction")] = action
    writer.add_attachment("Meyerlich.txt", b"Meyerlich")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


@pytest.mark.parametrize("level", ALL)
def test_a_pdf_whose_words_may_stay_is_written_anew(level: str) -> None:
    document = pdf("CT chest", "head 5 mm")
    assert b"Meyerlich" in document
    out = released(holding(PDF, document), level)
    made = bytes(out.EncapsulatedDocument)
    assert b"Meyerlich" not in made and made.startswith(b"%PDF-1.4\n")
    text = pypdfium2.PdfDocument(made)[0].get_textpage().get_text_range()
    assert text.split() == ["CT", "chest", "head", "5", "mm"]


@pytest.mark.parametrize("level", ALL)
def test_a_cda_is_built_anew_of_sections_text_and_published_codes(level: str) -> None:
    mint = Mint()
    name = mint.cased("family")
    values = '<value xsi:type="PQ" value="5" unit="mm"/><value xsi:type="ST">liver</value>'
    ds = holding(CDA, cda("CT chest<br/><content>head</content> 5 mm", name, values))
    ds.PatientName = name
    out = released(ds, level)
    made = bytes(out.EncapsulatedDocument)
    assert not survivors(mint.values, encode(out), out) and b"20240317" not in made
    root = ElementTree.fromstring(made.rstrip(b"\0"))
    assert root.tag == "{urn:hl7-org:v3}ClinicalDocument" and len(root.findall("{*}recordTarget")) == 1
    assert root.find(".//{*}paragraph/{*}content").text == "head"
    assert root.find(".//{*}observation/{*}code").get("code") == "51185008"
    assert [one.get("value") or one.text for one in root.iter("{urn:hl7-org:v3}value")] == ["5", "liver"]


def test_a_cda_leaves_with_all_its_words_or_not() -> None:
    ds = holding(CDA, cda("chest, seen by Meyerlich"))
    for level in ("high", "medium"):
        with pytest.raises(Refused, match="document-words"):
            deidentifier(level).deidentify(encode(ds), EXPLICIT_LITTLE, None)
    ds.PatientName = "Meyerlich^Ada"
    assert b"chest, seen by" in bytes(released(ds, "low").EncapsulatedDocument)
    ds.EncapsulatedDocument = cda("<content>Meyer</content><content>lich</content>") + b" "
    with pytest.raises(Refused, match="identifier-left"):
        deidentifier("low").deidentify(encode(ds), EXPLICIT_LITTLE, None)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (b"<paragraph>", b"<paragraph><!-- Meyerlich -->"),
        (b"<paragraph>", b'<paragraph ID="Meyerlich">'),
        (b"<paragraph>", b"<paragraph>Meyerlich "),
        (b"<paragraph>", b"<person><paragraph>"),
        (b"<title>head", b'<code code="MEYER" codeSystem="2.16.840.1.113883.6.96"/><title>head'),
        (b'<id nullFlavor="MSK"/></patientRole>', b'<id extension="Meyerlich"/></patientRole>'),
        (b'"completed"', b'"meyerlich"'),
        (b'classCode="OBS"', b'classCode="MEYER"'),
    ],
)
def test_the_verifier_takes_only_a_cda_of_that_form(part: bytes, other: bytes) -> None:
    ds = holding(CDA, cda("CT chest"))
    made = bytes(released(ds, "high").EncapsulatedDocument).rstrip(b"\0")
    assert part in made
    assert set(found(ds, "high", made.replace(part, other, 1))) & {"document", "words"}


@pytest.mark.parametrize(
    "line", ["CT chest of Meyerlich", "CT 2024-01-05", "CT 4711234", "Frau M.", "chest 14:35"]
)
def test_a_pdf_with_other_words_stays(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents_pdf, "pages_of", lambda data: [["CT head"], [line]])
    for level in ("high", "medium"):
        with pytest.raises(Refused, match="document-words"):
            deidentifier(level).deidentify(encode(holding(PDF, b"%PDF")), EXPLICIT_LITTLE, None)


def test_a_pdf_loses_who_it_is_about_at_low() -> None:
    mint = Mint()
    name, number = mint.cased("family"), mint.digits("patient id")
    ds = holding(PDF, pdf(f"Report for {name.upper()}, {number}", "Nothing unusual (naïve)"))
    ds.PatientName, ds.PatientID = name, number
    out = released(ds, "low")
    left = encode(out)
    assert not survivors(mint.values, left, out)
    text = pypdfium2.PdfDocument(bytes(out.EncapsulatedDocument))[0].get_textpage().get_text_range()
    assert "Report for" in text and "Nothing unusual (naïve)" in text


def test_notes_pictures_and_other_scripts_stay() -> None:
    writer = PdfWriter(io.BytesIO(documents_pdf.write([[b"chest"]])))
    writer.add_annotation(0, FreeText(text="Meyerlich", rect=(0, 0, 99, 99)))
    file = io.BytesIO()
    writer.write(file)
    with pytest.raises(DocumentError, match="document-annotations"):
        documents_pdf.pages_of(file.getvalue())
    picture = documents_pdf.write([[b"chest"]]).replace(
        b"<< /Type /Font /Subtype /Type1", b"<< /Type /XObj /Subtype /Image"
    )
    with pytest.raises(Refused, match=r"document-pictures|document-damaged"):
        deidentifier("low").deidentify(encode(holding(PDF, picture)), EXPLICIT_LITTLE, None)
    with pytest.raises(DocumentError, match="document-script"):
        documents_pdf.write([["王小东".encode()]])


@pytest.mark.parametrize(
    ("kind", "clean", "spoilt"),
    [
        (STL, stl(), stl(b"Meyerlich")),
        (STL, stl(), stl(attribute=7)),
        (STL, stl(), stl() + b"Meyerlich!"),
        (OBJ, b"v 0 0 0\n", b"v 0 0 0\n# Meyerlich\n"),
        (OBJ, b"v 0 0 0\n", b"v 0 0 0\no Meyerlich\n"),
        (MTL, b"newmtl a\n", b"newmtl Meyerlich\n"),
    ],
)
def test_the_verifier_takes_only_what_was_written_anew(kind: str, clean: bytes, spoilt: bytes) -> None:
    codes = found(holding(kind, clean), "high", spoilt)
    assert codes and set(codes) <= {"document", "words", "identifier"}


def test_the_verifier_reads_the_text_of_a_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    original = pdf("CT chest")
    monkeypatch.setattr(documents_pdf, "pages_of", lambda data: [["CT chest"]])
    ds = holding(PDF, original)
    assert found(ds, "high", original) == ["document"]
    assert found(ds, "high", b"%PDF-1.4\nMeyerlich\n%%EOF\n") == ["document"]
    assert found(ds, "high", documents_pdf.write([[b"CT Meyerlich"]])) == ["words"]
    ds.PatientName = "Meyerlich^Ada"
    assert "identifier" in found(ds, "low", documents_pdf.write([[b"CT of MEYERLICH"]]))
    assert found(ds, "low", documents_pdf.write([[b"CT of somebody"]])) == []


def test_a_mesh_of_noise_is_no_alarm_for_short_names() -> None:
    generator = random.Random(7)
    facets = b"".join(
        struct.pack("<12fH", *(generator.uniform(-300, 300) for _ in range(12)), 0) for _ in range(4000)
    )
    for name in ("LI", "O", "王"):
        ds = holding(STL, bytes(80) + (4000).to_bytes(4, "little") + facets)
        ds.PatientName = name
        released(ds, "high")


def test_readers_of_meshes_stop_at_nothing_but_their_error() -> None:
    generator = random.Random(3)
    seeds = {
        documents_mesh.stl: [stl(b"x", 3), b"solid a\nfacet normal 0 0 1 outer loop vertex 0 0 0\nendsolid"],
        documents_mesh.obj: [b"v 0 0 0\nvt 1\nvn 0 0 1\ng a b\nf 1/1/1 -1/-1/-1 1\\\n 1\ns 1\n"],
        lambda data, _naming: documents_cda.write(*documents_cda.read(data)[:1], bytes): [cda("CT")],
        documents_mesh.mtl: [b"newmtl a b\nKd 0 0 1\nd -halo 0.5\nmap_Kd a.png\n"],
    }
    for write, some in seeds.items():
        for turn in range(400):
            data = bytearray(generator.choice(some))
            for _ in range(generator.randrange(1, 6)):
                place = generator.randrange(len(data))
                data[place : place + generator.randrange(3)] = generator.randbytes(generator.randrange(4))
            try:
                write(bytes(data), NAMING)
            except DocumentError:
                pass
            except Exception as error:
                raise AssertionError((write.__name__, turn, bytes(data))) from error


def test_the_reader_of_pdf_stops_at_nothing_but_its_error() -> None:
    generator = random.Random(5)
    document = pdf("CT chest")
    for turn in range(3):
        data = bytearray(document)
        for _ in range(8):
            data[generator.randrange(len(data))] = generator.randrange(256)
        try:
            documents_pdf.pages_of(bytes(data))
        except DocumentError as error:
            assert "Meyerlich" not in str(error), turn


def test_a_document_where_none_belongs_is_refused() -> None:
    ds = minimal()
    ds.EncapsulatedDocument = b"Meyerlich."
    with pytest.raises(Refused, match="encapsulated-document"):
        deidentifier("low").deidentify(encode(ds), EXPLICIT_LITTLE, None)
    inner = Dataset()
    inner.EncapsulatedDocument, inner.ReferencedSOPInstanceUID = b"Meyerlich.", new_uid()
    plain = minimal()
    plain.ReferencedImageSequence = [inner]
    out = deidentifier("low").deidentify(encode(plain), EXPLICIT_LITTLE, None)
    assert b"Meyerlich" not in out.header
