"""Reading an object of the spool again: where it lies, and its header."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from wardlight.deid.engine import WANTED
from wardlight.dicom.codec import Buffer
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import transfer_syntax
from wardlight.errors import WardlightError
from wardlight.receiver.model import Work
from wardlight.receiver.sink import IDENTIFIERS
from wardlight.receiver.spool import Spool, SpoolRef

#: Stored bytes that hold the BEGIN record and the first 64 KiB of an object, with room for a few other records.
_FIRST_BYTES: Final = 96 << 10
#: What the receiver and the de-identifier look at, found on one way through the header.
_LOOKED_AT: Final = IDENTIFIERS | WANTED


def reference(work: Work) -> SpoolRef:
    """Where the object of this work lies in the spool."""
    return SpoolRef(work.file_id, work.stream, work.offset, work.record, work.end, work.length, work.digest)


def read_header(spool: Spool, ref: SpoolRef, syntax_uid: str, *, whole: bool = False) -> DataSetStream:
    """A stream over the object whose header is there; with `whole` to its end.

    Raises DicomError for what is no data set (it was one when it came), WardlightError as `Spool.read` does.
    """
    if not whole and ref.end - ref.offset > _FIRST_BYTES:
        # The spool reads ahead up to the end that it is given. Most headers lie in the first record, so the rest of
        # the object need not come from the disk for them, which halves what is read of it in all.
        stream = _begun(spool, replace(ref, end=ref.offset + _FIRST_BYTES), syntax_uid)
        if stream is not None:
            return stream
    return follow(spool.read(ref), syntax_uid, whole=whole)


def follow(chunks: Iterator[Buffer], syntax_uid: str, *, whole: bool = False) -> DataSetStream:
    """As `read_header`, of an object that is read already."""
    stream = DataSetStream(transfer_syntax(syntax_uid), wanted=_LOOKED_AT)
    for chunk in chunks:
        stream.feed(chunk)
        if stream.header is not None and not whole:
            return stream
    stream.finish()
    return stream


def _begun(spool: Spool, start: SpoolRef, syntax_uid: str) -> DataSetStream | None:
    """The stream, if the header ends before the end of `start`, which is no object's end."""
    stream = DataSetStream(transfer_syntax(syntax_uid), wanted=_LOOKED_AT)
    try:
        for chunk in spool.read(start):
            stream.feed(chunk)
            if stream.header is not None:
                return stream
    except WardlightError as error:
        if error.code != "object-damaged":
            raise
    return None
