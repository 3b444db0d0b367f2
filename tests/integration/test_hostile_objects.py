"""Stored objects made to reach beyond themselves: into headers of answers, or into more memory than they are worth."""

from __future__ import annotations

import pytest
from pydicom.uid import generate_uid

from archive_kit import dataset, part10
from wardlight.dicom.related import RelatedWriter
from wardlight.dicomweb.call import Answer
from wardlight.web.responses import AnswerResponse
from web_kit import Web, a_web

RELATED = 'multipart/related; type="application/dicom"'


@pytest.fixture(scope="module")
def web():
    with a_web() as web:
        yield web


def post(web: Web, *files: bytes):
    body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n" for data in files)
    return web.client.post(
        "/dicom-web/studies", content=body + b"--b--", headers={"Content-Type": f"{RELATED}; boundary=b"}
    )


@pytest.mark.parametrize("tail", [b"\r\nX: y", b"\r\n\r\n<b>", b"\xe9\xe9\xe9", b";q='a", b" ,a/b  "])
def test_a_transfer_syntax_that_is_no_uid_is_refused(web: Web, tail: bytes) -> None:
    """It stands in Content-Type of answers: a line break would end the header, and the object go on as a page."""
    ds = dataset(StudyInstanceUID=generate_uid())
    data = part10(ds)
    hostile = data.replace(b"1.2.840.10008.1.2.1\0", (b"1.2.840.10" + tail).ljust(20, b"\0"), 1)
    assert hostile != data
    assert post(web, hostile).status_code == 409
    assert web.get(f"/studies/{ds.StudyInstanceUID}").status_code == 404
    assert post(web, data).status_code == 200


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nX: y", "a\0"])
def test_no_header_field_leaves_its_line(value: str) -> None:
    with pytest.raises(ValueError):
        AnswerResponse(Answer(b"", value))
    with pytest.raises(ValueError):
        AnswerResponse(Answer(b"", "text/plain", headers={"Content-Location": value}))
    with pytest.raises(ValueError):
        RelatedWriter("b").head({"Content-Location": value}, first=True)
