"""Servers that hold something: stored once by STOW-RS, then read by many benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom

from bench import ours, peers
from bench.ingest import stow
from bench.process import Server
from bench.runner import OURS
from bench.web_client import Client


@dataclass(frozen=True, slots=True)
class Names:
    """Where an instance is found. uids: of study, series and instance."""

    study: str
    series: str
    instance: str

    @property
    def path(self) -> str:
        """Below the DICOMweb root."""
        return f"/studies/{self.study}/series/{self.series}/instances/{self.instance}"


def names(path: Path) -> Names:
    """Of a file; what a person stores keeps them."""
    tags = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
    return Names(*(str(ds[tag].value) for tag in tags))


@dataclass(slots=True)
class Loaded:
    """A server, a connection to it, and the instances that it holds. client_cpu_ms: what a request cost the client."""

    server: Server
    client: Client
    held: list[Names]
    client_cpu_ms: float = 0.0

    @property
    def study(self) -> str:
        """Path of the first instance's study."""
        return f"/studies/{self.held[0].study}"

    @property
    def series(self) -> str:
        """Path of the first instance's series."""
        return f"{self.study}/series/{self.held[0].series}"


@contextmanager
def both(folder: Path, files: list[Path], *, together: int = 25) -> Iterator[dict[str, Loaded]]:
    """Wardlight and Orthanc, each with `files`, running beside each other; one is idle while the other is asked."""
    with ExitStack() as stack:
        started = {
            OURS: stack.enter_context(ours.wardlight(folder)),
            "Orthanc": stack.enter_context(peers.orthanc(folder)),
        }
        loaded = {}
        for name, server in started.items():
            client = stack.enter_context(Client(server.http, server.headers))
            for start in range(0, len(files), together):
                stow(client, [path.read_bytes() for path in files[start : start + together]])
            loaded[name] = Loaded(server, client, [names(path) for path in files])
        # Metadata and frame offsets are prepared when a study is complete.
        ours.wait_until_complete(started[OURS])
        yield loaded
