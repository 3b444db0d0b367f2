"""Conditional requests, byte ranges, HEAD and OPTIONS over the whole application (RFC 9110, PS3.18 section 8)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import pytest

from archive_kit import dataset, part10
from web_kit import BASE, Web, a_web, parts

STUDY = "/studies/1.2.3.4"
SERIES = f"{STUDY}/series/1.2.3.4.1"
INSTANCE = f"{SERIES}/instances/1.2.3.4.1.1"
PIXELS = bytes(range(256)) * 8
FILE = part10(dataset(SOPInstanceUID="1.2.3.4.1.1", Rows=32, Columns=32, PixelData=PIXELS))
DICOM = "application/dicom; transfer-syntax=*"
#: What each kind of resource gives, and whether byte ranges of it can be asked for.
RESOURCES = {
    STUDY: ('multipart/related; type="application/dicom"', False),
    INSTANCE: (DICOM, True),
    f"{STUDY}/metadata": ("application/dicom+json", False),
    f"{INSTANCE}/metadata": ("application/dicom+json", False),
    f"{INSTANCE}/frames/1": ("application/octet-stream", True),
    f"{INSTANCE}/bulkdata/7FE00010": ("application/octet-stream", True),
    f"{STUDY}/bulkdata": ('multipart/related; type="application/octet-stream"', False),
    f"{SERIES}/pixeldata": ('multipart/related; type="application/octet-stream"', False),
}


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with a_web() as made:
        made.kit.store(FILE, part10(dataset(SOPInstanceUID="1.2.3.4.1.2")))
        yield made


@pytest.mark.parametrize("path", RESOURCES)
def test_what_the_client_has_is_not_sent_again(web: Web, path: str) -> None:
    accept, ranged = RESOURCES[path]
    first = web.get(path, accept)
    tag = first.headers["etag"]
    assert (first.status_code, tag[0]) == (
        200,
        "W" if first.headers["content-type"].startswith("mult") else '"',
    )
    assert ("accept-ranges" in first.headers) == ranged
    again = web.get(path, accept, If_None_Match=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["etag"], again.headers["vary"]) == (tag, "Accept")
    assert not {"content-type", "content-length"} & set(again.headers)
    assert again.headers["cache-control"] == "no-store"
    assert web.get(path, accept, If_None_Match='"another"').status_code == 200
    failed = web.get(path, accept, If_Match='"another"')
    assert (failed.status_code, failed.json()["code"]) == (412, "precondition-failed")
    assert web.get(path, accept, If_Match="*").status_code == 200


def test_entity_tags_differ(web: Web) -> None:
    tags = [web.get(path, accept).headers["etag"] for path, (accept, _) in RESOURCES.items()]
    assert len(set(tags)) == len(tags)
    # A study that gains an instance is another one.
    before = web.get(f"{STUDY}/metadata").headers["etag"], web.get(STUDY).headers["etag"]
    web.kit.store(part10(dataset(SOPInstanceUID="1.2.3.4.1.3")))
    after = web.get(f"{STUDY}/metadata").headers["etag"], web.get(STUDY).headers["etag"]
    assert before[0] != after[0] and before[1] != after[1]


@pytest.mark.parametrize("path", [path for path, (_, ranged) in RESOURCES.items() if ranged])
def test_ranges(web: Web, path: str) -> None:
    accept = RESOURCES[path][0]
    whole = web.get(path, accept)
    expected = FILE if path == INSTANCE else PIXELS
    assert whole.content == expected
    size = len(expected)
    part = web.get(path, accept, Range="bytes=100-199")
    assert (part.status_code, part.content) == (206, expected[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{size}"
    assert (part.headers["content-length"], part.headers["content-type"]) == (
        "100",
        whole.headers["content-type"],
    )
    tail = web.get(path, accept, Range="bytes=-5", If_Range=whole.headers["etag"])
    assert (tail.status_code, tail.content) == (206, expected[-5:])
    assert web.get(path, accept, Range="bytes=-5", If_Range='"other"').content == expected
    several = web.get(path, accept, Range="bytes=0-9,500-509")
    assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert [body for _, body in parts(several)] == [expected[:10], expected[500:510]]
    beyond = web.get(path, accept, Range=f"bytes={size}-")
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range-not-satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize("path", RESOURCES)
def test_head_is_get_without_its_body(web: Web, path: str) -> None:
    accept = RESOURCES[path][0]
    body = web.get(path, accept)
    head = web.client.head("/dicom-web" + path, headers={"Accept": accept})
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "etag", "accept-ranges", "vary"):
        # What is known only once the body is made may be missing; a boundary is another one each time.
        if name in head.headers and not head.headers[name].startswith("multipart"):
            assert head.headers[name] == body.headers.get(name, head.headers[name]), name
    assert web.client.head("/dicom-web/studies/9.9").status_code == 404


def test_head_is_in_the_audit_trail(web: Web) -> None:
    def reads() -> int:
        web.kit.platform.sessions.close()
        return len(
            [row for row in web.kit.entries("dicomweb:frame:read") if row.get("phase") == "authorised"]
        )

    before = reads()
    assert web.client.head(f"/dicom-web{INSTANCE}/frames/1").status_code == 200
    assert reads() == before + 1


def test_head_of_public_routes(web: Web) -> None:
    for path in ("/healthz", "/dicom-web/", "/api/openapi.json"):
        assert (web.client.head(path).status_code, web.client.head(path).content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/dicom-web/studies", "GET, HEAD, OPTIONS, POST"),
        (f"/dicom-web{INSTANCE}", "GET, HEAD, OPTIONS"),
        ("/healthz", "GET, HEAD, OPTIONS"),
    ],
)
def test_options_and_methods_not_allowed(web: Web, path: str, allowed: str) -> None:
    answer = web.client.options(path, headers={"Authorization": ""})
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (204, b"", allowed)
    for method in ("PUT", "DELETE", "PATCH"):
        answer = web.client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
        assert answer.headers["allow"] == allowed
    assert web.client.options("/nothing").status_code == 404


def test_a_study_not_seen_is_not_found_at_every_level(web: Web) -> None:
    unknown = {"/studies/9": 0, "/studies/9/series/9": 0, "/studies/9/series/9/instances/9": 0}
    wrong = {f"{STUDY}/series/9": 0, f"{STUDY}/series/9/instances/9": 0, f"{SERIES}/instances/9": 0}
    below = ("", "/metadata", "/bulkdata", "/pixeldata")
    for path in (*unknown, *wrong):
        for end in (*below, *(("/bulkdata/7FE00010", "/frames/1") if "/instances/" in path else ())):
            answer = web.get(path + end)
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), path + end
    for path in ("/studies/9/series", "/studies/9/instances", "/studies/9/series/9/instances"):
        assert web.get(path).status_code == 404
    for path in (f"{INSTANCE}/bulkdata/nonsense", f"{INSTANCE}/bulkdata/00091001", f"{INSTANCE}/frames/2"):
        assert web.get(path).status_code == 404
    assert web.get("/nothing").json()["code"] == "not-found"


def test_a_study_as_a_zip(web: Web) -> None:
    answer = web.get(STUDY, "application/zip")
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[0] == "series-001/instance-00001.dcm"
        assert FILE in [archive.read(name) for name in archive.namelist()]
    one = web.get(INSTANCE, "application/zip")
    with zipfile.ZipFile(io.BytesIO(one.content)) as archive:
        assert archive.read("series-001/instance-00001.dcm") == FILE
    # A zip comes only to who asks for one.
    assert web.get(STUDY, "*/*").headers["content-type"].startswith("multipart/related")


def test_bulk_data_of_instance_resources(web: Web) -> None:
    """PS3.18 Table 10.4.4-1: octets of an instance resource are its bulk data resource."""
    octets = 'multipart/related; type="application/octet-stream"'
    uri = f"{BASE}{INSTANCE}/bulkdata/7FE00010"
    for path in (STUDY, SERIES, INSTANCE):
        for suffix in ("", "/bulkdata", "/pixeldata"):
            found = {
                headers["content-location"]: body for headers, body in parts(web.get(path + suffix, octets))
            }
            assert found[uri] == PIXELS, path + suffix
    for wrong in ("text/plain", "application/octet-stream", 'multipart/related; type="image/jpeg"'):
        assert web.get(f"{STUDY}/bulkdata", wrong).status_code == 406
    single = web.get(f"{INSTANCE}/bulkdata/7FE00010", octets)
    ((headers, body),) = parts(single)
    assert (headers["content-location"], body) == (uri, PIXELS)
