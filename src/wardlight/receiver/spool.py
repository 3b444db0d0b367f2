"""The encrypted spool: a received object is durable here before the sender is told Success (security.md §3).

Several associations append to one file, and one fdatasync serves all that wait for it. A file is written by the
process that made it and never appended to after a write failed or a restart; readers in other processes go by file id
and offset.

Order that MUST hold: the key is durable, then the file's entry in its folder, then COMMIT is covered by an fdatasync,
then `commit` returns.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardlight.errors import WardlightError
from wardlight.keys.files import private_folder, sync_folder
from wardlight.objects.disk import disk_error
from wardlight.objects.format import HEADER_BYTES, ObjectKind, open_header, parse_header
from wardlight.receiver.spool_file import UNBORN, BrokenFile, Part, SpoolFile
from wardlight.receiver.spool_format import (
    COMMIT,
    DATA_BYTES,
    RecordType,
    Scan,
    SpoolRef,
    Verdict,
    encode_meta,
    read_meta,
    read_object,
    read_whole,
    scan_records,
)
from wardlight.receiver.spool_keys import SpoolKeys

__all__ = ["Scan", "Spool", "SpoolKeys", "SpoolRef", "SpoolWriter", "Verdict"]

STREAM_BYTES: Final = 64 << 20
"""A longer stream gets its file for itself: no other begins there."""
STREAMS: Final = 4
"""Streams that share a file at one time. Reading one passes over the others' records, so this bounds its cost."""

_HOUSEKEEPING_SECONDS: Final = 5.0
_OPENED: Final = 16
"""File keys that are kept for the next object of the same file."""


class SpoolWriter:
    """One object on its way in. Used by one thread; ends with `commit` or `abort`.

    Nothing is written before 64 KiB are there or the object ends, so a small object costs one write. After an error
    the object is aborted and the sender must be told so.
    """

    def __init__(self, spool: Spool, meta: dict[str, str]) -> None:
        self._spool = spool
        self._meta = encode_meta(meta)
        self._file: SpoolFile | None = None
        self._stream = 0
        self._offset = 0
        self._record = 0
        self._pending: bytearray | None = None
        self._held = 0
        self._digest = hashlib.sha256()
        self._ended = False
        self.length = 0
        """Bytes taken so far."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes of the data set. Raises `WardlightError` `"out-of-resources"` or `"unavailable"`."""
        if self._ended:
            raise ValueError("this object has ended")
        view = memoryview(data).cast("B")
        self.length += len(view)
        if self._held:
            taken = min(DATA_BYTES - self._held, len(view))
            self._hold(view[:taken])
            view = view[taken:]
            if self._held == DATA_BYTES:
                self._release()
        if len(view) >= DATA_BYTES:
            self._emit(
                [(RecordType.DATA, view[at : at + DATA_BYTES]) for at in range(0, len(view), DATA_BYTES)]
            )
            self._digest.update(view)  # after the write, while the disk is at work
        elif len(view):
            self._hold(view)

    def commit(self, durable: Callable[[SpoolRef], None] | None = None) -> SpoolRef:
        """End the object; it is durable on return. Raises as `write` does, and the object does not exist then.

        `durable` is told before the file can be taken for finished: whoever sees it finished may rely on that.
        """
        if self._ended:
            raise ValueError("this object has ended")
        parts: list[Part] = []
        if self._held:
            parts.append((RecordType.DATA, memoryview(self._pending or b"")[: self._held]))
            self._digest.update(parts[0][1])
        sha256 = self._digest.digest()
        parts.append((RecordType.COMMIT, COMMIT.pack(self.length, sha256)))
        file, end = self._emit(parts)
        try:
            file.sync(end)
            ref = SpoolRef(file.file_id, self._stream, self._offset, self._record, end, self.length, sha256)
            if durable is not None:
                durable(ref)
        except BrokenFile as broken:
            raise _told(broken) from None
        finally:
            self._leave()
        return ref

    def abort(self) -> None:
        """Drop the object. Never raises for the disk's sake; does nothing after the object has ended."""
        if self._ended:
            return
        if self._file is not None:
            try:
                self._file.append(self._stream, [(RecordType.ABORT, b"")])
            except BrokenFile:
                pass  # Without COMMIT the object does not exist; ABORT only lets readers know sooner.
        self._leave()

    def _hold(self, view: memoryview) -> None:
        if self._pending is None:
            self._pending = bytearray(DATA_BYTES)
        self._pending[self._held : self._held + len(view)] = view
        self._held += len(view)

    def _release(self) -> None:
        pending = memoryview(self._pending or b"")
        self._held = 0
        self._emit([(RecordType.DATA, pending)])
        self._digest.update(pending)

    def _emit(self, parts: list[Part]) -> tuple[SpoolFile, int]:
        """Append to the stream's file. Returns it and the offset after the last record."""
        try:
            file, end = self._append(parts)
        except BrokenFile as broken:
            self._leave()
            raise _told(broken) from None
        except BaseException:
            self._leave()
            raise
        if self.length > STREAM_BYTES:
            self._spool.retire(file)
        return file, end

    def _append(self, parts: list[Part]) -> tuple[SpoolFile, int]:
        if self._file is not None:
            return self._file, self._file.append(self._stream, parts)[2]
        file, self._stream = self._spool.join()
        self._file = file
        parts = [(RecordType.BEGIN, self._meta), *parts]
        self._offset, self._record, end = file.append(self._stream, parts)
        return file, end

    def _leave(self) -> None:
        self._ended = True
        self._pending = None
        if self._file is not None:
            self._spool.leave(self._file)


def _told(broken: BrokenFile) -> WardlightError:
    return WardlightError(broken.error.code, broken.error.detail)


class Spool:
    """The spool in one folder. Writers and readers may be in different processes."""

    def __init__(self, folder: Path, keys: SpoolKeys) -> None:
        private_folder(folder)
        self._folder = folder
        self._prefix = f"{folder}/"  # a text, as a path costs more to join than a file to open
        self._keys = keys
        self._lock = threading.Lock()
        self._current: list[SpoolFile] = []  # files that take new streams
        self._made: set[str] = set()  # files of this process that are not removed yet
        self._opening: dict[bytes, tuple[str, AESGCM]] = {}  # by header; few files are read at one time
        self._ready: SimpleQueue[SpoolFile | None] = SimpleQueue()
        self._helper: threading.Thread | None = None

    def begin(self, meta: dict[str, str]) -> SpoolWriter:
        """Begin an object. `meta` says what is not in the data set: route, AE titles, SOP class, transfer syntax."""
        return SpoolWriter(self, meta)

    def read(self, ref: SpoolRef, start: int = 0) -> Iterator[bytes]:
        """The object's bytes from `start` on, verified, in pieces of at most 64 KiB.

        Raises `WardlightError` `"object-damaged"`, `"wrong-key"`, `"key-destroyed"`, or `"not-found"` for a file that
        was removed.
        """
        with self._opened(ref.file_id) as (descriptor, aead):
            yield from read_object(descriptor, aead, ref, start)

    def read_whole(self, ref: SpoolRef) -> memoryview:
        """All of a small object's bytes at once. Raises as `read` does."""
        with self._opened(ref.file_id) as (descriptor, aead):
            return read_whole(descriptor, aead, ref)

    def read_begin(self, ref: SpoolRef) -> dict[str, str]:
        """What `begin` was given for this object. Raises as `read` does."""
        with self._opened(ref.file_id) as (descriptor, aead):
            return read_meta(descriptor, aead, ref)

    def scan(self, file_id: str, watermark: int = 0) -> Scan:
        """Find the committed objects of a file after a restart.

        `watermark` is the highest `SpoolRef.end` of the file that was recorded: stopping before it is damage. Raises
        `WardlightError` `"not-found"`, and `"key-destroyed"` or `"unavailable"` when nothing can be told.
        """
        try:
            with self._opened(file_id) as (descriptor, aead):
                return scan_records(descriptor, aead, file_id, watermark)
        except WardlightError as error:
            if error.code not in ("object-damaged", "wrong-key"):
                raise
            # The header itself is torn, or damaged where objects behind it were acknowledged.
            return Scan((), 0, Verdict.DAMAGED if watermark else Verdict.TORN)

    def files(self) -> list[str]:
        """Ids of all files in the folder, also of those that are being written."""
        return sorted(file.stem for file in self._folder.glob("*.spool"))

    def made(self, file_id: str) -> bool:
        """Whether this process wrote the file: of every object in it, `commit` told."""
        return file_id in self._made

    def sweep(self) -> None:
        """Remove files that a crash left before they were in use. For the only process that writes, at its start."""
        with self._keys.locked():
            for file in self._folder.glob(f"*{UNBORN}"):
                file.unlink(missing_ok=True)

    def finished(self, file_id: str) -> bool:
        """Whether nobody can add to the file any more: it was rolled, abandoned, or its process has ended."""
        try:
            descriptor = self._open(file_id)
        except WardlightError as error:
            if error.code == "not-found":
                return True
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def remove(self, file_id: str) -> None:
        """Delete a finished file, and its key when that was the last file of another day's key. Idempotent.

        Raises `WardlightError("conflict")` for a file that is still written to.
        """
        with self._keys.locked():
            if not self.finished(file_id):
                raise WardlightError("conflict", "the spool file is still written to")
            try:
                (self._folder / f"{file_id}.spool").unlink(missing_ok=True)
                sync_folder(self._folder)
                self._made.discard(file_id)
                self._keys.forget(self._used_keys())
            except OSError as error:
                raise disk_error(error) from None

    def forget(self, file_id: str) -> None:
        """Another process has removed the file."""
        self._made.discard(file_id)

    def roll(self) -> None:
        """Let no new object into the files in use; each is closed with its last stream."""
        with self._lock:
            for file in [*self._current]:
                self._retire(file)

    def close(self) -> None:
        """Roll, and end the spool's own thread."""
        self.roll()
        with self._lock:
            helper, self._helper = self._helper, None
        if helper is not None:
            self._ready.put(None)
            helper.join()

    # For SpoolWriter.

    def join(self) -> tuple[SpoolFile, int]:
        """A file for a new stream, and the stream's number there."""
        with self._lock:
            self._retire_due()
            file = next((one for one in self._current if one.active < STREAMS), None) or self._create()
            file.active += 1
            file.streams += 1
            return file, file.streams

    def leave(self, file: SpoolFile) -> None:
        """A stream of the file has ended."""
        with self._lock:
            file.active -= 1
            if file.retired:
                self._close_unused(file)
            elif file.error is not None:
                self._retire(file)

    def retire(self, file: SpoolFile) -> None:
        """Let no new stream into the file."""
        with self._lock:
            if not file.retired:
                self._retire(file)

    def _create(self) -> SpoolFile:
        try:
            with self._keys.locked():
                file = SpoolFile(self._folder, self._keys, self._ready.put)
        except OSError as error:
            raise disk_error(error) from None
        self._made.add(file.file_id)
        self._current.append(file)
        if self._helper is None or not self._helper.is_alive():
            self._helper = threading.Thread(target=self._help, name="spool", daemon=True)
            self._helper.start()
        return file

    def _retire(self, file: SpoolFile) -> None:
        file.retired = True
        if file in self._current:
            self._current.remove(file)
        self._close_unused(file)

    def _retire_due(self) -> None:
        for file in [*self._current]:
            if file.due:
                self._retire(file)

    def _close_unused(self, file: SpoolFile) -> None:
        if file.active == 0:
            file.close()

    def _help(self) -> None:
        """Write early what is there, and roll a file in time when no new object comes to do it."""
        while True:
            try:
                file = self._ready.get(timeout=_HOUSEKEEPING_SECONDS)
            except Empty:
                with self._lock:
                    self._retire_due()
                continue
            if file is None:
                return
            file.write_early()
            file.lay_ground()

    def _key_of(self, file_id: str, raw: bytes) -> AESGCM:
        """The key of the file with this header."""
        known = self._opening.get(raw)
        if known is None or known[0] != file_id:
            header = parse_header(raw)
            if header.kind is not ObjectKind.SPOOL or header.object_id.hex != file_id:
                raise WardlightError("object-damaged", "not the spool file of this name")
            known = file_id, AESGCM(open_header(self._keys.get(header.key_id), raw))
            if len(self._opening) >= _OPENED:
                self._opening.clear()
            self._opening[raw] = known
        return known[1]

    def _used_keys(self) -> set[UUID]:
        used = set()
        for file_id in self.files():
            try:
                descriptor = self._open(file_id)
            except WardlightError:
                continue
            try:
                used.add(parse_header(os.pread(descriptor, HEADER_BYTES, 0)).key_id)
            except WardlightError:
                continue  # A torn header names no key; nothing in that file can be read.
            finally:
                os.close(descriptor)
        return used

    def _open(self, file_id: str) -> int:
        try:
            return os.open(f"{self._prefix}{file_id}.spool", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise WardlightError("not-found") from None
        except OSError as error:
            raise disk_error(error) from None

    @contextmanager
    def _opened(self, file_id: str) -> Iterator[tuple[int, AESGCM]]:
        descriptor = self._open(file_id)
        try:
            raw = os.pread(descriptor, HEADER_BYTES, 0)
            yield descriptor, self._key_of(file_id, raw)
        except OSError as error:
            raise disk_error(error) from None
        finally:
            os.close(descriptor)
