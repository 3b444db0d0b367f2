"""Looks at files of any kind: what they are by their first bytes, then what is in them, in bounded memory.

DICOM, JSON, NDJSON, tables, HL7 and other text, each also within gzip, and as members of a zip archive.
"""

from __future__ import annotations

import itertools
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wardlight.classification import json_text, structured
from wardlight.classification.found import RANK, Confidence, Finding, Hit
from wardlight.classification.packed import (
    Again,
    Bounded,
    Counted,
    Gzip,
    Limits,
    Readable,
    Refused,
    Seen,
    checked,
    filled,
)
from wardlight.classification.prefilter import candidates
from wardlight.classification.text import find

if TYPE_CHECKING:
    from wardlight.dicom.stream import DataSetStream

#: Bytes read at a time; the begin that tells what a file is.
_STEP: Final = 1 << 20
_HEAD: Final = 8 << 10
#: Of one line: what is longer is looked at in pieces that overlap.
_LINE: Final = 1 << 20
_OVERLAP: Final = 512


PixelLook = Callable[[Path, "DataSetStream"], "int | str"]


class Scanner:
    """Finds in files. least: what is less sure is left out. pixels: looks for burned-in text, if wanted."""

    def __init__(
        self,
        *,
        least: Confidence = Confidence.MEDIUM,
        limits: Limits | None = None,
        pixels: PixelLook | None = None,
    ) -> None:
        self.seen: Final = Seen()
        self._least: Final = RANK[least]
        self._limits: Final = limits or Limits()
        self._pixels: Final = pixels

    def file(self, path: Path, name: str) -> Iterator[Finding]:
        """What is in one file of this machine; its own name is not looked at."""
        try:
            with path.open("rb", buffering=0) as file:
                if file.read(4)[:4] in (b"PK\3\4", b"PK\5\6"):
                    yield from self._archive(path, name)
                    return
                file.seek(0)
                yield from self.stream(file, name, path)
        except OSError as error:
            self.seen.refused.append((name, f"file-system:{error.errno}"))

    def stream(self, source: Readable, name: str, path: Path | None = None) -> Iterator[Finding]:
        """What is in bytes that come once. path: where they can be read again."""
        self.seen.files += 1
        count = 0
        try:
            for finding in self._stream(Counted(source, self.seen), name, path, 0):
                if RANK[finding.confidence] < self._least:
                    continue
                count += 1
                self.seen.classes[finding.data_class] += 1
                if count <= self._limits.findings:
                    yield finding
                else:
                    self.seen.more += 1
        except Refused as refused:
            self.seen.refused.append((name, refused.code))

    def _stream(self, source: Readable, name: str, path: Path | None, depth: int) -> Iterator[Finding]:
        head = filled(source, _HEAD)
        rest = Again(head, source)
        if head[:2] == b"\x1f\x8b":
            if depth >= self._limits.depth:
                raise Refused("packed-too-deep")
            yield from self._stream(Gzip(rest, self._limits), name, None, depth + 1)
        elif head[:4] in (b"PK\3\4", b"PK\5\6"):
            raise Refused("zip-in-stream")
        elif head[128:132] == b"DICM" or not structured.is_text(head):
            yield from self._dicom(rest, name, path)
        elif head:
            yield from self._text(rest, head, name)

    def _dicom(self, source: Readable, name: str, path: Path | None) -> Iterator[Finding]:
        from wardlight.classification import dicom_object  # the standard's tables take a while to load
        from wardlight.dicom.errors import DicomError
        from wardlight.dicom.part10 import Part10Stream

        part10 = Part10Stream(lenient=True, wanted=dicom_object.WANTED)
        try:
            while part10.stream is None or part10.stream.header is None:
                chunk = source.read(_STEP) or b""
                if not chunk:
                    part10.finish()
                    break
                part10.feed(chunk)
            stream = part10.stream
            if stream is None or stream.header is None:
                raise Refused("no-data-set")
            pixels = self._pixels
            look = None if pixels is None or path is None else lambda one: pixels(path, one)
            yield from dicom_object.findings(name, stream, look)
        except DicomError as error:
            if part10.meta is not None:
                yield dicom_object.damaged(name)
            code = "not-known" if error.code == "not-dicom" else f"data-set:{error.code}"
            raise Refused(code) from None

    def _text(self, source: Readable, head: bytes, name: str) -> Iterator[Finding]:
        pieces = iter(lambda: source.read(_STEP) or b"", b"")
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            pieces = structured.utf16(pieces, b"")
        elif head.startswith(b"\xef\xbb\xbf"):
            pieces = itertools.chain((next(pieces)[3:],), pieces)
            head = head[3:]
        begin = head.lstrip()
        if begin.startswith((b"MSH|", b"FHS|", b"BHS|")):
            pieces = (piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n") for piece in pieces)
        elif begin[:1] in (b"{", b"["):
            yield from self._json(pieces, begin, name)
            return
        elif delimiter := structured.delimiter_of(
            structured.as_text(head), name.lower().endswith((".csv", ".tsv"))
        ):
            for line, column, hits in structured.rows(structured.csv_lines(_lines(pieces)), delimiter):
                yield from _findings(name, line, column, hits)
            return
        yield from _plain(pieces, name)

    def _json(self, pieces: Iterator[bytes], begin: bytes, name: str) -> Iterator[Finding]:
        """One document, or one on each line; what is neither is text."""
        if _is_ndjson(begin):
            yield from _plain(pieces, name, json_lines=True)
            return
        held = bytearray()
        for piece in pieces:
            held += piece
            if len(held) > self._limits.document:
                yield from _plain(itertools.chain((bytes(held),), pieces), name)
                return
        try:
            for line, path, hits in structured.json_values(structured.as_text(bytes(held))):
                yield from _findings(name, line, path, hits)
        except json_text.BadJson as error:
            if str(error) == "json-depth":
                raise Refused("json-depth") from None
            yield from _plain(iter((bytes(held),)), name)

    def _archive(self, path: Path, name: str) -> Iterator[Finding]:
        """The members of a zip archive, none of which is an archive itself."""
        limits = self._limits
        try:
            with zipfile.ZipFile(path) as archive:
                checked(archive.infolist(), limits)
                for number, entry in enumerate(archive.infolist()):
                    if entry.is_dir():
                        continue
                    # Names of members may be those of patients: the number tells which one it is.
                    member = f"{name}!{number + 1}{_extension(entry.filename)}"
                    with archive.open(entry) as opened:
                        yield from self.stream(Bounded(opened, entry.file_size), member)
        except Refused as refused:
            self.seen.refused.append((name, refused.code))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError):
            self.seen.refused.append((name, "zip-damaged"))


def _extension(name: str) -> str:
    suffix = Path(name).suffix.lower()
    return (
        suffix
        if suffix in (".csv", ".tsv", ".json", ".ndjson", ".log", ".txt", ".dcm", ".gz", ".xml", ".hl7")
        else ""
    )


def _is_ndjson(begin: bytes) -> bool:
    first, newline, more = begin.partition(b"\n")
    if not newline or more.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        return sum(1 for _ in json_text.values(structured.as_text(first))) >= 0
    except json_text.BadJson:
        return False


def _blocks(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, int]]:
    """Whole lines together, and how many line feeds came before them; a line that is too long comes in pieces."""
    held, lines = b"", 0
    for piece in pieces:
        data = held + piece
        cut = data.rfind(b"\n") + 1
        if cut:
            yield data[:cut], lines
            lines += data.count(b"\n", 0, cut)
            held = data[cut:]
        elif len(data) > _LINE:
            yield data, lines
            held = data[-_OVERLAP:]
        else:
            held = data
    if held:
        yield held, lines


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for block, _ in _blocks(pieces):
        yield from block.removesuffix(b"\n").split(b"\n")


def _plain(pieces: Iterator[bytes], name: str, *, json_lines: bool = False) -> Iterator[Finding]:
    """Lines of text. json_lines: those that are JSON are read as that."""
    for block, before in _blocks(pieces):
        line, counted = before, 0
        for start, end, flags in candidates(block):
            line += block.count(b"\n", counted, start)
            counted = start
            read = structured.as_text(block[start:end])
            if json_lines and read.lstrip()[:1] in ("{", "["):
                try:
                    placed = list(structured.json_values(read, line + 1))
                except json_text.BadJson:
                    placed = [(line + 1, "", find(read, flags))]
                for number, path, hits in placed:
                    yield from _findings(name, number, path, hits)
                continue
            yield from _findings(name, line + 1, "", find(read, flags))


def _findings(name: str, line: int, place: str, hits: list[Hit]) -> Iterator[Finding]:
    for hit in hits:
        yield Finding(
            name, hit.data_class, hit.detector, hit.confidence, hit.reason, line=line, field=_clean(place)
        )


@lru_cache(maxsize=4096)
def _clean(place: str) -> str:
    """The name of a field, which may itself be a value: then that is not said."""
    return "[a name that identifies]" if place and find(place) else place
