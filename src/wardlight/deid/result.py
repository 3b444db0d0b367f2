"""A result of an application as bytes, wherever they are: its header, where it belongs, and the same restored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, TypeAlias

from wardlight.deid.patient_study import PATIENT_ID
from wardlight.deid.restore import SOP_INSTANCE, STUDY_UID, WANTED, NotRestored, Origin, Restorer, Ways
from wardlight.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from wardlight.dicom.part10 import META_OFFSET, read_meta, write_meta
from wardlight.dicom.stream import DataSetStream, cut, deflated, inflated
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, transfer_syntax

Buffer: TypeAlias = bytes | memoryview
#: File meta information is looked for in so many bytes.
_META_BYTES: Final = 1 << 20
_UID_CHARACTERS: Final = frozenset(b"0123456789.")
_SOP_CLASS: Final = 0x00080016


@dataclass(frozen=True, slots=True)
class Result:
    """A Part 10 file, followed to its end. chunks: begins to read it at an offset. begins: where its data set does."""

    stream: DataSetStream = field(repr=False)
    begins: int
    chunks: Callable[[int], Iterator[bytes]] = field(repr=False)

    @property
    def names(self) -> tuple[bytes, bytes]:
        """Patient ID and Study Instance UID. Raises NotRestored."""
        patient, study = self._text(PATIENT_ID), self._text(STUDY_UID)
        if not patient or not study:
            raise NotRestored("missing-identifier")
        return patient, study

    def restored(self, ways: Ways, origin: Origin, own_days: int = 0) -> tuple[Iterator[Buffer], str]:
        """The file with its patient put back, piece by piece, and its SOP Instance UID. Raises NotRestored, DicomError.

        own_days: as `Restorer` has it.
        """
        stream = self.stream
        sop_class, sop_uid = self._text(_SOP_CLASS), self._text(SOP_INSTANCE)
        if not sop_class or not sop_uid or not _UID_CHARACTERS.issuperset(sop_class + sop_uid):
            raise NotRestored("missing-identifier")
        syntax = EXPLICIT_LITTLE if stream.syntax.deflated else stream.syntax
        header = Restorer(ways, origin, own_days).restore(stream.header or b"", syntax, stream.elements)
        meta = write_meta(
            sop_class.decode(),
            sop_uid.decode(),
            stream.syntax.uid,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version=IMPLEMENTATION_VERSION,
        )
        pieces: Iterator[Buffer] = chain((header,), self._pixels())
        return chain((meta,), deflated(pieces) if stream.syntax.deflated else pieces), sop_uid.decode()

    def _pixels(self) -> Iterator[Buffer]:
        stream = self.stream
        if stream.pixel is None:
            return iter(())
        # What follows the pixel data is padding, or signatures that hold no more.
        start = stream.value_offset
        whole = stream.total if stream.tail_offset is None else stream.tail_offset
        end = start + stream.pixel.length if stream.pixel.length >= 0 else whole
        data = self.chunks(self.begins)
        return chain(
            (stream.pixel.head,), cut(inflated(data) if stream.syntax.deflated else data, start, end)
        )

    def _text(self, tag: int) -> bytes:
        element = self.stream.elements.get(tag)
        if element is None or element.length <= 0 or self.stream.header is None:
            return b""
        return bytes(self.stream.header[element.value : element.end]).strip(b"\0 ")


def read_result(chunks: Callable[[int], Iterator[bytes]]) -> Result:
    """The result that is read so. Raises NotRestored, DicomError."""
    start = bytearray()
    for chunk in chunks(0):
        start += chunk
        if len(start) >= _META_BYTES:
            break
    if start[128:META_OFFSET] != b"DICM":
        raise NotRestored("not-dicom")
    meta = read_meta(bytes(start[:_META_BYTES]))
    if not _UID_CHARACTERS.issuperset(meta.transfer_syntax.encode()):
        raise NotRestored("unknown-transfer-syntax")
    stream = DataSetStream(transfer_syntax(meta.transfer_syntax), wanted=WANTED)
    for chunk in chunks(meta.end):
        stream.feed(chunk)
    stream.finish()
    return Result(stream, meta.end, chunks)
