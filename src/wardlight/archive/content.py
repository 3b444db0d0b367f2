"""Opens stored bytes: ranges of instances, headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wardlight.archive.model import InstanceLocation
from wardlight.dicom.errors import DicomError
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, TransferSyntax, transfer_syntax
from wardlight.errors import WardlightError
from wardlight.objects.store import ObjectReader

#: Bytes handed out at a time: a frame of 512 × 512 × 16 bit is not many pieces.
PIECE: Final = 512 << 10


def stored_range(reader: ObjectReader, location: InstanceLocation, start: int, end: int) -> Iterator[bytes]:
    """Bytes [start, end) of the instance's Part 10 file, as stored."""
    return reader.iter(location.offset + start, location.offset + end, PIECE)


def header(reader: ObjectReader, location: InstanceLocation) -> tuple[bytes, TransferSyntax]:
    """The data set before its pixel data, and how that is encoded. Deflated data is inflated as far as needed."""
    syntax = transfer_syntax(location.transfer_syntax)
    start = location.dataset_offset
    if not syntax.deflated:
        return b"".join(stored_range(reader, location, start, start + location.header_length)), syntax
    stream = DataSetStream(syntax)
    try:
        for piece in stored_range(reader, location, start, location.length):
            stream.feed(piece)
            if stream.header is not None:
                break
        else:
            stream.finish()
    except DicomError:
        raise WardlightError("object-damaged", "a stored data set cannot be parsed") from None
    return stream.header or b"", EXPLICIT_LITTLE
