"""One DICOM file as it comes in: followed chunk by chunk, and written to its segment as soon as its study is known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from wardlight.archive.model import IncomingInstance, PixelIndex, ReleaseTarget
from wardlight.archive.service import SegmentWriter
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import Part10Stream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, TransferSyntax
from wardlight.errors import WardlightError

_SOP_CLASS: Final = 0x0008_0016
_SOP_INSTANCE: Final = 0x0008_0018
_STUDY: Final = 0x0020_000D
_SERIES: Final = 0x0020_000E
_IDENTIFIERS: Final = dict.fromkeys((_STUDY, _SERIES, _SOP_INSTANCE, _SOP_CLASS))  # in the order of `Uids`
_UID_CHARACTERS: Final = frozenset(b"0123456789.")


class Uids(NamedTuple):
    """What names an instance; "" for what is missing, empty or no UID at all."""

    study: str = ""
    series: str = ""
    instance: str = ""
    sop_class: str = ""


@dataclass(slots=True)
class Segment:
    """The segment of one study within a store request, and what was written whole into it so far."""

    target: ReleaseTarget
    writer: SegmentWriter
    instances: list[IncomingInstance] = field(default_factory=list)
    #: Position of each instance's outcome in the request's list.
    places: list[int] = field(default_factory=list)


class IncomingPart:
    """Takes the bytes of one Part 10 file (PS3.10 section 7).

    write() and finish() raise `bad-data-set`, `missing-identifier` or `instance-mismatch`, or whatever opening the
    segment raises. Bytes are held until the header is whole and names the study, then they go straight through.
    """

    def __init__(self, open_segment: Callable[[str], Segment], study_uid: str | None) -> None:
        self.segment: Segment | None = None
        #: As far as they are known: for the answer.
        self.uids = Uids()
        self._open_segment: Final = open_segment
        self._study_uid: Final = study_uid
        self._file: Final = Part10Stream(wanted=_IDENTIFIERS)
        self._waiting: list[memoryview] = []
        self._digest: Final = hashlib.sha256()
        self._offset = 0

    def write(self, data: memoryview) -> None:
        """Take the next bytes."""
        try:
            self._file.feed(data)
        except DicomError as error:
            raise _bad(error) from None
        if self.segment is not None:
            self._digest.update(data)
            self.segment.writer.write(data)
            return
        self._waiting.append(data)
        if self._file.stream is not None and self._file.stream.header is not None:
            self._place()

    def finish(self) -> IncomingInstance:
        """The file is complete: its description for the commit. Its bytes are in the segment."""
        try:
            self._file.finish()
        except DicomError as error:
            raise _bad(error) from None
        if self.segment is None:
            self._place()
        stream, meta = self._file.stream, self._file.meta
        assert (
            self.segment is not None and stream is not None and stream.header is not None and meta is not None
        )
        return IncomingInstance(
            study_uid=self.uids.study,
            series_uid=self.uids.series,
            sop_uid=self.uids.instance,
            sop_class=self.uids.sop_class,
            transfer_syntax=meta.transfer_syntax,
            header=stream.header,
            header_syntax=_header_syntax(stream.syntax),
            offset=self._offset,
            length=self.segment.writer.tell() - self._offset,
            dataset_offset=self._file.dataset_offset,
            pixel=self._pixel(),
            sha256=self._digest.digest(),
        )

    def _pixel(self) -> PixelIndex | None:
        stream = self._file.stream
        assert stream is not None
        if stream.pixel is None or stream.syntax.deflated:
            return None
        base = self._file.dataset_offset
        fragments = tuple((base + offset, length) for offset, length in stream.fragments)
        return PixelIndex(stream.pixel.tag, base + stream.value_offset, stream.pixel.length, fragments)

    def _place(self) -> None:
        """The header is whole: find the segment of its study and write what was held."""
        self.uids = self._identify()
        if "" in self.uids:
            raise WardlightError("missing-identifier")
        if self._study_uid is not None and self.uids.study != self._study_uid:
            raise WardlightError("instance-mismatch", reason="study")
        self.segment = self._open_segment(self.uids.study)
        self._offset = self.segment.writer.tell()
        skip = self._file.dataset_offset
        for data in self._waiting:
            self._digest.update(data[skip:])
            skip = max(0, skip - len(data))
            self.segment.writer.write(data)
        self._waiting.clear()

    def _identify(self) -> Uids:
        stream = self._file.stream
        assert stream is not None and stream.header is not None
        header, elements = stream.header, stream.elements
        uids = []
        for tag in _IDENTIFIERS:
            element = elements.get(tag)
            value = header[element.value : element.end].strip(b"\0 ") if element is not None else b""
            good = len(value) <= 64 and _UID_CHARACTERS.issuperset(value)
            uids.append(value.decode("ascii") if good else "")
        return Uids(*uids)


def _header_syntax(syntax: TransferSyntax) -> TransferSyntax:
    """How the header that a stream gives is encoded: a deflated one comes inflated (PS3.5 A.5)."""
    return EXPLICIT_LITTLE if syntax.deflated else syntax


def _bad(error: DicomError) -> WardlightError:
    return WardlightError("bad-data-set", str(error), reason=error.code)
