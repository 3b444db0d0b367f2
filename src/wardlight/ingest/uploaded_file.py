"""One file as a person sent it, on its way into a release: de-identified and verified, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from wardlight.archive.attributes import SOP_CLASS, STUDY_UID
from wardlight.archive.incoming import identify
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
    accepted: Collection[str] = (),
) -> Iterator[Buffer]:
    """The file that is stored; as it is where there is no de-identifier. group, accepted: as `written` has them.

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
        yield from _protected(file, read, length, deidentifier, pixels, group, accepted)
    except NOT_RELEASED as refusal:
        reasons = reasons_of(refusal)
        raise StaysError(reasons[0].partition("(")[0].strip() or "refused", reasons) from None
    except DicomError as error:
        raise WardlightError("bad-data-set", reason=error.code) from None


def _protected(
    file: Part10Stream,
    read: Read,
    length: int,
    deidentifier: Deidentifier,
    pixels: PixelReader | None,
    group: Callable[[str], None],
    accepted: Collection[str],
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
        accepted,
    )


def named(read: Read, length: int) -> tuple[str, str]:
    """Study Instance UID and SOP Class UID that the header of a file tells; "" for what it does not."""
    file = Part10Stream(wanted=frozenset({STUDY_UID, SOP_CLASS}))
    try:
        for piece in read(0, length):
            file.feed(piece)
            if file.stream is not None and file.stream.header is not None:
                break
        else:
            file.finish()
    except DicomError:
        return "", ""
    if file.stream is None or file.stream.header is None:
        return "", ""
    uids = identify(file.stream)
    return uids.study, uids.sop_class
