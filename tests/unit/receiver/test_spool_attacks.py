"""A spool file altered on the disk: nothing but what was committed comes out, and damage is told from a torn tail."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wardlight.errors import WardlightError
from wardlight.receiver import spool as spool_module
from wardlight.receiver.spool import Spool, SpoolKeys, SpoolRef, Verdict

HEADER = 104


class Stored:
    """A closed file with five objects of three interleaved streams and one aborted, and what was put into it."""

    def __init__(self, folder: Path) -> None:
        self.spool = Spool(folder / "spool", SpoolKeys(folder / "keys"))
        patch = pytest.MonkeyPatch()
        patch.setattr(spool_module, "STREAMS", 6)
        contents = [os.urandom(size) for size in (300, 70_000, 0, 500, 10)]
        writers = [self.spool.begin({"n": str(n)}) for n in range(5)]
        aborted = self.spool.begin({"n": "aborted"})
        aborted.write(bytes(70_000))
        for writer, content in zip(writers, contents, strict=True):
            writer.write(content)
        self.refs = [writer.commit() for writer in writers]
        aborted.abort()
        self.spool.close()
        patch.undo()
        self.contents = {ref: content for ref, content in zip(self.refs, contents, strict=True)}
        self.file_id = self.refs[0].file_id
        self.path = folder / "spool" / f"{self.file_id}.spool"
        self.bytes = self.path.read_bytes()
        self.watermark = max(ref.end for ref in self.refs)

    def records(self) -> list[bytes]:
        out, offset = [], HEADER
        while offset < len(self.bytes):
            end = offset + 8 + int.from_bytes(self.bytes[offset + 5 : offset + 8], "big")
            out.append(self.bytes[offset:end])
            offset = end
        return out

    def check(self, altered: bytes, *, watermark: int | None = None) -> Verdict:
        """Put the altered bytes in place: whatever is read must be what was committed, or a typed error."""
        self.path.write_bytes(altered)
        scan = self.spool.scan(self.file_id, self.watermark if watermark is None else watermark)
        for found, meta in scan.objects:
            assert found in self.contents
            assert meta == {"n": str(self.refs.index(found))}
        for ref in self.refs:
            read = self.read(ref)
            assert read is None or read == self.contents[ref]
            if ref in [found for found, _ in scan.objects]:
                assert read is not None
        return scan.verdict

    def read(self, ref: SpoolRef) -> bytes | None:
        whole = self.read_whole(ref)
        pieces = self.read_pieces(ref)
        assert whole in (None, self.contents[ref]), "bytes came out that nobody put in"
        # All at once, damage to records of others does no harm.
        assert pieces is None or whole is not None
        return pieces

    def read_whole(self, ref: SpoolRef) -> bytes | None:
        try:
            return bytes(self.spool.read_whole(ref))
        except WardlightError as error:
            assert error.code in ("object-damaged", "wrong-key", "key-destroyed")
            return None

    def read_pieces(self, ref: SpoolRef) -> bytes | None:
        out = b""
        try:
            for piece in self.spool.read(ref):
                out += piece
                assert self.contents[ref].startswith(out), "bytes came out that nobody put in"
        except WardlightError as error:
            assert error.code in ("object-damaged", "wrong-key", "key-destroyed")
            return None
        return out


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    yield Stored(tmp_path_factory.mktemp("attacks"))


def test_untouched(stored: Stored) -> None:
    assert stored.check(stored.bytes) is Verdict.CLOSED
    assert len(stored.spool.scan(stored.file_id).objects) == 5


def flip(data: bytes, bit: int) -> bytes:
    altered = bytearray(data)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)


def test_flipped_bit_before_the_watermark_is_damage(stored: Stored) -> None:
    heads, offset = [], HEADER
    for record in stored.records():
        heads += range(offset * 8, (offset + 8) * 8, 5)
        heads += [(offset + 9) * 8, (offset + len(record) - 1) * 8]
        offset += len(record)
    for bit in (bit for bit in heads if bit < stored.watermark * 8):
        assert stored.check(flip(stored.bytes, bit)) is Verdict.DAMAGED


def test_flipped_bit_after_the_watermark_is_a_torn_tail(stored: Stored) -> None:
    for bit in range(stored.watermark * 8, len(stored.bytes) * 8):
        assert stored.check(flip(stored.bytes, bit)) is Verdict.TORN
        assert len(stored.spool.scan(stored.file_id, stored.watermark).objects) == 5


def test_each_header_bit(stored: Stored) -> None:
    for bit in range(HEADER * 8):
        stored.path.write_bytes(flip(stored.bytes, bit))
        try:
            scan = stored.spool.scan(stored.file_id, stored.watermark)
            assert (scan.objects, scan.verdict) == ((), Verdict.DAMAGED)
            assert stored.spool.scan(stored.file_id, 0).verdict is Verdict.TORN
        except WardlightError as error:
            assert error.code == "key-destroyed"  # the key id was altered
        assert all(stored.read(ref) is None for ref in stored.refs)


def test_drop_duplicate_reorder(stored: Stored) -> None:
    records = stored.records()
    header = stored.bytes[:HEADER]
    last = next(
        n for n in range(len(records)) if HEADER + sum(map(len, records[: n + 1])) == stored.watermark
    )
    for i in range(last + 1):
        assert stored.check(header + b"".join(records[:i] + records[i + 1 :])) is Verdict.DAMAGED
        doubled = stored.check(header + b"".join(records[: i + 1] + records[i:]))
        assert doubled is (Verdict.DAMAGED if i < last else Verdict.TORN)
        for j in range(i):
            moved = [*records]
            moved[i], moved[j] = moved[j], moved[i]
            assert stored.check(header + b"".join(moved)) is Verdict.DAMAGED


def test_splice_from_another_file_of_the_same_key(stored: Stored, tmp_path: Path) -> None:
    other = Spool(stored.path.parent, stored.spool._keys)
    writer = other.begin({"n": "0"})
    writer.write(os.urandom(300))
    ref = writer.commit()
    other.close()
    strange = (stored.path.parent / f"{ref.file_id}.spool").read_bytes()
    assert strange[8:24] == stored.bytes[8:24], "the test means files of one key"
    assert stored.check(strange[:HEADER] + stored.bytes[HEADER:]) is Verdict.DAMAGED
    assert stored.check(stored.bytes[:HEADER] + strange[HEADER:]) is Verdict.DAMAGED
    assert stored.check(strange) is Verdict.DAMAGED
    other.remove(ref.file_id)


def test_references_that_do_not_fit(stored: Stored) -> None:
    stored.path.write_bytes(stored.bytes)
    first, second = stored.refs[0], stored.refs[1]
    wrong = [
        SpoolRef(
            first.file_id, second.stream, first.offset, first.record, first.end, first.length, first.sha256
        ),
        SpoolRef(
            first.file_id, first.stream, second.offset, second.record, first.end, first.length, first.sha256
        ),
        SpoolRef(
            first.file_id, first.stream, first.offset, first.record + 1, first.end, first.length, first.sha256
        ),
        SpoolRef(
            first.file_id, first.stream, first.offset, first.record, first.end - 1, first.length, first.sha256
        ),
        SpoolRef(
            first.file_id, first.stream, first.offset, first.record, second.end, first.length, second.sha256
        ),
        SpoolRef(
            first.file_id, first.stream, first.offset, first.record, first.end, first.length + 1, first.sha256
        ),
        SpoolRef(first.file_id, first.stream, first.offset, first.record, first.end, first.length, bytes(32)),
    ]
    for number, ref in enumerate(wrong):
        with pytest.raises(WardlightError, match="object-damaged"):
            pytest.fail(f"{number} was read: {len(b''.join(stored.spool.read(ref)))} bytes")
        with pytest.raises(WardlightError, match="object-damaged"):
            pytest.fail(f"{number} was read: {len(stored.spool.read_whole(ref))} bytes")
    with pytest.raises(WardlightError, match="object-damaged"):
        stored.spool.read_begin(wrong[0])


def test_other_key(stored: Stored, tmp_path: Path) -> None:
    stored.path.write_bytes(stored.bytes)
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    name = next((stored.path.parent.parent / "keys").glob("*.key")).name
    (keys / name).write_bytes(os.urandom(32))
    (keys / name).chmod(0o400)
    stranger = Spool(stored.path.parent, SpoolKeys(keys))
    with pytest.raises(WardlightError, match="wrong-key"):
        [*stranger.read(stored.refs[0])]
    with pytest.raises(WardlightError, match="wrong-key"):
        stranger.read_whole(stored.refs[0])
    assert stranger.scan(stored.file_id, stored.watermark).verdict is Verdict.DAMAGED
