"""The peers' servers, from Debian and PyPI, each in the fastest configuration that keeps its promises, and raw limits.

Each is a context manager that starts one server on loopback with a folder of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import peer_tools
from bench.process import Server, free_port, running, scratch

_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


def program(name: str) -> str:
    """Debian's program: pynetdicom puts scripts of the same names into a virtual environment."""
    found = shutil.which(name, path="/usr/bin:/usr/sbin:/usr/local/bin")
    if found is None:
        raise FileNotFoundError(f"{name} is not installed")
    return found


@contextmanager
def orthanc(parent: Path, *, pdu_bytes: int = 131072) -> Iterator[Server]:
    """Orthanc as Debian installs it (SQLite, synchronous storage, its numbers of threads, keep-alive), with its
    largest PDU, without authentication, and with the DICOMweb plugin answering metadata in full as ours does."""
    with scratch(parent) as folder:
        port, http = free_port(), free_port()
        settings = {
            "Name": "bench", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
            "DicomAet": "ORTHANC", "DicomPort": port, "HttpPort": http, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "DicomCheckCalledAet": False, "DicomAlwaysAllowStore": True,
            "UnknownSopClassAccepted": True, "MaximumPduLength": pdu_bytes, "KeepAlive": True, "TcpNoDelay": True,
            "Plugins": [_PLUGIN],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
        }  # fmt: skip
        (folder / "orthanc.json").write_text(json.dumps(settings))
        with running("Orthanc", [program("Orthanc"), str(folder / "orthanc.json")], port, folder) as server:
            server.http = f"http://127.0.0.1:{http}/dicom-web"
            yield server


def orthanc_instances(server: Server) -> int:
    """How many instances Orthanc holds."""
    with urllib.request.urlopen(server.http.removesuffix("/dicom-web") + "/statistics", timeout=60) as answer:
        return int(json.load(answer)["CountInstances"])


@contextmanager
def storescp(parent: Path, *, stock: bool = False) -> Iterator[Server]:
    """DCMTK's storescp: no fsync, no index. Unless `stock`, with its largest PDU, Nagle's algorithm off and files
    written as they come."""
    with scratch(parent) as folder:
        port = free_port()
        (folder / "out").mkdir()
        command = [program("storescp"), "--fork", "-od", str(folder / "out")]
        command += [] if stock else ["--max-pdu", "131072", "--bit-preserving"]
        environment = {} if stock else {"TCP_NODELAY": "1"}
        with running("storescp", [*command, str(port)], port, folder, environment) as server:
            yield server


@contextmanager
def pynetdicom(parent: Path) -> Iterator[Server]:
    """pynetdicom's storescp app, without a limit to PDUs: no fsync, no index."""
    with scratch(parent) as folder:
        port = free_port()
        (folder / "out").mkdir()
        command = [str(peer_tools.python()), "-m", "pynetdicom", "storescp", str(port), "-q", "-pdu", "0"]
        with running("pynetdicom", [*command, "-od", str(folder / "out")], port, folder) as server:
            yield server


@contextmanager
def raw(parent: Path, *, durable: bool = True) -> Iterator[Server]:
    """Raw TCP to one file an object, with fdatasync unless not `durable`: the machine's limit."""
    with scratch(parent) as folder:
        port = free_port()
        (folder / "out").mkdir()
        command = [sys.executable, "-m", "bench.raw_limit", str(port), str(folder / "out")]
        name = "raw TCP + fsync" if durable else "raw TCP"
        with running(name, command + (["--durable"] if durable else []), port, folder) as server:
            yield server


def environment_without_nodelay() -> dict[str, str]:
    """This process's environment, so that DCMTK's senders run as they are shipped."""
    return {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
