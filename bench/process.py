"""A server process under measurement: started on loopback, watched for processor time and memory, ended by its pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
_STOP_S = 20.0


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Server:
    """A running server. port: DICOM, or the raw one. http: address of the DICOMweb root. data: Wardlight's folder."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    folder: Path
    http: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    data: Path = Path()

    def tree(self) -> list[psutil.Process]:
        """The process and its children that are alive."""
        return _tree(self.process.pid)

    def cpu_seconds(self) -> float:
        """User and system time of the tree so far, in seconds, also of children that ended and were waited for."""
        total = 0.0
        for process in self.tree():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            # What ended children used is booked to their parent: storescp --fork, decoders.
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def peaks(self) -> dict[str, float]:
        """Largest resident size so far of each process, in MB, by pid and what it was started as."""
        peaks = {}
        for process in self.tree():
            try:
                name = " ".join(part for part in process.cmdline()[1:5] if part != "-m") or process.name()
                status = Path(f"/proc/{process.pid}/status").read_text()
            except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                continue
            line = next((row for row in status.splitlines() if row.startswith("VmHWM")), None)
            if line is not None:  # A process that is ending has none.
                peaks[f"{process.pid} {name}"] = int(line.split()[1]) * 1024 / 1e6
        return peaks

    def peak_mb(self) -> float:
        """The largest process's largest resident size so far, in MB."""
        return max(self.peaks().values(), default=0.0)

    def forget_peaks(self) -> None:
        """Let `peaks` count from now on (proc(5), clear_refs)."""
        for process in self.tree():
            try:
                Path(f"/proc/{process.pid}/clear_refs").write_text("5")
            except OSError:
                continue


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 90.0) -> None:
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
    raise TimeoutError("nothing listens")


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    port: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run `command` until the block ends. What it prints is in `folder`/server.log. Waits until `port` answers."""
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            cwd=ROOT,
        )
    try:
        try:
            wait_for_port(port, process)
        except (RuntimeError, TimeoutError) as error:
            raise RuntimeError(f"{name}: {error}: {last_words(folder)}") from None
        yield Server(name, port, process, folder)
    finally:
        end(process)


def last_words(folder: Path) -> str:
    """The end of what a server printed, for the reason of a failure."""
    text = (folder / "server.log").read_text("utf-8", "replace").strip()
    return " ".join(text[-300:].split())


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and after a while SIGKILL to it and to the children it had, each by its pid."""
    children = _tree(process.pid)[1:]
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A folder that goes away."""
    folder = Path(tempfile.mkdtemp(dir=parent, prefix="run-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
