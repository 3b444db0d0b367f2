"""What must hold of the parsers of data sets for any bytes; shared by hypothesis and atheris."""

from __future__ import annotations

import json

from wardlight.dicom.elements import Element, Scan, scan, walk
from wardlight.dicom.errors import DicomError
from wardlight.dicom.json import attributes, to_json
from wardlight.dicom.limits import Limits
from wardlight.dicom.part10 import Part10Stream, read_meta
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    TransferSyntax,
)

SYNTAXES = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED)
#: Small, so that a short input can reach them.
LIMITS = Limits(depth=6, elements=300, items=40, header=1 << 16, value=1 << 14, inflated=1 << 20)


def check_error(error: DicomError, size: int) -> tuple[str, int]:
    """A typed error names a place in the input."""
    assert 0 <= error.offset <= size, (error.code, error.offset, size)
    return error.code, error.offset


def check_data_set(data: bytes, syntax: TransferSyntax, limits: Limits = LIMITS) -> None:
    """Scan, walk and JSON of a data set that is in memory."""
    size = len(data)
    found: Scan | None = None
    end = size
    try:
        found = scan(data, syntax, limits=limits)
        end = found.end
    except DicomError as error:
        check_error(error, size)
    top: dict[int, Element] = {}
    try:
        for path, element in walk(data, syntax, 0, end, limits):
            assert 0 <= element.start < element.value <= element.end <= end
            assert len(path) <= 2 * limits.depth
            if not path:
                top[element.tag] = element
    except DicomError as error:
        check_error(error, size)
        top = {}
    if found is not None and top:
        assert top == found.elements
    try:
        model = to_json(data, syntax, end=end, bulk_uri=_uri, limits=limits)
        assert list(model) == sorted(model)
        json.dumps(model, allow_nan=False).encode("utf-8")
        to_json(data, syntax, end=end, limits=limits)
    except DicomError as error:
        check_error(error, size)
    try:
        json.dumps(
            attributes(data, syntax, {0x00100010, 0x00081140, 0x00200013}, limits=limits), allow_nan=False
        )
    except DicomError as error:
        check_error(error, size)


def _uri(path: tuple[int, ...], tag: int, offset: int, length: int) -> str | None:
    return "bulk" if tag & 1 else None


def stream_outcome(data: bytes, syntax: TransferSyntax, step: int, limits: Limits = LIMITS) -> object:
    """All that a stream says of a data set fed in chunks of `step` bytes, or its error."""
    stream = DataSetStream(syntax, limits=limits, wanted=None)
    try:
        for start in range(0, len(data), step):
            stream.feed(data[start : start + step])
        stream.finish()
    except DicomError as error:
        check_error(error, limits.inflated if syntax.deflated else len(data))
        return error.code
    assert stream.total == len(data)
    return (
        *(stream.header, stream.pixel, stream.value_offset, stream.fragments, stream.tail_offset),
        stream.elements,
    )


def check_stream(data: bytes, syntax: TransferSyntax, step: int, limits: Limits = LIMITS) -> None:
    """A stream says the same however its input is cut, and the same as a scan."""
    whole = stream_outcome(data, syntax, max(1, len(data)), limits)
    cut = stream_outcome(data, syntax, step, limits)
    if isinstance(whole, str) or isinstance(cut, str):
        # Where two things are wrong with the input, the cut decides which shows first.
        assert isinstance(whole, str), (whole, cut)
        assert isinstance(cut, str), (whole, cut)
        return
    assert whole == cut
    if not syntax.deflated:
        assert scan(data, syntax, limits=limits).elements == whole[-1]  # type: ignore[index]


def check_file(data: bytes, step: int, limits: Limits = LIMITS) -> None:
    """A file ends in a header or one typed error, the same however it is cut."""
    outcomes = []
    for size in (max(1, len(data)), step):
        stream = Part10Stream(limits, lenient=True)
        try:
            for start in range(0, len(data), size):
                stream.feed(data[start : start + size])
            stream.finish()
        except DicomError as error:
            check_error(error, limits.inflated)
            outcomes.append(None)
        else:
            assert stream.stream is not None
            outcomes.append((stream.meta, stream.dataset_offset, stream.stream.header))
    assert outcomes[0] == outcomes[1]
    try:
        read_meta(data)
    except DicomError as error:
        check_error(error, len(data))
