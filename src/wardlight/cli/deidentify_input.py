"""What `wardlight deidentify` is given: files of a folder, members of zip archives, files that a DICOMDIR lists.

Inputs are known by their number from here on; no path goes into a message, a report or an output name.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol, cast

from wardlight.dicom.elements import walk
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import read_meta
from wardlight.dicom.transfer_syntax import transfer_syntax

#: Limits of security.md §8 on archives.
MOST_ENTRIES: Final = 100_000
LARGEST_ARCHIVE: Final = 50 << 30
LARGEST_RATIO: Final = 100
RATIO_FROM: Final = 1 << 20
_MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_REFERENCED_FILE: Final = 0x00041500
_LARGEST_DIRECTORY: Final = 64 << 20
#: How an archive begins that has members, that has none, that is one part of several.
_ZIP_BEGINS: Final = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
_LOOKED_AT: Final = 132


class Readable(Protocol):
    """A file or a member of an archive."""

    def read(self, size: int, /) -> bytes | None:
        """The next bytes, none at the end."""
        ...


class BadInput(ValueError):
    """An input that must not be opened. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Input:
    """One input: its number from 1, its file, and for a zip archive the index of the member.

    required: the file that the user named, so that it is an error if it is no DICOM. refused: why it is not opened.
    """

    number: int
    path: Path
    member: int = -1
    required: bool = False
    refused: str = ""


def inputs(source: Path) -> Iterator[Input]:
    """Every input below a file or folder, in the order of their paths; held are the names of one folder at a time.

    ValueError where there is nothing to read.
    """
    if source.is_dir():
        found = _numbered(_files(source))
    elif not source.is_file():
        raise ValueError("IN is no file and no folder")
    elif (listed := directory_files(source)) is not None:
        found = _numbered(listed)
    else:
        found = _numbered([source])
    for item in found:
        yield item if source.is_dir() else Input(item.number, item.path, item.member, True, item.refused)


def _files(folder: Path) -> Iterator[Path]:
    """Files of a folder, then those of the folders in it; links to folders are not followed."""
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif _is_file(entry):
                    files.append(entry.name)
    except OSError:
        pass  # What cannot be listed has no inputs.
    for name in sorted(files):
        yield folder / name
    for name in sorted(folders):
        yield from _files(folder / name)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False  # a link that leads to itself


def _numbered(paths: Iterable[Path]) -> Iterator[Input]:
    number = 0
    for path in paths:
        members = [-1]
        refused = ""
        if _is_archive(path):
            try:
                members = archive_members(path)
            except BadInput as error:
                refused = error.code
        for member in members:
            number += 1
            yield Input(number, path, member, refused=refused)


def _is_archive(path: Path) -> bool:
    """Whether a file begins or ends as a zip archive, damaged or not; one with the prefix of DICOM is none."""
    try:
        # Every input comes by here in every pass: no file object.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            begin = os.read(file, _LOOKED_AT)
        finally:
            os.close(file)
    except OSError:
        return False  # told when it is opened
    return begin[:4] in _ZIP_BEGINS or (begin[128:] != b"DICM" and zipfile.is_zipfile(path))


def archive_members(path: Path) -> list[int]:
    """Indexes of the files in a zip archive. Raises BadInput where the archive breaks a limit."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise BadInput("zip-damaged") from None
    if len(entries) > MOST_ENTRIES or sum(entry.file_size for entry in entries) > LARGEST_ARCHIVE:
        raise BadInput("zip-too-large")
    end = 0
    members: list[int] = []
    for index, entry in sorted(enumerate(entries), key=lambda pair: pair[1].header_offset):
        if entry.header_offset < end:
            raise BadInput("zip-overlapping")
        end = entry.header_offset + 30 + entry.compress_size
        if entry.flag_bits & 1:
            raise BadInput("zip-encrypted")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise BadInput("zip-link")
        if entry.file_size > RATIO_FROM and entry.file_size > LARGEST_RATIO * max(entry.compress_size, 1):
            raise BadInput("zip-ratio")
        if not entry.is_dir():
            members.append(index)
    return sorted(members)


def directory_files(path: Path) -> list[Path] | None:
    """The files that a DICOMDIR lists (PS3.10 section 8, PS3.3 F.3), None where the file is none."""
    if path.stat().st_size > _LARGEST_DIRECTORY:
        return None
    data = path.read_bytes()
    try:
        meta = read_meta(data)
        if meta.sop_class != _MEDIA_DIRECTORY:
            return None
        found: list[Path] = []
        for _, element in walk(data, transfer_syntax(meta.transfer_syntax), meta.end):
            if element.tag == _REFERENCED_FILE and element.length > 0:
                name = data[element.value : element.end].decode("ascii", "replace")
                parts = [part.strip("\0 ") for part in name.split("\\")]
                if all(part and part not in (".", "..") and "/" not in part for part in parts):
                    found.append(path.parent.joinpath(*parts))
        return [file for file in dict.fromkeys(found) if file.is_file()]
    except DicomError:
        return None


def opened(item: Input) -> AbstractContextManager[Readable]:
    """The input's bytes from their start. Raises BadInput, OSError."""
    if item.refused:
        raise BadInput(item.refused)
    return open(item.path, "rb", buffering=0) if item.member < 0 else _member(item)


@lru_cache(maxsize=1)
def _archive(path: Path, _size: int, _changed: int) -> zipfile.ZipFile:
    """An archive, open while its members are read one after the other: its directory is read once, not for each."""
    return zipfile.ZipFile(path)


@contextmanager
def _member(item: Input) -> Iterator[Readable]:
    found = item.path.stat()
    try:
        archive = _archive(item.path, found.st_size, found.st_mtime_ns)
        with cast(zipfile.ZipExtFile, archive.open(archive.infolist()[item.member])) as member:
            if member.peek(4)[:4] == b"PK\3\4":
                raise BadInput("zip-in-zip")
            yield member
    except (zipfile.BadZipFile, NotImplementedError, EOFError):
        raise BadInput("zip-damaged") from None
