"""The local object store: order of the durability steps, failing disks, crashes, and what a thief of the disk sees."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from uuid import UUID

import pytest

from wardlight.errors import WardlightError
from wardlight.objects import local as local_module
from wardlight.objects.format import CHUNK_BYTES, ObjectKind
from wardlight.objects.local import LocalObjectStore
from wardlight.objects.store import StoredObject

SK = bytes(range(32))
KEY_ID = UUID(int=1)


@pytest.fixture
def store(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore(tmp_path / "objects")


def put(store: LocalObjectStore, content: bytes) -> StoredObject:
    with store.create(SK, KEY_ID, ObjectKind.SEGMENT) as writer:
        writer.write(content)
        return writer.commit()


def path_of(store: LocalObjectStore, stored: StoredObject) -> Path:
    return store._folder / stored.object_id.hex[:2] / stored.object_id.hex


def left_over(store: LocalObjectStore) -> list[Path]:
    return [*(store._folder / "incoming").iterdir()]


def test_steps_to_a_durable_object(store: LocalObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """fdatasync, then rename, then fsync of the folder: no other order survives every crash."""
    steps: list[str] = []
    rename, fdatasync, sync_folder = Path.rename, os.fdatasync, local_module.sync_folder
    monkeypatch.setattr(os, "fdatasync", lambda fd: (steps.append("fdatasync"), fdatasync(fd))[1])
    monkeypatch.setattr(Path, "rename", lambda self, to: (steps.append("rename"), rename(self, to))[1])
    monkeypatch.setattr(local_module, "sync_folder", lambda at: (steps.append(at.name), sync_folder(at))[1])
    stored = put(store, b"content")
    assert steps == ["fdatasync", "rename", stored.object_id.hex[:2]]
    assert left_over(store) == []


def test_private_and_nameless(store: LocalObjectStore) -> None:
    stored = put(store, b"1.2.840.113619 MUELLER^HANNA" * 100)
    file = path_of(store, stored)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_size == stored.size
    assert b"MUELLER" not in file.read_bytes()
    assert (store._folder / "incoming").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("code", "told"),
    [(errno.ENOSPC, "out-of-resources"), (errno.EDQUOT, "out-of-resources"), (errno.EIO, "unavailable")],
)
def test_failing_disk(store: LocalObjectStore, monkeypatch: pytest.MonkeyPatch, code: int, told: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, "injected", "/secret/path")

    for step in ("write_all", "sync_folder"):
        with monkeypatch.context() as patch:
            patch.setattr(local_module, step, fail)
            writer = store.create(SK, KEY_ID, ObjectKind.SEGMENT)
            with pytest.raises(WardlightError, match=told) as caught:
                writer.write(bytes(10 * CHUNK_BYTES))
                writer.commit()
            assert "secret" not in str(caught.value)
            with pytest.raises(ValueError, match="takes nothing"):
                writer.write(b"x")
            writer.abort()
        assert left_over(store) == []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(WardlightError, match=told):
            put(store, b"x")
    assert left_over(store) == []
    with store.create(SK, KEY_ID, ObjectKind.SEGMENT) as writer:
        writer.write(b"well again")
        writer.commit()


def test_failing_disk_while_reading(store: LocalObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = put(store, b"content")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "injected", "/secret/path")

    with store.open(stored.object_id, SK, stored.size) as reader:
        monkeypatch.setattr(os, "pread", fail)
        with pytest.raises(WardlightError, match="unavailable"):
            reader.read(0, 7)


def test_truncated_or_altered_on_the_disk(store: LocalObjectStore) -> None:
    stored = put(store, bytes(200))
    file = path_of(store, stored)
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(WardlightError, match="object-damaged"):
            store.open(stored.object_id, SK, stored.size)
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with store.open(stored.object_id, SK, stored.size) as reader:
        with pytest.raises(WardlightError, match="object-damaged"):
            reader.read(0, 1)
        with pytest.raises(WardlightError, match="object-damaged"):
            reader.verify()


def test_swapped_files(store: LocalObjectStore) -> None:
    one, two = put(store, b"one"), put(store, b"two")
    first, second = path_of(store, one), path_of(store, two)
    a, b = first.read_bytes(), second.read_bytes()
    first.write_bytes(b)
    second.write_bytes(a)
    for stored in (one, two):
        with pytest.raises(WardlightError, match="object-damaged"):
            store.open(stored.object_id, SK, stored.size)


def test_link_in_place_of_an_object_is_not_followed(store: LocalObjectStore, tmp_path: Path) -> None:
    stored = put(store, b"content")
    file = path_of(store, stored)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WardlightError, match="unavailable"):
        store.open(stored.object_id, SK, stored.size)


def test_killed_before_commit_leaves_nothing_visible(store: LocalObjectStore) -> None:
    program = (
        "import os, sys, uuid\n"
        "from pathlib import Path\n"
        "from wardlight.objects.format import ObjectKind\n"
        "from wardlight.objects.local import LocalObjectStore\n"
        "store = LocalObjectStore(Path(sys.argv[1]))\n"
        "writer = store.create(bytes(32), uuid.UUID(int=1), ObjectKind.SEGMENT)\n"
        "writer.write(bytes(1 << 20))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(store._folder)], timeout=60)
    assert [*store.list()] == []
    (orphan,) = left_over(store)
    assert store.sweep() == 0
    os.utime(orphan, (0, 0))
    assert store.sweep() == 1
    assert left_over(store) == []


def test_sweep_leaves_committed_objects(store: LocalObjectStore) -> None:
    stored = put(store, b"x")
    os.utime(path_of(store, stored), (0, 0))
    assert store.sweep(0) == 0
    assert [*store.list()] == [(stored.object_id, stored.size)]


def test_many_threads(store: LocalObjectStore) -> None:
    done: list[tuple[StoredObject, bytes]] = []

    def work() -> None:
        for n in range(10):
            content = os.urandom(n * 20_000)
            done.append((put(store, content), content))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {object_id for object_id, _ in store.list()} == {stored.object_id for stored, _ in done}
    for stored, content in done:
        with store.open(stored.object_id, SK, stored.size) as reader:
            assert reader.read(0, len(content)) == content
