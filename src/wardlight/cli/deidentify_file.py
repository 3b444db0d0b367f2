"""De-identify one input to one file: read once from its start, in flat memory, written beside and then named.

The header is held, the pixel data passes through. Nothing is written before the verifier has passed the header, and
nothing gets its name before it has passed the pixels. Encapsulated pixel data is read once more than it is written.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Final

from wardlight.cli.deidentify_input import BadInput, Input, Readable, opened
from wardlight.deid.engine import WANTED, Deidentified, Deidentifier, Refused
from wardlight.deid.protect import NOT_RELEASED, Buffer, Pass, protect, reasons_of
from wardlight.dicom.dimse.negotiation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import Part10Stream, write_meta
from wardlight.dicom.stream import DataSetStream, deflated

#: Bytes read at a time: most cross-sectional images are one read.
STEP: Final = 1 << 20
_INFLATE_STEP: Final = 64 << 10
_MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
#: Folders known to be there.
_FOLDERS: Final = 4096


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an input.

    kind: released, duplicate (the same output was there), quarantined, skipped (no DICOM, or a medium's directory).
    reasons: codes with tags. study, series, instance: new UIDs. changes: (path of tags, action, why) of each change,
    where a report is wanted.
    """

    number: int
    kind: str
    reasons: tuple[str, ...] = ()
    study: str = ""
    series: str = ""
    instance: str = ""
    flags: tuple[str, ...] = ()
    changes: tuple[tuple[tuple[int, ...], str, str], ...] = ()


class Worker:
    """De-identifies inputs into one folder."""

    def __init__(self, deidentifier: Deidentifier, target: Path, report: bool) -> None:
        self._deidentifier = deidentifier
        self._target = target
        self._report = report
        self._folders: set[str] = set()

    def process(self, item: Input) -> Outcome:
        """Never raises for what an input holds: that is quarantined, with a code."""
        try:
            with opened(item) as file:
                return self._process(item, file)
        except BadInput as error:
            return Outcome(item.number, "quarantined", (error.code,))
        except NOT_RELEASED as refusal:
            return Outcome(item.number, "quarantined", reasons_of(refusal))
        except DicomError as error:
            if error.code == "not-dicom" and not item.required:
                return Outcome(item.number, "skipped", ("not-dicom",))
            return Outcome(item.number, "quarantined", (f"data-set:{error.code}",))
        except OSError as error:
            return Outcome(item.number, "quarantined", (f"file-system:{error.errno}",))

    def _process(self, item: Input, file: Readable) -> Outcome:
        source = _Source(file)
        stream = source.header()
        if source.sop_class == _MEDIA_DIRECTORY:
            return Outcome(item.number, "skipped", ("media-directory",))
        protected = protect(self._deidentifier, stream, lambda: _again(item, stream), report=self._report)
        result = protected.result
        kind = self._write(source, stream, result, protected.through)
        changes = tuple((change.path, change.action, change.why) for change in result.changes)
        return Outcome(
            item.number,
            "quarantined" if kind == "instance-conflict" else kind,
            (kind,) if kind == "instance-conflict" else (),
            result.study_uid,
            result.series_uid,
            result.sop_uid,
            result.flags,
            changes,
        )

    def _write(self, source: _Source, stream: DataSetStream, result: Deidentified, through: Pass) -> str:
        # Names as text: a Path of each part would cost more than the header's search.
        folder = self._folder(result)
        final = f"{folder}/{result.sop_uid}.dcm"
        temporary = f"{folder}/.{result.sop_uid}.{os.getpid()}.part"
        meta = write_meta(
            result.sop_class,
            result.sop_uid,
            stream.syntax.uid,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version=IMPLEMENTATION_VERSION,
        )
        try:
            with open(temporary, "xb", buffering=0) as file:
                if stream.syntax.deflated:
                    _write_deflated(file, meta, source, stream, result, through)
                else:
                    _write_plain(file, meta, source, stream, result, through)
            return _publish(temporary, final)
        finally:
            Path(temporary).unlink(missing_ok=True)

    def _folder(self, result: Deidentified) -> str:
        """The folder of the new series, made where it is not there."""
        folder = f"{self._target}/{result.study_uid}/{result.series_uid}"
        if folder not in self._folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
            if len(self._folders) >= _FOLDERS:
                self._folders.clear()
            self._folders.add(folder)
        return folder


def _publish(temporary: str, final: str) -> str:
    """Give the file its name, unless it is taken: then "duplicate" for the same bytes, else the first one stays."""
    try:
        os.link(temporary, final)
    except FileExistsError:
        return "duplicate" if _same(temporary, final) else "instance-conflict"
    return "released"


def _same(one: str, other: str) -> bool:
    if Path(one).stat().st_size != Path(other).stat().st_size:
        return False
    with open(one, "rb") as first, open(other, "rb") as second:
        while chunk := first.read(STEP):
            if second.read(len(chunk)) != chunk:
                return False
    return True


class _Source:
    """Reads an input once, and remembers what was read until the header was complete."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._kept: list[bytes] = []
        self._part10: Part10Stream | None = None
        self._ended = False

    @property
    def sop_class(self) -> str:
        """Of the file meta information."""
        return (
            self._part10.meta.sop_class if self._part10 is not None and self._part10.meta is not None else ""
        )

    def header(self) -> DataSetStream:
        """Read until the header is complete. Raises DicomError."""
        self._part10 = part10 = Part10Stream(lenient=True, wanted=WANTED)
        while part10.stream is None or part10.stream.header is None:
            chunk = self._file.read(STEP) or b""
            if not chunk:
                part10.finish()
                self._ended = True
                break
            part10.feed(chunk)
            self._kept.append(chunk)
        if part10.stream is None:
            raise DicomError("truncated", 0)
        return part10.stream

    def data_set(self) -> Iterator[memoryview]:
        """The bytes of the data set as they are in the file, what was kept first; follows them, to find their end."""
        part10 = self._part10
        assert part10 is not None
        skip = part10.dataset_offset
        for chunk in self._kept:
            yield memoryview(chunk)[skip:]
            skip = max(0, skip - len(chunk))
        self._kept = []
        while not self._ended:
            chunk = self._file.read(STEP) or b""
            if not chunk:
                self._ended = True
                part10.finish()
                return
            part10.feed(chunk)
            yield memoryview(chunk)


def _again(item: Input, stream: DataSetStream) -> Iterator[memoryview]:
    """The encapsulated pixel value, from the input opened once more. Raises Refused where it is another by now."""
    with opened(item) as file:
        source = _Source(file)
        again = source.header()
        if again.header != stream.header or again.pixel != stream.pixel:
            raise Refused("input-changed")
        yield from _value(source, again, None)


def _value(source: _Source, stream: DataSetStream, length: int | None) -> Iterator[memoryview]:
    """The pixel value, `length` bytes of it or through its delimiter; DicomError where the input ends before that."""
    start = stream.value_offset
    end = None if length is None else start + length
    position = 0
    for chunk in source.data_set():
        low = position
        position += len(chunk)
        # Where fragments end is known as soon as something follows them.
        stop = end if end is not None else stream.tail_offset
        if position > start:
            yield chunk[max(start - low, 0) : len(chunk) if stop is None else max(stop - low, 0)]
        if stop is not None and position >= stop:
            return
    if end is not None and position < end:
        raise DicomError("truncated", position)


def _write_plain(
    file: IO[bytes],
    meta: bytes,
    source: _Source,
    stream: DataSetStream,
    result: Deidentified,
    through: Pass,
) -> None:
    """Header, then the pixel value to its true end."""
    buffers: list[Buffer] = [meta, result.header, result.pixel_head]
    if stream.pixel is not None:
        for piece in through(_value(source, stream, result.body_length)):
            # The first piece is written with the header: one call for most images.
            _write_all(file, [*buffers, piece])
            buffers = []
    _write_all(file, buffers)


def _write_all(file: IO[bytes], buffers: list[Buffer]) -> None:
    """All of the buffers, in as few calls as the system allows."""
    left = sum(len(buffer) for buffer in buffers)
    if not left:
        return
    done = os.writev(file.fileno(), buffers)
    if done < left:
        rest = memoryview(b"".join(buffers))[done:]
        while rest:
            rest = rest[os.write(file.fileno(), rest) :]


def _write_deflated(
    file: IO[bytes],
    meta: bytes,
    source: _Source,
    stream: DataSetStream,
    result: Deidentified,
    through: Pass,
) -> None:
    """As `_write_plain` for a deflated data set: inflated in small steps, and deflated again."""
    pieces: Iterable[Buffer] = (result.header + result.pixel_head,)
    if stream.pixel is not None:
        value = through(_inflated(source, stream.value_offset, result.body_length or 0))
        pieces = chain(pieces, value)
    file.write(meta)
    for packed in deflated(pieces):
        file.write(packed)


def _inflated(source: _Source, start: int, length: int) -> Iterator[bytes]:
    """So many bytes of an inflated data set from an offset on; DicomError where it ends before that."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    skip, left = start, length
    for chunk in source.data_set():
        rest: Buffer = chunk
        while rest and not inflater.eof and left:
            inflated = inflater.decompress(rest, _INFLATE_STEP)
            rest = inflater.unconsumed_tail
            piece = inflated[skip:][:left]
            skip = max(0, skip - len(inflated))
            left -= len(piece)
            if piece:
                yield piece
    if left:
        raise DicomError("truncated", start)
