"""Encrypted objects: vectors of security.md §3, a second implementation on the bare primitives, and the attacks."""

import hashlib
import hmac
import os
from collections.abc import Callable
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wardlight.errors import WardlightError
from wardlight.objects import format as object_format
from wardlight.objects.format import (
    CHUNK_BYTES,
    HEADER_BYTES,
    Decryptor,
    Encryptor,
    ObjectKind,
    make_header,
    open_header,
    parse_header,
    plaintext_bytes,
)

SK = bytes(range(32))
SALT = bytes(range(0x20, 0x40))
KEY_ID = UUID("00000000-0000-4000-8000-000000000001")
OBJECT_ID = UUID("00000000-0000-4000-8000-000000000002")
STRIDE = CHUNK_BYTES + 16
HEADER = bytes.fromhex(
    "574c5347010101100000000000004000800000000000000100000000000040008000000000000002"
    "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
    "8d3c7f612abab48a3369e6cd52f4c4cfa0e3fa1db45008743d2a76a02f68f0aa"
)
OBJECT_KEY = bytes.fromhex("d56346aa1974dfcfe08a53bf419edcbd521b1317f676bfea6d333985d991174a")


def encrypt(content: bytes, sk: bytes = SK, object_id: UUID = OBJECT_ID, pieces: int = 1 << 30) -> bytes:
    out = bytearray()
    encryptor = Encryptor(sk, KEY_ID, object_id, ObjectKind.SEGMENT, out.extend)
    for start in range(0, len(content), pieces):
        encryptor.write(memoryview(content)[start : start + pieces])
    assert encryptor.finish() == len(out)
    assert encryptor.plaintext == len(content)
    return bytes(out)


def pread(stored: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: stored[offset : offset + length]


def opened(stored: bytes, sk: bytes = SK, object_id: UUID = OBJECT_ID, size: int | None = None) -> Decryptor:
    return Decryptor(pread(stored), len(stored) if size is None else size, sk, object_id)


def decrypt(stored: bytes, sk: bytes = SK, object_id: UUID = OBJECT_ID, size: int | None = None) -> bytes:
    decryptor = opened(stored, sk, object_id, size)
    decryptor.verify()
    return decryptor.read(0, decryptor.plaintext)


def second_key(sk: bytes, head: bytes, salt: bytes) -> tuple[bytes, bytes]:
    prk = hmac.new(salt, sk, hashlib.sha256).digest()
    info = b"wardlight/v1/object\0" + head
    first = hmac.new(prk, info + b"\1", hashlib.sha256).digest()
    return first, hmac.new(prk, first + info + b"\2", hashlib.sha256).digest()


def second_encrypt(sk: bytes, head: bytes, salt: bytes, content: bytes) -> bytes:
    """The format once more, from the page and not from the module."""
    key, commitment = second_key(sk, head, salt)
    size = 1 << head[7]
    chunks = [content[i : i + size] for i in range(0, len(content), size)] or [b""]
    out = head + salt + commitment
    for index, chunk in enumerate(chunks):
        nonce = bytes(7) + index.to_bytes(4, "big") + bytes([index == len(chunks) - 1])
        out += AESGCM(key).encrypt(nonce, chunk, b"")
    return out


@pytest.fixture
def fixed_salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", lambda n: SALT[:n])


@pytest.mark.usefixtures("fixed_salt")
def test_header_vector() -> None:
    assert make_header(SK, ObjectKind.SEGMENT, KEY_ID, OBJECT_ID) == (HEADER, OBJECT_KEY)
    assert open_header(SK, HEADER) == OBJECT_KEY
    assert second_key(SK, HEADER[:40], SALT) == (OBJECT_KEY, HEADER[72:])
    header = parse_header(HEADER)
    assert (header.kind, header.chunk_log2, header.key_id, header.object_id) == (1, 16, KEY_ID, OBJECT_ID)


@pytest.mark.usefixtures("fixed_salt")
def test_content_vectors() -> None:
    assert encrypt(b"")[HEADER_BYTES:].hex() == "66d8721f1347c0156c15e348cc0c1713"
    assert encrypt(b"Wardlight vector 2")[HEADER_BYTES:].hex() == (
        "7682534aaa041f00f932f49dde8e40d5675947ae44f262284ff923fe8383be69fa35"
    )
    counting = bytes(i % 256 for i in range(65541))
    stored = encrypt(counting)
    assert len(stored) == 65677
    assert (
        hashlib.sha256(stored).hexdigest()
        == "bd463357ce52ea75097ef4937248d5a9f6ebe5fef508a6d739d5b2b4051c1268"
    )
    assert stored[-21:].hex() == "0395ca5feb9a776956014a6922e0556514ac4790f7"
    zeros = encrypt(bytes(65536))
    assert len(zeros) == 65656
    assert (
        hashlib.sha256(zeros).hexdigest()
        == "5b25cbf8ef51f1952d07ae04ee84a213df986ec25ce8e48505d02837083975d0"
    )
    for content in (b"", b"Wardlight vector 2", counting, bytes(65536)):
        assert second_encrypt(SK, HEADER[:40], SALT, content) == encrypt(content)
        assert decrypt(encrypt(content)) == content


SIZES = st.one_of(
    st.integers(0, 300),
    st.builds(
        lambda chunks, more: max(0, chunks * CHUNK_BYTES + more), st.integers(0, 9), st.integers(-3, 3)
    ),
)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.lists(st.integers(0, 3 * CHUNK_BYTES), max_size=12), st.randoms())
@example(CHUNK_BYTES, [CHUNK_BYTES], None)
@example(2 * CHUNK_BYTES, [1, CHUNK_BYTES - 1, CHUNK_BYTES], None)
def test_any_cut_into_writes_gives_the_same_object(size: int, cuts: list[int], random: object) -> None:
    content = hashlib.shake_128(size.to_bytes(4, "big")).digest(size)
    out = bytearray()
    encryptor = Encryptor(SK, KEY_ID, OBJECT_ID, ObjectKind.QUARANTINE, out.extend)
    position = 0
    for cut in cuts:
        encryptor.write(content[position : position + cut])
        position = min(size, position + cut)
    encryptor.write(content[position:])
    encryptor.finish()
    stored = bytes(out)
    assert stored == second_encrypt(SK, stored[:40], stored[40:72], content)
    decryptor = opened(stored)
    assert b"".join(decryptor.iter(0, size)) == content


@settings(max_examples=60, deadline=None)
@given(SIZES, st.data())
def test_ranges(size: int, data: st.DataObject) -> None:
    content = hashlib.shake_128(size.to_bytes(4, "big")).digest(size)
    start = data.draw(st.integers(0, size))
    end = data.draw(st.integers(start, size))
    decryptor = opened(encrypt(content))
    assert decryptor.plaintext == size
    assert decryptor.read(start, end) == content[start:end]
    step = data.draw(st.integers(1000, 5 * CHUNK_BYTES))
    pieces = list(decryptor.iter(start, end, step))
    assert b"".join(pieces) == content[start:end]
    assert all(0 < len(piece) <= step for piece in pieces)


def test_range_reads_only_its_chunks() -> None:
    stored = encrypt(bytes(5 * CHUNK_BYTES))
    asked: list[tuple[int, int]] = []

    def counting(offset: int, length: int) -> bytes:
        asked.append((offset, length))
        return stored[offset : offset + length]

    decryptor = Decryptor(counting, len(stored), SK, OBJECT_ID)
    decryptor.read(CHUNK_BYTES, 3 * CHUNK_BYTES)
    assert asked == [(0, HEADER_BYTES), (HEADER_BYTES + STRIDE, 2 * STRIDE)]
    decryptor.read(3 * CHUNK_BYTES - 1, 3 * CHUNK_BYTES + 1)
    assert asked[2:] == [(HEADER_BYTES + 2 * STRIDE, 2 * STRIDE)]


@pytest.mark.parametrize(("start", "end"), [(-1, 0), (1, 0), (0, 101), (101, 101)])
def test_range_outside(start: int, end: int) -> None:
    with pytest.raises(WardlightError, match="range-not-satisfiable"):
        opened(encrypt(bytes(100))).read(start, end)


def refused(stored: bytes, **arguments: object) -> str:
    """The error's code; a byte of content would be a failure of the test."""
    with pytest.raises(WardlightError) as caught:
        decrypt(stored, **arguments)  # type: ignore[arg-type]
    assert caught.value.code in ("object-damaged", "wrong-key")
    return caught.value.code


def test_truncated_at_every_byte() -> None:
    stored = encrypt(bytes(range(256)) * 2)
    for length in range(len(stored)):
        refused(stored[:length])
        refused(stored[:length], size=len(stored))
    for content in (b"", b"x"):
        stored = encrypt(content)
        for length in range(len(stored)):
            refused(stored[:length])


def test_truncated_around_chunk_borders() -> None:
    for size in (2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 1, 3 * CHUNK_BYTES - 1):
        stored = encrypt(bytes(size))
        for border in range(HEADER_BYTES, len(stored), STRIDE):
            for length in range(border - 20, border + 20):
                if 0 <= length < len(stored):
                    refused(stored[:length])


@pytest.mark.long
def test_truncated_at_every_byte_of_three_chunks() -> None:
    stored = encrypt(bytes(2 * CHUNK_BYTES + 100))
    for length in range(len(stored)):
        refused(stored[:length])


def parts(stored: bytes) -> tuple[bytes, list[bytes]]:
    body = stored[HEADER_BYTES:]
    return stored[:HEADER_BYTES], [body[i : i + STRIDE] for i in range(0, len(body), STRIDE)]


def test_reorder_drop_duplicate_append_splice() -> None:
    content = os.urandom(4 * CHUNK_BYTES)
    stored, other = encrypt(content), encrypt(os.urandom(4 * CHUNK_BYTES))
    header, chunks = parts(stored)
    _, strange = parts(other)
    for i in range(4):
        assert refused(header + b"".join(chunks[:i] + chunks[i + 1 :])) == "object-damaged"
        refused(header + b"".join([*chunks[:i], chunks[i], *chunks[i:]]))
        refused(header + b"".join([*chunks[:i], strange[i], *chunks[i + 1 :]]))
        for j in range(i):
            swapped = list(chunks)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            refused(header + b"".join(swapped))
    for tail in (b"\0", bytes(16), bytes(17), chunks[0], chunks[3]):
        refused(stored + tail)
    assert refused(parts(other)[0] + b"".join(chunks)) == "object-damaged"


def test_swapped_objects_and_other_keys() -> None:
    other_id = UUID(int=5)
    stored, other = encrypt(b"mine"), encrypt(b"yours", object_id=other_id)
    assert refused(other) == "object-damaged"
    assert refused(stored, object_id=other_id) == "object-damaged"
    assert refused(stored, sk=bytes(32)) == "wrong-key"


@pytest.mark.parametrize("bit", range(HEADER_BYTES * 8))
def test_each_header_bit(bit: int) -> None:
    stored = bytearray(encrypt(b"content"))
    stored[bit // 8] ^= 1 << bit % 8
    refused(bytes(stored))


def test_each_bit_of_the_body() -> None:
    stored = encrypt(b"content")
    for bit in range(HEADER_BYTES * 8, len(stored) * 8):
        altered = bytearray(stored)
        altered[bit // 8] ^= 1 << bit % 8
        assert refused(bytes(altered)) == "object-damaged"


def test_spool_file_is_not_read_as_object() -> None:
    header, _ = make_header(SK, ObjectKind.SPOOL, KEY_ID, OBJECT_ID)
    assert refused(header + bytes(16)) == "object-damaged"


def test_other_chunk_sizes_are_read() -> None:
    for log2 in range(12, 21):
        head = HEADER[:7] + bytes([log2]) + HEADER[8:40]
        content = os.urandom((1 << log2) + 5)
        assert decrypt(second_encrypt(SK, head, SALT, content)) == content


@given(st.integers(0, 1 << 41))
def test_size_rule(plaintext: int) -> None:
    chunks = max(1, -(-plaintext // CHUNK_BYTES))
    size = HEADER_BYTES + plaintext + 16 * chunks
    assert plaintext_bytes(size) == plaintext


def test_chunk_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_format, "MOST_CHUNKS", 2)
    encryptor = Encryptor(SK, KEY_ID, OBJECT_ID, ObjectKind.SEGMENT, lambda data: None)
    with pytest.raises(WardlightError, match="too-large"):
        encryptor.write(bytes(4 * CHUNK_BYTES))
    with pytest.raises(ValueError, match="takes nothing"):
        encryptor.write(b"x")


class Recorded:
    """AES-GCM that remembers every (key, nonce) it encrypted with."""

    used: set[tuple[bytes, bytes]]

    def __init__(self, key: bytes) -> None:
        self._key, self._aead = key, AESGCM(key)

    def encrypt_into(self, nonce: bytes, data: bytes, associated: bytes | None, out: memoryview) -> int:
        pair = (self._key, bytes(nonce))
        assert pair not in Recorded.used, "a (key, nonce) pair was used twice"
        Recorded.used.add(pair)
        return self._aead.encrypt_into(nonce, data, associated, out)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.integers(0, 5 * CHUNK_BYTES), st.sampled_from(["finish", "abandon", "new", "fail"])),
        max_size=25,
    )
)
def test_no_key_and_nonce_twice(steps: list[int | str]) -> None:
    """Errors, retries and new writers on one object id: the caller that goes on with a dead writer is refused."""
    Recorded.used = set()
    failing = False

    def sink(data: memoryview) -> None:
        if failing:
            raise OSError(28, "full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_format, "AESGCM", Recorded)
        writers = [Encryptor(SK, KEY_ID, OBJECT_ID, ObjectKind.SEGMENT, sink)]
        for step in steps:
            failing = step == "fail"
            if step == "new":
                writers.append(Encryptor(SK, KEY_ID, OBJECT_ID, ObjectKind.SEGMENT, sink))
                continue
            for writer in writers:
                try:
                    if step == "abandon":
                        writer.abandon()
                    elif isinstance(step, int):
                        writer.write(bytes(step))
                    else:
                        writer.finish()
                except (OSError, ValueError):
                    pass
