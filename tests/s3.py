"""An S3 server of the tests' own: SeaweedFS on loopback, with signatures that are checked.

`with s3.server() as server:` starts it; `server.bucket()` makes an empty bucket. It is ended by its pid.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import live
from wardlight.objects.s3 import S3ObjectStore, S3Place
from wardlight.objects.s3_calls import Credentials, S3Calls

ACCESS, SECRET = "wardlight-test", "a-secret-of-the-tests"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}
REGION = "us-east-1"


@dataclass
class Server:
    """A running server and its address."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    buckets: int = 0
    common: str = ""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calls(self, bucket: str) -> S3Calls:
        return S3Calls(self.endpoint, bucket, REGION, Credentials(ACCESS, SECRET), timeout_s=20)

    def bucket(self, *, versions: bool = False) -> str:
        """The name of a new bucket."""
        self.buckets += 1
        name = f"bucket-{self.buckets}"
        self.put(name)
        if versions:
            status = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
            self.put(name, "?versioning", status.encode())
        return name

    def shared_bucket(self) -> str:
        """One bucket for tests that keep apart by prefix."""
        self.common = self.common or self.bucket()
        return self.common

    def put(self, bucket: str, query: str = "", body: bytes = b"") -> None:
        """A signed PUT, by the signatures of the code under test; the server checks them."""
        import hashlib

        from wardlight.objects import s3_calls

        calls = self.calls(bucket)
        asked = f"{query[1:]}=" if query else ""
        digest, s3_calls._EMPTY = s3_calls._EMPTY, hashlib.sha256(body).hexdigest()  # type: ignore[misc]
        try:
            headers = calls._signed("PUT", f"/{bucket}", asked)
        finally:
            s3_calls._EMPTY = digest  # type: ignore[misc]
        request = urllib.request.Request(
            f"{self.endpoint}/{bucket}?{asked}", data=body, method="PUT", headers=headers
        )
        urllib.request.urlopen(request, timeout=30).close()

    def place(self, bucket: str, prefix: str = "objects", endpoint: str = "", **options) -> S3Place:
        return S3Place(bucket, prefix, REGION, endpoint or self.endpoint, **options)

    def store(self, bucket: str, prefix: str = "objects", endpoint: str = "", **options) -> S3ObjectStore:
        return S3ObjectStore(self.place(bucket, prefix, endpoint, **options), ENVIRONMENT)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(30)
        self.process = None


@contextmanager
def server() -> Iterator[Server]:
    """A server of the test's own."""
    memory = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="wardlight-s3-", dir=memory))
    identity = {
        "name": "wardlight",
        "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "credentials").write_text(
        f"[default]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n"
    )
    # Each service takes a second port, 10,000 above its own.
    ports = []
    while len(ports) < 4:
        port = live.free_port()
        if port < 50_000 and port not in ports:
            ports.append(port)
    master, volume, filer, port = ports
    command = [
        str(Path(sys.executable).parent / "weed"), "-v=0", "server", f"-dir={folder}",
        "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={port}",
        "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64",
        "-volume.max=3000", "-filer", "-s3", f"-s3.config={folder / 's3.json'}",
    ]  # fmt: skip
    running = Server(folder, port)
    with open(folder / "log", "ab") as log:
        running.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                running.put("ready")
                break
            except (OSError, urllib.error.HTTPError):
                if time.monotonic() > deadline or running.process.poll() is not None:
                    raise AssertionError((folder / "log").read_text()[-2000:]) from None
                time.sleep(0.1)
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@cache
def shared() -> Server:
    """The server that the tests of one process share; it ends with the process."""
    context = server()
    running = context.__enter__()
    atexit.register(context.__exit__, None, None, None)
    return running
