"""Files of the portal: compressed before, for who takes them so, and kept by browsers."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from wardlight.web import portal


@pytest.fixture
def client(tmp_path, monkeypatch):
    assets = tmp_path / "assets"
    assets.mkdir()
    for name, content in {
        "index-a1.js": b"plain",
        "index-a1.js.gz": b"gzipped",
        "index-a1.js.br": b"brotli",
        "small-b2.css": b"plain",
        "inter-c3.woff2": b"font",
    }.items():
        (assets / name).write_bytes(content)
    monkeypatch.setattr(portal, "_BUILT", tmp_path)

    def answered(request):
        try:
            return portal.file(request)
        except portal.WardlightError as error:
            return portal.Response(error.code, status_code=error.kind.http)

    return TestClient(Starlette(routes=[Route("/{file}", answered)]))


def _coding(client, name, accept):
    # The bytes as they were sent: these here are no real codes.
    with client.stream("GET", f"/{name}", headers={"Accept-Encoding": accept}) as answer:
        return answer.headers.get("content-encoding"), b"".join(answer.iter_raw())


@pytest.mark.parametrize(
    ("accept", "coding", "body"),
    [
        ("gzip, deflate, br, zstd", "br", b"brotli"),
        ("gzip;q=1.0, br;q=0", "gzip", b"gzipped"),
        ("GZIP", "gzip", b"gzipped"),
        ("br; q=0.000, gzip ;q=0.1", "gzip", b"gzipped"),
        ("identity", None, b"plain"),
        ("*", None, b"plain"),
        ("", None, b"plain"),
    ],
)
def test_the_smallest_that_the_client_takes(client, accept, coding, body):
    assert _coding(client, "index-a1.js", accept) == (coding, body)


def test_what_was_not_compressed_comes_as_it_is(client):
    assert _coding(client, "small-b2.css", "br, gzip") == (None, b"plain")
    assert _coding(client, "inter-c3.woff2", "br, gzip") == (None, b"font")


def test_kept_for_a_year_and_by_coding(client):
    headers = client.get("/index-a1.js", headers={"Accept-Encoding": "identity"}).headers
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["vary"] == "Accept-Encoding"
    assert headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("name", ["index-a1.js.br", "index-a1.js.gz", "absent-d4.js"])
def test_only_names_of_the_build(client, name):
    assert client.get(f"/{name}").status_code == 404
