"""Forms of reports: evidence that verifies, FHIR that is FHIR, PDF for people, pages that cannot do anything."""

from __future__ import annotations

import html
import io
import json
import re

import pypdfium2
import pytest
from fhir.resources.R4B.bundle import Bundle as FhirBundle
from lxml import html as lxml_html

from platform_kit import a_platform
from report_kit import OWN, START, Bench
from wardlight.audit.actions import Action
from wardlight.audit.verifier import Trust, verify
from wardlight.errors import WardlightError
from wardlight.trail import report_html, report_pdf, report_words
from wardlight.trail.report_breach import Incident
from wardlight.trail.report_document import Cell, Column, Document, Paragraph, Table
from wardlight.trail.report_forms import ACCESS_FORMS, BREACH_FORMS, Form, chosen
from wardlight.trail.report_model import Period
from wardlight.trail.report_service import Report
from wardlight.trail.service import Identifiers

ME = Identifiers(patients=OWN)
LATE = START.replace(year=2027)
ATTACK = '<script>alert(1)</script>"\' #eval("1") $x$ @cite *b* _i_ \\ [x](y)'


@pytest.fixture(scope="module")
def bench(stores):
    with a_platform() as platform:
        bench = Bench(platform)
        bench.fill(seed=21, count=60)
        yield bench


def access(bench, form, *, names=False) -> bytes:
    with bench.at(LATE):
        report = bench.reports.access(bench.asker, ME, Period(), form, names=names, zone="UTC")
    return whole(report)


def whole(report: Report) -> bytes:
    return report.data if isinstance(report.data, bytes) else b"".join(report.data)


def text_of(pdf: bytes) -> str:
    pages = pypdfium2.PdfDocument(pdf)
    return "\n".join(page.get_textpage().get_text_range() for page in pages)


def squeezed(text: str) -> str:
    """Without what a line's end adds or a PDF reader takes away."""
    return re.sub(r"[\s\u200b\u2060\ufffe-]+", "", text)


def test_the_evidence_verifies_and_shows_the_patients_entries_alone(bench):
    data = access(bench, Form.EVIDENCE, names=True)
    log = bench.platform.audit_log
    head = log.logs(bench.institution)[-1]
    trust = Trust(origin=head.origin, vkeys=log.vkeys(head), log_key_only=True)
    verdict = verify(io.BytesIO(data), trust)
    assert verdict.verdict == "verified", verdict
    assert verdict.withheld > 0
    own = {
        bench.subject(patient, study)[place] for patient in (0, 1) for study in range(3) for place in (0, 1)
    }
    shown = [row["entry"] for row in map(json.loads, data.splitlines()) if "entry" in row]
    about = [entry for entry in shown if entry.get("subjects")]
    assert about
    for entry in about:
        assert {value for subject in entry["subjects"] for value in subject.values()} <= own
    everything = [
        entry
        for _, entry in bench.entries()
        if entry.get("subjects")
        and {value for subject in entry["subjects"] for value in subject.values()} <= own
        and entry["action"] != Action.SUBJECT_REPORT_ACCESS
    ]
    assert {entry["id"] for entry in about} >= {entry["id"] for entry in everything}


def test_a_changed_evidence_is_found(bench):
    data = access(bench, Form.EVIDENCE, names=True).replace(b'"purpose":"TREAT"', b'"purpose":"TRAIN"', 1)
    assert verify(io.BytesIO(data), Trust(log_key_only=True)).verdict == "altered"


def test_evidence_names_staff_so_it_must_be_wanted(bench):
    with pytest.raises(WardlightError, match="bad-request"):
        access(bench, Form.EVIDENCE)


@pytest.mark.parametrize("names", [False, True])
def test_the_bundle_is_fhir(bench, names):
    data = access(bench, Form.FHIR, names=names)
    bundle = FhirBundle.model_validate_json(data)
    assert bundle.type == "collection"
    report = json.loads(access(bench, Form.JSON, names=names))
    ids = {event["resource"]["id"].partition(".")[0] for event in json.loads(data)["entry"]}
    entries = dict(bench.entries())
    assert ids >= {
        entries[index]["id"] for line in report["lines"] for index in line["entries"] if index in entries
    }
    for person in bench.people:
        assert (person.id in data.decode()) is names
    assert ("198.51.100.7" in data.decode()) is names
    for patient in (2, 3, 4):
        assert bench.subject(patient, 0)[0] not in data.decode()


def test_the_bundle_of_nothing_is_fhir(bench):
    with bench.at(LATE):
        whom = Identifiers(patients=(("", "nobody"),))
        report = bench.reports.access(bench.asker, whom, Period(), Form.FHIR, names=False, zone="UTC")
    assert FhirBundle.model_validate_json(whole(report)).entry is None


def test_pdf_says_what_html_says(bench):
    for make in (
        lambda form: access(bench, form, names=True),
        lambda form: whole(bench.reports.breach(bench.asker, Incident(Period(0, None)), form)),
    ):
        pdf = squeezed(text_of(make(Form.PDF)))
        page = lxml_html.fromstring(make(Form.HTML).decode())
        cells = page.xpath(
            "//h1 | //h2 | //tbody//b | //dd[not(@class)] | //ol/li | //ul[@class='listing']/li"
        )
        assert len(cells) > 60
        shown = [squeezed(cell.text_content()) for cell in cells]
        missing = [text for text in shown if text not in pdf and not re.search(r"[\u0590-\u06ff]", text)]
        assert missing == []


def test_the_pdf_is_tagged_and_says_so(bench):
    pdf = access(bench, Form.PDF)
    document = pypdfium2.PdfDocument(pdf)
    assert document.is_tagged()
    assert document.get_metadata_dict()["Title"] == "Who saw your images and health data"
    assert b"pdfuaid" in pdf
    assert b"JavaScript" not in pdf and b"/URI" not in pdf


def a_document(*names: str) -> Document:
    rows = tuple((Cell(name), Cell("x")) for name in names)
    table = Table("people", (Column("Who", 50), Column("What", 50)), rows)
    return Document("en", "Title", "eyebrow", "lead", (Paragraph("text"), table), "foot", "{page} of {pages}",
                    "2026-11-24T12:00:00.000Z")  # fmt: skip


NAMES = (
    "Ngô Thị Ánh",
    "Žofie Ďurišová",
    "Γιώργος Παπαδόπουλος",
    "Олена Щедрін",
    "山田 太郎",
    "やまだ",
    "김철수",
    "張偉",
)


def test_names_of_any_script_print():
    pdf = report_pdf.render(a_document(*NAMES, "د. محمد علي", "נועה לוי", "Հայկ", "გია"))
    assert b"pdfuaid" in pdf, "the standard forbids characters without a picture"
    text = squeezed(text_of(pdf))
    for name in NAMES:
        assert squeezed(name) in text
    assert {"محمد"[0], "נ"} <= set(text)


def test_a_character_that_no_font_has_does_not_keep_the_report_back():
    assert "Title" in text_of(report_pdf.render(a_document("\U0001e900 Adlam")))


def test_a_pdf_has_a_limit(monkeypatch):
    monkeypatch.setattr(report_pdf, "MAX_ROWS", 2)
    assert report_pdf.render(a_document("a", "b")).startswith(b"%PDF-")
    with pytest.raises(WardlightError, match="query-too-broad"):
        report_pdf.render(a_document("a", "b", "c"))


def test_what_is_told_is_never_markup():
    page = report_html.render(a_document(ATTACK)).decode()
    assert "<script" not in page
    assert html.escape(ATTACK) in page
    assert squeezed(ATTACK) in squeezed(text_of(report_pdf.render(a_document(ATTACK))))


def test_the_page_is_whole_and_does_nothing(bench):
    for data in (
        access(bench, Form.HTML),
        whole(bench.reports.breach(bench.asker, Incident(Period(0, None)), Form.HTML)),
    ):
        page = lxml_html.fromstring(data.decode())
        assert (
            page.xpath("//script | //img | //iframe | //form | //link | //@onclick | //@href | //@src") == []
        )
        assert b"http://" not in data and b"https://" not in data
        assert page.get("lang") == "en"
        assert len(page.xpath("//h1")) == 1
        for table in page.xpath("//table"):
            assert table.xpath("./caption")[0].text_content()
            assert table.xpath(".//thead//th[not(@scope='col')]") == []
            assert table.xpath(".//tbody/tr[not(th[@scope='row'])]") == []


def test_every_action_has_words():
    for action in Action:
        assert report_words.action(action.value)[0].isupper()
    assert set(report_words.ACTIONS) <= set(Action)
    assert report_words.action("future:thing:happen") == "Did “future:thing:happen”"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("gdpr:6.1.c+9.2.h", "a legal duty, health care (GDPR Art. 6(1)(c), 9(2)(h))"),
        ("gdpr:17.3", "GDPR Art. 17(3)"),
        ("hipaa:tpo", "treatment, payment and health care operations (HIPAA)"),
        ("pipeda:x", "pipeda:x"),
        ("", ""),
    ],
)
def test_legal_bases(code, words):
    assert report_words.basis(code).replace("\u2060", "") == words


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (9949, "9.9 kB"), (999_499, "999 kB"),
     (262_144_000, "262 MB"), (3_200_000_000, "3.2 GB"), (10**16, "10000 TB")],
)  # fmt: skip
def test_sizes(size, words):
    assert report_words.size(size) == words.replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form.JSON),
        ("*/*", Form.JSON),
        ("application/pdf", Form.PDF),
        ("text/html,application/pdf;q=0.9", Form.HTML),
        ("text/csv", Form.CSV),
        ("text/*", Form.HTML),
    ],
)
def test_the_form_that_is_accepted(accept, form):
    assert chosen(accept, BREACH_FORMS) is form


@pytest.mark.parametrize("accept", ["text/csv", "image/png", "application/dicom"])
def test_a_form_that_is_not_given(accept):
    with pytest.raises(WardlightError, match="not-acceptable"):
        chosen(accept, ACCESS_FORMS)
