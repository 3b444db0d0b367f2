"""Metadata and search results as XML: the same data sets as in JSON, one a part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from archive_kit import dataset
from wardlight.dicom.native_model import NAMESPACE, from_native
from wardlight.dicomweb.native_xml import objects
from wardlight.errors import WardlightError
from web_kit import Web, a_web, parts

XML = 'multipart/related; type="application/dicom+xml"'
JSON_VALUES = st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


def texts(value: Any) -> Any:
    """The model with its numbers as XML has them: text."""
    if isinstance(value, dict):
        return {name: texts(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [texts(inner) for inner in value]
    return str(float(value)) if str(value).replace(".", "").isdigit() and str(value).count(".") < 2 else value


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with a_web() as made:
        for number in range(1, 4):
            ds = dataset(InstanceNumber=str(number), PatientName="Müller^Anna=森^花", PixelData=bytes(2048))
            ds.Rows = ds.Columns = 32
            ds.private_block(0x0009, "ACME", create=True).add_new(0x01, "LO", "private")
            made.kit.store(ds)
        yield made


@given(st.lists(st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=3), max_size=5), st.data())
def test_objects_of_an_array_cut_anywhere(rows, data) -> None:
    text = json.dumps(rows, ensure_ascii=False).encode("utf-8", "replace")
    rows = json.loads(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert list(objects(pieces)) == rows


def test_a_broken_array_is_damage() -> None:
    with pytest.raises(WardlightError) as error:
        list(objects([b'[{"a": 1}, {"b"', b": "]))
    assert error.value.code == "object-damaged"


@pytest.mark.parametrize("path", ["/studies/1.2.3.4", "/studies/1.2.3.4/series/1.2.3.4.1"])
def test_metadata(web: Web, path: str) -> None:
    expected = web.get(f"{path}/metadata").json()
    answer = web.get(f"{path}/metadata", XML)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith('multipart/related; type="application/dicom+xml"')
    found = parts(answer)
    assert {headers["content-type"] for headers, _ in found} == {"application/dicom+xml"}
    assert texts([from_native(body) for _, body in found]) == texts(expected)
    root = etree.fromstring(found[0][1])
    assert root.tag == f"{{{NAMESPACE}}}NativeDicomModel"
    assert root.get("{http://www.w3.org/XML/1998/namespace}space") == "preserve"
    (private,) = root.xpath("//*[@privateCreator]")
    assert dict(private.attrib) == {"tag": "00090001", "vr": "LO", "privateCreator": "ACME"}
    (bulk,) = root.xpath("//*[local-name()='BulkData']/@uri")
    assert web.get(bulk).content == bytes(2048)


def test_search_results(web: Web) -> None:
    for path in ("/studies", "/series", "/instances?PatientID=PAT-0042", "/studies/1.2.3.4/series"):
        expected = web.get(path).json()
        assert texts([from_native(body) for _, body in parts(web.get(path, XML))]) == texts(expected)
    answer = web.get("/studies?PatientID=nobody", XML)
    assert (answer.status_code, answer.content) == (204, b"")


def test_which_is_liked_better(web: Web) -> None:
    path = "/studies/1.2.3.4/metadata"
    json_type, xml_type = "application/dicom+json", "multipart/related"
    for accept, expected in (
        ("*/*", json_type),
        ("", json_type),
        (f"{XML}, application/dicom+json", xml_type),
        (f"{XML};q=0.5, application/dicom+json", json_type),
        (f"application/dicom+json;q=0.1, {XML};q=0.5", xml_type),
        ("multipart/related", xml_type),
        (f"image/png, {XML}", xml_type),
    ):
        assert web.get(path, accept).headers["content-type"].split(";")[0] == expected, accept
    by_query = web.get(f"{path}?accept={quote(XML)}", "application/dicom+json")
    assert by_query.headers["content-type"].startswith(xml_type)
    assert web.get(path, "application/dicom+xml").status_code == 406
    assert web.get(path, 'multipart/related; type="application/dicom+json"').status_code == 406


def test_an_entity_tag_of_its_own(web: Web) -> None:
    path = "/studies/1.2.3.4/metadata"
    tag = web.get(path, XML).headers["etag"]
    assert tag.startswith('W/"') and tag[2:] != web.get(path).headers["etag"]
    assert web.get(path, XML, If_None_Match=tag).status_code == 304
    assert web.get(path, If_None_Match=tag).status_code == 200
