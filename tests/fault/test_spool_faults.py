"""The spool under failure: cuts at each byte, full and failing disks, kill -9, and nonces that must not repeat."""

import errno
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from wardlight.errors import WardlightError
from wardlight.receiver import spool_file
from wardlight.receiver.spool import Spool, SpoolKeys, SpoolRef, SpoolWriter, Verdict

META = {"route": "r"}


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool", SpoolKeys(tmp_path / "keys"))
    yield spool
    spool.close()


def put(spool: Spool, content: bytes) -> SpoolRef:
    writer = spool.begin(META)
    writer.write(content)
    return writer.commit()


def path_of(spool: Spool, file_id: str) -> Path:
    return spool._folder / f"{file_id}.spool"


def cut_at_each_byte(spool: Spool, sizes: tuple[int, ...]) -> None:
    contents = [os.urandom(size) for size in sizes]
    refs = [put(spool, content) for content in contents]
    spool.close()
    file = path_of(spool, refs[0].file_id)
    stored = file.read_bytes()
    for length in range(len(stored)):
        with open(file, "wb") as cut:
            cut.write(memoryview(stored)[:length])
        whole = [ref for ref in refs if ref.end <= length]
        scan = spool.scan(refs[0].file_id, max((ref.end for ref in whole), default=0))
        assert [ref for ref, _ in scan.objects] == whole
        assert scan.verdict is Verdict.TORN
        if length % 50 == 0:
            for ref, content in zip(refs, contents, strict=True):
                if ref in whole:
                    assert b"".join(spool.read(ref)) == content
                else:
                    with pytest.raises(WardlightError):
                        [*spool.read(ref)]
    for length in (0, 50, 104, refs[2].end - 1):
        file.write_bytes(stored[:length])
        assert spool.scan(refs[0].file_id, refs[2].end).verdict is Verdict.DAMAGED


def test_cut_at_each_byte(spool: Spool) -> None:
    """Every object whose COMMIT is there is found whole, and none else."""
    cut_at_each_byte(spool, (60, 0, 90, 1, 40))


@pytest.mark.long
def test_cut_at_each_of_many_bytes(spool: Spool) -> None:
    cut_at_each_byte(spool, (3000, 0, 4000, 1, 7000, 64))


def test_zeros_or_garbage_after_the_end_are_a_torn_tail(spool: Spool) -> None:
    refs = [put(spool, bytes(1000)) for _ in range(3)]
    spool.close()
    file = path_of(spool, refs[0].file_id)
    stored = file.read_bytes()[: refs[1].end]
    for tail in (bytes(8), bytes(5000), b"\xff" * 5000, os.urandom(5000)):
        file.write_bytes(stored + tail)
        scan = spool.scan(refs[0].file_id, refs[1].end)
        assert [ref for ref, _ in scan.objects] == refs[:2]
        assert scan.verdict is Verdict.TORN


class Disk:
    """Stands between the spool and its files; fails when told so, after a part of the write or none of it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.code = 0
        self.part = 0.0
        self.sync_code = 0
        self._write, self._sync = spool_file._write_at, os.fdatasync
        patch.setattr(spool_file, "_write_at", self.write)
        patch.setattr(os, "fdatasync", self.sync)

    def write(self, descriptor: int, data: memoryview, offset: int) -> None:
        if self.code:
            kept = int(len(data) * self.part) // 4096 * 4096
            self._write(descriptor, data[:kept], offset)
            raise OSError(self.code, "injected")
        self._write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        if self.sync_code:
            raise OSError(self.sync_code, "injected")
        self._sync(descriptor)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.mark.parametrize(
    ("code", "told"),
    [(errno.ENOSPC, "out-of-resources"), (errno.EDQUOT, "out-of-resources"), (errno.EIO, "unavailable")],
)
@pytest.mark.parametrize("part", [0.0, 0.5])
def test_failed_write(spool: Spool, disk: Disk, code: int, told: str, part: float) -> None:
    kept = put(spool, b"acknowledged")
    other = spool.begin(META)
    other.write(bytes(70_000))
    waiting = spool.begin(META)
    waiting.write(b"nothing of this is in the file yet")
    disk.code, disk.part = code, part
    failing = spool.begin(META)
    with pytest.raises(WardlightError, match=told):
        failing.write(bytes(100_000))
        failing.commit()
    failing.abort()
    disk.code = 0
    with pytest.raises(WardlightError, match=told):
        other.commit()
    ref = waiting.commit()
    assert ref.file_id != kept.file_id
    assert b"".join(spool.read(ref)) == b"nothing of this is in the file yet"
    assert b"".join(spool.read(kept)) == b"acknowledged"
    spool.close()
    assert spool.finished(kept.file_id)
    scan = spool.scan(kept.file_id, kept.end)
    assert [found for found, _ in scan.objects] == [kept]
    assert scan.verdict is Verdict.TORN


def test_full_disk_and_no_new_file(spool: Spool, disk: Disk) -> None:
    disk.code = errno.ENOSPC
    for _ in range(3):
        writer = spool.begin(META)
        writer.write(b"x")
        with pytest.raises(WardlightError, match="out-of-resources"):
            writer.commit()
        writer.abort()
    assert spool.files() == []
    disk.code = 0
    assert b"".join(spool.read(put(spool, b"x"))) == b"x"


def test_failed_sync_is_not_tried_again(spool: Spool, disk: Disk) -> None:
    """After a failed fdatasync the kernel may have dropped the pages; the next one would succeed and mean nothing."""
    kept = put(spool, b"before")
    disk.sync_code = errno.EIO
    writer = spool.begin(META)
    writer.write(b"lost")
    with pytest.raises(WardlightError, match="unavailable"):
        writer.commit()
    disk.sync_code = 0
    after = put(spool, b"after")
    assert after.file_id != kept.file_id
    assert b"".join(spool.read(kept)) == b"before"


def test_all_waiting_commits_hear_of_the_failure(spool: Spool, disk: Disk) -> None:
    started = spool.begin(META)
    started.write(bytes(70_000))
    disk.sync_code = errno.ENOSPC
    codes: list[str] = []

    def work() -> None:
        try:
            put(spool, bytes(70_000))
        except WardlightError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert codes == ["out-of-resources"] * 8
    started.abort()


def test_any_other_error_while_writing_frees_who_waits(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    put(spool, b"x")
    waiting = spool.begin(META)
    waiting.write(bytes(70_000))
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(spool_file, "_write_at", lambda *_: 1 / 0)
    early = spool.begin(META)
    with pytest.raises((WardlightError, ZeroDivisionError)):
        early.write(bytes(2 << 20))
    with pytest.raises(WardlightError, match="internal"):
        waiting.commit()
    monkeypatch.undo()
    put(spool, b"z")


class Recorded:
    """AES-GCM that refuses a (key, nonce) it has encrypted with before."""

    used: set[tuple[bytes, bytes]]

    def __init__(self, key: bytes) -> None:
        self._key, self._aead = key, AESGCM(key)
        self.decrypt = self._aead.decrypt

    def encrypt_into(self, nonce: bytes, data: bytes, associated: bytes | None, out: memoryview) -> int:
        pair = (self._key, bytes(nonce))
        assert pair not in Recorded.used, "a (key, nonce) pair was used twice"
        Recorded.used.add(pair)
        return self._aead.encrypt_into(nonce, data, associated, out)


STEP = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 3), st.integers(0, 300_000)),
    st.tuples(st.sampled_from(["commit", "abort"]), st.integers(0, 3), st.just(0)),
    st.tuples(
        st.sampled_from(["full", "part", "sync-fails", "well", "roll", "restart"]), st.just(0), st.just(0)
    ),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_no_key_and_nonce_twice_and_acknowledged_is_whole(steps: list[tuple[str, int, int]]) -> None:
    """Writers, failing disks, rolls and restarts in any order."""
    Recorded.used = set()
    acknowledged: list[tuple[SpoolRef, bytes]] = []
    folder = Path(tempfile.mkdtemp())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool_file, "AESGCM", Recorded)
        disk = Disk(patch)
        spool = Spool(folder / "spool", SpoolKeys(folder / "keys"))
        writers: dict[int, tuple[SpoolWriter, bytes]] = {}
        for action, slot, size in steps:
            if action == "well":
                disk.code = disk.sync_code = 0
            elif action in ("full", "part"):
                disk.code, disk.part = errno.ENOSPC, 0.6 if action == "part" else 0.0
            elif action == "sync-fails":
                disk.sync_code = errno.EIO
            elif action == "roll":
                spool.roll()
            elif action == "restart":
                spool, writers = Spool(folder / "spool", SpoolKeys(folder / "keys")), {}
            else:
                writer, content = writers.pop(slot, None) or (spool.begin(META), b"")
                try:
                    if action == "write":
                        piece = hashlib.shake_128(bytes((slot, size & 255))).digest(size)
                        writer.write(piece)
                        writers[slot] = writer, content + piece
                    elif action == "commit":
                        acknowledged.append((writer.commit(), content))
                    else:
                        writer.abort()
                except WardlightError as error:
                    assert error.code in ("out-of-resources", "unavailable")
                    writer.abort()
        for writer, _ in writers.values():
            writer.abort()
        disk.code = disk.sync_code = 0
        spool.close()
    fresh = Spool(folder / "spool", SpoolKeys(folder / "keys"))
    for ref, content in acknowledged:
        assert b"".join(fresh.read(ref)) == content
    for file_id in fresh.files():
        mine = [ref for ref, _ in acknowledged if ref.file_id == file_id]
        scan = fresh.scan(file_id, max((ref.end for ref in mine), default=0))
        assert scan.verdict is not Verdict.DAMAGED
        assert {ref for ref, _ in scan.objects} >= set(mine)
    shutil.rmtree(folder)


_WRITER = """
import os, sys, threading
from pathlib import Path
from wardlight.receiver.spool import Spool, SpoolKeys
folder = Path(sys.argv[1])
spool = Spool(folder / "spool", SpoolKeys(folder / "keys"))
lock = threading.Lock()
def work(seed):
    n = 0
    while True:
        content = os.urandom((seed * 7919 + n * 104729) % 200_000)
        writer = spool.begin({"n": str(n)})
        for start in range(0, len(content), 50_000):
            writer.write(content[start : start + 50_000])
        ref = writer.commit()
        import hashlib
        line = f"{ref.file_id} {ref.end} {ref.length} {ref.sha256.hex()} {hashlib.sha256(content).hexdigest()}\\n"
        with lock:
            os.write(1, line.encode())
        n += 1
for seed in range(4):
    threading.Thread(target=work, args=(seed,)).start()
"""


@pytest.mark.parametrize("round_", range(3))
def test_killed_while_writing(tmp_path: Path, round_: int) -> None:
    """What was acknowledged before kill -9 is whole; another start goes on in new files."""
    acknowledged: list[list[str]] = []
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(random.uniform(0.02, 0.3))
        process.send_signal(signal.SIGKILL)
        lines = (first + process.stdout.read()).decode().split("\n")
        process.wait()
        acknowledged += [line.split(" ") for line in lines[:-1]]
    spool = Spool(tmp_path / "spool", SpoolKeys(tmp_path / "keys"))
    found = {}
    for file_id in spool.files():
        watermark = max((int(end) for name, end, *_ in acknowledged if name == file_id), default=0)
        scan = spool.scan(file_id, watermark)
        assert scan.verdict is Verdict.TORN
        assert spool.finished(file_id)
        for ref, _ in scan.objects:
            found[ref.file_id, ref.end] = ref
    assert len(acknowledged) >= 2
    for file_id, end, length, told, made in acknowledged:
        ref = found[file_id, int(end)]
        content = b"".join(spool.read(ref))
        assert told == made == hashlib.sha256(content).hexdigest()
        assert len(content) == int(length)
    for file_id in spool.files():
        spool.remove(file_id)
    assert spool.files() == []


_LIMITED = """
import os, resource, signal, sys
from pathlib import Path
from wardlight.errors import WardlightError
from wardlight.receiver.spool import Spool, SpoolKeys
folder = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if sys.argv[2] != "-":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
spool = Spool(folder / "spool", SpoolKeys(folder / "keys"))
acknowledged, refused = [], 0
for n in range(40):
    writer = spool.begin({"n": str(n)})
    try:
        writer.write(bytes([n]) * 300_000)
        acknowledged.append((n, writer.commit()))
    except WardlightError as error:
        assert error.code == "out-of-resources", error
        assert error.kind.dicom == 0xA700
        refused += 1
for n, ref in acknowledged:
    assert b"".join(spool.read(ref)) == bytes([n]) * 300_000
spool.close()
for file_id in spool.files():
    spool.scan(file_id)
print(len(acknowledged), refused)
"""


def test_file_size_limit(tmp_path: Path) -> None:
    """A real refusal in the middle of a file: objects go on in new files, each object whole or refused."""
    command = [sys.executable, "-c", _LIMITED, str(tmp_path), str(1 << 20)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    acknowledged, refused = map(int, done.stdout.split())
    assert acknowledged + refused == 40
    assert acknowledged >= 20
    assert refused >= 5


@pytest.mark.system
def test_full_file_system(tmp_path: Path) -> None:
    """The same on a file system of 8 MiB, where the disk really is full."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("needs root and mkfs.ext4 to mount a small file system")
    image, mount = tmp_path / "image", tmp_path / "mount"
    image.write_bytes(bytes(8 << 20))
    mount.mkdir()
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True, capture_output=True, timeout=60)
    if subprocess.run(
        ["mount", "-o", "loop", str(image), str(mount)], capture_output=True, timeout=60
    ).returncode:
        pytest.skip("this machine does not mount images")
    try:
        command = [sys.executable, "-c", _LIMITED, str(mount), "-"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        acknowledged, refused = map(int, done.stdout.split())
        assert acknowledged >= 10
        assert refused >= 10
    finally:
        subprocess.run(["umount", str(mount)], check=True, timeout=60)


def test_memory_stays_flat(tmp_path: Path) -> None:
    """300 MB in one object: the process grows by the buffers only."""
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from wardlight.receiver.spool import Spool, SpoolKeys\n"
        "folder = Path(sys.argv[1])\n"
        "spool = Spool(folder / 'spool', SpoolKeys(folder / 'keys'))\n"
        "piece = bytes(1 << 20)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "writer = spool.begin({})\n"
        "for _ in range(300): writer.write(piece)\n"
        "ref = writer.commit()\n"
        "assert sum(map(len, spool.read(ref))) == 300 << 20\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert int(done.stdout) < 12 * 1024, "KiB of growth"
