"""One DICOM file as it comes in: followed chunk by chunk, and written to its segment as soon as its study is known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from wardlight.agreements.model import Level
from wardlight.archive.incoming import WANTED, Uids, described, header_syntax, identify
from wardlight.archive.model import IncomingInstance, ReleaseTarget
from wardlight.archive.results import ResultPlace
from wardlight.archive.service import SegmentWriter
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import Part10Stream
from wardlight.errors import WardlightError
from wardlight.ingest.protection import IDENTITY_REMOVED, METHOD_CODES, require_protection, require_result

_WANTED: Final = WANTED | {IDENTITY_REMOVED, METHOD_CODES}
#: Deflated bytes fed at a time: what they inflate to is counted after each.
_DEFLATED_STEP: Final = 4 << 10
_FRAGMENT_BYTES: Final = 150  # what Python needs for one fragment's place


@dataclass(slots=True)
class Segment:
    """The segment of one study within a store request, and what was written whole into it so far."""

    target: ReleaseTarget
    writer: SegmentWriter
    instances: list[IncomingInstance] = field(default_factory=list)
    #: Position of each instance's outcome in the request's list.
    places: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Demands:
    """What a file must be.

    level: whose protection it must show. study_uid: the study it must belong to, if any. result: it is what an
    application made of a release, and must name the patient as that does.
    """

    level: Level
    study_uid: str | None = field(default=None, repr=False)
    result: ResultPlace | None = None


class IncomingPart:
    """Takes the bytes of one Part 10 file (PS3.10 section 7).

    write() and finish() raise `bad-data-set`, `missing-identifier`, `instance-mismatch` or `not-deidentified`, or
    whatever `open_segment` and `hold` raise. Bytes are held, once, until the header is whole, names the study and was
    checked; then they go straight through. hold: told how many bytes are held, each time that grows.
    """

    def __init__(
        self, open_segment: Callable[[str], Segment], hold: Callable[[int], None], demands: Demands
    ) -> None:
        self.segment: Segment | None = None
        #: As far as they are known: for the answer.
        self.uids = Uids()
        self._open_segment: Final = open_segment
        self._hold: Final = hold
        self._demands: Final = demands
        self._file: Final = Part10Stream(wanted=_WANTED)
        # What the stream does not hold for us: all up to the data set, and the whole of a deflated one.
        self._waiting = bytearray()
        self._digest: Final = hashlib.sha256()
        self._offset = 0

    @property
    def held(self) -> int:
        """Bytes that this takes in memory."""
        stream = self._file.stream
        described = stream.held + _FRAGMENT_BYTES * len(stream.fragments) if stream is not None else 0
        return len(self._waiting) + described

    def write(self, data: memoryview) -> None:
        """Take the next bytes."""
        if self.segment is not None:
            self._feed(data)
            if self._file.stream is not None and self._file.stream.fragments:
                self._hold(self.held)
            self._digest.update(data)
            self.segment.writer.write(data)
            return
        stream = self._file.stream
        if stream is not None and stream.syntax.deflated and len(data) > _DEFLATED_STEP:
            for start in range(0, len(data), _DEFLATED_STEP):
                self.write(data[start : start + _DEFLATED_STEP])
            return
        self._feed(data)
        self._keep(data, begun=stream is not None)
        stream = self._file.stream
        self._hold(self.held)
        if stream is not None and stream.header is not None:
            self._place()

    def finish(self) -> IncomingInstance:
        """The file is complete: its description for the commit. Its bytes are in the segment."""
        try:
            self._file.finish()
        except DicomError as error:
            raise _bad(error) from None
        if self.segment is None:
            self._keep(memoryview(b""), begun=False)
            self._place()
        assert self.segment is not None
        length = self.segment.writer.tell() - self._offset
        return described(self._file, self.uids, self._offset, length, self._digest.digest())

    def _feed(self, data: memoryview) -> None:
        try:
            self._file.feed(data)
        except DicomError as error:
            raise _bad(error) from None

    def _keep(self, data: memoryview, *, begun: bool) -> None:
        """Keep what will have to be written and is held nowhere else. begun: the stream had begun before `data`."""
        stream = self._file.stream
        if not begun or (stream is not None and stream.syntax.deflated):
            self._waiting += data
        if stream is not None and not begun and not stream.syntax.deflated:
            del self._waiting[self._file.dataset_offset :]

    def _place(self) -> None:
        """The header is whole: check it, find the segment of its study and write what was held."""
        stream = self._file.stream
        assert stream is not None and stream.header is not None
        self.uids = identify(stream)
        if "" in self.uids:
            raise WardlightError("missing-identifier")
        if self._demands.study_uid is not None and self.uids.study != self._demands.study_uid:
            raise WardlightError("instance-mismatch", reason="study")
        if self._demands.result is not None:
            require_result(self._demands.result, stream.header, header_syntax(stream))
        else:
            require_protection(
                self._demands.level, self.uids[:3], stream.header, header_syntax(stream), stream.elements
            )
        self.segment = self._open_segment(self.uids.study)
        writer = self.segment.writer
        self._offset = writer.tell()
        head = self._file.dataset_offset
        pieces = [memoryview(self._waiting)[head:]]
        if not stream.syntax.deflated:
            pieces = [memoryview(stream.header), memoryview(stream.pixel.head if stream.pixel else b"")]
            pieces.append(memoryview(stream.first_value))
        writer.write(memoryview(self._waiting)[:head])
        for piece in pieces:
            self._digest.update(piece)
            writer.write(piece)
        self._waiting = bytearray()


def _bad(error: DicomError) -> WardlightError:
    return WardlightError("bad-data-set", str(error), reason=error.code)
