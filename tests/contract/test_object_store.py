"""The contract of every object store, run over each implementation."""

import os
from pathlib import Path
from uuid import UUID, uuid4

import pytest

import s3
from wardlight.errors import WardlightError
from wardlight.objects.format import CHUNK_BYTES, ObjectKind
from wardlight.objects.local import LocalObjectStore
from wardlight.objects.memory import MemoryObjectStore
from wardlight.objects.store import ObjectStore, StoredObject

SK = bytes(range(32))
KEY_ID = UUID(int=1)


@pytest.fixture(params=["local", "memory", "s3", "s3-versions"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "local":
        return LocalObjectStore(tmp_path / "objects")
    if request.param == "memory":
        return MemoryObjectStore()
    server = s3.shared()
    return server.store(server.bucket(versions=request.param == "s3-versions"))


def put(store: ObjectStore, content: bytes) -> StoredObject:
    with store.create(SK, KEY_ID, ObjectKind.SEGMENT) as writer:
        writer.write(content)
        return writer.commit()


def test_round_trip(store: ObjectStore) -> None:
    content = os.urandom(3 * CHUNK_BYTES + 7)
    with store.create(SK, KEY_ID, ObjectKind.METADATA) as writer:
        assert writer.tell() == 0
        writer.write(content[:100])
        assert writer.tell() == 100
        writer.write(memoryview(content)[100:])
        stored = writer.commit()
    assert stored.object_id == writer.object_id
    assert stored.plaintext == len(content)
    assert list(store.list()) == [(stored.object_id, stored.size)]
    with store.open(stored.object_id, SK, stored.size) as reader:
        assert reader.plaintext == len(content)
        assert reader.key_id == KEY_ID
        assert reader.kind is ObjectKind.METADATA
        assert reader.read(50, CHUNK_BYTES + 1) == content[50 : CHUNK_BYTES + 1]
        assert b"".join(reader.iter(0, len(content), 1000)) == content
        reader.verify()


def test_empty_object(store: ObjectStore) -> None:
    stored = put(store, b"")
    with store.open(stored.object_id, SK, stored.size) as reader:
        assert reader.plaintext == 0
        assert reader.read(0, 0) == b""
        reader.verify()


def test_names_are_new_each_time(store: ObjectStore) -> None:
    assert len({put(store, b"same").object_id for _ in range(10)}) == 10


def test_unfinished_object_is_not_there(store: ObjectStore) -> None:
    writer = store.create(SK, KEY_ID, ObjectKind.SEGMENT)
    writer.write(bytes(5 * CHUNK_BYTES))
    assert list(store.list()) == []
    writer.abort()
    writer.abort()
    assert list(store.list()) == []
    with pytest.raises(ValueError, match="takes nothing"):
        writer.write(b"more")
    with pytest.raises(ValueError, match="takes nothing"):
        writer.commit()


def test_left_by_an_error_leaves_nothing(store: ObjectStore) -> None:
    with pytest.raises(KeyError), store.create(SK, KEY_ID, ObjectKind.SEGMENT) as writer:
        writer.write(b"x")
        raise KeyError
    assert list(store.list()) == []


def test_committed_object_never_changes(store: ObjectStore) -> None:
    with store.create(SK, KEY_ID, ObjectKind.SEGMENT) as writer:
        writer.write(b"content")
        stored = writer.commit()
        with pytest.raises(ValueError, match="takes nothing"):
            writer.write(b"more")
        with pytest.raises(ValueError, match="takes nothing"):
            writer.commit()
        writer.abort()
    with store.open(stored.object_id, SK, stored.size) as reader:
        assert reader.read(0, 7) == b"content"


def test_delete(store: ObjectStore) -> None:
    stored = put(store, b"content")
    store.delete(stored.object_id)
    store.delete(stored.object_id)
    assert list(store.list()) == []
    with pytest.raises(WardlightError, match="object-damaged") as caught:
        store.open(stored.object_id, SK, stored.size)
    assert caught.value.reason == "missing"


def test_other_key_size_or_name(store: ObjectStore) -> None:
    stored = put(store, b"content")
    with pytest.raises(WardlightError, match="wrong-key"):
        store.open(stored.object_id, bytes(32), stored.size)
    for size in (stored.size - 1, stored.size + 1, 0):
        with pytest.raises(WardlightError, match="object-damaged") as caught:
            store.open(stored.object_id, SK, size)
        assert caught.value.reason == "size"
    with pytest.raises(WardlightError, match="object-damaged"):
        store.open(uuid4(), SK, stored.size)


def test_open_reader_outlives_delete_or_fails_typed(store: ObjectStore) -> None:
    stored = put(store, os.urandom(3 * CHUNK_BYTES))
    with store.open(stored.object_id, SK, stored.size) as reader:
        store.delete(stored.object_id)
        if store.readers_keep:
            assert len(reader.read(0, reader.plaintext)) == 3 * CHUNK_BYTES
        else:
            with pytest.raises(WardlightError) as error:
                reader.read(0, reader.plaintext)
            assert (error.value.code, error.value.reason) == ("object-damaged", "missing")


def test_a_large_object(store: ObjectStore) -> None:
    piece = os.urandom(1 << 20)
    with store.create(SK, KEY_ID, ObjectKind.SEGMENT) as writer:
        for _ in range(20):
            writer.write(piece)
        assert list(store.list()) == []
        stored = writer.commit()
    assert list(store.list()) == [(stored.object_id, stored.size)]
    with store.open(stored.object_id, SK, stored.size) as reader:
        assert all(one == piece for one in reader.iter(0, 20 << 20, 1 << 20))
        assert reader.read((10 << 20) + 5, (10 << 20) + 10) == piece[5:10]
        reader.verify()


def test_a_large_object_given_up_leaves_nothing(store: ObjectStore) -> None:
    with pytest.raises(KeyError), store.create(SK, KEY_ID, ObjectKind.SEGMENT) as writer:
        for _ in range(20):
            writer.write(bytes(1 << 20))
        raise KeyError
    assert list(store.list()) == []
    assert store.sweep(0) == 0
    store.check()
