"""Encrypted objects in an S3 bucket: one S3 object each, under its random name below a prefix.

S3 shows an object when its upload is complete, and keeps it durably then; an upload that ends before leaves nothing
that can be found. A name is never written twice: small objects are put on the condition that there is none, larger
ones go in parts under a name of 122 random bits.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from wardlight.errors import WardlightError
from wardlight.objects.format import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES, ObjectKind
from wardlight.objects.s3_calls import S3Calls, read_credentials
from wardlight.objects.store import ObjectReader, ObjectWriter, new_object_id

#: Bytes held before an upload in parts begins, and of each part: S3 allows 10,000 parts, so an object of 80 GiB.
PART_BYTES: Final = 8 << 20
#: Parts of one object on their way at once; a writer holds at most one more.
PARTS_AT_ONCE: Final = 2
#: A first read asks for so much: the header and the first chunk, which is all that small objects have.
_FIRST_BYTES: Final = HEADER_BYTES + CHUNK_BYTES + TAG_BYTES
#: Reads that follow each other ask for more each time, up to this.
_MOST_AHEAD: Final = 4 << 20
#: Headers remembered, so that a frame of an object read before costs one request. They are no secret.
_HEADERS: Final = 10_000
_HEADER_S: Final = 60.0
_VERSIONING_S: Final = 60.0

#: Below the prefix, where the files of tombstones are.
_TOMBSTONES: Final = "tombstones/"
_NAME: Final = re.compile(r"[0-9a-f]{32}")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class S3Place:
    """Where the objects are. endpoint: http(s)://host[:port]; empty: Amazon's of the region."""

    bucket: str
    prefix: str
    region: str
    endpoint: str = ""
    credentials_file: Path | None = None
    authorities: Path | None = None
    timeout_s: float = 30.0
    retries: int = 3


def parse_url(url: str) -> tuple[str, str]:
    """Bucket and prefix of `s3://bucket/prefix`. Raises `WardlightError("bad-request")`."""
    found = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9._-]+)*)/?", url)
    if found is None or ".." in url:
        raise WardlightError("bad-request", "objects_url is not s3://bucket/prefix")
    return found[1], found[2].strip("/")


class S3ObjectStore:
    """An `ObjectStore` in a bucket. Any number of processes and machines may use one."""

    readers_keep: Final = False

    def __init__(self, place: S3Place, environment: Mapping[str, str]) -> None:
        """Makes no request; `check` does."""
        credentials = read_credentials(place.credentials_file, environment)
        endpoint = place.endpoint or f"https://s3.{place.region}.amazonaws.com"
        self._prefix = f"{place.prefix}/" if place.prefix else ""
        options: dict[str, Any] = {"session_token": credentials.session} if credentials.session else {}
        client: dict[str, Any] = {
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=min(5.0, place.timeout_s)),
            "timeout": timedelta(seconds=place.timeout_s),
        }
        if place.authorities is not None:
            client["root_certificate"] = place.authorities.read_bytes()
        self._store = S3Store(
            place.bucket,
            endpoint=endpoint,
            region=place.region,
            access_key_id=credentials.access_key,
            secret_access_key=credentials.secret,
            virtual_hosted_style_request=False,
            client_options=client,  # type: ignore[arg-type]
            retry_config={
                "max_retries": place.retries,
                "retry_timeout": timedelta(seconds=place.timeout_s),
                "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2)},
            },
            **options,
        )
        self._calls = S3Calls(
            endpoint,
            place.bucket,
            place.region,
            credentials,
            timeout_s=place.timeout_s,
            authorities=place.authorities,
        )
        self._headers: OrderedDict[UUID, tuple[float, bytes, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._versions: tuple[float, bool] = (0.0, True)

    def create(self, sk: bytes, key_id: UUID, kind: ObjectKind) -> ObjectWriter:
        """See `ObjectStore.create`."""
        object_id = new_object_id()
        return ObjectWriter(object_id, _S3Destination(self, self._key(object_id)), sk, key_id, kind)

    def open(self, object_id: UUID, sk: bytes, size: int) -> ObjectReader:
        """See `ObjectStore.open`. An object deleted elsewhere in the last minute may fail at its first read instead."""
        now = time.monotonic()
        with self._lock:
            known = self._headers.get(object_id)
        if known is not None and known[0] > now:
            source = _S3Source(self, object_id, size, 0, known[1])
            stored = known[2]
        else:
            first, stored = self.fetch(object_id, 0, _FIRST_BYTES)
            source = _S3Source(self, object_id, size, 0, first)
            with self._lock:
                self._headers[object_id] = (now + _HEADER_S, first[:HEADER_BYTES], stored)
                while len(self._headers) > _HEADERS:
                    self._headers.popitem(last=False)
        if stored != size:
            raise WardlightError("object-damaged", "the object does not have its size", reason="size")
        return ObjectReader(source, object_id, sk, size)

    def delete(self, object_id: UUID) -> None:
        """See `ObjectStore.delete`. Where the bucket keeps versions, all of them go."""
        with self._lock:
            self._headers.pop(object_id, None)
        self._forget(self._key(object_id))

    def list(self) -> Iterator[tuple[UUID, int]]:
        """See `ObjectStore.list`."""
        listing = obstore.list(self._store, self._prefix or None, chunk_size=1000)
        while (rows := _asked(lambda: next(listing, None))) is not None:
            for row in rows:
                name = row["path"].removeprefix(self._prefix)
                if _NAME.fullmatch(name):
                    yield UUID(hex=name), row["size"]

    def sweep(self, older_than_s: float = 24 * 3600.0) -> int:
        """Forget uploads that began so many seconds ago and were never finished. Returns how many."""
        before = datetime.now(UTC) - timedelta(seconds=older_than_s)
        removed = 0
        for key, upload, begun in list(self._calls.uploads(self._prefix)):
            if begun < before:
                self._calls.abort(key, upload)
                removed += 1
        return removed

    def check(self) -> None:
        """Raise `unavailable` unless the bucket answers and takes the credentials."""
        listing = obstore.list(self._store, self._prefix + "0" * 32, chunk_size=1)
        _asked(lambda: next(listing, None))

    def put_tombstones(self, name: str, content: bytes) -> None:
        """See `ObjectStore.put_tombstones`."""
        _asked(lambda: obstore.put(self._store, self._prefix + _TOMBSTONES + name, content))

    def tombstones(self) -> Iterator[tuple[str, bytes]]:
        """See `ObjectStore.tombstones`."""
        prefix = self._prefix + _TOMBSTONES
        listing = obstore.list(self._store, prefix, chunk_size=1000)
        while (rows := _asked(lambda: next(listing, None))) is not None:
            for row in rows:
                path = row["path"]
                with suppress(FileNotFoundError):  # Another process put a newer one in its place.
                    yield path.removeprefix(prefix), self._whole(path)

    def drop_tombstones(self, name: str) -> None:
        """See `ObjectStore.drop_tombstones`."""
        self._forget(self._prefix + _TOMBSTONES + name)

    # What destination and source need.

    def put(self, key: str, content: bytearray) -> None:
        """Put a small object where there is none."""
        try:
            _asked(lambda: obstore.put(self._store, key, content, mode="create", use_multipart=False))
        except AlreadyExistsError:
            # The name is random, so it is ours: a try before had succeeded, and its answer was lost.
            there = _asked(lambda: obstore.get(self._store, key).bytes())
            if bytes(there) != content:
                raise WardlightError(
                    "unavailable", "object storage holds another object of this name"
                ) from None

    def upload(self, key: str) -> obstore.WritableFile:
        """Begin an object of many parts."""
        return _asked(
            lambda: obstore.open_writer(
                self._store, key, buffer_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
            )
        )

    def forget_uploads(self, key: str) -> None:
        """Remove the parts of an object that was given up."""
        for name, upload, _ in list(self._calls.uploads(key)):
            if name == key:
                self._calls.abort(key, upload)

    def fetch(self, object_id: UUID, start: int, length: int) -> tuple[bytes, int]:
        """Up to `length` bytes from `start` of the stored object, and the size of all of it."""
        key = self._key(object_id)

        def get() -> tuple[bytes, int]:
            answer = obstore.get(self._store, key, options={"range": (start, start + length)})
            return bytes(answer.bytes()), answer.meta["size"]

        try:
            return _asked(get)
        except FileNotFoundError:
            raise WardlightError("object-damaged", "the object is missing", reason="missing") from None

    def _whole(self, key: str) -> bytes:
        return _asked(lambda: bytes(obstore.get(self._store, key).bytes()))

    def _forget(self, key: str) -> None:
        """Delete what has this key, in all versions."""
        if self._keeps_versions():
            self._calls.delete_versions(key)
        else:
            with suppress(FileNotFoundError):
                _asked(lambda: obstore.delete(self._store, key))

    def _key(self, object_id: UUID) -> str:
        return self._prefix + object_id.hex

    def _keeps_versions(self) -> bool:
        now = time.monotonic()
        until, answer = self._versions
        if until < now:
            answer = self._calls.keeps_versions()
            self._versions = (now + _VERSIONING_S, answer)
        return answer


class _S3Destination:
    """Bytes in memory, then, where there are more than one part holds, parts of an upload."""

    __slots__ = ("_buffer", "_key", "_store", "_upload")

    def __init__(self, store: S3ObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._buffer: bytearray | None = bytearray()
        self._upload: Any = None

    def write(self, data: memoryview) -> None:
        if self._upload is not None:
            _asked(lambda: self._upload.write(bytes(data)))
            return
        assert self._buffer is not None
        self._buffer += data
        if len(self._buffer) > PART_BYTES:
            self._upload = self._store.upload(self._key)
            whole, self._buffer = self._buffer, None
            _asked(lambda: self._upload.write(bytes(whole)))

    def publish(self) -> None:
        if self._upload is not None:
            _asked(self._upload.close)
            self._upload = None
        elif self._buffer is not None:
            self._store.put(self._key, self._buffer)
            self._buffer = None

    def discard(self) -> None:
        self._buffer = None
        if self._upload is not None:
            self._upload = None
            # What cannot be removed now is left to `sweep`; nobody can find it.
            with suppress(WardlightError):
                self._store.forget_uploads(self._key)


class _S3Source:
    """Ranges of an object. Reads that follow each other are answered from what was asked for ahead."""

    __slots__ = ("_at", "_held", "_next", "_object_id", "_size", "_store", "_window")

    def __init__(self, store: S3ObjectStore, object_id: UUID, size: int, at: int, held: bytes) -> None:
        self._store = store
        self._object_id = object_id
        self._size = size
        self._at = at
        self._held = held
        self._next = -1
        self._window = 0

    def pread(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self._size)
        have = self._at + len(self._held)
        if self._at <= offset and end <= have:
            self._next = end
            return self._held[offset - self._at : end - self._at]
        head = b""
        if self._at <= offset < have:
            head = self._held[offset - self._at :]
        begin = offset + len(head)
        # A reader who goes on where it was gets more than it asked for: the next reads then cost nothing.
        self._window = min(max(2 * self._window, 2 * length), _MOST_AHEAD) if offset == self._next else 0
        wanted = min(max(end - begin, self._window), self._size - begin)
        got, size = self._store.fetch(self._object_id, begin, wanted)
        if size != self._size:
            raise WardlightError("object-damaged", "the object does not have its size", reason="size")
        self._held = head + got
        self._at = offset
        self._next = end
        return self._held[: end - offset]

    def close(self) -> None:
        self._held = b""
        self._at = -1


# A range that begins after the object's end (RFC 9110 section 15.5.17); the library has no type for it.
_NO_SUCH_RANGE: Final = "status code: 416"
# Words by which servers say that there is no room: S3 itself has none.
# With its words: the text has addresses, names and times too, in which any three digits may stand.
_FULL: Final = ("status code: 507", "StorageFull", "QuotaExceeded", "InsufficientStorage")


def _asked(call: Callable[[], _Result]) -> _Result:
    """Run one request; its failure in the catalogue's terms. The library's texts hold addresses and keys."""
    try:
        return call()
    except (FileNotFoundError, AlreadyExistsError):
        raise
    except (PermissionDeniedError, UnauthenticatedError):
        raise WardlightError("unavailable", "object storage refused the credentials") from None
    except (BaseError, OSError) as error:
        text = str(error)
        if _NO_SUCH_RANGE in text:
            raise WardlightError(
                "object-damaged", "the object does not have its size", reason="size"
            ) from None
        if any(word in text for word in _FULL):
            raise WardlightError("out-of-resources") from None
        raise WardlightError("unavailable", f"object storage failed ({type(error).__name__})") from None
