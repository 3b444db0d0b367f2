"""Wardlight's processes under measurement: all of it, the DICOM node alone, and how soon it is there."""

from __future__ import annotations

import json
import sqlite3
import statistics
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.process import Server, free_port, last_words, running, scratch
from wardlight import bootstrap
from wardlight.agreements.model import IMAGES, Level
from wardlight.errors import WardlightError
from wardlight.identity.model import Role
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.settings import Settings

CALLED_AE = "TEAMPLAYISHARE"
"""The route at level high. Orthanc and the others take any called AE title."""

_LOGIN = "bench@bench.example"
_NODE_LIMITS = {
    # Associations of the benchmark all come from one address.
    "WARDLIGHT_RECEIVER__ASSOCIATIONS_PER_ADDRESS": "64",
    "WARDLIGHT_RECEIVER__HALF_OPEN_PER_ADDRESS": "64",
}


@contextmanager
def wardlight(
    parent: Path,
    *,
    environment: Mapping[str, str] | None = None,
    seconds: float = 120.0,
) -> Iterator[Server]:
    """All of Wardlight, as `wardlight demo` starts it but without the sample studies."""
    with scratch(parent) as folder:
        port, http = free_port(), free_port()
        data = folder / "data"
        command = [
            sys.executable, "-m", "wardlight", "demo", "--data", str(data),
            "--web-port", str(http), "--dicom-port", str(port), "--no-samples",
        ]  # fmt: skip
        with running("Wardlight", command, port, folder, {**_NODE_LIMITS, **(environment or {})}) as server:
            deadline = time.monotonic() + seconds
            while not (data / "demo.json").exists():
                if time.monotonic() > deadline or server.process.poll() is not None:
                    raise RuntimeError(f"Wardlight did not come up: {last_words(folder)}")
                time.sleep(0.05)
            facts = json.loads((data / "demo.json").read_text())
            server.http = f"http://127.0.0.1:{http}/dicom-web"
            server.data = data
            person = next(row for row in facts["people"] if row["role"] == "administrator")
            server.headers = {"Authorization": f"Bearer {person['token']}"}
            yield server


@contextmanager
def receiver_node(parent: Path) -> Iterator[Server]:
    """The DICOM node alone: it spools and answers; nothing is de-identified or uploaded meanwhile."""
    with scratch(parent) as folder:
        port = free_port()
        environment = {
            "WARDLIGHT_DATA_DIR": str(folder / "data"),
            "WARDLIGHT_DEMO": "true",
            "WARDLIGHT_LOG_LEVEL": "warning",
            "WARDLIGHT_RECEIVER__DICOM_HOST": "127.0.0.1",
            "WARDLIGHT_RECEIVER__DICOM_PORT": str(port),
            **_NODE_LIMITS,
        }
        command = [sys.executable, "-m", "wardlight.receiver.node"]
        with running("Wardlight", command, port, folder, environment) as server:
            yield server


@contextmanager
def serving(
    parent: Path, data: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """`wardlight serve`, on a new folder or on `data`, from when the DICOM port is open; nobody has a token yet."""
    with scratch(parent) as folder:
        port, http = free_port(), free_port()
        data = data or folder / "data"
        settings = {
            "WARDLIGHT_ALLOW_PLAIN_ROOT": "true",
            "WARDLIGHT_ALLOW_ONE_KEYSLOT": "true",
            "WARDLIGHT_ALLOW_SECRETS_IN_DATA": "true",
            "WARDLIGHT_LOG_LEVEL": "error",
            "WARDLIGHT_WEB__PORT": str(http),
            "WARDLIGHT_RECEIVER__DICOM_HOST": "127.0.0.1",
            "WARDLIGHT_RECEIVER__DICOM_PORT": str(port),
            **(environment or {}),
        }
        command = [sys.executable, "-m", "wardlight", "serve", "--data", str(data)]
        with running("Wardlight", command, port, folder, settings) as server:
            server.http, server.data = f"http://127.0.0.1:{http}/dicom-web", data
            yield server


def wait_until_ready(server: Server, seconds: float = 120.0) -> None:
    """Return when /readyz says yes."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(server.http.removesuffix("/dicom-web") + "/readyz", timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def seconds_to_serve(parent: Path) -> float:
    """Seconds from `wardlight serve` on a new folder to an answer of /readyz and of the DICOM port."""
    began = time.perf_counter()
    with serving(parent) as server:
        wait_until_ready(server)
        return time.perf_counter() - began


def person_token(data: Path) -> str:
    """A new token of an administrator of the folder's first institution, who may store and read Images."""
    platform = bootstrap.platform(Settings(data_dir=data, demo=True))
    try:
        institution = platform.identity.institutions()[0]
        people = {
            person.login: person
            for person in platform.identity.people(institution.id, by=LOCAL_ADMINISTRATOR)
        }
        person = people.get(_LOGIN) or platform.identity.create_person(
            institution.id, _LOGIN, "Bench", Role.ADMINISTRATOR, by=LOCAL_ADMINISTRATOR
        )
        try:
            platform.agreements.show(institution.id, IMAGES)
        except WardlightError:
            platform.agreements.create(
                institution.id, IMAGES, Level, legal_basis="gdpr:6.1.e+9.2.h", purposes=("TREAT",),
                attested_by="Bench", by=LOCAL_ADMINISTRATOR,
            )  # fmt: skip
        return platform.identity.issue_person_token(person, by=LOCAL_ADMINISTRATOR)
    finally:
        platform.close()


def search(server: Server, path: str) -> list[dict[str, Any]]:
    """Rows of a QIDO-RS search, all pages of it; empty while the server does not answer with any."""
    rows: list[dict[str, Any]] = []
    while True:
        joined = "&" if "?" in path else "?"
        request = urllib.request.Request(
            f"{server.http}{path}{joined}limit=100&offset={len(rows)}",
            headers={"Accept": "application/dicom+json", **server.headers},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = answer.read()
        page = json.loads(body) if body else []
        rows += page
        if len(page) < 100:
            return rows


def wait_until_complete(server: Server, seconds: float = 120.0) -> None:
    """Return when the worker has completed every study that the index holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        rows = _ask_index(
            server,
            "SELECT count(*) FROM archive_release "
            "WHERE sealed IS NOT NULL AND (completed_ms IS NULL OR completed_ms < last_arrival_ms)",
        )
        if rows == [0]:
            return
        time.sleep(0.1)
    raise TimeoutError("a study was not completed in time")


def completion_ms(server: Server, count: int) -> float:
    """Median time between the ends of two completions, of the last `count` studies, in milliseconds."""
    ends = _ask_index(
        server,
        "SELECT completed_ms FROM archive_release WHERE completed_ms IS NOT NULL "
        f"ORDER BY last_arrival_ms DESC LIMIT {count:d}",
    )
    ends.sort()
    return statistics.median(later - earlier for earlier, later in pairwise(ends))


def _ask_index(server: Server, query: str) -> list[int]:
    index = server.data / "index" / "index.db"
    with closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True, timeout=10)) as database:
        return [int(row[0]) for row in database.execute(query)]


def count_instances(server: Server) -> int:
    """Instances that a QIDO-RS search finds now."""
    return sum(int(row["00201208"]["Value"][0]) for row in search(server, "/studies?includefield=00201208"))
