"""Packed files: unpacked in steps and within bounds; what goes beyond one is refused."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, Final, Protocol

from wardlight.classification.model import DataClass

#: Unpacked bytes below which the ratio is not looked at.
_RATIO_FROM: Final = 1 << 20
_STEP: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds, those of security.md section 8 on archives.

    unpacked: bytes of one packed file. ratio: unpacked over packed, once 1 MiB is unpacked. members: of an archive.
    depth: packings in each other. document: of JSON that is one document; a larger one is looked at as text. findings:
    of one file; what is beyond is only counted.
    """

    unpacked: int = 8 << 30
    archive: int = 50 << 30
    ratio: int = 200
    members: int = 100_000
    depth: int = 2
    document: int = 64 << 20
    findings: int = 10_000


class Readable(Protocol):
    """Bytes from their begin."""

    def read(self, size: int, /) -> bytes | None:
        """The next bytes, none at the end."""
        ...


class Refused(ValueError):
    """A file that is not looked at. `code` says why; it is no finding, and no text of anybody."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code: Final = code


def checked(entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    if len(entries) > limits.members or sum(entry.file_size for entry in entries) > limits.archive:
        raise Refused("zip-too-large")
    end = 0
    for entry in sorted(entries, key=lambda one: one.header_offset):
        if entry.header_offset < end:
            raise Refused("zip-overlapping")
        end = entry.header_offset + 30 + entry.compress_size
        if entry.flag_bits & 1:
            raise Refused("zip-encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # The library unpacks others without a bound.
            raise Refused("zip-method")
        if entry.file_size > _RATIO_FROM and entry.file_size > limits.ratio // 2 * max(
            entry.compress_size, 1
        ):
            raise Refused("zip-ratio")


@dataclass(slots=True)
class Seen:
    """What was looked at. refused: (file, code) of what was not. more: findings beyond the limit of a file.
    classes: of all findings, those beyond the limit too."""

    files: int = 0
    bytes: int = 0
    more: int = 0
    classes: Counter[DataClass] = field(default_factory=Counter)
    refused: list[tuple[str, str]] = field(default_factory=list)


class Counted:
    """Counts what is read."""

    def __init__(self, source: Readable, seen: Seen) -> None:
        self._source = source
        self._seen = seen

    def read(self, size: int, /) -> bytes | None:
        """The next bytes."""
        data = self._source.read(size)
        self._seen.bytes += len(data or b"")
        return data


class Bounded:
    """A member of an archive, which must not be longer than its directory says."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self._source = source
        self._left = size

    def read(self, size: int, /) -> bytes:
        """The next bytes. Raises Refused."""
        data = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise Refused("zip-ratio")
        return data


class Again:
    """What was read already, then the rest."""

    def __init__(self, head: bytes, source: Readable) -> None:
        self._head = head
        self._source = source

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        return self._source.read(size) or b""


class Gzip:
    """Unpacks gzip (RFC 1952), in steps, within bounds. Members behind each other are one."""

    def __init__(self, source: Readable, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._inflate = zlib.decompressobj(31)
        self._waiting = b""
        self._taken = self._given = 0

    def read(self, size: int, /) -> bytes:
        """The next bytes. Raises Refused."""
        while True:
            if self._inflate.eof:
                rest = self._inflate.unused_data or self._take()
                if not rest.strip(b"\0"):
                    return b""
                self._inflate, self._waiting = zlib.decompressobj(31), rest
            packed = self._inflate.unconsumed_tail or self._waiting or self._take()
            self._waiting = b""
            try:
                data = self._inflate.decompress(packed, size)
            except zlib.error:
                raise Refused("gzip-damaged") from None
            self._given += len(data)
            if self._given > self._limits.unpacked or self._given > max(
                _RATIO_FROM, self._limits.ratio * self._taken
            ):
                raise Refused("gzip-ratio")
            if data:
                return data
            if not packed and not self._inflate.eof:
                raise Refused("gzip-damaged")

    def _take(self) -> bytes:
        data = self._source.read(_STEP) or b""
        self._taken += len(data)
        return data


def filled(source: Readable, size: int) -> bytes:
    """So many bytes, fewer only at the end."""
    data = b""
    while len(data) < size and (more := source.read(size - len(data)) or b""):
        data += more
    return data
