"""Any header at all: the plan for its frames is made, or refused by a typed error; nothing else is raised."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import render_kit
from wardlight.decoding.render_plan import Plan
from wardlight.dicom.errors import DicomError
from wardlight.dicom.transfer_syntax import transfer_syntax
from wardlight.dicomweb.rendered_attributes import top_level
from wardlight.dicomweb.rendered_parameters import parse
from wardlight.dicomweb.rendered_plan import ImageHeader, plan_for
from wardlight.dicomweb.rendered_text import html, plain
from wardlight.errors import WardlightError

NAMES = (
    "CT_small.dcm", "emri_small.dcm", "emri_small_big_endian.dcm", "eCT_Supplemental.dcm", "OBXXXX1A.dcm",
    "vlut_04.dcm", "mlut_18.dcm", "gdcm-US-ALOKA-16.dcm", "liver.dcm", "test-SR.dcm", "rtdose.dcm",
)  # fmt: skip
HEADERS = {
    path.name: render_kit.read_header(path) for path in render_kit.real_files.paths() if path.name in NAMES
}
QUERIES = ("", "annotation=patient,technique&iccprofile=srgb", "viewport=10,10,3,3,-40,40&window=1,2,sigmoid")


def plans(data: bytes, syntax: str) -> None:
    try:
        header = ImageHeader(top_level(data, transfer_syntax(syntax)), syntax)
        for query in QUERIES:
            for frame in (1, 2, 1000):
                plan, parts = plan_for(header, frame, parse(query))
                sent = json.loads(json.dumps(plan.to_json(), allow_nan=False))
                assert Plan.from_json(sent) == plan
                assert all(isinstance(part, bytes) for part in parts)
        assert header.representative >= 0 and 1 <= header.frame_ms <= 60_000
        html(header.attributes)
        plain(header.attributes)
    except (DicomError, WardlightError):
        pass


@pytest.mark.parametrize("name", HEADERS)
def test_headers_with_bytes_changed(name: str) -> None:
    """Seeded: bytes turned over, spans doubled, dropped, and filled, in a real header."""
    attributes = HEADERS[name].attributes
    whole = bytes(attributes.data)
    chance = random.Random(name)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 2, 8))):
            place = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
                case 1:
                    del data[place : place + chance.randrange(1, 20)]
                case 2:
                    data[place:place] = data[place : place + chance.randrange(1, 40)]
                case _:
                    data[place : place + 4] = chance.randbytes(4)
        plans(bytes(data), HEADERS[name].syntax)
    plans(whole, HEADERS[name].syntax)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_query_is_read_or_refused(query: str) -> None:
    try:
        parse(query)
    except WardlightError as error:
        assert error.code == "bad-request"


@settings(deadline=None)
@given(
    st.sampled_from(["viewport", "window", "quality", "iccprofile", "annotation"]),
    st.lists(st.one_of(st.floats().map(repr), st.integers().map(str), st.text(max_size=5)), max_size=7),
)
def test_any_value_is_read_or_refused(name: str, values: list[str]) -> None:
    try:
        found = parse(f"{name}={','.join(values)}")
    except WardlightError as error:
        assert error.code == "bad-request"
    else:
        assert 1 <= found.quality <= 100 and 0 <= found.view.width <= 8192 and 0 <= found.view.height <= 8192
