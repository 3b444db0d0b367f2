"""Instances in another transfer syntax than they are stored in, frame by frame (PS3.18 8.7.3, PS3.5 Annex A).

Nothing is held but the header and one frame. Pixels keep their values: syntaxes that are written are all lossless, and
attributes that describe the encoding are made true.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

from wardlight.decoding.jobs import REASONS
from wardlight.decoding.model import COMPRESSED, ENCAPSULATED_NATIVE, ENCODED, Frame
from wardlight.dicom.codec import EXPLICIT_LE, PIXEL_TAGS, codec_of
from wardlight.dicom.elements import scan, walk_sequence
from wardlight.dicom.errors import DicomError
from wardlight.dicom.explicit import swapped, to_explicit_little
from wardlight.dicom.limits import LIMITS
from wardlight.dicom.part10 import META_OFFSET
from wardlight.dicom.rewrite import encode_element
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, transfer_syntax
from wardlight.dicomweb.call import Call
from wardlight.dicomweb.source import Source, frame_pieces, require_room
from wardlight.errors import WardlightError

_PHOTOMETRIC: Final = 0x00280004
_PLANAR: Final = 0x00280006
_LOSSY: Final = 0x00282110
_ICON: Final = 0x00880200
#: Offset tables and length of the encapsulated form (PS3.3 C.7.6.3.1.8, C.7.6.3.1.9).
_TABLES: Final = (0x7FE00001, 0x7FE00002, 0x7FE00003)
_SYNTAX: Final = 0x00020010
#: Photometric interpretations that decoding and encoding can lead to.
_BECOME: Final = ("RGB", "YBR_FULL", "YBR_RCT")
_GROUP_LENGTH: Final = 0x00020000
_UNDEFINED: Final = 0xFFFFFFFF
#: Native pixel data is shorter than what a 32-bit length can say, which is even (PS3.5 7.1.2).
_LONGEST: Final = 0xFFFFFFFE
_HEAD: Final = struct.Struct("<HH2sHI").pack
_ITEM: Final = struct.Struct("<HHI").pack


def target_for(wanted: str, stored: str) -> str | None:
    """The transfer syntax to give an instance in that is stored in `stored`; None where this one cannot be given.

    wanted: what a media range says. Missing, it is Explicit VR Little Endian (PS3.18 Table 8.7.3-2); pixels that
    nothing decodes, videos above all, are then given as they are stored. `*` takes what is stored, save the two
    syntaxes that web services shall not use (PS3.18 8.7.3).
    """
    known = transfer_syntax(stored)
    unfit = known.known and (known.implicit or known.big_endian)
    decodable = known.known and (
        not known.encapsulated or stored in COMPRESSED or stored == ENCAPSULATED_NATIVE
    )
    if wanted in ("", "*"):
        explicit = decodable if wanted == "" else unfit
        return EXPLICIT_LITTLE.uid if explicit else stored
    if wanted == stored or (decodable and wanted in ENCODED):
        return wanted
    return None


def transcoded(call: Call, source: Source, target: str) -> tuple[str, Iterator[bytes]]:
    """The instance as a DICOM file in this transfer syntax, and which one it is in.

    An instance without pixels, or whose pixels are left as they are, is given in Explicit VR Little Endian whatever
    compression is asked for. The first frame is decoded before this returns. Raises `cannot-decode`,
    `not-acceptable`, `object-damaged`; the iterator does so, too.
    """
    try:
        if source.pixel is None:
            return EXPLICIT_LITTLE.uid, _without_pixels(source)
        frame = source.frame()
        if frame.native and target == EXPLICIT_LITTLE.uid and source.pixel.length >= 0:
            return target, _native(source, frame)
        if not frame.encodable(target):
            raise WardlightError("not-acceptable", "these pixels cannot be given in this transfer syntax")
        pieces = _through_decoders(call, source, frame, target)
        first = next(pieces)
    except DicomError:
        raise WardlightError("object-damaged", "a stored data set cannot be parsed") from None
    return target, _after(first, pieces)


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _meta(source: Source, syntax: str) -> bytes:
    """The file meta information with another transfer syntax."""
    data, p = source.meta, META_OFFSET
    elements = []
    while p < len(data):
        tag, _, value, length = EXPLICIT_LE.read(data, p)
        if tag == _SYNTAX:
            elements.append(encode_element(EXPLICIT_LE, tag, b"UI", syntax.encode("ascii")))
        elif tag != _GROUP_LENGTH:
            elements.append(data[p : value + length])
        p = value + length
    group = b"".join(elements)
    length_element = encode_element(EXPLICIT_LE, _GROUP_LENGTH, b"UL", len(group).to_bytes(4, "little"))
    return data[:META_OFFSET] + length_element + group


def _without_pixels(source: Source) -> Iterator[bytes]:
    yield _meta(source, EXPLICIT_LITTLE.uid)
    yield to_explicit_little(source.header, source.syntax)


def _native(source: Source, frame: Frame) -> Iterator[bytes]:
    """Pixels that keep their form: only the byte order may change."""
    pixel, cursor = source.pixel, source.cursor
    assert pixel is not None
    yield _meta(source, EXPLICIT_LITTLE.uid)
    yield to_explicit_little(source.header, source.syntax)
    yield _HEAD(pixel.tag >> 16, pixel.tag & 0xFFFF, source.vr, 0, pixel.length)
    word = frame.word if codec_of(source.syntax, source.header, 0).big else 1
    left = b""
    for piece in cursor.until(pixel.offset + pixel.length):
        data = left + piece
        whole = len(data) // word * word
        yield swapped(data[:whole], word)
        left = data[whole:]
    yield left
    yield from _tail(source)


def _through_decoders(call: Call, source: Source, frame: Frame, target: str) -> Iterator[bytes]:
    """All pieces of the file. Meta, header and first frame come together, since the frame decides attributes."""
    table = frame_pieces(call, source, frame)
    native = target == EXPLICIT_LITTLE.uid
    total = 0
    for number, pieces in enumerate(table):
        result, data = _run(call, source, frame, target, pieces)
        if native and len(data) != frame.decoded_size:
            raise _unbelievable()
        if number == 0:
            described = _believed(frame, target, result)
            total = len(data) * len(table)
            if native and total >= _LONGEST:
                raise WardlightError("not-acceptable", "the pixels are too large for this transfer syntax")
            yield _beginning(source, frame, described, total, lossy=bool(result.get("lossy")))
        with call.sending(data):
            if not native:
                yield _ITEM(0xFFFE, 0xE000, len(data) + len(data) % 2)
            yield data
        if not native:
            yield bytes(len(data) % 2)
    yield bytes(total % 2) if native else _ITEM(0xFFFE, 0xE0DD, 0)
    yield from _tail(source)


def _run(
    call: Call, source: Source, frame: Frame, target: str, pieces: tuple[tuple[int, int], ...]
) -> tuple[dict[str, Any], bytes]:
    require_room(pieces)
    data: list[bytes | memoryview] = []
    for start, end in pieces:
        source.cursor.skip(start)
        data.append(source.cursor.take(end))
    result, encoded = call.decode("transcode", {"frame": frame.to_json(), "target": target}, data)
    if len(encoded) != 1:
        raise _unbelievable()
    return result, encoded[0]


def _believed(frame: Frame, target: str, result: Mapping[str, Any]) -> Frame:
    """The description after transcoding, if what the decoder says of it can be true."""
    photometric, planar = result.get("photometric"), result.get("planar")
    if photometric not in (frame.photometric, *_BECOME) or planar not in (0, 1):
        raise _unbelievable()
    return frame.becomes(target, str(photometric), int(planar))


def _unbelievable() -> WardlightError:
    return WardlightError("cannot-decode", REASONS["damaged"])


def _beginning(source: Source, stored: Frame, given: Frame, total: int, *, lossy: bool) -> bytes:
    """Meta information, header with its attributes corrected, and the beginning of the pixel data element."""
    changes: dict[int, tuple[bytes, bytes] | None] = dict.fromkeys(_TABLES)
    if given.photometric != stored.photometric:
        changes[_PHOTOMETRIC] = b"CS", given.photometric.encode("ascii")
    if given.samples > 1:
        changes[_PLANAR] = b"US", given.planar.to_bytes(2, "little")
    if lossy:
        changes[_LOSSY] = b"CS", b"01"
    native = given.syntax == EXPLICIT_LITTLE.uid
    if _has_compressed_icon(source):
        # Its fragments are in the stored syntax; it shows nothing that the image does not.
        changes[_ICON] = None
    head = [_meta(source, given.syntax), to_explicit_little(source.header, source.syntax, changes)]
    if native:
        vr = b"OW" if given.bits_allocated > 8 else b"OB"
        head.append(_HEAD(0x7FE0, 0x0010, vr, 0, total + total % 2))
    else:
        # An empty Basic Offset Table, as frames are sent before the next one's size is known; each is one fragment.
        head += [_HEAD(0x7FE0, 0x0010, b"OB", 0, _UNDEFINED), _ITEM(0xFFFE, 0xE000, 0)]
    return b"".join(head)


def _has_compressed_icon(source: Source) -> bool:
    element = scan(source.header, source.syntax, wanted=frozenset({_ICON})).elements.get(_ICON)
    if element is None:
        return False
    codec = codec_of(source.syntax, source.header, 0)
    return any(
        inner.tag in PIXEL_TAGS and inner.length < 0
        for _, inner, _ in walk_sequence(source.header, element, codec)
    )


def _tail(source: Source) -> Iterator[bytes]:
    """What stands after the pixel data."""
    source.cursor.skip(source.pixel_end)
    if source.explicit_little:
        yield from source.cursor.rest()
        return
    held = bytearray()
    for piece in source.cursor.rest():
        held += piece
        if len(held) > LIMITS.header:
            raise WardlightError("object-damaged", "a stored data set cannot be parsed")
    try:
        yield to_explicit_little(bytes(held), source.syntax)
    except DicomError:
        raise WardlightError("object-damaged", "a stored data set cannot be parsed") from None
