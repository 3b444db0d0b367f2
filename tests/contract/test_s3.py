"""Objects in a bucket when the network, the server or a thief does what it can: nothing half done is ever seen."""

from __future__ import annotations

import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import UUID

import obstore
import pytest

import s3
from wardlight.errors import WardlightError
from wardlight.objects.format import CHUNK_BYTES, ObjectKind
from wardlight.objects.s3 import PART_BYTES, S3ObjectStore, S3Place, parse_url
from wardlight.objects.s3_calls import Credentials, S3Calls, read_credentials
from wardlight.objects.store import StoredObject

SK = bytes(range(32))
KEY_ID = UUID(int=1)
MIB = 1 << 20


class Wire:
    """A relay to the server that counts requests, and can cut after so many bytes, drop an answer, or fall silent."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.requests: list[str] = []
        self.cut_after: int | None = None
        self.drop_answers_to = b""
        self.silent = False
        self.sent = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.close()
        for one in self._open:
            with suppress(OSError):
                one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._open += [client, server]
                pair = _Pair(self, client, server)
                threading.Thread(target=pair.there, daemon=True).start()
                threading.Thread(target=pair.back, daemon=True).start()


class _Pair:
    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self.wire, self.client, self.server = wire, client, server
        self.dropping = False

    def cut(self) -> None:
        for one in (self.client, self.server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
                one.close()

    def there(self) -> None:
        with suppress(OSError):
            while data := self.client.recv(65536):
                if data.split(b" ", 1)[0] in (b"GET", b"PUT", b"POST", b"DELETE", b"HEAD"):
                    self.wire.requests.append(data.split(b" HTTP", 1)[0].decode())
                    marked = self.wire.drop_answers_to
                    self.dropping = bool(marked) and marked in data.split(b" HTTP", 1)[0]
                if self.wire.silent:
                    continue
                self.wire.sent += len(data)
                if self.wire.cut_after is not None and self.wire.sent > self.wire.cut_after:
                    break
                self.server.sendall(data)
        self.cut()

    def back(self) -> None:
        with suppress(OSError):
            while data := self.server.recv(65536):
                if self.dropping:
                    self.wire.drop_answers_to = b""
                    break
                self.client.sendall(data)
        self.cut()


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire(s3.shared().port)
    yield made
    made.close()


@pytest.fixture
def bucket() -> str:
    return s3.shared().bucket()


def put(store: S3ObjectStore, content: bytes) -> StoredObject:
    with store.create(SK, KEY_ID, ObjectKind.SEGMENT) as writer:
        for start in range(0, len(content), MIB):
            writer.write(content[start : start + MIB])
        return writer.commit()


def raw(store: S3ObjectStore, stored: StoredObject) -> bytes:
    return bytes(obstore.get(store._store, store._key(stored.object_id)).bytes())


def overwrite(store: S3ObjectStore, stored: StoredObject, content: bytes) -> None:
    store._headers.clear()
    obstore.put(store._store, store._key(stored.object_id), content)


@pytest.mark.parametrize("size", [200_000, 30 * MIB], ids=["one-put", "parts"])
def test_a_connection_cut_anywhere_in_a_put_leaves_nothing_to_be_seen(
    wire: Wire, bucket: str, size: int
) -> None:
    store = s3.shared().store(bucket, endpoint=wire.endpoint, retries=0, timeout_s=5)
    direct = s3.shared().store(bucket)
    content = os.urandom(size)
    for share in (0.0, 0.3, 0.7, 0.999):
        wire.sent, wire.cut_after = 0, int(size * share)
        with pytest.raises(WardlightError) as error:
            put(store, content)
        assert error.value.code == "unavailable"
        assert bucket not in str(error.value) and "127.0.0.1" not in str(error.value)
        assert list(direct.list()) == []
    wire.cut_after = None
    # Parts that were cut off are what the sweep removes, and nobody can see.
    direct.sweep(0)
    assert list(direct._calls.uploads("")) == []
    stored = put(store, content)
    assert list(direct.list()) == [(stored.object_id, stored.size)]


@pytest.mark.parametrize(
    ("size", "answer"),
    [(1000, b"PUT"), (30 * MIB, b"partNumber"), (30 * MIB, b"POST")],
    ids=["put", "part", "last"],
)
def test_an_answer_that_is_lost_is_asked_for_again(wire: Wire, bucket: str, size: int, answer: bytes) -> None:
    store = s3.shared().store(bucket, endpoint=wire.endpoint)
    content = os.urandom(size)
    wire.drop_answers_to = answer
    stored = put(store, content)
    assert wire.drop_answers_to == b""
    with store.open(stored.object_id, SK, stored.size) as reader:
        assert b"".join(reader.iter(0, size, MIB)) == content
    assert list(store.list()) == [(stored.object_id, stored.size)]


def test_an_object_is_never_overwritten(bucket: str) -> None:
    store = s3.shared().store(bucket)
    store.put("objects/" + "a" * 32, bytearray(b"first"))
    store.put("objects/" + "a" * 32, bytearray(b"first"))
    with pytest.raises(WardlightError) as error:
        store.put("objects/" + "a" * 32, bytearray(b"other"))
    assert error.value.code == "unavailable"


def test_a_server_that_says_nothing_or_is_gone_is_unavailable_in_time(wire: Wire, bucket: str) -> None:
    store = s3.shared().store(bucket, endpoint=wire.endpoint, retries=1, timeout_s=1)
    stored = put(store, b"content")
    wire.silent = True
    for call in (
        store.check,
        lambda: put(store, b"x"),
        lambda: store.fetch(stored.object_id, 0, 10),
        lambda: list(store.list()),
        lambda: store.delete(stored.object_id),
    ):
        started = time.monotonic()
        with pytest.raises(WardlightError) as error:
            call()
        assert error.value.code == "unavailable" and time.monotonic() - started < 8
    wire.silent = False
    with store.open(stored.object_id, SK, stored.size) as reader:
        assert reader.read(0, 7) == b"content"


def test_wrong_credentials_and_a_missing_bucket_are_told_without_names(bucket: str) -> None:
    server = s3.shared()
    wrong = {"AWS_ACCESS_KEY_ID": s3.ACCESS, "AWS_SECRET_ACCESS_KEY": "wrong"}
    refused = S3ObjectStore(server.place(bucket), wrong)
    for call in (
        refused.check,
        lambda: put(refused, b"x"),
        lambda: refused.sweep(0),
        server.store("no-such-bucket").check,
    ):
        with pytest.raises(WardlightError) as error:
            call()
        assert error.value.code == "unavailable"
        told = str(error.value)
        assert not any(word in told for word in (bucket, "no-such", s3.ACCESS, "127.0.0.1", "wrong"))
    assert list(server.store(bucket).list()) == []


def test_truncated_altered_and_swapped_objects_are_refused(bucket: str) -> None:
    store = s3.shared().store(bucket)
    one, other = put(store, b"one" * 1000), put(store, b"two" * 1000)
    whole, foreign = raw(store, one), raw(store, other)
    for length in (*range(0, 130, 13), len(whole) - 1):
        overwrite(store, one, whole[:length])
        with pytest.raises(WardlightError, match="object-damaged"):
            store.open(one.object_id, SK, one.size)
    overwrite(store, one, whole[:-1] + bytes([whole[-1] ^ 1]))
    with (
        store.open(one.object_id, SK, one.size) as reader,
        pytest.raises(WardlightError, match="object-damaged"),
    ):
        reader.read(0, 1)
    overwrite(store, one, foreign)
    with pytest.raises(WardlightError, match="object-damaged"):
        store.open(one.object_id, SK, one.size)


def test_an_object_truncated_after_its_header_was_remembered_is_refused(bucket: str) -> None:
    store = s3.shared().store(bucket)
    stored = put(store, os.urandom(5 * CHUNK_BYTES))
    store.open(stored.object_id, SK, stored.size).close()
    obstore.put(store._store, store._key(stored.object_id), raw(store, stored)[:-1])
    with store.open(stored.object_id, SK, stored.size) as reader, pytest.raises(WardlightError) as error:
        reader.read(3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 1)
    assert error.value.code == "object-damaged"


def test_a_frame_costs_one_request(wire: Wire, bucket: str) -> None:
    store = s3.shared().store(bucket, endpoint=wire.endpoint)
    content = os.urandom(100 * CHUNK_BYTES)
    stored = put(store, content)
    place = 50 * CHUNK_BYTES
    for expected in (2, 1):  # the first time also the header
        wire.requests.clear()
        with store.open(stored.object_id, SK, stored.size) as reader:
            assert reader.read(place, place + CHUNK_BYTES) == content[place : place + CHUNK_BYTES]
        assert len(wire.requests) == expected, wire.requests


def test_a_small_object_costs_one_request(wire: Wire, bucket: str) -> None:
    store = s3.shared().store(bucket, endpoint=wire.endpoint)
    stored = put(store, b"x" * 50_000)
    wire.requests.clear()
    with store.open(stored.object_id, SK, stored.size) as reader:
        assert reader.read(0, 50_000) == b"x" * 50_000
    assert len(wire.requests) == 1


def test_reading_on_asks_ahead_and_reading_here_and_there_does_not(wire: Wire, bucket: str) -> None:
    store = s3.shared().store(bucket, endpoint=wire.endpoint)
    content = os.urandom(32 * MIB)
    stored = put(store, content)
    wire.requests.clear()
    with store.open(stored.object_id, SK, stored.size) as reader:
        assert b"".join(reader.iter(0, len(content))) == content
    assert len(wire.requests) <= 15, wire.requests  # 128 pieces
    asked: list[int] = []
    fetch = store.fetch

    def counted(object_id: UUID, start: int, length: int) -> tuple[bytes, int]:
        asked.append(length)
        return fetch(object_id, start, length)

    store.fetch = counted  # type: ignore[method-assign]
    for place in (20 * MIB, 3 * MIB, 11 * MIB):
        asked.clear()
        with store.open(stored.object_id, SK, stored.size) as reader:
            reader.read(place, place + 10)
        assert sum(asked) <= CHUNK_BYTES + 16


def test_memory_is_bounded_while_a_large_object_is_written_and_read(bucket: str) -> None:
    store = s3.shared().store(bucket)
    piece = os.urandom(MIB)
    tracemalloc.start()
    before = _resident()
    with store.create(SK, KEY_ID, ObjectKind.SEGMENT) as writer:
        for _ in range(160):
            writer.write(piece)
        stored = writer.commit()
    with store.open(stored.object_id, SK, stored.size) as reader:
        reader.verify()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * PART_BYTES
    assert _resident() - before < 120 * MIB


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_deleted_object_is_gone_in_all_versions() -> None:
    bucket = s3.shared().bucket(versions=True)
    store = s3.shared().store(bucket)
    stored = put(store, b"to be forgotten")
    overwrite(store, stored, b"a second version")
    obstore.delete(store._store, store._key(stored.object_id))  # leaves a marker, and both versions
    kept = store._calls._told("GET", "", {"versions": "", "prefix": ""})
    assert kept.count(b"<Version>") == 2
    store.delete(stored.object_id)
    kept = store._calls._told("GET", "", {"versions": "", "prefix": ""})
    assert b"<Version>" not in kept and b"<DeleteMarker>" not in kept


def test_only_objects_are_listed_and_prefixes_keep_apart(bucket: str) -> None:
    one, other = s3.shared().store(bucket, "a"), s3.shared().store(bucket, "b/c")
    stored = put(one, b"x")
    obstore.put(one._store, "a/tombstones/2026.ndjson", b"{}")
    obstore.put(one._store, "a/readme", b"hello")
    assert list(one.list()) == [(stored.object_id, stored.size)]
    assert list(other.list()) == []


def test_what_a_thief_of_the_bucket_sees_is_names_and_sizes() -> None:
    server = s3.shared()
    store = server.store(server.bucket())
    put(store, b"1.2.840.113619 MUELLER^HANNA" * 100)
    for file in server.folder.rglob("*.dat"):
        assert b"MUELLER" not in file.read_bytes()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://my-bucket.eu/wardlight/objects", ("my-bucket.eu", "wardlight/objects")),
    ],
)
def test_addresses(url: str, place: tuple[str, str]) -> None:
    assert parse_url(url) == place


@pytest.mark.parametrize(
    "url",
    ["", "bucket", "http://bucket", "s3://", "s3://Bucket", "s3://b/../c", "s3://b/a b", "s3://u:p@b/c"],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(WardlightError, match="bad-request"):
        parse_url(url)


def test_credentials_come_from_the_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        "[other]\naws_access_key_id = no\naws_secret_access_key = no\n\n[default]\naws_access_key_id=key\n"
        "aws_secret_access_key = secret/with+signs=\n[last]\naws_access_key_id = no\n"
    )
    found = read_credentials(file, {"AWS_ACCESS_KEY_ID": "other"})
    assert (found.access_key, found.secret, found.session) == ("key", "secret/with+signs=", "")
    assert "secret" not in repr(found) and "secret" not in str(found)
    found = read_credentials(
        None, {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    )
    assert (found.access_key, found.secret, found.session) == ("key", "s", "t")
    for place, environment in ((None, {}), (tmp_path / "none", {}), (None, {"AWS_ACCESS_KEY_ID": "key"})):
        with pytest.raises(WardlightError, match="bad-request") as error:
            read_credentials(place, environment)
        assert str(tmp_path) not in str(error.value)


def test_an_answer_with_a_document_type_is_refused(wire: Wire) -> None:
    from wardlight.objects.s3_calls import _parsed

    for body in (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', b"not xml", b""):
        with pytest.raises(WardlightError, match="unavailable"):
            _parsed(body)


def test_a_listing_of_uploads_that_is_none_ends_in_the_catalogue_s_terms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hostile or broken server: a time that is none, and pages that never end."""
    calls = S3Calls("http://127.0.0.1:1", "b", "r", Credentials("a", "s"), timeout_s=1)
    entry = "<Upload><Key>k</Key><UploadId>u</UploadId><Initiated>{}</Initiated></Upload>"
    more = "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>"
    asked: list[int] = []

    def answer(body: str) -> Callable[..., bytes]:
        return lambda *_: asked.append(1) or f"<x>{body}</x>".encode()

    for body in (entry.format("yesterday"), entry.format("2026-01-02T03:04:05Z") + more):
        monkeypatch.setattr(calls, "_told", answer(body))
        with pytest.raises(WardlightError, match="unavailable"):
            list(calls.uploads("k"))
    assert len(asked) < 5
    monkeypatch.setattr(calls, "_told", answer(entry.format("2026-01-02T03:04:05")))
    ((_, _, begun),) = calls.uploads("k")
    assert begun < datetime.now(UTC)


def test_a_place_says_nothing_secret() -> None:
    assert "secret" not in repr(S3Place("b", "p", "r"))


class _Answers(BaseHTTPRequestHandler):
    status = 507

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "code"), [(507, "out-of-resources"), (500, "unavailable"), (403, "unavailable")]
)
def test_only_a_full_storage_is_called_so(status: int, code: str) -> None:
    """Not one whose address, or the time it took, has the digits of that answer."""
    answers = type("_Answers", (_Answers,), {"status": status})
    with HTTPServer(("127.0.0.1", 0), answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        store = s3.shared().store("bucket-507", endpoint=f"http://127.0.0.1:{server.server_port}", retries=0)
        with pytest.raises(WardlightError) as error:
            put(store, b"content")
        server.shutdown()
    assert error.value.code == code
