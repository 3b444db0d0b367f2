"""The end of a value of undefined length, found without recursion and without looking at values."""

from __future__ import annotations

from struct import error as StructError

from wardlight.dicom.codec import (
    DELIMITER_GROUP,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Buffer,
    Codec,
    content_codec,
    fragments_follow,
)
from wardlight.dicom.errors import DicomError, Truncated
from wardlight.dicom.limits import Limits


def skip_undefined(
    data: Buffer,
    start: int,
    p: int,
    vr: bytes,
    codec: Codec,
    limits: Limits,
    depth: int = 1,
    ends: dict[int, int] | None = None,
) -> int:
    """The offset after the sequence delimiter of a value of undefined length that begins at p.

    start: of its element, for errors. depth: of the sequence, 1 at the top level. Items of defined length are jumped
    over unread. ends: takes the end of each value of undefined length inside, by the offset of the value. Raises
    DicomError "length" where the VR allows no undefined length, "bad-item", "items", "count", "depth".
    """
    _check_undefined(vr, start)
    enclosing: list[tuple[Codec, int, bool]] = []
    values: list[int] = []
    fragments = fragments_follow(vr)
    codec = content_codec(data, vr, p, codec)
    items = 0
    budget = limits.elements
    try:
        while True:
            tag, _, p, length = read_item(data, p, codec)
            if tag == ITEM:
                items += 1
                if items > limits.items:
                    raise DicomError("items", p)
                if length >= 0:
                    p += length
                    continue
                if fragments:
                    raise DicomError("bad-item", p)
            elif not enclosing:
                return p
            else:
                codec, items, fragments = enclosing.pop()
                value = values.pop()
                if ends is not None:
                    ends[value] = p
            # Here p is inside an item of undefined length: at an element or at the item's end.
            while True:
                at = p
                tag, vr, p, length = codec.read(data, at)
                budget -= 1
                if budget < 0:
                    raise DicomError("count", at)
                if length >= 0:
                    if tag >> 16 != DELIMITER_GROUP:
                        p += length
                        continue
                    if tag == ITEM_END:
                        break
                if tag >> 16 == DELIMITER_GROUP:
                    raise DicomError("bad-item", at)
                _check_undefined(vr, at)
                enclosing.append((codec, items, fragments))
                values.append(p)
                if depth + len(enclosing) > limits.depth:
                    raise DicomError("depth", at)
                codec, items, fragments = content_codec(data, vr, p, codec), 0, fragments_follow(vr)
                break
    except StructError:
        raise Truncated(start) from None


def _check_undefined(vr: bytes, start: int) -> None:
    """PS3.5 section 7.1.2 allows an undefined length for SQ, UN, and OB or OW in fragments only."""
    if vr != b"SQ" and vr != b"UN" and not fragments_follow(vr):
        raise DicomError("length", start)


def read_item(data: Buffer, p: int, codec: Codec) -> tuple[int, bytes, int, int]:
    """The item or sequence delimiter at p, as `Codec.read` gives it; "bad-item" for anything else."""
    group, element, length = codec.item(data, p)
    tag = group << 16 | element
    if tag == SEQUENCE_END:
        return tag, b"", p + 8, 0
    if tag != ITEM:
        raise DicomError("bad-item", p)
    return tag, b"", p + 8, -1 if length == UNDEFINED else length
