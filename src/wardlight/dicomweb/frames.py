"""WADO-RS frames in their stored encoding: bytes of pixel data, cut out and never decoded (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Final

from wardlight.archive.model import FrameTable, InstanceLocation
from wardlight.dicom.related import RelatedWriter
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, transfer_syntax
from wardlight.dicomweb.call import Answer, Call
from wardlight.dicomweb.media import OCTETS, pixel_syntax, pixel_types
from wardlight.dicomweb.negotiation import MediaRange, ranges
from wardlight.errors import WardlightError

#: Up to here an answer is put together at once, which is faster; beyond it streams.
_AT_ONCE: Final = 4 << 20


def frames(call: Call) -> Answer:
    """GET …/instances/{instance}/frames/{list}, the list counting from 1."""
    numbers = _numbers(call.path["frames"])
    accepted = ranges(call.accept, call.query)
    location = call.archive.instances(
        call.scope, call.uid("study"), call.uid("series"), call.uid("instance")
    )[0]
    if location.pixel is None and transfer_syntax(location.transfer_syntax).deflated:
        raise WardlightError("not-acceptable", "the pixels lie within a deflated data set")
    table = call.archive.frames(call.scope, location)
    if max(numbers) > len(table.frames):
        raise WardlightError("not-found", "the instance has no such frame")
    media, multipart = _choose(accepted, location.transfer_syntax, single=len(numbers) == 1)
    content_type = f"{media}; transfer-syntax={pixel_syntax(location.transfer_syntax)}"
    if not multipart:
        return _answer(_frame(call, location, table, numbers[0]), content_type, _length(table, numbers[0]))
    return _multipart(call, location, table, numbers, media, content_type)


def _numbers(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and len(part) <= 9 and int(part) > 0 for part in parts):
        raise WardlightError("bad-request", "the frame list is not of whole numbers from 1, joined by commas")
    return [int(part) for part in parts]


def _choose(accepted: Sequence[MediaRange], syntax: str, *, single: bool) -> tuple[str, bool]:
    """The media type to give and whether as multipart; `not-acceptable` if none fits.

    Octets without a syntax are explicit little endian by default, so that any other encoding must be asked for, by
    its UID or by `*`: nobody gets pixels that would be misread.
    """
    given = pixel_syntax(syntax)
    for media_range in accepted:
        if not media_range.multipart and not single:
            continue
        wanted = media_range.transfer_syntax
        named = wanted in ("*", given, syntax) or (wanted == "" and given == EXPLICIT_LITTLE.uid)
        for media in pixel_types(syntax):
            if media_range.covers(media) and (named or (wanted == "" and media != OCTETS)):
                return media, media_range.multipart
        if media_range.media == OCTETS and named:
            return OCTETS, media_range.multipart
    raise WardlightError("not-acceptable", "frames are given in their stored transfer syntax only")


def _bit_packed(table: FrameTable) -> bool:
    """Whether frames do not start at bytes."""
    return table.frame_bits % 8 != 0


def _length(table: FrameTable, number: int) -> int:
    if _bit_packed(table):
        return (table.frame_bits + 7) // 8
    return sum(end - start for start, end in table.frames[number - 1])


def _frame(call: Call, location: InstanceLocation, table: FrameTable, number: int) -> Iterator[bytes]:
    """The bytes of one frame. Fragments of a small frame are read in one go, and the item heads between cut out."""
    pieces = table.frames[number - 1]
    if _bit_packed(table):
        yield _unpacked(call, location, table, number)
    elif len(pieces) <= 1 or pieces[-1][1] - pieces[0][0] > _AT_ONCE:
        for position, (start, end) in enumerate(pieces):
            yield from call.archive.read(call.scope, location, start, end, frames=int(position == 0))
    else:
        first = pieces[0][0]
        span = b"".join(call.archive.read(call.scope, location, first, pieces[-1][1]))
        for start, end in pieces:
            yield span[start - first : end - first]


def _unpacked(call: Call, location: InstanceLocation, table: FrameTable, number: int) -> bytes:
    """A frame of 1-bit pixels, moved so that it starts at a byte (PS3.5 8.1.1: the first pixel is the lowest bit)."""
    ((start, end),) = table.frames[number - 1]
    bits = int.from_bytes(b"".join(call.archive.read(call.scope, location, start, end)), "little")
    bits >>= (number - 1) * table.frame_bits % 8
    return (bits & ((1 << table.frame_bits) - 1)).to_bytes(_length(table, number), "little")


def _multipart(
    call: Call,
    location: InstanceLocation,
    table: FrameTable,
    numbers: Sequence[int],
    media: str,
    content_type: str,
) -> Answer:
    writer = RelatedWriter(secrets.token_hex(16))
    resource = (
        f"{call.base_url}/studies/{call.path['study']}/series/{call.path['series']}"
        f"/instances/{call.path['instance']}/frames"
    )
    heads = [
        writer.head(
            {"Content-Type": content_type, "Content-Location": f"{resource}/{number}"}, first=position == 0
        )
        for position, number in enumerate(numbers)
    ]

    def body() -> Iterator[bytes]:
        for head, number in zip(heads, numbers, strict=True):
            yield head
            yield from _frame(call, location, table, number)
        yield writer.tail

    lengths = [(head, _length(table, number)) for head, number in zip(heads, numbers, strict=True)]
    return _answer(body(), writer.content_type(media), writer.length(lengths))


def _answer(body: Iterator[bytes], content_type: str, length: int) -> Answer:
    if length <= _AT_ONCE:
        return Answer(b"".join(body), content_type, length=length)
    return Answer(body, content_type, length=length)
