"""One instance of a release as it goes into another: its file, de-identified and verified, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain

from wardlight.archive.copying import SourceReader
from wardlight.archive.model import InstanceLocation
from wardlight.deid.burned_in import PixelReader
from wardlight.deid.engine import WANTED, Deidentifier
from wardlight.deid.protect import NOT_RELEASED, Buffer, protect, reasons_of
from wardlight.dicom.errors import DicomError
from wardlight.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from wardlight.dicom.part10 import write_meta
from wardlight.dicom.stream import DataSetStream, cut, deflated, inflated
from wardlight.dicom.transfer_syntax import transfer_syntax
from wardlight.ingest.stays import StaysError

__all__ = ["StaysError", "pieces", "written"]


def pieces(
    reader: SourceReader,
    location: InstanceLocation,
    deidentifier: Deidentifier | None,
    pixels: PixelReader | None = None,
) -> Iterator[Buffer]:
    """The file; as it is where there is no de-identifier. Raises StaysError, and what reading it does.

    pixels: looks at those that may hold text; without it they stay.
    Native pixels are verified as they pass: what was given before the error must not be kept.
    """
    if deidentifier is None:
        yield from reader.read(location, 0, location.length)
        return
    try:
        yield from _protected(reader, location, deidentifier, pixels)
    except NOT_RELEASED as refusal:
        # Without the tags that it names.
        raise StaysError(reasons_of(refusal)[0].partition("(")[0].strip() or "refused") from None
    except DicomError as error:
        raise StaysError(f"data-set:{error.code}") from None


def _protected(
    reader: SourceReader,
    location: InstanceLocation,
    deidentifier: Deidentifier,
    text_reader: PixelReader | None,
) -> Iterator[Buffer]:

    def data_set() -> Iterator[bytes]:
        return reader.read(location, location.dataset_offset, location.length)

    stream = DataSetStream(transfer_syntax(location.transfer_syntax), wanted=WANTED)
    for piece in data_set():
        stream.feed(piece)
        if stream.header is not None:
            break
    else:
        stream.finish()

    def encapsulated() -> Iterator[bytes]:
        begin = location.dataset_offset + stream.value_offset
        return reader.read(location, begin, _encapsulated_end(location))

    yield from written(stream, data_set, encapsulated, deidentifier, text_reader)


def written(
    stream: DataSetStream,
    data_set: Callable[[], Iterator[bytes]],
    encapsulated: Callable[[], Iterator[bytes]],
    deidentifier: Deidentifier,
    text_reader: PixelReader | None,
    group: Callable[[str], None] = lambda _group: None,
    accepted: Collection[str] = (),
) -> Iterator[Buffer]:
    """The file that is made of a data set whose header the stream has. Raises as `protect` does.

    data_set, encapsulated: begin to read all of it, and the value of pixels in fragments. group: told the group of the
    original study, in hexadecimal, before the first piece. accepted: as `protect` has it.
    """
    start = stream.value_offset

    def native(length: int) -> Iterator[Buffer]:
        whole: Iterable[Buffer] = inflated(data_set()) if stream.syntax.deflated else data_set()
        return cut(whole, start, start + length)

    def value() -> Iterator[Buffer]:
        if stream.pixel is not None and stream.pixel.length >= 0:
            return native(stream.pixel.length)
        return encapsulated()

    protected = protect(deidentifier, stream, value, reader=text_reader, accepted=accepted)
    result = protected.result
    group(result.study_group)
    yield write_meta(
        result.sop_class,
        result.sop_uid,
        protected.syntax_uid,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version=IMPLEMENTATION_VERSION,
    )
    pieces: Iterable[Buffer] = (result.header, result.pixel_head)
    if stream.pixel is not None:
        if result.body_length is None:
            through = protected.ahead(value())
            pixels: Iterable[Buffer] = value() if through is None else through(value())
        else:
            pixels = protected.through(native(result.body_length))
        pieces = chain(pieces, pixels)
    yield from deflated(pieces) if stream.syntax.deflated else pieces


def _encapsulated_end(location: InstanceLocation) -> int:
    """Offset in the file of the first byte after encapsulated pixel data."""
    pixel = location.pixel
    assert pixel is not None
    offset, length = pixel.fragments[-1] if pixel.fragments else (pixel.offset, 0)
    return offset + length + 8  # The sequence delimiter.
