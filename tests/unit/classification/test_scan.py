"""Files of every kind: told by their bytes, read in bounded memory, hostile ones refused."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from archive_kit import dataset, part10
from wardlight.classification import packed
from wardlight.classification.found import Confidence, Finding
from wardlight.classification.model import DataClass
from wardlight.classification.scan import Scanner
from wardlight.cli.deidentify_run import Settings, run

LOG = "2026-01-01 start\nnhs 943 476 5919\n\nmail j@x.example\n"


def scanned(data: bytes, name: str = "file", **more: object) -> tuple[list[Finding], Scanner]:
    scanner = Scanner(**more)
    return list(scanner.stream(io.BytesIO(data), name)), scanner


def places(findings: list[Finding]) -> set[tuple[int, str]]:
    return {(one.line, one.detector) for one in findings}


ENCODINGS = {
    "utf-8": str.encode,
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-8 with a mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "gzip twice": lambda text: gzip.compress(gzip.compress(text.encode())),
    "gzip of two members": lambda text: gzip.compress(text[:20].encode()) + gzip.compress(text[20:].encode()),
}
#: How files begin that the reader of one kind takes.
BEGINS = [b"", b"\x1f\x8b\x08", b"{", b"[1,", b"MSH|^~\\&|", b"a,b\n1,2\n", b"\0" * 128 + b"DICM"]


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_text_in_its_encodings(encode) -> None:
    assert places(scanned(encode(LOG))[0]) == {(2, "uk-nhs"), (4, "email")}


def test_text_that_is_not_utf8_is_read_as_windows_1252() -> None:
    assert places(scanned("Herr Müller, geb. 3.4.1950\n".encode("cp1252"))[0]) == {
        (1, "name"),
        (1, "birth-date"),
    }


def test_json_ndjson_and_tables_have_fields() -> None:
    found, _ = scanned(b'{"a": [1,\n {"birthDate": "1950-01-02"}]}')
    assert [(one.line, one.field, one.detector) for one in found] == [(2, "a[].birthDate", "birth-date")]
    found, _ = scanned(b'{"x": 1}\n{"phone": "+49 89 123456"}\n')
    assert [(one.line, one.field) for one in found] == [(2, "phone")]
    found, _ = scanned(b"dob;n\n1950-01-02;1\n1951-01-02;2\n")
    assert [(one.line, one.field) for one in found] == [(2, "dob"), (3, "dob")]


def test_a_field_that_is_itself_a_value_is_not_said() -> None:
    found, _ = scanned(b'{"j.doe@x.example": {"dob": "1950-01-02"}}')
    assert found and "j.doe" not in json.dumps([one.members() for one in found])


def test_members_of_a_zip_are_numbered_and_not_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Doe^Jane/app.log", LOG)
        archive.writestr("ct.dcm", part10(dataset(PatientName="Doe^Jane")))
    found = list(Scanner().file(path, "a.zip"))
    assert {one.file for one in found} == {"a.zip!1.log", "a.zip!2.dcm"}
    assert {"uk-nhs", "dicom-identifiability"} <= {one.detector for one in found}


def _zip(path: Path, *entries: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def test_bombs_are_refused(tmp_path: Path) -> None:
    zeros = b"a b\n" * (4 << 20)
    _, scanner = scanned(gzip.compress(zeros))
    assert scanner.seen.refused == [("file", "gzip-ratio")]
    scanner = Scanner()
    assert list(scanner.file(_zip(tmp_path / "a.zip", ("a", zeros)), "a")) == []
    assert scanner.seen.refused == [("a", "zip-ratio")]
    inner = _zip(tmp_path / "b.zip", ("a", b"x")).read_bytes()
    scanner = Scanner()
    list(scanner.file(_zip(tmp_path / "c.zip", ("b.zip", inner)), "c"))
    assert scanner.seen.refused == [("c!1", "zip-in-stream")]
    _, scanner = scanned(gzip.compress(gzip.compress(gzip.compress(b"x"))))
    assert scanner.seen.refused == [("file", "packed-too-deep")]
    _, scanner = scanned(b'{"a":' + b"[" * 100_000)
    assert scanner.seen.refused == [("file", "json-depth")]
    _, scanner = scanned(gzip.compress(LOG.encode())[:-9])
    assert scanner.seen.refused == [("file", "gzip-damaged")]
    scanner = Scanner(limits=packed.Limits(members=1))
    list(scanner.file(_zip(tmp_path / "d.zip", ("a", b""), ("b", b"")), "d"))
    assert scanner.seen.refused == [("d", "zip-too-large")]


def test_memory_does_not_follow_the_size_of_the_file() -> None:
    class Long:
        """Fifty MB of a log without a single line feed, and then of one with them."""

        def __init__(self, piece: bytes) -> None:
            self.left, self.piece = 12, piece

        def read(self, _size: int, /) -> bytes:
            self.left -= 1
            return self.piece if self.left >= 0 else b""

    for piece in (b"x" * (1 << 20), b"a plain line of a log\n" * 47_662):
        tracemalloc.start()
        assert list(Scanner().stream(Long(piece), "long")) == []
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 << 20


def test_findings_of_a_file_are_bounded() -> None:
    found, scanner = scanned(b"mail j@x.example\n" * 50, limits=packed.Limits(findings=10))
    assert (len(found), scanner.seen.more) == (10, 40)


def test_an_identified_object_is_told_by_its_elements() -> None:
    found, _ = scanned(part10(dataset(PatientName="Doe^Jane", PatientID="4711", BodyPartExamined="HEAD")))
    by = {one.element: one for one in found}
    assert by["(0010,0010)"].keyword == "PatientName" and by["(0010,0010)"].confidence is Confidence.HIGH
    assert by["(0020,000D)"].detector == "dicom-uid"
    (summary,) = [one for one in found if one.detector == "dicom-identifiability"]
    assert summary.data_class is DataClass.IMAGE_IDENTIFIED and "PatientName" in summary.reason
    assert "Doe" not in json.dumps([one.members() for one in found])


def test_text_of_elements_that_the_table_does_not_list_is_looked_at() -> None:
    ds = dataset()
    block = ds.private_block(0x0099, "ACME", create=True)
    block.add_new(1, "LO", "contact j.doe@x.example")
    found, _ = scanned(part10(ds))
    assert ("(0099,1001)", "email") in {(one.element, one.detector) for one in found}
    assert any(one.detector == "dicom-private" and one.element == "(0099,eeee)" for one in found)


@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_what_our_own_engine_made_is_pseudonymised(level: str, tmp_path: Path) -> None:
    source = get_testdata_file("CT_small.dcm")
    assert (
        run(Settings(Path(source), tmp_path / "out", level, None, None, 1, None, quiet=True)).totals[
            "released"
        ]
        == 1
    )
    (path,) = (tmp_path / "out").rglob("*.dcm")
    found = list(Scanner().file(path, "x"))
    (summary,) = [one for one in found if one.detector == "dicom-identifiability"]
    assert summary.data_class is DataClass.IMAGE_PSEUDONYMISED, found
    assert not [one for one in found if one.confidence is Confidence.HIGH and one is not summary], found


def test_a_marker_is_not_believed_against_the_elements() -> None:
    ds = dataset(PatientIdentityRemoved="YES", DeidentificationMethod="x", OtherPatientIDs="77")
    ds.PatientTelephoneNumbers = "+49 89 123456"
    found, _ = scanned(part10(ds))
    (summary,) = [one for one in found if one.detector == "dicom-identifiability"]
    assert summary.data_class is DataClass.IMAGE_IDENTIFIED and "PatientTelephoneNumbers" in summary.reason


def test_a_damaged_object_is_taken_for_identified() -> None:
    found, scanner = scanned(part10(dataset(PatientName="Doe^Jane"))[:455])
    assert [one.data_class for one in found] == [DataClass.IMAGE_IDENTIFIED]
    assert scanner.seen.refused[0][1].startswith("data-set:")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(BEGINS))
def test_any_bytes_are_looked_at_or_refused(data: bytes, begin: bytes) -> None:
    found, scanner = scanned(begin + data)
    assert all(isinstance(one, Finding) for one in found) and scanner.seen.files == 1


def test_a_sequence_of_findings_is_the_same_however_it_is_read() -> None:
    class Dribble(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            return super().read(7)

    whole = scanned(LOG.encode() * 30)[0]
    assert list(Scanner().stream(Dribble(LOG.encode() * 30), "file")) == whole


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"Doe Jane,1965-03-12,F,jane 943 476 5919\nDoe John,1966-03-12,M,patient John Doe\n"),
        ("a.json", b'{"patients":{"Jane Doe":{"email":"jane@roe.example"}}}'),
        ("a.json", b'{"patients":{"943 476 5919":{"email":"jane@roe.example"}}}'),
    ],
)
def test_places_are_named_by_nobody(name: str, data: bytes) -> None:
    """Columns and members may be called by what they hold: then the place has a number, or no name."""
    findings, _ = scanned(data, name)
    said = json.dumps([one.members() for one in findings])
    assert findings and all(value not in said for value in ("Doe", "943", "5919", "roe.example")), said


def test_the_first_row_of_a_table_is_looked_at() -> None:
    findings, _ = scanned(b"mail jane@roe.example,MRN 1234567,asthma\n1,2,3\n4,5,6\n", "a.csv")
    assert {(one.line, one.detector) for one in findings} >= {(1, "email"), (1, "mrn")}


def test_a_name_of_a_member_is_looked_at() -> None:
    findings, _ = scanned(b'{"jane@roe.example": 3}')
    assert [one.detector for one in findings] == ["email"]


def test_classes_are_counted_beyond_the_limit() -> None:
    data = b"".join(b"mail a%d@x.example\n" % n for n in range(20)) + b"password=hunter2hunter2\n"
    limits = packed.Limits(findings=5)
    scanner = Scanner(limits=limits)
    assert len(list(scanner.stream(io.BytesIO(data), "file"))) == 5
    assert scanner.seen.more == 16 and DataClass.SECRET in scanner.seen.classes


def test_long_values_are_looked_at_to_their_end() -> None:
    data = json.dumps(
        {"note": "x" * (3 << 20) + " jane@roe.example", "more": "\n" * 10_001 + "jane@roe.example"}
    )
    assert len(scanned(data.encode())[0]) == 2


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_without_a_bound_is_not_unpacked(method: int, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.txt", b"\0" * (1 << 20))
    scanner = Scanner()
    assert list(scanner.file(path, "a.zip")) == [] and scanner.seen.refused == [("a.zip", "zip-method")]
