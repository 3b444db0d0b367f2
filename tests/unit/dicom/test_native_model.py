"""The Native DICOM Model: there and back again, as DCMTK writes it, and nothing that XML can do to a parser."""

from __future__ import annotations

import json
import shutil
import subprocess
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from pydicom.data import get_testdata_file

from real_files import name_of, paths
from unit.dicom.test_from_json import UNREADABLE, header_of
from wardlight.dicom.from_json import ModelError, from_json
from wardlight.dicom.json import to_json
from wardlight.dicom.native_model import NAMESPACE, from_native, to_native
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE


def model_of(path: Path) -> dict[str, Any]:
    header, syntax = header_of(path)
    return json.loads(json.dumps(to_json(header, syntax)))


def simple(value: Any) -> Any:
    """The model without what XML does not tell: trailing carets of names, empty values at the end."""
    if isinstance(value, dict):
        found = {name: simple(inner) for name, inner in value.items()}
        return {name: inner for name, inner in found.items() if inner not in ([], "") or name == "vr"}
    if isinstance(value, list):
        items = [simple(inner) for inner in value]
        while (
            items
            and items[-1] in (None, {})
            and isinstance(value[-1], dict | None)
            and "vr" not in str(value[-1])
        ):
            items.pop()
        return items
    return value.rstrip("^") if isinstance(value, str) else value


@pytest.mark.parametrize("path", [path for path in paths() if path.name not in UNREADABLE], ids=name_of)
def test_real_files_come_back(path: Path) -> None:
    model = model_of(path)
    document = to_native(model)
    etree.fromstring(document)  # well-formed for another parser too
    again = from_native(document)
    first, second = (to_json(from_json(m), EXPLICIT_LITTLE) for m in (model, again))
    assert simple(second) == simple(first)


@pytest.mark.system
@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "rtplan.dcm", "reportsi.dcm", "test-SR.dcm", "MR_small.dcm"]
)
def test_as_dcmtk_writes_it(name: str) -> None:
    program = shutil.which("dcm2xml")
    if program is None:
        pytest.fail("dcm2xml is missing: tools/system-packages.sh dcmtk")
    path = Path(get_testdata_file(name))
    # Version 3.6.7 swaps the bytes of words in base64: short words only are left out here.
    written = subprocess.run(
        [program, "-nat", "+Xn", "+Eb", "+M", path], capture_output=True, check=True
    ).stdout
    model = from_native(written)
    ours = to_json(from_json(model), EXPLICIT_LITTLE)
    expected = model_of(path)
    compared = 0
    for tag, attribute in expected.items():
        if attribute["vr"] not in ("OW", "UN") and not int(tag[3], 16) & 1 and tag != "00080005":
            assert simple(ours[tag]) == simple(attribute), tag
            compared += 1
    assert compared > 20


def document(*attributes: str) -> bytes:
    return f'<NativeDicomModel xmlns="{NAMESPACE}">{"".join(attributes)}</NativeDicomModel>'.encode()


def test_private_blocks_are_reserved() -> None:
    """PS3.19 A.1.5 leaves the block of a private attribute open."""
    model = from_native(
        document(
            '<DicomAttribute tag="00090010" vr="LO"><Value number="1">OTHER</Value></DicomAttribute>',
            '<DicomAttribute tag="00090001" vr="LO" privateCreator="ACME"><Value number="1">a</Value></DicomAttribute>',
            '<DicomAttribute tag="00090002" vr="LO" privateCreator="ACME"><Value number="1">b</Value></DicomAttribute>',
            '<DicomAttribute tag="00090001" vr="LO" privateCreator="MORE"><Value number="1">c</Value></DicomAttribute>',
        )
    )
    assert {tag: attribute["Value"] for tag, attribute in model.items()} == {
        "00090010": ["OTHER"],
        "00090011": ["ACME"],
        "00091101": ["a"],
        "00091102": ["b"],
        "00090012": ["MORE"],
        "00091201": ["c"],
    }


def test_gaps_are_empty_values() -> None:
    values = '<Value number="1">A</Value><Value number="3">C</Value>'
    found = from_native(document(f'<DicomAttribute tag="00080008" vr="CS">{values}</DicomAttribute>'))
    assert found == {"00080008": {"vr": "CS", "Value": ["A", None, "C"]}}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<a/>",
        b"<NativeDicomModel>",
        document("text"),
        document("<Value/>"),
        document('<DicomAttribute tag="1" vr="LO"/>'),
        document('<DicomAttribute vr="LO"/>'),
        document('<DicomAttribute tag="00100020" vr="LO"/>' * 2),
        document('<DicomAttribute tag="00100020" vr="LO"><Value>a</Value></DicomAttribute>'),
        document('<DicomAttribute tag="00100020" vr="LO"><Value number="0">a</Value></DicomAttribute>'),
        document('<DicomAttribute tag="00100020" vr="LO"><Value number="999999">a</Value></DicomAttribute>'),
        document('<DicomAttribute tag="00280010" vr="US"><Value number="1">a</Value></DicomAttribute>'),
        b'<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel/>',
        b'<!DOCTYPE NativeDicomModel SYSTEM "file:///etc/passwd"><NativeDicomModel/>',
        b"<NativeDicomModel>&b;</NativeDicomModel>",
        b'<x:NativeDicomModel xmlns:x="http://example.org/"/>',
        document('<DicomAttribute tag="00081140" vr="SQ"><Item number="1">' * 40),
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        from_native(data)


def test_entities_do_not_grow() -> None:
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 9))
    bomb = f'<!DOCTYPE b [<!ENTITY a0 "ha">{laughs}]><NativeDicomModel>&a8;</NativeDicomModel>'.encode()
    tracemalloc.start()
    with pytest.raises(ModelError):
        from_native(bomb)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_values_that_are_markup_stay_text() -> None:
    model = {
        "00100020": {"vr": "LO", "Value": ["</Value><&\"'"]},
        "00081190": {"vr": "UR", "Value": ["http://a/?b&c"]},
    }
    assert from_native(to_native(model)) == model


def test_what_xml_cannot_hold_is_replaced() -> None:
    text = "a\0\x0b\x1f\ufffe\uffffb\N{GRINNING FACE}\x7f"
    data = to_native({"00104000": {"vr": "LT", "Value": [text]}})
    shown = from_native(data)["00104000"]["Value"][0]
    assert shown == "a" + "\ufffd" * 5 + "b\N{GRINNING FACE}\x7f"
    assert b"\xed" not in to_native({"00104000": {"vr": "LT", "Value": ["\ud800"]}})
