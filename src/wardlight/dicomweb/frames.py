"""WADO-RS frames (PS3.18 10.4.1.1.6): as they are stored, decoded, or compressed anew without loss."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from wardlight import __version__
from wardlight.archive.model import InstanceLocation
from wardlight.decoding.model import ENCODED, HTJ2K_LOSSLESS, JPEG_2000_LOSSLESS, JPEG_LS_LOSSLESS, RLE
from wardlight.dicom.related import RelatedWriter
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, transfer_syntax
from wardlight.dicomweb.call import Answer, Call, frame_list
from wardlight.dicomweb.conditional import entity_tag
from wardlight.dicomweb.frames_source import AT_ONCE, CodedFrames, FrameSource, StoredFrames
from wardlight.dicomweb.media import OCTETS, pixel_syntax, pixel_types
from wardlight.dicomweb.negotiation import MediaRange, by_weight, ranges
from wardlight.dicomweb.transcode import target_for
from wardlight.errors import WardlightError

#: Transfer syntaxes that a type of compressed images stands for without the parameter (PS3.18 Table 8.7.3-5).
_DEFAULTS: Final = (RLE, JPEG_LS_LOSSLESS, JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS)


class Choice(NamedTuple):
    """syntax: of the frames that are sent. stored: they are the stored bytes."""

    media: str
    multipart: bool
    syntax: str
    stored: bool

    @property
    def content_type(self) -> str:
        return f"{self.media}; transfer-syntax={self.syntax}"


def frames(call: Call) -> Answer:
    """GET …/instances/{instance}/frames/{list}, the list counting from 1."""
    numbers = frame_list(call.path["frames"])
    accepted = ranges(call.accept, call.query)
    location = call.archive.instances(
        call.scope, call.uid("study"), call.uid("series"), call.uid("instance")
    )[0]
    choice, source = source_of(call, location, choices(accepted, location, single=len(numbers) == 1))
    if max(numbers) > source.count:
        raise WardlightError("not-found", "the instance has no such frame")
    tag = entity_tag("frames", __version__, location.row, numbers, choice, call.base_url)
    if choice.multipart:
        return _multipart(call, source, numbers, choice, tag)
    return _answer(source.read(numbers[0]), choice.content_type, source.length(numbers[0]), tag)


def source_of(
    call: Call, location: InstanceLocation, choices: Iterator[Choice]
) -> tuple[Choice, FrameSource]:
    """The first choice that these pixels allow."""
    refused = WardlightError(
        "not-acceptable", "frames cannot be given in the accepted media types and transfer syntaxes"
    )
    for choice in choices:
        if choice.stored:
            return choice, StoredFrames(call, location)
        try:
            return choice, CodedFrames(call, location, choice.syntax)
        except WardlightError as error:
            if error.code not in ("not-acceptable", "cannot-decode"):
                raise
            refused = error
    raise refused


def choices(accepted: Sequence[MediaRange], location: InstanceLocation, *, single: bool) -> Iterator[Choice]:
    """What could be given, by the client's weights; among equals, what costs nothing and changes nothing: the stored.

    Octets without a syntax are explicit little endian by default (PS3.18 Table 8.7.3-4): nobody gets pixels that would
    be misread. A type of compressed images without a syntax takes the stored one where that is of this type, else the
    type's default.
    """
    stored = location.transfer_syntax
    decodable = target_for(EXPLICIT_LITTLE.uid, stored) == EXPLICIT_LITTLE.uid
    for equals in by_weight([row for row in accepted if row.multipart or single]):
        for media_range in equals:
            yield from _as_stored(media_range, stored)
        for media_range in equals if decodable else ():
            yield from _made(media_range)


def _as_stored(media_range: MediaRange, stored: str) -> Iterator[Choice]:
    known, given, wanted = transfer_syntax(stored), pixel_syntax(stored), media_range.transfer_syntax
    if known.deflated or (known.big_endian and wanted != stored):
        return
    named = wanted in ("*", given, stored)
    for media in pixel_types(stored):
        unnamed = wanted == "" and (media != OCTETS or given == EXPLICIT_LITTLE.uid)
        if media_range.covers(media) and (named or unnamed):
            yield Choice(media, media_range.multipart, given, True)
    if media_range.media == OCTETS and named:
        yield Choice(OCTETS, media_range.multipart, given, True)


def _made(media_range: MediaRange) -> Iterator[Choice]:
    wanted = media_range.transfer_syntax
    if wanted in ("", "*", EXPLICIT_LITTLE.uid):
        if media_range.covers(OCTETS):
            yield Choice(OCTETS, media_range.multipart, EXPLICIT_LITTLE.uid, False)
        if wanted == "":
            for syntax in _DEFAULTS:
                if media_range.media in pixel_types(syntax):
                    yield Choice(media_range.media, media_range.multipart, syntax, False)
    elif wanted in ENCODED:
        for media in pixel_types(wanted):
            if media_range.covers(media):
                yield Choice(media, media_range.multipart, wanted, False)
        if media_range.media == OCTETS:
            yield Choice(OCTETS, media_range.multipart, wanted, False)


def _multipart(call: Call, source: FrameSource, numbers: Sequence[int], choice: Choice, tag: str) -> Answer:
    writer = RelatedWriter(secrets.token_hex(16))
    resource = (
        f"{call.base_url}/studies/{call.path['study']}/series/{call.path['series']}"
        f"/instances/{call.path['instance']}/frames"
    )
    heads = [
        writer.head(
            {"Content-Type": choice.content_type, "Content-Location": f"{resource}/{number}"},
            first=position == 0,
        )
        for position, number in enumerate(numbers)
    ]

    def body() -> Iterator[bytes]:
        for head, number in zip(heads, numbers, strict=True):
            # The frame comes first: while none has left, one that cannot be decoded is a status.
            pieces = source.read(number)
            first = next(pieces, b"")
            yield head
            yield first
            yield from pieces
        yield writer.tail

    sized = [(head, source.length(number)) for head, number in zip(heads, numbers, strict=True)]
    known = [(head, length) for head, length in sized if length is not None]
    length = writer.length(known) if len(known) == len(sized) else None
    return _answer(body(), writer.content_type(choice.media), length, tag)


def _answer(body: Iterator[bytes], content_type: str, length: int | None, tag: str) -> Answer:
    """Small answers are put together at once, which is faster."""
    if length is not None and length <= AT_ONCE:
        return Answer(b"".join(body), content_type, length=length, etag=tag)
    return Answer(body, content_type, length=length, etag=tag)
