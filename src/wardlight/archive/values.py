"""Where single values lie in a stored instance, and their bytes: what metadata refers to by BulkDataURI.

Uncompressed bulk data is given in little endian whatever the stored byte order (PS3.18 section 8.7.3.3.1). A value is
found without holding the data set: top-level elements are passed over by a window, a nested one costs its sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import error as StructError
from typing import Final, TypeAlias

from wardlight.archive.content import header, stored_range
from wardlight.archive.model import InstanceLocation, ValuePlace
from wardlight.dicom.codec import ITEM, PIXEL_TAGS, Codec, codec_of
from wardlight.dicom.elements import Element, Path, scan_into, walk_all, walk_sequence
from wardlight.dicom.errors import DicomError, Truncated
from wardlight.dicom.json import is_sequence, references, swap_words
from wardlight.dicom.limits import LIMITS
from wardlight.dicom.skip import read_item
from wardlight.dicom.stream import DataSetStream, inflated
from wardlight.dicom.transfer_syntax import TransferSyntax, transfer_syntax
from wardlight.dicom.vr import WORD_SIZES
from wardlight.errors import WardlightError
from wardlight.objects.store import ObjectReader

#: Reads bytes [start, end) of the data set.
Read: TypeAlias = Callable[[int, int], bytes]

#: Bytes of the data set looked at in one go: most headers are smaller.
_WINDOW: Final = 256 << 10
#: Bytes of an explicit element before a value of a VR with a 32-bit length: the VR stands after the tag.
_LONG_HEAD: Final = 12


def find(reader: ObjectReader, location: InstanceLocation, path: Path) -> ValuePlace:
    """The value at a path of tags and item numbers from 0. Raises `not-found`, `object-damaged`."""
    syntax = transfer_syntax(location.transfer_syntax)
    try:
        if len(path) == 1 and path[0] in PIXEL_TAGS:
            place = _pixel(reader, location, syntax, path[0])
        elif syntax.deflated:
            data, syntax = header(reader, location)
            place = _find(lambda start, end: data[start:end], len(data), syntax, path)
        else:

            def read(start: int, end: int) -> bytes:
                base = location.offset + location.dataset_offset
                return reader.read(base + start, base + end)

            place = _find(read, location.header_length, syntax, path)
    except DicomError:
        raise WardlightError("object-damaged", "a stored data set cannot be parsed") from None
    if place is None:
        raise WardlightError("not-found", "the instance has no such bulk data")
    return place


def referenced(reader: ObjectReader, location: InstanceLocation) -> list[ValuePlace]:
    """Every value that the instance's metadata gives by reference, the pixel data last."""
    data, syntax = header(reader, location)
    offsets: set[int] = set()

    def uri(_path: Path, _tag: int, offset: int, _length: int) -> None:
        offsets.add(offset)

    try:
        references(data, syntax, uri)
        places = [
            _place(path, element, codec, lambda start, end: data[start:end])
            for path, element, codec in walk_all(data, syntax)
            if element.value in offsets and element.tag != ITEM and not is_sequence(element)
        ]
    except DicomError:
        raise WardlightError("object-damaged", "a stored data set cannot be parsed") from None
    pixel = pixel_place(reader, location)
    return [*places, pixel] if pixel is not None else places


def pixel_place(reader: ObjectReader, location: InstanceLocation) -> ValuePlace | None:
    """The top-level pixel data, if there is some; of a deflated data set it is found by inflating."""
    syntax = transfer_syntax(location.transfer_syntax)
    if location.pixel is not None:
        return _pixel(reader, location, syntax, location.pixel.tag)
    try:
        return _deflated_pixel(reader, location, syntax) if syntax.deflated else None
    except DicomError:
        raise WardlightError("object-damaged", "a stored data set cannot be parsed") from None


def _find(read: Read, size: int, syntax: TransferSyntax, path: Path) -> ValuePlace | None:
    found = _top_level(read, size, syntax, path[0])
    if found is None:
        return None
    element, codec = found
    if len(path) == 1:
        return None if is_sequence(element) else _place((), element, codec, read)
    start = element.start
    data = read(start, element.end)
    for inner, candidate, inner_codec in walk_sequence(data, _shifted(element, -start), codec):
        if inner == path[:-1] and candidate.tag == path[-1] and not is_sequence(candidate):
            return _place(inner, _shifted(candidate, start), inner_codec, read)
    return None


def _top_level(read: Read, size: int, syntax: TransferSyntax, tag: int) -> tuple[Element, Codec] | None:
    """The top-level element of this tag in the header, with offsets in the data set."""
    position, window = 0, _WINDOW
    codec: Codec | None = None
    while position < size:
        data = read(position, min(size, position + window))
        codec = codec or codec_of(syntax, data, 0)
        found: dict[int, Element] = {}
        try:
            scan_into(found, data, codec, 0, (tag,), LIMITS)
            after = len(data)
        except Truncated as cut:
            if tag not in found and cut.need and (element := _cut(data, cut, codec)):
                if element.tag == tag:
                    found[tag] = element
                after = element.end
            else:
                after = cut.offset
        if tag in found:
            return _shifted(found[tag], position), codec
        if not after:
            # The element is longer than the window, and only its end tells how long.
            if len(data) < window:
                raise DicomError("length", position)
            window *= 4
        position += after
    return None


def _cut(data: bytes, cut: Truncated, codec: Codec) -> Element | None:
    """The element that the window's end cuts, where its head is whole and says where it ends."""
    try:
        tag, vr, value, length = codec.read(data, cut.offset)
    except StructError:
        return None
    return Element(tag, vr, cut.offset, value, length, value + length) if length >= 0 else None


def _shifted(element: Element, by: int) -> Element:
    return element._replace(start=element.start + by, value=element.value + by, end=element.end + by)


def _place(path: Path, element: Element, codec: Codec, read: Read) -> ValuePlace:
    full = (*path, element.tag)
    if element.length < 0:
        fragments = _fragments(read(element.value, element.end), codec)
        spans = tuple((element.value + start, element.value + end) for start, end in fragments)
        return ValuePlace(full, spans, encapsulated=True)
    # Values of VR UN are in little endian whatever the transfer syntax (PS3.5 section 6.2.2).
    word = WORD_SIZES.get(element.vr, 1) if codec.big else 1
    return ValuePlace(full, ((element.value, element.value + element.length),), word)


def _fragments(data: bytes, codec: Codec) -> list[tuple[int, int]]:
    """Values of the fragments without the Basic Offset Table (PS3.5 section A.4)."""
    found, position = [], 0
    while position < len(data):
        tag, _, position, length = read_item(data, position, codec)
        if tag != ITEM:
            break
        found.append((position, position + length))
        position += length
    return found[1:]


def _pixel(
    reader: ObjectReader, location: InstanceLocation, syntax: TransferSyntax, tag: int
) -> ValuePlace | None:
    if syntax.deflated:
        found = _deflated_pixel(reader, location, syntax)
        return found if found is not None and found.path == (tag,) else None
    pixel = location.pixel
    if pixel is None or pixel.tag != tag:
        return None
    base = location.dataset_offset
    if pixel.length < 0:
        spans = tuple((start - base, start - base + length) for start, length in pixel.fragments[1:])
        return ValuePlace((tag,), spans, encapsulated=True)
    word = 1
    if syntax.big_endian and not syntax.implicit:
        at = location.offset + pixel.offset - _LONG_HEAD
        word = WORD_SIZES.get(reader.read(at + 4, at + 6), 1)
    return ValuePlace((tag,), ((pixel.offset - base, pixel.offset - base + pixel.length),), word)


def _deflated_pixel(
    reader: ObjectReader, location: InstanceLocation, syntax: TransferSyntax
) -> ValuePlace | None:
    stream = DataSetStream(syntax)
    for piece in stored_range(reader, location, location.dataset_offset, location.length):
        stream.feed(piece)
        if stream.header is not None:
            break
    else:
        stream.finish()
    pixel = stream.pixel
    if pixel is None or pixel.length < 0:
        return None
    return ValuePlace((pixel.tag,), ((stream.value_offset, stream.value_offset + pixel.length),))


def value_range(
    reader: ObjectReader, location: InstanceLocation, place: ValuePlace, start: int, end: int
) -> Iterator[bytes]:
    """Bytes [start, end) of a value, its fragments joined, in little endian."""
    word = place.word
    # Words are swapped whole.
    first, last = start - start % word, min(place.length, end + -end % word)
    pieces = _stored(reader, location, place, first, last)
    if word == 1:
        yield from pieces
        return
    cut, left = start - first, end - start
    for piece in _swapped(pieces, word):
        part = piece[cut : cut + left]
        cut, left = max(0, cut - len(piece)), left - len(part)
        yield part


def _stored(
    reader: ObjectReader, location: InstanceLocation, place: ValuePlace, start: int, end: int
) -> Iterator[bytes]:
    deflated = transfer_syntax(location.transfer_syntax).deflated
    base = 0
    for first, last in place.spans:
        size = last - first
        low, high = max(start - base, 0), min(end - base, size)
        if low < high and deflated:
            yield from _inflated(reader, location, first + low, first + high)
        elif low < high:
            at = location.dataset_offset
            yield from stored_range(reader, location, at + first + low, at + first + high)
        base += size


def _inflated(reader: ObjectReader, location: InstanceLocation, start: int, end: int) -> Iterator[bytes]:
    """Bytes [start, end) of the inflated data set; what is before them is inflated and dropped."""
    position = 0
    try:
        for piece in inflated(stored_range(reader, location, location.dataset_offset, location.length)):
            low, high = max(start - position, 0), min(end - position, len(piece))
            if low < high:
                yield piece[low:high]
            position += len(piece)
            if position >= end:
                return
    except DicomError:
        raise WardlightError("object-damaged", "a stored data set cannot be parsed") from None


def _swapped(pieces: Iterator[bytes], word: int) -> Iterator[bytes]:
    """The pieces with their words in the other byte order, also where a word is cut between two."""
    held = b""
    for piece in pieces:
        data = held + piece if held else piece
        whole = len(data) - len(data) % word
        held = data[whole:]
        yield swap_words(data[:whole], word)
    if held:
        yield held
