"""De-identify one input to one file: read once from its start, in flat memory, written beside and then named.

The header is held, the pixel data passes through. Nothing is written before the verifier has passed the header, and
nothing gets its name before it has passed the pixels. Pixel data that is encapsulated, or has to be looked at for text,
is read before it is written.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from io import FileIO
from itertools import chain
from typing import Final

from wardlight.cli.deidentify_input import BadInput, Input, Readable, opened
from wardlight.cli.deidentify_output import OutputFailed, Outputs
from wardlight.deid.burned_in import PixelReader
from wardlight.deid.engine import WANTED, Deidentifier, Refused
from wardlight.deid.known import Knowledge
from wardlight.deid.protect import NOT_RELEASED, Buffer, Protected, protect, reasons_of
from wardlight.deid.report_model import Outcome
from wardlight.dicom.errors import DicomError
from wardlight.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from wardlight.dicom.part10 import Part10Stream, write_meta
from wardlight.dicom.stream import DataSetStream, deflated

#: Bytes read at a time: most cross-sectional images are one read; of headers alone, less.
STEP: Final = 1 << 20
_HEADER_STEP: Final = 32 << 10
_INFLATE_STEP: Final = 64 << 10
STUDY_UID, SERIES_UID, SOP_UID = 0x0020000D, 0x0020000E, 0x00080018
#: Pieces before the pixels: meta information, header, head of the pixel data.
_TOGETHER: Final = 3
_MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"


def header_of(item: Input) -> DataSetStream | None:
    """The header of an input, None where it has none that can be read: the second pass says why."""
    try:
        with opened(item) as file:
            source = Source(file, _HEADER_STEP)
            stream = source.header()
            return None if source.sop_class == _MEDIA_DIRECTORY else stream
    except (BadInput, DicomError, OSError, zlib.error):
        return None


class _Held(Exception):
    """The object stays."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome: Final = outcome


class Worker:
    """De-identifies inputs into one folder; outputs: None writes nothing and does all the rest."""

    def __init__(
        self,
        deidentifier: Deidentifier,
        outputs: Outputs | None,
        report: bool,
        knowledge: Knowledge | None = None,
        reader: PixelReader | None = None,
    ) -> None:
        self._deidentifier = deidentifier
        self._outputs = outputs
        self._report = report
        self._knowledge = knowledge
        self._reader = reader

    def process(self, item: Input) -> Outcome:
        """Never raises for what an input holds: that is quarantined, with a code."""
        try:
            with opened(item) as file:
                return self._process(item, file)
        except BadInput as error:
            return Outcome(item.number, "quarantined", (error.code,))
        except _Held as held:
            return held.outcome
        except DicomError as error:
            if error.code == "not-dicom" and not item.required:
                return Outcome(item.number, "skipped", ("not-dicom",))
            return Outcome(item.number, "quarantined", (f"data-set:{error.code}",))
        except OutputFailed as error:
            return Outcome(item.number, "stopped", (f"file-system:{error.number}",))
        except OSError as error:
            return Outcome(item.number, "quarantined", (f"file-system:{error.errno}",))

    def _process(self, item: Input, file: Readable) -> Outcome:
        source = Source(file)
        stream = source.header()
        if source.sop_class == _MEDIA_DIRECTORY:
            return Outcome(item.number, "skipped", ("media-directory",))
        try:
            return self._released(item, source, stream)
        except NOT_RELEASED as refusal:
            raise _Held(self._held(item, stream, reasons_of(refusal))) from None
        except DicomError as error:
            raise _Held(self._held(item, stream, (f"data-set:{error.code}",))) from None

    def _held(self, item: Input, stream: DataSetStream, reasons: tuple[str, ...]) -> Outcome:
        """An object that stays, with the UIDs it would have had."""
        found = (stream.elements.get(tag) for tag in (STUDY_UID, SERIES_UID, SOP_UID))
        header = stream.header or b""
        uids = [
            self._deidentifier.new_uid(header[one.value : one.end].rstrip(b"\0 ")).decode("ascii", "replace")
            if one is not None and one.length > 0
            else ""
            for one in found
        ]
        return Outcome(item.number, "quarantined", reasons, *(uids if uids[0] else ("", "", "")))

    def _released(self, item: Input, source: Source, stream: DataSetStream) -> Outcome:
        protected = protect(
            self._deidentifier,
            stream,
            lambda: pixel_value(item, stream),
            report=self._report,
            reader=self._reader,
            knowledge=self._knowledge,
        )
        result = protected.result
        if self._outputs is None:
            kind, (digest, size), first = "released", _measured(source, stream, protected), ""
        else:
            with self._outputs.part(result.sop_uid) as (part, name):
                size = _write(part, source, stream, protected)
                kind, digest, first = self._outputs.publish(
                    name, result.study_uid, result.series_uid, result.sop_uid
                )
        return Outcome(
            item.number,
            kind,
            reasons=(kind,) if kind == "instance-conflict" else (),
            study=result.study_uid,
            series=result.series_uid,
            instance=result.sop_uid,
            sop_class=result.sop_class,
            flags=result.flags,
            changes=tuple((change.path, change.action, change.why) for change in result.changes),
            boxes=result.boxes,
            frames=result.frames,
            matched=result.matched,
            digest=digest,
            first=first,
            size=size,
        )


def _measured(source: Source, stream: DataSetStream, protected: Protected) -> tuple[bytes | None, int]:
    """Digest and size of what would be written."""
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(source, stream, protected):
        digest.update(piece)
        size += len(piece)
    return digest.digest(), size


def _write(file: int, source: Source, stream: DataSetStream, protected: Protected) -> int:
    """Write the whole object; returns its size in bytes."""
    size = 0
    waiting: list[Buffer] = []
    for count, piece in enumerate(_pieces(source, stream, protected)):
        waiting.append(piece)
        size += len(piece)
        # What comes before the pixels is written with the first of them: one call for most images.
        if count >= _TOGETHER:
            _write_all(file, waiting)
            waiting = []
    _write_all(file, waiting)
    return size


class Source:
    """Reads an input once, and remembers what was read until the header was complete."""

    def __init__(self, file: Readable, step: int = STEP) -> None:
        self._file = file
        # Of a file no more memory is asked for than it fills.
        self._step = min(step, os.fstat(file.fileno()).st_size + 1) if isinstance(file, FileIO) else step
        self._kept: list[bytes] = []
        self._part10: Part10Stream | None = None
        self._ended = False

    @property
    def sop_class(self) -> str:
        """Of the file meta information."""
        return (
            self._part10.meta.sop_class if self._part10 is not None and self._part10.meta is not None else ""
        )

    @property
    def begin(self) -> int:
        """Offset of the data set in the file."""
        return self._part10.dataset_offset if self._part10 is not None else -1

    def header(self) -> DataSetStream:
        """Read until the header is complete. Raises DicomError."""
        self._part10 = part10 = Part10Stream(lenient=True, wanted=WANTED)
        while part10.stream is None or part10.stream.header is None:
            chunk = self._file.read(self._step) or b""
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


def pixel_value(item: Input, stream: DataSetStream) -> Iterator[Buffer]:
    """The pixel value, from the input opened once more. Raises Refused where it is another by now."""
    with opened(item) as file:
        source = Source(file)
        again = source.header()
        if again.header != stream.header or again.pixel != stream.pixel:
            raise Refused("input-changed")
        length = -1 if again.pixel is None else again.pixel.length
        if again.syntax.deflated:
            yield from _inflated(source, again.value_offset, max(length, 0))
        else:
            yield from _value(source, again, None if length < 0 else length)


def _value(source: Source, stream: DataSetStream, length: int | None) -> Iterator[memoryview]:
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


def _pieces(source: Source, stream: DataSetStream, protected: Protected) -> Iterator[Buffer]:
    """The output: meta information, header, pixel value to its true end; deflated where the input was."""
    result, through = protected.result, protected.through
    yield write_meta(
        result.sop_class,
        result.sop_uid,
        protected.syntax_uid,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version=IMPLEMENTATION_VERSION,
    )
    if not stream.syntax.deflated:
        yield result.header
        yield result.pixel_head
        if stream.pixel is not None:
            yield from through(_value(source, stream, result.body_length))
        return
    pieces: Iterable[Buffer] = (result.header + result.pixel_head,)
    if stream.pixel is not None:
        value = through(_inflated(source, stream.value_offset, result.body_length or 0))
        pieces = chain(pieces, value)
    yield from deflated(pieces)


def _write_all(file: int, buffers: list[Buffer]) -> None:
    """All of the buffers, in as few calls as the system allows. Raises OutputFailed."""
    left = sum(len(buffer) for buffer in buffers)
    if not left:
        return
    try:
        done = os.writev(file, buffers)
        if done < left:
            rest = memoryview(b"".join(buffers))[done:]
            while rest:
                rest = rest[os.write(file, rest) :]
    except OSError as error:
        raise OutputFailed(error.errno) from None


def _inflated(source: Source, start: int, length: int) -> Iterator[bytes]:
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
