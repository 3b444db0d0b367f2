"""One file as a person sent it, on its way into a release: de-identified and verified, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wardlight.deid.burned_in import PixelReader
from wardlight.deid.engine import WANTED, Deidentifier
from wardlight.deid.protect import NOT_RELEASED, Buffer, reasons_of
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import Part10Stream
from wardlight.errors import WardlightError
from wardlight.ingest.protected_file import written
from wardlight.ingest.stays import StaysError

#: Reads bytes [start, end) of the file, in pieces.
Read = Callable[[int, int], Iterator[bytes]]


def pieces(
    read: Read,
    length: int,
    deidentifier: Deidentifier | None,
    pixels: PixelReader | None,
    group: Callable[[str], None],
) -> Iterator[Buffer]:
    """The file that is stored; as it is where there is no de-identifier. group: as `written` has it.

    Raises `bad-data-set`, StaysError where it cannot be protected, and what reading it does. Native pixels are verified
    as they pass: what was given before the error must not be kept.
    """
    if deidentifier is None:
        yield from read(0, length)
        return
    file = Part10Stream(wanted=WANTED)
    try:
        for piece in read(0, length):
            file.feed(piece)
        file.finish()
        yield from _protected(file, read, length, deidentifier, pixels, group)
    except NOT_RELEASED as refusal:
        # Without the tags that it names.
        raise StaysError(reasons_of(refusal)[0].partition("(")[0].strip() or "refused") from None
    except DicomError as error:
        raise WardlightError("bad-data-set", reason=error.code) from None


def _protected(
    file: Part10Stream,
    read: Read,
    length: int,
    deidentifier: Deidentifier,
    pixels: PixelReader | None,
    group: Callable[[str], None],
) -> Iterator[Buffer]:
    stream, base = file.stream, file.dataset_offset
    assert stream is not None
    end = stream.total if stream.tail_offset is None else stream.tail_offset
    yield from written(
        stream,
        lambda: read(base, length),
        lambda: read(base + stream.value_offset, base + end),
        deidentifier,
        pixels,
        group,
    )
