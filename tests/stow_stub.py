"""A platform that takes STOW-RS and does as it is told: store, fail, refuse, be slow. Loud: what it does not
understand is an error that fails the test."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from wardlight.dicom.part10 import read_meta
from wardlight.dicom.related import PartBegin, PartData, PartEnd, RelatedParser, parse_content_type


@dataclass
class Request:
    """One store request as it came."""

    headers: dict[str, str]
    files: list[bytes]
    sop_uids: list[str]
    largest_read: int


@dataclass
class Orders:
    """What to do. answers: status, headers, body of the next requests. refuse: failure reasons by SOP Instance UID.
    agreed: what it says of agreements, if anything."""

    answers: list[tuple[int, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    always: tuple[int, dict[str, str], dict[str, Any]] | None = None
    refuse: dict[str, int] = field(default_factory=dict)
    forget: set[str] = field(default_factory=set)
    drop_connection: int = 0
    before_answer: threading.Event | None = None
    delay_s: float = 0.0
    early: bool = False
    agreed: list[dict[str, str]] | None = None


class StowStub:
    """Listens on a free port of loopback; keeps its port over `stop` and `start`."""

    def __init__(self, token: str = "store-only-token") -> None:
        self.token = token
        self.orders = Orders()
        self.requests: list[Request] = []
        self.received = threading.Event()
        self.errors: list[str] = []
        self.connections = 0
        self.lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def stored(self) -> list[bytes]:
        """Every file that was answered with success, in order."""
        with self.lock:
            return [file for request in self.requests for file in request.files]

    def start(self) -> Self:
        stub = self

        class Handler(_Handler):
            owner = stub

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.stop()
        assert not self.errors, self.errors

    def wait(self, instances: int, seconds: float = 20.0) -> list[bytes]:
        """The stored files, once there are so many."""
        deadline = time.monotonic() + seconds
        while len(self.stored()) < instances:
            assert time.monotonic() < deadline, f"{len(self.stored())} of {instances} instances came"
            time.sleep(0.02)
        return self.stored()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: StowStub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self.owner.connections += 1

    def do_GET(self) -> None:
        agreed = self.owner.orders.agreed
        if agreed is not None and self.path == "/api/v1/receiver/agreements":
            self._send(200, {}, {"targets": agreed})
            return
        self._send(200, {}, {"status": "ok"})

    def do_POST(self) -> None:
        try:
            if self.path.startswith("/api/v1/audit/"):
                # This platform takes no entries: the receiver's wait, and keep nothing else waiting.
                self.close_connection = True
                self._send(503, {"Connection": "close"}, {})
                return
            self._store()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except Exception as error:
            self.owner.errors.append(f"{type(error).__name__}: {error}")
            raise

    def _store(self) -> None:
        orders = self.owner.orders
        assert self.path == "/dicom-web/studies", self.path
        if self.headers["Authorization"] != f"Bearer {self.owner.token}":
            self.close_connection = True
            self._send(401, {"Connection": "close"}, {})
            return
        if orders.early and orders.answers:
            self.close_connection = True
            self._send(*orders.answers.pop(0))
            return
        request = self._read()
        if orders.drop_connection:
            orders.drop_connection -= 1
            self.close_connection = True
            return
        if orders.answers:
            self._send(*orders.answers.pop(0))
            return
        if orders.always:
            self._send(*orders.always)
            return
        time.sleep(orders.delay_s)
        self._answer(request)

    def _answer(self, request: Request) -> None:
        orders = self.owner.orders
        stored, failed = [], []
        for uid in request.sop_uids:
            item = {"00081150": _ui("1.2.3"), "00081155": _ui(uid)}
            if uid in orders.forget:
                continue
            if uid in orders.refuse:
                failed.append({**item, "00081197": {"vr": "US", "Value": [orders.refuse[uid]]}})
            else:
                stored.append(item)
        kept = [
            f
            for f, uid in zip(request.files, request.sop_uids, strict=True)
            if uid not in orders.refuse and uid not in orders.forget
        ]
        with self.owner.lock:
            self.owner.requests.append(Request(request.headers, kept, request.sop_uids, request.largest_read))
        self.owner.received.set()
        if orders.before_answer is not None:
            orders.before_answer.wait(20)
        body: dict[str, Any] = {}
        if stored:
            body["00081199"] = {"vr": "SQ", "Value": stored}
        if failed:
            body["00081198"] = {"vr": "SQ", "Value": failed}
        self._send(200 if not failed else 202 if stored else 409, {}, body)

    def _read(self) -> Request:
        media, parameters = parse_content_type(self.headers["Content-Type"])
        assert media == "multipart/related" and parameters["type"] == "application/dicom"
        left = int(self.headers["Content-Length"])
        parser = RelatedParser(parameters["boundary"])
        files: list[bytes] = []
        current = bytearray()
        largest = 0
        while left:
            chunk = self.rfile.read(min(left, 1 << 16))
            if not chunk:
                raise ConnectionResetError
            left -= len(chunk)
            largest = max(largest, len(chunk))
            for event in parser.feed(chunk):
                if isinstance(event, PartBegin):
                    assert event.headers["content-type"] == "application/dicom"
                    current = bytearray()
                elif isinstance(event, PartData):
                    current += event.data
                elif isinstance(event, PartEnd):
                    files.append(bytes(current))
        parser.finish()
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(headers, files, [read_meta(file).sop_instance for file in files], largest)

    def _send(self, status: int, headers: dict[str, str], body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _ui(value: str) -> dict[str, Any]:
    return {"vr": "UI", "Value": [value]}
