"""Elements of an encoded data set, found by offset without copying: the top level fast, or every depth.

Nothing here decodes values. Parsers read any of the four encodings of PS3.5 Annex A (deflated data must be inflated
first, see `stream.py`), and forgive what real devices write, as `codec.py` lists it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator
from struct import error as StructError
from typing import Final, NamedTuple, TypeAlias

from wardlight.dicom.codec import (
    DELIMITER_GROUP,
    ITEM,
    ITEM_END,
    PIXEL_TAGS,
    SEQUENCE_END,
    UNDEFINED,
    Buffer,
    Codec,
    codec_of,
    content_codec,
    unknown_codecs,
)
from wardlight.dicom.dictionary import vr_of
from wardlight.dicom.errors import DicomError, Truncated
from wardlight.dicom.limits import LIMITS, Limits
from wardlight.dicom.skip import read_item, skip_undefined
from wardlight.dicom.transfer_syntax import TransferSyntax
from wardlight.dicom.vr import LONG_VRS, SHORT_VRS

# Plain elements in C, where they were built (`hatch_build.py`); without, or where WARDLIGHT_PURE is set, in Python.
_scan_plain: Callable[..., tuple[int, int]] | None = None
if not os.environ.get("WARDLIGHT_PURE"):
    try:
        from wardlight.dicom._plain import scan as _scan_plain
    except ImportError:
        pass
#: Which of the two this process runs.
BUILD: Final = "pure Python" if _scan_plain is None else "with C extensions"

#: Where a data set is: () for the top level, else tag and index of the item, from the outermost sequence inwards.
Path: TypeAlias = tuple[int, ...]


class Element(NamedTuple):
    """One element of an encoded data set; offsets are into the buffer that was parsed.

    vr: as written, or of the dictionary in implicit syntaxes (a sequence of undefined length is SQ there, whatever the
    dictionary says); UN for a VR the standard does not know. start: of the tag. value: of the value. length: of the
    value, -1 undefined. end: after the value, and after the sequence delimiter where the length is undefined.
    """

    tag: int
    vr: bytes
    start: int
    value: int
    length: int
    end: int


class Scan(NamedTuple):
    """The top level of a data set up to its pixel data.

    elements: by tag; of a tag that is there twice, which the standard forbids, the last. pixel: Pixel Data, Float or
    Double Float Pixel Data (7FE0,0008/0009/0010); its value need not be in the buffer, and its `end` is -1 where the
    length is undefined. end: offset of the pixel data element, or the end of the buffer.
    """

    elements: dict[int, Element]
    pixel: Element | None
    end: int


def scan(
    data: Buffer,
    syntax: TransferSyntax,
    start: int = 0,
    *,
    wanted: Container[int] | None = None,
    limits: Limits = LIMITS,
) -> Scan:
    """The top-level elements before the pixel data, in one pass.

    wanted: tags to keep, every one where None; a set makes it faster. Raises `Truncated` where the buffer ends inside
    an element other than pixel data (its `offset` is that element's start, so a scan may resume there), `DicomError`
    where the input is malformed or beyond a limit.
    """
    elements: dict[int, Element] = {}
    codec = codec_of(syntax, data, start)
    pixel, end, _ = scan_into(elements, data, codec, start, wanted, limits)
    return Scan(elements, pixel, end)


def scan_into(
    out: dict[int, Element],
    data: Buffer,
    codec: Codec,
    start: int,
    wanted: Container[int] | None,
    limits: Limits,
    count: int = 0,
) -> tuple[Element | None, int, int]:
    """As `scan`, adding to `out` and counting on from `count`. Returns the pixel data, the end, and the count."""
    if start > len(data):
        raise Truncated(start, start)
    run = _scan_implicit if codec.implicit else _scan_explicit
    return run(out, data, codec, start, wanted, limits, count)


def _scan_explicit(
    out: dict[int, Element],
    data: Buffer,
    codec: Codec,
    p: int,
    wanted: Container[int] | None,
    limits: Limits,
    count: int,
) -> tuple[Element | None, int, int]:
    # The hottest loop of the product: every name is local, and the common case makes two look-ups and one call.
    head, u32, shorts, longs = codec.head, codec.u32, SHORT_VRS, LONG_VRS
    size, largest, new, cls = len(data), limits.value, tuple.__new__, Element
    keep_all, keep, most, seen, plain = wanted is None, wanted or (), limits.elements, count, _scan_plain
    try:
        while seen < most:
            if plain is not None:
                p, seen = plain(out, data, p, codec.big, wanted, largest, seen, most, new, cls)
                if seen == most:
                    break
            if p >= size:
                return None, p, seen
            group, element, vr, length = head(data, p)
            tag = group << 16 | element
            if vr in shorts:
                if group == 0x7FE0 and tag in PIXEL_TAGS:
                    # Pixel data in disguise must not become part of a header.
                    raise DicomError("bad-vr", p)
                value = p + 8
            else:
                if vr in longs:
                    value = p + 12
                    (length,) = u32(data, p + 8)
                else:
                    tag, vr, value, length = codec.read(data, p)
                    if group == DELIMITER_GROUP:
                        raise DicomError("bad-item", p)
                    if length > largest:
                        raise DicomError("bad-vr", p)
                    length &= UNDEFINED
                if group == 0x7FE0 and tag in PIXEL_TAGS:
                    return _pixel(tag, vr, p, value, length), p, seen
                if length > largest:
                    end = _skip_long(data, p, value, vr, length, codec, limits)
                    if keep_all or tag in keep:
                        out[tag] = Element(tag, vr, p, value, -1, end)
                    p = end
                    seen += 1
                    continue
            end = value + length
            if end > size:
                raise Truncated(p, end)
            if keep_all or tag in keep:
                out[tag] = new(cls, (tag, vr, p, value, length, end))
            p = end
            seen += 1
    except (StructError, Truncated) as error:
        raise _cut(error, p, seen) from None
    return _end_of_count(p, size, limits)


def _scan_implicit(
    out: dict[int, Element],
    data: Buffer,
    codec: Codec,
    p: int,
    wanted: Container[int] | None,
    limits: Limits,
    count: int,
) -> tuple[Element | None, int, int]:
    item, size, largest, new, cls = codec.item, len(data), limits.value, tuple.__new__, Element
    keep_all, keep = wanted is None, wanted or ()
    try:
        for seen in range(count, limits.elements):
            if p >= size:
                return None, p, seen
            group, element, length = item(data, p)
            tag = group << 16 | element
            value = p + 8
            if tag in PIXEL_TAGS:
                return _pixel(tag, vr_of(tag), p, value, length), p, seen
            if group == DELIMITER_GROUP:
                raise DicomError("bad-item", p)
            if length > largest:
                vr = codec.read(data, p)[1]
                end = _skip_long(data, p, value, vr, length, codec, limits)
                length = -1
            else:
                end = value + length
                if end > size:
                    raise Truncated(p, end)
                vr = b""
            if keep_all or tag in keep:
                out[tag] = new(cls, (tag, vr or vr_of(tag), p, value, length, end))
            p = end
    except (StructError, Truncated) as error:
        raise _cut(error, p, seen) from None
    return _end_of_count(p, size, limits)


def _cut(error: StructError | Truncated, p: int, seen: int) -> Truncated:
    """The error for input that ends inside the top-level element at p."""
    cut = error if isinstance(error, Truncated) else Truncated(p, p + 8)
    cut.seen = seen
    return cut


def _end_of_count(p: int, size: int, limits: Limits) -> tuple[None, int, int]:
    """The loops' end by count: well only where the last element allowed ended the buffer."""
    if p < size:
        raise DicomError("count", p)
    return None, p, limits.elements


def _pixel(tag: int, vr: bytes, p: int, value: int, length: int) -> Element:
    if length == UNDEFINED:
        return Element(tag, vr, p, value, -1, -1)
    return Element(tag, vr, p, value, length, value + length)


def _skip_long(data: Buffer, p: int, value: int, vr: bytes, length: int, codec: Codec, limits: Limits) -> int:
    """The end of a top-level value whose length field is beyond the limit: only "undefined" is well."""
    if length != UNDEFINED:
        raise DicomError("length", p)
    return skip_undefined(data, p, value, vr, codec, limits)


def text(data: Buffer, element: Element | None) -> str:
    """The value of an element of the default repertoire (UI, CS, DA …) without its padding; "" for None.

    Bytes beyond ASCII become the replacement character: identifiers must not depend on a character set.
    """
    if element is None or element.length <= 0:
        return ""
    return bytes(data[element.value : element.end]).decode("ascii", "replace").strip("\0 ")


class _Container(NamedTuple):
    """A data set, or a sequence, that the walk is in.

    stop: offset of its end, -1 undefined. bound: end of the nearest enclosing container of defined length. tag, item:
    of a sequence and its last item's index.
    """

    sequence: bool
    codec: Codec
    stop: int
    bound: int
    path: Path
    tag: int
    item: int


def walk(
    data: Buffer,
    syntax: TransferSyntax,
    start: int = 0,
    end: int | None = None,
    limits: Limits = LIMITS,
) -> Iterator[tuple[Path, Element]]:
    """Each element with the path of the data set it is in; a sequence comes before what it holds.

    Goes into sequences, into values of VR UN that are sequences (always where their length is undefined, by PS3.5
    section 6.2.2; else where the whole value parses as one), and not into fragments. end: of the data set, that of the
    buffer where None. Raises `Truncated` or `DicomError`; what was yielded before is well.
    """
    for path, element, _ in walk_all(data, syntax, start, end, limits):
        if element.tag != ITEM:
            yield path, element


def walk_all(
    data: Buffer,
    syntax: TransferSyntax,
    start: int = 0,
    end: int | None = None,
    limits: Limits = LIMITS,
) -> Iterator[tuple[Path, Element, Codec]]:
    """As `walk`, with the codec of each data set, and with the items: tag (FFFE,E000), the path of their data set.

    The length and end of an item of undefined length are -1.
    """
    size = len(data) if end is None else min(end, len(data))
    codec = codec_of(syntax, data, start)
    return _walk(data, _Container(False, codec, size, size, (), 0, -1), start, limits, look=True)


def walk_sequence(
    data: Buffer, element: Element, codec: Codec, limits: Limits = LIMITS
) -> Iterator[tuple[Path, Element, Codec]]:
    """As `walk_all`, over what one element of a top-level data set of `codec` holds."""
    inner = sequence_codec(data, element, codec, limits)
    if inner is None:
        return iter(())
    stop = -1 if element.length < 0 else element.end
    sequence = _Container(True, inner, stop, element.end, (), element.tag, -1)
    return _walk(data, sequence, element.value, limits, look=True)


def sequence_codec(data: Buffer, element: Element, codec: Codec, limits: Limits) -> Codec | None:
    """The codec of the items of an element in a data set of `codec`; None where it holds no items."""
    vr = element.vr
    if vr == b"SQ":
        return content_codec(data, vr, element.value, codec)
    if vr != b"UN":
        return None
    if element.length < 0:
        return content_codec(data, vr, element.value, codec)
    if element.length < 8:
        return None
    for candidate in unknown_codecs(data, element.value):
        sequence = _Container(True, candidate, element.end, element.end, (), element.tag, -1)
        try:
            # Values of VR UN inside are taken as opaque here, so that the trials of nested ones do not multiply.
            for _ in _walk(data, sequence, element.value, limits, look=False):
                pass
        except DicomError:
            continue
        return candidate
    return None


def _walk(
    data: Buffer, here: _Container, p: int, limits: Limits, *, look: bool
) -> Iterator[tuple[Path, Element, Codec]]:
    stack: list[_Container] = []
    ends: dict[int, int] = {}
    count = items = depth = 0
    size = len(data)
    while True:
        if p == here.stop:
            if not stack:
                return
            depth -= here.sequence
            here = stack.pop()
            continue
        at = p
        try:
            if here.sequence:
                tag, vr, p, length = read_item(data, at, here.codec)
            else:
                tag, vr, p, length = here.codec.read(data, at)
        except StructError:
            raise Truncated(at, at + 8) from None
        if p > here.bound:
            raise _beyond(at, p, size)
        if tag == (SEQUENCE_END if here.sequence else ITEM_END):
            # In a container of defined length a delimiter is superfluous, but does no harm as its last element.
            if (here.stop >= 0 and p != here.stop) or not (stack or here.sequence):
                raise DicomError("bad-item", at)
            here = here._replace(stop=p)
            continue
        if here.sequence:
            here = here._replace(item=here.item + 1)
            items += 1
            # Empty items cost their reader memory, but are no elements: as many of them are allowed.
            if here.item >= limits.items or items > limits.elements:
                raise DicomError("items", at)
            stop = -1 if length < 0 else p + length
            if stop > here.bound:
                raise _beyond(at, stop, size)
            stack.append(here)
            path = (*here.path, here.tag, here.item)
            here = _Container(False, here.codec, stop, here.bound if stop < 0 else stop, path, 0, -1)
            yield path, Element(tag, vr, at, p, length, stop), here.codec
            continue
        if tag >> 16 == DELIMITER_GROUP:
            raise DicomError("bad-item", at)
        count += 1
        if count > limits.elements:
            raise DicomError("count", at)
        end = p + length
        if length < 0:
            # The end of an outer sequence tells those of the inner ones: no byte is skipped at every depth again.
            end = ends.pop(p, -1)
            if end < 0:
                end = skip_undefined(data, at, p, vr, here.codec, limits, depth + 1, ends)
        if end > here.bound:
            raise _beyond(at, end, size)
        element = Element(tag, vr, at, p, length, end)
        yield here.path, element, here.codec
        inner = None
        if vr == b"SQ" or (vr == b"UN" and (look or length < 0)):
            inner = sequence_codec(data, element, here.codec, limits)
        if inner is None:
            p = end
            continue
        depth += 1
        if depth > limits.depth:
            raise DicomError("depth", at)
        stack.append(here)
        stop = -1 if length < 0 else end
        here = _Container(True, inner, stop, end, here.path, tag, -1)


def _beyond(at: int, end: int, size: int) -> DicomError:
    """What ends beyond its container: beyond the buffer too, more input might help; else lengths contradict."""
    return Truncated(at, end) if end > size else DicomError("length", at)
