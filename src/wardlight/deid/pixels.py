"""Pixel data on its way out: which is refused, and what of it is changed so that nothing but the image leaves.

`refusals` decides by the header alone. `native_of` then gives the cleaning of native pixel data, chunk by chunk;
`check` reads encapsulated pixel data once and gives the cleaning of that. Cleaning never changes a length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from wardlight.deid import pixels_image as tags
from wardlight.deid.pixels_fragments import Blanks, Buffer, Fragments, check_extended, check_offsets
from wardlight.deid.pixels_image import Image, PixelError, image_of, native_length
from wardlight.deid.pixels_j2k import walk_j2k
from wardlight.deid.pixels_jpeg import walk_jpeg, walk_jpeg_ls
from wardlight.deid.pixels_native import Native, native
from wardlight.deid.pixels_rle import walk_rle
from wardlight.dicom.elements import Element
from wardlight.dicom.stream import PixelElement
from wardlight.dicom.transfer_syntax import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    TransferSyntax,
)

__all__ = ["Blanks", "Cleaning", "Native", "PixelError", "check", "native_of", "refusals"]

#: Both have `clean(chunks)`, which gives as many bytes as it takes.
Cleaning = Native | Blanks

_NATIVE: Final = frozenset(one.uid for one in (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED))
_ROOT: Final = "1.2.840.10008.1.2."
_WALKS: Final[Mapping[str, Callable[[Fragments, Image], None]]] = {
    # Without 59 to 66 but 57, 58: hierarchical modes, retired and in no decoder.
    **{f"{_ROOT}4.{number}": walk_jpeg for number in (*range(50, 59), 70)},
    **{f"{_ROOT}4.{number}": walk_jpeg_ls for number in (80, 81)},
    **{f"{_ROOT}4.{number}": walk_j2k for number in (90, 91, 201, 202, 203)},
    f"{_ROOT}5": walk_rle,
}
#: Why the rest is refused; the first that fits.
_REFUSED: Final = (
    (tuple(f"{_ROOT}4.10{number}" for number in range(9)), "video-stream"),
    ((f"{_ROOT}7.",), "video-stream"),
    (tuple(f"{_ROOT}4.{number}" for number in (110, 111, 112)), "jpeg-xl"),
    (tuple(f"{_ROOT}4.{number}" for number in (94, 95, 204, 205)), "jpip-referenced"),
    ((f"{_ROOT}8.1",), "deflated-frames"),
)


def refusals(
    header: bytes, elements: Mapping[int, Element], pixel: PixelElement | None, syntax: TransferSyntax
) -> list[str]:
    """Why an object must not be released, by its transfer syntax and what the header says of its pixels.

    elements: those of `pixels_image.LOOKED_AT` at the top level. syntax: as the object came, also where its header
    was inflated. Empty: native pixel data may leave through `native_of`, encapsulated once `check` passed it.
    """
    if not syntax.known:
        return ["unknown-transfer-syntax"]
    if syntax.uid not in _NATIVE and syntax.uid not in _WALKS:
        return [
            next(
                (why for uids, why in _REFUSED if syntax.uid.startswith(uids)), "unsupported-transfer-syntax"
            )
        ]
    if pixel is None:
        return []
    if syntax.encapsulated:
        if pixel.length >= 0 or pixel.tag != tags.PIXEL_DATA:
            return ["fragments-without-items"]
    elif pixel.length < 0:
        return ["deflated-fragments" if syntax.deflated else "fragments-in-native-syntax"]
    elif not elements.keys().isdisjoint((tags.OFFSETS, tags.OFFSET_LENGTHS, tags.TOTAL_LENGTH)):
        return ["offset-table"]
    try:
        if syntax.encapsulated:
            image_of(header, elements, pixel, syntax.big_endian)
        else:
            native_of(header, elements, pixel, syntax)
            if pixel.length < native_length(header, elements, pixel, syntax.big_endian):
                return ["pixel-data-short"]
    except PixelError as error:
        return [error.code]
    return []


def native_of(
    header: bytes, elements: Mapping[int, Element], pixel: PixelElement, syntax: TransferSyntax
) -> Native:
    """The cleaning of native pixel data. Raises PixelError where `refusals` has something to say of its layout."""
    big = syntax.big_endian
    return native(image_of(header, elements, pixel, big), pixel.vr, big)


def check(
    chunks: Iterable[Buffer],
    header: bytes,
    elements: Mapping[int, Element],
    pixel: PixelElement,
    syntax: TransferSyntax,
) -> Blanks:
    """The cleaning of encapsulated pixel data, which is read to its end. Raises PixelError where it must not leave.

    chunks: the value, from the Basic Offset Table's item through the sequence delimiter.
    """
    image = image_of(header, elements, pixel, syntax.big_endian)
    walk = _WALKS[syntax.uid]
    stream = Fragments(chunks)
    if not stream.open() or stream.left not in (0, 4 * image.frames):
        raise PixelError("offset-table")
    table = stream.take(stream.left) if stream.left else b""
    starts: list[int] = []
    sizes: list[int] = []
    while stream.open():
        if len(starts) == image.frames:
            raise PixelError("surplus-fragments")
        starts.append(stream.item)
        before = stream.consumed
        walk(stream, image)
        stream.blank_rest()
        sizes.append(stream.consumed - before)
    if len(starts) != image.frames:
        raise PixelError("frame-count")
    check_offsets(table, starts)
    check_extended([_bytes(header, elements, tag) for tag in _EXTENDED], starts, sizes)
    return stream.blanks(starts)


def clean_frame(encoded: bytes, image: Image, syntax_uid: str) -> bytes:
    """A frame that was encoded here, padded to an even length and without comments. Raises PixelError."""
    frame = encoded + bytes(len(encoded) & 1)
    head = len(frame).to_bytes(4, "little")
    stream = Fragments([_TABLE, _ITEM, head, frame, _DELIMITER])
    stream.open()
    stream.open()
    _WALKS[syntax_uid](stream, image)
    stream.blank_rest()
    blanks = stream.blanks()
    before = len(_TABLE + _ITEM + head)
    return b"".join(Blanks(tuple((a - before, z - before) for a, z in blanks.ranges)).clean([frame]))


#: An empty Basic Offset Table, the tag of an item, and the sequence delimiter (PS3.5 A.4).
_TABLE: Final = b"\xfe\xff\x00\xe0\0\0\0\0"
_ITEM: Final = b"\xfe\xff\x00\xe0"
_DELIMITER: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_EXTENDED: Final = (tags.OFFSETS, tags.OFFSET_LENGTHS, tags.TOTAL_LENGTH)


def _bytes(header: bytes, elements: Mapping[int, Element], tag: int) -> bytes | None:
    element = elements.get(tag)
    return None if element is None else header[element.value : element.end]
