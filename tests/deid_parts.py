"""Codes, references and content items for `deid_objects`."""

from __future__ import annotations

from pydicom.dataset import Dataset

from deid_kit import CT, Mint, sequence


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """A code."""
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return ds


def reference(sop_class: str, sop_uid: str) -> Dataset:
    """A reference to an instance."""
    ds = Dataset()
    ds.ReferencedSOPClassUID, ds.ReferencedSOPInstanceUID = sop_class, sop_uid
    return ds


def named(mint: Mint, name: str) -> str:
    """A new word."""
    return mint.word(name)


def ungeometric(ds: Dataset) -> None:
    """Takes what belongs to an image out of a data set."""
    for keyword in (
        *(
            "ImageType",
            "ImagePositionPatient",
            "ImageOrientationPatient",
            "SamplesPerPixel",
            "Rows",
            "Columns",
        ),
        *("PhotometricInterpretation", "PixelSpacing", "BitsAllocated", "BitsStored", "HighBit"),
        *("PixelRepresentation", "RescaleIntercept", "RescaleSlope"),
    ):
        del ds[keyword]


def item(kind: str, concept: tuple[str, str, str], relation: str = "CONTAINS", **values: object) -> Dataset:
    """A content item of a structured report (PS3.3 C.17.3)."""
    ds = Dataset()
    ds.RelationshipType, ds.ValueType = relation, kind
    ds.ConceptNameCodeSequence = sequence(code(*concept))
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def content(mint: Mint) -> list[Dataset]:
    """Content with a name, a number, a date, a UID or a text of somebody in each kind of item."""
    v = mint.values
    measured = Dataset()
    measured.NumericValue = "12.5"
    measured.MeasurementUnitsCodeSequence = sequence(code("mm", "UCUM", f"mm of {v['family']}"))
    own = code(v["accession"][:16], "99" + v["station"][:8], f"finding of {v['family']}")
    context = "HAS OBS CONTEXT"
    return [
        item("PNAME", ("121008", "DCM", "Person Observer Name"), context, PersonName=mint.cased("observer")),
        item("TEXT", ("121009", "DCM", "Organization"), context, TextValue=v["hospital"]),
        item("UIDREF", ("121018", "DCM", "Procedure Study UID"), context, UID=v["StudyInstanceUID"]),
        item("PNAME", ("121029", "DCM", "Subject Name"), context, PersonName=v["family"]),
        item("TEXT", ("121030", "DCM", "Subject ID"), context, TextValue=v["patient id"]),
        item("DATE", ("121031", "DCM", "Subject Birth Date"), context, Date="19510203"),
        item("TEXT", ("121071", "DCM", "Finding"), TextValue=f"Chest of {v['family']}, {v['free']}."),
        item("DATETIME", ("121135", "DCM", "Observation DateTime"), DateTime="20240317101530"),
        item("NUM", ("121206", "DCM", "Distance"), MeasuredValueSequence=sequence(measured)),
        item("CODE", ("121071", "DCM", "Finding"), ConceptCodeSequence=sequence(own)),
        item(
            "IMAGE",
            ("121191", "DCM", f"Referenced of {v['given']}"),
            ReferencedSOPSequence=sequence(reference(CT, mint.uid("referenced in text"))),
        ),
    ]


def pdf_of(line: str, title: str) -> bytes:
    """A PDF with one page and one line of text, and a title in its information dictionary."""
    content = f"BT /F1 12 Tf 72 700 Td ({line}) Tj ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Title ({title}) >>",
    ]
    made, places = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += f"{number} 0 obj\n{body}\nendobj\n"
    start = len(made)
    made += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n"
    made += "".join(f"{place:010d} 00000 n \n" for place in places)
    made += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 6 0 R >>\nstartxref\n{start}\n%%EOF\n"
    return made.encode() + b"\n" * (len(made) % 2)
