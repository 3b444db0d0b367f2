"""WADO-RS for whole instances and metadata (PS3.18 10.4), as they are stored or transcoded."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wardlight import __version__
from wardlight.archive.model import InstanceLocation
from wardlight.dicom.related import RelatedWriter
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE
from wardlight.dicomweb.call import Answer, Call
from wardlight.dicomweb.conditional import entity_tag
from wardlight.dicomweb.media import DICOM
from wardlight.dicomweb.negotiation import MediaRange, by_weight, json_type, ranges
from wardlight.dicomweb.source import open_source
from wardlight.dicomweb.transcode import target_for, transcoded
from wardlight.errors import WardlightError


@dataclass(frozen=True, slots=True)
class _Part:
    """An instance and the transfer syntaxes it may be given in, the first one that is possible."""

    location: InstanceLocation
    syntaxes: tuple[str, ...]

    @property
    def stored(self) -> bool:
        """Whether it is given as it is stored, so that its length is known."""
        return self.syntaxes[0] == self.location.transfer_syntax


def instances(call: Call) -> Answer:
    """GET of a study, a series or an instance, each part in the transfer syntax that `transcode.target_for` tells."""
    accepted = ranges(call.accept, call.query)
    locations = call.archive.instances(
        call.scope, call.uid("study"), call.optional_uid("series"), call.optional_uid("instance")
    )
    if "instance" in call.path:
        media_range, target = _first(accepted, locations[0])
        if not media_range.multipart:
            return _single(call, _Part(locations[0], _alternatives(media_range, target, locations[0])))
    multipart = [media_range for media_range in accepted if media_range.multipart]
    parts = []
    for location in locations:
        media_range, target = _first(multipart, location)
        alternatives = _alternatives(media_range, target, location)
        # One image among many that cannot be compressed as asked does not fail the rest.
        parts.append(_Part(location, tuple(dict.fromkeys((target, EXPLICIT_LITTLE.uid, *alternatives)))))
    return _multipart(call, parts)


def _first(accepted: Sequence[MediaRange], location: InstanceLocation) -> tuple[MediaRange, str]:
    """The best media range that can be met, and with which transfer syntax; among equals the stored one."""
    for equals in by_weight([row for row in accepted if row.covers(DICOM)]):
        found = [(row, target_for(row.transfer_syntax, location.transfer_syntax)) for row in equals]
        possible = [(row, target) for row, target in found if target is not None]
        as_stored = [choice for choice in possible if choice[1] == location.transfer_syntax]
        if possible:
            return (as_stored or possible)[0]
    raise WardlightError("not-acceptable", "instances cannot be given in the accepted transfer syntaxes")


def _alternatives(media_range: MediaRange, target: str, location: InstanceLocation) -> tuple[str, ...]:
    """The target, and the stored syntax to who names none: a frame that cannot be decoded is better than nothing."""
    named = media_range.transfer_syntax not in ("", "*")
    return (target,) if named else tuple(dict.fromkeys((target, location.transfer_syntax)))


def _content_type(syntax: str) -> str:
    return f"{DICOM}; transfer-syntax={syntax}"


def _read(call: Call, part: _Part) -> tuple[str, Iterator[bytes]]:
    """The file in the first syntax that is possible, and which that is."""
    refused: WardlightError | None = None
    for syntax in part.syntaxes:
        counted = int(refused is None)  # What is begun again is in the trail already.
        if syntax == part.location.transfer_syntax:
            return syntax, call.archive.read(call.scope, part.location, instances=counted)
        try:
            return transcoded(call, open_source(call, part.location, instances=counted), syntax)
        except WardlightError as error:
            if error.code not in ("cannot-decode", "not-acceptable"):
                raise
            refused = error
    assert refused is not None
    raise refused


def _single(call: Call, part: _Part) -> Answer:
    location = part.location
    if not part.stored:
        syntax, body = _read(call, part)
        tag = entity_tag("transcoded", __version__, location.row, syntax)
        return Answer(body, _content_type(syntax), etag=tag)

    uncounted = iter((1,))

    def read(start: int, end: int) -> Iterator[bytes]:
        # A request for ranges counts as one for the instance, however little of it they are.
        return call.archive.read(call.scope, location, start, end, instances=next(uncounted, 0))

    tag = entity_tag("instance", location.row)
    return Answer(read, _content_type(location.transfer_syntax), length=location.length, etag=tag)


def _multipart(call: Call, parts: Sequence[_Part]) -> Answer:
    writer = RelatedWriter(secrets.token_hex(16))
    heads: dict[tuple[str, bool], bytes] = {}

    def head(number: int, syntax: str) -> bytes:
        key = (syntax, number == 0)
        if key not in heads:
            heads[key] = writer.head({"Content-Type": _content_type(syntax)}, first=number == 0)
        return heads[key]

    def body() -> Iterator[bytes]:
        for number, part in enumerate(parts):
            syntax, file = _read(call, part)
            yield head(number, syntax)
            yield from file
        yield writer.tail

    length = None
    if all(part.stored for part in parts):
        length = writer.length(
            (head(number, part.location.transfer_syntax), part.location.length)
            for number, part in enumerate(parts)
        )
    rows = b"".join(part.location.row.bytes for part in parts)
    tag = entity_tag("instances", __version__, rows, [part.syntaxes[0] for part in parts])
    return Answer(body(), writer.content_type(DICOM), length=length, etag=tag)


def metadata(call: Call) -> Answer:
    """GET …/metadata of a study, a series or an instance: an array of DICOM JSON objects."""
    content_type = json_type(call.accept, call.query)
    rows = call.archive.metadata(
        call.scope,
        call.uid("study"),
        call.optional_uid("series"),
        call.optional_uid("instance"),
        base_url=call.base_url,
    )

    def body() -> Iterator[bytes]:
        yield b"["
        yield from rows
        yield b"]"

    tag = entity_tag("metadata", __version__, content_type, rows.version)
    return Answer(body(), content_type, etag=tag)
