"""The spool: vector of security.md §3, a second reader on the bare primitives, rolling, keys and removal."""

import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardlight import clock
from wardlight.errors import WardlightError
from wardlight.objects.format import make_header
from wardlight.receiver import spool as spool_module
from wardlight.receiver import spool_file
from wardlight.receiver.spool import Spool, SpoolKeys, SpoolRef, Verdict

SK = bytes(range(32))
META = {"route": "r", "sop_class": "1.2.3"}
VECTOR = bytes.fromhex(
    "000000010100001299039e9aab5c98b9fb7f85705369f845a729"
    "0000000102000013e03f7bc7c849d01bee5a43259606ed7a6524aa"
    "00000001030000380bf8dc7d513b341eff3e0b1c34e95a00dd48b5c9ed99e568e8afc1c02803bdff57dbd47626c66f66"
    "f115d3549e772fcf8b58e4089207341d"
)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool", SpoolKeys(tmp_path / "keys"))
    yield spool
    spool.close()


def put(spool: Spool, content: bytes, meta: dict[str, str] = META, piece: int = 1 << 20) -> SpoolRef:
    writer = spool.begin(meta)
    for start in range(0, len(content), piece):
        writer.write(memoryview(content)[start : start + piece])
    return writer.commit()


def path_of(spool: Spool, file_id: str) -> Path:
    return spool._folder / f"{file_id}.spool"


def second_key(sk: bytes, header: bytes) -> bytes:
    prk = hmac.digest(header[40:72], sk, "sha256")
    return hmac.digest(prk, b"wardlight/v1/object\0" + header[:40] + b"\1", "sha256")


def second_records(sk: bytes, stored: bytes) -> list[tuple[int, int, bytes]]:
    """Every record up to the first that is short or fails: written from the page, not from the module."""
    aead, offset, number = AESGCM(second_key(sk, stored[:104])), 104, 0
    records = []
    while offset + 8 <= len(stored):
        head = stored[offset : offset + 8]
        length = int.from_bytes(head[5:], "big")
        try:
            content = aead.decrypt(
                bytes(8) + number.to_bytes(4, "big"), stored[offset + 8 : offset + 8 + length], head
            )
        except Exception:
            break
        records.append((int.from_bytes(head[:4], "big"), head[4], content))
        offset, number = offset + 8 + length, number + 1
    return records


def second_objects(records: list[tuple[int, int, bytes]]) -> list[bytes]:
    streams: dict[int, bytes] = {}
    objects = []
    for stream, kind, content in records:
        if kind == 1:
            streams[stream] = b""
        elif kind == 2:
            streams[stream] += content
        elif kind == 3:
            whole = streams.pop(stream)
            assert content == len(whole).to_bytes(8, "big") + hashlib.sha256(whole).digest()
            objects.append(whole)
    return objects


def second_read(spool: Spool, file_id: str) -> list[tuple[int, int, bytes]]:
    stored = path_of(spool, file_id).read_bytes()
    return second_records(spool._keys.get(UUID(bytes=stored[8:24])), stored)


def test_vector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FixedKeys(SpoolKeys):
        def current(self) -> tuple[UUID, bytes]:
            return UUID(bytes=b"\x11" * 16), SK

        def get(self, key_id: UUID) -> bytes:
            assert key_id == UUID(bytes=b"\x11" * 16)
            return SK

    monkeypatch.setattr(spool_file, "uuid4", lambda: UUID(bytes=b"\x22" * 16))
    monkeypatch.setattr(spool_file, "make_header", partial(make_header, chunk_log2=12))
    monkeypatch.setattr(os, "urandom", lambda n: bytes(range(0x40, 0x60))[:n])
    spool = Spool(tmp_path / "spool", FixedKeys(tmp_path / "keys"))
    ref = put(spool, b"abc", {})
    monkeypatch.undo()
    stored = path_of(spool, "22" * 16).read_bytes()
    assert stored[:40] == b"WLSG\x01\x01\x02\x0c" + b"\x11" * 16 + b"\x22" * 16
    assert stored[40:72] == bytes(range(0x40, 0x60))
    assert stored[104 : 104 + len(VECTOR)] == VECTOR
    assert not stored[104 + len(VECTOR) :].strip(b"\0")
    assert (ref.stream, ref.offset, ref.record, ref.end) == (1, 104, 0, 104 + len(VECTOR))
    assert second_records(SK, stored) == [
        (1, 1, b"{}"),
        (1, 2, b"abc"),
        (1, 3, bytes(7) + b"\x03" + hashlib.sha256(b"abc").digest()),
    ]
    assert b"".join(spool.read(ref)) == b"abc"
    spool.close()


SIZES = [0, 1, 65535, 65536, 65537, 131072, 200_000, 1 << 20, (1 << 20) + 1, 3_000_000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("piece", [16378, 65536, 70_000, 1 << 20])
def test_round_trip(spool: Spool, size: int, piece: int) -> None:
    content = hashlib.shake_128(b"content").digest(size)
    ref = put(spool, content, {"n": "1"}, piece)
    assert (ref.length, ref.sha256) == (size, hashlib.sha256(content).digest())
    assert b"".join(spool.read(ref)) == content
    assert spool.read_begin(ref) == {"n": "1"}
    assert second_objects(second_read(spool, ref.file_id)) == [content]
    for start in (0, 1, size // 2, size - 1, size):
        assert b"".join(spool.read(ref, max(0, start))) == content[max(0, start) :]


def test_pieces_are_bounded(spool: Spool) -> None:
    ref = put(spool, bytes(1 << 20))
    assert {len(piece) for piece in spool.read(ref)} == {65536}


def test_streams_share_a_file(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [os.urandom(300_000) for _ in range(5)]
    monkeypatch.setattr(spool_module, "STREAMS", 5)
    writers = [spool.begin({"n": str(n)}) for n in range(5)]
    for start in range(0, 300_000, 100_000):
        for writer, content in zip(writers, contents, strict=True):
            writer.write(content[start : start + 100_000])
    writers[2].abort()
    writers[2].abort()
    refs = {n: writers[n].commit() for n in (3, 0, 4, 1)}
    assert spool.files() == [refs[0].file_id]
    for n, ref in refs.items():
        assert b"".join(spool.read(ref)) == contents[n]
        assert spool.read_begin(ref) == {"n": str(n)}
    scan = spool.scan(refs[0].file_id, max(ref.end for ref in refs.values()))
    assert scan.objects == tuple((refs[n], {"n": str(n)}) for n in (3, 0, 4, 1))
    assert scan.verdict is Verdict.TORN
    spool.close()
    assert spool.scan(refs[0].file_id).verdict is Verdict.CLOSED
    stored = path_of(spool, refs[0].file_id).stat().st_size
    assert spool.scan(refs[0].file_id).end == stored


def test_few_streams_share_a_file_at_one_time(spool: Spool) -> None:
    writers = [spool.begin(META) for _ in range(2 * spool_module.STREAMS + 1)]
    for writer in writers:
        writer.write(bytes(70_000))
    assert len(spool.files()) == 3
    refs = [writer.commit() for writer in writers]
    assert [sum(ref.file_id == file_id for ref in refs) for file_id in {ref.file_id: 0 for ref in refs}] == [
        4,
        4,
        1,
    ]
    assert put(spool, b"x").file_id == refs[0].file_id


def test_nothing_in_clear(spool: Spool) -> None:
    name = "MUELLER^HANNA"
    ref = put(spool, name.encode() * 100, {"calling_ae": name})
    assert name.encode() not in path_of(spool, ref.file_id).read_bytes()


def test_ended_writer_takes_nothing(spool: Spool) -> None:
    writer = spool.begin(META)
    writer.write(b"abc")
    writer.commit()
    aborted = spool.begin(META)
    aborted.abort()
    for ended in (writer, aborted):
        with pytest.raises(ValueError, match="has ended"):
            ended.write(b"x")
        with pytest.raises(ValueError, match="has ended"):
            ended.commit()
        ended.abort()


def test_aborted_before_any_write_leaves_no_file(spool: Spool) -> None:
    writer = spool.begin(META)
    writer.write(b"small")
    writer.abort()
    assert spool.files() == []


def test_meta_must_fit(spool: Spool) -> None:
    with pytest.raises(WardlightError, match="too-large"):
        spool.begin({"route": "x" * 70_000})
    assert spool.read_begin(put(spool, b"", {"route": "x" * 60_000}))["route"] == "x" * 60_000


def test_commit_returns_after_the_sync_that_covers_it(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fdatasync

    def watched(descriptor: int) -> None:
        real(descriptor)
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fdatasync", watched)
    for size in (10, 100_000, 2_000_000):
        before = len(synced)
        ref = put(spool, bytes(size))
        assert any(covered >= ref.end for covered in synced[before:])


def test_one_sync_serves_many(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def slow(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        time.sleep(0.02)

    monkeypatch.setattr(os, "fdatasync", slow)
    threads = [threading.Thread(target=lambda: [put(spool, b"x") for _ in range(3)]) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 3 <= calls <= 40
    assert sum(len(spool.scan(file_id).objects) for file_id in spool.files()) == 48


def test_many_threads(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_file, "FILE_BYTES", 3 << 20)
    refs: list[tuple[SpoolRef, bytes]] = []

    def work(seed: int) -> None:
        for n in range(12):
            content = hashlib.shake_128(bytes((seed, n))).digest(n * 30_011)
            if n % 5 == 4:
                writer = spool.begin(META)
                writer.write(content)
                writer.abort()
            else:
                refs.append((put(spool, content, piece=40_000), content))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spool.close()
    assert len(spool.files()) > 2
    for ref, content in refs:
        assert b"".join(spool.read(ref)) == content
    found = [ref for file_id in spool.files() for ref, _ in spool.scan(file_id).objects]
    assert sorted(found, key=repr) == sorted((ref for ref, _ in refs), key=repr)
    assert {spool.scan(file_id).verdict for file_id in spool.files()} == {Verdict.CLOSED}


def test_rolls_by_size(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_file, "FILE_BYTES", 100_000)
    files = [put(spool, bytes(60_000)).file_id for _ in range(4)]
    assert files[0] == files[1] != files[2] == files[3]
    spool.close()
    assert spool.scan(files[0]).verdict is Verdict.CLOSED


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come to pass")


def test_rolls_by_time_without_new_objects(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_file, "FILE_SECONDS", 0.05)
    monkeypatch.setattr(spool_module, "_HOUSEKEEPING_SECONDS", 0.02)
    first = put(spool, b"x").file_id
    wait_for(lambda: spool.finished(first))
    assert spool.scan(first).verdict is Verdict.CLOSED
    held = spool.begin(META)
    held.write(bytes(70_000))
    wait_for(lambda: not spool._current)
    second = spool.files()
    assert put(spool, b"y").file_id not in second
    held.write(bytes(70_000))
    ref = held.commit()
    assert b"".join(spool.read(ref)) == bytes(140_000)
    wait_for(lambda: spool.finished(ref.file_id))


def test_long_stream_gets_the_file_for_itself(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "STREAM_BYTES", 1 << 20)
    writer = spool.begin(META)
    writer.write(bytes(100_000))
    shared = put(spool, b"short")
    writer.write(bytes(1 << 20))
    other = put(spool, b"short")
    long = writer.commit()
    assert shared.file_id == long.file_id != other.file_id
    assert b"".join(spool.read(long)) == bytes(100_000 + (1 << 20))
    wait_for(lambda: spool.finished(long.file_id))


def test_finished_and_remove(spool: Spool) -> None:
    ref = put(spool, b"x")
    assert not spool.finished(ref.file_id)
    with pytest.raises(WardlightError, match="conflict"):
        spool.remove(ref.file_id)
    held = spool.begin(META)
    held.write(bytes(70_000))
    spool.roll()
    assert not spool.finished(ref.file_id)
    held.commit()
    wait_for(lambda: spool.finished(ref.file_id))
    spool.remove(ref.file_id)
    spool.remove(ref.file_id)
    assert spool.files() == []
    assert spool.finished(ref.file_id)
    for use in (lambda: [*spool.read(ref)], lambda: spool.read_begin(ref), lambda: spool.scan(ref.file_id)):
        with pytest.raises(WardlightError, match="not-found"):
            use()


_READER = """
import sys
from pathlib import Path
from wardlight.receiver.spool import Spool, SpoolKeys, SpoolRef
folder, file_id, *numbers, digest = sys.argv[1:]
spool = Spool(Path(folder) / "spool", SpoolKeys(Path(folder) / "keys"))
ref = SpoolRef(file_id, *map(int, numbers), bytes.fromhex(digest))
print(b"".join(spool.read(ref)).decode(), spool.finished(file_id), spool.read_begin(ref)["route"])
"""


def test_another_process_reads_while_it_is_written(spool: Spool, tmp_path: Path) -> None:
    ref = put(spool, b"content")
    numbers = map(str, (ref.stream, ref.offset, ref.record, ref.end, ref.length))
    command = [sys.executable, "-c", _READER, str(tmp_path), ref.file_id, *numbers, ref.sha256.hex()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["content", "False", "r"]


def test_reader_sees_bytes_written_after_it_read_the_block_before(spool: Spool) -> None:
    """Direct writes and the page cache of readers agree, block by block."""
    for n in range(60):
        content = os.urandom(n * 37)
        assert b"".join(spool.read(put(spool, content))) == content


def test_file_system_without_direct_writes(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refusing(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & spool_file._O_DIRECT:
            raise OSError(22, "no")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    content = os.urandom(300_001)
    assert b"".join(spool.read(put(spool, content))) == content


def test_daily_key_ends_with_its_last_file(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keys() -> list[str]:
        return sorted(file.name for file in (tmp_path / "keys").glob("*.key"))

    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 23, 23, tzinfo=UTC))
    old = [put(spool, b"1")]
    spool.close()
    old.append(put(spool, b"2"))
    spool.close()
    assert len(keys()) == 1
    assert (tmp_path / "keys" / keys()[0]).stat().st_mode & 0o777 == 0o400
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 24, 1, tzinfo=UTC))
    new = put(spool, b"3")
    spool.close()
    assert [name[6:14] for name in keys()] == ["20261123", "20261124"]
    spool.remove(old[0].file_id)
    assert len(keys()) == 2
    assert b"".join(spool.read(old[1])) == b"2"
    spool.remove(old[1].file_id)
    assert [name[6:14] for name in keys()] == ["20261124"]
    spool.remove(new.file_id)
    assert len(keys()) == 1  # today's: the next file needs it


def test_lost_key(spool: Spool, tmp_path: Path) -> None:
    ref = put(spool, b"x")
    spool.close()
    next((tmp_path / "keys").glob("*.key")).unlink()
    fresh = Spool(tmp_path / "spool", SpoolKeys(tmp_path / "keys"))
    with pytest.raises(WardlightError, match="key-destroyed"):
        [*fresh.read(ref)]
    with pytest.raises(WardlightError, match="key-destroyed"):
        fresh.scan(ref.file_id)


def test_key_file_open_to_others_is_refused(spool: Spool, tmp_path: Path) -> None:
    ref = put(spool, b"x")
    spool.close()
    next((tmp_path / "keys").glob("*.key")).chmod(0o440)
    with pytest.raises(WardlightError, match="settings-unsafe"):
        Spool(tmp_path / "spool", SpoolKeys(tmp_path / "keys")).scan(ref.file_id)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.one_of(st.integers(0, 200_000), st.sampled_from(["commit", "abort"]))
        ),
        max_size=30,
    )
)
def test_any_interleaving(spool: Spool, steps: list[tuple[int, int | str]]) -> None:
    writers: dict[int, tuple[spool_module.SpoolWriter, bytes]] = {}
    committed: list[tuple[SpoolRef, bytes]] = []
    for slot, step in steps:
        writer, content = writers.get(slot) or (spool.begin({"slot": str(slot)}), b"")
        if step == "commit":
            committed.append((writer.commit(), content))
            writers.pop(slot, None)
        elif step == "abort":
            writer.abort()
            writers.pop(slot, None)
        else:
            assert isinstance(step, int)
            piece = hashlib.shake_128(bytes((slot,))).digest(step)
            writer.write(piece)
            writers[slot] = writer, content + piece
    for writer, _ in writers.values():
        writer.abort()
    files = {ref.file_id for ref, _ in committed}
    spool.close()
    for ref, content in committed:
        assert b"".join(spool.read(ref)) == content
    for file_id in files:
        mine = [content for ref, content in committed if ref.file_id == file_id]
        assert second_objects(second_read(spool, file_id)) == mine
        assert [json.dumps(meta) for _, meta in spool.scan(file_id).objects]
