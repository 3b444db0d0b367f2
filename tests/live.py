"""A whole Wardlight on free ports of loopback, for tests that need the real thing.

`with live.installation(folder) as wardlight:` starts `wardlight demo --no-samples` and gives addresses and tokens.
Processes are ended by pid; nothing listens beyond loopback.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

T = TypeVar("T")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_until(check: Callable[[], T], seconds: float = 60.0, what: str = "condition") -> T:
    """The first truthy value of `check`; fails the test when none came in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.1)


@dataclass
class Installation:
    """A running `wardlight demo`. `facts` is its demo.json."""

    data: Path
    dicom_port: int
    web_port: int
    process: subprocess.Popen[bytes]
    log: Path
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def dicomweb(self) -> str:
        return f"http://127.0.0.1:{self.web_port}/dicom-web"

    @property
    def ae_titles(self) -> dict[str, str]:
        return self.facts["dicom"]["ae_titles"]

    def token(self, role: str = "administrator") -> str:
        return next(row["token"] for row in self.facts["people"] if row["role"] == role)

    def get(self, path: str, accept: str = "application/dicom+json", role: str = "administrator") -> bytes:
        """Body of a GET below the DICOMweb root."""
        request = urllib.request.Request(
            self.dicomweb + path, headers={"Authorization": f"Bearer {self.token(role)}", "Accept": accept}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def search(self, path: str = "/studies", role: str = "administrator") -> list[dict[str, Any]]:
        body = self.get(path, role=role)
        return json.loads(body) if body else []

    def count(self) -> int:
        """Instances found by QIDO-RS; 0 while the web process is down."""
        try:
            total, offset = 0, 0
            while rows := self.search(f"/studies?limit=100&offset={offset}&includefield=00201208"):
                total += sum(int(row["00201208"]["Value"][0]) for row in rows)
                offset += len(rows)
            return total
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return 0

    def processes(self) -> list[psutil.Process]:
        """All processes of the installation, the supervisor first."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def receiver_status(self) -> dict[str, Any]:
        """`wardlight receiver status --json`."""
        return json.loads(self.wardlight("receiver", "status", "--json").stdout)

    def wardlight(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a `wardlight` command on this installation's data."""
        return subprocess.run(
            [sys.executable, "-m", "wardlight", *arguments],
            env={**os.environ, **self.environment()}, capture_output=True, text=True, timeout=300, check=check,
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        return {"WARDLIGHT_CONFIG": str(self.data / "wardlight.toml")}

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                for process in self.processes():
                    process.kill()


def start(
    data: Path, dicom_port: int, web_port: int, *options: str, environment: dict[str, str] | None = None
) -> Installation:
    """Start `wardlight demo` and wait for its demo.json."""
    data.mkdir(parents=True, exist_ok=True)
    ready = data / "demo.json"
    ready.unlink(missing_ok=True)
    log = data.parent / f"{data.name}.log"
    command = [
        sys.executable, "-m", "wardlight", "demo", "--data", str(data),
        "--web-port", str(web_port), "--dicom-port", str(dicom_port), *options,
    ]  # fmt: skip
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    installation = Installation(data, dicom_port, web_port, process, log)

    def is_ready() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"wardlight demo ended with {process.returncode}: {log.read_text()[-2000:]}")
        return ready.exists()

    try:
        wait_until(is_ready, 90, "demo.json")
    except BaseException:
        installation.stop()
        raise
    installation.facts = json.loads(ready.read_text())
    return installation


@contextmanager
def installation(
    folder: Path, *options: str, samples: bool = False, environment: dict[str, str] | None = None
) -> Iterator[Installation]:
    """A running installation below `folder`, stopped at the end; `samples`: with the demo's studies."""
    if not samples and not options:
        options = ("--no-samples",)
    running = start(folder / "data", free_port(), free_port(), *options, environment=environment)
    try:
        yield running
    finally:
        running.stop()
