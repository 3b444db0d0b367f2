"""Whatever the OpenAPI document allows is asked of a live server with real images: no 5xx, no hang, nothing undeclared.

Few examples an operation in `make test`, many in `make test-long`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from archive_kit import incoming
from unit.web.fakes import make
from wardlight.web.app import create_app
from wardlight.web.server import WebServer
from web_kit import a_web

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# The bytes of an upload (tus 1.0) are bytes.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
#: One of each kind: plain, compressed, many frames, 1 bit, colour, palette, deflated, big endian, no image, broken.
FILES = (
    "CT_small.dcm", "JPEG2000.dcm", "rtdose.dcm", "liver_1frame.dcm", "SC_rgb_rle_2frame.dcm", "OBXXXX1A.dcm",
    "image_dfl.dcm", "MR_small_bigendian.dcm", "reportsi.dcm", "emri_small_jpeg_2k_lossless.dcm", "JPEG-lossy.dcm",
    "examples_ybr_color.dcm", "color3d_jpeg_baseline.dcm", "waveform_ecg.dcm", "SC_rgb_jpeg_gdcm.dcm",
)  # fmt: skip
ACCEPT = (
    "*/*", "", "application/dicom", "application/dicom; transfer-syntax=*", "text/plain",
    'multipart/related; type="application/dicom"',
    "application/dicom+json", 'multipart/related; type="application/dicom+xml"', "application/octet-stream",
    'multipart/related; type="application/octet-stream"; transfer-syntax=*', "application/zip", "image/jpeg", "image/*",
    "image/png", "image/gif", "video/mp4", "text/html", "a/b;q=x", 'multipart/related; type="image/jpeg"',
    'application/dicom;q=0.3, multipart/related; type="application/octet-stream"; q=0.2', "application/json",
)  # fmt: skip
TAGS = st.sampled_from(["7FE00010", "00880200/0/7FE00010", "54000100/0/54001010", "00091010"]) | st.text(
    max_size=12
)
FRAMES = st.sampled_from(["1", "2", "1,2", "1,1", "99"]) | st.text(max_size=6)
BYTES = st.sampled_from(
    ["bytes=0-9", "bytes=5-", "bytes=-7", "bytes=0-1,90-99", "bytes=999999999-", "x", "bytes=9-1"]
)
SECONDS = 30.0


@dataclass
class Live:
    """A server and what is in it: `instances` are the (study, series, instance) UIDs of real files."""

    base: str
    token: str
    instances: list[tuple[str, str, str]]
    files: list[bytes]


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with a_web(decoders=2, web={"port": 0}) as web:
        server = WebServer(web.services)
        port = server.bind()
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        instances, files = [], []
        for name in FILES:
            with open(str(get_testdata_file(name)), "rb") as file:
                data = file.read()
            item = incoming(data, 0)
            web.kit.store(data)
            instances.append((item.study_uid, item.series_uid, item.sop_uid))
            files.append(data)
        token = web.client.headers["Authorization"]
        yield Live(f"http://127.0.0.1:{port}", token, instances, files)
        server.stop()
        thread.join(30)
        assert not thread.is_alive()


def operation_ids() -> list[str]:
    """Of the whole document, as an application in memory gives it."""
    paths = TestClient(create_app(make().services)).get("/api/openapi.json").json()["paths"]
    return [
        operation["operationId"]
        for entry in paths.values()
        for method, operation in entry.items()
        if method != "parameters"
    ]


@pytest.fixture(scope="module")
def schema(live: Live):
    return schemathesis.openapi.from_url(f"{live.base}/api/openapi.json")


@pytest.mark.parametrize("name", operation_ids())
def test_each_operation(live: Live, schema, name: str) -> None:
    drive(live, schema, name, examples=6)


@pytest.mark.long
@pytest.mark.parametrize("name", operation_ids())
def test_each_operation_at_length(live: Live, schema, name: str) -> None:
    drive(live, schema, name, examples=200)


def drive(live: Live, schema, name: str, examples: int) -> None:
    operation = schema.find_operation_by_id(name)

    # What stands in paths is drawn by `seeded`.
    placeholders = {parameter.name: "1" for parameter in operation.path_parameters}

    @given(operation.as_strategy(body=NOT_SET, path_parameters=placeholders), st.data())
    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    def ask(case: schemathesis.Case, data: st.DataObject) -> None:
        seeded(live, case, data)
        more: dict[str, Any] = {}
        headers = {"Authorization": live.token, "Accept": data.draw(st.sampled_from(ACCEPT))}
        if case.method in ("POST", "PUT"):
            of_api = not name.startswith("post_studies")
            more["data"], headers["Content-Type"] = data.draw(JSON_BODIES if of_api else bodies(live))
            case.body = NOT_SET
        # A hang fails here.
        response = case.call(headers=headers, timeout=SECONDS, **more)
        case.validate_response(response, checks=CHECKS)

    ask()


def seeded(live: Live, case: schemathesis.Case, data: st.DataObject) -> None:
    """Most requests are for what is there, or they would all end as 404."""
    study, series, instance = data.draw(st.sampled_from(live.instances))
    real = {"study": study, "series": series, "instance": instance}
    real |= {"frames": data.draw(FRAMES), "tags": data.draw(TAGS)}
    real |= {"application": data.draw(st.sampled_from(("images", "acme_reader_prod")))}
    real |= {"level": data.draw(st.sampled_from("01")), "tile": data.draw(st.sampled_from(TILES))}
    names = [*case.path_parameters]
    if names and not data.draw(st.integers(0, 7)):
        real[data.draw(st.sampled_from(names))] = data.draw(st.text(max_size=70))
    case.path_parameters = {name: real.get(name) or "1" for name in names}
    case.query.pop("accept", None)
    case.headers.pop("If-Match", None) if data.draw(st.booleans()) else None
    if "Range" in case.headers and data.draw(st.booleans()):
        case.headers["Range"] = data.draw(BYTES)


#: Tiles of the audit log: there, not there, no tiles.
TILES = ("0", "000.p/1", "000.p/300", "x001/000", "9999", "-1")
#: Bodies for the audit trail's routes, some of them almost right.
JSON_BODIES = st.tuples(
    st.one_of(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(
                        ("patients", "studies", "entries", "id", "line", "origin", "size", "from")
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
        st.binary(max_size=60),
    ),
    st.just("application/json"),
)


def bodies(live: Live) -> st.SearchStrategy[tuple[bytes, str]]:
    """Bodies of store requests and their types, whole and broken."""
    files = st.sampled_from(live.files)
    cut = st.builds(lambda data, at: data[: at % len(data)], files, st.integers(0, 1 << 30))
    related = 'multipart/related; type="application/dicom"; boundary=b'
    framed = st.builds(
        lambda data: b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--b--",
        files | cut | st.binary(),
    )
    return st.one_of(
        st.tuples(files | cut | st.binary(), st.just("application/dicom")),
        st.tuples(framed | st.binary(), st.just(related)),
        st.tuples(
            st.binary(),
            st.sampled_from(["application/dicom+json", "application/dicom+xml", "text/plain", "x"]),
        ),
        st.tuples(st.sampled_from([b"[]", b"[{}]", b"{", b"<x/>"]), st.just("application/dicom+json")),
    )
