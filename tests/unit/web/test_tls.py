"""The web server with a certificate: TLS from 1.2 on, and nothing in the clear on its port."""

from __future__ import annotations

import http.client
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.web.fakes import make
from wardlight.web.server import WebServer


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "c.pem", folder / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    server = WebServer(make(port=0, tls_certificate=certificate, tls_key=key).services)
    port = server.bind()
    thread = threading.Thread(target=server.run)
    thread.start()
    yield port, certificate
    server.stop()
    thread.join(15)


def client(certificate: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificate))
    context.minimum_version = context.maximum_version = version
    # What a client of that age would offer: our own library must not be the one that refuses.
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_from_1_2_on(served: tuple[int, Path], version: ssl.TLSVersion) -> None:
    port, certificate = served
    connection = http.client.HTTPSConnection(
        "localhost", port, context=client(certificate, version), timeout=10
    )
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b'{"status":"ok"}')
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    connection.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(served: tuple[int, Path], version: ssl.TLSVersion) -> None:
    port, certificate = served
    connection = http.client.HTTPSConnection(
        "localhost", port, context=client(certificate, version), timeout=10
    )
    with pytest.raises(ssl.SSLError, match=r"UNEXPECTED_EOF|PROTOCOL_VERSION"):
        connection.request("GET", "/healthz")


def test_nothing_is_said_in_the_clear(served: tuple[int, Path]) -> None:
    connection = http.client.HTTPConnection("localhost", served[0], timeout=10)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        connection.request("GET", "/healthz")
        connection.getresponse()
