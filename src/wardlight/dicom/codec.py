"""Element headers of the four encodings (PS3.5 sections 7.1, 7.5 and Annex A), and what is forgiven in them.

Forgiven, because devices in the field write it and the reading stays unambiguous:

- an element without a VR inside an explicit data set (two bytes that are no capital letters where the VR belongs) is
  read as implicit, with the VR of the dictionary;
- two capital letters that are no VR the standard knows are read as UN: with a 32-bit length where the two bytes that
  follow are zero, as PS3.5 Table 7.1-1 has it for every VR to come, else with a 16-bit length;
- a data set, or the first item of a sequence, announced as implicit whose first element carries exactly the VR that
  the dictionary gives for its tag is read as explicit;
- a value of VR UN and undefined length is a sequence in implicit little endian (PS3.5 6.2.2), unless its first
  item shows that its writer kept the byte order or the VRs.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, TypeAlias

from wardlight.dicom.dictionary import choices_of, vr_of
from wardlight.dicom.transfer_syntax import TransferSyntax
from wardlight.dicom.vr import ALL_VRS, LONG_VRS, SHORT_VRS

Buffer: TypeAlias = bytes | bytearray | memoryview

ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD
DELIMITER_GROUP: Final = 0xFFFE
#: The length field that stands for "undefined".
UNDEFINED: Final = 0xFFFFFFFF
#: Float, Double Float and integer Pixel Data: what ends a header.
PIXEL_TAGS: Final = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
PIXEL_ELEMENTS: Final = frozenset(tag & 0xFFFF for tag in PIXEL_TAGS)

_LITTLE_ITEM: Final = b"\xfe\xff\x00\xe0"
_BIG_ITEM: Final = b"\xff\xfe\xe0\x00"


class Codec:
    """Reads element and item headers of one encoding; there are four instances."""

    __slots__ = ("big", "head", "implicit", "item", "u32")

    def __init__(self, *, implicit: bool, big: bool) -> None:
        order = ">" if big else "<"
        self.implicit = implicit
        self.big = big
        #: group, element, VR, 16-bit length of an explicit header
        self.head: Final = Struct(order + "HH2sH").unpack_from
        #: group, element, 32-bit length of an item or an implicit header
        self.item: Final = Struct(order + "HHI").unpack_from
        self.u32: Final = Struct(order + "I").unpack_from

    def read(self, data: Buffer, p: int) -> tuple[int, bytes, int, int]:
        """Tag, VR, offset of the value, and length (-1 undefined) of the element, item or delimiter at p.

        Raises struct.error where the buffer ends inside the header.
        """
        if self.implicit:
            return self._read_implicit(data, p)
        group, element, vr, length = self.head(data, p)
        tag = group << 16 | element
        if vr in SHORT_VRS:
            return tag, vr, p + 8, length
        if vr in LONG_VRS:
            length = self.u32(data, p + 8)[0]
            return tag, vr, p + 12, -1 if length == UNDEFINED else length
        if group != DELIMITER_GROUP and vr.isalpha() and vr.isupper():
            return (tag, b"UN", p + 8, length) if length else (tag, b"UN", p + 12, self.u32(data, p + 8)[0])
        return self._read_implicit(data, p)

    def _read_implicit(self, data: Buffer, p: int) -> tuple[int, bytes, int, int]:
        group, element, length = self.item(data, p)
        tag = group << 16 | element
        if group == DELIMITER_GROUP:
            return tag, b"", p + 8, -1 if length == UNDEFINED else length
        vr = vr_of(tag)
        if length != UNDEFINED:
            return tag, vr, p + 8, length
        return tag, vr if vr in (b"OB", b"OW") else b"SQ", p + 8, -1


IMPLICIT_LE: Final = Codec(implicit=True, big=False)
EXPLICIT_LE: Final = Codec(implicit=False, big=False)
IMPLICIT_BE: Final = Codec(implicit=True, big=True)
EXPLICIT_BE: Final = Codec(implicit=False, big=True)


def _counterpart(codec: Codec) -> Codec:
    if codec.implicit:
        return EXPLICIT_BE if codec.big else EXPLICIT_LE
    return IMPLICIT_BE if codec.big else IMPLICIT_LE


def shows_vr(data: Buffer, p: int, codec: Codec) -> bool:
    """Whether the element at p carries exactly the VR that the dictionary has for it."""
    if len(data) < p + 8:
        return False
    group, element, vr, _ = codec.head(data, p)
    if vr not in ALL_VRS:
        return False
    tag = group << 16 | element
    return vr == vr_of(tag) or vr in choices_of(tag)


def codec_of(syntax: TransferSyntax, data: Buffer, start: int) -> Codec:
    """The codec of a data set: that of its transfer syntax, save where its first element shows otherwise."""
    if not syntax.implicit:
        return EXPLICIT_BE if syntax.big_endian else EXPLICIT_LE
    codec = IMPLICIT_BE if syntax.big_endian else IMPLICIT_LE
    return _counterpart(codec) if shows_vr(data, start, codec) else codec


def fragments_follow(vr: bytes) -> bool:
    """Whether a value of undefined length is a sequence of fragments, not of items (PS3.5 A.4)."""
    return vr == b"OB" or vr == b"OW"


def content_codec(data: Buffer, vr: bytes, p: int, codec: Codec) -> Codec:
    """The codec of the items at p, in a sequence or a UN value that `codec` encloses."""
    if vr == b"UN":
        big = codec.big and bytes(data[p : p + 4]) == _BIG_ITEM
        codec = IMPLICIT_BE if big else IMPLICIT_LE
    if codec.implicit and shows_vr(data, p + 8, codec):
        return _counterpart(codec)
    return codec


def unknown_codecs(data: Buffer, p: int) -> tuple[Codec, ...]:
    """The codecs to try on a UN value of defined length at p that may hold a sequence; none where it cannot."""
    head = bytes(data[p : p + 4])
    if head != _LITTLE_ITEM and head != _BIG_ITEM:
        return ()
    inner = IMPLICIT_LE if head == _LITTLE_ITEM else IMPLICIT_BE
    if shows_vr(data, p + 8, inner):
        inner = _counterpart(inner)
    return inner, _counterpart(inner)
