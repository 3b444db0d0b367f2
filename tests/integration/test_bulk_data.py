"""Every BulkDataURI in the metadata of every real file leads to the value that pydicom reads there."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from typing import Any

import pydicom
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_fragments

import real_files
from integration.test_archive_real_files import storable
from wardlight.dicom.vr import WORD_SIZES
from wardlight.dicomweb.call import is_uid
from web_kit import BASE, a_web, parts

STORED = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


def references(data_set: dict[str, Any]) -> Iterator[str]:
    """BulkDataURIs of a DICOM JSON object, at any depth."""
    for attribute in data_set.values():
        if "BulkDataURI" in attribute:
            yield attribute["BulkDataURI"]
        if attribute["vr"] == "SQ":
            for item in attribute.get("Value", ()):
                yield from references(item)


def by_pydicom(data_set: pydicom.Dataset, uri: str) -> tuple[pydicom.DataElement, bytes]:
    """The element that a BulkDataURI names, and its value in little endian without padding by pydicom."""
    steps = uri.partition("/bulkdata/")[2].split("/")
    for tag, item in zip(steps[:-1:2], steps[1::2], strict=True):
        data_set = data_set[int(tag, 16)].value[int(item)]
    element = data_set[int(steps[-1], 16)]
    value = element.value
    if isinstance(value, bytes):
        return element, value
    codes = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
    if element.VR in codes:
        numbers = value if element.VM > 1 else [value]
        return element, struct.pack(f"<{len(numbers)}{codes[element.VR]}", *numbers)
    return element, str(value).encode()


def test_every_reference_of_every_real_file_resolves() -> None:
    checked: dict[str, int] = {}
    with a_web() as web, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, data, item in storable():
            if not all(map(is_uid, (item.study_uid, item.series_uid, item.sop_uid))):
                continue
            assert web.kit.store(data) == ["stored"]
            instance = f"/studies/{item.study_uid}/series/{item.series_uid}/instances/{item.sop_uid}"
            answer = web.get(f"{instance}/metadata")
            assert answer.status_code == 200, (path.name, answer.text)
            (row,) = answer.json()
            everything = list(references(row))
            whole = web.get(f"{instance}/bulkdata", STORED)
            if not everything:
                assert whole.status_code == 404, path.name
                continue
            collected: dict[str, bytes] = {}
            for headers, body in parts(whole):
                collected[headers["content-location"]] = body
            ds = real_files.read(path)
            for uri in everything:
                assert uri.startswith(f"{BASE}{instance}/bulkdata/")
                answer = web.get(uri, "application/octet-stream; transfer-syntax=*, " + STORED)
                assert answer.status_code == 200, (path.name, uri)
                kind = agrees(ds, uri, answer)
                checked[kind] = checked.get(kind, 0) + 1
                if uri in collected and not answer.headers["content-type"].startswith("multipart"):
                    assert collected[uri] == answer.content
                # Whoever takes anything gets something.
                assert web.get(uri).status_code == 200
    assert checked["native"] > 40 and checked["frames"] > 20 and checked["nested"] > 0, checked


def test_compressed_pixels_of_whole_resources() -> None:
    """Decoded to who takes octets, stored to who takes their encoding; 206 where some can be given and some not."""
    names = ("MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm")
    rle = "1.2.840.10008.1.2.5"
    with a_web() as web, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, name in enumerate(names):
            ds = pydicom.dcmread(get_testdata_file(name))
            ds.StudyInstanceUID, ds.SOPInstanceUID = "1.9", f"1.9.{number}"
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            file = io.BytesIO()
            ds.save_as(file)
            web.kit.store(file.getvalue())
        expected = pydicom.dcmread(get_testdata_file(names[0])).PixelData
        for accept in ('multipart/related; type="application/octet-stream"', "*/*"):
            answer = web.get("/studies/1.9/pixeldata", accept)
            assert answer.status_code == 200
            found = parts(answer)
            if accept != "*/*":
                assert [body for _, body in found] == [expected] * 3
            assert {headers["content-location"].partition("/instances/")[2] for headers, _ in found} == {
                f"1.9.{number}/bulkdata/7FE00010" for number in range(3)
            }
        stored = 'multipart/related; type="image/dicom-rle"'
        answer = web.get("/studies/1.9/pixeldata", stored)
        ((headers, body),) = parts(answer)
        assert answer.status_code == 206
        assert headers["content-type"] == f"image/dicom-rle; transfer-syntax={rle}"
        assert len(body) < len(expected)
        assert web.get("/studies/1.9/pixeldata", 'multipart/related; type="image/jpeg"').status_code == 406


def agrees(ds: pydicom.Dataset, uri: str, answer) -> str:
    """Check the answer's bytes; what was compared."""
    element, expected = by_pydicom(ds, uri)
    if ds.file_meta.TransferSyntaxUID.is_encapsulated and element.is_undefined_length:
        multipart = answer.headers["content-type"].startswith("multipart")
        given = b"".join(body for _, body in parts(answer)) if multipart else answer.content
        fragments = list(generate_fragments(expected))
        # The Basic Offset Table is no part of the pixels.
        assert given == b"".join(fragments[1:]), uri
        return "frames" if "/bulkdata/7FE00010" in uri else "nested"
    if not ds.original_encoding[1] and element.VR in WORD_SIZES | {"OW": 2}:
        size = {"OW": 2, "OF": 4, "OD": 8, "OL": 4}.get(element.VR, 1)
        if size > 1 and isinstance(element.value, bytes):
            swapped = bytearray(expected)
            for offset in range(size):
                swapped[offset::size] = expected[size - 1 - offset :: size]
            expected = bytes(swapped)
    assert answer.content[: len(expected)] == expected and len(answer.content) - len(expected) in (0, 1), uri
    return "nested" if uri.partition("/bulkdata/")[2].count("/") else "native"
