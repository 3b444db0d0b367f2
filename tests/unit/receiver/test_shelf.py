"""What is kept of objects between protection and upload: bounded, and free again once nobody holds it."""

from pathlib import Path

import pytest

from wardlight.errors import WardlightError
from wardlight.receiver import shelf
from wardlight.receiver.shelf import Shelf
from wardlight.receiver.spool import Spool, SpoolKeys, SpoolRef


def put(spool: Spool, content: bytes) -> SpoolRef:
    writer = spool.begin({"n": "1"})
    writer.write(content)
    return writer.commit()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", SpoolKeys(tmp_path / "keys"))


def test_room_is_taken_and_given_back(spool: Spool) -> None:
    ref = put(spool, bytes(range(200)))
    kept = Shelf(spool, room=450)
    first, second = kept.take(ref), kept.take(ref)
    assert first is not None and second is not None
    assert kept.take(ref) is None
    assert b"".join(first(0)) == bytes(range(200))
    assert b"".join(first(150)) == bytes(range(150, 200))
    del second
    third = kept.take(ref)
    assert third is not None
    assert b"".join(third(199)) == b"\xc7"


def test_large_objects_are_not_kept(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "LARGEST", 10)
    assert Shelf(spool).take(put(spool, bytes(11))) is None
    assert Shelf(spool).take(put(spool, bytes(10))) is not None


def test_one_that_cannot_be_read_takes_no_room(spool: Spool, tmp_path: Path) -> None:
    ref = put(spool, bytes(100))
    path = tmp_path / "spool" / f"{ref.file_id}.spool"
    altered = bytearray(path.read_bytes())
    altered[ref.end - 80] ^= 1
    path.write_bytes(altered)
    kept = Shelf(spool, room=150)
    for _ in range(3):
        with pytest.raises(WardlightError, match="object-damaged"):
            kept.take(ref)
    assert kept._left == 150


def test_threads_together_take_no_more_than_the_room(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room is taken before the object is read, so that no other thread takes it meanwhile."""
    ref = put(spool, bytes(100))
    kept = Shelf(spool, room=150)
    inner: list[object] = []
    whole = spool.read_whole

    def read(wanted: SpoolRef) -> memoryview:
        inner.append(kept.take(ref))
        return whole(wanted)

    monkeypatch.setattr(spool, "read_whole", read)
    assert kept.take(ref) is not None
    assert inner == [None]
