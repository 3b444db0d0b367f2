"""Store requests of any size take the same memory: a 5 GB object, 100,000 instances, a gigabyte of bulk data."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from unit.web.fakes import TOKENS, FakeArchive, Fakes, make, part10
from wardlight.archive.model import Outcome, StoreOutcome
from wardlight.dicomweb.store import StoreCall, StoreExchange, open_store

pytestmark = pytest.mark.long

MIB = 1 << 20
CHUNK = bytes(range(256)) * (MIB // 256)


class Sink:
    """A segment that counts its bytes."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: Any) -> None:
        self.size += len(data)

    def tell(self) -> int:
        return self.size

    def abort(self) -> None:
        pass


class CountingArchive(FakeArchive):
    """Keeps numbers only."""

    def __init__(self) -> None:
        super().__init__()
        self.stored = self.bytes = 0

    def begin_segment(self, target: Any) -> Any:
        return Sink()

    def commit(self, target: Any, writer: Any, instances: Any, **_: Any) -> list[StoreOutcome]:
        self.stored += len(instances)
        self.bytes += writer.size
        return [StoreOutcome(one.sop_class, one.sop_uid, Outcome.STORED) for one in instances]


@pytest.fixture
def fakes(tmp_path: Path) -> Fakes:
    fakes = make()
    fakes.archive = CountingArchive()
    fakes.services.ingest._archive = fakes.archive
    fakes.services.ingest.spool_folder = tmp_path
    return fakes


def opened(fakes: Fakes, root: str) -> StoreExchange:
    content_type = f'multipart/related; type="{root}"; boundary=b0undary'
    headers = {"content-type": content_type}
    return open_store(
        StoreCall(fakes.services.ingest, TOKENS["admin"], "0" * 32, "http://h", "127.0.0.1", {}, "", headers)
    )


def peak(exchange: StoreExchange, chunks: Iterator[bytes]) -> tuple[int, int]:
    """Status of the request, and by how many MiB the process grew at most."""
    process = psutil.Process()
    before = most = process.memory_info().rss
    for number, chunk in enumerate(chunks):
        exchange.feed([chunk])
        if number % 64 == 0:
            most = max(most, process.memory_info().rss)
    status = exchange.finish().status
    most = max(most, process.memory_info().rss)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"grew by {(most - before) / MIB:.1f} MiB; largest ever {largest} MiB")
    return status, (most - before) // MIB


def encapsulated(size: int) -> Iterator[bytes]:
    """One file with fragments of 64 MiB, a multi-frame image of `size` bytes."""
    yield part10(1, syntax="1.2.840.10008.1.2.4.90", fragments=())[:-8]
    for _ in range(size // (64 * MIB)):
        yield b"\xfe\xff\x00\xe0" + (64 * MIB).to_bytes(4, "little")
        for _ in range(64):
            yield CHUNK
    yield b"\xfe\xff\xdd\xe0\0\0\0\0"


def test_an_object_of_five_gigabytes(fakes: Fakes) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"--b0undary\r\nContent-Type: application/dicom\r\n\r\n"
        yield from encapsulated(5 << 30)
        yield b"\r\n--b0undary--"

    status, grown = peak(opened(fakes, "application/dicom"), chunks())
    assert status == 200
    assert fakes.archive.bytes > 5 << 30
    assert grown <= 16


def test_a_hundred_thousand_instances_in_one_request(fakes: Fakes) -> None:
    def chunks() -> Iterator[bytes]:
        for number in range(100_000):
            yield b"\r\n--b0undary\r\nContent-Type: application/dicom\r\n\r\n" + part10(number)
        yield b"\r\n--b0undary--"

    status, grown = peak(opened(fakes, "application/dicom"), chunks())
    assert status == 200
    assert fakes.archive.stored == 100_000
    # The answer names each of them.
    assert grown <= 130


def test_a_gigabyte_of_bulk_data_before_its_metadata(fakes: Fakes) -> None:
    model = {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
        "00080018": {"vr": "UI", "Value": ["1.2.3.4.1"]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "0020000E": {"vr": "UI", "Value": ["1.2.3.4"]},
        "7FE00010": {"vr": "OW", "BulkDataURI": "p"},
    }

    def chunks() -> Iterator[bytes]:
        yield b"--b0undary\r\nContent-Type: application/octet-stream\r\nContent-Location: p\r\n\r\n"
        for _ in range(1024):
            yield CHUNK
        yield b"\r\n--b0undary\r\nContent-Type: application/dicom+json\r\n\r\n" + json.dumps([model]).encode()
        yield b"\r\n--b0undary--"

    status, grown = peak(opened(fakes, "application/dicom+json"), chunks())
    assert status == 200
    assert fakes.archive.bytes > 1 << 30
    assert grown <= 16
