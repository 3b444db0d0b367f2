"""Reading an object of the spool again: where it lies, and its header."""

from __future__ import annotations

from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import transfer_syntax
from wardlight.receiver.model import Work
from wardlight.receiver.sink import IDENTIFIERS
from wardlight.receiver.spool import Spool, SpoolRef


def reference(work: Work) -> SpoolRef:
    """Where the object of this work lies in the spool."""
    return SpoolRef(work.file_id, work.stream, work.offset, work.record, work.end, work.length, work.digest)


def read_header(spool: Spool, ref: SpoolRef, syntax_uid: str, *, whole: bool = False) -> DataSetStream:
    """A stream over the object whose header is there; with `whole` to its end.

    Raises DicomError for what is no data set (it was one when it came), WardlightError as `Spool.read` does.
    """
    stream = DataSetStream(transfer_syntax(syntax_uid), wanted=IDENTIFIERS)
    for chunk in spool.read(ref):
        stream.feed(chunk)
        if stream.header is not None and not whole:
            return stream
    stream.finish()
    return stream
