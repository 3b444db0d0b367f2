"""Each transfer syntax that encodes a data set is stored, and given back byte for byte to who asks for its UID."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

import pydicom
import pytest

from archive_kit import dataset, part10
from wardlight.dicom.transfer_syntax import TRANSFER_SYNTAXES, TransferSyntax
from web_kit import Web, a_web

SYNTAXES = [
    row for row in TRANSFER_SYNTAXES.values() if ".1.2.6." not in row.uid and ".1.2.7." not in row.uid
]


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with a_web() as made:
        yield made


def encoded(syntax: TransferSyntax, number: int) -> bytes:
    """A small file, written by pydicom; the pixels of encapsulated syntaxes are a fragment that nothing looks into."""
    ds = dataset(SOPInstanceUID=f"1.2.3.4.1.{number}")
    if syntax.encapsulated:
        ds.PixelData = pydicom.encaps.encapsulate([b"anything" * 4])
        ds["PixelData"].VR = "OB"
    else:
        ds["PixelData"].VR = "OW"
    whole = part10(ds, pydicom.uid.ExplicitVRLittleEndian)
    if syntax.encapsulated:
        ds["PixelData"].is_undefined_length = True
    body = io.BytesIO()
    sink = _sink(body, implicit=syntax.implicit, little=not syntax.big_endian)
    pydicom.filewriter.write_dataset(sink, ds)
    data = body.getvalue()
    if syntax.deflated:
        deflater = zlib.compressobj(wbits=-15)
        data = deflater.compress(data) + deflater.flush()
        data += b"\0" * (len(data) % 2)
    ds.file_meta.TransferSyntaxUID = syntax.uid
    meta = io.BytesIO(whole[:132])
    meta.seek(132)
    pydicom.filewriter.write_file_meta_info(meta, ds.file_meta)
    return meta.getvalue() + data


def _sink(body: io.BytesIO, *, implicit: bool, little: bool) -> pydicom.filebase.DicomIO:
    sink = pydicom.filebase.DicomIO(body)
    sink.is_implicit_VR, sink.is_little_endian = implicit, little
    return sink


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda row: row.uid)
def test_stored_and_given_back_byte_for_byte(web: Web, syntax: TransferSyntax) -> None:
    number = SYNTAXES.index(syntax) + 1
    file = encoded(syntax, number)
    kept = web.client.post("/dicom-web/studies", content=file, headers={"Content-Type": "application/dicom"})
    assert kept.status_code == 200, kept.text
    path = f"/studies/1.2.3.4/series/1.2.3.4.1/instances/1.2.3.4.1.{number}"
    answer = web.get(path, f"application/dicom; transfer-syntax={syntax.uid}")
    assert (answer.status_code, answer.content) == (200, file)
    assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={syntax.uid}"
    assert web.get(f"{path}/metadata").json()[0]["00100020"]["Value"] == ["PAT-0042"]
