"""Our DICOM JSON equals pydicom's on every real file, save for the differences listed here.

docs/reference/dicom-json.md explains the same rows; a test compares the two.
"""

from __future__ import annotations

import base64
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from unit.dicom.samples import real_files
from wardlight.dicom.errors import DicomError
from wardlight.dicom.json import to_json
from wardlight.dicom.part10 import Part10Stream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, transfer_syntax

Attribute = dict[str, Any] | None
DOCUMENT = Path(__file__).parents[3] / "docs/reference/dicom-json.md"

#: Longest binary value that is inline: pydicom's threshold counts base64 characters, 4 for 3 bytes.
INLINE, THRESHOLD = 1026, 1368

#: Files that cannot be compared, and why.
NOT_COMPARED = {
    "DICOMDIR-nooffset": "an item says that it is longer than the file; pydicom takes what is there",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "cut in its pixel data; pydicom gives an empty data set",
    "no_meta.dcm": "its first byte is wrong: no data set of any encoding begins so",
    "rtplan_truncated.dcm": "cut in the middle of its header; pydicom takes what is there",
}


def _values(attribute: Attribute) -> list[Any]:
    return (attribute or {}).get("Value", [])


def _group_length(tag: str, ours: Attribute, theirs: Attribute) -> bool:
    return tag.endswith("0000") and ours is None


def _empty_sequence(tag: str, ours: Attribute, theirs: Attribute) -> bool:
    return ours == {"vr": "SQ"} and theirs == {"vr": "SQ", "Value": []}


def _empty_value(tag: str, ours: Attribute, theirs: Attribute) -> bool:
    return _values(ours) == [None if value == "" else value for value in _values(theirs)] != []


def _padding(tag: str, ours: Attribute, theirs: Attribute) -> bool:
    strings = [value.strip(" ") for value in _values(theirs) if isinstance(value, str)]
    return _values(ours) == strings != []


def _byte_order(tag: str, ours: Attribute, theirs: Attribute) -> bool:
    if not ours or not theirs or ours["vr"] != "OW" or "InlineBinary" not in ours:
        return False
    mine, other = (base64.b64decode(attribute["InlineBinary"]) for attribute in (ours, theirs))
    return mine[0::2] == other[1::2] and mine[1::2] == other[0::2]


def _private_dictionary(tag: str, ours: Attribute, theirs: Attribute) -> bool:
    return int(tag[:4], 16) % 2 == 1 and bool(ours) and bool(theirs) and ours["vr"] == "UN"


def _not_a_number(tag: str, ours: Attribute, theirs: Attribute) -> bool:
    return theirs == {"error": "ValueError"} and any(isinstance(value, str) for value in _values(ours))


#: Row of the document → what such a difference looks like. Every difference must be one of these, and every row must
#: occur.
DIFFERENCES: dict[str, Callable[[str, Attribute, Attribute], bool]] = {
    "group length": _group_length,
    "empty sequence": _empty_sequence,
    "empty value among several": _empty_value,
    "padding of each value": _padding,
    "byte order": _byte_order,
    "private attributes without a VR": _private_dictionary,
    "no number in IS or DS": _not_a_number,
}


def ours(content: bytes) -> dict[str, Any]:
    stream = Part10Stream(lenient=True)
    stream.feed(content)
    assert stream.stream is not None
    try:
        stream.finish()
    except DicomError:
        # Cut in its pixel data: the header is whole.
        if stream.stream.header is None:
            raise
    assert stream.meta is not None
    assert stream.stream.header is not None
    syntax = transfer_syntax(stream.meta.transfer_syntax)
    if syntax.deflated:
        syntax = EXPLICIT_LITTLE
    return to_json(stream.stream.header, syntax, bulk_uri=lambda *_: "uri", inline_limit=INLINE)


def theirs(path: Path) -> dict[str, Any]:
    """pydicom's `to_json_dict` of all that is before the pixel data, attribute by attribute, since it may raise."""
    dataset = dcmread(path, force=True)
    model: dict[str, Any] = {}
    for tag in dataset.keys():  # noqa: SIM118 - a Dataset is iterated by element
        if tag < 0x7FE00008:
            try:
                model[f"{tag:08X}"] = dataset[tag].to_json_dict(lambda _: "uri", THRESHOLD)
            except ValueError:
                model[f"{tag:08X}"] = {"error": "ValueError"}
    return model


def differences(mine: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, Attribute, Attribute]]:
    """Attributes that differ, at any depth."""
    for tag in sorted({*mine, *other}):
        a, b = mine.get(tag), other.get(tag)
        if a == b:
            continue
        if a and b and a["vr"] == b.get("vr") == "SQ" and len(_values(a)) == len(_values(b)) > 0:
            for left, right in zip(_values(a), _values(b), strict=True):
                yield from differences(left, right)
        else:
            yield tag, a, b


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_every_real_file_gives_the_json_of_pydicom() -> None:
    seen: Counter[str] = Counter()
    compared = 0
    for path in real_files():
        content = path.read_bytes()
        if path.name in NOT_COMPARED:
            continue
        model = ours(content)
        json.dumps(model, allow_nan=False)
        assert list(model) == sorted(model)
        for tag, a, b in differences(model, theirs(path)):
            rows = [name for name, is_such in DIFFERENCES.items() if is_such(tag, a, b)]
            assert len(rows) == 1, (path.name, tag, a, b, rows)
            seen[rows[0]] += 1
        compared += 1
    assert compared > 250
    assert set(seen) == set(DIFFERENCES)


def test_files_that_cannot_be_compared_are_there() -> None:
    assert set(NOT_COMPARED) <= {path.name for path in real_files()}


def test_the_document_explains_every_difference() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in (*DIFFERENCES, *NOT_COMPARED):
        assert f"| {name} |" in text or f"| `{name}` |" in text, name
