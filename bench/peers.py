"""The servers that are measured: peers from Debian, the raw limit, and Wardlight itself.

Each is a context manager that starts one process group on loopback, waits until it answers, and ends it by its pid.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Server:
    """A server under measurement. `cpu_seconds` and `peak_bytes` sum over its process tree."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    folder: Path
    http: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def tree(self) -> list[psutil.Process]:
        """The process and its children that are alive."""
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu_seconds(self) -> float:
        """User and system time of the tree so far, in seconds."""
        total = 0.0
        for process in self.tree():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total

    def peak_bytes(self) -> dict[str, int]:
        """Largest resident size so far of each process of the tree, by its command line's last words."""
        peaks = {}
        for process in self.tree():
            try:
                name = " ".join(process.cmdline()[1:5]) or process.name()
                status = Path(f"/proc/{process.pid}/status").read_text()
            except (psutil.NoSuchProcess, FileNotFoundError):
                continue
            line = next(row for row in status.splitlines() if row.startswith("VmHWM"))
            peaks[f"{process.pid} {name}"] = int(line.split()[1]) * 1024
        return peaks


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 30.0) -> None:
    """Return once `port` takes connections; raise when the process ends or time runs out."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"nothing listens on {port}")


@contextmanager
def _run(
    name: str, command: list[str], port: int, folder: Path, env: dict[str, str] | None = None
) -> Iterator[Server]:
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            cwd=ROOT,
        )
        try:
            wait_for_port(port, process)
            yield Server(name, port, process, folder)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir=parent, prefix="run-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def orthanc(parent: Path) -> Iterator[Server]:
    """Orthanc as Debian installs it: SQLite, synchronous storage, DICOMweb plugin."""
    with _folder(parent) as folder:
        port, http = free_port(), free_port()
        settings = {
            "Name": "bench", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
            "DicomAet": "ORTHANC", "DicomPort": port, "HttpPort": http, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "DicomCheckCalledAet": False, "OverwriteInstances": True,
            "DicomAlwaysAllowStore": True, "UnknownSopClassAccepted": True,
            "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
        }  # fmt: skip
        (folder / "orthanc.json").write_text(json.dumps(settings))
        binary = shutil.which("Orthanc", path=os.environ.get("PATH", "") + ":/usr/sbin") or "Orthanc"
        with _run("Orthanc", [binary, str(folder / "orthanc.json")], port, folder) as server:
            server.http = f"http://127.0.0.1:{http}/dicom-web"
            yield server


@contextmanager
def storescp(parent: Path) -> Iterator[Server]:
    """DCMTK's storescp with its defaults: no fsync, no index."""
    with _folder(parent) as folder:
        port = free_port()
        (folder / "out").mkdir()
        binary = shutil.which("storescp", path="/usr/bin:/usr/local/bin") or "storescp"
        with _run(
            "storescp", [binary, "-od", str(folder / "out"), "--fork", str(port)], port, folder
        ) as server:
            yield server


@contextmanager
def raw(parent: Path, *, durable: bool = True) -> Iterator[Server]:
    """Raw TCP to one file an object, with fdatasync: the machine's durable limit."""
    with _folder(parent) as folder:
        port = free_port()
        (folder / "out").mkdir()
        command = [sys.executable, "-m", "bench.raw_limit", str(port), str(folder / "out")]
        with _run("raw TCP + fsync", command + (["--durable"] if durable else []), port, folder) as server:
            yield server


@contextmanager
def wardlight(parent: Path, *, seconds: float = 60.0) -> Iterator[Server]:
    """All of Wardlight, as `wardlight demo` starts it but without the sample studies."""
    with _folder(parent) as folder:
        port, http = free_port(), free_port()
        command = [
            str(Path(sys.executable).parent / "wardlight"), "demo", "--data", str(folder / "data"),
            "--web-port", str(http), "--dicom-port", str(port), "--no-samples",
        ]  # fmt: skip
        with _run("Wardlight", command, port, folder) as server:
            deadline = time.monotonic() + seconds
            while not (folder / "data" / "demo.json").exists():
                if time.monotonic() > deadline or server.process.poll() is not None:
                    raise RuntimeError((folder / "server.log").read_text()[-2000:])
                time.sleep(0.05)
            facts = json.loads((folder / "data" / "demo.json").read_text())
            server.http = facts["dicomweb"].replace("localhost", "127.0.0.1")
            person = next(row for row in facts["people"] if row["role"] == "administrator")
            server.headers = {"Authorization": f"Bearer {person['token']}"}
            yield server


@contextmanager
def receiver_node(parent: Path) -> Iterator[Server]:
    """Wardlight's DICOM node alone: it spools and answers; nothing is de-identified or uploaded meanwhile."""
    with _folder(parent) as folder:
        port = free_port()
        environment = {
            "WARDLIGHT_DATA_DIR": str(folder / "data"),
            "WARDLIGHT_DEMO": "true",
            "WARDLIGHT_LOG_LEVEL": "warning",
            "WARDLIGHT_RECEIVER__DICOM_HOST": "127.0.0.1",
            "WARDLIGHT_RECEIVER__DICOM_PORT": str(port),
            # 20 associations of the memory benchmark come from one address.
            "WARDLIGHT_RECEIVER__ASSOCIATIONS_PER_ADDRESS": "64",
            "WARDLIGHT_RECEIVER__HALF_OPEN_PER_ADDRESS": "64",
        }
        command = [sys.executable, "-m", "wardlight.receiver.node"]
        with _run("Wardlight", command, port, folder, environment) as server:
            yield server


def time_to_serve(parent: Path) -> float:
    """Seconds from `wardlight serve` to an answer of /readyz and of the DICOM port."""
    with _folder(parent) as folder:
        port, http = free_port(), free_port()
        environment = {
            "WARDLIGHT_ALLOW_PLAIN_ROOT": "true",
            "WARDLIGHT_ALLOW_ONE_KEYSLOT": "true",
            "WARDLIGHT_ALLOW_SECRETS_IN_DATA": "true",
            "WARDLIGHT_WEB__PORT": str(http),
            "WARDLIGHT_RECEIVER__DICOM_HOST": "127.0.0.1",
            "WARDLIGHT_RECEIVER__DICOM_PORT": str(port),
        }
        command = [str(Path(sys.executable).parent / "wardlight"), "serve", "--data", str(folder / "data")]
        began = time.perf_counter()
        with _run("Wardlight", command, port, folder, environment):
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{http}/readyz", timeout=1):
                        return time.perf_counter() - began
                except OSError:
                    if time.perf_counter() - began > 30:
                        raise
                    time.sleep(0.02)


def count_instances(server: Server) -> int:
    """Instances that a QIDO-RS search finds now."""
    if server.name == "Orthanc":
        url = server.http.removesuffix("/dicom-web") + "/statistics"
        with urllib.request.urlopen(url) as answer:
            return int(json.load(answer)["CountInstances"])
    request = urllib.request.Request(
        server.http + "/studies?includefield=00201208&limit=200",
        headers={"Accept": "application/dicom+json", **server.headers},
    )
    with urllib.request.urlopen(request) as answer:
        body = answer.read()
    rows = json.loads(body) if body else []
    return sum(int(row["00201208"]["Value"][0]) for row in rows)
