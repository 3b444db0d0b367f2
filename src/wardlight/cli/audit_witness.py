"""`wardlight audit witness`: a C2SP witness server for a peer's log, and its key."""

from __future__ import annotations

import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final

import typer

from wardlight import __version__, log
from wardlight.audit.note import WITNESS, VerifierKey
from wardlight.audit.witness import MAX_BODY, TEXT, LogWitness, Response
from wardlight.errors import WardlightError
from wardlight.keys.files import create_private, private_folder, read_private
from wardlight.receiver.secrets import new_witness_seed

_SECONDS: Final = 10.0
#: Requests at once; more wait in the kernel's queue.
_AT_ONCE: Final = 32


def witness(
    folder: Annotated[Path, typer.Argument(help="Folder of the witness's key and its state.")],
    key: Annotated[
        list[str] | None, typer.Option("--log", help="Public key of a log to be witnessed; may be repeated.")
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="Name of the witness, where the folder has no key yet.")
    ] = "",
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8089,
) -> None:
    """Witness a peer's audit log: cosign each head that extends the last one, by the C2SP witness protocol.

    Prints the witness's public key, which the peer registers with `wardlight admin audit-witness add`. Put a proxy with
    TLS before it to serve a network.

    Example: wardlight audit witness /srv/witness --name witness.example/w1 --log wardlight.example/audit/stmary/1+5e0a…
    """
    log.configure("witness", level="error")
    server, vkey = open_server(folder, name, key or [], host, port)

    def on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        # Not in this thread, which `shutdown` waits for.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    typer.echo(vkey)
    typer.echo(f"http://{host}:{server.server_address[1]}")
    server.serve_forever(0.2)
    server.server_close()


def open_server(
    folder: Path, name: str, logs: list[str], host: str, port: int
) -> tuple[ThreadingHTTPServer, str]:
    """The server, which listens already, and the witness's vkey. Raises `bad-request`."""
    try:
        keys = [VerifierKey.parse(one) for one in logs]
        own, seed = _key(folder, name)
        state = LogWitness(folder / "witness.db", own.name, seed, keys)
    except ValueError as error:
        raise WardlightError("bad-request", str(error)) from None
    return _Server((host, port), state), own.text


def _key(folder: Path, name: str) -> tuple[VerifierKey, bytes]:
    """The key of the folder, made where there is none; its name is in the file beside it."""
    private_folder(folder)
    seed_file, name_file = folder / "witness.key", folder / "witness.name"
    if not seed_file.exists():
        if not name:
            raise WardlightError("bad-request", "a new witness needs a --name")
        VerifierKey.parse(VerifierKey(name, WITNESS, bytes(32)).text)
        create_private(name_file, f"{name}\n".encode())
        create_private(seed_file, new_witness_seed()[0], mode=0o400)
    seed = read_private(seed_file, 32)
    own = VerifierKey.of(name_file.read_text("utf-8").strip(), seed, WITNESS)
    if name and name != own.name:
        raise WardlightError("conflict", f"the witness of this folder is {own.name}")
    return own, seed


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], state: LogWitness) -> None:
        self.state = state
        self.places = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def server_close(self) -> None:
        """Close the socket, then the state."""
        super().server_close()
        self.state.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whatever a peer did to its connection: not our affair, and no traceback."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = f"wardlight/{__version__}"
    sys_version = ""
    timeout = _SECONDS

    def do_POST(self) -> None:
        """add-checkpoint."""
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            return self._answer(Response(411, "the length of the body must be given\n"), close=True)
        if len(length) > 9 or int(length) > MAX_BODY:
            return self._answer(Response(413, "the request is too large\n"), close=True)
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            self.close_connection = True
            return None
        if self.path != "/add-checkpoint":
            return self._answer(Response(404, "only add-checkpoint is here\n"))
        with self.server.places:
            try:
                response = self.server.state.add_checkpoint(body)
            except WardlightError as error:
                log.error("witness.failed", error, code=error.code)
                response = Response(503, "try again\n")
        return self._answer(response)

    def do_GET(self) -> None:
        """Nothing is read here."""
        self._answer(Response(405, "POST /add-checkpoint\n"))

    def _answer(self, response: Response, *, close: bool = False) -> None:
        data = response.body.encode()
        self.close_connection = self.close_connection or close
        self.send_response(response.status)
        self.send_header("Content-Type", response.media_type or TEXT)
        self.send_header("Content-Length", str(len(data)))
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: a peer would fill the disk."""
