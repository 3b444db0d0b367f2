"""Ground laid with zeros ahead of the data of a busy spool file: never over data, and no harm where it fails."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wardlight.errors import WardlightError
from wardlight.receiver import spool_file
from wardlight.receiver.spool import Spool, SpoolKeys, SpoolRef, Verdict

ZEROS = 64 << 10
GROUND = 128 << 10
_write_at = spool_file._write_at


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spool]:
    """Ground in small steps, from the beginning on."""
    monkeypatch.setattr(spool_file, "_ZEROS", memoryview(spool_file.mmap.mmap(-1, ZEROS)))
    monkeypatch.setattr(spool_file, "_GROUND_BYTES", GROUND)
    monkeypatch.setattr(spool_file, "_GROUND_FROM", 1)
    spool = Spool(tmp_path / "spool", SpoolKeys(tmp_path / "keys"))
    yield spool
    spool.close()


def laying(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> list[int]:
    """Let `act` happen before each step of ground; gives the places where it was laid."""
    places: list[int] = []

    def write_at(descriptor: int, data: memoryview, offset: int) -> None:
        if data is spool_file._ZEROS:
            places.append(offset)
            act(offset)
        _write_at(descriptor, data, offset)

    monkeypatch.setattr(spool_file, "_write_at", write_at)
    return places


def put(spool: Spool, content: bytes) -> SpoolRef:
    writer = spool.begin({"n": "1"})
    for at in range(0, len(content), 100_000):
        writer.write(content[at : at + 100_000])
    return writer.commit()


def path_of(spool: Spool, ref: SpoolRef) -> Path:
    return spool._folder / f"{ref.file_id}.spool"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_data_and_ground_never_meet(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four streams fill the ground faster than it is laid."""
    places = laying(monkeypatch, lambda _: time.sleep(0.003))
    stored: dict[SpoolRef, bytes] = {}

    def store() -> None:
        for number in range(25):
            content = os.urandom(7 + 30_011 * (number % 9))
            stored[put(spool, content)] = content

    threads = [threading.Thread(target=store) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(places) > 10
    assert len(stored) == 100
    for ref, content in stored.items():
        assert bytes(spool.read_whole(ref)) == content
    spool.close()
    for ref, content in stored.items():
        assert b"".join(spool.read(ref)) == content
    for file_id in {ref.file_id for ref in stored}:
        end = max(ref.end for ref in stored if ref.file_id == file_id)
        scan = spool.scan(file_id, end)
        assert (scan.verdict, len(scan.objects)) == (Verdict.CLOSED, 100)


def test_the_writer_waits_for_ground_that_it_reaches(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait(_: int) -> None:
        begun.set()
        assert go_on.wait(5)

    laying(monkeypatch, wait)
    first = put(spool, b"1" * 1000)
    assert begun.wait(5)
    done: list[SpoolRef] = []
    thread = threading.Thread(target=lambda: done.append(put(spool, b"2" * 300_000)))
    thread.start()
    time.sleep(0.1)
    assert not done
    go_on.set()
    thread.join(5)
    assert bytes(spool.read_whole(first)) == b"1" * 1000
    assert bytes(spool.read_whole(done[0])) == b"2" * 300_000


def test_an_open_file_ends_in_ground(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a crash would leave: the objects, then zeros, which are a torn tail and no damage."""
    places = laying(monkeypatch, lambda _: None)
    ref = put(spool, bytes(50_000))
    until(lambda: len(places) == 2 and path_of(spool, ref).stat().st_size > ref.end + ZEROS)
    scan = spool.scan(ref.file_id, ref.end)
    assert (scan.verdict, scan.end, [found for found, _ in scan.objects]) == (Verdict.TORN, ref.end, [ref])
    spool.close()
    assert path_of(spool, ref).stat().st_size == ref.end + 24  # the CLOSE record
    assert spool.scan(ref.file_id, ref.end).verdict is Verdict.CLOSED


def failing(code: int) -> Callable[[int], None]:
    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_full_disk_ends_the_ground_only(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    places = laying(monkeypatch, failing(errno.ENOSPC))
    refs = [put(spool, bytes(50_000))]
    until(lambda: bool(places))
    refs += [put(spool, bytes(50_000)) for _ in range(9)]
    assert len({ref.file_id for ref in refs}) == 1
    assert len(places) == 1
    assert all(bytes(spool.read_whole(ref)) == bytes(50_000) for ref in refs)


def test_another_failure_breaks_the_file(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been data that could not be written: no sender is told Success of it any more."""
    writer = spool.begin({"n": "1"})
    writer.write(bytes(70_000))
    file = writer._file
    assert file is not None
    laying(monkeypatch, failing(errno.EIO))
    put(spool, b"asks for ground")
    until(lambda: file.error is not None)
    with pytest.raises(WardlightError, match="unavailable"):
        writer.write(bytes(70_000))
    assert put(spool, b"next").file_id != file.file_id


def test_a_file_is_closed_after_an_early_write(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An aborted stream ends while the spool's own thread still writes of it: one buffer would be used twice."""
    begun, go_on = threading.Event(), threading.Event()

    def write_at(descriptor: int, data: memoryview, offset: int) -> None:
        if threading.current_thread().name == "spool" and data is not spool_file._ZEROS:
            begun.set()
            assert go_on.wait(5)
        _write_at(descriptor, data, offset)

    first = put(spool, b"1" * 300)
    monkeypatch.setattr(spool_file, "_write_at", write_at)
    writer = spool.begin({"n": "2"})
    writer.write(bytes(400_000))
    assert begun.wait(5)

    def end() -> None:
        writer.abort()
        spool.roll()

    thread = threading.Thread(target=end)
    thread.start()
    time.sleep(0.1)
    assert thread.is_alive()
    go_on.set()
    thread.join(5)
    assert bytes(spool.read_whole(first)) == b"1" * 300
    scan = spool.scan(first.file_id, first.end)
    assert (scan.verdict, [ref for ref, _ in scan.objects]) == (Verdict.CLOSED, [first])
