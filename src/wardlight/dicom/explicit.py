"""A data set encoded anew in Explicit VR Little Endian (PS3.5 A.2), values as they were, a few attributes changed."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from struct import Struct
from types import MappingProxyType
from typing import Final, TypeAlias

from wardlight.dicom.codec import (
    DELIMITER_GROUP,
    EXPLICIT_LE,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Codec,
    codec_of,
)
from wardlight.dicom.dictionary import choices_of
from wardlight.dicom.elements import Element, scan, walk_all
from wardlight.dicom.errors import DicomError
from wardlight.dicom.limits import LIMITS, Limits
from wardlight.dicom.rewrite import encode_element
from wardlight.dicom.transfer_syntax import TransferSyntax
from wardlight.dicom.vr import LONG_VRS, WORD_SIZES

#: tag → VR and value that the top level gets, None to leave the element out.
Changes: TypeAlias = Mapping[int, tuple[bytes, bytes] | None]

_PIXEL_REPRESENTATION: Final = 0x00280103
_SHORT_HEAD: Final = Struct("<HH2sH").pack
_LONG_HEAD: Final = Struct("<HH2sHI").pack
_ITEM_HEAD: Final = Struct("<HHI").pack
_TYPE_CODES: Final = {2: "H", 4: "I", 8: "Q"}


def to_explicit_little(
    data: bytes, syntax: TransferSyntax, changes: Changes = MappingProxyType({}), limits: Limits = LIMITS
) -> bytes:
    """The elements of a data set without its pixel data, in ascending order of tags as they came.

    Group lengths go, since nothing would keep them true. Sequences of another encoding get undefined lengths; what is
    in explicit little endian already stays byte for byte. Raises `DicomError`.
    """
    if codec_of(syntax, data, 0) is EXPLICIT_LE:
        elements = scan(data, syntax, limits=limits).elements
        # Some data sets only say that they are explicit.
        if all(data[element.start + 4 : element.start + 6] == element.vr for element in elements.values()):
            return _spliced(data, elements, changes)
    return _Writer(data, changes, limits).write(syntax)


def _spliced(data: bytes, elements: Mapping[int, Element], changes: Changes) -> bytes:
    """Only changed elements differ: all between them are slices."""
    pieces: list[bytes] = []
    kept, waiting = 0, sorted(changes.items())
    for tag, element in sorted(elements.items(), key=lambda row: row[1].start):
        gone = tag in changes or not tag & 0xFFFF
        if not gone and not (waiting and waiting[0][0] < tag):
            continue
        pieces.append(data[kept : element.start])
        while waiting and waiting[0][0] <= tag:
            pieces.append(_encoded(*waiting.pop(0)))
        kept = element.end if gone else element.start
    pieces.append(data[kept:])
    pieces += [_encoded(*change) for change in waiting]
    return b"".join(pieces)


def _encoded(tag: int, change: tuple[bytes, bytes] | None) -> bytes:
    return b"" if change is None else encode_element(EXPLICIT_LE, tag, *change)


class _Writer:
    """One pass over every element of every depth; containers are closed when the walk has left them."""

    def __init__(self, data: bytes, changes: Changes, limits: Limits) -> None:
        self._data = data
        self._limits = limits
        self._changes = changes
        self._waiting = sorted(changes.items())
        self._out: list[bytes] = []
        #: Open sequences and items, by the path that what they hold begins with.
        self._open: list[tuple[tuple[int, ...], bytes]] = []
        #: Whether Pixel Representation says signed, by the path of the data set.
        self._signed: dict[tuple[int, ...], bool] = {}

    def write(self, syntax: TransferSyntax) -> bytes:
        opaque: tuple[int, ...] = ()
        for path, element, codec in walk_all(self._data, syntax, limits=self._limits):
            if opaque and path[: len(opaque)] == opaque:
                continue  # A value of VR UN and defined length is bytes, whatever it holds (PS3.5 6.2.2).
            opaque = ()
            self._close(path[:-1] if element.tag == ITEM else path)
            if element.tag == ITEM:
                self._add(_ITEM_HEAD(DELIMITER_GROUP, ITEM & 0xFFFF, UNDEFINED))
                self._open.append((path, _ITEM_HEAD(DELIMITER_GROUP, ITEM_END & 0xFFFF, 0)))
                continue
            if not path:
                self._insert(element.tag)
                if element.tag in self._changes:
                    opaque = (element.tag,)
                    continue
            if not element.tag & 0xFFFF:
                continue
            self._element(path, element, codec)
            if element.vr == b"UN" and element.length >= 0:
                opaque = (*path, element.tag)
        self._close(())
        self._insert(UNDEFINED + 1)
        return b"".join(self._out)

    def _add(self, data: bytes) -> None:
        self._out.append(data)

    def _close(self, path: tuple[int, ...]) -> None:
        """Close what does not hold the data set, or the sequence, of this path."""
        while self._open and path[: len(self._open[-1][0])] != self._open[-1][0]:
            self._add(self._open.pop()[1])

    def _insert(self, before: int) -> None:
        while self._waiting and self._waiting[0][0] <= before:
            self._add(_encoded(*self._waiting.pop(0)))

    def _element(self, path: tuple[int, ...], element: Element, codec: Codec) -> None:
        tag, vr = element.tag, self._vr(path, element)
        if vr == b"SQ" or (vr == b"UN" and element.length < 0):
            self._head(tag, b"SQ", UNDEFINED)
            self._open.append(((*path, tag), _ITEM_HEAD(DELIMITER_GROUP, SEQUENCE_END & 0xFFFF, 0)))
            return
        if element.length < 0:  # Fragments: an icon that is compressed.
            if codec.big:
                raise DicomError("length", element.start)
            self._head(tag, vr, UNDEFINED)
            self._add(self._data[element.value : element.end])
            return
        value = (
            little(self._data[element.value : element.end], vr)
            if codec.big
            else (self._data[element.value : element.end])
        )
        if tag == _PIXEL_REPRESENTATION:
            self._signed[path] = value[:1] == b"\1"
        self._head(tag, vr, len(value))
        self._add(value)

    def _vr(self, path: tuple[int, ...], element: Element) -> bytes:
        """The VR to write. "US or SS" is as Pixel Representation of the data set, or of one around it, has it."""
        vr = element.vr
        if vr == b"US" and b"SS" in choices_of(element.tag):
            around = (path[:end] for end in range(len(path), -1, -2))
            return (
                b"SS" if next((self._signed[each] for each in around if each in self._signed), False) else vr
            )
        if vr not in LONG_VRS and element.length > 0xFFFF:
            return b"UN"  # PS3.5 6.2.2 note 2
        return vr

    def _head(self, tag: int, vr: bytes, length: int) -> None:
        if vr in LONG_VRS:
            self._add(_LONG_HEAD(tag >> 16, tag & 0xFFFF, vr, 0, length))
        else:
            self._add(_SHORT_HEAD(tag >> 16, tag & 0xFFFF, vr, length))


def little(value: bytes, vr: bytes) -> bytes:
    """A big endian value of this VR in little endian (PS3.5 section 7.3)."""
    return swapped(value, WORD_SIZES.get(vr, 1))


def swapped(value: bytes, size: int) -> bytes:
    """Bytes of words of this size turned round; what is left over at the end stays."""
    if size == 1:
        return value
    whole = len(value) // size * size
    words = array(_TYPE_CODES[size], value[:whole])
    words.byteswap()
    return words.tobytes() + value[whole:]
