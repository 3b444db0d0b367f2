"""Reports and documents as they are rendered; text made to run or to steer comes out as text (security test 24)."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

import real_files
from archive_kit import dataset, part10
from web_kit import Web, a_web

COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
HOSTILE = {
    "script": "<script>alert(document.cookie)</script>",
    "attribute": "\"><img src=x onerror=alert(1)>'`",
    "svg": "<svg onload=alert(1)><desc>",
    "end": "]]></body></html><script>x</script><!--",
    "right to left": "\u202efdp.exe\u2066\u200f",
    "nul": "before\0after",
    "terminal": "\x1b[2J\x1b]0;title\x07",
    "line": 'a\r\nSet-Cookie: x=1\r\n\r\n{"event": "forged"}',
    "entity": "&lt;b&gt; &#x3c;script&#x3e;",
    "long": "<b>" + "A" * 70_000 + "</b>",
}
#: Elements of our page; there is no other.
ELEMENTS = {"html", "head", "meta", "title", "body", "ul", "li", "b", "bdi", "br"}


@pytest.fixture(scope="module")
def web():
    with a_web() as web:
        yield web


def without_pixels(**values) -> Dataset:
    ds = dataset(StudyInstanceUID=generate_uid(), **values)
    for keyword in ("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored",
                    "HighBit", "PixelRepresentation", "PixelData"):  # fmt: skip
        delattr(ds, keyword)
    return ds


def code(meaning: str, value: str = "121071") -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return Sequence([item])


def content(kind: str, name: str = "", **values) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", kind
    if name:
        item.ConceptNameCodeSequence = code(name)
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def report(*items: Dataset, title: str = "Imaging Report") -> Dataset:
    ds = without_pixels(SOPClassUID=COMPREHENSIVE_SR, Modality="SR")
    ds.ValueType, ds.ConceptNameCodeSequence = "CONTAINER", code(title)
    ds.ContentSequence = Sequence(items)
    return ds


def store(web: Web, ds: Dataset) -> str:
    assert web.kit.store(part10(ds)) == ["stored"]
    return (
        f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}/rendered"
    )


class Page(HTMLParser):
    """The elements, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes |= set(attrs)

    def handle_data(self, data):
        self.text += data


def test_a_report_in_reading_order(web: Web) -> None:
    measured = Dataset()
    measured.NumericValue = "12.5"
    measured.MeasurementUnitsCodeSequence = code("millimeter", "mm")
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.9"
    ds = report(
        content("TEXT", "Finding", TextValue="A nodule,\nnear the pleura"),
        content(
            "CONTAINER", "Measurements",
            ContentSequence=Sequence(
                [
                    content("NUM", "Diameter", MeasuredValueSequence=Sequence([measured])),
                    content("CODE", "Site", ConceptCodeSequence=code("Right lung")),
                    content("IMAGE", ReferencedSOPSequence=Sequence([image])),
                ]
            ),
        ),
        content("PNAME", "Observer", PersonName="Müller^Anna^^Dr"),
        content("DATE", "Date", Date="20260102"),
        content("SCOORD", "Region", GraphicType="CIRCLE", GraphicData=[1, 2, 3, 4]),
        content("NUM", "Nothing measured"),
    )  # fmt: skip
    path = store(web, ds)
    answer = web.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    plain = web.get(path, "text/plain")
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert plain.text == (
        "Imaging Report\n"
        "  Finding: A nodule,\n    near the pleura\n"
        "  Measurements\n    Diameter: 12.5 mm\n    Site: Right lung\n    image 1.2.3.9\n"
        "  Observer: Müller Anna Dr\n  Date: 20260102\n  Region: region: circle\n  Nothing measured\n"
    )
    page = Page(answer.text)
    assert page.elements <= ELEMENTS and page.attributes == {("charset", "utf-8")}
    for line in plain.text.splitlines():
        assert line.split(": ")[-1].strip() in page.text
    assert answer.text.count("<ul>") == answer.text.count("</ul>") == 3


@pytest.mark.parametrize("name", ["test-SR.dcm", "reportsi.dcm"])
def test_real_reports(web: Web, name: str) -> None:
    path = next(path for path in real_files.paths() if path.name == name)
    ds = pydicom.dcmread(path)
    web.kit.store(path.read_bytes())
    resource = (
        f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}/rendered"
    )
    text = web.get(resource, "text/plain").text
    for element in ds.iterall():
        if element.keyword == "TextValue":
            assert " ".join(element.value.split()) in " ".join(text.split())


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_hostile_text_is_text(web: Web, name: str, accept: str) -> None:
    text = HOSTILE[name]
    ds = report(
        content("TEXT", text[:64], TextValue=text),
        content("CODE", "Code", ConceptCodeSequence=code(text[:64])),
        content("PNAME", "Name", PersonName=text[:64].replace("\\", "")),
        content("UIDREF", "Reference", UID="1.2.3"),
        title=text[:64],
    )
    answer = web.get(store(web, ds), accept)
    assert answer.status_code == 200
    policies = ", ".join(answer.headers.get_list("content-security-policy"))
    assert "sandbox" in policies and "default-src 'none'" in policies and "unsafe" not in policies
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    # Nothing that steers a terminal or the direction of writing is left.
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", answer.text)
    if accept == "text/html":
        page = Page(answer.text)
        assert page.elements <= ELEMENTS and page.attributes == {("charset", "utf-8")}
        if name in ("script", "attribute", "svg", "end", "entity"):
            assert text in page.text
    else:
        assert not answer.headers["content-type"].startswith("text/html")


def test_a_report_without_end(web: Web) -> None:
    """Deep and wide: bounded by depth and by count, and what is left out is said."""
    wide = report(*(content("TEXT", "", TextValue=str(n)) for n in range(20_010)))
    text = web.get(store(web, wide), "text/plain").text
    assert "19999" in text and "20005" not in text and "more items" in text
    deep = content("TEXT", "deepest", TextValue="x")
    for _ in range(29):
        deep = content("CONTAINER", "level", ContentSequence=Sequence([deep]))
    assert web.get(store(web, report(deep)), "text/html").text.count("level") == 29
    assert web.get(store(web, report()), "text/plain").text == "Imaging Report\n"


@pytest.mark.parametrize("document", [b"%PDF-1.7\n<script>alert(1)</script>\n%%EOF", b"%PDF-1.4\n%%EOF\n1"])
def test_a_pdf_is_given_away_and_never_shown(web: Web, document: bytes) -> None:
    ds = without_pixels(SOPClassUID=ENCAPSULATED_PDF, Modality="DOC")
    ds.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    ds.EncapsulatedDocumentLength = len(document)
    ds.MIMETypeOfEncapsulatedDocument = 'text/html"\r\nX: y'[:9]
    ds.DocumentTitle = HOSTILE["script"]
    answer = web.get(store(web, ds))
    assert answer.content == document
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == 'attachment; filename="document.pdf"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in ", ".join(answer.headers.get_list("content-security-policy"))
    assert web.get(store(web, ds_again(ds)), "text/html").status_code == 406


def ds_again(ds: Dataset) -> Dataset:
    again = pydicom.dcmread(io.BytesIO(part10(ds)))
    again.SOPInstanceUID = generate_uid()
    return again


def test_what_calls_itself_a_pdf(web: Web) -> None:
    ds = without_pixels(SOPClassUID=ENCAPSULATED_PDF, Modality="DOC")
    ds.EncapsulatedDocument = b"<html><script>alert(1)</script></html>"
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    answer = web.get(store(web, ds))
    assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")


@pytest.mark.parametrize(
    "sop_class",
    [
        "1.2.840.10008.5.1.4.1.1.104.2", "1.2.840.10008.5.1.4.1.1.104.3", "1.2.840.10008.5.1.4.1.1.11.1",
        "1.2.840.10008.5.1.4.1.1.481.3", "1.2.840.10008.5.1.4.1.1.9.1.1",
    ],
)  # fmt: skip
def test_others_are_not_rendered(web: Web, sop_class: str) -> None:
    """CDA, STL, presentation state, structure set, ECG."""
    ds = without_pixels(SOPClassUID=sop_class)
    ds.EncapsulatedDocument = b"<html><script>alert(1)</script></html>"
    for accept in ("", "*/*", "text/html", "application/pdf", "image/jpeg"):
        answer = web.get(store(web, ds_again(ds)), accept)
        assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")


def test_a_report_of_more_text_than_anybody_reads(web: Web) -> None:
    """Sixty megabytes of quotes would be half a gigabyte of HTML."""
    path = store(
        web, report(*(content("UIDREF" if n % 2 else "TEXT", "", TextValue='"' * 60_000) for n in range(300)))
    )
    answer = web.get(path, "text/html")
    assert answer.status_code == 200 and "more items" in answer.text
    assert len(answer.content) < 40 << 20


def test_a_report_that_is_walked_again_at_each_level(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wardlight.dicomweb.rendered_text._WALKED", 1 << 20)
    deep = content("TEXT", "deepest", TextValue="x")
    deep.add_new(0x00091001, "OB", bytes(100_000))
    for _ in range(20):
        deep = content("CONTAINER", "level", ContentSequence=Sequence([deep]))
    text = web.get(store(web, report(deep)), "text/plain").text
    assert text.count("level") == 10 and "deepest" not in text and "more items" in text
